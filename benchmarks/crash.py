"""A run killed by SIGKILL at a random call, and run again: the end is that of a run that nobody disturbed.

Half of the calls at which it is killed take effect all the same; their answer never arrives. Extra calls are counted
against the undisturbed run and one listing: all that it reads before its first write.
"""

import copy
import os
import random
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from sanic.exceptions import ServiceUnavailable

from benchmarks.commands import Commands, commands
from benchmarks.figures import Figures
from benchmarks.workspace import dumped_contacts
from mynatca_sandbox.calls import is_write
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import World

MEMBERS = 1_000
KILLS = 50
SYNC_KILLS = 10
CONCURRENCY = "2"
"""Calls in flight at once. What is in flight at a kill is begun anew, up to six calls for each (an archived holder of a
number): at the default of 50 that would be far more than 1 % of so small a run."""
WORKERS = 2
"""Trials at a time, each with a sandbox of its own."""


@dataclass(frozen=True)
class End:
    """What a run, or two attempts of it, came to: where it was killed, the calls in their order, the end state."""

    point: int | None
    calls: list[tuple[str, str]]
    state: list[dict[str, Any]]

    @property
    def listing(self) -> int:
        """Calls before the first write."""
        return next(index for index, (method, path) in enumerate(self.calls) if is_write(f"{method} {path}"))


def crash() -> Figures:
    """Audits of the suite, and nightly syncs of a workspace with the usual trouble, which create members, too."""
    audits = _killed("suite", KILLS, "audit", "--release=archive")
    syncs = _killed("troubled", SYNC_KILLS, "sync", "--release=archive", "--release=create", "--release=update")
    return {
        "crash.identical": (audits[0], f"of {KILLS}", str(KILLS)),
        "crash.extra_calls_share": (audits[1], "share", "≤ 0.01"),
        "crash.sync_identical": (syncs[0], f"of {SYNC_KILLS}", str(SYNC_KILLS)),
        "crash.sync_extra_calls_share": (syncs[1], "share", "≤ 0.01"),
    }


def _killed(contacts: Literal["suite", "troubled"], kills: int, *command: str) -> tuple[int, float]:
    """How many ends are identical, and the largest share of extra calls."""
    world = generate(WorldOptions(members=MEMBERS, contacts=contacts))
    with trials(world, command) as trial:
        calm = trial.run()
    rng = random.Random(4)
    points = [(rng.randrange(len(calm.calls)), rng.random() < 1 / 2) for _ in range(kills)]

    def end_of(lot: int) -> list[End]:
        with trials(world, command) as trial:
            return [trial.run(point, takes_effect=takes_effect) for point, takes_effect in points[lot::WORKERS]]

    with ThreadPoolExecutor(WORKERS) as pool:
        ends = [end for lot in pool.map(end_of, range(WORKERS)) for end in lot]
    for end in ends:
        if end.state != calm.state:
            print(f"  {command[0]} killed at call {end.point} of {len(calm.calls)}: another end")
    extra = max(len(end.calls) - len(calm.calls) - calm.listing for end in ends)
    return sum(end.state == calm.state for end in ends), round(max(extra, 0) / len(calm.calls), 5)


@contextmanager
def trials(world: World, command: tuple[str, ...]) -> Iterator["Trial"]:
    """A sandbox for runs of one command, each in a fresh copy of the world."""
    with Sandbox(World(world.now), Options(limit=None)) as sandbox, commands(sandbox.url) as syncjob:
        yield Trial(world, sandbox, syncjob, command)


class Trial:
    """Runs one command again and again."""

    def __init__(self, world: World, sandbox: Sandbox, syncjob: Commands, command: tuple[str, ...]) -> None:
        self._world = world
        self._sandbox = sandbox
        self._syncjob = syncjob
        self._command = command
        self._count = 0

    def run(self, point: int | None = None, *, takes_effect: bool = True) -> End:
        """One run, or two attempts of one with a kill at this call in between."""
        self._count += 1
        self._sandbox.reset(copy.deepcopy(self._world))
        run_id = f"{self._command[0]}-{self._count}"
        calls: list[tuple[str, str]] = []
        if point is not None:
            kill = Kill(calls, point, takes_effect=takes_effect)
            self._sandbox.before = kill
            kill.process = self._start(run_id)
            kill.process.wait()
        self._sandbox.before = lambda method, path: calls.append((method, path))
        self._syncjob.ended(run_id, self._start(run_id)).well_ended()
        return End(point, calls, dumped_contacts(self._sandbox.url))

    def _start(self, run_id: str) -> "subprocess.Popen[bytes]":
        return self._syncjob.start(run_id, *self._command, INTERCOM_CONCURRENCY=CONCURRENCY)


class Kill:
    """Assigned to `Sandbox.before`, notes the calls and kills the caller at one, which may still take effect."""

    def __init__(self, calls: list[tuple[str, str]], point: int, *, takes_effect: bool) -> None:
        self._calls = calls
        self._point = point
        self._takes_effect = takes_effect
        self.process: subprocess.Popen[bytes] | None = None

    def __call__(self, method: str, path: str) -> None:
        """Called before each call takes effect."""
        self._calls.append((method, path))
        if len(self._calls) - 1 == self._point and self.process:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()  # dead before this call takes effect, so that it cannot go on
            if not self._takes_effect:
                raise ServiceUnavailable("nobody is there to hear it", quiet=True)

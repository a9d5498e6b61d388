"""A sandbox in a process of its own, so that CPU time and memory of a run are the run's alone, and its nights.

Counts come from the sandbox, which sees every call; time is the run's own, from start to result.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from benchmarks.commands import Commands, Run, commands

WINDOW_SECONDS = 10
LIMIT = 1666
"""Calls per window at 10,000 calls a minute."""


@dataclass(frozen=True)
class Night:
    """One run of the sync, and the calls that the sandbox counted."""

    run: Run
    calls: dict[str, Any]

    @property
    def result(self) -> dict[str, Any]:
        """What the run says about itself."""
        return self.run.result

    @property
    def list_calls(self) -> int:
        """Pages of contacts."""
        return self._routed("GET /contacts")

    @property
    def source_calls(self) -> int:
        """Calls to Supabase."""
        return self._routed("GET /rest/v1/{table}")

    @property
    def intercom_calls(self) -> int:
        """All calls to Intercom."""
        return int(self.calls["total"]) - self.source_calls

    @property
    def other_calls(self) -> int:
        """Intercom calls that are neither pages nor writes."""
        return self.intercom_calls - self.list_calls - self.writes

    def _routed(self, route: str) -> int:
        return int(self.calls["by_route"].get(route, 0))

    @property
    def writes(self) -> int:
        """Write calls on Intercom, refused ones included."""
        return int(self.calls["writes"])

    @property
    def rejected_share(self) -> float:
        """Share of the Intercom calls that were answered 429."""
        return float(self.calls["by_status"].get("429", 0)) / self.intercom_calls


class Workspace:
    """A sandbox in a process of its own, and the nights that it sees."""

    def __init__(self, url: str, syncjob: Commands) -> None:
        self._url = url
        self._syncjob = syncjob

    def night(self, **settings: str) -> Night:
        """Run the sync once, with the counters at zero before it."""
        httpx.delete(f"{self._url}/_sandbox/calls").raise_for_status()
        run = self._syncjob.run("sync", **settings)
        return Night(run, httpx.get(f"{self._url}/_sandbox/calls").json())

    def change_members(self, count: int) -> None:
        """Let the source say something new about so many members."""
        body = {"count": count, "seed": 1}
        httpx.post(f"{self._url}/_sandbox/members/change", json=body).raise_for_status()

    def contacts(self) -> list[dict[str, Any]]:
        """All contacts of any state."""
        return dumped_contacts(self._url)


def dumped_contacts(url: str) -> list[dict[str, Any]]:
    """All contacts of any state, with all that belongs to them; equal for equal end states."""
    dump: list[dict[str, Any]] = httpx.get(f"{url}/_sandbox/contacts", timeout=120).json()
    return dump


@contextmanager
def workspace(**options: object) -> Iterator[Workspace]:
    """A sandbox with these options, as its flags are called."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "mynatca_sandbox", "--port=0", *flags]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr  # noqa: S101 - for the type checker
        url = process.stderr.readline().split("at ")[1].split(",")[0]
        try:
            with commands(url) as syncjob:
                yield Workspace(url, syncjob)
        finally:
            process.terminate()

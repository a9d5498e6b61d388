"""Measures the nightly sync and writes every figure to `results.json`. `run.py NAME ...` measures only those.

The sandbox and the sync are processes of their own, so that CPU time and memory are the sync's alone. Counts come from
the sandbox, which sees every call; time is the run's own, from start to result.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

RESULTS = Path(__file__).parent / "results.json"
WINDOW_SECONDS = 10
LIMIT = 1666
"""Calls per window at 10,000 calls a minute."""


@dataclass(frozen=True)
class Night:
    """One run of the sync: its exit code and result, its process's CPU seconds and peak memory, and the calls."""

    exit_code: int
    result: dict[str, Any]
    cpu_seconds: float
    peak_mb: float
    calls: dict[str, Any]

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

    def __init__(self, url: str, runs_dir: Path) -> None:
        self.url = url
        self.runs_dir = runs_dir
        self._nights = 0

    def night(self, **settings: str) -> Night:
        """Run the sync once, with the counters at zero before it."""
        self._nights += 1
        httpx.delete(f"{self.url}/_sandbox/calls").raise_for_status()
        environment = {
            "INTERCOM_URL": self.url,
            "INTERCOM_ACCESS_TOKEN": "sandbox-token",
            "SUPABASE_URL": self.url,
            "SUPABASE_KEY": "sandbox-key",
            "RUNS_DIR": str(self.runs_dir),
            "RUN_ID": f"night-{self._nights}",
            "LOG_LEVEL": "ERROR",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "mynatca_syncjob", "sync"], env={**os.environ, **environment, **settings}
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        result = json.loads((self.runs_dir / f"night-{self._nights}" / "result.json").read_text())
        calls = httpx.get(f"{self.url}/_sandbox/calls").json()
        return Night(process.returncode, result, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, calls)

    def change_members(self, count: int) -> None:
        """Let the source say something new about so many members."""
        body = {"count": count, "seed": 1}
        httpx.post(f"{self.url}/_sandbox/members/change", json=body).raise_for_status()

    def contacts(self) -> list[dict[str, Any]]:
        """All contacts of any state."""
        dump: list[dict[str, Any]] = httpx.get(f"{self.url}/_sandbox/contacts", timeout=120).json()
        return dump


@contextmanager
def workspace(**options: object) -> Iterator[Workspace]:
    """A sandbox with these options, as its flags are called."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "mynatca_sandbox", "--port=0", *flags]
    with (
        tempfile.TemporaryDirectory() as runs_dir,
        subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert process.stderr  # noqa: S101 - for the type checker
        line = process.stderr.readline()
        try:
            yield Workspace(line.split("at ")[1].split(",")[0], Path(runs_dir))
        finally:
            process.terminate()


Figures = dict[str, tuple[float, str, str]]
"""Key -> value, unit, goal."""


def quiet() -> Figures:
    """A night without changes, and one with 200 changed members, at 50 ms a call."""
    with workspace(members=20_000, contacts="synced", latency=0.05, limit=LIMIT) as place:
        quiet_night = place.night()
        place.change_members(200)
        changed = place.night()
    return {
        "sync.quiet_20k.list_calls": (quiet_night.list_calls, "calls", "≤ 134"),
        "sync.quiet_20k.other_calls": (quiet_night.other_calls, "calls", "≤ 5"),
        "sync.quiet_20k.source_calls": (quiet_night.source_calls, "calls", ""),
        "sync.quiet_20k.writes": (quiet_night.writes, "calls", "0"),
        "sync.quiet_20k.seconds_at_50ms": (quiet_night.result["seconds"], "s", "≤ 10"),
        "sync.changed_200.writes": (changed.writes, "calls", "200"),
        "sync.changed_200.calls": (changed.intercom_calls, "calls", "≤ 345"),
        "sync.changed_200.seconds_at_50ms": (changed.result["seconds"], "s", "≤ 12"),
    }


def create() -> Figures:
    """First nights that create everybody: 20,000 at 10,000 calls a minute, fewer at the limits of smaller plans."""
    return {
        **_creation("sync.create_20k", members=20_000, limit=LIMIT),
        **_creation("sync.create_1660_at_166", members=1_660, limit=166),
        **_creation("sync.create_830_at_83", members=830, limit=83),
    }


def _creation(key: str, members: int, limit: int) -> Figures:
    with workspace(members=members, contacts="none", latency=0.05, limit=limit) as place:
        night = place.night()
        users = {contact["external_id"] for contact in place.contacts() if contact["role"] == "user"}
    allowed_seconds = members / limit * WINDOW_SECONDS
    created = night.result["counts"]["created"]
    figures: Figures = {
        f"{key}.limit_time_ratio": (round(night.result["seconds"] / allowed_seconds, 4), "ratio", "≤ 1.10"),
        f"{key}.rejected_share": (round(night.rejected_share, 5), "share", "≤ 0.01"),
        f"{key}.lost": (members - min(len(users), created), "rows", "0"),
    }
    if members >= 20_000:
        figures["sync.create_20k.peak_mb"] = (round(night.peak_mb, 1), "MB", "≤ 250")
    return figures


def size() -> Figures:
    """CPU time per contact and peak memory of the sync's own process, on quiet nights."""
    small, large = (_quiet_night_of(members) for members in (20_000, 200_000))
    return {
        "sync.cpu_ms_per_contact_20k": (round(small.cpu_seconds / 20_000 * 1000, 4), "ms", ""),
        "sync.cpu_ms_per_contact_200k": (round(large.cpu_seconds / 200_000 * 1000, 4), "ms", "≤ that of 20k"),
        "sync.peak_mb_20k": (round(small.peak_mb, 1), "MB", "≤ 250"),
        "sync.peak_mb_200k": (round(large.peak_mb, 1), "MB", "≤ 10 times that of 20k"),
    }


def _quiet_night_of(members: int) -> Night:
    with workspace(members=members, contacts="synced", limit="none") as place:
        night = place.night()
    if night.exit_code or night.writes:
        raise SystemExit(f"not a quiet night of {members} members: {night.result}")
    return night


def faults() -> Figures:
    """The same disorder with and without a bad network: the end state must be the same."""
    world = {"members": 5_000, "contacts": "troubled", "limit": "none"}
    with workspace(**world) as calm:
        calm.night()
        expected = calm.contacts()
    faults = {"fault_5xx": 0.02, "fault_429": 0.02, "fault_drop_after": 0.01}
    with workspace(**world, **faults) as rough:
        night = rough.night()
        found = rough.contacts()
    gone = ("archived", "merged_into", "deleted")
    live = [contact for contact in found if contact["role"] == "user" and not any(contact[state] for state in gone)]
    numbers = [contact["external_id"] for contact in live if contact["external_id"]]
    return {
        "sync.faults.same_end_state": (int(found == expected), "bool", "1"),
        "sync.faults.duplicates": (len(numbers) - len(set(numbers)), "contacts", "0"),
        "sync.faults.failed_rows": (night.result["counts"]["failed"], "rows", "0"),
    }


BENCHMARKS: dict[str, Callable[[], Figures]] = {
    "quiet": quiet,
    "create": create,
    "size": size,
    "faults": faults,
}


def main() -> None:
    """Measure, print, and merge into the results."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in sys.argv[1:] or BENCHMARKS:
        started = time.monotonic()
        figures = BENCHMARKS[name]()
        print(f"{name} ({time.monotonic() - started:.0f} s)")
        for key, (value, unit, goal) in figures.items():
            print(f"  {key:<44} {value:>10} {unit:<8} {goal}")
            date = datetime.now(UTC).date().isoformat()
            results[key] = {
                "value": value,
                "unit": unit,
                "goal": goal,
                "command": f"make bench ARGS={name}",
                "date": date,
            }
        RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

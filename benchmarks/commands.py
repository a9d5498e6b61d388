"""Runs `mynatca-syncjob` in processes of its own, and reads what each run leaves behind."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

Line = dict[str, Any]
"""A line of a plan or a journal, or a row of a result."""


@dataclass(frozen=True)
class Run:
    """A run that has ended: its exit code and result, and its process's CPU seconds and peak memory.

    Plan and journal are read from its folder when they are first asked for, and gone with the folder.
    """

    exit_code: int
    result: dict[str, Any]
    folder: Path
    cpu_seconds: float
    peak_mb: float

    @cached_property
    def actions(self) -> list[Line]:
        """The planned actions."""
        return [line for line in self._lines("plan.jsonl") if line["kind"] not in ("request", "finding")]

    @cached_property
    def review(self) -> list[Line]:
        """All that is left to a person: what the plan found, and what came out while it was applied."""
        findings = [line for line in self._lines("plan.jsonl") if line["kind"] == "finding"]
        return findings + [row for row in self.result["rows"] if row["outcome"] == "review"]

    @cached_property
    def writes(self) -> list[Line]:
        """The intents of the journal's writes that took effect."""
        journal = self._lines("journal.jsonl")
        done = {line["intent"] for line in journal if line["state"] == "done"}
        return [line for line in journal if line["state"] == "intent" and line["seq"] in done]

    def _lines(self, name: str) -> list[Line]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def reviewed(self, what: str) -> set[str]:
        """The values of `contact_id` or `member_number` that stand in the review list."""
        return {line[what] for line in self.review if line[what]}

    def well_ended(self) -> "Run":
        """The run itself, if it went through: a figure of one that did not means nothing."""
        if self.exit_code:
            raise SystemExit(f"{self.folder.name} ended with {self.exit_code}: {self.result['message']}")
        return self


class Commands:
    """Runs commands against one sandbox, each run in a folder of its own below `runs_dir`."""

    def __init__(self, url: str, runs_dir: Path) -> None:
        self._url = url
        self._runs_dir = runs_dir
        self._count = 0

    def start(self, run_id: str, *arguments: str, **settings: str) -> "subprocess.Popen[bytes]":
        """Begin a run."""
        environment = {
            "INTERCOM_URL": self._url,
            "INTERCOM_ACCESS_TOKEN": "sandbox-token",
            "SUPABASE_URL": self._url,
            "SUPABASE_KEY": "sandbox-key",
            "RUNS_DIR": str(self._runs_dir),
            "RUN_ID": run_id,
            "LOG_LEVEL": "ERROR",
            # The sandbox lists a new conversation at once, so nothing needs waiting for.
            "INTERCOM_SEARCH_LAG_SECONDS": "0",
        }
        command = [sys.executable, "-m", "mynatca_syncjob", *arguments]
        return subprocess.Popen(command, env={**os.environ, **environment, **settings})

    def ended(self, run_id: str, process: "subprocess.Popen[bytes]") -> Run:
        """Wait for the end of a run."""
        peak_kb = 0
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            peak_kb = max(peak_kb, _peak_kb(process.pid))
            time.sleep(0.05)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        folder = self._runs_dir / run_id
        result = json.loads((folder / "result.json").read_text())
        return Run(process.returncode, result, folder, usage.ru_utime + usage.ru_stime, peak_kb / 1024)

    def run(self, *arguments: str, **settings: str) -> Run:
        """Carry out a command, named first."""
        self._count += 1
        run_id = f"{arguments[0]}-{self._count}"
        return self.ended(run_id, self.start(run_id, *arguments, **settings))


def _peak_kb(pid: int) -> int:
    """The most memory that the process had so far; 0 for one that has ended.

    What `wait4` tells is of no use: to Linux a new process's peak begins with the memory of the one that started it.
    """
    found = re.search(r"^VmHWM:\s*(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


@contextmanager
def commands(url: str) -> Iterator[Commands]:
    """Commands against this sandbox; the runs' folders are gone at the end."""
    with TemporaryDirectory() as runs_dir:
        yield Commands(url, Path(runs_dir))

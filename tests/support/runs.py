"""Runs the real command against a sandbox, in this process or in one of its own, and reads what it leaves behind."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mynatca_sandbox.server import Sandbox
from mynatca_syncjob.__main__ import run


def environment(url: str, runs_dir: Path, **more: str) -> dict[str, str]:
    """The settings that point the programs at a sandbox."""
    return {
        "INTERCOM_URL": url,
        "INTERCOM_ACCESS_TOKEN": "sandbox-token",
        "SUPABASE_URL": url,
        "SUPABASE_KEY": "sandbox-key",
        "RUNS_DIR": str(runs_dir),
        "LOG_LEVEL": "ERROR",
        **more,
    }


@dataclass(frozen=True)
class Run:
    """One finished run: its exit code, and its folder's files."""

    exit_code: int
    folder: Path

    @property
    def result(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return loaded

    @property
    def actions(self) -> list[dict[str, Any]]:
        return [line for line in self._lines("plan.jsonl") if line["kind"] != "finding"]

    @property
    def findings(self) -> list[dict[str, Any]]:
        return [line for line in self._lines("plan.jsonl") if line["kind"] == "finding"]

    @property
    def journal(self) -> list[dict[str, Any]]:
        return self._lines("journal.jsonl")

    @property
    def journal_text(self) -> list[str]:
        """The journal's lines as they are, whole or not."""
        return (self.folder / "journal.jsonl").read_text().splitlines()

    def _lines(self, name: str) -> list[dict[str, Any]]:
        file = self.folder / name
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class Runner:
    """Runs `mynatca-syncjob` against one sandbox, each run in its own folder below `runs_dir`."""

    def __init__(self, sandbox: Sandbox, runs_dir: Path) -> None:
        self.sandbox = sandbox
        self.runs_dir = runs_dir
        self._count = 0

    def sync(self, *arguments: str, **more: str) -> Run:
        """Run `sync` in this process."""
        self._count += 1
        run_id = more.pop("RUN_ID", f"run-{self._count}")
        settings = environment(self.sandbox.url, self.runs_dir, RUN_ID=run_id, **more)
        exit_code = run(["sync", *arguments], settings)
        return Run(int(exit_code), self.runs_dir / run_id)

    def start(self, *arguments: str, file_kib: int | None = None, **more: str) -> "subprocess.Popen[str]":
        """Start `sync` in a process of its own, which may write no file longer than `file_kib`."""
        limit = ["bash", "-c", f'ulimit -f {file_kib}; exec "$@"', "limit"] if file_kib else []
        settings = environment(self.sandbox.url, self.runs_dir, **more)
        return subprocess.Popen(
            [*limit, sys.executable, "-m", "mynatca_syncjob", "sync", *arguments],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def end_state(sandbox: Sandbox) -> list[tuple[Any, ...]]:
    """All contacts of any state in comparable form, whatever the way there.

    Moments and the ids of created contacts may differ between two ways, so neither is part of it.
    """
    return sorted(
        (
            contact.external_id or "",
            contact.email or "",
            contact.name or "",
            contact.phone or "",
            contact.role,
            contact.archived,
            bool(contact.merged_into),
            sorted((key, value) for key, value in contact.custom_attributes.items() if value not in (None, "")),
        )
        for contact in sandbox.world.contacts
    )

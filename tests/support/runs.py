"""Runs the real command against a sandbox, in this process or in one of its own, and reads what it leaves behind."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact
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
        "INTERCOM_SEARCH_LAG_SECONDS": "0",
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
        return [line for line in self._lines("plan.jsonl") if line["kind"] not in ("request", "finding")]

    @property
    def findings(self) -> list[dict[str, Any]]:
        return [line for line in self._lines("plan.jsonl") if line["kind"] == "finding"]

    @property
    def journal(self) -> list[dict[str, Any]]:
        return self._lines("journal.jsonl")

    @property
    def rows(self) -> list[dict[str, Any]]:
        """What became of each row of a mappings file."""
        loaded: list[dict[str, Any]] = json.loads((self.folder / "rows.json").read_text())
        return loaded

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

    def run(self, *arguments: str, **more: str) -> Run:
        """Run a command, named first, in this process; `more` are settings."""
        self._count += 1
        run_id = more.pop("RUN_ID", f"run-{self._count}")
        exit_code = run([*arguments], environment(self.sandbox.url, self.runs_dir, RUN_ID=run_id, **more))
        return Run(int(exit_code), self.runs_dir / run_id)

    def sync(self, *arguments: str, **more: str) -> Run:
        """Run the nightly sync."""
        return self.run("sync", *arguments, **more)

    def audit(self, *arguments: str, **more: str) -> Run:
        """Run the audit."""
        return self.run("audit", *arguments, **more)

    def manual_update(self, file: Path, *arguments: str, **more: str) -> Run:
        """Apply a mappings file."""
        return self.run("manual-update", str(file), *arguments, **more)

    def undo(self, run_id: str, *arguments: str, **more: str) -> Run:
        """Take a run back."""
        return self.run("undo", run_id, *arguments, **more)

    def start(
        self, *arguments: str, command: str = "sync", file_kib: int | None = None, **more: str
    ) -> "subprocess.Popen[str]":
        """Start a command in a process of its own, which may write no file longer than `file_kib`."""
        limit = ["bash", "-c", f'ulimit -f {file_kib}; exec "$@"', "limit"] if file_kib else []
        settings = environment(self.sandbox.url, self.runs_dir, **more)
        return subprocess.Popen(
            [*limit, sys.executable, "-m", "mynatca_syncjob", command, *arguments],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def end_state(sandbox: Sandbox) -> dict[str, list[Any]]:
    """All contacts of any state, conversations and tickets in comparable form, whatever the way there.

    Moments and the ids of created contacts may differ between two ways, so neither is part of it.
    """
    world = sandbox.world
    named = {contact.id: _named(contact) for contact in world.contacts}
    return {
        "contacts": sorted(_state(contact) for contact in world.contacts),
        "conversations": sorted(
            (each.id, each.state, sorted(named[contact_id] for contact_id in each.contact_ids))
            for each in world.conversations
        ),
        "tickets": sorted(
            (each.id, each.state_category, sorted(named[contact_id] for contact_id in each.contact_ids))
            for each in world.tickets
        ),
    }


def _named(contact: Contact) -> tuple[Any, ...]:
    """What a contact is known by, and whether it is in sight."""
    return (
        contact.external_id or "",
        contact.email or "",
        contact.name or "",
        contact.phone or "",
        contact.role,
        contact.archived,
        bool(contact.merged_into),
    )


def _state(contact: Contact) -> tuple[Any, ...]:
    return (
        *_named(contact),
        sorted((key, value) for key, value in contact.custom_attributes.items() if value not in (None, "")),
        sorted(contact.tag_ids),
        sorted(note.body for note in contact.notes),
    )

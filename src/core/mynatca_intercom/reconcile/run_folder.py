"""The folder that a run leaves behind: journal, plan, result and report, readable by their owner alone.

It is all that a later undo or replay needs, so that in a pod it can lie on a volume.
"""

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mynatca_intercom.reconcile.brakes import BrakeClass
from mynatca_intercom.reconcile.plan import Action, Plan
from mynatca_intercom.settings import SettingsError

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_TRACES = ("journal.jsonl", "plan.jsonl", "result.json")

WELL_ENDED = ("done", "failed_rows")
"""Outcomes of runs that went through; a braked run must not become the measure of the next."""


class _Measure(BaseModel):
    """What of an earlier run's result the next one is measured against."""

    kind: str
    outcome: str
    dry_run: bool
    members: int


class Request(BaseModel):
    """What a run was asked for: the first line of its plan file, so that the plan stands for itself.

    `decisions` are those of a manual update, contact id -> member number; `undone` is the run that an undo is about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: Literal["request"] = "request"
    command: Literal["sync", "audit", "manual-update", "undo"]
    leads_only: bool = False
    no_archive: bool = False
    limit: int | None = None
    released: tuple[BrakeClass, ...] = ()
    decisions: dict[str, str] = {}
    undone: str | None = None


def forget_old_runs(runs_dir: Path, days: int, present: str) -> None:
    """Remove the folders of runs that left nothing newer than so many days; other folders are not touched.

    To be called before the present run has its folder, which a full volume may have no room for.

    Raises:
        OSError: one cannot be removed.
    """
    limit = time.time() - days * 86_400
    for folder in runs_dir.iterdir() if runs_dir.exists() else ():
        traces = [file for name in _TRACES if (file := folder / name).is_file()]
        if folder.name != present and traces and all(file.stat().st_mtime < limit for file in traces):
            shutil.rmtree(folder)


class RunFolder:
    """`RUNS_DIR/<run id>/`; a retry of the same run finds and continues its folder.

    Raises:
        OSError: it cannot be made or written.
    """

    def __init__(self, runs_dir: Path, run_id: str) -> None:
        self._runs_dir = runs_dir
        self.path = runs_dir / run_id
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.journal = self.path / "journal.jsonl"
        self.plan = self.path / "plan.jsonl"
        self.result = self.path / "result.json"
        self.rows = self.path / "rows.json"
        self.report = self.path / "report.html"

    def write_plan(self, request: Request, lines: Iterable[dict[str, Any]]) -> str:
        """Store what was asked for and what will be done, a JSON object a line; returns the file's SHA-256."""
        _write(self.plan, (as_line(line) + "\n" for line in (request.model_dump(), *lines)))
        return digest(self.plan.read_bytes())

    def write_result(self, result: dict[str, Any]) -> None:
        """Store what the run did."""
        _write(self.result, [json.dumps(result, ensure_ascii=False, indent=2) + "\n"])

    def write_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Store what became of each row of a mappings file, in a form that can be fed back."""
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        _write(self.rows, [f"[\n{lines}\n]\n" if lines else "[]\n"])

    def write_report(self, page: str) -> None:
        """Store the report for people."""
        _write(self.report, [page])

    def members_of_last_run(self, kind: str) -> int | None:
        """Members that the last other run of this kind that went through read; None without such a run."""
        return next((run.members for run in self._earlier_runs() if run.kind == kind and _went_through(run)), None)

    def _earlier_runs(self) -> Iterator[_Measure]:
        """Results of other runs, newest first; a file that is no result is passed over."""
        files = self._runs_dir.glob("*/result.json")
        others = (file for file in files if file.parent != self.path)
        for file in sorted(others, key=lambda file: file.stat().st_mtime, reverse=True):
            with suppress(ValidationError):
                yield _Measure.model_validate_json(file.read_bytes())


def find_run(runs_dir: Path, run: str) -> Path:
    """The folder of an earlier run.

    Raises:
        SettingsError: there is none of this name.
    """
    folder = runs_dir / run
    if not _RUN_ID.fullmatch(run) or not folder.is_dir():
        raise SettingsError(
            f"RUN cannot be {run!r}: RUNS_DIR ({runs_dir}) has no folder of that name. "
            "Name an earlier run, for example audit-20261123t023000z-7."
        )
    return folder


def digest(plan: bytes) -> str:
    """What a plan file is known by: the SHA-256 of its bytes, in hexadecimal."""
    return hashlib.sha256(plan).hexdigest()


def plan_lines(plan: Plan) -> Iterator[dict[str, Any]]:
    """Actions and findings as they stand in plan files, with before and after values."""
    yield from map(as_json, plan.actions)
    yield from ({"kind": "finding", **asdict(finding)} for finding in plan.findings)


def as_line(what: dict[str, Any]) -> str:
    """A line of a plan file, without its end."""
    return json.dumps(what, ensure_ascii=False)


def as_json(action: Action) -> dict[str, Any]:
    """An action as it stands in plan files."""
    line: dict[str, Any] = {
        "kind": action.kind,
        "member_number": action.member.number if action.member else None,
        "contact_id": action.contact.id if action.contact else None,
        "before": action.before,
        "after": action.after,
        "evidence": action.evidence,
        "reason": action.reason,
    }
    if action.into:
        line["into"] = action.into.id
    if action.conversations:
        line["conversations"] = [conversation.id for conversation in action.conversations]
    return line


def _went_through(run: _Measure) -> bool:
    return run.outcome in WELL_ENDED and not run.dry_run


def _write(file: Path, lines: Iterable[str]) -> None:
    """Replace a file as a whole, so that nobody ever reads half of it."""
    part = file.with_suffix(".part")
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:  # noqa: PTH123 - Path.open cannot set the mode
        stream.writelines(lines)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)

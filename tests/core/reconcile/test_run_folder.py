"""What a run leaves behind: whole files, for the owner alone, and a measure for the next run."""

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.conversation import Conversation
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.plan import Action, Case, Finding, Plan, Scope
from mynatca_intercom.reconcile.run_folder import Request, RunFolder, forget_old_runs, plan_lines

ADA = Member("1001", "Ada Núñez", "ada@union.example", None, "Current Member", "GL", "ZAU", None)
PLAN = Plan(
    scope=Scope("members", create=True),
    cases=(
        Case((Action("create", ADA, None, {}, {"external_id": "1001"}, (), "the member has no contact"),)),
        Case(
            (
                Action(
                    "archive_duplicate",
                    ADA,
                    Contact("c3", "user"),
                    reason="an older contact of the same member",
                    into=Contact("c1", "user"),
                    conversations=(Conversation("21", ("c3",)),),
                ),
                Action(
                    "update", ADA, Contact("c1", "user"), {"name": None}, {"name": "Ada Núñez"}, ("email",), "agrees"
                ),
            )
        ),
    ),
    standing={"review": 1},
    findings=(Finding("phone or name alone never decide", None, "c2", ("name",), ("1001",)),),
    members=1,
    matched=1,
    numbered=1,
    contacts=2,
)

ASKED = Request(command="sync", limit=7, released=("create",))


@pytest.fixture
def no_umask() -> Iterator[None]:
    former = os.umask(0)
    yield
    os.umask(former)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("no_umask")
def test_folder_and_files_are_for_the_owner_alone(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "run-1")
    folder.write_plan(ASKED, plan_lines(PLAN))
    folder.write_result({"kind": "sync"})
    assert mode(folder.path) == 0o700
    assert {file.name: mode(file) for file in folder.path.iterdir()} == {"plan.jsonl": 0o600, "result.json": 0o600}


def test_the_folder_of_folders_is_made_too(tmp_path: Path) -> None:
    assert RunFolder(tmp_path / "a" / "b", "run-1").path.is_dir()


def test_a_retry_finds_its_folder(tmp_path: Path) -> None:
    RunFolder(tmp_path, "run-1").journal.write_text("kept")
    assert RunFolder(tmp_path, "run-1").journal.read_text() == "kept"


def test_a_place_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(OSError, match="runs"):
        RunFolder(tmp_path / "runs", "run-1")


def test_the_plan_is_one_json_object_a_line(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "run-1")
    folder.write_plan(ASKED, plan_lines(PLAN))
    assert [json.loads(line) for line in folder.plan.read_text(encoding="utf-8").splitlines()] == [
        {
            "kind": "request",
            "command": "sync",
            "leads_only": False,
            "no_archive": False,
            "limit": 7,
            "released": ["create"],
            "decisions": {},
            "undone": None,
        },
        {
            "kind": "create",
            "member_number": "1001",
            "contact_id": None,
            "before": {},
            "after": {"external_id": "1001"},
            "evidence": [],
            "reason": "the member has no contact",
        },
        {
            "kind": "archive_duplicate",
            "member_number": "1001",
            "contact_id": "c3",
            "before": {},
            "after": {},
            "evidence": [],
            "reason": "an older contact of the same member",
            "into": "c1",
            "conversations": ["21"],
        },
        {
            "kind": "update",
            "member_number": "1001",
            "contact_id": "c1",
            "before": {"name": None},
            "after": {"name": "Ada Núñez"},
            "evidence": ["email"],
            "reason": "agrees",
        },
        {
            "kind": "finding",
            "reason": "phone or name alone never decide",
            "member_number": None,
            "contact_id": "c2",
            "evidence": ["name"],
            "candidates": ["1001"],
        },
    ]


def test_a_result_is_never_seen_half(tmp_path: Path) -> None:
    """A reader that looks all the time sees the old one or the new one."""
    folder = RunFolder(tmp_path, "run-1")
    folder.write_result({"number": -1, "padding": "x" * 100_000})
    written = threading.Event()

    def write() -> None:
        for number in range(50):
            folder.write_result({"number": number, "padding": "x" * 100_000})
        written.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen: list[int] = []
    while not written.is_set():
        seen.append(json.loads(folder.result.read_text())["number"])
    writer.join()
    assert seen == sorted(seen)
    assert [file.name for file in folder.path.iterdir()] == ["result.json"]


def test_a_result_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "run-1")
    folder.write_result({"number": 1})
    with pytest.raises(TypeError):
        folder.write_result({"number": 2, "bad": object()})
    assert json.loads(folder.result.read_text()) == {"number": 1}


class History:
    """Writes results of earlier runs, each a minute younger than the one before."""

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self._count = 0

    def ran(self, **changes: Any) -> None:
        result = {"kind": "sync", "outcome": "done", "dry_run": False, "members": 1000, "contacts": 5, **changes}
        self.left(json.dumps(result).encode())

    def left(self, content: bytes) -> None:
        self._count += 1
        folder = RunFolder(self.runs_dir, f"run-{self._count}")
        folder.result.write_bytes(content)
        os.utime(folder.result, (60 * self._count, 60 * self._count))

    def measure(self, kind: str = "sync") -> int | None:
        return RunFolder(self.runs_dir, "now").members_of_last_run(kind)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(tmp_path)


def test_without_an_earlier_run_there_is_no_measure(history: History) -> None:
    assert history.measure() is None


def test_the_newest_run_is_the_measure(history: History) -> None:
    history.ran(members=1)
    history.ran(members=2)
    assert history.measure() == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "brake"},
        {"outcome": "failed"},
        {"outcome": "stopped"},
        {"outcome": "credentials"},
        {"outcome": "usage"},
        {"dry_run": True},
        {"kind": "audit"},
    ],
)
def test_runs_that_did_not_go_through_are_no_measure(history: History, changes: dict[str, Any]) -> None:
    history.ran(members=1000)
    history.ran(members=1, **changes)
    assert history.measure() == 1000


def test_a_run_in_which_rows_failed_is_a_measure(history: History) -> None:
    history.ran(outcome="failed_rows", members=7)
    assert history.measure() == 7


def test_each_kind_has_its_own_measure(history: History) -> None:
    history.ran(kind="audit", members=3)
    history.ran(kind="sync", members=4)
    assert (history.measure("audit"), history.measure("sync"), history.measure("sweep")) == (3, 4, None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b"{}",
        b"\xff\xfe",
        b'{"kind":"sync","outcome":"done","dry_run":false}',
    ],
)
def test_a_file_that_is_no_result_is_passed_over(history: History, content: bytes) -> None:
    """An older version or a full disk must not stop a run."""
    history.ran(members=1000)
    history.left(content)
    assert history.measure() == 1000


def test_a_run_is_not_measured_against_its_own_first_attempt(tmp_path: Path, history: History) -> None:
    history.ran(members=1000)
    retried = RunFolder(tmp_path, "now")
    retried.write_result({"kind": "sync", "outcome": "failed_rows", "dry_run": False, "members": 5})
    assert retried.members_of_last_run("sync") == 1000


class TestForgetting:
    """Folders of old runs go; what is no run's stays."""

    OLD = 10 * 86_400

    @staticmethod
    def left_behind(runs_dir: Path, name: str, **ages: float) -> Path:
        """A folder with files of these ages in seconds, by stem."""
        folder = runs_dir / name
        folder.mkdir()
        for stem, age in ages.items():
            file = folder / {"journal": "journal.jsonl", "plan": "plan.jsonl", "result": "result.json"}.get(stem, stem)
            file.touch()
            os.utime(file, (time.time() - age, time.time() - age))
        return folder

    def test_a_run_that_left_nothing_newer_is_removed_whole(self, tmp_path: Path) -> None:
        old = self.left_behind(tmp_path, "old", journal=self.OLD, plan=self.OLD, result=self.OLD, report=0)

        forget_old_runs(tmp_path, 9, "now")

        assert not old.exists()

    def test_a_run_with_one_newer_trace_stays(self, tmp_path: Path) -> None:
        """A retry goes on in the journal days later."""
        kept = self.left_behind(tmp_path, "kept", journal=self.OLD, plan=self.OLD, result=8 * 86_400)

        forget_old_runs(tmp_path, 9, "now")

        assert kept.exists()

    @pytest.mark.parametrize("trace", ["journal", "plan", "result"])
    def test_one_old_trace_of_any_kind_is_enough(self, tmp_path: Path, trace: str) -> None:
        old = self.left_behind(tmp_path, "old", **{trace: self.OLD})

        forget_old_runs(tmp_path, 9, "now")

        assert not old.exists()

    def test_what_is_no_runs_folder_is_not_touched(self, tmp_path: Path) -> None:
        other = self.left_behind(tmp_path, "photos", **{"holiday.jpg": self.OLD})
        (tmp_path / "note.txt").touch()
        os.utime(tmp_path / "note.txt", (0, 0))

        forget_old_runs(tmp_path, 1, "now")

        assert (other / "holiday.jpg").exists()
        assert (tmp_path / "note.txt").exists()

    def test_the_present_run_stays_however_old_its_first_attempt_is(self, tmp_path: Path) -> None:
        own = self.left_behind(tmp_path, "now", journal=self.OLD)

        forget_old_runs(tmp_path, 1, "now")

        assert own.exists()


def test_what_became_of_mappings_is_a_list_that_can_be_fed_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, "run-1")
    row = {"contact_id": "c1", "member_number": "1001", "outcome": "updated", "reason": None}

    folder.write_rows([row, row | {"contact_id": "c2"}])

    assert json.loads(folder.rows.read_text()) == [row, row | {"contact_id": "c2"}]
    folder.write_rows([])
    assert json.loads(folder.rows.read_text()) == []

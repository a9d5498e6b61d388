"""`undo` as a person types it; what it takes back stands in `tests/core/reconcile/test_undo.py`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mynatca_intercom.metrics import REGISTRY
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from support.runs import Runner
from support.worlds import member_row, world_of

PROGRESS = ("actions_planned", "actions_done", "last_action_timestamp_seconds")


@pytest.fixture
def runner(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Runner:
    """After a sync that created one contact."""
    runner = Runner(start_sandbox(world_of([member_row("1001", "ann@example.com")]), Options(limit=None)), tmp_path)
    assert runner.sync(RUN_ID="night").exit_code == 0
    return runner


@pytest.mark.parametrize("name", ["unknown", "../night", ".", "", "night/../night"])
def test_a_run_that_is_not_there_is_told_so(runner: Runner, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert runner.undo(name).exit_code == 2
    assert f"RUN cannot be {name!r}" in capsys.readouterr().err


def test_a_run_cannot_be_undone_in_its_own_folder(runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    """Its journal would end with the undo's own writes."""
    journal = (runner.runs_dir / "night" / "journal.jsonl").read_text()

    assert runner.undo("night", RUN_ID="night").exit_code == 2

    assert "RUN_ID" in capsys.readouterr().err
    assert (runner.runs_dir / "night" / "journal.jsonl").read_text() == journal


def test_a_created_contact_is_archived_and_the_page_says_so(runner: Runner) -> None:
    undo = runner.undo("night")

    [contact] = runner.sandbox.world.contacts
    assert (undo.exit_code, contact.archived) == (0, True)
    assert undo.result["counts"]["restored"] == 1
    assert "undo of run night" in (undo.folder / "report.html").read_text()


def test_metrics_show_how_far_it_is(runner: Runner) -> None:
    """What the operator reads while it runs; a run that only plans begins, and stays, at nothing done."""
    value = REGISTRY.get_sample_value
    runner.undo("night")
    taken_back = [value(f"mynatca_intercom_run_{name}") for name in PROGRESS]

    runner.sync("--dry-run")

    assert taken_back[:2] == [1, 1]
    assert taken_back[2]
    assert [value(f"mynatca_intercom_run_{name}") for name in PROGRESS] == [0, 0, 0]


def test_more_than_500_archives_need_a_persons_word(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> None:
    rows = [member_row(str(n), f"m{n}@example.com", "Mo", f"Number{n}") for n in range(3000, 3501)]
    runner = Runner(start_sandbox(world_of(rows), Options(limit=None)), tmp_path)
    runner.sync(RUN_ID="night")
    runner.sandbox.calls.clear()

    pulled, writes = runner.undo("night"), runner.sandbox.calls.writes
    released = runner.undo("night", "--release", "archive")

    assert (pulled.exit_code, writes, released.exit_code) == (4, 0, 0)
    assert all(contact.archived for contact in runner.sandbox.world.contacts)

"""`show RUN`: the whole plan, for whoever may read the run folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact
from mynatca_syncjob.__main__ import run
from support.runs import Runner
from support.worlds import NOW, member_row, world_of

LEAD = Contact("a" * 24, "lead", NOW - 9000, NOW - 9000, email="bo@example.com", name="Bo\u2028Kim")


@pytest.fixture
def runs_dir(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Path:
    """With the plan of a sync, named plan."""
    rows = [member_row("1001", "ann@example.com"), member_row("1002", "bo@example.com", "Bo", "Kim")]
    runner = Runner(start_sandbox(world_of(rows, [LEAD]), Options(limit=None)), tmp_path)
    assert runner.sync("--dry-run", "--release", "create", RUN_ID="plan").exit_code == 0
    return tmp_path


def show(runs_dir: Path, *arguments: str) -> int:
    """It needs no other setting than where the runs are."""
    return run(["show", *arguments], {"RUNS_DIR": str(runs_dir)})


def test_it_says_what_was_asked_for_and_what_would_be_done(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(runs_dir, "plan") == 0

    told = capsys.readouterr().out.split("\n")
    assert told[0] == "Plan of plan"
    assert told[1] == 'Asked for: {"command": "sync", "released": ["create"]}'
    assert len(told[2].removeprefix("Digest: ")) == 64
    convert, create = told[4:6]
    assert convert.startswith(f"convert | member 1002, contact {LEAD.id} | ")
    assert '"bo@example.com"' not in convert
    assert 'name: "Bo\u2028Kim" -> "Bo Kim"' in convert
    assert create.startswith('create | member 1001 | external_id: null -> "1001"; ')
    assert create.endswith(" | the member has no contact")


def test_as_json_it_is_the_file(runs_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(runs_dir, "plan", "--output", "json") == 0

    assert capsys.readouterr().out == (runs_dir / "plan" / "plan.jsonl").read_text()


@pytest.mark.parametrize("name", ["unknown", "../plan", "empty"])
def test_a_run_without_a_plan_is_told_so(runs_dir: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (runs_dir / "empty").mkdir()

    assert show(runs_dir, name) == 2

    assert f"RUN cannot be {name!r}" in capsys.readouterr().err

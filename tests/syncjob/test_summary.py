"""The termination message: always written, always whole, always one that the operator accepts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynatca_intercom.reconcile.brakes import Brake, BrakeClass
from mynatca_intercom.summary import MAX_BYTES, Summary
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_syncjob.__main__ import run
from mynatca_syncjob.report import WORDS
from mynatca_syncjob.result import Exit, Result
from support.runs import Runner
from support.worlds import member_row, world_of

counts = st.dictionaries(st.sampled_from(sorted(WORDS)), st.integers(0, 10**7))
results = st.builds(
    Result,
    run_id=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True),
    kind=st.sampled_from(("sync", "audit", "manual-update", "undo", "sweep")),
    dry_run=st.booleans(),
    started_at=st.just(""),
    exit_code=st.sampled_from(Exit),
    message=st.text(max_size=3_000) | st.text('\0\x7f"\\€\U0001f600', min_size=400),
    source=st.sampled_from(("", "Supabase", "MySQL")),
    counts=counts,
    brakes=st.lists(st.builds(Brake, st.sampled_from(get_args(BrakeClass)), st.text()), max_size=5),
    plan_digest=st.sampled_from(("", "0" * 64)),
)


@given(result=results)
def test_it_fits_and_is_read_as_it_was_written(result: Result) -> None:
    """Of the message there is as much as fits; all else is whole."""
    result.seen = sum(result.counts.values())

    message = result.summary().as_message()

    assert len(message.encode()) <= MAX_BYTES
    read = Summary.model_validate_json(message)
    assert result.message.startswith(read.message)
    assert len(read.message) >= min(len(result.message), 200)
    assert (read.counts, read.seen, read.exit_code) == (result.counts, result.seen, result.exit_code)


@given(counts=counts.filter(bool), more=st.integers(1, 9))
def test_counts_that_do_not_add_up_are_refused(counts: dict[str, int], more: int) -> None:
    with pytest.raises(ValueError, match="add up"):
        Result("run", "sync", dry_run=False, started_at="", counts=counts, seen=sum(counts.values()) + more).summary()


@pytest.fixture
def runner(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Runner:
    return Runner(start_sandbox(world_of([member_row("1001", "ann@example.com")]), Options(limit=None)), tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "termination-log"


def test_a_run_that_failed_before_it_counted_says_why(runner: Runner, file: Path) -> None:
    runner.sync(SUPABASE_URL="http://127.0.0.1:1", TERMINATION_LOG=str(file))

    summary = Summary.model_validate_json(file.read_text())
    assert (summary.exit_code, summary.seen, summary.counts) == (1, 0, {})
    assert "Supabase" in summary.message


def test_a_run_that_was_not_begun_says_why(runner: Runner, file: Path) -> None:
    flags = ("--digest", "0" * 64)
    runner.run("apply-plan", "unknown", *flags, RUN_ID="approved", TERMINATION_LOG=str(file))

    summary = Summary.model_validate_json(file.read_text())
    assert (summary.run_id, summary.outcome, summary.exit_code) == ("approved", "usage", 2)
    assert "RUN cannot be 'unknown'" in summary.message


def test_a_name_that_no_run_can_have_is_not_told(file: Path) -> None:
    assert run(["sync"], {"RUN_ID": "a b", "TERMINATION_LOG": str(file)}) == 2
    assert not file.exists()


@pytest.mark.parametrize("command", ["sync", "audit"])
def test_a_run_names_its_plan(runner: Runner, file: Path, command: str) -> None:
    done = runner.run(command, TERMINATION_LOG=str(file))

    digest = json.loads(file.read_text())["plan_digest"]
    assert digest == done.result["plan_digest"]
    assert len(digest) == 64


def test_a_sweep_has_none(runner: Runner, file: Path) -> None:
    runner.run("sweep", TERMINATION_LOG=str(file))

    assert json.loads(file.read_text())["plan_digest"] == ""

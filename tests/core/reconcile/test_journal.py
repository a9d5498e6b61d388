"""The journal: a write is on disk before it is sent, whoever else writes at that moment."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynatca_intercom.reconcile.journal import Journal, Operation

WRITES = Path("/proc/self/io")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_an_intent_is_in_the_file_before_its_write_may_be_sent(path: Path) -> None:
    async def write() -> None:
        async with Journal(path) as journal:
            for number in range(1, 4):
                seq = await journal.intend("update", contact_id="c1", before={"name": None}, after={"name": "Ada"})
                assert [line["seq"] for line in lines(path)] == list(range(1, number + 1))
                assert seq == number

    asyncio.run(write())
    assert lines(path)[0] | {"at": ""} == {
        "seq": 1,
        "at": "",
        "state": "intent",
        "operation": "update",
        "contact_id": "c1",
        "before": {"name": None},
        "after": {"name": "Ada"},
    }


def test_the_outcome_follows_and_names_its_intent(path: Path) -> None:
    async def write() -> None:
        async with Journal(path) as journal:
            one = await journal.intend("create", member_number="1001")
            journal.failed(one, "create_contact: Intercom answered 409 conflict", unknown=False)
            two = await journal.intend("update", contact_id="c1")
            journal.done(two, contact_id="c1")
            three = await journal.intend("archive", contact_id="c1")
            journal.failed(three, "archive_contact: no answer", unknown=True)
            journal.closed()

    asyncio.run(write())
    assert [(line["state"], line.get("intent")) for line in lines(path)] == [
        ("intent", None),
        ("failed", 1),
        ("intent", None),
        ("done", 3),
        ("intent", None),
        ("failed", 5),
        ("closed", None),
    ]
    assert lines(path)[1]["error"] == "create_contact: Intercom answered 409 conflict"
    assert [lines(path)[number]["unknown"] for number in (1, 5)] == [False, True]


def test_outcomes_are_on_disk_when_the_journal_is_closed_also_after_an_error(path: Path) -> None:
    async def write() -> None:
        async with Journal(path) as journal:
            journal.done(await journal.intend("update"))
            raise InterruptedError

    with pytest.raises(InterruptedError):
        asyncio.run(write())
    assert [line["state"] for line in lines(path)] == ["intent", "done"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux counts a process's writes")
def test_concurrent_intents_share_their_syncs(path: Path) -> None:
    """Two hundred intents wait for a handful of writes to the disk, not for two hundred."""

    def system_calls() -> int:
        return int(dict(line.split(": ") for line in WRITES.read_text().splitlines())["syscw"])

    async def write() -> int:
        async with Journal(path) as journal:
            await journal.intend("create")
            began = system_calls()
            await asyncio.gather(*(journal.intend("update", contact_id=str(each)) for each in range(200)))
            return system_calls() - began

    assert asyncio.run(write()) < 50
    assert len(lines(path)) == 201


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_lines_of_concurrent_writers_are_whole_numbered_and_complete(
    tmp_path_factory: pytest.TempPathFactory, pauses: list[int]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"

    async def row(journal: Journal, name: str, pause: int) -> None:
        for _ in range(pause):
            await asyncio.sleep(0)
        seq = await journal.intend("update", contact_id=name)
        assert any(line["seq"] == seq and line["contact_id"] == name for line in lines(path))
        journal.done(seq, contact_id=name)

    async def write() -> None:
        async with Journal(path) as journal:
            await asyncio.gather(*(row(journal, str(each), pause) for each, pause in enumerate(pauses)))

    asyncio.run(write())
    written = lines(path)
    assert [line["seq"] for line in written] == list(range(1, 2 * len(pauses) + 1))
    intents = {line["seq"]: line["contact_id"] for line in written if line["state"] == "intent"}
    assert {line["intent"]: line["contact_id"] for line in written if line["state"] == "done"} == intents


@given(text=st.text(st.characters(codec="utf-8")))
@settings(max_examples=20, deadline=None)
def test_any_text_stays_on_one_line_and_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"

    async def write() -> None:
        async with Journal(path) as journal:
            await journal.intend("update", after={"name": text})

    asyncio.run(write())
    [line] = path.read_bytes().rstrip(b"\n").split(b"\n")
    assert json.loads(line)["after"] == {"name": text}


def test_moments_are_utc(path: Path) -> None:
    async def write() -> None:
        async with Journal(path) as journal:
            await journal.intend("update")

    asyncio.run(write())
    moment = datetime.fromisoformat(lines(path)[0]["at"])
    assert moment.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - moment) < timedelta(minutes=1)


def test_only_the_owner_may_read_it(path: Path) -> None:
    former = os.umask(0)
    try:
        os.close(Journal(path)._file)
    finally:
        os.umask(former)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def one_intent(path: Path, operation: Operation) -> int:
    async def write() -> int:
        async with Journal(path) as journal:
            return await journal.intend(operation)

    return asyncio.run(write())


def test_a_retry_of_the_run_appends_and_goes_on_counting(path: Path) -> None:
    """Else `done` could mean either attempt's intent."""
    assert [one_intent(path, "create"), one_intent(path, "tag"), one_intent(path, "note")] == [1, 2, 3]
    assert [(line["seq"], line["operation"]) for line in lines(path)] == [(1, "create"), (2, "tag"), (3, "note")]


def test_a_line_that_was_cut_off_by_a_crash_costs_no_other(path: Path) -> None:
    one_intent(path, "create")
    with path.open("ab") as journal:
        journal.write(b'{"seq":2,"at":"20')
    assert [one_intent(path, "tag"), one_intent(path, "note")] == [3, 4]
    one, cut_off, *others = path.read_text().splitlines()
    assert json.loads(one)["operation"] == "create"
    assert cut_off == '{"seq":2,"at":"20'
    assert [json.loads(line)["operation"] for line in others] == ["tag", "note"]


FULL_DISK = """
import asyncio, pathlib, resource, sys
from mynatca_intercom.reconcile.journal import Journal

def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main():
    async with Journal(pathlib.Path(sys.argv[1])) as journal:
        room(0)
        results = await asyncio.gather(*(journal.intend(name) for name in "abc"), return_exceptions=True)
        room(resource.RLIM_INFINITY)
        print(*(type(result).__name__ for result in results), await journal.intend("d"))

asyncio.run(main())
"""


def test_no_intent_passes_that_a_full_disk_refused(path: Path) -> None:
    """Not even those that waited while another took their lines along."""
    script = [sys.executable, "-c", FULL_DISK, str(path)]
    run = subprocess.run(script, check=True, capture_output=True, text=True)
    assert run.stdout == "OSError OSError OSError 4\n"
    assert [line["operation"] for line in lines(path)] == ["a", "b", "c", "d"]

"""The journal in the store, and its export as a run folder that History reads and undo takes back."""

import asyncio
import itertools
import json
import stat
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.reconcile.history import History
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.writer import Writer
from mynatca_intercom.settings import IntercomSettings, load
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import World
from mynatca_webhook.store.errors import StoreUnavailable
from mynatca_webhook.store.event_store import EventStore
from support.bench import contact
from support.postgres import PostgreSQL
from support.runs import Runner, environment
from support.stores import event, patient_store
from support.worlds import NOW

InStore = Callable[[Callable[[EventStore], Coroutine[Any, Any, None]]], None]
DAY = timedelta(days=1)


async def export(store: EventStore, folder: Path) -> int:
    """All there is."""
    return await store.export(datetime.now(UTC) - DAY, datetime.now(UTC) + DAY, folder)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_bytes().splitlines()]


def test_lines_are_like_those_of_the_journal_of_a_run(in_store: InStore, tmp_path: Path) -> None:
    async def write(journal: Journal) -> None:
        one = await journal.intend("create", member_number="1001", after={"name": "Zoë 1", "phone": None})
        journal.failed(one, "create_contact: Intercom answered 409 conflict", unknown=False)
        two = await journal.intend("update", contact_id="c1", before={"name": "half \ud83d, nul \0"})
        journal.done(two, contact_id="c1")
        three = await journal.intend("archive", contact_id="c2")
        journal.failed(three, "archive_contact: no answer", unknown=True)
        await journal.intend("note", contact_id="c3")
        await journal.flush()

    async def scenario(store: EventStore) -> None:
        await write(cast(Journal, store.journal))
        assert await export(store, tmp_path / "exported") == 4

    in_store(scenario)
    exported = lines(tmp_path / "exported")
    assert [line["seq"] for line in exported] == list(range(1, 8))
    assert [line.get("intent") for line in exported] == [None, 1, None, 3, None, 5, None]
    assert exported[0] | {"at": ""} == {
        "seq": 1,
        "at": "",
        "state": "intent",
        "operation": "create",
        "member_number": "1001",
        "after": {"name": "Zoë 1", "phone": None},
    }
    assert exported[2]["before"] == {"name": "half \ud83d, nul \0"}
    writes = History(tmp_path / "exported" / "journal.jsonl").writes
    assert [(write.operation, write.effect) for write in writes] == [
        ("create", "failed"),
        ("update", "done"),
        ("archive", "unknown"),
        ("note", "unknown"),
    ]
    assert writes[1].contact_id == "c1"
    assert stat.S_IMODE((tmp_path / "exported" / "journal.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "exported").stat().st_mode) == 0o700


def test_an_intent_is_durable_when_it_is_told_and_its_end_with_the_next_write(url: str, tmp_path: Path) -> None:
    names = itertools.count()

    async def effects(store: EventStore) -> list[str]:
        folder = tmp_path / f"run{next(names)}"
        await export(store, folder)
        return [write.effect for write in History(folder / "journal.jsonl").writes]

    async def scenario() -> None:
        async with patient_store(url) as store, patient_store(url) as other:
            seq = await store.journal.intend("archive", contact_id="c1")
            assert await effects(other) == ["unknown"]
            store.journal.done(seq)
            assert await effects(other) == ["unknown"]
            await store.accept(event("n1"))
            assert await effects(other) == ["done"]
            store.journal.done(await store.journal.intend("archive", contact_id="c2"))
        async with patient_store(url) as store:
            assert await effects(store) == ["done", "done"]

    asyncio.run(scenario())


def test_processes_that_write_at_the_same_time_are_told_apart(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mynatca_webhook.store.journal.PAGE", 7)

    async def write(store: EventStore, name: str) -> None:
        for number in range(20):
            seq = await store.journal.intend("update", contact_id=f"{name}{number}")
            store.journal.done(seq, contact_id=f"{name}{number}")

    async def scenario() -> None:
        async with patient_store(url) as one, patient_store(url) as other:
            await asyncio.gather(*(write(store, name) for store in (one, other) for name in ("x", "y")))
            await other.journal.flush()
            assert await export(one, tmp_path / "run") == 80

    asyncio.run(scenario())
    told = lines(tmp_path / "run")
    assert [line["seq"] for line in told] == list(range(1, 161))
    contacts = {line["seq"]: line["contact_id"] for line in told}
    assert all(contacts[line["intent"]] == line["contact_id"] for line in told if line["state"] == "done")


def test_a_period_has_the_writes_that_were_intended_in_it_with_their_ends(in_store: InStore, tmp_path: Path) -> None:
    async def scenario(store: EventStore) -> None:
        early = await store.journal.intend("archive", contact_id="early")
        await asyncio.sleep(0.002)  # lines tell milliseconds
        within = await store.journal.intend("archive", contact_id="within")
        await asyncio.sleep(0.002)
        await store.journal.intend("archive", contact_id="late")
        await export(store, tmp_path / "all")
        moments = [datetime.fromisoformat(line["at"]) for line in lines(tmp_path / "all")]
        store.journal.done(early)
        store.journal.done(within)
        assert await store.export(moments[1], moments[2], tmp_path / "part") == 1
        with pytest.raises(ValueError, match="time zone"):
            await store.export(datetime(2026, 11, 23), moments[2], tmp_path / "naive")  # noqa: DTZ001 - the point

    in_store(scenario)
    assert [(line["state"], line.get("contact_id")) for line in lines(tmp_path / "part")] == [
        ("intent", "within"),
        ("done", None),
    ]
    assert not (tmp_path / "naive" / "journal.jsonl").exists()


def test_an_export_does_not_write_over_another(in_store: InStore, tmp_path: Path) -> None:
    async def scenario(store: EventStore) -> None:
        await export(store, tmp_path / "run")
        with pytest.raises(FileExistsError):
            await export(store, tmp_path / "run")

    in_store(scenario)


def test_an_export_that_fails_leaves_no_half_a_journal(
    postgres_url: str, server: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with patient_store(postgres_url) as store:
            await store.journal.intend("archive", contact_id="c1")
            flush = store.journal.flush

            async def flush_and_stop() -> None:
                await flush()
                server.stop()

            monkeypatch.setattr(store.journal, "flush", flush_and_stop)
            try:
                with pytest.raises(StoreUnavailable):
                    await export(store, tmp_path / "run")
            finally:
                monkeypatch.undo()
                server.start()
            assert not (tmp_path / "run" / "journal.jsonl").exists()
            assert await export(store, tmp_path / "run") == 1

    asyncio.run(scenario())


def test_the_ends_that_cannot_be_stored_at_the_close_are_missed_aloud(
    postgres_url: str, server: PostgreSQL, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with patient_store(postgres_url) as store:
            store.journal.done(await store.journal.intend("archive", contact_id="c1"))
            server.stop()

    caplog.set_level("WARNING")  # a command that ran in this process before may have left another
    try:
        asyncio.run(scenario())
    finally:
        server.start()
    assert "The ends of the last writes are not in the journal" in caplog.text


def test_undo_takes_back_what_the_webhook_wrote(
    in_store: InStore, start_sandbox: Callable[[World], Sandbox], tmp_path: Path
) -> None:
    sandbox = start_sandbox(World(NOW, contacts=[contact("a", email="ann@example.com", name="Ann")]))
    [ann] = sandbox.world.contacts

    async def scenario(store: EventStore) -> None:
        settings = load(IntercomSettings, environment(sandbox.url, tmp_path))
        async with IntercomClient(settings) as client:
            writer = Writer(client, cast(Journal, store.journal))
            await writer.update(await client.contact(ann.id), {"name": "Ann Lee"}, "1001", "the member's name")
        assert await export(store, tmp_path / "webhook-1") == 1

    in_store(scenario)
    assert ann.name == "Ann Lee"
    undone = Runner(sandbox, tmp_path).undo("webhook-1")
    assert undone.exit_code == 0
    assert ann.name == "Ann"

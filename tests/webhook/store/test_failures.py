"""What is accepted survives, and what cannot be stored is not accepted: kills, full disks, locks, servers that go."""

import asyncio
import signal
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from itertools import count, islice
from pathlib import Path
from random import Random
from threading import Event as Flag

import psycopg
import pytest
from sqlalchemy import make_url

from mynatca_webhook.store.errors import BadStoreUrl, StoreUnavailable
from mynatca_webhook.store.event import Depth, Job
from mynatca_webhook.store.event_store import EventStore, open_store
from support.postgres import PostgreSQL
from support.relay import relay
from support.stores import event, execute, ids, patient_store, process

PATIENCE = 60
LEASE = 1000


async def everything(store: EventStore) -> list[str]:
    """Claim all jobs; the notifications that they have."""
    return [each for job in await store.claim(1000, LEASE) for each in ids(job)]


async def all_stored(url: str) -> list[str]:
    async with patient_store(url) as store:
        return await everything(store)


async def until_claimed(store: EventStore) -> list[Job]:
    """Claim as soon as something is due."""
    async with asyncio.timeout(PATIENCE):
        while not (jobs := await store.claim(1000, LEASE)):
            await store.wait_for_work(0.05)
    return jobs


# ---- kills


def test_what_was_accepted_survives_a_kill(url: str) -> None:
    told: list[str] = []
    for attempt in ("a", "b"):
        with process("accept", url, attempt) as running:
            told += islice(running.stdout or [], 500)
            running.kill()
            told += running.stdout or []
    lines = {line.strip() for line in told if line.endswith("\n")}  # the kill may cut the last one off
    assert len(lines) >= 1000
    stored = asyncio.run(all_stored(url))
    assert len(stored) == len(set(stored))
    assert lines <= set(stored)


def test_the_claim_of_a_killed_worker_is_taken_over(url: str) -> None:
    async def scenario() -> None:
        async with patient_store(url) as store:
            for number in range(4):
                await store.accept(event(f"n{number}", f"c{number % 2}"))
            with process("hold", url, "2") as running:
                assert running.stdout
                assert await asyncio.to_thread(running.stdout.readline) == "2\n"
                running.kill()
            jobs = await until_claimed(store)
            assert sorted(each for job in jobs for each in ids(job)) == ["n0", "n1", "n2", "n3"]
            assert [job.attempts for job in jobs] == [2, 2]

    asyncio.run(scenario())


def test_several_processes_share_the_work_and_some_are_killed(url: str, tmp_path: Path) -> None:
    """Nothing is left, nothing is finished twice, and no key is worked by two at a time, or a worker would fail."""
    events = [event(f"n{number}", f"c{number % 100}") for number in range(400)]

    async def accept() -> None:
        async with patient_store(url) as store:
            await asyncio.gather(*map(store.accept, events))

    asyncio.run(accept())
    workers = [process("work", url, str(tmp_path)) for _ in range(4)]
    told = [line for worker in workers[:2] for line in islice(worker.stdout or [], 12)]
    for worker in workers[:2]:
        worker.kill()
    told += [line for worker in workers for line in worker.communicate(timeout=PATIENCE)[0].splitlines(keepends=True)]
    assert [worker.returncode for worker in workers] == [-signal.SIGKILL, -signal.SIGKILL, 0, 0]
    lines = [line.strip() for line in told if line.endswith("\n")]
    assert len(lines) == len(set(lines))
    assert len(lines) > 300
    asyncio.run(_nothing_left(url))


async def _nothing_left(url: str) -> None:
    async with patient_store(url) as store:
        assert await store.depth() == Depth(0, 0, 0, 0.0)


def test_whoever_is_cancelled_at_whatever_moment_leaves_no_lock_behind(url: str) -> None:
    """A driver that is cancelled within a call may wait for itself forever, or keep a lock."""

    async def use(worker: int) -> None:
        async with patient_store(url) as store:
            for number in count():
                await store.accept(event(f"{worker}-{number}", f"c{number % 5}"))
                await store.depth()
                for job in await store.claim(3, LEASE):
                    await store.done(job)

    async def scenario() -> None:
        moments = Random(5)
        for _ in range(8):
            users = [asyncio.create_task(use(next(workers))) for _ in range(4)]
            await asyncio.sleep(moments.uniform(0.01, 0.3))
            for user in users:
                user.cancel()
            told = await asyncio.wait_for(asyncio.gather(*users, return_exceptions=True), PATIENCE)
            assert {type(each) for each in told} == {asyncio.CancelledError}
        async with patient_store(url) as store:
            await store.ensure_writable()

    workers = count()
    asyncio.run(scenario())


# ---- no room


def test_a_full_disk_accepts_nothing_and_loses_nothing(sqlite_url: str) -> None:
    with process("accept", sqlite_url, "n", limit_kib=512) as running:
        *told, last = running.communicate(timeout=PATIENCE)[0].splitlines()
    assert last.startswith("full: OperationalError: ")
    assert len(told) > 100
    assert running.returncode == 0
    assert sorted(told) == sorted(asyncio.run(all_stored(sqlite_url)))


def test_a_server_with_a_full_disk_accepts_nothing_and_loses_nothing(postgres_url: str, server: PostgreSQL) -> None:
    """The server says so as it would: a trigger raises the error from the third event on."""
    database = make_url(postgres_url).database or ""

    async def scenario() -> None:
        async with patient_store(postgres_url) as store:
            server.run(_FULL, database)
            assert await store.accept(event("n1"))
            assert await store.accept(event("n2"))
            with pytest.raises(StoreUnavailable, match=r"^DiskFull: no space left on device$"):
                await store.accept(event("n3"))
            told = await asyncio.gather(*(store.accept(event(f"n{i}")) for i in range(3, 9)), return_exceptions=True)
            assert {type(each) for each in told} == {StoreUnavailable}
            await store.ensure_writable()
            server.run("DROP TRIGGER full_disk ON webhook_events", database)
            assert await store.accept(event("n3"))
            assert await everything(store) == ["n1", "n2", "n3"]

    asyncio.run(scenario())


_FULL = """
CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF (SELECT count(*) > 2 FROM webhook_events) THEN RAISE 'no space left on device' USING ERRCODE = 'disk_full',
DETAIL = 'secret row'; END IF; RETURN NULL; END $$;
CREATE TRIGGER full_disk AFTER INSERT ON webhook_events FOR EACH STATEMENT EXECUTE FUNCTION full_disk()
"""


# ---- locks and servers that go


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Keep everybody else from writing."""
    parts = make_url(url)
    if parts.drivername == "sqlite":
        with closing(sqlite3.connect(parts.database or "", isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield
    else:
        with psycopg.connect(url) as connection:
            connection.execute("LOCK TABLE webhook_events, webhook_store")
            yield


def test_a_locked_store_says_so_in_time_and_works_again(url: str) -> None:
    async def scenario() -> None:
        async with open_store(url, timeout_seconds=0.5) as store:
            with locked(url):
                started = time.monotonic()
                with pytest.raises(StoreUnavailable):
                    await store.ensure_writable()
                told = await asyncio.gather(*(store.accept(event(f"n{i}")) for i in range(9)), return_exceptions=True)
                assert {type(each) for each in told} == {StoreUnavailable}
                assert time.monotonic() - started < 3
            assert await _soon(store.accept, "n1")
            assert await everything(store) == ["n1"]

    asyncio.run(scenario())


async def _soon(accept: Callable[..., object], notification_id: str) -> bool:
    """Accept an event, as soon as that is possible again."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(StoreUnavailable):
                return bool(await accept(event(notification_id)))  # type: ignore[misc]


def test_a_file_that_somebody_keeps_to_himself_is_unavailable(sqlite_url: str) -> None:
    async def scenario() -> None:
        with closing(sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            with pytest.raises(StoreUnavailable, match="database is locked"):
                async with open_store(sqlite_url, timeout_seconds=0.5):
                    pass
        async with patient_store(sqlite_url) as store:
            await store.ensure_writable()

    asyncio.run(scenario())


def test_a_server_that_stops_is_unavailable_until_it_is_back(postgres_url: str, server: PostgreSQL) -> None:
    async def scenario() -> None:
        async with patient_store(postgres_url) as store:
            await store.accept(event("n1"))
            [job] = await store.claim(1, LEASE)
            seq = await store.journal.intend("archive", contact_id="c1")
            server.stop()
            try:
                for call in (store.accept(event("n2")), store.claim(1, LEASE), store.done(job), store.depth()):
                    with pytest.raises(StoreUnavailable):
                        await call
                store.journal.done(seq)
                with pytest.raises(StoreUnavailable):
                    await store.journal.flush()
                with pytest.raises(StoreUnavailable):
                    await all_stored(postgres_url)
            finally:
                server.start()
            assert await store.accept(event("n2"))
            await store.done(job)
            assert await everything(store) == ["n2"]
            assert server.run("SELECT count(*) FROM webhook_journal", make_url(postgres_url).database or "") == [(2,)]

    asyncio.run(scenario())


def test_a_server_that_says_nothing_any_more_is_given_up_in_time(postgres_url: str, server: PostgreSQL) -> None:
    mute, speak = Flag(), Flag()

    def change(_position: int, data: bytes) -> bytes:
        if mute.is_set():
            speak.wait(PATIENCE)
        return data

    async def scenario(port: int) -> None:
        async with open_store(postgres_url.replace(str(server.port), str(port)), timeout_seconds=0.5) as store:
            await store.accept(event("n1"))
            mute.set()
            for number in range(2, 5):
                started = time.monotonic()
                with pytest.raises(StoreUnavailable, match="did not answer in time"):
                    await store.accept(event(f"n{number}"))
                assert time.monotonic() - started < 2
            mute.clear()
            speak.set()
            await _soon(store.accept, "n9")
            assert {"n1", "n9"} <= set(await everything(store))

    with relay(server.port, change) as line:
        asyncio.run(scenario(line.port))


# ---- opening


def test_it_can_be_opened_by_several_processes_at_once(url: str) -> None:
    running = [process("open", url) for _ in range(4)]
    assert [each.communicate(timeout=PATIENCE)[0] for each in running] == ["open\n"] * 4
    assert asyncio.run(all_stored(url)) == []


def test_a_new_one_can_be_opened_many_times_at_the_same_moment(url: str) -> None:
    async def scenario() -> None:
        async with AsyncExitStack() as stack:
            opened = await asyncio.gather(*(stack.enter_async_context(patient_store(url)) for _ in range(10)))
            told = await asyncio.gather(*(store.accept(event("n1")) for store in opened))
            assert sum(told) == 1

    asyncio.run(scenario())


def test_sqlite_is_durable_and_its_files_are_its_owners_alone(sqlite_url: str) -> None:
    async def scenario() -> None:
        async with patient_store(sqlite_url) as store:
            await store.accept(event("n1"))
            pragmas = [await execute(store, f"PRAGMA {name}") for name in ("journal_mode", "synchronous")]
            assert pragmas == ["wal", 2]
            files = list(Path(make_url(sqlite_url).database or "").parent.glob("events.db*"))
            assert len(files) >= 2
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}

    asyncio.run(scenario())


def test_postgres_is_durable_whatever_the_server_is_set_to(postgres_url: str, server: PostgreSQL) -> None:
    database = make_url(postgres_url).database or ""
    server.run(f"ALTER DATABASE {database} SET synchronous_commit = off")

    async def scenario() -> None:
        async with patient_store(postgres_url) as store:
            assert await execute(store, "SHOW synchronous_commit") == "on"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "address",
    ["", "events.db", "sqlite://", "sqlite:///:memory:", "mysql://user:geheim@host/db", "postgresql+asyncpg://h/d"],
)
def test_an_address_that_is_none_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(BadStoreUrl, match=r"sqlite:////data/events\.db") as refused:
        asyncio.run(all_stored(address))
    assert "geheim" not in str(refused.value)


def test_a_place_that_cannot_be_reached_is_unavailable(tmp_path: Path) -> None:
    for address in (f"sqlite:///{tmp_path}/none/events.db", "postgresql://u:geheim@127.0.0.1:1/db"):
        with pytest.raises(StoreUnavailable, match=r"^\w+: ") as refused:
            asyncio.run(all_stored(address))
        assert "geheim" not in str(refused.value)

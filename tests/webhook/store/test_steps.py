"""Stores of other versions: older ones step up and keep what they have, newer ones are left alone."""

import asyncio
import json
import time
from collections.abc import Iterable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, NullPool, create_engine, inspect, make_url, text

from mynatca_webhook.store.errors import StoreUnavailable
from mynatca_webhook.store.steps import VERSION
from support.stores import event, ids, patient_store, process

VERSION_1 = """
CREATE TABLE webhook_store (version INTEGER NOT NULL PRIMARY KEY, written_at DOUBLE PRECISION NOT NULL);
CREATE TABLE webhook_events (
    id {number}, notification_id TEXT NOT NULL UNIQUE, topic TEXT NOT NULL, key TEXT NOT NULL,
    created_at DOUBLE PRECISION NOT NULL, received_at DOUBLE PRECISION NOT NULL, payload JSON NOT NULL,
    state TEXT NOT NULL, ended_at DOUBLE PRECISION, attempts INTEGER, reason TEXT);
CREATE INDEX webhook_events_by_key ON webhook_events (state, key);
CREATE INDEX webhook_events_by_end ON webhook_events (state, ended_at);
CREATE TABLE webhook_jobs (
    key TEXT NOT NULL PRIMARY KEY, due_at DOUBLE PRECISION NOT NULL, attempts INTEGER NOT NULL, claim TEXT,
    reason TEXT);
CREATE INDEX webhook_jobs_by_due ON webhook_jobs (due_at);
CREATE TABLE webhook_journal (
    id {number}, origin TEXT NOT NULL, seq INTEGER NOT NULL, intent INTEGER, at DOUBLE PRECISION NOT NULL,
    entry TEXT NOT NULL, UNIQUE (origin, seq));
CREATE INDEX webhook_journal_by_time ON webhook_journal (at);
INSERT INTO webhook_store VALUES (1, 0)
"""
NUMBER = {"sqlite": "INTEGER NOT NULL PRIMARY KEY", "postgresql": "BIGSERIAL NOT NULL PRIMARY KEY"}


def engine(url: str) -> Engine:
    drivers = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
    return create_engine(make_url(url).set(drivername=drivers[make_url(url).drivername]), poolclass=NullPool)


def execute(url: str, *statements: str, **values: Any) -> None:
    with engine(url).begin() as connection:
        for statement in statements:
            connection.execute(text(statement), values)


def make_version_1(url: str) -> None:
    """A store as it was, with one event that waits."""
    execute(url, *VERSION_1.format(number=NUMBER[make_url(url).drivername]).split(";"))
    execute(
        url,
        "INSERT INTO webhook_events (notification_id, topic, key, created_at, received_at, payload, state) "
        "VALUES ('old', 'contact.user.created', 'c1', :now, :now, :payload, 'waiting')",
        "INSERT INTO webhook_jobs (key, due_at, attempts) VALUES ('c1', 0, 0)",
        now=time.time(),
        payload=json.dumps({"contact_id": "c1"}),
    )


def schema(connection: Connection) -> dict[str, Any]:
    """Tables with their columns and indexes, the same for the same tables however they were made."""
    seen = inspect(connection)

    def of(table: str) -> Any:
        columns = {each["name"]: (each["type"].python_type, each["nullable"]) for each in seen.get_columns(table)}
        return columns, seen.get_pk_constraint(table)["constrained_columns"], _columns(seen.get_indexes(table))

    return {table: of(table) for table in seen.get_table_names()}


def _columns(indexes: Iterable[Any]) -> list[list[str]]:
    return sorted(index["column_names"] for index in indexes)


def found(url: str) -> dict[str, Any]:
    with engine(url).connect() as connection:
        return schema(connection)


async def all_waiting(url: str) -> list[str]:
    async with patient_store(url) as store:
        return [each for job in await store.claim(10, 60) for each in ids(job)]


def test_a_store_of_version_1_keeps_its_events_and_has_the_new_tables(url: str) -> None:
    async def scenario() -> None:
        async with patient_store(url) as store:
            assert not await store.accept(event("old"))
            assert (await store.count_use("helpdesk")).count == 1
            store.note_synced("c1")
            assert await store.accept(event("new"))
            assert await store.last_synced("c1")
            assert [ids(job) for job in await store.claim(10, 60)] == [["old", "new"]]

    make_version_1(url)
    asyncio.run(scenario())
    assert asyncio.run(all_waiting(url)) == []  # it opens again, and the claim is still there


def test_several_processes_step_it_up_at_the_same_moment(url: str) -> None:
    make_version_1(url)
    running = [process("open", url) for _ in range(4)]
    assert [each.communicate(timeout=60)[0] for each in running] == ["open\n"] * 4
    assert asyncio.run(all_waiting(url)) == ["old"]


def test_a_store_that_stepped_up_is_like_a_new_one(url: str) -> None:
    make_version_1(url)
    asyncio.run(all_waiting(url))
    stepped = found(url)
    execute(url, *(f"DROP TABLE {table}" for table in stepped))
    asyncio.run(all_waiting(url))
    assert stepped == found(url)


def test_a_step_that_fails_leaves_the_store_as_it_was(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def half(connection: Any) -> None:
        await connection.execute(text("CREATE TABLE half (a TEXT)"))
        await connection.execute(text("CREATE TABLE half (a TEXT)"))

    make_version_1(url)
    before = found(url)
    with monkeypatch.context() as context:
        context.setattr("mynatca_webhook.store.upkeep.STEPS", (half,))
        with pytest.raises(StoreUnavailable, match="half"):
            asyncio.run(all_waiting(url))
    assert found(url) == before
    assert asyncio.run(all_waiting(url)) == ["old"]


def test_a_store_of_a_newer_version_is_not_touched(url: str) -> None:
    asyncio.run(all_waiting(url))
    newer = VERSION + 1
    execute(url, f"UPDATE webhook_store SET version = {newer}", "DROP TABLE webhook_uses")  # noqa: S608
    before = found(url)
    with pytest.raises(StoreUnavailable, match=f"has version {newer} of the tables, this program knows up to"):
        asyncio.run(all_waiting(url))
    assert found(url) == before

"""Where SQLite and PostgreSQL differ: address, clock, insert, locks. All else says the same to both."""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import URL, Double, Table, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from mynatca_webhook.store.errors import BadStoreUrl

EXAMPLES = "Examples: sqlite:////data/events.db, postgresql://user:password@host/database."


class now(FunctionElement[float]):  # noqa: N801 - SQL functions are lower case in SQLAlchemy
    """The database's clock, in seconds since 1970; it stands still within a statement."""

    type = Double()
    inherit_cache = True


@compiles(now, "postgresql")
def _postgresql_now(_element: now, _compiler: SQLCompiler, **_options: Any) -> str:
    # Not clock_timestamp(), which would keep the planner from using an index.
    return "extract(epoch from statement_timestamp())::double precision"


@compiles(now, "sqlite")
def _sqlite_now(_element: now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


def insert_into(connection: AsyncConnection, table: Table) -> postgresql.Insert:
    """An insert that knows ON CONFLICT."""
    # SQLite's has the same methods, but no ancestor in common that has them.
    insert: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[connection.dialect.name]
    statement: postgresql.Insert = insert(table)
    return statement


def engine_of(address: str, timeout_seconds: float) -> AsyncEngine:
    """What connects to the store at this address; it does not connect yet.

    Raises:
        BadStoreUrl: the address is none of a store.
        OSError: SQLite's file cannot be made.
    """
    try:
        url = make_url(address)
    except ArgumentError:
        raise BadStoreUrl(f"The store's address is no URL. {EXAMPLES}") from None
    if url.drivername == "sqlite" and url.database not in (None, "", ":memory:"):
        return _sqlite(url, timeout_seconds)
    if url.drivername in ("postgresql", "postgres"):
        return _postgresql(url, timeout_seconds)
    raise BadStoreUrl(f"There is no store at {url.drivername}: addresses without a file or of its kind. {EXAMPLES}")


def _sqlite(url: URL, timeout_seconds: float) -> AsyncEngine:
    # Made here for its mode, which SQLite gives to the files beside it too: the journal has names and addresses.
    os.close(os.open(url.database or "", os.O_RDWR | os.O_CREAT, 0o600))
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        hide_parameters=True,
        connect_args={"timeout": timeout_seconds},  # of those who set up or look
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    return engine


def _postgresql(url: URL, timeout_seconds: float) -> AsyncEngine:
    milliseconds = int(timeout_seconds * 1000)
    session = {
        "synchronous_commit": "on",
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,  # a frozen replica must not keep rows locked
    }
    return create_async_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,
        isolation_level="READ COMMITTED",  # each statement must see what others committed before it got its locks
        pool_pre_ping=True,
        pool_size=2,  # one writes, the others look
        max_overflow=2,
        pool_timeout=timeout_seconds,
        connect_args={
            "connect_timeout": max(2, int(timeout_seconds)),
            "tcp_user_timeout": milliseconds,
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
        },
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine, patience_seconds: float) -> AsyncIterator[AsyncConnection]:
    """A transaction that will write, begun within the time."""
    async with engine.connect() as connection, connection.begin():
        if connection.dialect.name == "sqlite":
            await _lock_sqlite(connection, patience_seconds)
        yield connection


async def _lock_sqlite(connection: AsyncConnection, patience_seconds: float) -> None:
    """Begin a transaction that has the write lock.

    Python would begin one without, and SQLite refuses to upgrade that when others wrote meanwhile. SQLite's own
    waiting looks ever more seldom, up to every 100 ms, so that among busy processes one may never get its turn.
    """
    deadline = time.monotonic() + patience_seconds
    await connection.exec_driver_sql("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            except OperationalError as error:
                if getattr(error.orig, "sqlite_errorcode", 0) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                await asyncio.sleep(random.uniform(0.001, 0.004))  # noqa: S311 - no secret
            else:
                return
    finally:
        await connection.exec_driver_sql(f"PRAGMA busy_timeout = {int(patience_seconds * 1000)}")


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection for single statements that only read; it waits for no writer."""
    async with engine.connect() as connection:
        yield await connection.execution_options(isolation_level="AUTOCOMMIT")


async def one_at_a_time(connection: AsyncConnection) -> None:
    """Keep other replicas from setting the store up until this transaction ends; SQLite's always do."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('webhook_store'))"))

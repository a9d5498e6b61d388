"""Where SQLite and PostgreSQL differ: address, clock, insert, locks. All else says the same to both."""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any

from sqlalchemy import URL, Double, Table, event, func, make_url, select, text, true
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from mynatca_webhook.store.errors import BadStoreUrl

EXAMPLES = "Examples: sqlite:////data/events.db, postgresql://user:password@host/database."

SQLITE_BUSY_SECONDS = 0.05
"""For how long SQLite itself waits for a lock. It looks ever more seldom, so that among busy processes one might never
get its turn: we begin anew with that until our own time is over."""


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


async def engine_of(address: str, timeout_seconds: float) -> AsyncEngine:
    """What connects to the store at this address; SQLite's file is made if it is not there.

    Raises:
        BadStoreUrl: the address is none of a store.
        OSError, sqlite3.Error: SQLite's file cannot be made.
    """
    try:
        url = make_url(address)
    except ArgumentError:
        raise BadStoreUrl(f"The store's address is no URL. {EXAMPLES}") from None
    if url.drivername == "sqlite" and url.database not in (None, "", ":memory:"):
        return await _sqlite(url, timeout_seconds)
    if url.drivername in ("postgresql", "postgres"):
        return _postgresql(url, timeout_seconds)
    raise BadStoreUrl(f"There is no store at {url.drivername}: addresses, or this one names no file. {EXAMPLES}")


async def _sqlite(url: URL, timeout_seconds: float) -> AsyncEngine:
    await asyncio.to_thread(_make_file, url.database or "", timeout_seconds)
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"), hide_parameters=True, connect_args={"timeout": SQLITE_BUSY_SECONDS}
    )

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    return engine


def _make_file(path: str, patience_seconds: float) -> None:
    """Make SQLite's file, if it is not there yet, and set it to WAL, which it then remembers."""
    # By hand for its mode, which SQLite gives to the files beside it too: the journal has names and addresses. A file
    # that is there is not opened, as closing it would take away the locks that this process may have on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    deadline = time.monotonic() + patience_seconds
    with closing(sqlite3.connect(path, timeout=SQLITE_BUSY_SECONDS)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                _raise_unless_busy(error, deadline)
                time.sleep(_pause())
            else:
                return


def _postgresql(url: URL, timeout_seconds: float) -> AsyncEngine:
    # Nothing here needs a session, so that PgBouncer may stand in between: no start-up options, no prepared statements.
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
            "tcp_user_timeout": int(timeout_seconds * 1000),
            "prepare_threshold": None,
        },
    )


@asynccontextmanager
async def transaction(engine: AsyncEngine, patience_seconds: float) -> AsyncIterator[AsyncConnection]:
    """A transaction that will write."""
    async with _limit(engine, patience_seconds), engine.connect() as connection, connection.begin():
        if connection.dialect.name == "sqlite":
            await _lock_sqlite(connection, patience_seconds)
        else:
            await _set_up_postgresql(connection, patience_seconds)
        yield connection


@asynccontextmanager
async def reading(engine: AsyncEngine, patience_seconds: float) -> AsyncIterator[AsyncConnection]:
    """A connection for single statements that only read; it waits for no writer."""
    async with _limit(engine, patience_seconds), engine.connect() as connection:
        yield await connection.execution_options(isolation_level="AUTOCOMMIT")


def _limit(engine: AsyncEngine, seconds: float) -> asyncio.Timeout:
    """For a server that says nothing any more. SQLite is no server, and its driver does not survive a cancellation."""
    return asyncio.timeout(seconds if engine.dialect.name == "postgresql" else None)


async def _lock_sqlite(connection: AsyncConnection, patience_seconds: float) -> None:
    """Begin a transaction that has the write lock.

    Python would begin one without, and SQLite refuses to upgrade that when others wrote meanwhile.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            await connection.exec_driver_sql("BEGIN IMMEDIATE")
        except OperationalError as error:
            _raise_unless_busy(error.orig, deadline)
            await asyncio.sleep(_pause())
        else:
            return


async def _set_up_postgresql(connection: AsyncConnection, patience_seconds: float) -> None:
    """Make this transaction durable whatever the server is set to, and let the server end it when it lasts too long."""
    milliseconds = str(int(patience_seconds * 1000))
    options = {
        "synchronous_commit": "on",
        "statement_timeout": milliseconds,
        "lock_timeout": milliseconds,
        "idle_in_transaction_session_timeout": milliseconds,  # a frozen replica must not keep rows locked
    }
    # Not SET LOCAL, of which there is one for each; `true` says the same.
    await connection.execute(select(*(func.set_config(name, value, true()) for name, value in options.items())))


def _raise_unless_busy(error: BaseException | None, deadline: float) -> None:
    """To be called while the error is handled."""
    if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
        raise  # noqa: PLE0704 - the one that is being handled


def _pause() -> float:
    return random.uniform(0.001, 0.004)  # noqa: S311 - no secret


async def one_at_a_time(connection: AsyncConnection) -> None:
    """Keep other replicas from setting the store up until this transaction ends; SQLite's always do."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('webhook_store'))"))

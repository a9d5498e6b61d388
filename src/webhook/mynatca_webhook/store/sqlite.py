"""A store in a file of SQLite.

Each transaction as a whole runs in a thread. An asynchronous driver changes threads for every statement, and in a
process that works while it takes events in, each change waits for its turn: 40 of them made a commit of 10 ms one of
600 ms (three busy threads; measured).
"""

import asyncio
import os
import random
import sqlite3
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Any, TypeVar, cast

from sqlalchemy import URL, Connection, CursorResult, Dialect, Engine, Executable, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from mynatca_webhook.store.database import Work

R = TypeVar("R")

BUSY_SECONDS = 0.05
"""For how long SQLite itself waits for a lock, while others open or close the file."""

READERS = 2


async def open_sqlite(url: URL, patience_seconds: float) -> "SQLite":
    """The database in a file, which is made if it is not there.

    Raises:
        OSError, sqlite3.Error: it cannot be made.
    """
    await asyncio.to_thread(_make_file, url.database or "", patience_seconds)
    return SQLite(url, patience_seconds)


class SQLite:
    """A database in a file that is there.

    Args:
        url: where.
        patience_seconds: how long is waited for other processes that write.
    """

    def __init__(self, url: URL, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        arguments = {"timeout": BUSY_SECONDS, "check_same_thread": False}  # the pool hands connections around
        self._engine = create_engine(url.set(drivername="sqlite"), hide_parameters=True, connect_args=arguments)
        event.listen(self._engine, "connect", _prepare)
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = ThreadPoolExecutor(READERS, "store-reader")

    @property
    def engine(self) -> Engine:
        """What connects to it."""
        return self._engine

    async def write(self, work: Work[R]) -> R:
        """Do something in a transaction that has the write lock from its beginning."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._write, work)

    async def read(self, work: Work[R]) -> R:
        """Read by single statements."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def close(self) -> None:
        """Close the connections."""
        for threads in (self._writer, self._readers):
            threads.shutdown()
        self._engine.dispose()

    def _write(self, work: Work[R]) -> R:
        with self._engine.begin() as connection:
            _lock(connection, self._patience_seconds)
            return _done_at_once(work, connection)

    def _read(self, work: Work[R]) -> R:
        with self._engine.connect() as connection:
            return _done_at_once(work, connection.execution_options(isolation_level="AUTOCOMMIT"))


class _AtOnce:
    """A connection that blocks, with those methods of an asynchronous one that the store uses."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def dialect(self) -> Dialect:
        return self._connection.dialect

    async def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        return self._connection.execute(statement, parameters)

    async def scalar(self, statement: Executable) -> Any:
        return self._connection.scalar(statement)

    async def run_sync(self, function: Callable[..., R], *arguments: Any, **named: Any) -> R:
        return function(self._connection, *arguments, **named)


def _done_at_once(work: Work[R], connection: Connection) -> R:
    """What a function does that waits for nothing but the connection."""
    doing = cast("Coroutine[Any, Any, R]", work(cast("AsyncConnection", _AtOnce(connection))))
    try:
        doing.send(None)
    except StopIteration as end:
        result: R = end.value
        return result
    doing.close()
    raise RuntimeError("it waits for something else than the database")


def _prepare(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA synchronous = FULL")


def _make_file(path: str, patience_seconds: float) -> None:
    """Make the file, if it is not there yet, and set it to WAL, which it then remembers."""
    # By hand for its mode, which SQLite gives to the files beside it too: the journal has names and addresses. A file
    # that is there is not opened, as closing it would take away the locks that this process may have on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as connection:
        _until_free(lambda: connection.execute("PRAGMA journal_mode = WAL"), patience_seconds)


def _lock(connection: Connection, patience_seconds: float) -> None:
    """Begin a transaction that has the write lock.

    Python would begin one without, and SQLite refuses to upgrade that when others wrote meanwhile. SQLite itself looks
    for the lock ever more seldom, so that among busy processes one might never get its turn; we look every millisecond.
    """
    _wait_at_most(connection, 0)
    try:
        _until_free(lambda: connection.exec_driver_sql("BEGIN IMMEDIATE"), patience_seconds)
    finally:
        _wait_at_most(connection, BUSY_SECONDS)


def _wait_at_most(connection: Connection, seconds: float) -> None:
    cast("sqlite3.Connection", connection.connection.driver_connection).execute(
        f"PRAGMA busy_timeout = {seconds * 1000:.0f}"
    )


def _until_free(act: Callable[[], object], patience_seconds: float) -> None:
    """Do something that needs a lock; others may have it for so long."""
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            act()
        except (OperationalError, sqlite3.OperationalError) as error:
            told = error.orig if isinstance(error, OperationalError) else error
            if getattr(told, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(random.uniform(0.0003, 0.001))  # noqa: S311 - no secret
        else:
            return

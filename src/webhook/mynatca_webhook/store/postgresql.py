"""A store in PostgreSQL. Nothing here needs a session, so that PgBouncer may stand in between."""

import asyncio
from typing import TypeVar

from sqlalchemy import URL, Engine, func, select, true
from sqlalchemy.ext.asyncio import create_async_engine

from mynatca_webhook.store.database import Work

R = TypeVar("R")


class PostgreSQL:
    """A database of a server.

    Args:
        url: where.
        patience_seconds: how long anything may take.
    """

    def __init__(self, url: URL, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._engine = create_async_engine(
            url.set(drivername="postgresql+psycopg"),
            hide_parameters=True,
            isolation_level="READ COMMITTED",  # each statement must see what others committed before it got its locks
            pool_pre_ping=True,
            pool_size=2,  # one writes, the others look
            max_overflow=2,
            pool_timeout=patience_seconds,
            connect_args={
                "connect_timeout": max(2, int(patience_seconds)),
                "tcp_user_timeout": int(patience_seconds * 1000),
                "prepare_threshold": None,  # a prepared statement is the session's
            },
        )
        milliseconds = str(int(patience_seconds * 1000))
        options = {
            "synchronous_commit": "on",  # whatever the server is set to
            "statement_timeout": milliseconds,
            "lock_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,  # a frozen replica must not keep rows locked
        }
        # All SET LOCAL in one.
        self._set_options = select(*(func.set_config(name, value, true()) for name, value in options.items()))

    @property
    def engine(self) -> Engine:
        """What connects to it."""
        return self._engine.sync_engine

    async def write(self, work: Work[R]) -> R:
        """Do something in a transaction; a server that says nothing any more is given up."""
        async with asyncio.timeout(self._patience_seconds), self._engine.begin() as connection:
            await connection.execute(self._set_options)
            return await work(connection)

    async def read(self, work: Work[R]) -> R:
        """Read by single statements."""
        async with asyncio.timeout(self._patience_seconds), self._engine.connect() as connection:
            return await work(await connection.execution_options(isolation_level="AUTOCOMMIT"))

    async def close(self) -> None:
        """Close the connections."""
        await self._engine.dispose()

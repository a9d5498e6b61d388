"""Looks at the store, beside the transactions that write."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from mynatca_webhook.store.databases import reading
from mynatca_webhook.store.errors import unavailable

R = TypeVar("R")


class Looks:
    """Reads, each in a task of its own, which goes on when its caller is cancelled.

    SQLite's driver does not survive a cancellation: it may keep its locks, or wait for itself forever.

    Args:
        engine: connects to the database.
        timeout_seconds: how long a caller waits at most.
    """

    def __init__(self, engine: AsyncEngine, timeout_seconds: float) -> None:
        self._engine = engine
        self._timeout_seconds = timeout_seconds
        self._under_way: set[asyncio.Task[Any]] = set()

    async def read(self, read: Callable[[AsyncConnection], Awaitable[R]]) -> R:
        """What a function reads through the connection that it is given.

        Raises:
            StoreUnavailable: it cannot be read in time.
        """
        task = asyncio.create_task(self._read(read))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        with unavailable():
            async with asyncio.timeout(self._timeout_seconds):
                return await asyncio.shield(task)

    async def finish(self) -> None:
        """Wait for those whose callers did not."""
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _read(self, read: Callable[[AsyncConnection], Awaitable[R]]) -> R:
        async with reading(self._engine, self._timeout_seconds) as connection:
            return await read(connection)

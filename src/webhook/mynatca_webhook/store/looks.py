"""Looks at the store, beside the transactions that write."""

import asyncio
from typing import Any, TypeVar

from mynatca_webhook.store.database import Database, Work
from mynatca_webhook.store.errors import unavailable

R = TypeVar("R")


class Looks:
    """Reads, each in a task of its own, which goes on when its caller is cancelled, and gives its connection back.

    Args:
        database: what is read.
        timeout_seconds: how long a caller waits at most.
    """

    def __init__(self, database: Database, timeout_seconds: float) -> None:
        self._database = database
        self._timeout_seconds = timeout_seconds
        self._under_way: set[asyncio.Task[Any]] = set()

    async def read(self, read: Work[R]) -> R:
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

    async def _read(self, read: Work[R]) -> R:
        return await self._database.read(read)

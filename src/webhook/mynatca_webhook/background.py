"""Work that must come to its end, whoever still waits for it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Tasks that go on when whoever asked for them is gone, and that are awaited before the service closes."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin it; `asyncio.wait` for its result, as that cancels nothing."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def cancel(self) -> None:
        """Cut it off."""
        for task in self._tasks:
            task.cancel()

    async def finish(self) -> None:
        """Return when all of it is done; cut off if this is cancelled."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

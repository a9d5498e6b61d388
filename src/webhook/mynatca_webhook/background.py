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

    async def finish(self, end: float) -> None:
        """Return when all of it is done, at the latest at `end`, a moment of the running loop's clock."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0, end - asyncio.get_running_loop().time()))

    async def cut_off(self) -> None:
        """Cancel what is not done."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

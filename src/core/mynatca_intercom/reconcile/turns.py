"""Turns: of those who are about to write for the same contact or member, one after the other."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol


class Turns(Protocol):
    """Gives everybody their turn."""

    def turn(self, *whose: str) -> AbstractAsyncContextManager[float]:
        """Wait for the turn of all of these, and have it while the context lasts.

        Entering tells how many seconds ago the latest turn of any of them ended, infinity if there was none: what was
        read earlier than that may have been changed since.
        """


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    ended: float = -math.inf


class LocalTurns:
    """Turns among the tasks of one process, which is to end some day: everybody who ever had one is remembered."""

    def __init__(self) -> None:
        self._turns: dict[str, _Turn] = {}

    @asynccontextmanager
    async def turn(self, *whose: str) -> AsyncIterator[float]:
        """Wait for the turn of all of these, and have it while the context lasts."""
        turns = [self._turns.setdefault(each, _Turn()) for each in sorted(set(whose))]
        async with AsyncExitStack() as held:
            for turn in turns:
                await held.enter_async_context(turn.lock)
            try:
                yield time.monotonic() - max(turn.ended for turn in turns)
            finally:
                for turn in turns:
                    turn.ended = time.monotonic()

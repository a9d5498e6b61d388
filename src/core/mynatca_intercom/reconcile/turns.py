"""Turns: of those who are about to write for the same contact or member, one after the other."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol


class Turns(Protocol):
    """Gives everybody their turn."""

    def turn(self, whose: str) -> AbstractAsyncContextManager[float]:
        """Wait for the turn, and have it while the context lasts.

        Entering tells how many seconds ago the turn before it ended, infinity if there was none: what was read earlier
        than that may have been changed since.
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
    async def turn(self, whose: str) -> AsyncIterator[float]:
        """Wait for the turn, and have it while the context lasts."""
        turn = self._turns.setdefault(whose, _Turn())
        async with turn.lock:
            try:
                yield time.monotonic() - turn.ended
            finally:
                turn.ended = time.monotonic()

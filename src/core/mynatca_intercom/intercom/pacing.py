"""When the next call may be sent, from Intercom's `X-RateLimit-*` headers alone.

No limit is assumed: workspaces differ, and it can change while a run lasts. The first call goes out alone and teaches
the limit; without headers nothing is held back here, and only 429 answers slow the client down (by its retries).
"""

import asyncio
import math
import random
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime

from mynatca_intercom.metrics import RATE_LIMIT, RATE_LIMIT_REMAINING, RATE_LIMIT_WAIT

JITTER_SECONDS = 0.1
"""Clients that wait for the same window must not all start in the same instant."""

LONGEST_WINDOW_SECONDS = 60
"""A reset further ahead than this is a wrong clock or a wrong unit; no more than this is waited for it."""


class Pacer:
    """Lets calls pass while the window has calls left beyond the reserve, else holds them until it turns.

    Args:
        reserve: share of each window that is left to other clients of the workspace.
    """

    def __init__(self, reserve: float) -> None:
        self._reserve = reserve
        self._limit: int | None = None
        self._remaining = 0
        self._reset = 0.0
        self._server_ahead: float | None = None
        self._learned = False
        self._in_flight = 0
        self._turn = asyncio.Lock()
        self._answered = asyncio.Event()

    async def wait_turn(self) -> None:
        """Wait until a call may be sent; every call must be followed by `answer` or `no_answer`."""
        async with self._turn:  # one looks at the window, the others stand in line
            while not self._may_send():
                self._answered.clear()
                started = time.monotonic()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._seconds_to_wait()):
                        await self._answered.wait()
                RATE_LIMIT_WAIT.inc(time.monotonic() - started)
            self._in_flight += 1

    def answer(self, headers: Mapping[str, str]) -> None:
        """Learn from the headers of an answer."""
        self._in_flight -= 1
        self._learned = True
        self._learn_clock(headers.get("date"))
        with suppress(KeyError, ValueError):  # absent or unreadable headers teach nothing
            self._learn_window(
                int(headers["x-ratelimit-limit"]),
                int(headers["x-ratelimit-remaining"]),
                float(headers["x-ratelimit-reset"]),
            )
        self._answered.set()

    def no_answer(self) -> None:
        """Note that a call ended without an answer."""
        self._in_flight -= 1
        self._answered.set()

    def _learn_clock(self, date: str | None) -> None:
        """Keep how far the server's clock is ahead of ours, as waits end at a moment of *its* clock.

        `Date` is cut to whole seconds, so every sample is a lower bound, and the highest is the best.
        """
        with suppress(TypeError, ValueError):
            ahead = parsedate_to_datetime(date or "").timestamp() - time.time()
            self._server_ahead = ahead if self._server_ahead is None else max(self._server_ahead, ahead)

    def _learn_window(self, limit: int, remaining: int, reset: float) -> None:
        reset = min(reset, self._server_now() + LONGEST_WINDOW_SECONDS)
        if not reset >= self._reset:
            return  # a late answer of a window that is over, or no number at all
        if reset > self._reset or limit != self._limit:
            self._remaining = remaining
        self._limit, self._reset = limit, reset
        self._remaining = min(self._remaining, remaining)
        RATE_LIMIT.set(limit)
        RATE_LIMIT_REMAINING.set(self._remaining)

    def _may_send(self) -> bool:
        if not self._learned:
            return self._in_flight == 0
        if self._limit is None:
            return True
        left = self._limit if self._window_over() else self._remaining
        reserve = min(math.ceil(self._limit * self._reserve), self._limit - 1)
        # Calls in flight may or may not be in `remaining` yet; counting them as not is the safe side.
        return left - self._in_flight > reserve

    def _seconds_to_wait(self) -> float | None:
        """Until the window turns; None when only an answer can change anything."""
        if self._in_flight and self._window_over():
            return None
        return self._reset - self._server_now() + random.uniform(0, JITTER_SECONDS)  # noqa: S311 - no secret

    def _window_over(self) -> bool:
        return self._server_now() >= self._reset

    def _server_now(self) -> float:
        return time.time() + (self._server_ahead or 0.0)

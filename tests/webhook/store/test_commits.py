"""Group commit on its own: what becomes of callers when a write fails, hangs or is closed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mynatca_webhook.store.commits import GroupCommit
from mynatca_webhook.store.errors import StoreUnavailable


@asynccontextmanager
async def nothing() -> AsyncIterator[Any]:
    yield None


@asynccontextmanager
async def hangs() -> AsyncIterator[Any]:
    await asyncio.Event().wait()
    yield None


async def double(_connection: Any, items: Sequence[int]) -> list[int]:
    return [2 * item for item in items]


async def broken(_connection: Any, items: Sequence[int]) -> list[int]:
    raise ZeroDivisionError(len(items))


def test_a_bug_in_a_write_reaches_its_callers_and_stops_nobody_later() -> None:
    async def scenario() -> None:
        commits = GroupCommit(nothing, timeout_seconds=5)
        async with commits.running():
            with pytest.raises(ZeroDivisionError):
                await commits.write(broken, 1)
            assert await asyncio.gather(*(commits.write(double, item) for item in range(3))) == [0, 2, 4]

    asyncio.run(scenario())


def test_a_transaction_that_hangs_is_given_up() -> None:
    async def scenario() -> None:
        commits = GroupCommit(hangs, timeout_seconds=0.05)
        async with commits.running():
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="did not answer in time"):
                    await commits.write(double, 1)

    asyncio.run(scenario())


def test_whoever_still_waits_when_it_is_closed_is_told() -> None:
    async def scenario() -> None:
        commits = GroupCommit(hangs, timeout_seconds=5)
        async with commits.running():
            under_way = asyncio.create_task(commits.write(double, 1))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            waiting = asyncio.create_task(commits.write(double, 2))
            await asyncio.sleep(0)
        for task in (under_way, waiting):
            with pytest.raises(StoreUnavailable, match="closed"):
                await task

    asyncio.run(scenario())


def test_what_nobody_waits_for_goes_with_the_next_write_that_succeeds() -> None:
    written: list[int] = []
    fails = [True, False]

    @asynccontextmanager
    async def begin() -> AsyncIterator[Any]:
        if fails.pop(0):
            raise OSError("no room")
        yield None

    async def note(_connection: Any, items: Sequence[int]) -> list[None]:
        written.extend(items)
        return [None] * len(items)

    async def scenario() -> None:
        commits = GroupCommit(begin, timeout_seconds=5)
        async with commits.running():
            commits.write_later(note, 1)
            commits.write_later(note, 2)
            with pytest.raises(StoreUnavailable, match="no room"):
                await commits.write(double, 1)
            commits.write_later(note, 3)
            assert await commits.write(double, 1) == 2
        assert written == [1, 2, 3]

    asyncio.run(scenario())

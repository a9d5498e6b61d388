"""Group commit on its own: what becomes of callers when a write fails, hangs or is closed."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from mynatca_webhook.store.commits import GroupCommit
from mynatca_webhook.store.database import Work
from mynatca_webhook.store.errors import StoreUnavailable


async def at_once(work: Work[Any]) -> Any:
    return await work(cast("AsyncConnection", None))


async def slow(work: Work[Any]) -> Any:
    await asyncio.sleep(0.3)
    return await at_once(work)


async def double(_connection: Any, items: Sequence[int]) -> list[int]:
    return [2 * item for item in items]


async def broken(_connection: Any, items: Sequence[int]) -> list[int]:
    raise ZeroDivisionError(len(items))


def test_a_bug_in_a_write_reaches_its_callers_and_stops_nobody_later() -> None:
    async def scenario() -> None:
        commits = GroupCommit(at_once, timeout_seconds=5)
        async with commits.running():
            with pytest.raises(ZeroDivisionError):
                await commits.write(broken, 1)
            assert await asyncio.gather(*(commits.write(double, item) for item in range(3))) == [0, 2, 4]

    asyncio.run(scenario())


def test_writes_that_are_gathered_share_a_transaction() -> None:
    transactions: list[int] = []

    async def note(_connection: Any, items: Sequence[int]) -> list[None]:
        transactions.append(len(items))
        return [None] * len(items)

    async def scenario() -> None:
        commits = GroupCommit(at_once, timeout_seconds=5)
        commits.gather(0.5)
        async with commits.running(), asyncio.TaskGroup() as writing:
            for item in range(3):
                writing.create_task(commits.write(note, item))
                for _ in range(10):  # one alone would be written meanwhile
                    await asyncio.sleep(0)

    asyncio.run(scenario())
    assert transactions == [3]


def test_a_caller_does_not_wait_longer_than_it_may() -> None:
    """And what it gave up is not written later, unless its transaction was under way already."""
    written: list[int] = []

    async def note(_connection: Any, items: Sequence[int]) -> list[None]:
        written.extend(items)
        return [None] * len(items)

    async def scenario() -> None:
        commits = GroupCommit(slow, timeout_seconds=0.1)
        async with commits.running():
            under_way = asyncio.create_task(commits.write(note, 1))
            await asyncio.sleep(0.05)
            for task in (under_way, asyncio.create_task(commits.write(note, 2))):
                with pytest.raises(StoreUnavailable, match="did not answer in time"):
                    await task
            commits.write_later(note, 3)
        assert written == [1]

    asyncio.run(scenario())


def test_at_the_close_what_is_under_way_is_written_and_others_are_told() -> None:
    async def scenario() -> None:
        commits = GroupCommit(slow, timeout_seconds=5)
        async with commits.running():
            under_way = asyncio.create_task(commits.write(double, 1))
            await asyncio.sleep(0.05)
            waiting = asyncio.create_task(commits.write(double, 2))
            await asyncio.sleep(0)
        assert await under_way == 2
        with pytest.raises(StoreUnavailable, match="closed"):
            await waiting
        with pytest.raises(StoreUnavailable, match="closed"):
            await commits.write(double, 3)

    asyncio.run(scenario())


def test_it_can_be_closed_while_the_last_write_is_under_way() -> None:
    async def scenario() -> None:
        commits = GroupCommit(slow, timeout_seconds=5)
        async with commits.running():
            under_way = asyncio.create_task(commits.write(double, 1))
            await asyncio.sleep(0.05)
        assert await under_way == 2

    asyncio.run(asyncio.wait_for(scenario(), 10))


def test_what_nobody_waits_for_goes_with_the_next_write_that_succeeds() -> None:
    written: list[int] = []
    fails = [True, False]

    async def now_and_then(work: Work[Any]) -> Any:
        if fails.pop(0):
            raise OSError("no room")
        return await at_once(work)

    async def note(_connection: Any, items: Sequence[int]) -> list[None]:
        written.extend(items)
        return [None] * len(items)

    async def scenario() -> None:
        commits = GroupCommit(now_and_then, timeout_seconds=5)
        async with commits.running():
            commits.write_later(note, 1)
            commits.write_later(note, 2)
            with pytest.raises(StoreUnavailable, match="no room"):
                await commits.write(double, 1)
            commits.write_later(note, 3)
            assert await commits.write(double, 1) == 2
        assert written == [1, 2, 3]

    asyncio.run(scenario())

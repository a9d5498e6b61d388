"""Uses of keys: counted by minute, for all processes together."""

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from mynatca_webhook.store.event_store import EventStore
from support.stores import execute, patient_store

InStore = Callable[[Callable[[EventStore], Coroutine[None, None, None]]], None]


async def move(store: EventStore, minutes: int) -> None:
    """Let what was counted so far be of another minute."""
    await execute(store, f"UPDATE webhook_uses SET minute = minute + {minutes}")  # noqa: S608


async def begin(store: EventStore, *names: str) -> None:
    """Let a minute begin for these keys that does not end within the test."""
    for name in names:
        await store.count_use(name)
    await move(store, 1)


def test_each_key_is_counted_by_itself_and_at_once(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        await begin(store, "a", "b")
        together = await asyncio.gather(*(store.count_use(name) for name in "ababa"))
        assert [uses.count for uses in together] == [2, 2, 3, 3, 4]
        assert all(0 < uses.seconds_left <= 60 for uses in together)

    in_store(scenario)


def test_processes_count_together(url: str) -> None:
    async def scenario() -> None:
        async with patient_store(url) as one, patient_store(url) as other:
            await begin(one, "a")
            counted = await asyncio.gather(*(store.count_use("a") for store in (one, other) * 20))
            assert sorted(uses.count for uses in counted) == list(range(2, 42))

    asyncio.run(scenario())


@pytest.mark.parametrize("minutes", [-1, -1000, 1000])
def test_another_minute_begins_with_nothing(in_store: InStore, minutes: int) -> None:
    """Earlier or, after the database's clock was set back, much later."""

    async def scenario(store: EventStore) -> None:
        await begin(store, "a")
        await store.count_use("a")
        await move(store, minutes - 1)
        assert (await store.count_use("a")).count == 1

    in_store(scenario)

"""Turns: one holder at a time among all who share a store, and none that outlives its holder for long."""

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable

import pytest

from mynatca_webhook.store.errors import LeaseLost, StoreUnavailable
from mynatca_webhook.store.event_store import TURN_SECONDS, EventStore
from mynatca_webhook.store.leases import kept
from support.stores import execute, patient_store

InStore = Callable[[Callable[[EventStore], Awaitable[None]]], None]


def test_stores_take_turns(url: str) -> None:
    held: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def hold(store: EventStore, whose: str) -> None:
        async with store.turn(*whose):
            held.update(whose)
            for each in whose:
                most[each] = max(most[each], held[each])
            await asyncio.sleep(0.01)
            held.subtract(whose)
        await store.ensure_writable()

    async def scenario() -> None:
        async with patient_store(url) as one, patient_store(url) as other:
            together = ("a", "ab", "bc", "ca", "c")
            await asyncio.gather(*(hold(store, whose) for store in (one, other) * 2 for whose in together))

    asyncio.run(scenario())
    assert (most, held) == ({"a": 1, "b": 1, "c": 1}, {"a": 0, "b": 0, "c": 0})


def test_what_is_held_in_part_is_not_taken_at_all(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        async with store.turn("a"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5), store.turn("a", "b"):
                    pass
            async with asyncio.timeout(30), store.turn("b") as ended_ago:
                assert ended_ago > 1e6  # as if it had never been held

    in_store(scenario)


def test_a_turn_tells_how_long_ago_the_last_one_ended(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        async with store.turn("a") as first:
            await asyncio.sleep(0.2)
        await store.ensure_writable()
        clock = asyncio.get_running_loop()
        ended = clock.time()
        async with store.turn("a") as second:
            assert second <= clock.time() - ended + 0.1
        await store.ensure_writable()
        await asyncio.sleep(0.2)
        async with store.turn("a") as third:
            pass
        assert first == math.inf
        assert third >= 0.2

    in_store(scenario)


def test_of_several_the_latest_end_counts(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        async with store.turn("a"):
            pass
        async with store.turn("a", "b") as ended_ago:
            assert ended_ago < 60
        async with store.turn("b", "c") as ended_ago:
            assert ended_ago < 60

    in_store(scenario)


def test_the_turn_of_a_killed_process_is_free_after_its_time(url: str) -> None:
    async def scenario() -> None:
        async with patient_store(url) as killed, patient_store(url) as store:
            turn = killed.turn("a")
            await turn.__aenter__()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1), store.turn("a"):
                    pass
            await execute(store, f"UPDATE webhook_turns SET held_until = held_until - {TURN_SECONDS}")  # noqa: S608
            async with asyncio.timeout(30), store.turn("a") as ended_ago:
                assert ended_ago >= 0
            await turn.__aexit__(None, None, None)

    asyncio.run(scenario())


def test_who_loses_a_turn_is_cut_off(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        async def lose() -> None:
            async with store.turn("a"):
                await execute(store, "UPDATE webhook_turns SET holder = 'somebody else'")
                await asyncio.sleep(TURN_SECONDS * 2)

        with pytest.raises(LeaseLost):
            await lose()
        assert await execute(store, "SELECT holder FROM webhook_turns") == "somebody else"

    in_store(scenario)


def test_what_is_renewed_is_kept() -> None:
    renewed: list[float] = []

    async def scenario() -> None:
        clock = asyncio.get_running_loop()

        async def renew() -> None:
            renewed.append(clock.time())

        async with kept(renew, 3, clock.time()):
            await asyncio.sleep(5)

    asyncio.run(scenario())
    assert len(renewed) >= 2


def test_what_cannot_be_renewed_is_given_up_when_it_ends() -> None:
    asked: list[float] = []

    async def scenario() -> None:
        clock = asyncio.get_running_loop()

        async def renew() -> None:
            asked.append(clock.time())
            raise StoreUnavailable("it is away")

        with pytest.raises(LeaseLost):
            async with kept(renew, 0.5, clock.time()):
                await asyncio.sleep(60)

    asyncio.run(scenario())
    assert len(asked) >= 2

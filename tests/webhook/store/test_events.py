"""Events and jobs: known ones, coalescing, leases, retries, dead letters."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from sqlalchemy import event as listen

from mynatca_webhook.store import queue
from mynatca_webhook.store.errors import LeaseLost
from mynatca_webhook.store.event import MAX_TEXT, Depth, Event, Job, Pruned
from mynatca_webhook.store.event_store import EventStore
from mynatca_webhook.store.upkeep import Keep
from support.stores import event, ids, patient_store

InStore = Callable[[Callable[[EventStore], Coroutine[Any, Any, None]]], None]
LEASE = 1000
FOREVER = timedelta(days=1000)


async def claim_one(store: EventStore, lease_seconds: float = LEASE) -> Job:
    [job] = await store.claim(1, lease_seconds)
    return job


def counts(depth: Depth) -> tuple[int, int, int]:
    return depth.waiting, depth.claimed, depth.dead


def commits(store: EventStore) -> list[object]:
    """Grows with each transaction that is committed from now on."""
    seen: list[object] = []
    listen.listen(store._looks._database.engine, "commit", seen.append)
    return seen


# ---- in


def test_a_job_brings_the_event_back_as_it_was(in_store: InStore) -> None:
    moment = datetime(2026, 11, 23, 2, 30, 0, 250_000, UTC)
    one = Event("n1", "contact.user.created", "Zoë 1", moment, moment + timedelta(seconds=2), {"contact_id": "Zoë 1"})

    async def scenario(store: EventStore) -> None:
        assert await store.accept(one)
        job = await claim_one(store)
        assert (job.key, job.events, job.attempts, job.reason) == ("Zoë 1", (one,), 1, None)

    in_store(scenario)


def test_a_known_notification_is_not_stored_again_whatever_became_of_it(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        assert await store.accept(event("n1"))
        assert not await store.accept(event("n1"))
        job = await claim_one(store)
        assert not await store.accept(event("n1"))
        await store.done(job)
        assert not await store.accept(event("n1"))
        assert await store.claim(1, LEASE) == []

    in_store(scenario)


def test_of_deliveries_at_the_same_moment_one_is_new(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        told = await asyncio.gather(*(store.accept(event(f"n{i % 10}")) for i in range(50)))
        assert sum(told) == 10
        assert sorted(ids(await claim_one(store))) == sorted(f"n{i}" for i in range(10))

    in_store(scenario)


@pytest.mark.parametrize("text", ["", "x" * (MAX_TEXT + 1), "nul\0", "half \ud800", "two\nlines"])
def test_what_is_no_id_does_not_become_an_event(text: str) -> None:
    """One of them would make PostgreSQL refuse all events of the same transaction."""
    with pytest.raises(ValueError, match="letters that no id has"):
        event(text)
    with pytest.raises(ValueError, match="letters that no id has"):
        event("n1", text)


def test_a_moment_needs_a_time_zone() -> None:
    naive = datetime(2026, 11, 23)  # noqa: DTZ001 - that is the point
    with pytest.raises(ValueError, match="time zone"):
        Event("n1", "t", "c1", naive, datetime.now(UTC))


# ---- group commit


def test_events_of_many_callers_share_transactions(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        seen = commits(store)
        await asyncio.gather(*(store.accept(event(f"n{i}", f"c{i}")) for i in range(500)))
        assert len(seen) <= 3
        assert (await store.depth()).waiting == 500

    in_store(scenario)


def test_more_than_one_transaction_can_hold_are_split(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        seen = commits(store)
        told = await asyncio.gather(*(store.accept(event(f"n{i}", f"c{i % 7}")) for i in range(1500)))
        assert all(told)
        assert len(seen) == 2

    in_store(scenario)


def test_a_caller_that_goes_away_does_not_take_others_along(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        callers = [asyncio.create_task(store.accept(event(f"n{i}"))) for i in range(10)]
        await asyncio.sleep(0)
        callers[0].cancel()
        told = await asyncio.gather(*callers, return_exceptions=True)
        assert isinstance(told[0], asyncio.CancelledError)
        assert told[1:] == [True] * 9

    in_store(scenario)


# ---- jobs


def test_a_job_is_all_events_of_a_key_oldest_first(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        for number in range(6):
            await store.accept(event(f"n{number}", f"c{number % 2}"))
        jobs = await store.claim(10, LEASE)
        assert [(job.key, ids(job)) for job in jobs] == [("c0", ["n0", "n2", "n4"]), ("c1", ["n1", "n3", "n5"])]

    in_store(scenario)


def test_a_claim_takes_no_more_than_it_may_and_those_first_that_wait_longest(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        for number in range(5):
            await store.accept(event(f"n{number}", f"c{number}"))
        assert [job.key for job in await store.claim(2, LEASE)] == ["c0", "c1"]
        assert [job.key for job in await store.claim(2, LEASE)] == ["c2", "c3"]
        assert [job.key for job in await store.claim(2, LEASE)] == ["c4"]

    in_store(scenario)


def test_events_that_come_in_meanwhile_wait_for_the_next_job(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        await store.accept(event("n1"))
        job = await claim_one(store)
        await store.accept(event("n2"))
        assert await store.claim(1, LEASE) == []
        await store.done(job)
        following = await claim_one(store)
        assert (ids(following), following.attempts) == (["n2"], 1)

    in_store(scenario)


def test_an_expired_claim_is_taken_over_and_its_first_owner_refused(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        await store.accept(event("n1"))
        first = await claim_one(store, lease_seconds=0)
        second = await claim_one(store)
        assert (ids(second), second.attempts) == (["n1"], 2)
        for refused in (store.done(first), store.retry(first, 0, ""), store.bury(first, ""), store.renew(first, 1)):
            with pytest.raises(LeaseLost):
                await refused
        await store.done(second)
        with pytest.raises(LeaseLost):
            await store.done(second)
        assert counts(await store.depth()) == (0, 0, 0)

    in_store(scenario)


def test_an_expired_claim_that_nobody_took_over_is_still_its_owners(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        await store.accept(event("n1"))
        job = await claim_one(store, lease_seconds=0)
        await store.renew(job, LEASE)
        assert await store.claim(1, LEASE) == []
        await store.done(job)

    in_store(scenario)


def test_of_two_results_at_the_same_moment_one_counts(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        await store.accept(event("n1"))
        job = await claim_one(store)
        told = await asyncio.gather(
            store.renew(job, 5), store.done(job), store.retry(job, 0, ""), return_exceptions=True
        )
        assert [type(each) for each in told] == [type(None), type(None), LeaseLost]
        assert await store.claim(1, LEASE) == []

    in_store(scenario)


def test_a_retry_comes_back_after_its_delay_with_the_reason_and_what_came_in(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        await store.accept(event("n1", "slow"))
        await store.accept(event("n2", "soon"))
        await store.accept(event("n3", "late"))
        for job, delay in zip(await store.claim(3, LEASE), (0.4, 0.2, LEASE), strict=True):
            await store.retry(job, delay, "no answer\nat all \ud800\0")
        started = time.monotonic()
        await store.accept(event("n4", "slow"))
        assert await store.claim(3, LEASE) == []
        back: list[tuple[str, float]] = []
        while len(back) < 2:
            for job in await store.claim(3, LEASE):
                back.append((job.key, time.monotonic() - started))
                assert (ids(job), job.attempts) == ((["n2"], 2) if job.key == "soon" else (["n1", "n4"], 1))
                assert job.reason == "no answer at all   "
            await store.wait_for_work(0.01)
        assert [key for key, _ in back] == ["soon", "slow"]
        assert back[1][1] > 0.3

    in_store(scenario)


def test_an_event_that_joins_a_job_that_was_put_off_is_tried_as_soon_and_as_often_as_any(
    in_store: InStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "JOIN_SECONDS", 0.5)

    async def scenario(store: EventStore) -> None:
        await store.accept(event("n1"))
        await store.retry(await claim_one(store), 0, "why")
        await store.retry(await claim_one(store), LEASE, "why")
        await store.accept(event("n1"))
        started = time.monotonic()
        await store.accept(event("n2"))
        assert await store.claim(1, LEASE) == []
        while not (jobs := await store.claim(1, LEASE)):
            assert time.monotonic() < started + 30
            await store.wait_for_work(0.01)
        assert [(ids(job), job.attempts) for job in jobs] == [(["n1", "n2"], 1)]
        await store.accept(event("n3"))
        assert await store.claim(1, LEASE) == []

    in_store(scenario)


# ---- dead letters


def test_dead_letters_say_why_and_can_be_replayed(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        for number in range(3):
            await store.accept(event(f"n{number}", f"c{number}"))
        for job in await store.claim(3, LEASE):
            await store.bury(job, f"Intercom knows no {job.key}")
        dead = await store.dead_letters()
        assert sorted((each.event.notification_id, each.reason, each.attempts) for each in dead) == [
            (f"n{number}", f"Intercom knows no c{number}", 1) for number in range(3)
        ]
        assert all(abs(datetime.now(UTC) - each.buried_at) < timedelta(minutes=1) for each in dead)
        assert not await store.accept(event("n0", "c0"))
        assert await store.replay(["n1", "unknown"]) == 1
        assert (await claim_one(store)).key == "c1"
        assert await store.replay([]) == 0
        assert await store.replay(None) == 2
        assert [job.attempts for job in await store.claim(5, LEASE)] == [1, 1]
        assert await store.dead_letters() == []

    in_store(scenario)


def test_what_came_in_while_a_job_was_buried_is_worked(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        await store.accept(event("n1"))
        job = await claim_one(store)
        await store.accept(event("n2"))
        await store.bury(job, "no")
        following = await claim_one(store)
        assert (ids(following), following.attempts, following.reason) == (["n2"], 1, None)
        assert await store.replay(None) == 1
        assert await store.claim(1, LEASE) == []
        await store.done(following)
        assert ids(await claim_one(store)) == ["n1"]

    in_store(scenario)


# ---- looking after it


def test_depth_counts_events_by_state_and_knows_the_oldest(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        assert await store.depth() == Depth(0, 0, 0, 0.0)
        old = datetime.now(UTC) - timedelta(seconds=100)
        await store.accept(Event("n1", "t", "c1", old, old))
        for number in range(2, 6):
            await store.accept(event(f"n{number}", f"c{number % 2}"))
        [first] = await store.claim(1, LEASE)
        assert ids(first) == ["n1", "n3", "n5"]
        depth = await store.depth()
        assert counts(depth) == (2, 3, 0)
        assert 99 < depth.oldest_seconds < 160
        await store.bury(first, "no")
        depth = await store.depth()
        assert counts(depth) == (2, 0, 3)
        assert depth.oldest_seconds < 60
        await claim_one(store, lease_seconds=0)
        assert counts(await store.depth()) == (2, 0, 3)

    in_store(scenario)


def test_prune_forgets_what_is_finished_and_nothing_else(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        for number, key in enumerate(("done", "dead", "waiting")):
            await store.accept(event(f"n{number}", key))
        done, dead = await store.claim(2, LEASE)
        await store.done(done)
        await store.bury(dead, "no")
        seq = await store.journal.intend("archive", contact_id="c1")
        store.journal.done(seq)
        at_once = timedelta(seconds=-60)
        assert await store.prune(Keep(FOREVER, FOREVER, FOREVER)) == Pruned(0, 0)
        assert await store.prune(Keep(at_once, FOREVER, FOREVER)) == Pruned(1, 0)
        assert await store.prune(Keep(FOREVER, at_once, at_once)) == Pruned(1, 2)
        assert counts(await store.depth()) == (1, 0, 0)
        assert await store.accept(event("n0", "done"))

    in_store(scenario)


def test_prune_goes_on_until_nothing_old_is_left(in_store: InStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mynatca_webhook.store.upkeep.CHUNK", 10)

    async def scenario(store: EventStore) -> None:
        await asyncio.gather(*(store.accept(event(f"n{i}", f"c{i}")) for i in range(35)))
        await asyncio.gather(*(store.done(job) for job in await store.claim(35, LEASE)))
        seen = commits(store)
        assert await store.prune(Keep(timedelta(seconds=-60), FOREVER, FOREVER)) == Pruned(35, 0)
        assert len(seen) == 4

    in_store(scenario)


def test_it_can_be_written(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        seen = commits(store)
        await store.ensure_writable()
        assert len(seen) == 1

    in_store(scenario)


def test_whoever_waits_for_work_wakes_when_there_is_some(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        await store.wait_for_work(0)
        waiting = asyncio.create_task(store.wait_for_work(60))
        await store.accept(event("n1"))
        await asyncio.wait_for(waiting, 5)
        waiting = asyncio.create_task(store.wait_for_work(60))
        await store.replay(None)
        await asyncio.wait_for(waiting, 5)
        job = await claim_one(store)
        await store.accept(event("n2"))
        await store.wait_for_work(60)
        await store.done(job)
        await store.wait_for_work(60)  # n2 is due now
        assert ids(await claim_one(store)) == ["n2"]

    in_store(scenario)


# ---- several workers


def test_a_key_is_worked_by_one_at_a_time_and_every_event_once(url: str) -> None:
    """Six workers, each with a store of its own, some of which let their leases run out while events come in."""
    busy: set[str] = set()
    worked: list[str] = []
    names = count()

    async def accept(store: EventStore) -> None:
        for _ in range(150):
            number = next(names)
            await store.accept(event(f"n{number}", f"c{number % 12}"))

    async def work(worker: int, accepting: "asyncio.Task[None]") -> None:
        async with patient_store(url) as store:
            while not accepting.done() or any(counts(await store.depth())):
                for job in await store.claim(3, lease_seconds=60):
                    assert job.key not in busy
                    busy.add(job.key)
                    await asyncio.sleep(0)
                    busy.discard(job.key)
                    if (worker + job.attempts) % 3 == 0:
                        await store.retry(job, 0, "once more")
                    else:
                        await store.done(job)
                        worked.extend(ids(job))
                await store.wait_for_work(0.005)

    async def scenario() -> None:
        async with patient_store(url) as one, patient_store(url) as other:
            accepting = asyncio.create_task(_both(accept(one), accept(other)))
            await asyncio.gather(accepting, *(work(worker, accepting) for worker in range(6)))

    asyncio.run(scenario())
    assert sorted(worked) == sorted(f"n{number}" for number in range(300))


async def _both(one: Coroutine[Any, Any, None], other: Coroutine[Any, Any, None]) -> None:
    await asyncio.gather(one, other)

"""Replicas at work on the same few contacts: none of them is refused because of the others."""

import asyncio
from itertools import count

from mynatca_webhook.store.event_store import EventStore
from support.stores import event, patient_store

EVENTS = 1500


async def _accept(store: EventStore, numbers: "count[int]") -> None:
    while (number := next(numbers)) < EVENTS:
        await store.accept(event(f"n{number}", f"c{number % 7}"))


async def _work(store: EventStore, ended: asyncio.Event) -> int:
    done = 0
    while True:
        jobs = await store.claim(3, 60)
        for job in jobs:
            await store.done(job)
            done += len(job.events)
        if not jobs and ended.is_set():
            return done
        await asyncio.sleep(0)


def test_writes_of_replicas_that_meet_are_repeated_and_not_refused(url: str) -> None:
    """On PostgreSQL, transactions that lock the same rows in another order are aborted by the server."""

    async def replicas() -> int:
        async with patient_store(url) as one, patient_store(url) as other:
            numbers, ended = count(), asyncio.Event()
            working = [asyncio.create_task(_work(store, ended)) for store in (one, other) for _ in range(3)]
            await asyncio.gather(*(_accept(store, numbers) for store in (one, other) for _ in range(6)))
            ended.set()
            return sum(await asyncio.gather(*working))

    assert asyncio.run(replicas()) == EVENTS

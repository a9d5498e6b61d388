"""Whatever is done with a store in whatever order: it does what a few dictionaries would."""

import asyncio
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mynatca_webhook.store import queue
from mynatca_webhook.store.errors import LeaseLost
from mynatca_webhook.store.event import Job
from mynatca_webhook.store.event_store import EventStore
from mynatca_webhook.store.tables import METADATA, STORE
from support.stores import event, execute, ids, patient_store

LONG = 1000.0
KEYS = ("a", "b", "c")

steps = st.lists(
    st.one_of(
        st.tuples(st.just("accept"), st.integers(0, 11)),
        st.tuples(st.just("accept"), st.integers(0, 11)),
        st.tuples(st.just("claim"), st.sampled_from((0.0, LONG)), st.integers(1, 3)),
        st.tuples(st.just("retry"), st.integers(0, 5), st.sampled_from((0.0, LONG))),
        st.tuples(st.just("renew"), st.integers(0, 5), st.sampled_from((0.0, LONG))),
        st.tuples(st.sampled_from(("done", "bury")), st.integers(0, 5)),
        st.tuples(st.just("replay"), st.none() | st.sets(st.integers(0, 11))),
    ),
    max_size=40,
)


@dataclass
class Model:
    """Jobs by key; a claim is named after the job object that it gave, and is due at once or much later."""

    known: set[str] = field(default_factory=set)
    waiting: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    dead: list[str] = field(default_factory=list)
    later: set[str] = field(default_factory=set)
    attempts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    owner: dict[str, Job | None] = field(default_factory=dict)

    def counts(self) -> tuple[int, int, int]:
        worked = [key for key in KEYS if self.owner.get(key) and key in self.later]
        claimed = sum(len(self.waiting[key]) for key in worked)
        return sum(map(len, self.waiting.values())) - claimed, claimed, len(self.dead)

    def join(self, name: str, key: str) -> None:
        self.waiting[key].append(name)
        if not self.owner.get(key):
            self.attempts[key] = 0

    def end(self, job: Job) -> None:
        self.waiting[job.key] = [name for name in self.waiting[job.key] if name not in ids(job)]
        self.free(job.key)
        self.attempts[job.key] = 0

    def free(self, key: str, *, later: bool = False) -> None:
        self.owner[key] = None
        (self.later.add if later else self.later.discard)(key)


class Both:
    """Does each step in the store and in the model, and compares."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.model = Model()
        self.jobs: list[Job] = []

    async def accept(self, number: int) -> None:
        name, key = f"n{number}", KEYS[number % 3]
        assert await self.store.accept(event(name, key)) is (name not in self.model.known)
        if name not in self.model.known:
            self.model.known.add(name)
            self.model.join(name, key)

    async def claim(self, lease: float, limit: int) -> None:
        due = [key for key in KEYS if self.model.waiting[key] and key not in self.model.later]
        jobs = await self.store.claim(limit, lease)
        assert len(jobs) == min(limit, len(due))
        for job in jobs:
            assert job.key in due
            assert sorted(ids(job)) == sorted(self.model.waiting[job.key])
            self.model.attempts[job.key] += 1
            assert job.attempts == self.model.attempts[job.key]
            self.model.owner[job.key] = job
            (self.model.later.add if lease else self.model.later.discard)(job.key)
        self.jobs += jobs

    async def settle(self, what: str, which: int, *delay: float) -> None:
        if not self.jobs:
            return
        job = self.jobs[which % len(self.jobs)]
        call = getattr(self.store, what)(job, *delay, *([] if what in ("done", "renew") else ["why"]))
        try:
            await call
        except LeaseLost:
            assert self.model.owner[job.key] is not job
        else:
            assert self.model.owner[job.key] is job
            self.settled(what, job, later=any(delay))

    def settled(self, what: str, job: Job, *, later: bool) -> None:
        if what == "renew":
            (self.model.later.add if later else self.model.later.discard)(job.key)
        elif what == "retry":
            self.model.free(job.key, later=later)
        else:
            self.model.end(job)
            self.model.dead += ids(job) if what == "bury" else []

    async def replay(self, numbers: Collection[int] | None) -> None:
        chosen = [name for name in self.model.dead if numbers is None or int(name[1:]) in numbers]
        names = None if numbers is None else [f"n{number}" for number in numbers]
        assert await self.store.replay(names) == len(chosen)
        for name in chosen:
            self.model.dead.remove(name)
            self.model.join(name, KEYS[int(name[1:]) % 3])

    async def step(self, what: str, *arguments: Any) -> None:
        if what in ("accept", "claim", "replay"):
            await getattr(self, what)(*arguments)
        else:
            await self.settle(what, *arguments)
        depth = await self.store.depth()
        assert (depth.waiting, depth.claimed, depth.dead) == self.model.counts()
        assert sorted(each.event.notification_id for each in await self.store.dead_letters()) == sorted(self.model.dead)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=steps)
def test_the_store_does_what_the_model_does(
    url: str, steps: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "JOIN_SECONDS", LONG)  # so that time changes nothing

    async def scenario() -> None:
        async with patient_store(url) as store:
            for table in METADATA.sorted_tables:
                if table is not STORE:
                    await execute(store, f"DELETE FROM {table.name}")  # noqa: S608
            both = Both(store)
            for step in steps:
                await both.step(*step)

    asyncio.run(scenario())

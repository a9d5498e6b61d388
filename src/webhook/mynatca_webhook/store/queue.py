"""What happens to events, as SQL: each function takes many at once and works within its caller's transaction.

Replicas never block one another for good: who adds events locks them by notification id, then their jobs by key; who
settles jobs locks them by key, then only their own events; who claims passes over what is locked. A group commit does
several of these one after the other, so that two may still meet crosswise: then one gives way and begins anew.

Statements are made once: a transaction keeps others waiting, in SQLite everybody.
"""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    Double,
    Insert,
    Row,
    and_,
    bindparam,
    case,
    delete,
    func,
    not_,
    select,
    type_coerce,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from mynatca_webhook.store.databases import insert_into, now
from mynatca_webhook.store.event import DeadLetter, Depth, Event, Job
from mynatca_webhook.store.tables import EVENTS, JOBS

JOIN_SECONDS = 5.0
"""A job that was put off is due within so long once another event joins it: as soon as it was put off but once."""

_WAITING = EVENTS.c.state == "waiting"
_DEAD = EVENTS.c.state == "dead"


@dataclass(frozen=True, slots=True)
class Request:
    """Asks for jobs: `limit` of them at most, for so many seconds."""

    limit: int
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to become of a claimed job: finished, buried, put off or kept for so many seconds from now."""

    job: Job
    outcome: Literal["done", "dead", "retry", "renew"]
    seconds: float = 0
    reason: str | None = None


# ---- in


async def insert_events(connection: AsyncConnection, events: Sequence[Event]) -> list[bool]:
    """Store events, each with its job; tells of each whether it is new."""
    by_id = {event.notification_id: event for event in events}
    rows = [_row(event) for _, event in sorted(by_id.items())]
    new = set((await connection.execute(_insert_event(connection.dialect.name), rows)).scalars())
    await _open_jobs(connection, {by_id[notification_id].key for notification_id in new})
    told = []
    for event in events:
        told.append(event.notification_id in new)
        new.discard(event.notification_id)  # the same event twice in one group
    return told


def _row(event: Event) -> dict[str, Any]:
    return {
        "notification_id": event.notification_id,
        "topic": event.topic,
        "key": event.key,
        "created_at": event.created_at,
        "received_at": event.received_at,
        "payload": dict(event.payload),
        "state": "waiting",
    }


async def _open_jobs(connection: AsyncConnection, keys: Collection[str]) -> None:
    """See to it that each of these keys has a job, due at once unless it has one already.

    One that waits begins anew with its attempts and waits, as each event is to be tried as often as any other.
    """
    if keys:
        rows = [{"key": key, "join": JOIN_SECONDS} for key in sorted(keys)]
        await connection.execute(_open_job(connection.dialect.name), rows)


@cache
def _insert_event(dialect: str) -> ReturningInsert[str]:
    return insert_into(dialect, EVENTS).on_conflict_do_nothing().returning(EVENTS.c.notification_id)


@cache
def _open_job(dialect: str) -> Insert:
    insert = insert_into(dialect, JOBS).values(key=bindparam("key"), due_at=now(), attempts=0)
    free, soon = JOBS.c.claim.is_(None), now() + bindparam("join", type_=Double)
    # Of a claimed one it sets nothing, but locks the row: a worker that is about to remove it waits, and then sees the
    # new event.
    set_ = {
        "attempts": case((free, 0), else_=JOBS.c.attempts),
        "due_at": case((and_(free, JOBS.c.due_at > soon), soon), else_=JOBS.c.due_at),
    }
    return insert.on_conflict_do_update(index_elements=[JOBS.c.key], set_=set_)


# ---- out


_DUE = select(JOBS.c.key).where(JOBS.c.due_at <= now()).order_by(JOBS.c.due_at, JOBS.c.key).limit(bindparam("most"))
_PICKED = _DUE.with_for_update(skip_locked=True).cte("picked")  # SQLite knows no such lock, and needs none
_TAKE = (
    update(JOBS)
    .where(JOBS.c.key.in_(select(_PICKED.c.key)))
    .values(claim=bindparam("claimed"), attempts=JOBS.c.attempts + 1, due_at=now() + bindparam("seconds", type_=Double))
    .returning(JOBS.c.key, JOBS.c.attempts, JOBS.c.reason)
)
_OF_KEYS = EVENTS.c.key.in_(bindparam("keys", expanding=True))
_WAITING_EVENTS = select(EVENTS).where(_WAITING, _OF_KEYS).order_by(EVENTS.c.received_at, EVENTS.c.id)


async def claim_jobs(connection: AsyncConnection, requests: Sequence[Request]) -> list[list[Job]]:
    """Take jobs that are due, longest due first, and for as long as the lease lasts keep others from taking them."""
    return [await _claim(connection, request) for request in requests]


async def _claim(connection: AsyncConnection, request: Request) -> list[Job]:
    claim = secrets.token_hex(8)
    values = {"most": request.limit, "claimed": claim, "seconds": float(request.lease_seconds)}
    taken = (await connection.execute(_TAKE, values)).all()
    events = await _waiting_events(connection, [row.key for row in taken])
    jobs = [Job(row.key, tuple(events[row.key]), row.attempts, row.reason, claim) for row in taken]
    return sorted(jobs, key=lambda job: [event.received_at for event in job.events[:1]])


async def _waiting_events(connection: AsyncConnection, keys: Collection[str]) -> dict[str, list[Event]]:
    """By key, oldest first."""
    events: dict[str, list[Event]] = {key: [] for key in keys}
    if keys:
        for row in await connection.execute(_WAITING_EVENTS, {"keys": list(keys)}):
            events[row.key].append(_event(row))
    return events


def _event(row: Row[Any]) -> Event:
    return Event(row.notification_id, row.topic, row.key, row.created_at, row.received_at, row.payload)


# ---- what becomes of them


_JOBS_OF_KEYS = JOBS.c.key.in_(bindparam("keys", expanding=True))
_LOCK_JOBS = select(JOBS.c.key, JOBS.c.claim).where(_JOBS_OF_KEYS).order_by(JOBS.c.key).with_for_update()
_PUT_OFF = (
    update(JOBS)
    .where(JOBS.c.key == bindparam("of"))
    .values(claim=bindparam("claimed"), due_at=now() + bindparam("seconds", type_=Double), reason=bindparam("why"))
)
_END = (
    update(EVENTS)
    .where(EVENTS.c.notification_id == bindparam("of"))
    .values(state=bindparam("outcome"), ended_at=now(), attempts=bindparam("tries"), reason=bindparam("why"))
)
_KEYS_LEFT = select(EVENTS.c.key).where(_WAITING, _OF_KEYS).distinct()
_ANEW = update(JOBS).where(_JOBS_OF_KEYS).values(claim=None, attempts=0, reason=None, due_at=now())
_CLOSE = delete(JOBS).where(_JOBS_OF_KEYS)


async def settle_jobs(connection: AsyncConnection, settlements: Sequence[Settlement]) -> list[bool]:
    """Finish, bury, put off or keep claimed jobs; False for one that is no longer its claimant's: it stays as it is."""
    claims = await _lock_jobs(connection, {settlement.job.key for settlement in settlements})
    told: list[bool] = []
    for settlement in settlements:
        told.append(claims.get(settlement.job.key) == settlement.job.claim)
        if told[-1] and settlement.outcome != "renew":
            del claims[settlement.job.key]
    ours = [settlement for settlement, held in zip(settlements, told, strict=True) if held]
    await _put_off(connection, [one for one in ours if one.outcome in ("retry", "renew")])
    await _end(connection, [one for one in ours if one.outcome in ("done", "dead")])
    return told


async def _lock_jobs(connection: AsyncConnection, keys: Collection[str]) -> dict[str, str | None]:
    """The claim that is on each of these keys; it stays so for the rest of the transaction."""
    return {row.key: row.claim for row in await connection.execute(_LOCK_JOBS, {"keys": list(keys)})}


async def _put_off(connection: AsyncConnection, settlements: Sequence[Settlement]) -> None:
    rows = [
        {
            "of": one.job.key,
            "claimed": one.job.claim if one.outcome == "renew" else None,
            "seconds": float(one.seconds),
            "why": one.job.reason if one.outcome == "renew" else one.reason,
        }
        for one in settlements
    ]
    if rows:
        await connection.execute(_PUT_OFF, rows)


async def _end(connection: AsyncConnection, settlements: Sequence[Settlement]) -> None:
    rows = [
        {"of": event.notification_id, "outcome": one.outcome, "tries": one.job.attempts, "why": one.reason}
        for one in settlements
        for event in one.job.events
    ]
    if rows:
        await connection.execute(_END, rows)
        await _close_jobs(connection, {one.job.key for one in settlements})


async def _close_jobs(connection: AsyncConnection, keys: Collection[str]) -> None:
    """Remove jobs; one whose key got events meanwhile begins anew with those."""
    more = set((await connection.execute(_KEYS_LEFT, {"keys": list(keys)})).scalars())
    if more:
        await connection.execute(_ANEW, {"keys": list(more)})
    await connection.execute(_CLOSE, {"keys": list(set(keys) - more)})


async def revive_events(connection: AsyncConnection, choices: Sequence[Collection[str] | None]) -> list[int]:
    """Let dead letters wait again: those of these notification ids, or all; returns how many."""
    return [await _revive(connection, ids) for ids in choices]


async def _revive(connection: AsyncConnection, ids: Collection[str] | None) -> int:
    chosen = _DEAD if ids is None else and_(_DEAD, EVENTS.c.notification_id.in_(ids))
    waiting = {"state": "waiting", "ended_at": None, "attempts": None, "reason": None}
    keys = (await connection.execute(update(EVENTS).where(chosen).values(waiting).returning(EVENTS.c.key))).scalars()
    revived = keys.all()
    await _open_jobs(connection, set(revived))
    return len(revived)


# ---- looks


async def dead_letters(connection: AsyncConnection) -> list[DeadLetter]:
    """All of them, longest dead first."""
    dead = select(EVENTS).where(_DEAD).order_by(EVENTS.c.ended_at, EVENTS.c.id)
    return [DeadLetter(_event(row), row.attempts, row.reason, row.ended_at) for row in await connection.execute(dead)]


async def depth(connection: AsyncConnection) -> Depth:
    """Count events that are not finished."""
    worked = and_(JOBS.c.claim.is_not(None), JOBS.c.due_at > now())
    counts = (
        select(
            _count(and_(_WAITING, not_(worked))).label("waiting"),
            _count(and_(_WAITING, worked)).label("claimed"),
            _count(_DEAD).label("dead"),
            func.max(case((_WAITING, now() - type_coerce(EVENTS.c.received_at, Double)))).label("oldest"),
        )
        .select_from(EVENTS.outerjoin(JOBS, JOBS.c.key == EVENTS.c.key))
        .where(EVENTS.c.state.in_(("waiting", "dead")))
    )
    row = (await connection.execute(counts)).one()
    return Depth(row.waiting, row.claimed, row.dead, max(0.0, row.oldest or 0.0))


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count(case((condition, 1)))

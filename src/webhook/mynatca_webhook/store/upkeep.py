"""Setting the store up, proving that it can be written, and removing what is too old."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Double, Table, delete, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mynatca_webhook.store.databases import insert_into, now, one_at_a_time
from mynatca_webhook.store.errors import StoreUnavailable
from mynatca_webhook.store.event import Pruned
from mynatca_webhook.store.steps import STEPS, VERSION
from mynatca_webhook.store.tables import EVENTS, JOURNAL, METADATA, STORE

CHUNK = 1000
"""Rows of a kind that one transaction removes at most, as events are not accepted meanwhile."""


@dataclass(frozen=True, slots=True)
class Keep:
    """For how long finished events (as long their ids are known), dead letters and the journal are kept."""

    finished: timedelta
    dead: timedelta
    journal: timedelta


async def set_up(connection: AsyncConnection, asked: Sequence[None]) -> Sequence[None]:
    """Make the tables of a new store, and step those of an older version up; several processes may do so at once.

    Raises:
        StoreUnavailable: the tables are those of a newer version of this program; they stay as they are.
    """
    await one_at_a_time(connection)
    await connection.run_sync(STORE.create, checkfirst=True)
    latest = select(STORE.c.version).order_by(STORE.c.version.desc()).limit(1)
    found = (await connection.execute(latest)).scalar()
    if found is None:
        await connection.run_sync(METADATA.create_all)
        await connection.execute(insert_into(connection.dialect.name, STORE).values(version=VERSION, written_at=now()))
    elif found > VERSION:
        raise StoreUnavailable(
            f"the store has version {found} of the tables, this program knows up to {VERSION}: use a newer one"
        )
    elif found < VERSION:
        for step in STEPS[found - 1 :]:
            await step(connection)
        await connection.execute(update(STORE).values(version=VERSION))
    return asked


async def write_something(connection: AsyncConnection, asked: Sequence[None]) -> Sequence[None]:
    """Prove that something can be written."""
    await connection.execute(update(STORE).values(written_at=now()))
    return asked


async def prune(connection: AsyncConnection, keeps: Sequence[Keep]) -> list[tuple[Pruned, bool]]:
    """Remove what is too old, up to a bound; tells how much that was, and whether there is more of it."""
    return [await _prune(connection, keep) for keep in keeps]


async def _prune(connection: AsyncConnection, keep: Keep) -> tuple[Pruned, bool]:
    done = await _remove(connection, EVENTS, EVENTS.c.ended_at, keep.finished, EVENTS.c.state == "done")
    dead = await _remove(connection, EVENTS, EVENTS.c.ended_at, keep.dead, EVENTS.c.state == "dead")
    lines = await _remove(connection, JOURNAL, JOURNAL.c.at, keep.journal)
    return Pruned(done + dead, lines), CHUNK in (done, dead, lines)


async def _remove(
    connection: AsyncConnection, table: Table, moment: ColumnElement[Any], keep: timedelta, *which: ColumnElement[bool]
) -> int:
    too_old = type_coerce(moment, Double) < now() - keep.total_seconds()
    chosen = select(table.c.id).where(too_old, *which).limit(CHUNK)
    free = chosen.with_for_update(skip_locked=True)  # of two replicas that prune at once, neither waits for the other
    result: CursorResult[Any] = await connection.execute(delete(table).where(table.c.id.in_(free)))
    return result.rowcount

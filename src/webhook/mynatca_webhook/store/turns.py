"""Turns among everybody who shares the store, as SQL: a turn is held for some seconds, then it is free.

Its row stays, and tells the next one when the turn ended. There is one for each contact and member that ever had one,
so that none has to be removed.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import CursorResult, Double, Update, and_, bindparam, func, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningInsert

from mynatca_webhook.store.databases import insert_into, now
from mynatca_webhook.store.tables import TURNS


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody's turn of all of these, and by which name the one who asks for it or has it is known."""

    whose: Collection[str]
    holder: str
    seconds: float


async def take_turns(connection: AsyncConnection, asked: Sequence[Turn]) -> list[float | None]:
    """Take those that are free altogether; tells how many seconds ago any of it was last held, None if any is."""
    first = {each: turn for turn in reversed(asked) for each in turn.whose}
    rows = [{"of": each, "by": turn.holder, "seconds": turn.seconds} for each, turn in sorted(first.items())]
    taken: dict[str, list[float]] = {turn.holder: [] for turn in asked}
    for row in await connection.execute(_take(connection.dialect.name), rows):
        taken[row.holder].append(math.inf if row.ago is None else row.ago)
    whole = [len(taken[turn.holder]) == len(turn.whose) for turn in asked]
    parts = [turn for turn, is_whole in zip(asked, whole, strict=True) if taken[turn.holder] and not is_whole]
    await _execute(connection, _GIVE_BACK, parts)
    return [min(taken[turn.holder]) if is_whole else None for turn, is_whole in zip(asked, whole, strict=True)]


@cache
def _take(dialect: str) -> ReturningInsert[Any]:
    insert = insert_into(dialect, TURNS).values(
        whose=bindparam("of"), holder=bindparam("by"), held_until=now() + bindparam("seconds", type_=Double)
    )
    return insert.on_conflict_do_update(
        index_elements=[TURNS.c.whose],
        set_={
            "holder": insert.excluded.holder,
            "held_until": insert.excluded.held_until,
            "former_until": TURNS.c.held_until,
        },
        where=TURNS.c.held_until <= now(),
    ).returning(TURNS.c.holder, (now() - TURNS.c.former_until).label("ago"))


_HELD = and_(TURNS.c.whose == bindparam("of"), TURNS.c.holder == bindparam("by"))
_GIVE_BACK = update(TURNS).where(_HELD).values(held_until=func.coalesce(TURNS.c.former_until, 0))
_END = update(TURNS).where(_HELD, TURNS.c.held_until > now()).values(held_until=now())
_RENEW = (
    update(TURNS)
    .where(TURNS.c.whose.in_(bindparam("of", expanding=True)), TURNS.c.holder == bindparam("by"))
    .values(held_until=now() + bindparam("seconds", type_=Double))
)


async def renew_turns(connection: AsyncConnection, turns: Sequence[Turn]) -> list[bool]:
    """Keep turns; False for one that is another's now."""
    return [await _renew(connection, turn) for turn in turns]


async def _renew(connection: AsyncConnection, turn: Turn) -> bool:
    values = {"of": list(turn.whose), "by": turn.holder, "seconds": turn.seconds}
    result: CursorResult[Any] = await connection.execute(_RENEW, values)
    return result.rowcount == len(turn.whose)


async def end_turns(connection: AsyncConnection, turns: Sequence[Turn]) -> Sequence[None]:
    """Let others have them; nothing happens to what is another's already."""
    await _execute(connection, _END, turns)
    return [None] * len(turns)


async def _execute(connection: AsyncConnection, statement: Update, turns: Sequence[Turn]) -> None:
    rows = sorted((each, turn.holder) for turn in turns for each in turn.whose)
    if rows:
        await connection.execute(statement, [{"of": each, "by": holder} for each, holder in rows])

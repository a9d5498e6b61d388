"""Turns among everybody who shares the store, as SQL: a turn is held for some seconds, then it is free.

Its row stays, and tells the next one when the turn ended. There is one for each contact and member that ever had one,
so that none has to be removed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, Double, and_, bindparam, update
from sqlalchemy.ext.asyncio import AsyncConnection

from mynatca_webhook.store.databases import insert_into, now
from mynatca_webhook.store.tables import TURNS


@dataclass(frozen=True, slots=True)
class Turn:
    """Somebody's turn: whose, and by which name the one who asks for it or has it is known."""

    whose: str
    holder: str
    seconds: float


async def take_turns(connection: AsyncConnection, asked: Sequence[Turn]) -> list[float | None]:
    """Take those that are free; tells of each how many seconds ago it was held, infinity for never, None if it is."""
    first = {turn.whose: turn for turn in reversed(asked)}
    insert = insert_into(connection.dialect.name, TURNS).values(
        whose=bindparam("of"), holder=bindparam("by"), held_until=now() + bindparam("seconds", type_=Double)
    )
    take = insert.on_conflict_do_update(
        index_elements=[TURNS.c.whose],
        set_={
            "holder": insert.excluded.holder,
            "held_until": insert.excluded.held_until,
            "former_until": TURNS.c.held_until,
        },
        where=TURNS.c.held_until <= now(),
    ).returning(TURNS.c.holder, (now() - TURNS.c.former_until).label("ago"))
    rows = [{"of": turn.whose, "by": turn.holder, "seconds": turn.seconds} for _, turn in sorted(first.items())]
    taken = {row.holder: row.ago for row in await connection.execute(take, rows)}
    return [
        None if turn.holder not in taken else float("inf") if taken[turn.holder] is None else taken[turn.holder]
        for turn in asked
    ]


_HELD = and_(TURNS.c.whose == bindparam("of"), TURNS.c.holder == bindparam("by"))
_RENEW = update(TURNS).where(_HELD).values(held_until=now() + bindparam("seconds", type_=Double))
_END = update(TURNS).where(_HELD, TURNS.c.held_until > now()).values(held_until=now())


async def renew_turns(connection: AsyncConnection, turns: Sequence[Turn]) -> list[bool]:
    """Keep turns; False for one that is another's now."""
    return [await _renew(connection, turn) for turn in turns]


async def _renew(connection: AsyncConnection, turn: Turn) -> bool:
    values = {"of": turn.whose, "by": turn.holder, "seconds": turn.seconds}
    result: CursorResult[Any] = await connection.execute(_RENEW, values)
    return result.rowcount == 1


async def end_turns(connection: AsyncConnection, turns: Sequence[Turn]) -> Sequence[None]:
    """Let others have them; nothing happens to one that is another's already."""
    rows = [{"of": turn.whose, "by": turn.holder} for turn in sorted(turns, key=lambda turn: turn.whose)]
    await connection.execute(_END, rows)
    return [None] * len(turns)

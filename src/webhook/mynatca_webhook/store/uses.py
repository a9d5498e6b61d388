"""How often keys are used: counted by minute and by the database's clock, so that a limit holds for all replicas."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mynatca_webhook.store.databases import insert_into, now
from mynatca_webhook.store.tables import USES


@dataclass(frozen=True, slots=True)
class Uses:
    """How often a key was used in this minute, and for how many seconds the minute still lasts."""

    count: int
    seconds_left: float


async def count_uses(connection: AsyncConnection, key_names: Sequence[str]) -> list[Uses]:
    """Count a use of each key; a name may be there several times."""
    moment = (await connection.execute(select(now()))).scalar_one()
    minute, seconds = divmod(moment, 60)
    new = Counter(key_names)
    before = {name: await _count(connection, name, int(minute), new[name]) - new[name] for name in sorted(new)}
    told = []
    for name in key_names:
        before[name] += 1
        told.append(Uses(before[name], 60 - seconds))
    return told


async def _count(connection: AsyncConnection, key_name: str, minute: int, more: int) -> int:
    """How many uses a key has with these."""
    # Another replica may have begun the next minute already, in a transaction that committed first.
    goes_on = USES.c.minute.in_((minute, minute + 1))
    counted = (
        insert_into(connection.dialect.name, USES)
        .values(key_name=key_name, minute=minute, uses=more)
        .on_conflict_do_update(
            index_elements=[USES.c.key_name],
            set_={
                "minute": case((goes_on, USES.c.minute), else_=minute),
                "uses": case((goes_on, USES.c.uses), else_=0) + more,
            },
        )
        .returning(USES.c.uses)
    )
    uses: int = (await connection.execute(counted)).scalar_one()
    return uses

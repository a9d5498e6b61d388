"""When a contact was last brought in line with its member, or found to be."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mynatca_webhook.store.databases import insert_into, now
from mynatca_webhook.store.tables import SYNCED


async def note_contacts(connection: AsyncConnection, contact_ids: Sequence[str]) -> list[None]:
    """Note that these contacts are in line now."""
    insert = insert_into(connection.dialect.name, SYNCED).values(contact_id=bindparam("of"), at=now())
    latest = insert.on_conflict_do_update(index_elements=[SYNCED.c.contact_id], set_={"at": insert.excluded.at})
    await connection.execute(latest, [{"of": contact_id} for contact_id in sorted(set(contact_ids))])
    return [None] * len(contact_ids)


async def moment_of(connection: AsyncConnection, contact_id: str) -> datetime | None:
    """When the contact was last noted; None for never."""
    moment: datetime | None = await connection.scalar(select(SYNCED.c.at).where(SYNCED.c.contact_id == contact_id))
    return moment

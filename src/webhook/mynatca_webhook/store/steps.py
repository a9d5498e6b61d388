"""How a store of an older version becomes one of the latest: one step for each version, within one transaction.

A step is SQL as it was written then, for both databases, and never changes: what it made is what the next one finds.
During a roll-out replicas of the former version go on with the tables, so that a step may add to them, and take away
only what the former version did not use any more. (Alembic would keep the version in a table of its own, beside
templates and a set-up for two databases; one tuple does for three tables.)
"""

from collections.abc import Awaitable, Callable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

Step = Callable[[AsyncConnection], Awaitable[None]]


async def _contacts_and_keys(connection: AsyncConnection) -> None:
    """Version 2 notes when contacts were synced, and counts the uses of keys."""
    # If not exists: version 1 was not yet released when it had them, too.
    for table in (
        "webhook_synced (contact_id TEXT NOT NULL PRIMARY KEY, at DOUBLE PRECISION NOT NULL)",
        "webhook_uses (key_name TEXT NOT NULL PRIMARY KEY, minute BIGINT NOT NULL, uses BIGINT NOT NULL)",
    ):
        await connection.execute(text(f"CREATE TABLE IF NOT EXISTS {table}"))


async def _turns(connection: AsyncConnection) -> None:
    """Version 3 has turns of those who write for the same contact or member."""
    columns = "whose TEXT NOT NULL PRIMARY KEY, holder TEXT NOT NULL, held_until DOUBLE PRECISION NOT NULL"
    await connection.execute(text(f"CREATE TABLE webhook_turns ({columns}, former_until DOUBLE PRECISION)"))


STEPS: tuple[Step, ...] = (_contacts_and_keys, _turns)
"""The first makes version 2 of version 1, and so on."""

VERSION = len(STEPS) + 1
"""Of the tables."""

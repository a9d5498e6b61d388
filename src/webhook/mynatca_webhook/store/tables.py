"""The tables of the store. Moments are seconds since 1970, so that both databases reckon alike.

Whoever changes them adds a step to `steps.STEPS`, which does the same to a store that is there already.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Dialect,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

METADATA = MetaData()


class Moment(TypeDecorator[datetime]):
    """A moment, in UTC."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> float | None:  # noqa: ARG002 - its API
        """To seconds."""
        return None if value is None else value.timestamp()

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its API
        """From seconds."""
        return None if value is None else datetime.fromtimestamp(value, UTC)


def _number() -> Column[int]:
    """Counts up; SQLite does so for columns of exactly this type."""
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


STORE = Table(
    "webhook_store",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("written_at", Double, nullable=False),
)

EVENTS = Table(
    "webhook_events",
    METADATA,
    _number(),
    Column("notification_id", Text, nullable=False, unique=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", Text, nullable=False),  # waiting, done, dead
    Column("ended_at", Moment),  # done or dead since
    Column("attempts", Integer),  # of a dead one
    Column("reason", Text),  # same
    Index("webhook_events_by_key", "state", "key"),
    Index("webhook_events_by_end", "state", "ended_at"),
)

# One row for each key that has waiting events. A worker locks it, and whoever adds events of the key does so too:
# so none is left behind without a job by a worker that just found no more.
JOBS = Table(
    "webhook_jobs",
    METADATA,
    Column("key", Text, primary_key=True),
    Column("due_at", Double, nullable=False),  # may be claimed from then on; of a claimed one: when its lease ends
    Column("attempts", Integer, nullable=False),
    Column("claim", Text),
    Column("reason", Text),
    Index("webhook_jobs_by_due", "due_at"),
)

# One row for each contact that was ever brought in line: as many as the workspace has, so that none has to be removed.
SYNCED = Table(
    "webhook_synced",
    METADATA,
    Column("contact_id", Text, primary_key=True),
    Column("at", Moment, nullable=False),
)

# One row for each contact or member that was ever written for: so none has to be removed.
TURNS = Table(
    "webhook_turns",
    METADATA,
    Column("whose", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("held_until", Double, nullable=False),  # free from then on
    Column("former_until", Double),  # the same of the turn before
)

# One row for each key that was ever used, with its latest minute: so none has to be removed.
USES = Table(
    "webhook_uses",
    METADATA,
    Column("key_name", Text, primary_key=True),
    Column("minute", BigInteger, nullable=False),  # since 1970
    Column("uses", BigInteger, nullable=False),  # within it
)

# `seq` counts the lines of one process (`origin`); an export numbers them anew.
JOURNAL = Table(
    "webhook_journal",
    METADATA,
    _number(),
    Column("origin", Text, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("intent", Integer),  # the intent of the same origin that this line tells the end of
    Column("at", Moment, nullable=False),
    Column("entry", Text, nullable=False),  # the rest of the line, JSON in ASCII: PostgreSQL refuses some letters
    UniqueConstraint("origin", "seq"),
    Index("webhook_journal_by_time", "at"),
)

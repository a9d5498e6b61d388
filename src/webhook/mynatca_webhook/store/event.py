"""What goes into the store and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

MAX_TEXT = 255
"""Letters that an id may have: more is no id, and PostgreSQL's indexes have a limit."""


@dataclass(frozen=True, slots=True)
class Event:
    """A notification of Intercom, reduced to ids.

    Args:
        notification_id: tells a repeated delivery from a new event.
        topic: what happened.
        key: events of the same key are worked together, and never at the same time; the contact's id as a rule.
        created_at: when it happened, by Intercom's clock.
        received_at: when it came in, by ours.
        payload: the ids that the work needs; names and addresses are fetched when it is worked, never stored.

    Raises:
        ValueError: a text is empty, too long or has letters that no id has, or a moment has no time zone. One such
            event would make a database refuse all those that are stored with it.
    """

    notification_id: str
    topic: str
    key: str
    created_at: datetime
    received_at: datetime
    payload: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        texts = (self.notification_id, self.topic, self.key, *self.payload.keys(), *self.payload.values())
        if not all(0 < len(text) <= MAX_TEXT and text.isprintable() for text in texts):
            raise ValueError("an id of an event is empty, too long or has letters that no id has")
        if self.created_at.tzinfo is None or self.received_at.tzinfo is None:
            raise ValueError("a moment of an event has no time zone")


@dataclass(frozen=True, slots=True)
class Job:
    """All events of one key that waited when it was claimed, oldest first.

    Args:
        key: what they have in common.
        events: the events.
        attempts: how often it has been claimed, this time included; it starts anew once the job is finished. A claim
            whose worker was killed counts, so that a job that kills its workers ends as a dead letter too.
        reason: why the last attempt was put off; None on the first one.
        claim: proves that it is ours.
    """

    key: str
    events: tuple[Event, ...]
    attempts: int
    reason: str | None
    claim: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that was given up, with the reason and the attempts that its job had."""

    event: Event
    attempts: int
    reason: str
    buried_at: datetime


@dataclass(frozen=True, slots=True)
class Depth:
    """How many events are in the store, by what became of them, finished ones left out.

    `oldest_seconds` is the age of the oldest that is waiting or being worked; 0 when there is none.
    """

    waiting: int
    claimed: int
    dead: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True)
class Pruned:
    """How many rows were removed."""

    events: int
    journal_lines: int

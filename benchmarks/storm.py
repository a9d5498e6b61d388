"""A storm: 10,000 events, each delivered three times, forged ones in between, while services are killed.

Every event stands for a change of its own contact or conversation, so that whoever loses one leaves something undone.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

from benchmarks.commands import commands
from benchmarks.deliveries import Answer, Delivery, body_of, deliver, sender
from benchmarks.figures import Figures
from benchmarks.services import (
    Server,
    depth_of,
    postgresql_store,
    replicas,
    sqlite_store,
    wait_for_the_end,
    wait_until,
)
from mynatca_sandbox.calls import is_write
from mynatca_sandbox.exchange import Exchange
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.mapping import ATTRIBUTES, Mapping
from mynatca_sandbox.world.model import Contact, Conversation, World
from mynatca_sandbox.world.population import Row, is_eligible
from mynatca_sandbox.world.workspace import LEGACY_ATTRIBUTES, SYNC_TAG, VERIFICATION, Workspace

EVENTS = 10_000
PER_SECOND = 100
DELIVERIES = 3
LATEST_SECONDS = 4.0
"""How long after the first delivery of an event the others may come."""
AGAIN_SECONDS = 10
"""Intercom repeats what was not answered after a minute; here time is shorter."""
KILLS = 5
FORGED = 500

LEADS, USERS, PAIRS, TAGGED = 4_000, 700, 300, 400
UNANNOUNCED = 30
"""Tagged conversations that no event tells of: they are the sweep's."""
HOPELESS = 30
"""Tagged conversations with a number that nobody has: the tag stays, and one note says why."""
DECOYS = 100
"""Contacts that only forged events name."""

OPTIONS = Options(latency=0.02, limit=1666)
"""As fast as a call within a region, and Intercom's default limit of 10,000 calls a minute."""


@dataclass
class Plot:
    """The world of a storm, and what is to become of whom."""

    world: World
    people: dict[str, Row] = field(default_factory=dict)
    """The member that each contact of an event is to become, by the contact's id."""
    decoys: list[Contact] = field(default_factory=list)
    tagged: list[Conversation] = field(default_factory=list)
    unannounced: list[Conversation] = field(default_factory=list)
    hopeless: list[Conversation] = field(default_factory=list)


def plot() -> Plot:
    """Leads and users who are to be enriched, members with both, and tagged conversations."""
    members = LEADS + USERS + PAIRS + TAGGED + UNANNOUNCED + DECOYS
    world = generate(WorldOptions(members=members * 2, contacts="none", now=int(time.time())))
    place = Workspace(world, random.Random(3))
    place.define_attributes(ATTRIBUTES + LEGACY_ATTRIBUTES)
    rows = _alone(world.tables["members"])
    made = Plot(world)
    for _ in range(LEADS):
        _lead(made, place, next(rows))
    for _ in range(USERS):
        row = next(rows)
        made.people[place.user(row, external_id=None, custom_attributes={}).id] = row
    for _ in range(PAIRS):
        row = next(rows)
        made.people[place.user(row, custom_attributes={}).id] = row
        _lead(made, place, row)
    for kind, count in ((made.tagged, TAGGED), (made.unannounced, UNANNOUNCED), (made.hopeless, HOPELESS)):
        kind += [_tagged(made, place, next(rows)) for _ in range(count)]
    for conversation in made.hopeless:
        conversation.custom_attributes[VERIFICATION] = "00000000"
        del made.people[conversation.contact_ids[0]]
    made.decoys = [place.lead(row, email=_email(row)) for row, _ in zip(rows, range(DECOYS), strict=False)]
    return made


def _alone(members: Sequence[Row]) -> Iterator[Row]:
    """Members who share their email with nobody."""
    emails = Counter(_email(row) for row in members)
    return iter([row for row in members if is_eligible(row) and emails[_email(row)] == 1])


def _email(row: Row) -> str:
    return (row["email"] or "").strip().lower()


def _lead(made: Plot, place: Workspace, row: Row, **fields: Any) -> Contact:
    lead = place.lead(row, **({"email": _email(row)} | fields))
    made.people[lead.id] = row
    return lead


def _tagged(made: Plot, place: Workspace, row: Row) -> Conversation:
    """A conversation of a lead whom nothing but the teammate's number speaks for."""
    conversation = place.conversation(_lead(made, place, row, email=None))
    conversation.custom_attributes[VERIFICATION] = row["membernumber"]
    conversation.tag_ids.append(place.tag_id(SYNC_TAG))
    return conversation


@dataclass(frozen=True)
class Happening:
    """An event: what it tells, and when it happened (seconds after the start)."""

    name: str
    at: float
    topic: str
    contact_id: str
    conversation_id: str = ""

    @property
    def fetched(self) -> str:
        """The call without which it has no effect."""
        return (
            f"GET /conversations/{self.conversation_id}" if self.conversation_id else f"GET /contacts/{self.contact_id}"
        )

    def body(self) -> bytes:
        """As Intercom tells it."""
        if not self.conversation_id:
            return body_of(self.name, self.topic, {"type": "contact", "id": self.contact_id})
        people = {"type": "contact.list", "contacts": [{"type": "contact", "id": self.contact_id}]}
        tags = {"type": "tag.list", "tags": [{"type": "tag", "name": SYNC_TAG}]}
        item = {"type": "conversation", "id": self.conversation_id, "contacts": people, "tags_added": tags}
        return body_of(self.name, self.topic, item)


def happenings(made: Plot, rng: random.Random) -> list[Happening]:
    """One for each contact and tagged conversation, and further ones of some of them, in any order."""
    tagged = {each.contact_ids[0]: each.id for each in made.tagged + made.hopeless}
    quiet = {each.contact_ids[0] for each in made.unannounced}
    subjects = sorted({*made.people, *tagged} - quiet)
    subjects += rng.choices(subjects, k=EVENTS - len(subjects))
    rng.shuffle(subjects)
    return [
        Happening(f"notif_{index}", index / PER_SECOND, topic, contact_id, tagged.get(contact_id, ""))
        for index, contact_id in enumerate(subjects)
        for topic in ["conversation_part.tag.created" if contact_id in tagged else "contact.lead.created"]
    ]


def deliveries(events: Sequence[Happening], urls: Sequence[str], rng: random.Random) -> list[Delivery]:
    """Each event three times, at whichever replica."""
    return [
        Delivery(
            event.at + (rng.uniform(0, LATEST_SECONDS) if again else 0), event.name, rng.choice(urls), event.body()
        )
        for event in events
        for again in range(DELIVERIES)
    ]


def forgeries(made: Plot, urls: Sequence[str], rng: random.Random) -> list[Delivery]:
    """Events that somebody else made up, of contacts that no true one tells of."""
    return [
        Delivery(
            rng.uniform(0, EVENTS / PER_SECOND),
            f"forged_{number}",
            rng.choice(urls),
            body_of(f"forged_{number}", "contact.lead.created", {"type": "contact", "id": rng.choice(made.decoys).id}),
            secret="guessed",  # noqa: S106 - that is the point
        )
        for number in range(FORGED)
    ]


class Witness:
    """Notes what the sandbox is asked to do: when each thing was last read, and how often each write took effect."""

    def __init__(self) -> None:
        self.read_at: dict[str, float] = {}
        self.writes: Counter[tuple[str, bytes]] = Counter()

    def before(self, method: str, path: str) -> None:
        """Told of each call."""
        self.read_at[f"{method} {path}"] = time.time()

    def observe(self, exchange: Exchange) -> None:
        """Told of each answer."""
        if is_write(exchange.route) and exchange.status < 300:
            body = b"" if exchange.method == "PUT" else exchange.request_body
            self.writes[f"{exchange.method} {exchange.target}", body] += 1

    @property
    def doubles(self) -> list[tuple[str, int]]:
        """What was written more than once."""
        return [(call, count) for (call, _), count in self.writes.items() if count > 1]


def storm(prefix: str, store: AbstractContextManager[str], count: int) -> Figures:
    """The figures of one storm over so many services."""
    made, rng, witness = plot(), random.Random(4), Witness()
    sandbox = Sandbox(made.world, OPTIONS, observe=witness.observe, before=witness.before)
    with sandbox, store as address, replicas(count, sandbox.url, address) as services, sender() as submit:
        events = happenings(made, rng)
        urls = [service.url for service in services]
        sent = deliveries(events, urls, rng) + forgeries(made, urls, rng)
        start = time.time() + 2
        future = submit(deliver, sent, start, AGAIN_SECONDS)
        _kill_in_turn(services, start, future)
        answers: list[Answer] = future.result()
        wait_for_the_end(address)
        drained = time.time() - start - EVENTS / PER_SECOND
        dead = depth_of(address).dead
        complaints = "".join(service.complaints() for service in services)
        happened = [replace(event, at=start + event.at) for event in events]
        tagged_before = _still_tagged(made)
        with commands(sandbox.url) as syncjob:
            sweep = syncjob.run("sweep")
    print(
        f"  {prefix}: sweep {sweep.exit_code} {sweep.result['counts']}, tagged before it {tagged_before}, dead {dead}"
    )
    if complaints:
        print(f"  {prefix}: the services complained:\n{complaints[:4000]}")
    received = {answer.name for answer in answers if answer.status == 200}
    judge = Judge(made, witness)
    lost = [event for event in happened if event.name in received and not judge.had_effect(event)]
    for event in lost[:20]:
        print(f"  {prefix}: lost {event}")
    for call, times in witness.doubles[:20]:
        print(f"  {prefix}: {times} times {call}")
    return {
        f"{prefix}lost": (len(lost), "events", "0"),
        f"{prefix}double_effects": (sum(times - 1 for _, times in witness.doubles), "writes", "0"),
        f"{prefix}forged_accepted": (_forged(received, made, witness), "events", "0"),
        f"{prefix}tagged_left_after_sweep": (_still_tagged(made), "conversations", "0"),
        f"{prefix}unanswered": (sum(event.name not in received for event in events), "events", ""),
        f"{prefix}drained_seconds": (round(drained, 1), "s", ""),
    }


def _kill_in_turn(services: Sequence[Server], start: float, sending: "Future[Any]") -> None:
    """Kill one service after the other while events come in, and start it again at once."""
    victims = cycle(services)
    for number in range(KILLS):
        moment = start + EVENTS / PER_SECOND * (number + 0.5) / KILLS
        wait_until(lambda moment=moment: time.time() > moment, "a moment comes")  # type: ignore[misc]
        if sending.done():
            sending.result()  # raises what went wrong
            raise SystemExit("the storm was over before the last kill")
        victim = next(victims)
        victim.kill()
        victim.start()
        wait_until(victim.is_ready, "a killed service starts", 60)


class Judge:
    """Tells of events whether they had their effect."""

    def __init__(self, made: Plot, witness: Witness) -> None:
        self._people = made.people
        self._witness = witness
        self._contacts = {contact.id: contact for contact in made.world.contacts}
        self._mapping = Mapping(made.world.tables)

    def had_effect(self, event: Happening) -> bool:
        """Whether its subject was read after it happened, and is as it should be."""
        was_read = self._witness.read_at.get(event.fetched, 0) >= event.at
        return was_read and (event.contact_id not in self._people or self._is_in_line(event.contact_id))

    def _is_in_line(self, contact_id: str) -> bool:
        contact = self._contacts[contact_id]
        contact = self._contacts.get(contact.merged_into or "", contact)
        right = self._mapping.fields(self._people[contact_id])
        found = contact.external_id, contact.custom_attributes
        return contact.role == "user" and found == (right["external_id"], right["custom_attributes"])


def _still_tagged(made: Plot) -> int:
    """Conversations that bear the tag though they can be carried out."""
    tag = next(tag_id for tag_id, name in made.world.tags.items() if name == SYNC_TAG)
    return sum(tag in conversation.tag_ids for conversation in made.tagged + made.unannounced)


def _forged(received: set[str], made: Plot, witness: Witness) -> int:
    read = sum(f"GET /contacts/{decoy.id}" in witness.read_at for decoy in made.decoys)
    return sum(name.startswith("forged") for name in received) + read


STORMS: dict[str, Callable[[], Figures]] = {
    "sqlite": lambda: storm("webhook.", sqlite_store(), 1),
    "postgresql": lambda: storm("webhook.postgresql_", postgresql_store(), 3),
}

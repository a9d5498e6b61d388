"""How fast a notification is acknowledged, against a bare server that appends it to a file on the same disk.

Both are sent events at the same time, side by side, while ours works what it has accepted: every event is a lead who
has to be looked up and enriched. `idle` is the same with one contact, whose events are worked together.
"""

import os
import random
import statistics
import time
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.deliveries import Answer, Delivery, body_of, deliver, flood, sender
from benchmarks.figures import Figures
from benchmarks.services import Server, bare_server, replicas, sqlite_store, wait_for_the_end
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.mapping import ATTRIBUTES
from mynatca_sandbox.world.model import Contact, World
from mynatca_sandbox.world.population import is_eligible
from mynatca_sandbox.world.workspace import LEGACY_ATTRIBUTES, Workspace

PER_SECOND = 100
SECONDS = 30
QUIET_EVENTS = 1_500
LIMIT = 1666
"""Intercom's default of 10,000 calls a minute: so fast the service works at most while it takes events in."""
FLOODS = 5
FLOOD_CONTACTS = 100
FLOOD_EVENTS = 1_000
CALLERS = 32
SYNCS = 500


def people(how_many: int) -> tuple[World, list[Contact]]:
    """A workspace of leads who are members, each of which costs three calls."""
    world = generate(WorldOptions(members=how_many * 2, contacts="none", now=int(time.time())))
    place = Workspace(world, random.Random(5))
    place.define_attributes(ATTRIBUTES + LEGACY_ATTRIBUTES)
    emails: dict[str, list[Any]] = {}
    for row in world.tables["members"]:
        emails.setdefault((row["email"] or "").strip().lower(), []).append(row)
    alone = [rows[0] for email, rows in emails.items() if email and len(rows) == 1 and is_eligible(rows[0])]
    return world, [place.lead(row, email=row["email"].strip().lower()) for row in alone[:how_many]]


class Events:
    """Makes deliveries, each with an id of its own."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def of(self, contact: Contact, url: str, at: float = 0) -> Delivery:
        """One that tells of a contact."""
        name = f"notif_{next(self._numbers)}"
        return Delivery(at, name, url, body_of(name, "contact.lead.created", {"type": "contact", "id": contact.id}))


def acknowledge() -> Figures:
    """Latency at 100 events a second, and how many a second are taken at most.

    As installed, with a line in the log for each request, which the bare server has not; the most also without.
    """
    world, leads = people(SECONDS * PER_SECOND)
    with Sandbox(world, Options(limit=LIMIT)) as sandbox, bare_server() as bare, sender() as submit:
        events = Events()

        def both(ours: Server, store: str, contacts: list[Contact]) -> tuple[list[Answer], list[Answer]]:
            """Each event to ours, and half the way to the next one to the bare server."""
            sent = [
                events.of(contact, server.url, (index + half) / PER_SECOND)
                for index, contact in enumerate(contacts)
                for server, half in ((ours, 0), (bare, 0.5))
            ]
            answers: list[Answer] = submit(deliver, sent, time.time() + 1, None).result()
            wait_for_the_end(store)
            return answers[::2], answers[1::2]

        def rate(server: Server, store: str) -> float:
            sent = [events.of(leads[number % FLOOD_CONTACTS], server.url) for number in range(FLOOD_EVENTS)]
            answered: float = submit(flood, sent, CALLERS).result()
            wait_for_the_end(store)
            return answered

        def rates(ours: Server, store: str) -> tuple[float, float]:
            pairs = [(rate(ours, store), rate(bare, store)) for _ in range(FLOODS)]
            own, others = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
            return own, others

        with sqlite_store() as store, replicas(1, sandbox.url, store, log_level="INFO") as [ours]:
            both(ours, store, leads[:PER_SECOND])  # they are warm
            own, others = both(ours, store, leads)
            own_quiet, others_quiet = both(ours, store, [leads[0]] * QUIET_EVENTS)
            logged_rate, logged_bare_rate = rates(ours, store)
        with sqlite_store() as store, replicas(1, sandbox.url, store) as [ours]:
            own_rate, bare_rate = rates(ours, store)
    return {
        "webhook.fsync_ms": (round(fsync_ms(), 2), "ms", ""),
        **_latencies("webhook.ack", own, others),
        **_latencies("webhook.ack_idle", own_quiet, others_quiet),
        "webhook.events_per_second": (round(own_rate), "1/s", ""),
        "webhook.bare_events_per_second": (round(bare_rate), "1/s", ""),
        "webhook.throughput_ratio_to_bare": (round(own_rate / bare_rate, 2), "ratio", "≥ 0.5"),
        "webhook.logged_events_per_second": (round(logged_rate), "1/s", ""),
        "webhook.logged_throughput_ratio_to_bare": (round(logged_rate / logged_bare_rate, 2), "ratio", "≥ 0.5"),
    }


def _latencies(key: str, own: list[Answer], bare: list[Answer]) -> Figures:
    return {
        f"{key}_p99_ms": (_ms(own, 0.99), "ms", "≤ 100"),
        f"{key}_median_ms": (_ms(own, 0.5), "ms", ""),
        f"{key}_bare_p99_ms": (_ms(bare, 0.99), "ms", ""),
        f"{key}_bare_median_ms": (_ms(bare, 0.5), "ms", ""),
        f"{key}_ratio_to_bare": (round(_ms(own, 0.99) / _ms(bare, 0.99), 2), "ratio", "≤ 3"),
        f"{key}_median_ratio_to_bare": (round(_ms(own, 0.5) / _ms(bare, 0.5), 2), "ratio", ""),
    }


def _ms(answers: list[Answer], share: float) -> float:
    """The time within which so large a share was answered 200, in milliseconds."""
    if any(answer.status != 200 for answer in answers):
        raise SystemExit(f"{sum(answer.status != 200 for answer in answers)} events were not taken")
    times = sorted(answer.seconds for answer in answers)
    return round(times[int(share * (len(times) - 1))] * 1000, 2)


def fsync_ms() -> float:
    """What the disk allows: the median time of an append of one event's size and its sync, in milliseconds."""
    with TemporaryDirectory() as folder:
        file = os.open(Path(folder) / "file", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
        times = [_sync_once(file) for _ in range(SYNCS)]
        os.close(file)
    return statistics.median(times) * 1000


def _sync_once(file: int) -> float:
    started = time.perf_counter()
    os.write(file, b"x" * 300)
    os.fsync(file)
    return time.perf_counter() - started

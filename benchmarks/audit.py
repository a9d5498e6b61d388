"""An audit of 20,000 contacts, 400 open conversations and 3,000 stale contacts: calls, time, memory.

The calls are held against a minimum that is worked out from the world before the run: each page of the listings once,
the closing pass, who the token is, the attributes, one re-check for each archive, and one call for each change.
"""

import math
import random
from collections.abc import Iterator

from benchmarks.commands import commands
from benchmarks.figures import Figures
from benchmarks.labels import Labels, is_live, open_conversations, with_open_work
from benchmarks.workspace import LIMIT
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import World
from mynatca_sandbox.world.suite import plant_stranger_idle
from mynatca_sandbox.world.workspace import Workspace

CONTACTS = 20_000
STRANGERS = 3_060
"""Of nobody; about 3,000 are left when the open conversations have fallen where they will."""
CONVERSATIONS = 400
STALE = 400
PER_PAGE = 150


def audit() -> Figures:
    """One audit at 50 ms a call and 10,000 calls a minute, with nothing to wait for before the closing pass."""
    world = _world()
    minimum = _minimum(Labels(world))
    with Sandbox(world, Options(latency=0.05, limit=LIMIT)) as sandbox, commands(sandbox.url) as syncjob:
        run = syncjob.run("audit", "--release=archive").well_ended()
        calls = sandbox.calls.total - sandbox.calls["GET /rest/v1/{table}"]
    return {
        "audit.calls": (calls, "calls", ""),
        "audit.calls_over_minimum": (round(calls / minimum - 1, 5), "share", "≤ 0.02"),
        "audit.seconds_20k": (run.result["seconds"], "s", ""),
        "audit.peak_mb": (round(run.peak_mb, 1), "MB", "≤ 250"),
    }


def _world() -> World:
    """Members' users, some of them stale, and strangers; anybody may have an open conversation."""
    members = CONTACTS - STRANGERS
    world = generate(WorldOptions(members=members, contacts="synced", stale=STALE))
    workspace = Workspace(world, random.Random(3))
    for _ in range(STRANGERS):
        plant_stranger_idle(workspace, conversed=False)
    for contact in workspace.rng.sample(world.contacts, CONVERSATIONS):
        workspace.conversation(contact)
    return world


def _minimum(labels: Labels) -> int:
    """The fewest calls that can do what this world needs; nothing of what a run says goes in."""
    world = labels.world
    contacts = sum(map(is_live, world.contacts))
    conversations, tickets = len(list(open_conversations(world))), sum(ticket.open for ticket in world.tickets)
    listings = _pages(contacts) + _pages(conversations) + _pages(tickets)
    closing_pass = 2
    token_and_attributes = 2
    return listings + closing_pass + token_and_attributes + sum(_calls_needed(labels))


def _pages(count: int) -> int:
    return max(1, math.ceil(count / PER_PAGE))


def _calls_needed(labels: Labels) -> Iterator[int]:
    """For each contact: one call if it must change, two if it must be archived."""
    waiting = with_open_work(labels.world)
    for contact in labels.world.contacts:
        number = labels.owner(contact.id)
        if number:
            yield int(not labels.is_right(contact, number))
        elif contact.id in waiting:
            yield int(contact.role == "user" and contact.external_id is not None)  # loses the UUID of WordPress
        else:
            yield 2

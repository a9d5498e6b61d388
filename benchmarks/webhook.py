"""The webhook service: how many calls an event costs, what a storm loses."""

from benchmarks.acknowledge import Events, people
from benchmarks.deliveries import deliver
from benchmarks.figures import Figures
from benchmarks.services import postgresql_store, replicas, sqlite_store, wait_for_the_end
from benchmarks.storm import storm
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact

COUNTED = 200
"""Events over which calls are counted."""


def storm_on_sqlite() -> Figures:
    """One service with its own file."""
    return storm("webhook.", sqlite_store(), 1)


def storm_on_postgresql() -> Figures:
    """Three replicas with a database in common."""
    return storm("webhook.postgresql_", postgresql_store(), 3)


def calls() -> Figures:
    """Calls to Intercom of one event each, by contacts who are to be enriched, and by the same once they are."""
    world, [first, *leads] = people(COUNTED + 1)
    events = Events()
    with (
        Sandbox(world, Options(limit=None)) as sandbox,
        sqlite_store() as store,
        replicas(1, sandbox.url, store) as [service],
    ):

        def calls_of(contacts: list[Contact]) -> float:
            sandbox.calls.clear()
            answers = deliver([events.of(contact, service.url) for contact in contacts], 0, None)
            wait_for_the_end(store)
            routes = sandbox.calls.by_route
            to_intercom = sum(number for route, number in routes.items() if "/rest/v1" not in route)
            if any(answer.status != 200 for answer in answers):
                raise SystemExit("an event was not taken")
            return round(to_intercom / len(contacts), 4)

        calls_of([first])  # asks once who we are
        new, equal = calls_of(leads), calls_of(leads)
        enriched = sum(contact.role == "user" for contact in leads)
    if enriched != COUNTED:
        raise SystemExit(f"{COUNTED - enriched} contacts were not enriched")
    return {
        "webhook.calls_per_event": (new, "calls", "≤ 3"),
        "webhook.calls_when_equal": (equal, "calls", "1"),
    }

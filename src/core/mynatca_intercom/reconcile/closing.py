"""The closing pass: after the last archive, has anybody written in who was just archived?

Between the last look at a contact and its archive a person can open a conversation, and no precondition of Intercom's
closes that gap. So what came in since the run began is listed once more, when search has caught up, and whoever has
open work is brought back.
"""

from collections.abc import Mapping

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.reconcile.history import Write
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.writer import Writer

REASON = "open work came in while it was archived: brought back"


class ClosingIncomplete(Exception):
    """Intercom listed fewer open conversations or tickets than it counts, twice; the next attempt looks again."""


async def bring_back(
    client: IntercomClient, journal: Journal, archived: Mapping[str, Write], since: int, *, final: bool
) -> frozenset[str]:
    """Unarchive those that have open work which changed since this moment (Unix seconds); returns their ids.

    `final`: search had the time to catch up, so that nobody needs to look again.

    Raises:
        ClosingIncomplete: the listing lacks something.
        IntercomError: a call failed for good.
    """
    open_work = await client.open_work(since)
    waiting = frozenset(archived.keys() & open_work.contact_ids)
    writer = Writer(client, journal)
    for contact_id in sorted(waiting):
        await writer.unarchive(contact_id, archived[contact_id].member_number, REASON)
    if not open_work.complete:
        raise ClosingIncomplete("Intercom listed fewer open conversations or tickets than it counts, twice.")
    if final:
        journal.closed()
    return waiting

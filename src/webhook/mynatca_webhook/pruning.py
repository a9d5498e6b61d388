"""Removes what the store need not keep any longer, while the server runs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from mynatca_webhook.store.errors import StoreUnavailable
from mynatca_webhook.store.event_store import EventStore
from mynatca_webhook.store.upkeep import Keep

PAUSE_SECONDS = 3600
FINISHED_DAYS = 7
"""For so long a finished event is known, so that a repeated delivery is seen as one; Intercom's come within minutes."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def pruned(store: EventStore, keep_days: int) -> AsyncIterator[EventStore]:
    """The store, pruned now and then while the context lasts; any number of processes may do so at once."""
    long = timedelta(days=keep_days)
    keep = Keep(finished=timedelta(days=min(FINISHED_DAYS, keep_days)), dead=long, journal=long)
    pruning = asyncio.create_task(_keep_pruned(store, keep))
    try:
        yield store
    finally:
        pruning.cancel()
        with suppress(asyncio.CancelledError):
            await pruning


async def _keep_pruned(store: EventStore, keep: Keep) -> None:
    while True:
        try:
            gone = await store.prune(keep)
            log.info("the store is pruned", extra={"events": gone.events, "journal_lines": gone.journal_lines})
        except StoreUnavailable as error:
            log.warning("the store is not pruned: %s", error)
        await asyncio.sleep(PAUSE_SECONDS)

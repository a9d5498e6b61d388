"""Measures the store while the server runs, whether or not its events are worked."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mynatca_intercom import metrics
from mynatca_webhook.store.errors import StoreUnavailable
from mynatca_webhook.store.event_store import EventStore

PAUSE_SECONDS = 5

log = logging.getLogger(__name__)


@asynccontextmanager
async def measured(store: EventStore) -> AsyncIterator[None]:
    """Keep the metrics of the store right while the context lasts; several processes tell the same."""
    measuring = asyncio.create_task(_keep_measured(store))
    try:
        yield
    finally:
        measuring.cancel()
        with suppress(asyncio.CancelledError):
            await measuring


async def _keep_measured(store: EventStore) -> None:
    while True:
        try:
            depth = await store.depth()
        except StoreUnavailable as error:
            log.warning("the store cannot be measured: %s", error)
        else:
            metrics.WAITING.set(depth.waiting + depth.claimed)
            metrics.OLDEST.set(depth.oldest_seconds)
            metrics.DEAD.set(depth.dead)
            metrics.MEASURED.set_to_current_time()
        await asyncio.sleep(PAUSE_SECONDS)

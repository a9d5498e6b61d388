"""Leases: what is held for some seconds, and kept by renewing it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from mynatca_webhook.store.errors import LeaseLost, StoreUnavailable


@asynccontextmanager
async def kept(renew: Callable[[], Awaitable[None]], seconds: float, since: float) -> AsyncIterator[None]:
    """Keep a lease while the context lasts; what runs in it is cut off when the lease is not surely held any more.

    Args:
        renew: makes it last for `seconds` from its call on.
        seconds: how long it lasts.
        since: a moment of the running loop's clock, not later than when it began.

    Raises:
        LeaseLost: what ran was cut off.
    """
    try:
        async with asyncio.timeout_at(since + seconds) as held:
            renewing = asyncio.create_task(_renew(renew, seconds, held))
            try:
                yield
            finally:
                renewing.cancel()
    except TimeoutError:
        if not held.expired():
            raise
        raise LeaseLost("what was held could not be kept, and may be another's now") from None


async def _renew(renew: Callable[[], Awaitable[None]], seconds: float, held: asyncio.Timeout) -> None:
    clock = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(seconds / 3)
        asked = clock.time()
        try:
            await renew()
            until = asked + seconds
        except StoreUnavailable:  # perhaps the next time, before it ends
            continue
        except LeaseLost:
            until = asked
        if not held.expired():
            held.reschedule(until)

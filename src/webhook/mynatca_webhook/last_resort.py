"""The copy of all members that answers look-ups when no source does, kept fresh while the server runs."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from mynatca_intercom.members.cache import MemberCache
from mynatca_intercom.members.directory import Directory
from mynatca_intercom.members.source import SourceError
from mynatca_intercom.settings import MemberCacheSettings

LONGEST_TURN_SECONDS = 300
"""How late it is seen at most that the copy is due; one that could not be refreshed is tried again then."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def with_cache(directory: Directory, settings: MemberCacheSettings) -> AsyncIterator[Directory]:
    """The directory with the cache as its last source; without a cache the directory itself."""
    if settings.file is None:
        yield directory
        return
    cache = MemberCache(settings.file, settings.max_age_seconds)
    refreshing = asyncio.create_task(_keep_fresh(cache, directory, settings.refresh_seconds))
    try:
        yield directory.followed_by(cache)
    finally:
        refreshing.cancel()
        with suppress(asyncio.CancelledError):
            await refreshing


async def _keep_fresh(cache: MemberCache, directory: Directory, refresh_seconds: float) -> None:
    while True:
        try:
            await asyncio.to_thread(cache.refresh, directory, refresh_seconds)
        except (SourceError, OSError) as error:
            log.warning("the member cache is not refreshed: %s", error)
        await asyncio.sleep(min(refresh_seconds, LONGEST_TURN_SECONDS))

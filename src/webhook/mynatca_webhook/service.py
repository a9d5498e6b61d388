"""What the endpoints need, open from start to stop of a server process."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from sanic import Request

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.members.directory import Directory, open_directory
from mynatca_intercom.settings import (
    IntercomSettings,
    MemberCacheSettings,
    MemberSettings,
    TagSettings,
    WebhookSettings,
    load,
)
from mynatca_webhook.background import Background
from mynatca_webhook.engine import Engine
from mynatca_webhook.last_resort import with_cache
from mynatca_webhook.measuring import measured
from mynatca_webhook.pruning import pruned
from mynatca_webhook.store.event_store import EventStore, open_store
from mynatca_webhook.worker import Worker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Configuration:
    """Every setting of the service."""

    webhook: WebhookSettings
    intercom: IntercomSettings
    rules: MemberSettings
    cache: MemberCacheSettings
    tags: TagSettings

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """The settings in an environment.

        Raises:
            SettingsError: one is missing or malformed.
        """
        return cls(
            load(WebhookSettings, environment),
            load(IntercomSettings, environment),
            load(MemberSettings, environment),
            load(MemberCacheSettings, environment),
            load(TagSettings, environment),
        )


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running server process.

    `work` is the task that works the stored events; it ends when the service is drained, and only then. `background`
    holds what requests began and must come to its end.
    """

    configuration: Configuration
    store: EventStore
    client: IntercomClient
    members: Directory
    engine: Engine
    worker: Worker
    work: asyncio.Task[None]
    background: Background

    async def drain(self, end: float) -> None:
        """Begin no more jobs, and return when what is in work is finished.

        What is not by `end`, a moment of the running loop's clock, is cut off as by a kill: the claims of its jobs run
        out, and somebody else does them.
        """
        self.worker.stop()
        try:
            async with asyncio.timeout_at(end):
                await asyncio.gather(self.work, self.background.finish(), return_exceptions=True)
        except TimeoutError:
            log.warning("what is in work takes too long, and is left to others")


@asynccontextmanager
async def open_service(environment: Mapping[str, str]) -> AsyncIterator[Service]:
    """Open everything and work the stored events; what is in work at the end, as nobody drained it, is cut off.

    Raises:
        SettingsError: a setting is missing or malformed.
        StoreUnavailable, BadStoreUrl: the store cannot be opened.
    """
    settings = Configuration.read(environment)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(open_directory(environment))
        members = await stack.enter_async_context(with_cache(directory, settings.cache))
        store = await stack.enter_async_context(open_store(settings.webhook.store.get_secret_value()))
        await stack.enter_async_context(pruned(store, settings.webhook.keep_days))
        await stack.enter_async_context(measured(store))
        client = await stack.enter_async_context(IntercomClient(settings.intercom))
        engine = Engine(
            client, members, store.journal, intercom=settings.intercom, rules=settings.rules, tags=settings.tags
        )
        worker = Worker(store, engine, settings.webhook)
        work = asyncio.create_task(worker.run())
        background = Background()
        try:
            yield Service(settings, store, client, members, engine, worker, work, background)
        finally:
            work.cancel()
            background.cancel()
            await asyncio.gather(work, background.finish(), return_exceptions=True)


def service_of(request: Request[Any, Any]) -> Service:
    """The open service."""
    service: Service = request.app.ctx.service
    return service

"""What answers and work need, open from start to stop of a process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sanic import Request

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.members.directory import Directory, open_directory
from mynatca_webhook.background import Background
from mynatca_webhook.bell import Bell
from mynatca_webhook.configuration import Configuration
from mynatca_webhook.engine import Engine
from mynatca_webhook.last_resort import with_cache
from mynatca_webhook.store.event_store import EventStore, open_store


@dataclass(frozen=True, slots=True)
class Service:
    """The parts of a running process.

    `background` holds what requests began and must come to its end.
    """

    configuration: Configuration
    store: EventStore
    client: IntercomClient
    members: Directory
    engine: Engine
    background: Background


Part = Callable[[Service, Bell, asyncio.Event], Awaitable[int]]
"""Does something with the service until the event is set, and returns an exit code."""


@asynccontextmanager
async def open_service(environment: Mapping[str, str]) -> AsyncIterator[Service]:
    """Open everything; what requests began is cut off at the end if nobody awaited it.

    Raises:
        SettingsError: a setting is missing or malformed.
        StoreUnavailable, BadStoreUrl: the store cannot be opened.
    """
    settings = Configuration.read(environment)
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(open_directory(environment))
        members = await stack.enter_async_context(with_cache(directory, settings.cache))
        store = await stack.enter_async_context(open_store(settings.webhook.store.get_secret_value()))
        # Runs leave the reserve to others: to this service, which has none to leave it to.
        unreserved = settings.intercom.model_copy(update={"reserve": 0})
        client = await stack.enter_async_context(IntercomClient(unreserved))
        engine = Engine(
            client,
            members,
            store.journal,
            store,
            intercom=settings.intercom,
            rules=settings.rules,
            tags=settings.tags,
        )
        background = Background()
        stack.push_async_callback(background.cut_off)
        yield Service(settings, store, client, members, engine, background)


def service_of(request: Request[Any, Any]) -> Service:
    """The open service."""
    service: Service = request.app.ctx.service
    return service

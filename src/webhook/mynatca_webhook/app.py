"""The HTTP side: takes notifications in, and answers only once they are durable."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException
from sanic.response import empty, json

from mynatca_intercom import metrics
from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.signature import is_signed
from mynatca_intercom.members.source import MemberSource
from mynatca_intercom.settings import IntercomSettings, MemberSettings, TagSettings, WebhookSettings
from mynatca_webhook.notification import BadNotification, read_notification
from mynatca_webhook.store.errors import StoreUnavailable
from mynatca_webhook.store.event_store import EventStore, open_store
from mynatca_webhook.worker import Worker

MAX_BODY_BYTES = 1024 * 1024
OUTCOMES = ("stored", "repeated", "ignored", "unsigned", "malformed", "not_stored")
JOB_OUTCOMES = ("done", "put_off", "dead", "lease_lost")

App = Sanic[Any, Any]

log = logging.getLogger(__name__)


class Service:
    """What the endpoints need, from start to stop of the server."""

    def __init__(
        self,
        webhook: WebhookSettings,
        intercom: IntercomSettings,
        rules: MemberSettings,
        tags: TagSettings,
        members: MemberSource,
    ) -> None:
        self._webhook = webhook
        self._intercom = intercom
        self._rules = rules
        self._tags = tags
        self._members = members
        self.store: EventStore | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Open the store and work its events; at the end finish the jobs in work.

        Raises:
            StoreError: the store cannot be opened.
        """
        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(open_store(self._webhook.store.get_secret_value()))
            client = await stack.enter_async_context(IntercomClient(self._intercom))
            worker = Worker(
                store,
                client,
                self._members,
                intercom=self._intercom,
                rules=self._rules,
                tags=self._tags,
                webhook=self._webhook,
            )
            work = asyncio.create_task(worker.run())
            self.store = store
            try:
                yield
            finally:
                self.store = None
                worker.stop()
                await work

    async def take_in(self, body: bytes, signature: str | None) -> HTTPResponse:
        """Answer one notification: 200 once it is durable, else what is wrong with it, or 503."""
        if not is_signed(body, signature, self._webhook.client_secret.get_secret_value()):
            return _answered("unsigned", 401, "The signature is not that of this body.")
        try:
            event = read_notification(body, self._tags.tag)
        except BadNotification as error:
            return _answered("malformed", 400, f"{error}.")
        if event is None:
            return _answered("ignored", 200)
        if self.store is None:
            return _answered("not_stored", 503, "Not ready.")
        try:
            new = await self.store.accept(event)
        except StoreUnavailable as error:
            log.warning("not stored: %s", error)
            return _answered("not_stored", 503, "Not stored; send it again.")
        return _answered("stored" if new else "repeated", 200)


def _answered(outcome: str, status: int, error: str | None = None) -> HTTPResponse:
    metrics.RECEIVED.labels(outcome).inc()
    return json({"error": error} if error else {"received": True}, status)


def build_app(service: Service, name: str = "mynatca-webhook") -> App:
    """The app that serves `service`."""
    app: App = Sanic(name, configure_logging=False)
    app.config.MOTD = False
    app.config.TOUCHUP = False
    app.config.REQUEST_MAX_SIZE = MAX_BODY_BYTES
    for outcome in OUTCOMES:
        metrics.RECEIVED.labels(outcome)
    for outcome in JOB_OUTCOMES:
        metrics.WORKED.labels(outcome)
    running = service.running()

    async def start(_app: App) -> None:
        await running.__aenter__()

    async def stop(_app: App) -> None:
        await running.__aexit__(None, None, None)

    app.register_listener(start, "before_server_start")
    app.register_listener(stop, "before_server_stop")
    _add_routes(app, service)
    return app


def _add_routes(app: App, service: Service) -> None:
    @app.post("/api/intercom/webhook")
    async def notify(request: Request) -> HTTPResponse:
        return await service.take_in(request.body, request.headers.get("X-Hub-Signature"))

    @app.head("/api/intercom/webhook")
    async def check(_request: Request) -> HTTPResponse:
        return empty(200)

    @app.get("/healthz")
    async def alive(_request: Request) -> HTTPResponse:
        return json({"status": "ok"})

    @app.get("/readyz")
    async def ready(_request: Request) -> HTTPResponse:
        if service.store is None:
            return json({"status": "not ready", "reason": "the store is not open"}, 503)
        try:
            await service.store.ensure_writable()
        except StoreUnavailable as error:
            return json({"status": "not ready", "reason": str(error)}, 503)
        return json({"status": "ready"})

    @app.exception(SanicException)
    async def refuse(_request: Request, error: SanicException) -> HTTPResponse:
        return json({"error": str(error)}, error.status_code)

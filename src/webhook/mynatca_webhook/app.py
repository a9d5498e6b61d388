"""The server: its routes, and what it does from start to stop."""

import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException
from sanic.response import json

from mynatca_webhook.endpoints import inbox, lookup, notifications, probes
from mynatca_webhook.service import Service, open_service

MAX_BODY_BYTES = 1024 * 1024

App = Sanic[Any, Any]

log = logging.getLogger(__name__)


class Context(SimpleNamespace):
    """What a server process holds; `service` is None while it starts and stops."""

    service: Service | None = None


def build_app(environment: Mapping[str, str], name: str = "mynatca-webhook") -> App:
    """The app that the environment's settings describe; it opens its service when the server starts."""
    app: App = Sanic(name, configure_logging=False, ctx=Context())
    app.config.MOTD = False
    app.config.TOUCHUP = False
    app.config.REQUEST_MAX_SIZE = MAX_BODY_BYTES
    stack = AsyncExitStack()

    async def start(app: App) -> None:
        app.ctx.service = await stack.enter_async_context(open_service(environment))

    async def stop(app: App) -> None:
        app.ctx.service = None
        await stack.aclose()

    app.register_listener(start, "before_server_start")
    app.register_listener(stop, "before_server_stop")
    app.error_handler.add(SanicException, _refuse)
    app.error_handler.add(Exception, _crash)
    for endpoints in (inbox, lookup, notifications, probes):
        app.blueprint(endpoints.ENDPOINTS)
    return app


def _refuse(_request: Request[Any, Any], error: SanicException) -> HTTPResponse:
    return json({"error": str(error)}, error.status_code)


def _crash(_request: Request[Any, Any], error: Exception) -> HTTPResponse:
    """A fault of ours. Sanic by itself would log the request's address with its query, which may be an email."""
    log.error("a request crashed", exc_info=error)
    return json({"error": "Something went wrong in the service; its log says what."}, 500)

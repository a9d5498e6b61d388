"""The app: its routes, and what every answer has in common."""

import logging
from types import SimpleNamespace
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException
from sanic.response import json

from mynatca_webhook import access
from mynatca_webhook.endpoints import inbox, lookup, notifications, probes
from mynatca_webhook.service import Service

MAX_BODY_BYTES = 1024 * 1024

App = Sanic[Any, Any]

_SENTENCES = {404: "There is no such page.", 405: "This page does not know the method."}
"""In place of Sanic's own, which quote the address."""

log = logging.getLogger(__name__)
logging.getLogger("sanic.root").setLevel(logging.WARNING)  # below, it tells addresses with their queries


def build_app(service: Service, name: str = "mynatca-webhook") -> App:
    """The app that answers with the help of an open service."""
    app: App = Sanic(name, configure_logging=False, ctx=SimpleNamespace(service=service))
    app.config.MOTD = False
    app.config.TOUCHUP = False
    app.config.REQUEST_MAX_SIZE = MAX_BODY_BYTES
    app.register_middleware(access.begin, "request")
    app.register_middleware(access.tell, "response")
    app.error_handler.add(SanicException, _refuse)
    app.error_handler.add(Exception, _crash)
    for endpoints in (inbox, lookup, notifications, probes):
        app.blueprint(endpoints.ENDPOINTS)
    return app


def _refuse(_request: Request[Any, Any], error: SanicException) -> HTTPResponse:
    sentence = _SENTENCES.get(error.status_code, str(error))
    return json({"error": sentence}, error.status_code, error.headers)


def _crash(_request: Request[Any, Any], error: Exception) -> HTTPResponse:
    """A fault of ours. Sanic by itself would log the request's address with its query, which may be an email."""
    log.error("a request crashed", exc_info=error)
    return json({"error": "Something went wrong in the service; its log says what."}, 500)

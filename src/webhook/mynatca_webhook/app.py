"""The app: its routes, and what every answer has in common."""

import logging
from types import SimpleNamespace
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.compat import Header
from sanic.exceptions import BadURL, MethodNotAllowed, NotFound, SanicException
from sanic.response import json

from mynatca_webhook import access
from mynatca_webhook.bell import Bell
from mynatca_webhook.endpoints import about, inbox, lookup, notifications, probes
from mynatca_webhook.service import Service

MAX_BODY_BYTES = 1024 * 1024

App = Sanic[Any, Any]

_SENTENCES: dict[type[Exception], str] = {
    MethodNotAllowed: "This page does not know the method.",
    NotFound: "There is no such page.",
}
"""In place of Sanic's own, which quote the address."""

log = logging.getLogger(__name__)
logging.getLogger("sanic.root").setLevel(logging.WARNING)  # below, it tells addresses with their queries


class _Request(Request[Any, Any]):
    """A request, or what Sanic makes up in place of one that it cannot read: that one without the address.

    The address may be what cannot be read, and Sanic would fail over it again and log it.
    """

    def __init__(self, url_bytes: bytes, headers: Header, version: str, method: str, **more: Any) -> None:
        try:
            super().__init__(b"*" if method == "NONE" else url_bytes, headers, version, method, **more)
        except BadURL:
            raise BadURL("This is no address.") from None  # Sanic's own sentence quotes it


def build_app(service: Service, bell: Bell, name: str = "mynatca-webhook") -> App:
    """The app that answers with the help of an open service, and rings a bell for each event that it stored."""
    app: App = Sanic(
        name, configure_logging=False, request_class=_Request, ctx=SimpleNamespace(service=service, bell=bell)
    )
    app.config.MOTD = False
    app.config.REQUEST_MAX_SIZE = MAX_BODY_BYTES
    app.register_middleware(access.begin, "request")
    app.register_middleware(access.tell, "response")
    app.error_handler.add(SanicException, _refuse)
    app.error_handler.add(Exception, _crash)
    for endpoints in (about, inbox, lookup, notifications, probes):
        app.blueprint(endpoints.ENDPOINTS)
    return app


def _refuse(_request: Request[Any, Any], error: SanicException) -> HTTPResponse:
    sentence = _SENTENCES.get(type(error), str(error))
    return json({"error": sentence}, error.status_code, error.headers)


def _crash(_request: Request[Any, Any], error: Exception) -> HTTPResponse:
    """A fault of ours. Sanic by itself would log the request's address with its query, which may be an email."""
    log.error("a request crashed", exc_info=error)
    return json({"error": "Something went wrong in the service; its log says what."}, 500)

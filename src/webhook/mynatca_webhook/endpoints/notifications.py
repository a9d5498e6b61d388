"""Intercom's notifications: answered only once they are durable."""

import logging
from itertools import product
from typing import Any, Literal

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import empty, json

from mynatca_intercom import metrics
from mynatca_intercom.intercom.signature import is_signed
from mynatca_webhook.bell import Bell
from mynatca_webhook.notification import IDLE_TOPICS, KNOWN_TOPICS, BadNotification, read_notification
from mynatca_webhook.service import service_of
from mynatca_webhook.store.errors import StoreUnavailable

Outcome = Literal["stored", "repeated", "ignored", "unsigned", "malformed", "not_stored"]

_STORED: tuple[Outcome, ...] = ("stored", "repeated", "ignored", "not_stored")
_POSSIBLE: tuple[tuple[str, Outcome], ...] = (
    *product(sorted(KNOWN_TOPICS - IDLE_TOPICS), _STORED),
    *((topic, "ignored") for topic in (*IDLE_TOPICS, "other")),
    ("unknown", "unsigned"),
    ("unknown", "malformed"),
)
for _topic, _outcome in _POSSIBLE:
    metrics.RECEIVED.labels(_topic, _outcome)

ENDPOINTS = Blueprint("notifications")

log = logging.getLogger(__name__)


@ENDPOINTS.post("/api/intercom/webhook")
async def notify(request: Request[Any, Any]) -> HTTPResponse:
    """200 once the notification is durable, else what is wrong with it, or 503."""
    service = service_of(request)
    settings = service.configuration
    secret = settings.webhook.client_secret.get_secret_value()
    if not is_signed(request.body, request.headers.get("X-Hub-Signature"), secret):
        return _answered("unknown", "unsigned", 401, "The signature is not that of this body.")
    try:
        topic, event = read_notification(request.body, settings.tags.tag)
    except BadNotification as error:
        return _answered("unknown", "malformed", 400, f"{error}.")
    if event is None:
        return _answered(topic, "ignored", 200)
    try:
        new = await service.store.accept(event)
    except StoreUnavailable as error:
        log.warning("not stored: %s", error)
        return _answered(topic, "not_stored", 503, "Not stored; send it again.")
    if new:
        bell: Bell = request.app.ctx.bell
        bell.ring()
    return _answered(topic, "stored" if new else "repeated", 200)


@ENDPOINTS.head("/api/intercom/webhook", ignore_body=False)
async def check(_request: Request[Any, Any]) -> HTTPResponse:
    """200: Intercom asks when the address is entered."""
    return empty(200)


def _answered(topic: str, outcome: Outcome, status: int, error: str | None = None) -> HTTPResponse:
    metrics.RECEIVED.labels(topic, outcome).inc()
    return json({"error": error} if error else {"received": True}, status)

"""What Kubernetes asks: whether to restart this process, and whether to send it requests."""

from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import json

from mynatca_webhook.service import service_of
from mynatca_webhook.store.errors import StoreUnavailable

ENDPOINTS = Blueprint("probes")


@ENDPOINTS.get("/healthz", ignore_body=False)
async def alive(_request: Request[Any, Any]) -> HTTPResponse:
    """200 while this process answers; one that no longer works the stored events ends by itself."""
    return json({"status": "ok"})


@ENDPOINTS.get("/readyz", ignore_body=False)
async def ready(request: Request[Any, Any]) -> HTTPResponse:
    """200 while notifications can be stored; it does not depend on Intercom."""
    try:
        await service_of(request).store.ensure_writable()
    except StoreUnavailable as error:
        return json({"status": "not ready", "reason": str(error)}, 503)
    return json({"status": "ready"})

"""One line in the log for each request: the route, never the address itself, which may hold anything."""

import logging
import re
import time
from typing import Any
from uuid import uuid4

from sanic import Request
from sanic.constants import HTTP_METHODS
from sanic.response import BaseHTTPResponse

QUIET = frozenset({"/healthz", "/readyz"})
"""Asked every few seconds by Kubernetes; told at DEBUG."""

_REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)

log = logging.getLogger(__name__)


async def begin(request: Request[Any, Any]) -> None:
    """Note when a request is there as a whole, or is refused."""
    request.ctx.begun = time.perf_counter()


async def tell(request: Request[Any, Any], response: BaseHTTPResponse) -> None:
    """Log what a request was answered with; `bytes` are the body's, `milliseconds` those of our work."""
    path = f"/{request.route.path}" if request.route else "unknown"
    level = logging.DEBUG if path in QUIET else logging.INFO
    if not log.isEnabledFor(level):
        return
    method = request.method if request.method in HTTP_METHODS else "unknown"
    begun = getattr(request.ctx, "begun", None)
    facts = {
        "method": method,
        "path": path,
        "status": response.status,
        "bytes": 0 if method == "HEAD" else len(response.body or b""),
        "milliseconds": round((time.perf_counter() - begun) * 1000, 1) if begun else 0,
        "request_id": _id(request),
    }
    log.log(level, "%s %s %d", method, path, response.status, extra=facts)


def _id(request: Request[Any, Any]) -> str:
    """What the ingress calls the request, if that is an id, else one of our own."""
    given = request.headers.get("X-Request-ID", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid4())

"""JSON answers."""

from collections.abc import Mapping
from typing import Any

import orjson
from sanic import HTTPResponse


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """Return `body` as a JSON answer."""
    return HTTPResponse(
        orjson.dumps(body),
        status=status,
        headers=dict(headers or {}),
        content_type="application/json; charset=utf-8",
    )

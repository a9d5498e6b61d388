"""What the service says about itself."""

from typing import Any

from sanic import Blueprint, HTTPResponse, Request
from sanic.response import json

from mynatca_webhook.description import description

ENDPOINTS = Blueprint("about")


@ENDPOINTS.get("/openapi.json", ignore_body=False)
async def describe(_request: Request[Any, Any]) -> HTTPResponse:
    """The OpenAPI description of all endpoints."""
    return json(description())

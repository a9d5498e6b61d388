"""The control API of the webhooks at `/_sandbox/webhooks`."""

from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import BadRequest

from mynatca_sandbox.responses import json_response
from mynatca_sandbox.state import state_of
from mynatca_sandbox.webhooks.topics import PING

webhooks = Blueprint("webhooks", url_prefix="/_sandbox/webhooks")


@webhooks.get("/")
def get_deliveries(request: Request) -> HTTPResponse:
    """Return the counts of deliveries, and the ids of those that failed last."""
    return json_response(state_of(request).webhooks.as_json())


@webhooks.delete("/")
def clear_deliveries(request: Request) -> HTTPResponse:
    """Drop what is under way, count from zero, and deliver again to a URL that had answered 410."""
    deliveries = state_of(request).webhooks
    deliveries.reset()
    return json_response(deliveries.as_json())


@webhooks.post("/ping")
def ping(request: Request) -> HTTPResponse:
    """Send a `ping`; return its id."""
    state = state_of(request)
    notification_id = state.webhooks.send(*PING, state.world.workspace_id)
    if notification_id is None:
        raise BadRequest("There is no webhook_url, or it answered 410")
    return json_response({"id": notification_id})

"""Puts the parts together: Intercom at `/`, Supabase at `/rest/v1`, the control API at `/_sandbox`."""

import itertools

from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException

from mynatca_sandbox.intercom import errors, gate
from mynatca_sandbox.intercom.admins import admins
from mynatca_sandbox.intercom.contacts import contacts
from mynatca_sandbox.intercom.data_attributes import data_attributes
from mynatca_sandbox.intercom.lifecycle import lifecycle
from mynatca_sandbox.state import State, state_of

INTERCOM = (contacts, lifecycle, admins, data_attributes)

# Sanic keeps a register of apps by name; a process may hold several sandboxes.
_numbers = itertools.count(1)


def build_app(state: State) -> Sanic:
    """Return an app that serves `state`."""
    app = Sanic(f"mynatca-sandbox-{next(_numbers)}", configure_logging=False)
    app.ctx.state = state
    app.config.MOTD = False
    for blueprint in INTERCOM:
        app.blueprint(blueprint)
    app.on_request(_count_arrival)
    app.on_request(gate.before)
    app.on_response(gate.after)
    app.on_response(_count_answer)
    app.exception(errors.ApiError)(gate.refuse)
    app.exception(SanicException)(gate.refuse_unrouted)
    return app


def _count_arrival(request: Request) -> HTTPResponse | None:
    if not request.path.startswith("/_sandbox/"):
        state_of(request).calls.by_route[_route_name(request)] += 1
    return None


def _count_answer(request: Request, response: HTTPResponse) -> None:
    if not request.path.startswith("/_sandbox/"):
        status = 0 if gate.is_cut(request) else response.status
        state_of(request).calls.by_status[status] += 1


def _route_name(request: Request) -> str:
    """Return "METHOD /path/{parameter}"."""
    if request.route is None:
        return f"{request.method} unknown"
    segments = request.route.path.split("/")
    named = ["{" + s[1:-1].partition(":")[0] + "}" if s.startswith("<") else s for s in segments]
    return f"{request.method} /{'/'.join(named)}"

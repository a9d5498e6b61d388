"""Puts the parts together: Intercom at `/`, Supabase at `/rest/v1`, the control API at `/_sandbox`."""

import itertools
from collections.abc import Callable
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.exceptions import SanicException
from sanic.response import BaseHTTPResponse

from mynatca_sandbox.control import control
from mynatca_sandbox.exchange import Before, Exchange, Observer
from mynatca_sandbox.inbox.blueprint import inbox
from mynatca_sandbox.intercom import errors, gate
from mynatca_sandbox.intercom.admins import admins
from mynatca_sandbox.intercom.contact_search import contact_search
from mynatca_sandbox.intercom.contacts import contacts
from mynatca_sandbox.intercom.conversation_actions import conversation_actions
from mynatca_sandbox.intercom.conversation_attributes import conversation_attributes
from mynatca_sandbox.intercom.conversations import conversations
from mynatca_sandbox.intercom.data_attributes import data_attributes
from mynatca_sandbox.intercom.lifecycle import lifecycle
from mynatca_sandbox.intercom.merge import merge
from mynatca_sandbox.intercom.notes import notes
from mynatca_sandbox.intercom.tags import tags
from mynatca_sandbox.intercom.tickets import tickets
from mynatca_sandbox.state import State, state_of
from mynatca_sandbox.supabase.blueprint import supabase_blueprint
from mynatca_sandbox.webhooks.blueprint import webhooks

INTERCOM = (
    admins,
    contact_search,
    contacts,
    conversation_actions,
    conversation_attributes,
    conversations,
    data_attributes,
    lifecycle,
    merge,
    notes,
    tags,
    tickets,
)

# Sanic keeps a register of apps by name; a process may hold several sandboxes.
_numbers = itertools.count(1)


def build_app(state: State, observe: Observer | None = None, before: Before | None = None) -> Sanic[Any, Any]:
    """Return an app that serves `state` and tells `before` and `observe` of each call on Intercom.

    `before` is told of the calls that the gate admits; nothing happens between its return and the call's effect.
    Untold to `observe` are the answers that a fault made up or cut off: they are not the emulator's own.
    """
    app = Sanic(f"mynatca-sandbox-{next(_numbers)}", configure_logging=False)
    app.ctx.state = state
    app.config.MOTD = False
    # It rewrites Sanic's own methods, which fails for the second app of a process.
    app.config.TOUCHUP = False
    supabase = supabase_blueprint(lambda: state.world, lambda: state.options.supabase_key)
    app.blueprint((control, webhooks, inbox, supabase, *INTERCOM))
    # By priority, as Sanic would run a blueprint's middleware first.
    app.register_middleware(_count_arrival, "request", priority=2)
    app.register_middleware(gate.before, "request", priority=1)
    if before:
        app.register_middleware(_announcing(before), "request", priority=0)
    app.register_middleware(gate.after, "response")
    app.register_middleware(_count_answer, "response")
    if observe:
        app.register_middleware(_telling(observe), "response")
    app.exception(errors.ApiError)(gate.refuse)
    app.exception(SanicException)(gate.refuse_unrouted)
    return app


def _count_arrival(request: Request) -> HTTPResponse | None:
    if not request.path.startswith("/_sandbox/"):
        state_of(request).calls.by_route[_route_name(request)] += 1
    return None


def _count_answer(request: Request, response: BaseHTTPResponse) -> None:
    if not request.path.startswith("/_sandbox/"):
        status = 0 if gate.is_cut(request) else response.status
        state_of(request).calls.by_status[status] += 1


def _announcing(before: Before) -> Callable[[Request], None]:
    def announce(request: Request) -> None:
        if gate.is_intercom(request):
            before(request.method, request.path)

    return announce


def _telling(observe: Observer) -> Callable[[Request, BaseHTTPResponse], None]:
    def tell(request: Request, response: BaseHTTPResponse) -> None:
        if gate.is_intercom(request) and not gate.is_spoiled(request):
            observe(_exchange(request, response))

    return tell


def _exchange(request: Request, response: BaseHTTPResponse) -> Exchange:
    return Exchange(
        method=request.method,
        target=request.raw_url.decode(),
        route=_route_name(request),
        request_headers={name.lower(): value for name, value in request.headers.items()},
        request_body=request.body,
        status=response.status,
        answer_body=response.body or b"",
    )


def _route_name(request: Request) -> str:
    """Return "METHOD /path/{parameter}"."""
    if request.route is None:
        return f"{request.method} unknown"
    segments = request.route.path.split("/")
    named = ["{" + s[1:-1].partition(":")[0] + "}" if s.startswith("<") else s for s in segments]
    return f"{request.method} /{'/'.join(named)}"

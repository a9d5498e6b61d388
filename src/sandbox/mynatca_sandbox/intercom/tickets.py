"""Tickets: search and get (Intercom REST: Tickets).

Whether search shows the tickets whose contacts are all archived, the option `suspended` says (`Store.is_listed`).
"""

from typing import Any

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom.call import body_of, store_of, version_of
from mynatca_sandbox.intercom.errors import ApiError
from mynatca_sandbox.intercom.pages import read_page, sorted_page
from mynatca_sandbox.intercom.search import pinned
from mynatca_sandbox.intercom.search_fields import ticket_language
from mynatca_sandbox.intercom.serialize import ticket_json
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.state import state_of
from mynatca_sandbox.world.model import Ticket

DEFAULT_PER_PAGE = 20
_LIST = "tickets"

tickets = Blueprint("tickets")


@tickets.post("/tickets/search")
def search_tickets(request: Request) -> HTTPResponse:
    """Find tickets, newest first."""
    store, version, body = store_of(request), version_of(request), body_of(request)
    matches = ticket_language(store).predicate(body.get("query"))
    page = read_page(_LIST, body.get("pagination") or {}, DEFAULT_PER_PAGE)
    contact = pinned(body["query"], ("contact_ids",))
    candidates = store.participations(contact[1]) if contact else store.world.tickets
    suspended = state_of(request).options.suspended
    matching = [each for each in candidates if isinstance(each, Ticket) and matches(each)]
    found = [each for each in matching if store.is_listed(each, suspended)]
    rows, pages = sorted_page(_LIST, found, _key, page, descending=True)
    entries = [ticket_json(each, store, version) for each in rows]
    return json_response({"type": "ticket.list", "tickets": entries, "total_count": len(found), "pages": pages})


@tickets.get("/tickets/<ticket_id:str>")
def get_ticket(request: Request, ticket_id: str) -> HTTPResponse:
    """Return one ticket."""
    store = store_of(request)
    ticket = store.tickets.get(ticket_id)
    if ticket is None:
        raise ApiError(404, "ticket_not_found", "Ticket not found")
    return json_response(ticket_json(ticket, store, version_of(request)))


def _key(ticket: Ticket) -> list[Any]:
    return [ticket.created_at, ticket.id]

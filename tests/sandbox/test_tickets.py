"""Tickets: search and get."""

from collections.abc import Callable

import httpx

from mynatca_sandbox.world.model import Contact, Ticket

Refusal = Callable[[httpx.Response], tuple[int, str, str]]


def test_open_tickets_of_a_contact_are_found(
    api: httpx.Client, add_contact: Callable[..., Contact], add_ticket: Callable[..., Ticket]
) -> None:
    add_contact("a1")
    add_contact("a2")
    add_ticket("1", "a1")
    add_ticket("2", "a1", state_category="resolved")
    add_ticket("3", "a2")
    query = {
        "operator": "AND",
        "value": [
            {"field": "contact_ids", "operator": "=", "value": "a1"},
            {"field": "open", "operator": "=", "value": True},
        ],
    }
    body = api.post("/tickets/search", json={"query": query}).json()
    assert (body["type"], body["total_count"]) == ("ticket.list", 1)
    [ticket] = body["tickets"]
    assert (ticket["id"], ticket["ticket_id"], ticket["open"]) == ("1", "91", True)
    assert ticket["ticket_state"]["category"] == "submitted"


def test_get_shows_a_ticket_and_its_assignees_by_version(
    api: httpx.Client,
    add_contact: Callable[..., Contact],
    add_ticket: Callable[..., Ticket],
    refusal: Refusal,
) -> None:
    add_contact("a1", external_id="5")
    add_ticket("1", "a1")
    ticket = api.get("/tickets/1").json()
    assert ticket["contacts"]["contacts"] == [{"type": "contact", "id": "a1", "external_id": "5"}]
    assert ticket["admin_assignee_id"] == 0
    assert api.get("/tickets/1", headers={"Intercom-Version": "2.15"}).json()["admin_assignee_id"] == "0"
    assert refusal(api.get("/tickets/2")) == (404, "ticket_not_found", "Ticket not found")

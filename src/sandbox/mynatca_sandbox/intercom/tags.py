"""Tags, and tagging contacts, conversations and tickets (Intercom REST: Tags).

Putting a tag on again is no error; taking off one that is not on is a 404 (both assumed).
"""

from typing import Any

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.call import acting_admin, body_of, named_contact, required, store_of
from mynatca_sandbox.intercom.errors import ApiError
from mynatca_sandbox.intercom.events import ConversationTagged
from mynatca_sandbox.intercom.serialize import applied_tag_json, tag_json
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.world.model import Conversation, Ticket

tags = Blueprint("tags")


@tags.get("/tags")
def list_tags(request: Request) -> HTTPResponse:
    """List all tags."""
    store = store_of(request)
    return json_response({"type": "list", "data": [tag_json(tag_id, store) for tag_id in store.world.tags]})


@tags.get("/tags/<tag_id:str>")
def get_tag(request: Request, tag_id: str) -> HTTPResponse:
    """Return one tag."""
    _known_tag(store_of(request), tag_id)
    return json_response(tag_json(tag_id, store_of(request)))


@tags.post("/tags")
def save_tag(request: Request) -> HTTPResponse:
    """Find or create a tag by name, rename it by id, or put it on several contacts."""
    store, body = store_of(request), body_of(request)
    name = body.get("name")
    users = body.get("users", [])
    if not isinstance(name, str) or not name.strip() or not isinstance(users, list):
        raise errors.invalid("invalid tag parameters")
    tag_id = _rename(store, str(body["id"]), name) if "id" in body else find_or_create(store, name)
    tagged = [_tag_user(request, tag_id, user) for user in users]
    return json_response(tag_json(tag_id, store) | {"users": tagged, "companies": []})


@tags.delete("/tags/<tag_id:str>")
def delete_tag(request: Request, tag_id: str) -> HTTPResponse:
    """Delete a tag and take it off everything."""
    store = store_of(request)
    _known_tag(store, tag_id)
    for contact in store.world.contacts:
        if tag_id in contact.tag_ids:
            store.update(contact, tag_ids=_without(contact.tag_ids, tag_id))
    items: list[Conversation | Ticket] = [*store.conversations.values(), *store.tickets.values()]
    for item in items:
        item.tag_ids = _without(item.tag_ids, tag_id)
    del store.world.tags[tag_id]
    return HTTPResponse(status=200)


def find_or_create(store: Store, name: str) -> str:
    """Return the id of the tag with this name, in whatever case."""
    for tag_id, existing in store.world.tags.items():
        if existing.casefold() == name.casefold():
            return tag_id
    tag_id = store.next_id()
    store.world.tags[tag_id] = name
    return tag_id


def _rename(store: Store, tag_id: str, name: str) -> str:
    _known_tag(store, tag_id)
    store.world.tags[tag_id] = name
    return tag_id


def _tag_user(request: Request, tag_id: str, user: Any) -> dict[str, Any]:
    if not isinstance(user, dict):
        raise errors.invalid("invalid tag parameters")
    contact = named_contact(request, str(user.get("id")))
    untag = user.get("untag") is True
    remaining = _without(contact.tag_ids, tag_id)
    store_of(request).update(contact, tag_ids=remaining if untag else _with(contact.tag_ids, tag_id))
    return {"id": contact.id, "tagged": not untag}


def _known_tag(store: Store, tag_id: str) -> None:
    if tag_id not in store.world.tags:
        raise errors.not_found()


def _with(tag_ids: list[str], tag_id: str) -> list[str]:
    return tag_ids if tag_id in tag_ids else [*tag_ids, tag_id]


def _without(tag_ids: list[str], tag_id: str) -> list[str]:
    return [each for each in tag_ids if each != tag_id]


# ---- contacts


@tags.get("/contacts/<contact_id:str>/tags")
def list_contact_tags(request: Request, contact_id: str) -> HTTPResponse:
    """List the tags of a contact."""
    store, contact = store_of(request), named_contact(request, contact_id)
    listed = [tag_json(tag_id, store) | {"applied_at": None, "applied_by": None} for tag_id in contact.tag_ids]
    return json_response({"type": "list", "data": listed})


@tags.post("/contacts/<contact_id:str>/tags")
def tag_contact(request: Request, contact_id: str) -> HTTPResponse:
    """Put a tag on a contact."""
    store, contact = store_of(request), named_contact(request, contact_id)
    tag_id = str(required(body_of(request), "id"))
    _known_tag(store, tag_id)
    store.update(contact, tag_ids=_with(contact.tag_ids, tag_id))
    return json_response(applied_tag_json(tag_id, store))


@tags.delete("/contacts/<contact_id:str>/tags/<tag_id:str>")
def untag_contact(request: Request, contact_id: str, tag_id: str) -> HTTPResponse:
    """Take a tag off a contact."""
    store, contact = store_of(request), named_contact(request, contact_id)
    if tag_id not in contact.tag_ids:
        raise errors.not_found()
    store.update(contact, tag_ids=_without(contact.tag_ids, tag_id))
    return json_response(applied_tag_json(tag_id, store))


# ---- conversations and tickets: in the name of a teammate, whom the body of the DELETE names too


@tags.post("/conversations/<conversation_id:str>/tags")
def tag_conversation(request: Request, conversation_id: str) -> HTTPResponse:
    """Put a tag on a conversation."""
    return _tag(request, _conversation(request, conversation_id))


@tags.delete("/conversations/<conversation_id:str>/tags/<tag_id:str>", ignore_body=False)
def untag_conversation(request: Request, conversation_id: str, tag_id: str) -> HTTPResponse:
    """Take a tag off a conversation."""
    return _untag(request, _conversation(request, conversation_id), tag_id)


@tags.post("/tickets/<ticket_id:str>/tags")
def tag_ticket(request: Request, ticket_id: str) -> HTTPResponse:
    """Put a tag on a ticket."""
    return _tag(request, _ticket(request, ticket_id))


@tags.delete("/tickets/<ticket_id:str>/tags/<tag_id:str>", ignore_body=False)
def untag_ticket(request: Request, ticket_id: str, tag_id: str) -> HTTPResponse:
    """Take a tag off a ticket."""
    return _untag(request, _ticket(request, ticket_id), tag_id)


def _tag(request: Request, item: Conversation | Ticket) -> HTTPResponse:
    store, body = store_of(request), body_of(request)
    admin = acting_admin(request, body)
    tag_id = str(required(body, "id"))
    _known_tag(store, tag_id)
    put_on(store, item, tag_id)
    return json_response(applied_tag_json(tag_id, store, admin.id))


def put_on(store: Store, item: Conversation | Ticket, tag_id: str) -> None:
    """Put a tag on a conversation or ticket, unless it is on."""
    if tag_id in item.tag_ids:
        return
    item.tag_ids = [*item.tag_ids, tag_id]
    store.touch(item)
    if isinstance(item, Conversation):
        store.happened(ConversationTagged(item, tag_id))


def _untag(request: Request, item: Conversation | Ticket, tag_id: str) -> HTTPResponse:
    store = store_of(request)
    admin = acting_admin(request, body_of(request))
    if tag_id not in item.tag_ids:
        raise ApiError(404, "tag_not_found", "Tag not found")
    item.tag_ids = _without(item.tag_ids, tag_id)
    store.touch(item)
    return json_response(applied_tag_json(tag_id, store, admin.id))


def _conversation(request: Request, conversation_id: str) -> Conversation:
    conversation = store_of(request).conversations.get(conversation_id)
    if conversation is None:
        raise errors.not_found("Conversation not found")
    return conversation


def _ticket(request: Request, ticket_id: str) -> Ticket:
    ticket = store_of(request).tickets.get(ticket_id)
    if ticket is None:
        raise ApiError(404, "ticket_not_found", "Ticket not found")
    return ticket

"""Conversations: replies, notes, state, assignment and participants (Intercom REST: Conversations)."""

from typing import Any

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.call import acting_admin, body_of, required, store_of, version_of
from mynatca_sandbox.intercom.conversations import found, shown
from mynatca_sandbox.intercom.events import ContactReplied
from mynatca_sandbox.intercom.fields import read_moment
from mynatca_sandbox.intercom.notes import html
from mynatca_sandbox.intercom.serialize import conversation_json
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.world.model import Contact, Conversation, Part

conversation_actions = Blueprint("conversation_actions")


@conversation_actions.post("/conversations/<conversation_id:str>/reply")
def reply(request: Request, conversation_id: str) -> HTTPResponse:
    """Add a comment of a contact, or a comment or note of a teammate."""
    body, conversation = body_of(request), found(request, conversation_id)
    if body.get("type") == "user":
        store = store_of(request)
        contact_replies(store, conversation, _replying_contact(store, body), required(body, "body"))
    elif body.get("type") == "admin":
        _admin_replies(request, conversation, body)
    else:
        raise errors.invalid("type must be one of: admin, user")
    return shown(request, conversation)


@conversation_actions.post("/conversations/<conversation_id:str>/parts")
def manage(request: Request, conversation_id: str) -> HTTPResponse:
    """Close, open, snooze or assign a conversation."""
    body, conversation = body_of(request), found(request, conversation_id)
    admin = acting_admin(request, body)
    action = body.get("message_type")
    if action == "close":
        conversation.state, conversation.snoozed_until = "closed", None
    elif action == "open":
        conversation.state, conversation.snoozed_until = "open", None
    elif action == "snoozed":
        conversation.snoozed_until = read_moment(required(body, "snoozed_until"))
        conversation.state = "snoozed"
    elif action == "assignment":
        assignee_id = str(required(body, "assignee_id"))
        conversation.admin_assignee_id = None if assignee_id == "0" else assignee_id
    else:
        raise errors.invalid("message_type must be one of: assignment, close, open, snoozed")
    text = html(body["body"]) if body.get("body") else None
    _add_part(store_of(request), conversation, Part("", action, text, 0, "admin", admin.id))
    return shown(request, conversation)


@conversation_actions.post("/conversations/<conversation_id:str>/customers")
def attach_contact(request: Request, conversation_id: str) -> HTTPResponse:
    """Add a contact to a conversation; again if it takes part already (assumed)."""
    store, body, conversation = store_of(request), body_of(request), found(request, conversation_id)
    acting_admin(request, body)
    customer = body.get("customer")
    contact = store.live(str(customer.get("intercom_user_id"))) if isinstance(customer, dict) else None
    if contact is None:
        raise errors.not_found()
    if contact.id not in conversation.contact_ids:
        store.set_participants(conversation, [*conversation.contact_ids, contact.id])
    return _with_customers(request, conversation)


@conversation_actions.delete("/conversations/<conversation_id:str>/customers/<contact_id:str>", ignore_body=False)
def detach_contact(request: Request, conversation_id: str, contact_id: str) -> HTTPResponse:
    """Take a contact out of a conversation with several."""
    store, conversation = store_of(request), found(request, conversation_id)
    acting_admin(request, body_of(request))
    if contact_id not in conversation.contact_ids:
        raise errors.user_not_found()
    if len(conversation.contact_ids) == 1:
        raise errors.ApiError(422, "parameter_invalid", "Removing the last customer is not allowed")
    store.set_participants(conversation, [each for each in conversation.contact_ids if each != contact_id])
    return _with_customers(request, conversation)


def contact_replies(store: Store, conversation: Conversation, contact: Contact, text: Any) -> None:
    """Add a contact's comment; it opens the conversation again."""
    kind = "comment" if conversation.state == "open" else "open"
    conversation.state, conversation.snoozed_until, conversation.read = "open", None, False
    part = Part("", kind, html(text), 0, contact.role, contact.id)
    _add_part(store, conversation, part)
    store.update(contact, last_replied_at=store.now())
    store.happened(ContactReplied(conversation, part))


def _replying_contact(store: Store, body: dict[str, Any]) -> Contact:
    contact = store.live(str(body.get("intercom_user_id")))
    if contact is None and body.get("user_id"):
        holders = store.holders("external_id", str(body["user_id"]))
        contact = next((holder for holder in holders if store.live(holder.id)), None)
    if contact is None:
        raise errors.user_not_found()
    return contact


def _admin_replies(request: Request, conversation: Conversation, body: dict[str, Any]) -> None:
    """Add a teammate's note, or a comment, which contacts the participants."""
    store, admin, kind = store_of(request), acting_admin(request, body), body.get("message_type")
    if kind not in {"comment", "note"}:
        raise errors.invalid("message_type must be one of: comment, note")
    _add_part(store, conversation, Part("", kind, html(required(body, "body")), 0, "admin", admin.id))
    if kind == "comment":
        for contact_id in conversation.contact_ids:
            contact = store.live(contact_id)
            if contact is not None:
                store.update(contact, last_contacted_at=store.now())


def _add_part(store: Store, conversation: Conversation, part: Part) -> None:
    """Add a part that has no id and moment yet."""
    part.id, part.created_at = store.next_id(), store.now()
    conversation.parts.append(part)
    store.touch(conversation)


def _with_customers(request: Request, conversation: Conversation) -> HTTPResponse:
    """Answer the described conversation together with the `customers` of the published example."""
    store, version = store_of(request), version_of(request)
    participants = (store.contacts.get(contact_id) for contact_id in conversation.contact_ids)
    customers = [{"type": contact.role, "id": contact.id} for contact in participants if contact]
    described = conversation_json(conversation, store, version, with_parts=True)
    return json_response(described | {"customers": customers})

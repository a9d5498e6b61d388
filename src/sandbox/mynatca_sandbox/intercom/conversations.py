"""Conversations: list, get, search, create and update (Intercom REST: Conversations).

Whether lists and searches show the conversations whose contacts are all archived, the option `suspended` says
(`Store.is_listed`); get answers in any case.
"""

from typing import Any

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.call import body_of, required, store_of, version_of
from mynatca_sandbox.intercom.conversation_attributes import merge_attribute_values
from mynatca_sandbox.intercom.notes import html
from mynatca_sandbox.intercom.pages import PageRequest, read_page, sorted_page
from mynatca_sandbox.intercom.search import pinned
from mynatca_sandbox.intercom.search_fields import conversation_language
from mynatca_sandbox.intercom.serialize import conversation_json
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.state import state_of
from mynatca_sandbox.world.model import Contact, Conversation

DEFAULT_PER_PAGE = 20
_LIST = "conversations"

conversations = Blueprint("conversations")


@conversations.get("/conversations")
def list_conversations(request: Request) -> HTTPResponse:
    """List conversations, newest first."""
    store = store_of(request)
    page = read_page(_LIST, {name: request.args.get(name) for name in request.args}, DEFAULT_PER_PAGE)
    return _listing(request, store.world.conversations, page)


@conversations.post("/conversations/search")
def search_conversations(request: Request) -> HTTPResponse:
    """Find conversations, newest first."""
    store, body = store_of(request), body_of(request)
    matches = conversation_language(store).predicate(body.get("query"))
    page = read_page(_LIST, body.get("pagination") or {}, DEFAULT_PER_PAGE)
    contact = pinned(body["query"], ("contact_ids",))
    candidates = store.participations(contact[1]) if contact else store.world.conversations
    found = [each for each in candidates if isinstance(each, Conversation) and matches(each)]
    return _listing(request, found, page)


@conversations.get("/conversations/<conversation_id:str>")
def get_conversation(request: Request, conversation_id: str) -> HTTPResponse:
    """Return one conversation with its parts."""
    return shown(request, found(request, conversation_id))


@conversations.post("/conversations")
def create_conversation(request: Request) -> HTTPResponse:
    """Begin a conversation in the name of a contact."""
    store, body = store_of(request), body_of(request)
    author = body.get("from")
    contact = store.live(str(author.get("id"))) if isinstance(author, dict) else None
    if contact is None:
        raise errors.user_not_found()
    conversation = begin(store, contact, required(body, "body"))
    return json_response(
        {
            "type": "user_message",
            "id": store.next_id(),
            "created_at": conversation.created_at,
            "body": body["body"],
            "message_type": "inapp",
            "conversation_id": conversation.id,
        }
    )


@conversations.put("/conversations/<conversation_id:str>")
def update_conversation(request: Request, conversation_id: str) -> HTTPResponse:
    """Change title, custom attributes and whether it was read."""
    store, body = store_of(request), body_of(request)
    conversation = found(request, conversation_id)
    set_attributes(store, conversation, body.get("custom_attributes") or {})
    conversation.title = body.get("title", conversation.title)
    conversation.read = bool(body.get("read", conversation.read))
    store.touch(conversation)
    return shown(request, conversation)


def begin(store: Store, contact: Contact, text: Any) -> Conversation:
    """Add an open conversation in the name of a contact, whatever its state.

    As with `updated_at`, the contact's `last_replied_at` moves at least one second, so that a reader sees it.
    """
    now = store.now()
    conversation = Conversation(
        id=store.next_id(), contact_ids=[contact.id], created_at=now, updated_at=now, body=html(text), read=False
    )
    store.add_conversation(conversation)
    store.update(contact, last_replied_at=max(now, (contact.last_replied_at or 0) + 1))
    return conversation


def set_attributes(store: Store, conversation: Conversation, changes: Any) -> None:
    """Write custom attributes, without touching the conversation; null and "" remove a value.

    Raises:
        ApiError: as `merge_attribute_values`.
    """
    definitions = store.world.conversation_attributes
    conversation.custom_attributes = merge_attribute_values(conversation.custom_attributes, changes, definitions)


def found(request: Request, conversation_id: str) -> Conversation:
    """Return the conversation that a call addresses.

    Raises:
        ApiError: 404 `Resource Not Found`.
    """
    conversation = store_of(request).conversations.get(conversation_id)
    if conversation is None:
        raise errors.not_found()
    return conversation


def shown(request: Request, conversation: Conversation) -> HTTPResponse:
    """Answer a conversation with its parts."""
    store, version = store_of(request), version_of(request)
    return json_response(conversation_json(conversation, store, version, with_parts=True))


def _listing(request: Request, found: list[Conversation], page: PageRequest) -> HTTPResponse:
    store, version = store_of(request), version_of(request)
    suspended = state_of(request).options.suspended
    listed = [each for each in found if store.is_listed(each, suspended)]
    rows, pages = sorted_page(_LIST, listed, _key, page, descending=True)
    entries = [conversation_json(each, store, version, with_parts=False) for each in rows]
    return json_response(
        {"type": "conversation.list", "conversations": entries, "total_count": len(listed), "pages": pages}
    )


def _key(conversation: Conversation) -> list[Any]:
    return [conversation.created_at, conversation.id]

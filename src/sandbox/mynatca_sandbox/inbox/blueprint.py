"""The inbox's page and what it asks for, at `/_sandbox/inbox`. It asks for no credentials."""

import base64
import hashlib
import heapq
import re
from importlib import resources
from itertools import islice
from typing import Any

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.inbox import canvas, views
from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.call import body_of, required, store_of
from mynatca_sandbox.intercom.conversation_actions import contact_replies
from mynatca_sandbox.intercom.conversations import begin, found, set_attributes
from mynatca_sandbox.intercom.fields import read_contact_fields
from mynatca_sandbox.intercom.serialize import V2_16
from mynatca_sandbox.intercom.tags import find_or_create, put_on
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.state import state_of
from mynatca_sandbox.world.model import Contact, Conversation
from mynatca_sandbox.world.workspace import SYNC_TAG, VERIFICATION

MAX_LISTED = 50
MAX_PEOPLE = 5


def _page_with_policy() -> tuple[str, str]:
    """Return the page, and a policy by which the browser runs its script and no other."""
    page = resources.files(__package__).joinpath("page.html").read_text("utf-8")
    [script] = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return page, (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


_PAGE, _POLICY = _page_with_policy()

inbox = Blueprint("inbox", url_prefix="/_sandbox/inbox")


@inbox.get("/")
def show_page(_: Request) -> HTTPResponse:
    """Answer the page."""
    return HTTPResponse(_PAGE, headers={"Content-Security-Policy": _POLICY}, content_type="text/html; charset=utf-8")


@inbox.get("/conversations")
def list_conversations(request: Request) -> HTTPResponse:
    """Return the conversations that changed last, whether notifications go anywhere, and whether there is an app."""
    store, state = store_of(request), state_of(request)
    latest = heapq.nlargest(MAX_LISTED, store.conversations.values(), key=lambda each: (each.updated_at, each.id))
    entries = [views.entry(each, store) for each in latest]
    app = bool(state.options.canvas_url)
    return json_response({"conversations": entries, "connected": state.webhooks.live, "app": app})


@inbox.get("/conversations/<conversation_id:str>")
def get_conversation(request: Request, conversation_id: str) -> HTTPResponse:
    """Return one conversation with its messages and its contact."""
    return _opened(request, found(request, conversation_id))


@inbox.get("/people")
def list_people(request: Request) -> HTTPResponse:
    """Return some members to write in as."""
    return json_response({"people": list(islice(views.people(store_of(request)), MAX_PEOPLE))})


@inbox.post("/visitors")
def write_as_visitor(request: Request) -> HTTPResponse:
    """Let a new visitor begin a conversation and then leave an email: a lead, and what Intercom tells of one."""
    store, body = store_of(request), body_of(request)
    fields = read_contact_fields({"email": required(body, "email")}, store, V2_16)
    text = _text(body)
    visitor = store.create("lead", {})
    conversation = begin(store, visitor, text)
    store.update(visitor, **fields)
    return _opened(request, conversation)


@inbox.post("/conversations/<conversation_id:str>/reply")
def reply(request: Request, conversation_id: str) -> HTTPResponse:
    """Write as the contact."""
    conversation = found(request, conversation_id)
    contact = _contact(request, conversation)
    contact_replies(store_of(request), conversation, contact, _text(body_of(request)))
    return _opened(request, conversation)


@inbox.post("/conversations/<conversation_id:str>/tag")
def tag(request: Request, conversation_id: str) -> HTTPResponse:
    """Put the tag on by which a teammate asks for another look at the contact."""
    store, conversation = store_of(request), found(request, conversation_id)
    put_on(store, conversation, find_or_create(store, SYNC_TAG))
    return _opened(request, conversation)


@inbox.put("/conversations/<conversation_id:str>/verification")
def verify(request: Request, conversation_id: str) -> HTTPResponse:
    """Write the attribute in which a teammate notes the member number."""
    store, conversation = store_of(request), found(request, conversation_id)
    set_attributes(store, conversation, {VERIFICATION: body_of(request).get("value")})
    store.touch(conversation)
    return _opened(request, conversation)


@inbox.post("/conversations/<conversation_id:str>/canvas/initialize")
async def initialize_canvas(request: Request, conversation_id: str) -> HTTPResponse:
    """Return the inbox app's canvas for a conversation just opened."""
    return await _ask_app(request, conversation_id, None)


@inbox.post("/conversations/<conversation_id:str>/canvas/submit")
async def submit_canvas(request: Request, conversation_id: str) -> HTTPResponse:
    """Return the canvas that replaces `current_canvas` after what was done in it."""
    return await _ask_app(request, conversation_id, body_of(request))


async def _ask_app(request: Request, conversation_id: str, submitted: dict[str, Any] | None) -> HTTPResponse:
    options, conversation = state_of(request).options, found(request, conversation_id)
    if not options.canvas_url:
        raise errors.not_found("There is no canvas_url")
    contact = _contact(request, conversation)
    return json_response(await canvas.ask(options, store_of(request), conversation, contact, submitted))


def _opened(request: Request, conversation: Conversation) -> HTTPResponse:
    return json_response(views.opened(conversation, store_of(request)))


def _contact(request: Request, conversation: Conversation) -> Contact:
    contact = views.contact_of(conversation, store_of(request))
    if contact is None:
        raise errors.user_not_found()
    return contact


def _text(body: dict[str, Any]) -> str:
    text = str(required(body, "body"))
    if not text.strip():
        raise errors.missing("body")
    return views.as_html(text)

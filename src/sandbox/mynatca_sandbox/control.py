"""The control API at `/_sandbox`: counts of calls, options, worlds. It asks for no credentials."""

from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import BadRequest

from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.options import OPTIONS
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.state import state_of
from mynatca_sandbox.world.change import change_members
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import Contact, Conversation, Ticket

WORLD_OPTIONS: TypeAdapter[WorldOptions] = TypeAdapter(WorldOptions)

control = Blueprint("control", url_prefix="/_sandbox")


@control.get("/health")
def health(_: Request) -> HTTPResponse:
    """Answer 200 once the sandbox serves."""
    return json_response({"status": "ok"})


@control.get("/calls")
def get_calls(request: Request) -> HTTPResponse:
    """Return the counts of calls."""
    return json_response(state_of(request).calls.as_json())


@control.delete("/calls")
def clear_calls(request: Request) -> HTTPResponse:
    """Count from zero."""
    calls = state_of(request).calls
    calls.clear()
    return json_response(calls.as_json())


@control.get("/options")
def get_options(request: Request) -> HTTPResponse:
    """Return the options in force."""
    return json_response(OPTIONS.dump_python(state_of(request).options))


@control.patch("/options")
def change_options(request: Request) -> HTTPResponse:
    """Change the options that the body names."""
    state = state_of(request)
    try:
        state.change_options(state.options.changed(_object(request)))
    except ValidationError as error:
        raise BadRequest(str(error)) from error
    return json_response(OPTIONS.dump_python(state.options))


@control.put("/world")
def replace_world(request: Request) -> HTTPResponse:
    """Generate a new world by the `WorldOptions` in the body; options stay, counts begin at zero."""
    state = state_of(request)
    try:
        options = WORLD_OPTIONS.validate_python(_object(request))
    except ValidationError as error:
        raise BadRequest(str(error)) from error
    state.reset(generate(options), state.options)
    return json_response({"contacts": len(state.world.contacts)})


@control.get("/contacts")
def dump_contacts(request: Request) -> HTTPResponse:
    """Return all contacts of any state, equal for equal end states, whatever the way there.

    So it holds the texts of notes and not their ids, which follow the order of the calls.
    """
    store = state_of(request).store
    dump = [_canonical(contact, store) for contact in store.world.contacts]
    return json_response(sorted(dump, key=lambda contact: str(contact["id"])))


@control.post("/members/change")
def change(request: Request) -> HTTPResponse:
    """Change `count` members so that each needs exactly one update; return their numbers."""
    body = _object(request)
    try:
        changed = change_members(state_of(request).world, int(body.get("count", 1)), int(body.get("seed", 1)))
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return json_response({"changed": changed})


def _object(request: Request) -> dict[str, Any]:
    try:
        body = orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError as error:
        raise BadRequest("The body must be JSON") from error
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object")
    return body


def _canonical(contact: Contact, store: Store) -> dict[str, Any]:
    items = sorted(store.participations(contact.id), key=lambda item: item.id)
    return {
        "id": contact.id,
        "role": contact.role,
        "external_id": contact.external_id,
        "email": contact.email,
        "phone": contact.phone,
        "name": contact.name,
        "custom_attributes": dict(sorted(contact.custom_attributes.items())),
        "tags": sorted(store.world.tags[tag_id] for tag_id in contact.tag_ids),
        "notes": sorted(note.body for note in contact.notes),
        "conversations": [{"id": item.id, "state": item.state} for item in items if isinstance(item, Conversation)],
        "tickets": [{"id": item.id, "open": item.open} for item in items if isinstance(item, Ticket)],
        "archived": contact.archived,
        "merged_into": contact.merged_into,
        "deleted": contact.deleted,
        "blocked": contact.blocked,
    }

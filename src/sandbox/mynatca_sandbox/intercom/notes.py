"""Notes on contacts (Intercom REST: Notes)."""

from typing import Any

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.call import body_of, named_contact, required, store_of
from mynatca_sandbox.intercom.pages import read_page, sorted_page
from mynatca_sandbox.intercom.serialize import note_json
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.world.model import Note

DEFAULT_PER_PAGE = 50

notes = Blueprint("notes")


@notes.get("/contacts/<contact_id:str>/notes")
def list_notes(request: Request, contact_id: str) -> HTTPResponse:
    """List the notes on a contact, newest first."""
    store, contact = store_of(request), named_contact(request, contact_id)
    page = read_page("notes", {name: request.args.get(name) for name in request.args}, DEFAULT_PER_PAGE)
    shown, pages = sorted_page("notes", contact.notes, lambda note: [note.created_at, note.id], page, descending=True)
    entries = [note_json(note, contact, store) for note in shown]
    return json_response(
        {"type": "list", "data": entries, "total_count": len(contact.notes), "pages": {"next": None} | pages}
    )


@notes.post("/contacts/<contact_id:str>/notes")
def create_note(request: Request, contact_id: str) -> HTTPResponse:
    """Put a note on a contact, in the name of a teammate if the body names one."""
    store, body = store_of(request), body_of(request)
    contact = named_contact(request, contact_id)
    note = Note(store.next_id(), html(required(body, "body")), store.now(), _author_id(store, body))
    store.update(contact, notes=[*contact.notes, note])
    return json_response(note_json(note, contact, store))


def html(text: Any) -> str:
    """Return a message's text as a paragraph; what is HTML already stays."""
    return str(text) if str(text).lstrip().startswith("<") else f"<p>{text}</p>"


def _author_id(store: Store, body: dict[str, Any]) -> str | None:
    if body.get("admin_id") is None:
        return None
    admin = store.admin(body["admin_id"])
    if admin is None:
        raise errors.not_found()
    return admin.id

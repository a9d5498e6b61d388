"""Contacts: list, get, create and update (Intercom REST: Contacts)."""

from itertools import islice
from typing import Any
from urllib.parse import unquote

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom import errors, uniqueness
from mynatca_sandbox.intercom.call import body_of, store_of, version_of
from mynatca_sandbox.intercom.fields import merge_custom_attributes, read_contact_fields
from mynatca_sandbox.intercom.pages import read_page
from mynatca_sandbox.intercom.serialize import V2_16, contact_json
from mynatca_sandbox.intercom.store import is_live
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.state import state_of
from mynatca_sandbox.world.model import Contact

DEFAULT_PER_PAGE = 10

contacts = Blueprint("contacts")


@contacts.get("/contacts")
def list_contacts(request: Request) -> HTTPResponse:
    """List live contacts, in no order that means anything."""
    store, version = store_of(request), version_of(request)
    page = read_page("contacts", {key: request.args.get(key) for key in request.args}, DEFAULT_PER_PAGE)
    after = -1 if page.after is None else page.after
    rows = list(islice(store.live_after(after), page.per_page + 1))
    shown = rows[: page.per_page]
    last_key = shown[-1][0] if len(rows) > len(shown) else None
    workspace_id = store.world.workspace_id
    return json_response(
        {
            "type": "list",
            "data": [contact_json(contact, workspace_id, version) for _, contact in shown],
            "total_count": store.live_count,
            "pages": page.describe("contacts", store.live_count, last_key),
        }
    )


@contacts.get("/contacts/<contact_id:str>")
def get_contact(request: Request, contact_id: str) -> HTTPResponse:
    """Return one live contact; 410 for a merged one, 404 for others."""
    contact = store_of(request).contacts.get(contact_id)
    return _shown(request, contact)


@contacts.get("/contacts/find_by_external_id/<external_id:str>")
def find_by_external_id(request: Request, external_id: str) -> HTTPResponse:
    """Return the user with an external id; leads are not found, but merged ones are pointed on from."""
    # Sanic's own decoding is lost where another route has the same first segment.
    holders = store_of(request).holders("external_id", unquote(external_id))
    eligible = [holder for holder in holders if holder.role == "user" or holder.merged_into]
    eligible.sort(key=lambda holder: (not is_live(holder), holder.merged_into is None))
    return _shown(request, next(iter(eligible), None))


@contacts.post("/contacts")
def create_contact(request: Request) -> HTTPResponse:
    """Create a user or lead."""
    store, body = store_of(request), body_of(request)
    fields = read_contact_fields(body, store, version_of(request))
    fields["custom_attributes"] = merge_custom_attributes({}, body.get("custom_attributes"), store)
    role = fields.pop("role", "user")
    if role == "user":
        _check_new_user(request, fields.get("external_id"), fields.get("email"))
    elif fields.get("external_id") is not None:
        raise _external_id_of_lead()
    return _shown(request, store.create(role, fields))


@contacts.put("/contacts/<contact_id:str>")
def update_contact(request: Request, contact_id: str) -> HTTPResponse:
    """Change the fields that the body names."""
    store, body = store_of(request), body_of(request)
    contact = store.live(contact_id)
    if contact is None:
        raise errors.not_found("Contact Not Found")
    changes = read_contact_fields(body, store, version_of(request))
    current, given = contact.custom_attributes, body.get("custom_attributes")
    changes["custom_attributes"] = merge_custom_attributes(current, given, store)
    _apply_clearing_rule(request, contact, changes)
    _check_role(contact, changes)
    _check_identity(request, contact, changes)
    store.update(contact, **changes)
    return _shown(request, contact)


def _shown(request: Request, contact: Contact | None) -> HTTPResponse:
    store, version = store_of(request), version_of(request)
    if contact is not None and contact.merged_into and version >= V2_16:
        raise errors.contact_merged(store.canonical(contact).id)
    if contact is None or not is_live(contact):
        raise errors.user_not_found()
    return json_response(contact_json(contact, store.world.workspace_id, version))


def _check_new_user(request: Request, external_id: str | None, email: str | None) -> None:
    store, options = store_of(request), state_of(request).options
    if external_id is None and email is None:
        raise errors.invalid("A user needs an email or an external_id")
    if external_id is not None:
        uniqueness.check_external_id(store, external_id)
    if email is not None:
        uniqueness.check_email(store, options, email, external_id)


def _apply_clearing_rule(request: Request, contact: Contact, changes: dict[str, Any]) -> None:
    """Treat a cleared external id as the option says; a lead's is Intercom's own and stays."""
    if changes.get("external_id", "") is not None:
        return
    rule = state_of(request).options.clear_external_id
    if rule == "refuse":
        raise errors.invalid("external_id cannot be empty")
    if rule == "ignore" or contact.role == "lead":
        del changes["external_id"]


def _check_role(contact: Contact, changes: dict[str, Any]) -> None:
    role = changes.get("role", contact.role)
    if contact.role == "user" and role == "lead":
        raise errors.ApiError(400, "client_error", "Contact with user role can't be converted to a lead")
    if role == "lead" and "external_id" in changes:
        raise _external_id_of_lead()


def _check_identity(request: Request, contact: Contact, changes: dict[str, Any]) -> None:
    """Refuse what would make the contact share an identity with another user."""
    after = {name: changes.get(name, getattr(contact, name)) for name in ("role", "external_id", "email")}
    if after["role"] == "lead":
        return
    store, options = store_of(request), state_of(request).options
    becomes_user = contact.role == "lead"
    if after["external_id"] is not None and (becomes_user or after["external_id"] != contact.external_id):
        uniqueness.check_external_id(store, after["external_id"], contact)
    if after["email"] is not None and (becomes_user or after["email"] != contact.email):
        uniqueness.check_email(store, options, after["email"], after["external_id"], contact)


def _external_id_of_lead() -> errors.ApiError:
    return errors.invalid("external_id cannot be set for a lead")

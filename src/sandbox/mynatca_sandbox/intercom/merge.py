"""Contacts: merge a lead into a user, and the history of merges (Intercom REST: Merge a lead and a user)."""

from typing import Any

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.call import body_of, require_version, store_of, version_of
from mynatca_sandbox.intercom.pages import read_page, sorted_page
from mynatca_sandbox.intercom.serialize import V2_16, contact_json
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.world.model import Contact

HISTORY_PER_PAGE = 50
# Empty on the survivor, they are copied. A lead's external id is Intercom's own and goes with the lead.
_COPIED = (
    "email",
    "phone",
    "name",
    "avatar",
    "owner_id",
    "signed_up_at",
    "last_seen_at",
    "last_replied_at",
    "last_contacted_at",
)

merge = Blueprint("merge")


@merge.post("/contacts/merge")
def merge_contacts(request: Request) -> HTTPResponse:
    """Merge the lead `from` into the user `into`, which survives with all that the lead had."""
    store, version, body = store_of(request), version_of(request), body_of(request)
    source, survivor = _named(store, body.get("from")), _named(store, body.get("into"))
    if source.role != "lead" or survivor.role != "user":
        raise errors.invalid_merge("Merging can only be performed on a lead into a user")
    unchecked = version < V2_16 or body.get("skip_duplicate_validation") is True
    if not unchecked and not _are_duplicates(source, survivor):
        raise errors.invalid_merge(
            "Contacts can only be merged when they are duplicates (matching email or phone). "
            "Pass skip_duplicate_validation=true to override this check."
        )
    _move(store, source, survivor)
    return json_response(contact_json(survivor, store.world.workspace_id, version))


@merge.get("/contacts/<contact_id:str>/merge_history")
def list_merge_history(request: Request, contact_id: str) -> HTTPResponse:
    """List the contacts merged into a user, newest first."""
    require_version(request, V2_16)
    store = store_of(request)
    survivor = store.live(contact_id)
    if survivor is None or survivor.role == "lead":
        raise errors.not_found("Contact not found")
    parameters = {"per_page": request.args.get("per_page", HISTORY_PER_PAGE)}
    if "cursor" in request.args:
        parameters["starting_after"] = request.args.get("cursor")
    page = read_page("merge_history", parameters, HISTORY_PER_PAGE)
    merged = [contact for contact in store.world.contacts if contact.merged_into == contact_id]
    descending = request.args.get("order") != "asc"
    shown, pages = sorted_page("merge_history", merged, _merge_key, page, descending=descending)
    cursor = pages.get("next", {}).get("starting_after")
    entries = [_history_entry(contact) for contact in shown]
    return json_response({"type": "list", "data": entries, "next_cursor": cursor, "has_more": cursor is not None})


def _named(store: Store, contact_id: Any) -> Contact:
    """Return the live contact; a missing id is not found either, as with Intercom."""
    contact = store.live(str(contact_id))
    if contact is None:
        raise errors.not_found("Contact Not Found")
    return contact


def _are_duplicates(source: Contact, survivor: Contact) -> bool:
    same_email = source.email is not None and source.email == survivor.email
    same_phone = source.phone is not None and source.phone == survivor.phone
    return same_email or same_phone


def _move(store: Store, source: Contact, survivor: Contact) -> None:
    copied = {name: getattr(source, name) for name in _COPIED if getattr(survivor, name) is None}
    store.update(
        survivor,
        **copied,
        custom_attributes=source.custom_attributes | survivor.custom_attributes,
        tag_ids=list(dict.fromkeys(survivor.tag_ids + source.tag_ids)),
        notes=sorted(survivor.notes + source.notes, key=lambda note: note.created_at),
    )
    for item in store.participations(source.id):
        contact_ids = [survivor.id if each == source.id else each for each in item.contact_ids]
        store.set_participants(item, list(dict.fromkeys(contact_ids)))
    store.update(source, merged_into=survivor.id, tag_ids=[], notes=[])


def _merge_key(contact: Contact) -> list[Any]:
    # A merged contact changes no more: its last change is its merge.
    return [contact.updated_at, contact.id]


def _history_entry(contact: Contact) -> dict[str, Any]:
    return {
        "type": "merge_history",
        "source_contact_id": contact.id,
        "source_contact_role": contact.role,
        "merged_at": contact.updated_at,
    }

"""Contacts: archive, unarchive, block and delete (Intercom REST: Contacts).

An archived contact keeps its identifiers. So does a deleted one, whose identifiers Intercom frees only after
days.
"""

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.call import store_of
from mynatca_sandbox.intercom.serialize import contact_reference
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.world.model import Contact, Conversation

lifecycle = Blueprint("lifecycle")


@lifecycle.post("/contacts/<contact_id:str>/archive")
def archive(request: Request, contact_id: str) -> HTTPResponse:
    """Archive a contact; again if it is archived already (assumed)."""
    contact = _present(request, contact_id)
    store_of(request).update(contact, archived=True)
    return json_response(contact_reference(contact) | {"archived": True})


@lifecycle.post("/contacts/<contact_id:str>/unarchive")
def unarchive(request: Request, contact_id: str) -> HTTPResponse:
    """Restore an archived contact, unless it was merged, blocked or deleted."""
    store = store_of(request)
    contact = store.contacts.get(contact_id)
    if contact is None:
        raise errors.user_not_found()
    if contact.merged_into:
        raise errors.ApiError(400, "bad_request", "User has been merged and is not restorable.")
    if contact.deleted:
        # Seen by others who integrate with Intercom: a deleted contact is no clean refusal.
        raise errors.ApiError(500, "server_error", "Something went wrong")
    if contact.blocked:
        raise errors.ApiError(400, "not_restorable", "User was blocked and cannot be recreated")
    store.update(contact, archived=False)
    return json_response(contact_reference(contact) | {"archived": False})


@lifecycle.post("/contacts/<contact_id:str>/block")
def block(request: Request, contact_id: str) -> HTTPResponse:
    """Block a contact; it and its conversations disappear."""
    contact = _present(request, contact_id)
    store_of(request).update(contact, blocked=True, archived=True)
    return json_response(contact_reference(contact) | {"blocked": True})


@lifecycle.delete("/contacts/<contact_id:str>")
def delete(request: Request, contact_id: str) -> HTTPResponse:
    """Delete a contact, archived or not, with its conversations, for good."""
    store = store_of(request)
    contact = _present(request, contact_id)
    for item in store.participations(contact_id):
        if isinstance(item, Conversation):
            store.remove_conversation(item)
    store.update(contact, deleted=True)
    return json_response(contact_reference(contact) | {"deleted": True})


def _present(request: Request, contact_id: str) -> Contact:
    contact = store_of(request).contacts.get(contact_id)
    if contact is None or contact.deleted or contact.merged_into:
        raise errors.user_not_found()
    return contact

"""Contacts: search (Intercom REST: Search for contacts). The index is behind by the option `index_lag`."""

from collections.abc import Callable
from typing import Any

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.call import body_of, store_of, version_of
from mynatca_sandbox.intercom.pages import read_page, sorted_page
from mynatca_sandbox.intercom.search import pinned
from mynatca_sandbox.intercom.search_fields import contact_language, contact_sort_field
from mynatca_sandbox.intercom.serialize import V2_16, Version, contact_json
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.state import state_of
from mynatca_sandbox.world.model import Contact

DEFAULT_PER_PAGE = 50
_LIST = "contacts/search"

contact_search = Blueprint("contact_search")


@contact_search.post("/contacts/search")
def search_contacts(request: Request) -> HTTPResponse:
    """Find contacts; the answer shows them as the index knows them (assumed)."""
    store, version, body = store_of(request), version_of(request), body_of(request)
    matches = contact_language(store).predicate(body.get("query"))
    page = read_page(_LIST, body.get("pagination") or {}, DEFAULT_PER_PAGE)
    key, descending = _read_sort(body.get("sort"), version)
    lag = state_of(request).options.index_lag
    identifier = pinned(body["query"], ("external_id", "email", "phone"))
    candidates = store.searchable_holders(*identifier, lag) if identifier else store.searchable(lag)
    found = [contact for contact in candidates if matches(contact)]
    shown, pages = sorted_page(_LIST, found, key, page, descending=descending)
    entries = [contact_json(contact, store.world.workspace_id, version) for contact in shown]
    return json_response({"type": "list", "data": entries, "total_count": len(found), "pages": pages})


def _read_sort(sort: Any, version: Version) -> tuple[Callable[[Contact], list[Any]], bool]:
    """Return the sort key and whether it descends; the default is by creation, newest first."""
    if version < V2_16 or not isinstance(sort, dict):
        sort = {}
    order = sort.get("order", "descending")
    if order not in {"ascending", "descending"}:
        message = f"Invalid sort order '{order}'. Must be one of: ascending, descending"
        raise errors.ApiError(400, "invalid_sort_order", message)
    field = contact_sort_field(sort.get("field", "created_at"))
    if field is None:
        raise errors.invalid(f"Cannot sort by '{sort['field']}'")
    read = field.read

    def key(contact: Contact) -> list[Any]:
        value = read(contact)
        return [value is not None, value, contact.id]

    return key, order == "descending"

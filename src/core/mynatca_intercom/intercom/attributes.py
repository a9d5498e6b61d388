"""The custom attributes that contacts must have before anything is written to them."""

from collections.abc import Awaitable, Callable, Mapping

from mynatca_intercom.intercom.client import Attribute, IntercomClient

OWNED_ATTRIBUTES: Mapping[str, str] = {
    "member_type": "Type of membership, from the members database.",
    "region": "Code of the member's region, from the members database.",
    "facility": "Code of the member's facility, from the members database.",
    "positions": "Current positions of the member, from the members database.",
}
"""Custom attributes that the programs write, with the description that they get in Intercom."""


class AttributesUnfit(Exception):
    """The workspace's attributes do not let contacts be written; the text says which, and what to do."""


async def ensure_attributes(client: IntercomClient, create: Callable[[str, str], Awaitable[None]] | None) -> None:
    """Make sure that every owned attribute exists as a text that the API may write.

    An unknown attribute would make Intercom refuse each single write with 400. `create` makes a missing one from its
    name and description; None where that is not wished.

    Raises:
        AttributesUnfit: one is archived, of another type, not writable, or missing and not to be created.
        IntercomError: a call failed.
    """
    existing = {attribute.name: attribute for attribute in await client.contact_attributes() if attribute.custom}
    faults = [_fault(name, existing.get(name), create=create is not None) for name in OWNED_ATTRIBUTES]
    if any(faults):
        raise AttributesUnfit("\n".join(fault for fault in faults if fault))
    for name, description in OWNED_ATTRIBUTES.items():
        if create and name not in existing:
            await create(name, description)


def _fault(name: str, attribute: Attribute | None, *, create: bool) -> str | None:
    """What keeps the attribute from being written, as a sentence that ends with the mend."""
    if attribute is None:
        if create:
            return None
        return f"Contact attribute {name!r} is missing: create it as text in Intercom, or allow it to be created."
    if attribute.archived:
        return f"Contact attribute {name!r} is archived: unarchive it in Intercom's settings, People data."
    if attribute.data_type not in (None, "string"):
        return f"Contact attribute {name!r} is of type {attribute.data_type}, not text: archive or rename it."
    if not attribute.api_writable:
        return f"Contact attribute {name!r} cannot be written by the API: allow that in Intercom's settings."
    return None

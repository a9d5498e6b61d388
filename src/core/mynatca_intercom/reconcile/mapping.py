"""What a member's contact should hold, and what that changes on the contact as it is.

Pure. Only the fields of the mapping are ever written. A field is flat here (`email`, `region`); `body` gives it the
shape of Intercom's API.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mynatca_intercom.intercom.attributes import OWNED_ATTRIBUTES
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.members.member import UNKNOWN, Member
from mynatca_intercom.members.phone import e164

Fields = dict[str, Any]
"""Field name -> value; a cleared attribute is the empty string (null is refused for leads)."""


def wanted(member: Member) -> Fields:
    """The fields of the member's contact. What the source does not know, and an empty phone, are left alone."""
    identity = {"external_id": member.number, "role": "user", "email": member.email}
    optional = {name: value for name in ("name", "phone") if (value := getattr(member, name))}
    attributes = {name: getattr(member, name) for name in OWNED_ATTRIBUTES}
    known = {name: value or "" for name, value in attributes.items() if value is not UNKNOWN}
    return {**{name: value for name, value in identity.items() if value}, **optional, **known}


def current(contact: Contact, name: str) -> Any:
    """A field's value on the contact; None for an attribute that it does not have."""
    return contact.custom_attributes.get(name) if name in OWNED_ATTRIBUTES else getattr(contact, name)


def changes(contact: Contact, member: Member, phone_region: str = "US") -> Fields:
    """The fields that must be written so that the contact is as wanted; empty when it agrees."""
    return {
        name: value
        for name, value in wanted(member).items()
        if not same(name, current(contact, name), value, phone_region)
    }


def before(contact: Contact, fields: Fields) -> Fields:
    """The contact's present values of the given fields."""
    return {name: current(contact, name) for name in fields}


def written(contact: Contact, fields: Fields) -> Contact:
    """The contact as it is once the fields are written."""
    standard = {name: value for name, value in fields.items() if name not in OWNED_ATTRIBUTES}
    attributes = {name: value for name, value in fields.items() if name in OWNED_ATTRIBUTES}
    return replace(contact, **standard, custom_attributes={**contact.custom_attributes, **attributes})


def same(name: str, present: Any, value: Any, phone_region: str) -> bool:
    """Whether a field's present value means what `value` does."""
    if (present or "") == (value or ""):
        return True
    if name == "email":
        return bool(str(present or "").strip().lower() == value)
    if name == "phone":  # Intercom may keep its own spelling of the number
        return bool(present and e164(present, phone_region) == value)
    return False


def new_fields(member: Member) -> Fields:
    """The fields of a contact that is created: nothing needs clearing."""
    return {name: value for name, value in wanted(member).items() if value != ""}


def body(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields as a request body of `POST /contacts` or `PUT /contacts/{id}`."""
    standard = {name: value for name, value in fields.items() if name not in OWNED_ATTRIBUTES}
    attributes = {name: value for name, value in fields.items() if name in OWNED_ATTRIBUTES}
    return {**standard, "custom_attributes": attributes} if attributes else standard

"""Reads and checks the writable fields of a contact, in the form in which the world keeps them."""

import re
from collections.abc import Callable
from typing import Any

from mynatca_sandbox.intercom.errors import ApiError, invalid
from mynatca_sandbox.intercom.serialize import V2_16, Version
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.world.model import AttributeValue, DataAttribute

MAX_STRING = 255
# Milliseconds once corrupted data; Intercom has refused them since.
LATEST_MOMENT = 10**11

_EMAIL = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+")
_PHONE = re.compile(r"\+?\d{7,15}")
_PHONE_PUNCTUATION = re.compile(r"[\s().-]")


def read_contact_fields(body: dict[str, Any], store: Store, version: Version) -> dict[str, Any]:
    """Return the fields of a contact body but `custom_attributes`; Intercom ignores unknown ones.

    `external_id` is None where it is null or empty.

    Raises:
        ApiError: 400 `parameter_invalid`; the wordings but the owner's are assumed.
    """
    fields = {name: read(body[name]) for name, read in _READERS.items() if name in body}
    if "owner_id" in body:
        fields["owner_id"] = _read_owner(body["owner_id"], store)
    if version >= V2_16 and "email_verified" in body and "email" not in body:
        raise invalid("email_verified can only be set together with email")
    return fields


def _read_role(value: Any) -> str:
    if value not in {"user", "lead"}:
        raise invalid("Role must be one of: user, lead")
    return str(value)


def _read_external_id(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise invalid("external_id is invalid")
    return str(value)


def _read_email(value: Any) -> str:
    email = value.strip().lower() if isinstance(value, str) else ""
    if not _EMAIL.fullmatch(email):
        raise invalid("Email is invalid")
    return email


def _read_phone(value: Any) -> str | None:
    if value is None or value == "":
        return None
    phone = _PHONE_PUNCTUATION.sub("", value) if isinstance(value, str) else ""
    if not _PHONE.fullmatch(phone):
        raise invalid("Phone is invalid")
    return phone


def _read_text(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise invalid("A text is expected")
    if value and len(value) > MAX_STRING:
        raise invalid(f"A text is too long (maximum is {MAX_STRING} characters)")
    return value or None


def read_moment(value: Any) -> int | None:
    """Return a moment in Unix seconds, or None.

    Raises:
        ApiError: 400 `parameter_invalid`, for milliseconds too.
    """
    if value is None:
        return None
    if not _is_integer(value) or not 0 <= value < LATEST_MOMENT:
        raise invalid("A moment in Unix seconds is expected")
    return int(value)


def _read_flag(value: Any) -> bool:
    if value is not None and not isinstance(value, bool):
        raise invalid("A boolean is expected")
    return bool(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    "role": _read_role,
    "external_id": _read_external_id,
    "email": _read_email,
    "phone": _read_phone,
    "name": _read_text,
    "avatar": _read_text,
    "signed_up_at": read_moment,
    "last_seen_at": read_moment,
    "unsubscribed_from_emails": _read_flag,
}


def _read_owner(value: Any, store: Store) -> str | None:
    if value is None:
        return None
    admin = store.admin(value)
    if admin is None:
        raise invalid("The owner specified is not a member of the workspace")
    return admin.id


# ---- custom attributes


def merge_custom_attributes(
    current: dict[str, AttributeValue], changes: Any, store: Store
) -> dict[str, AttributeValue]:
    """Return `current` with `changes`, an object or null; in it null and "" remove an attribute.

    Raises:
        ApiError: 400 `parameter_invalid`: not an object, unknown or archived name, wrong type, over 255
            characters, not among the options (the wordings but the first are assumed).
    """
    if changes is None:
        return current
    if not isinstance(changes, dict):
        raise invalid("custom_attributes must be an object")
    definitions = _definitions(store)
    merged = dict(current)
    for name, value in changes.items():
        if name not in definitions:
            raise invalid(f"Custom attribute '{name}' does not exist")
        if value is None or value == "":
            merged.pop(name, None)
        else:
            _check_value(definitions[name], value)
            merged[name] = value
    return merged


def _definitions(store: Store) -> dict[str, DataAttribute]:
    attributes = store.world.data_attributes
    return {each.name: each for each in attributes if each.model == "contact" and not each.archived}


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, float)


_TYPE_CHECKS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "float": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "date": _is_integer,
}


def _check_value(attribute: DataAttribute, value: Any) -> None:
    name = attribute.name
    if not _TYPE_CHECKS[attribute.data_type](value):
        raise _wrong_type(attribute)
    if isinstance(value, str) and len(value) > MAX_STRING:
        raise invalid(f"Custom attribute '{name}' is too long (maximum is {MAX_STRING} characters)")
    if attribute.options is not None and value not in attribute.options:
        raise invalid(f"Custom attribute '{name}' must be one of: {', '.join(attribute.options)}")


def _wrong_type(attribute: DataAttribute) -> ApiError:
    return invalid(f"Custom attribute '{attribute.name}' must be of type {attribute.data_type}")

"""What contacts, conversations and tickets can be searched for by, as Intercom's descriptions list it."""

import re
from functools import partial
from operator import attrgetter
from typing import Any

from mynatca_sandbox.intercom.search import Field, Kind, Language
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.world.model import Contact, Conversation, Ticket

_ATTRIBUTE_KINDS: dict[str, Kind] = {
    "string": "string",
    "integer": "number",
    "float": "number",
    "boolean": "boolean",
    "date": "day",
}


def _nothing(_: Any) -> None:
    return None


def _constant(value: Any, _: Any) -> Any:
    return value


_NO_STRING: Field[Any] = Field("string", _nothing)
_NO_NUMBER: Field[Any] = Field("number", _nothing)
_NO_FLAG: Field[Any] = Field("boolean", partial(_constant, False))  # noqa: FBT003  - the value that is searched for
_NO_MOMENT: Field[Any] = Field("moment", _nothing)
_NO_DAY: Field[Any] = Field("day", _nothing)

_CONTACT_FIELDS: dict[str, Field[Contact]] = {
    "id": Field("string", attrgetter("id")),
    "role": Field("string", attrgetter("role")),
    "name": Field("string", attrgetter("name")),
    "avatar": Field("string", attrgetter("avatar")),
    "owner_id": Field("string", attrgetter("owner_id")),
    "email": Field("string", attrgetter("email")),
    "email_domain": Field("string", lambda contact: (contact.email or "@").rpartition("@")[2] or None),
    "phone": Field("string", attrgetter("phone")),
    "formatted_phone": Field("string", attrgetter("phone")),
    "external_id": Field("string", attrgetter("external_id")),
    "created_at": Field("day", attrgetter("created_at")),
    "signed_up_at": Field("day", attrgetter("signed_up_at")),
    "updated_at": Field("day", attrgetter("updated_at")),
    "last_seen_at": Field("day", attrgetter("last_seen_at")),
    "last_contacted_at": Field("day", attrgetter("last_contacted_at")),
    "last_replied_at": Field("day", attrgetter("last_replied_at")),
    "unsubscribed_from_emails": Field("boolean", attrgetter("unsubscribed_from_emails")),
    "tag_id": Field("tag", attrgetter("tag_ids")),
    "marked_email_as_spam": _NO_FLAG,
    "has_hard_bounced": _NO_FLAG,
    **dict.fromkeys(
        ("last_email_opened_at", "last_email_clicked_at", "ios_last_seen_at", "android_last_seen_at"), _NO_DAY
    ),
    **dict.fromkeys(
        (
            "language_override",
            "browser",
            "browser_language",
            "os",
            "location.country",
            "location.region",
            "location.city",
            "ios_app_version",
            "ios_device",
            "ios_app_device",
            "ios_os_version",
            "ios_app_name",
            "ios_sdk_version",
            "android_app_version",
            "android_device",
            "android_app_name",
            "andoid_sdk_version",
            "segment_id",
        ),
        _NO_STRING,
    ),
}

# Both are numbers in 2.16, where 0 stands for nobody.
_CONVERSATION_FIELDS: dict[str, Field[Conversation]] = {
    "id": Field("string", attrgetter("id")),
    "created_at": Field("moment", attrgetter("created_at")),
    "updated_at": Field("moment", attrgetter("updated_at")),
    "snoozed_until": Field("moment", attrgetter("snoozed_until")),
    "waiting_since": _NO_MOMENT,
    "contact_ids": Field("string", attrgetter("contact_ids")),
    "tag_ids": Field("string", attrgetter("tag_ids")),
    "open": Field("boolean", lambda conversation: conversation.state != "closed"),
    "state": Field("string", attrgetter("state")),
    "read": Field("boolean", attrgetter("read")),
    "priority": Field("string", partial(_constant, "none")),
    "admin_assignee_id": Field("number", lambda conversation: int(conversation.admin_assignee_id or 0)),
    "team_assignee_id": Field("number", partial(_constant, 0)),
    "teammate_ids": _NO_STRING,
    "channel_initiated": _NO_STRING,
    "source.type": Field("string", partial(_constant, "conversation")),
    "source.id": Field("string", attrgetter("id")),
    "source.delivered_as": Field("string", partial(_constant, "customer_initiated")),
    "source.subject": _NO_STRING,
    "source.body": Field("string", lambda conversation: re.findall(r"\w+", conversation.body)),
    "source.author.id": Field("string", lambda conversation: conversation.contact_ids[:1]),
    "source.url": _NO_STRING,
    "ai_agent_participated": _NO_FLAG,
}

_TICKET_FIELDS: dict[str, Field[Ticket]] = {
    "id": Field("string", attrgetter("id")),
    "created_at": Field("moment", attrgetter("created_at")),
    "updated_at": Field("moment", attrgetter("updated_at")),
    "title": Field("string", attrgetter("title")),
    "description": _NO_STRING,
    "category": Field("string", partial(_constant, "request")),
    "ticket_type_id": Field("string", partial(_constant, "1")),
    "contact_ids": Field("string", attrgetter("contact_ids")),
    "teammate_ids": _NO_STRING,
    "admin_assignee_id": Field("string", partial(_constant, "0")),
    "team_assignee_id": Field("string", partial(_constant, "0")),
    "open": Field("boolean", attrgetter("open")),
    "state": Field("string", attrgetter("state_category")),
    "snoozed_until": _NO_MOMENT,
}


def contact_language(store: Store) -> Language[Contact]:
    """Return how contacts are searched: moments by whole days, custom attributes by their type."""
    attributes = {each.name: each for each in store.world.data_attributes if each.model == "contact"}

    def field(name: str) -> Field[Contact] | None:
        attribute = attributes.get(name.removeprefix("custom_attributes."))
        if not name.startswith("custom_attributes.") or attribute is None:
            return _CONTACT_FIELDS.get(name)
        kind = _ATTRIBUTE_KINDS[attribute.data_type]
        return Field(kind, lambda contact: contact.custom_attributes.get(attribute.name))

    return Language(field, store.world.timezone)


def conversation_language(store: Store) -> Language[Conversation]:
    """Return how conversations are searched: moments by seconds."""

    def field(name: str) -> Field[Conversation] | None:
        if name.startswith("statistics."):
            return _NO_MOMENT if name.endswith("_at") else _NO_NUMBER
        return _CONVERSATION_FIELDS.get(name)

    return Language(field, store.world.timezone)


def ticket_language(store: Store) -> Language[Ticket]:
    """Return how tickets are searched: moments by seconds."""
    return Language(_TICKET_FIELDS.get, store.world.timezone)


def contact_sort_field(name: Any) -> Field[Contact] | None:
    """Return the field to sort contacts by."""
    return _CONTACT_FIELDS.get(str(name))

"""The calls to Intercom that the programs make, each with its typed answer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

from mynatca_intercom.intercom.contact import Contact, ContactListing, Reference
from mynatca_intercom.intercom.conversation import Conversation, OpenWork, WholeConversation, by_contact
from mynatca_intercom.intercom.errors import Merged, NotFound
from mynatca_intercom.intercom.listing import Page, listed_whole, missing
from mynatca_intercom.intercom.transport import Operation, Transport

MAX_PAGE = 150
"""Largest page of any list or search; the defaults are 10, 20 and 50 (Intercom-OpenAPI issue 639)."""

Listed = Callable[[int, int], None]
"""Told after each page: rows read so far, rows counted."""

_QUIET = ConfigDict(hide_input_in_errors=True)


@dataclass(frozen=True, config=_QUIET)
class _Next:
    starting_after: str | None = None


@dataclass(frozen=True, config=_QUIET)
class _Pages:
    next: _Next | None = None


@dataclass(frozen=True, config=_QUIET)
class _Paged:
    total_count: int
    pages: _Pages | None = None

    @property
    def cursor(self) -> str | None:
        following = self.pages.next if self.pages else None
        return following.starting_after if following else None


@dataclass(frozen=True, config=_QUIET, kw_only=True)
class _ContactPage(_Paged):
    data: list[Contact]


@dataclass(frozen=True, config=_QUIET)
class _Participant:
    id: str
    external_id: str | None = None


@dataclass(frozen=True, config=_QUIET)
class _Participants:
    contacts: list[_Participant]


@dataclass(frozen=True, config=_QUIET)
class _Item:
    id: str
    contacts: _Participants | None = None

    @property
    def contact_ids(self) -> tuple[str, ...]:
        return tuple(contact.id for contact in self.contacts.contacts) if self.contacts else ()


@dataclass(frozen=True, config=_QUIET, kw_only=True)
class _ConversationPage(_Paged):
    conversations: list[_Item]


@dataclass(frozen=True, config=_QUIET, kw_only=True)
class _TicketPage(_Paged):
    tickets: list[_Item]


@dataclass(frozen=True, config=_QUIET)
class Attribute:
    """A data attribute (REST 2.16: Data Attributes); built-in ones are not `custom`."""

    name: str
    custom: bool = False
    archived: bool = False
    data_type: str | None = None
    api_writable: bool = True


@dataclass(frozen=True, config=_QUIET)
class _AttributeList:
    data: list[Attribute]


@dataclass(frozen=True, config=_QUIET)
class Workspace:
    """The workspace that the token belongs to."""

    id: str = Field(alias="id_code")
    region: str | None = None


@dataclass(frozen=True, config=_QUIET)
class Me:
    """The teammate that the token belongs to, in whose name conversations are written to, and the workspace."""

    id: str | None = None
    app: Workspace | None = None


@dataclass(frozen=True, config=_QUIET)
class _TagList:
    data: list[Reference]


@dataclass(frozen=True, config=_QUIET)
class _Tag:
    id: str
    name: str


@dataclass(frozen=True, config=_QUIET)
class _NamedTags:
    data: list[_Tag]


@dataclass(frozen=True, config=_QUIET)
class _ConversationTags:
    tags: list[Reference]


@dataclass(frozen=True, config=_QUIET)
class _Part:
    part_type: str | None = None
    body: str | None = None


@dataclass(frozen=True, config=_QUIET)
class _Parts:
    conversation_parts: list[_Part]


@dataclass(frozen=True, config=_QUIET)
class _WholeConversation(_Item):
    custom_attributes: dict[str, Any] | None = None
    tags: _ConversationTags | None = None
    conversation_parts: _Parts | None = None


@dataclass(frozen=True, config=_QUIET)
class Note:
    """A note on a contact (REST 2.16: Notes); `created_at` in Unix seconds."""

    id: str
    body: str | None = None
    created_at: int | None = None


@dataclass(frozen=True, config=_QUIET, kw_only=True)
class _NotePage(_Paged):
    data: list[Note]


_CONTACT = TypeAdapter(Contact)
_CONTACT_PAGE = TypeAdapter(_ContactPage)
_CONVERSATION_PAGE = TypeAdapter(_ConversationPage)
_TICKET_PAGE = TypeAdapter(_TicketPage)
_ATTRIBUTES = TypeAdapter(_AttributeList)
_ATTRIBUTE = TypeAdapter(Attribute)
_ME = TypeAdapter(Me | None)
_TAGS = TypeAdapter(_TagList)
_NAMED_TAGS = TypeAdapter(_NamedTags)
_CONVERSATION = TypeAdapter(_WholeConversation)
_NOTE = TypeAdapter(Note)
_NOTE_PAGE = TypeAdapter(_NotePage)

_UNSETTLED: list[dict[str, Any]] = [
    {"field": "state", "operator": "=", "value": "open"},
    {"field": "state", "operator": "=", "value": "snoozed"},
]
_OPEN = {"field": "open", "operator": "=", "value": True}


def _paging(cursor: str | None) -> dict[str, str | int]:
    """The page size goes with every cursor, else it falls back to the default (intercom-php issue 348)."""
    return {"per_page": MAX_PAGE} | ({"starting_after": cursor} if cursor else {})


def _any_of(filters: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"operator": "OR", "value": list(filters)}


class IntercomClient(Transport):
    """One workspace of Intercom; use as an asynchronous context manager.

    Every method raises `IntercomError` (see `errors` for its kinds) when the call failed for good.
    """

    async def me(self) -> Me | None:
        """Who the token belongs to: the cheapest proof that the credentials are good."""
        return await self.call(_ME, "identify", "GET", "/me")

    # ---- contacts

    async def list_contacts(self, listed: Listed = lambda _read, _counted: None) -> ContactListing:
        """All unarchived contacts; read once more when some are missing, and `complete` tells if they still are."""

        async def page(cursor: str | None) -> Page[Contact]:
            answer = await self.call(_CONTACT_PAGE, "list_contacts", "GET", "/contacts", params=_paging(cursor))
            return Page(answer.data, answer.total_count, answer.cursor)

        rows, counted = await listed_whole("contacts", page, listed)
        return ContactListing(rows, counted)

    async def contact(self, contact_id: str) -> Contact:
        """One contact, never from the search index; `NotFound` when archived, `Merged` when merged away."""
        return await self.call(_CONTACT, "get_contact", "GET", f"/contacts/{contact_id}")

    async def present_contact(self, contact_id: str) -> Contact | None:
        """One contact, or the one that it was merged into; None when that is archived or deleted."""
        try:
            return await self.contact(contact_id)
        except Merged as merged:
            return await self.present_contact(merged.survivor_id) if merged.survivor_id else None
        except NotFound:
            return None

    async def user_with_number(self, external_id: str) -> Contact | None:
        """The user in sight with this external id; None for none, or one merged away. Leads are never found."""
        path = f"/contacts/find_by_external_id/{quote(external_id, safe='')}"
        try:
            return await self.call(_CONTACT, "find_by_external_id", "GET", path)
        except (NotFound, Merged):
            return None

    async def contacts_with_email(self, email: str) -> list[Contact]:
        """Contacts that search knows under this email; it may lag by minutes, so nothing may rest on who is missing."""

        async def page(cursor: str | None) -> Page[Contact]:
            query = {"field": "email", "operator": "=", "value": email}
            body = {"query": query, "pagination": _paging(cursor)}
            answer = await self.call(_CONTACT_PAGE, "search_contacts", "POST", "/contacts/search", json=body)
            return Page(answer.data, answer.total_count, answer.cursor)

        rows, _ = await listed_whole("contacts", page)
        return list(rows.values())

    async def create_contact(self, body: Mapping[str, Any]) -> Contact:
        """Create a contact; `Conflict` names the contact that has the external id or email already."""
        return await self.call(_CONTACT, "create_contact", "POST", "/contacts", json=body)

    async def update_contact(self, contact_id: str, body: Mapping[str, Any]) -> Contact:
        """Change the given fields of a contact and no others."""
        return await self.call(_CONTACT, "update_contact", "PUT", f"/contacts/{contact_id}", json=body)

    async def archive_contact(self, contact_id: str) -> None:
        """Archive a contact; it keeps its external id and email."""
        await self.send("archive_contact", "POST", f"/contacts/{contact_id}/archive")

    async def unarchive_contact(self, contact_id: str) -> None:
        """Bring an archived contact back; `Rejected` when it was merged away."""
        path = f"/contacts/{contact_id}/unarchive"
        # A contact that was deleted for good answers 500 here, and will do so every time.
        await self.send("unarchive_contact", "POST", path, server_failures=3)

    async def merge_contacts(self, lead_id: str, user_id: str) -> Contact:
        """Merge a lead into a user, which is returned as it is afterwards; the lead is gone for good.

        Intercom's own check, a shared email or phone, is skipped: the match rests on more than that (REST 2.16:
        `skip_duplicate_validation`).
        """
        body = {"from": lead_id, "into": user_id, "skip_duplicate_validation": True}
        return await self.call(_CONTACT, "merge_contacts", "POST", "/contacts/merge", json=body)

    # ---- tags and notes of contacts

    async def contact_tags(self, contact_id: str) -> tuple[str, ...]:
        """Ids of all tags of a contact."""
        tags = await self.call(_TAGS, "list_tags", "GET", f"/contacts/{contact_id}/tags")
        return tuple(tag.id for tag in tags.data)

    async def tag_contact(self, contact_id: str, tag_id: str) -> None:
        """Put a tag on a contact."""
        await self.send("tag_contact", "POST", f"/contacts/{contact_id}/tags", json={"id": tag_id})

    async def untag_contact(self, contact_id: str, tag_id: str) -> None:
        """Take a tag off a contact; `NotFound` when it is not on it."""
        await self.send("untag_contact", "DELETE", f"/contacts/{contact_id}/tags/{tag_id}")

    async def contact_notes(self, contact_id: str) -> list[Note]:
        """All notes on a contact, the newest first."""

        async def page(cursor: str | None) -> Page[Note]:
            path = f"/contacts/{contact_id}/notes"
            answer = await self.call(_NOTE_PAGE, "list_notes", "GET", path, params=_paging(cursor))
            return Page(answer.data, answer.total_count, answer.cursor)

        rows, _ = await listed_whole("notes", page)
        return list(rows.values())

    async def create_note(self, contact_id: str, body: str, admin_id: str | None) -> Note:
        """Put a note on a contact; not sent again when no answer comes, as it would stand there twice."""
        content = {"body": body, "admin_id": admin_id} if admin_id else {"body": body}
        path = f"/contacts/{contact_id}/notes"
        return await self.call(_NOTE, "create_note", "POST", path, repeatable=False, json=content)

    # ---- conversations and tickets

    async def conversation(self, conversation_id: str) -> WholeConversation:
        """One conversation with its attributes, tags and, of its 500 newest parts, the internal notes."""
        found = await self.call(_CONVERSATION, "get_conversation", "GET", f"/conversations/{conversation_id}")
        parts = found.conversation_parts.conversation_parts if found.conversation_parts else []
        return WholeConversation(
            found.id,
            found.contact_ids,
            found.custom_attributes or {},
            frozenset(tag.id for tag in found.tags.tags) if found.tags else frozenset(),
            tuple(part.body or "" for part in parts if part.part_type == "note"),
        )

    async def tag_id(self, name: str) -> str | None:
        """Id of the tag with this name (whatever its case); None where there is none."""
        tags = await self.call(_NAMED_TAGS, "list_all_tags", "GET", "/tags")
        return next((tag.id for tag in tags.data if tag.name.casefold() == name.casefold()), None)

    async def conversations_with_tag(self, tag_id: str) -> list[Conversation]:
        """Conversations that bear a tag, in any state."""
        tagged = [{"field": "tag_ids", "operator": "=", "value": tag_id}]
        found, _ = await self._search(_CONVERSATION_PAGE, "conversations", tagged, None)
        return [Conversation(item.id, item.contact_ids) for item in found]

    async def participants_since(self, since: int) -> dict[str, str | None]:
        """Contacts of conversations that changed from this moment (Unix seconds) on, with their external ids."""
        changed = [{"field": "updated_at", "operator": ">", "value": since - 1}]
        found, _ = await self._search(_CONVERSATION_PAGE, "conversations", changed, None)
        people = (contact for item in found if item.contacts for contact in item.contacts.contacts)
        return {contact.id: contact.external_id for contact in people}

    async def tag_conversation(self, conversation_id: str, tag_id: str, admin_id: str) -> None:
        """Put a tag on a conversation."""
        body = {"id": tag_id, "admin_id": admin_id}
        await self.send("tag_conversation", "POST", f"/conversations/{conversation_id}/tags", json=body)

    async def untag_conversation(self, conversation_id: str, tag_id: str, admin_id: str) -> None:
        """Take a tag off a conversation; `NotFound` when it is not on it."""
        path = f"/conversations/{conversation_id}/tags/{tag_id}"
        await self.send("untag_conversation", "DELETE", path, json={"admin_id": admin_id})

    async def note_conversation(self, conversation_id: str, text: str, admin_id: str) -> None:
        """Put an internal note into a conversation; not sent again when no answer comes, lest it stand there twice."""
        body = {"message_type": "note", "type": "admin", "admin_id": admin_id, "body": text}
        path = f"/conversations/{conversation_id}/reply"
        await self.send("note_conversation", "POST", path, repeatable=False, json=body)

    async def open_work_of(self, contact_ids: Sequence[str]) -> OpenWork:
        """`open_work` of these contacts alone, as far as search knows it."""
        own = [{"field": "contact_ids", "operator": "=", "value": contact_id} for contact_id in contact_ids]
        conversations = await self._search_both(_CONVERSATION_PAGE, "conversations", own, _UNSETTLED)
        tickets = await self._search_both(_TICKET_PAGE, "tickets", own, [_OPEN])
        return OpenWork(
            by_contact(Conversation(item.id, item.contact_ids) for item in conversations[0]),
            frozenset(contact_id for ticket in tickets[0] for contact_id in ticket.contact_ids),
            conversations[1] and tickets[1],
        )

    async def open_work(self, since: int | None = None) -> OpenWork:
        """Open and snoozed conversations and open tickets; with `since` only those changed from that moment on."""
        conversations, whole = await self._search(_CONVERSATION_PAGE, "conversations", _UNSETTLED, since)
        tickets, all_tickets = await self._search(_TICKET_PAGE, "tickets", [_OPEN], since)
        return OpenWork(
            by_contact(Conversation(item.id, item.contact_ids) for item in conversations),
            frozenset(contact_id for ticket in tickets for contact_id in ticket.contact_ids),
            whole and all_tickets,
        )

    async def _search(
        self, answer: TypeAdapter[Any], what: str, filters: Sequence[Mapping[str, Any]], since: int | None
    ) -> tuple[list[_Item], bool]:
        """All rows to which one of the filters applies, and whether they are all."""
        if since is None:
            return await self._found(answer, what, filters[0] if len(filters) == 1 else _any_of(filters))
        # `>` is described as "or equal" (REST 2.16: Search conversations); the second before is right for both.
        changed = {"field": "updated_at", "operator": ">", "value": since - 1}
        return await self._search_both(answer, what, [changed], filters)

    async def _search_both(
        self,
        answer: TypeAdapter[Any],
        what: str,
        one: Sequence[Mapping[str, Any]],
        other: Sequence[Mapping[str, Any]],
    ) -> tuple[list[_Item], bool]:
        """All rows to which a filter of either group applies, and whether they are all."""
        # All of a group's members are groups, or none is (REST 2.16: Multiple Filter Search Request).
        return await self._found(answer, what, {"operator": "AND", "value": [_any_of(one), _any_of(other)]})

    async def _found(self, answer: TypeAdapter[Any], what: str, query: Mapping[str, Any]) -> tuple[list[_Item], bool]:
        operation: Operation = "search_tickets" if what == "tickets" else "search_conversations"

        async def page(cursor: str | None) -> Page[_Item]:
            body = {"query": query, "pagination": _paging(cursor)}
            found = await self.call(answer, operation, "POST", f"/{what}/search", json=body)
            return Page(getattr(found, what), found.total_count, found.cursor)

        rows, counted = await listed_whole(what, page)
        return list(rows.values()), not missing(len(rows), counted)

    async def attach_contact(self, conversation_id: str, contact_id: str, admin_id: str) -> None:
        """Let a contact take part in a conversation (REST 2.16: Attach a contact to a conversation)."""
        body = {"admin_id": admin_id, "customer": {"intercom_user_id": contact_id}}
        await self.send("attach_contact", "POST", f"/conversations/{conversation_id}/customers", json=body)

    async def detach_contact(self, conversation_id: str, contact_id: str, admin_id: str) -> None:
        """Take a contact out of a conversation; `Rejected` when it is the last, `NotFound` when it is not in it."""
        path = f"/conversations/{conversation_id}/customers/{contact_id}"
        await self.send("detach_contact", "DELETE", path, json={"admin_id": admin_id})

    # ---- data attributes

    async def contact_attributes(self) -> list[Attribute]:
        """The data attributes of contacts, archived ones too."""
        query = {"model": "contact", "include_archived": "true"}
        return (await self.call(_ATTRIBUTES, "list_attributes", "GET", "/data_attributes", params=query)).data

    async def create_contact_attribute(self, name: str, description: str) -> Attribute:
        """Create a string attribute of contacts."""
        body = {"name": name, "model": "contact", "data_type": "string", "description": description}
        return await self.call(_ATTRIBUTE, "create_attribute", "POST", "/data_attributes", json=body)

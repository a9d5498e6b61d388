"""What exists in a world: rows of Supabase, and the people, conversations and tickets of one workspace.

Plain mutable records without behaviour: the generator fills them, the Intercom and Supabase emulators serve
and change them. All moments are Unix seconds.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["user", "lead"]
ConversationState = Literal["open", "closed", "snoozed"]
AttributeValue = str | int | float | bool | None


@dataclass(slots=True)
class Note:
    """An internal note on a contact."""

    id: str
    body: str
    created_at: int
    admin_id: str | None


@dataclass(slots=True)
class Contact:
    """A person in Intercom: a user, or an anonymous lead.

    `archived` hides it from lists and searches while it still holds its email and external id. `merged_into`
    is the id of the contact that it became part of; such a contact can never come back. `deleted` marks a
    permanent deletion that still blocks its identifiers.
    """

    id: str
    role: Role
    created_at: int
    updated_at: int
    external_id: str | None = None
    email: str | None = None
    phone: str | None = None
    name: str | None = None
    signed_up_at: int | None = None
    last_seen_at: int | None = None
    last_replied_at: int | None = None
    last_contacted_at: int | None = None
    custom_attributes: dict[str, AttributeValue] = field(default_factory=dict)
    tag_ids: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    archived: bool = False
    merged_into: str | None = None
    deleted: bool = False
    blocked: bool = False
    owner_id: str | None = None
    avatar: str | None = None
    unsubscribed_from_emails: bool = False


@dataclass(slots=True)
class Part:
    """One message, note or state change of a conversation."""

    id: str
    part_type: str
    body: str | None
    created_at: int
    author_type: Literal["user", "lead", "admin", "bot"]
    author_id: str
    tag_ids: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Conversation:
    """A conversation; `contact_ids` has one entry but for group conversations."""

    id: str
    contact_ids: list[str]
    created_at: int
    updated_at: int
    state: ConversationState = "open"
    title: str | None = None
    body: str = ""
    snoozed_until: int | None = None
    read: bool = True
    tag_ids: list[str] = field(default_factory=list)
    custom_attributes: dict[str, Any] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    admin_assignee_id: str | None = None


@dataclass(slots=True)
class Ticket:
    """A ticket. `state_category` is Intercom's: submitted, in_progress, waiting_on_customer or resolved."""

    id: str
    ticket_id: str
    contact_ids: list[str]
    created_at: int
    updated_at: int
    title: str
    state_category: Literal["submitted", "in_progress", "waiting_on_customer", "resolved"] = "submitted"
    tag_ids: list[str] = field(default_factory=list)

    @property
    def open(self) -> bool:
        """Whether the ticket still needs work."""
        return self.state_category != "resolved"


@dataclass(slots=True)
class Admin:
    """A teammate of the workspace."""

    id: str
    name: str
    email: str


@dataclass(slots=True)
class DataAttribute:
    """A custom attribute of contacts or companies. `data_type`: string, integer, float, boolean or date."""

    id: int
    name: str
    model: Literal["contact", "company"]
    data_type: str
    created_at: int
    label: str = ""
    description: str | None = None
    options: list[str] | None = None
    archived: bool = False


@dataclass(slots=True)
class ConversationAttribute:
    """A custom attribute of conversations.

    `data_type`: string, integer, list, decimal, boolean, datetime, relationship or files. `options` are those
    of a list: `{"id": uuid, "label": text, "archived": bool}`.
    """

    id: int
    name: str
    data_type: str
    created_at: int
    updated_at: int
    description: str = ""
    required: bool = False
    options: list[dict[str, Any]] | None = None
    archived: bool = False


@dataclass(slots=True)
class World:
    """Everything that exists, at the moment `now`.

    `tables` holds Supabase's rows by table name, as JSON values. `truth` is who each contact really is:
    contact id -> member number, or None for nobody's. `planted` is the kind of case that a contact was planted for:
    contact id -> kind, where the generator tells (see `suite`). Both are for tests and measurements and are served
    by no API.
    """

    now: int
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    contacts: list[Contact] = field(default_factory=list)
    conversations: list[Conversation] = field(default_factory=list)
    tickets: list[Ticket] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    admins: list[Admin] = field(default_factory=list)
    data_attributes: list[DataAttribute] = field(default_factory=list)
    workspace_id: str = "sandbox1"
    timezone: str = "America/New_York"
    truth: dict[str, str | None] = field(default_factory=dict)
    conversation_attributes: list[ConversationAttribute] = field(default_factory=list)
    planted: dict[str, str] = field(default_factory=dict)

"""Writing one member's contact, and following conflicts and merges to the contact that it turns out to be."""

import time
from dataclasses import dataclass
from typing import Any, Literal

from mynatca_intercom.intercom.attributes import OWNED_ATTRIBUTES
from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.errors import Conflict, Merged, NotFound
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.conflicts import Blocked, Conflicts, Undecided
from mynatca_intercom.reconcile.mapping import Fields, before, changes
from mynatca_intercom.reconcile.match import MemberIndex, email_of, legacy_numbers, match
from mynatca_intercom.reconcile.plan import Action
from mynatca_intercom.reconcile.writer import CannotClear, Writer

FRESH_SECONDS = 180
"""A contact that was listed longer ago than this is read again before it is written."""

MAX_ROUNDS = 4
"""Conflicts that one member may run into before a person must look."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What was done in the end, and to which contact."""

    outcome: Literal["created", "updated", "converted", "unchanged"]
    contact: Contact


class Settler:
    """Creates, updates and converts.

    `listed` is the moment of the contacts' listing on the monotonic clock; `just_read`: they were read one by one a
    moment ago, so that another look would tell nothing new.
    """

    def __init__(
        self, client: IntercomClient, writer: Writer, index: MemberIndex, listed: float, *, just_read: bool
    ) -> None:
        self._client = client
        self._writer = writer
        self._conflicts = Conflicts(client, writer, index)
        self._index = index
        self._fresh_until = listed + FRESH_SECONDS
        self._just_read = just_read

    async def settle(self, action: Action, member: Member, known: Contact | None) -> Settled:
        """Write the member's contact; `known` is how a write of this run left it, if there was one.

        Raises:
            Undecided: a person must look.
            IntercomError: a call failed for good.
        """
        contact = known or action.contact
        for _ in range(MAX_ROUNDS):
            try:
                if contact is not None and contact is action.contact and self._must_be_read(action):
                    contact = await self._client.contact(contact.id)
                return await self._write(action, member, contact)
            except Conflict as conflict:
                contact = await self._conflicts.resolve(member, contact, conflict)
            except Merged as merged:
                if merged.survivor_id is None:
                    raise Undecided("the contact was merged away, and Intercom does not say into which", None) from None
                contact = await self._conflicts.present(merged.survivor_id)
            except NotFound:  # archived or deleted since it was listed: creating tells, by a 409
                contact = None
        raise Undecided("one conflict follows the other", contact.id if contact else None)

    def _must_be_read(self, action: Action) -> bool:
        """Whether the listing is too old to write on, or the write would cover a number that another door put there."""
        return not self._just_read and (action.takes_number or time.monotonic() > self._fresh_until)

    async def _write(self, action: Action, member: Member, contact: Contact | None) -> Settled:
        if contact is None:
            return Settled("created", await self._writer.create(member, action.reason))
        fields = action.after if _as_planned(contact, action) else self._decide_again(contact, member, action)
        if not fields:
            return Settled("unchanged", contact)
        written = await self._writer.update(contact, fields, member.number, action.reason)
        if _moved(contact, fields, written):
            await self._put_back(contact, fields, written, member)
        return Settled("converted" if contact.role == "lead" else "updated", written)

    def _decide_again(self, contact: Contact, member: Member, action: Action) -> Fields:
        decided = "decision" in action.evidence and action.contact is not None and action.contact.id == contact.id
        if not decided and match(contact, self._index).member is not member:
            in_the_way = action.contact is None or action.contact.id != contact.id
            kind = Blocked if in_the_way else Undecided
            raise kind("the contact that stands in the way is not surely this member's", contact.id)
        return changes(contact, member, self._index.phone_region)

    async def _put_back(self, planned: Contact, fields: Fields, written: Contact, member: Member) -> None:
        """Take back a write to a contact that someone changed between the plan and the write.

        The answer of the write shows it, but not what the written fields were just before, so nobody can decide on
        this contact now; the next run lists it anew.
        """
        former = before(planned, fields)
        stays = [name for name in ("role", "email") if name in former and former[name] in (None, "lead")]
        for name in stays:  # a user cannot become a lead again, and an email cannot be cleared (REST: update)
            del former[name]
        if former.get("external_id", "") is None:
            del former["external_id"]
            await self._clear(written, member)
        if former:
            await self._writer.update(written, former, member.number, "it changed while it was written: put back")
        kept = f", but for its {' and '.join(stays)}" if stays else ""
        raise Undecided(f"the contact changed while it was written, and was put back{kept}", planned.id)

    async def _clear(self, contact: Contact, member: Member) -> None:
        try:
            await self._writer.clear_external_id(contact, member.number, "put back: it had none", release=False)
        except CannotClear as error:
            raise Undecided(f"the contact changed while it was written, and {error}", contact.id) from None


def _as_planned(contact: Contact, action: Action) -> bool:
    """Whether the contact is what the plan saw, or foresaw for after a merge."""
    planned = action.contact
    return planned is not None and (contact is planned or _data(contact) == _data(planned))


def _data(contact: Contact) -> tuple[Any, ...]:
    attributes = {name: contact.custom_attributes.get(name) or "" for name in OWNED_ATTRIBUTES}
    return (contact.id, contact.role, contact.external_id, contact.email, contact.phone, contact.name, attributes)


def _moved(planned: Contact, fields: Fields, written: Contact) -> bool:
    """Whether anything that the match rests on is not what the plan saw plus what was written."""

    def identity(contact: Contact) -> tuple[Any, ...]:
        own = {"role": contact.role, "external_id": contact.external_id or None, "name": contact.name}
        rest = (value for name, value in own.items() if name not in fields)
        return (*rest, "email" in fields or email_of(contact), legacy_numbers(contact))

    return identity(planned) != identity(written)

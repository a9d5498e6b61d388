"""What becomes of a write that Intercom refuses with 409: every class of conflict has one defined outcome.

| who holds the number or email | outcome |
| --- | --- |
| a live contact of this member | that contact is written instead |
| an archived contact of this member, nothing else found | it is brought back and written |
| an archived contact of this member, and a live one is being written | its details are freed, it stays archived |
| a contact that was merged into one of this member | the surviving contact is written |
| anybody else, or a holder that Intercom does not give back | nothing is written; a person must look |

The holder's id comes from the 409's text (`intercom.errors.Conflict`); existence is never decided by search.
"""

import asyncio
from collections import defaultdict

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.errors import Conflict, Merged, NotFound, Rejected, ServerFailed
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.duplicates import released_id
from mynatca_intercom.reconcile.match import MemberIndex, match
from mynatca_intercom.reconcile.writer import CannotClear, Writer


class Undecided(Exception):
    """Nothing may be written for this member; says why, and on account of which contact."""

    def __init__(self, reason: str, contact_id: str | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.contact_id = contact_id


class Blocked(Undecided):
    """A contact that is not this member's holds the details; it may yet give them up, as others are written too."""


class Conflicts:
    """Finds the contact that a refused write should have gone to."""

    def __init__(self, client: IntercomClient, writer: Writer, index: MemberIndex) -> None:
        self._client = client
        self._writer = writer
        self._index = index
        self._holders: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def resolve(self, member: Member, contact: Contact | None, conflict: Conflict) -> Contact:
        """The contact to write next. `contact` is the one whose update was refused, None for a creation.

        Raises:
            Undecided: the holder is not surely this member's, or cannot be had.
        """
        if conflict.holder_id is None:
            raise Undecided("Intercom reports a conflict and does not name the holder", None)
        # Two rows may run into one archived contact; the second must see what the first made of it.
        async with self._holders[conflict.holder_id]:
            if conflict.archived and await self._revived(conflict.holder_id, member):
                return await self._resolve_revived(conflict.holder_id, member, contact)
        return await self.present(conflict.holder_id)

    async def present(self, contact_id: str) -> Contact:
        """The contact, or the one that it was merged into.

        Raises:
            Undecided: Intercom has neither.
        """
        try:
            return await self._client.contact(contact_id)
        except Merged as merged:
            if merged.survivor_id is None:
                raise Undecided("the details are held by a contact that was merged away", contact_id) from None
            return await self._survivor(merged.survivor_id)
        except NotFound:
            raise Undecided("the details are held by a contact that cannot be restored", contact_id) from None

    async def _survivor(self, contact_id: str) -> Contact:
        try:
            return await self._client.contact(contact_id)
        except (NotFound, Merged):
            raise Undecided("the details are held by a part of a contact that is archived", contact_id) from None

    async def _revived(self, contact_id: str, member: Member) -> bool:
        """Bring the holder back; False when it is back, was merged away (400) or deleted (500, or 404)."""
        if not await self._is_archived(contact_id):
            return False
        try:
            reason = "an archived contact holds the number or email"
            await self._writer.unarchive_to_judge(contact_id, member.number, reason)
        except (Rejected, NotFound, Merged, ServerFailed):
            return False
        return True

    async def _is_archived(self, contact_id: str) -> bool:
        """Whether it is gone from sight (REST: an archived contact answers 404 on get)."""
        try:
            await self._client.contact(contact_id)
        except NotFound:
            return True
        except Merged:
            return False
        return False

    async def _resolve_revived(self, holder_id: str, member: Member, contact: Contact | None) -> Contact:
        holder = await self.present(holder_id)
        its_own = match(holder, self._index).member is member
        if its_own and contact is None:
            return holder
        freed = its_own and await self._freed(holder, member)
        await self._writer.archive(holder_id, member.number, "it was archived before")
        if contact is None or not freed:
            raise Undecided("an archived contact that is not surely this member's holds the details", holder_id)
        return contact

    async def _freed(self, holder: Contact, member: Member) -> bool:
        """Take the number, or with it the sole right to the email, off an archived contact of the same member."""
        released = released_id(holder, self._index)
        if released is None:
            return False
        try:
            reason = "its number is freed"
            await self._writer.clear_external_id(holder, member.number, reason, release=bool(released))
        except CannotClear as error:
            raise Undecided(str(error), holder.id) from None
        return True

"""Every write to a contact: journaled with its before values, then sent.

Nothing is decided here; a write that fails goes up as the client's error once the journal knows of it.
"""

from collections.abc import Awaitable
from typing import Any, TypeVar

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.errors import Conflict, IntercomError
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.mapping import Fields, before, body, changes, new_fields

T = TypeVar("T")


class Writer:
    """Writes contacts of one workspace into one journal."""

    def __init__(self, client: IntercomClient, journal: Journal) -> None:
        self._client = client
        self._journal = journal

    async def create(self, member: Member, reason: str) -> Contact:
        """Create the member's contact.

        Raises:
            Conflict: another contact holds the number or the email.
        """
        fields = new_fields(member)
        seq = await self._journal.intend("create", member_number=member.number, after=fields, reason=reason)
        try:
            contact = await self._client.create_contact(body(fields))
        except Conflict as conflict:
            own = await self._created_without_answer(member, conflict)
            if own is None:
                self._journal.failed(seq, str(conflict))
                raise
            contact = own
        except IntercomError as error:
            self._journal.failed(seq, str(error))
            raise
        self._journal.done(seq, contact_id=contact.id)
        return contact

    async def _created_without_answer(self, member: Member, conflict: Conflict) -> Contact | None:
        """The contact that an earlier, unanswered attempt of this same call created after all."""
        if not conflict.after_silence or conflict.archived or conflict.holder_id is None:
            return None
        holder = await self._client.contact(conflict.holder_id)
        return None if changes(holder, member) else holder

    async def update(self, contact: Contact, fields: Fields, member: Member, reason: str) -> Contact:
        """Change fields of a contact; returns it as it is afterwards."""
        what = {"before": before(contact, fields), "after": fields, "reason": reason}
        return await self._journaled(
            "update", contact.id, member, self._client.update_contact(contact.id, body(fields)), **what
        )

    async def unarchive(self, contact_id: str, member: Member, reason: str) -> None:
        """Bring an archived contact back."""
        await self._journaled(
            "unarchive", contact_id, member, self._client.unarchive_contact(contact_id), reason=reason
        )

    async def archive(self, contact_id: str, member: Member, reason: str) -> None:
        """Archive a contact (again)."""
        await self._journaled("archive", contact_id, member, self._client.archive_contact(contact_id), reason=reason)

    async def _journaled(self, operation: str, contact_id: str, member: Member, call: Awaitable[T], **what: Any) -> T:
        seq = await self._journal.intend(operation, contact_id=contact_id, member_number=member.number, **what)
        try:
            result = await call
        except IntercomError as error:
            self._journal.failed(seq, str(error))
            raise
        self._journal.done(seq)
        return result

"""Every write to Intercom: journaled with its before values, then sent.

Nothing is decided here; a write that fails goes up as the client's error once the journal knows of it. The operations
are those that `undo` takes back.
"""

from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.errors import Conflict, IntercomError, NoAnswer, NotFound, Rejected, ServerFailed
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.journal import Operation, WriteRecord
from mynatca_intercom.reconcile.mapping import Fields, before, body, changes, new_fields

T = TypeVar("T")


class CannotClear(Exception):
    """Intercom keeps the external id of a contact, whatever is written to it."""


class Writer:
    """Writes to one workspace, and into one journal.

    Args:
        client: the workspace.
        journal: receives every write before it is sent.
        admin_id: in whose name conversations and notes are written to; None where nothing of that kind is written.
    """

    def __init__(self, client: IntercomClient, journal: WriteRecord, admin_id: str | None = None) -> None:
        self._client = client
        self._journal = journal
        self._admin_id = admin_id

    # ---- fields

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
                self._fail(seq, conflict)
                raise
            contact = own
        except IntercomError as error:
            self._fail(seq, error)
            raise
        self._journal.done(seq, contact_id=contact.id)
        return contact

    async def _created_without_answer(self, member: Member, conflict: Conflict) -> Contact | None:
        """The contact that an earlier, unanswered attempt of this same call created after all."""
        if not conflict.after_silence or conflict.archived or conflict.holder_id is None:
            return None
        holder = await self._client.contact(conflict.holder_id)
        return None if changes(holder, member) else holder

    async def update(self, contact: Contact, fields: Fields, number: str | None, reason: str) -> Contact:
        """Change fields of a contact; returns it as it is afterwards."""
        call = self._client.update_contact(contact.id, body(fields))
        what = {"before": before(contact, fields), "after": fields, "reason": reason}
        return await self._journaled("update", call, contact_id=contact.id, member_number=number, **what)

    async def clear_external_id(self, contact: Contact, number: str | None, reason: str, *, release: bool) -> Contact:
        """Take the external id off a contact, and return it as Intercom then reads.

        How to clear one is not documented, so each way is verified by a read: the empty string, null, and at last a
        text that every program takes for no id. With `release` that text is written at once.

        Raises:
            CannotClear: none of them took effect.
        """
        released = f"released-{contact.id}"
        for nothing in (released,) if release else ("", None, released):
            try:
                await self.update(contact, {"external_id": nothing}, number, reason)
            except Rejected:
                continue
            present = await self._client.contact(contact.id)
            if present.external_id in (None, "", released):
                return present
        raise CannotClear("its external id cannot be cleared")

    # ---- archive, merge

    async def archive(self, contact_id: str, number: str | None, reason: str) -> None:
        """Archive a contact (again)."""
        call = self._client.archive_contact(contact_id)
        await self._journaled("archive", call, contact_id=contact_id, member_number=number, reason=reason)

    async def unarchive(self, contact_id: str, number: str | None, reason: str) -> None:
        """Bring an archived contact back."""
        call = self._client.unarchive_contact(contact_id)
        await self._journaled("unarchive", call, contact_id=contact_id, member_number=number, reason=reason)

    async def unarchive_to_judge(self, contact_id: str, number: str | None, reason: str) -> None:
        """Bring an archived contact back to look at it, as nothing else shows it; what comes of it is decided next."""
        call = self._client.unarchive_contact(contact_id)
        await self._journaled("unarchive_to_judge", call, contact_id=contact_id, member_number=number, reason=reason)

    async def merge(self, lead_id: str, user_id: str, number: str | None, reason: str) -> Contact:
        """Merge a lead into a user; returns the user as it is afterwards."""
        call = self._client.merge_contacts(lead_id, user_id)
        return await self._journaled(
            "merge", call, contact_id=lead_id, into=user_id, member_number=number, reason=reason
        )

    # ---- conversations, tags, notes

    async def attach(
        self, conversation_id: str, contact_id: str, number: str | None, *, beside: Sequence[str] = ()
    ) -> None:
        """Let a contact take part in a conversation, beside the contacts that an undo has to know of."""
        call = self._client.attach_contact(conversation_id, contact_id, self._admin)
        await self._journaled(
            "attach",
            call,
            contact_id=contact_id,
            conversation_id=conversation_id,
            beside=list(beside),
            member_number=number,
        )

    async def detach(self, conversation_id: str, contact_id: str, number: str | None) -> None:
        """Take a contact out of a conversation; no error if it is out of it."""
        call = self._unless_gone(self._client.detach_contact(conversation_id, contact_id, self._admin))
        await self._journaled(
            "detach", call, contact_id=contact_id, conversation_id=conversation_id, member_number=number
        )

    async def tag(self, contact_id: str, tag_id: str, number: str | None) -> None:
        """Put a tag on a contact."""
        call = self._client.tag_contact(contact_id, tag_id)
        await self._journaled("tag", call, contact_id=contact_id, tag_id=tag_id, member_number=number)

    async def untag(self, contact_id: str, tag_id: str, number: str | None) -> None:
        """Take a tag off a contact; no error if it is off it."""
        call = self._unless_gone(self._client.untag_contact(contact_id, tag_id))
        await self._journaled("untag", call, contact_id=contact_id, tag_id=tag_id, member_number=number)

    async def note(self, contact_id: str, text: str, number: str | None, reason: str) -> None:
        """Put a note on a contact; `NoAnswer` and `ServerFailed` leave open whether it stands there."""
        call = self._client.create_note(contact_id, text, self._admin_id)
        await self._journaled(
            "note", call, contact_id=contact_id, after={"body": text}, member_number=number, reason=reason
        )

    async def tag_conversation(self, conversation_id: str, tag_id: str, number: str | None) -> None:
        """Put a tag on a conversation."""
        call = self._client.tag_conversation(conversation_id, tag_id, self._admin)
        await self._journaled(
            "tag_conversation", call, conversation_id=conversation_id, tag_id=tag_id, member_number=number
        )

    async def untag_conversation(self, conversation_id: str, tag_id: str, number: str | None) -> None:
        """Take a tag off a conversation; no error if it is off it."""
        call = self._unless_gone(self._client.untag_conversation(conversation_id, tag_id, self._admin))
        await self._journaled(
            "untag_conversation", call, conversation_id=conversation_id, tag_id=tag_id, member_number=number
        )

    async def note_conversation(self, conversation_id: str, text: str) -> None:
        """Put an internal note into a conversation; after `NoAnswer` or `ServerFailed` it may stand there."""
        call = self._client.note_conversation(conversation_id, text, self._admin)
        await self._journaled("note_conversation", call, conversation_id=conversation_id, after={"body": text})

    # ---- the workspace

    async def create_attribute(self, name: str, description: str) -> None:
        """Create a contact attribute."""
        call = self._client.create_contact_attribute(name, description)
        await self._journaled("create_attribute", call, attribute=name)

    @property
    def _admin(self) -> str:
        if self._admin_id is None:
            raise AssertionError("whoever writes to conversations makes sure of an admin first")
        return self._admin_id

    @staticmethod
    async def _unless_gone(call: Awaitable[None]) -> None:
        """An earlier attempt whose answer was lost, or a person, was there before us."""
        try:
            await call
        except NotFound:
            return

    async def _journaled(self, operation: Operation, call: Awaitable[T], **what: Any) -> T:
        try:
            seq = await self._journal.intend(operation, **what)
        except BaseException:
            _never_sent(call)
            raise
        try:
            result = await call
        except IntercomError as error:
            self._fail(seq, error)
            raise
        self._journal.done(seq)
        return result

    def _fail(self, seq: int, error: IntercomError) -> None:
        self._journal.failed(seq, str(error), unknown=isinstance(error, NoAnswer | ServerFailed))


def _never_sent(call: Awaitable[object]) -> None:
    """Close a coroutine that is not run, as Python warns of it otherwise."""
    close = getattr(call, "close", None)
    if close:
        close()

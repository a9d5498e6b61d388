"""Taking contacts out of sight: leads into their user, older users after handing over, contacts of nobody.

Immediately before an archive the contact is read again; one that changed since it was listed is left to the next run,
which decides on what is then.
"""

import asyncio
import html
from collections import defaultdict
from datetime import UTC, datetime

from mynatca_intercom.intercom.client import IntercomClient, Note
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.errors import Merged, NoAnswer, NotFound, ServerFailed
from mynatca_intercom.reconcile.conflicts import Undecided
from mynatca_intercom.reconcile.match import bears_uuid, claimed_number, email_of, legacy_numbers
from mynatca_intercom.reconcile.plan import Action
from mynatca_intercom.reconcile.writer import CannotClear, Writer

NOTE_ROUNDS = 3
"""Times that missing notes are looked for and written; a write without an answer is only known by another look."""

CHANGED = "it changed since it was listed: the next run decides"


class Gone(Exception):
    """The contact is archived or merged already: nothing is left to do."""


class Retirer:
    """Carries out the actions that take contacts out of sight, and those that take an id off one."""

    def __init__(self, client: IntercomClient, writer: Writer) -> None:
        self._client = client
        self._writer = writer
        self._handovers: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def merge(self, action: Action, known: Contact | None) -> Contact:
        """Merge a lead into its user; returns the user as it is afterwards.

        As no call takes a merge back, both are read again first, but a user that a write of this run left as `known`.

        Raises:
            Gone: the lead is merged already.
            Undecided: either is another person's now, the lead is merged into another contact, or not to be found.
        """
        lead, user = _both(action)
        try:
            await self._same_person(lead)
            if known is None:
                await self._same_person(user)
            return await self._writer.merge(lead.id, user.id, _number(action), action.reason)
        except (NotFound, Merged):
            survivor = await self._survivor(lead)
            if survivor == user.id:
                raise Gone from None
            raise Undecided("the lead or its user has gone since they were listed", lead.id) from None

    async def _same_person(self, listed: Contact) -> None:
        present = await self._client.contact(listed.id)
        number = claimed_number(present)
        if _person(present) != _person(listed) or number not in (None, claimed_number(listed)):
            raise Undecided(CHANGED, listed.id)

    async def _survivor(self, lead: Contact) -> str | None:
        try:
            await self._client.contact(lead.id)
        except Merged as merged:
            return merged.survivor_id
        except NotFound:
            return None
        return None

    async def archive(self, action: Action) -> None:
        """Archive a contact of nobody.

        Raises:
            Gone, Undecided
        """
        contact = await self._unmoved(action)
        await self._writer.archive(contact.id, None, action.reason)

    async def archive_duplicate(self, action: Action) -> None:
        """Hand an older user's open conversations, tags and notes over to the kept one, then archive it.

        Raises:
            Gone, Undecided
        """
        _, kept = _both(action)
        loser = await self._unmoved(action)
        await self._hand_over(loser, kept, action)
        if "external_id" in action.after:
            await self._clear(loser, action, release=action.after["external_id"] != "")
        await self._writer.archive(loser.id, _number(action), action.reason)

    async def clear_external_id(self, action: Action) -> None:
        """Take the id off a contact, if it still bears the one that the plan saw.

        Raises:
            Gone, Undecided
        """
        planned = action.contact
        if planned is None:
            raise AssertionError("only a contact has an id to clear")
        present = await self._present(planned)
        if present.external_id != planned.external_id:
            raise Gone
        if not (bears_uuid(present) or claimed_number(present)):
            raise Gone
        await self._clear(present, action, release=False)

    async def _clear(self, contact: Contact, action: Action, *, release: bool) -> None:
        try:
            await self._writer.clear_external_id(contact, _number(action), action.reason, release=release)
        except CannotClear as error:
            raise Undecided(str(error), contact.id) from None

    async def _unmoved(self, action: Action) -> Contact:
        """The contact as it is now: nothing may have happened to it since it was listed."""
        listed = action.contact
        if listed is None:
            raise AssertionError("only a contact can be archived")
        present = await self._present(listed)
        if present.activity != listed.activity:
            raise Undecided(CHANGED, listed.id)
        return present

    async def _present(self, contact: Contact) -> Contact:
        try:
            return await self._client.contact(contact.id)
        except (NotFound, Merged):
            raise Gone from None

    # ---- handing over

    async def _hand_over(self, loser: Contact, kept: Contact, action: Action) -> None:
        number = _number(action)
        for conversation in action.conversations:
            if kept.id not in conversation.contact_ids:
                beside = conversation.contact_ids
                await self._writer.attach(conversation.id, kept.id, number, beside=beside)
            await self._writer.detach(conversation.id, loser.id, number)
        async with self._handovers[kept.id]:
            for tag_id in await self._tags_to_add(loser, kept):
                await self._writer.tag(kept.id, tag_id, number)
            if loser.notes and loser.notes.total_count:
                await self._copy_notes(loser, kept, number)

    async def _tags_to_add(self, loser: Contact, kept: Contact) -> list[str]:
        """Tags of the loser that the kept contact lacks; a contact itself shows only the first ten."""
        if not loser.tags or not loser.tags.total_count:
            return []
        own = loser.tags.ids if loser.tags.is_whole else await self._client.contact_tags(loser.id)
        present = kept.tags.ids if kept.tags and kept.tags.is_whole else await self._client.contact_tags(kept.id)
        return [tag_id for tag_id in own if tag_id not in present]

    async def _copy_notes(self, loser: Contact, kept: Contact, number: str | None) -> None:
        """Copy the notes, oldest first, each once: an earlier attempt may have copied some."""
        texts = [_copied(note, loser) for note in reversed(await self._client.contact_notes(loser.id))]
        for attempt in range(NOTE_ROUNDS):
            present = {note.body for note in await self._client.contact_notes(kept.id)}
            try:
                for text in texts:
                    if text not in present:
                        await self._writer.note(kept.id, text, number, "a note of an older contact of the same member")
            except (NoAnswer, ServerFailed):
                if attempt == NOTE_ROUNDS - 1:
                    raise
            else:
                return


def _person(contact: Contact) -> tuple[object, ...]:
    """What says whose contact it is, but for its number, which a decision may have freed."""
    return contact.role, email_of(contact), contact.phone, contact.name, legacy_numbers(contact)


def _copied(note: Note, loser: Contact) -> str:
    """The note's text, with where and when it was written; equal for equal notes, so that none is copied twice."""
    day = datetime.fromtimestamp(note.created_at, UTC).date().isoformat() if note.created_at else "an unknown day"
    origin = f"Note of {day} on contact {loser.id} (note {note.id}), which was archived as a duplicate:"
    return f"<p>{html.escape(origin)}</p>{note.body or ''}"


def _both(action: Action) -> tuple[Contact, Contact]:
    if action.contact is None or action.into is None:
        raise AssertionError("a duplicate always has a contact that it goes into")
    return action.contact, action.into


def _number(action: Action) -> str | None:
    return action.member.number if action.member else None

"""Taking the writes of a run back, the last one first, as far as Intercom allows.

| write | taken back by | left and listed when |
| --- | --- | --- |
| update | writing the former values | a field was edited since; role and a first email cannot be taken back |
| create | archiving | it has open work, or was written to or from since |
| archive | unarchiving | it was merged or deleted since |
| unarchive | archiving | it has open work |
| attach, detach | detach, attach | it is the conversation's last contact, or a lead that took part was merged into it |
| tag, untag (contacts, conversations) | untag, tag | |
| merge, note, attribute | | always: no call takes them back |

Whether a write took effect is not believed but seen: what is to be taken back must still be as the run left it. So it
makes no difference whether a write's answer was lost, and an undo that was killed can be run again. Every write of an
undo is journaled, and can itself be undone.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.conversation import OpenWork
from mynatca_intercom.intercom.errors import (
    Conflict,
    CredentialsRefused,
    IntercomError,
    Merged,
    NotFound,
    Rejected,
    ServerFailed,
)
from mynatca_intercom.reconcile.apply import reason_of
from mynatca_intercom.reconcile.history import Write
from mynatca_intercom.reconcile.mapping import Fields, current, same, written
from mynatca_intercom.reconcile.writer import CannotClear, Writer

UndoOutcome = Literal["restored", "already", "left", "failed", "not_reached"]
UNDO_OUTCOMES: tuple[UndoOutcome, ...] = ("restored", "already", "left", "failed", "not_reached")
"""Taken back; nothing was there to take back; listed, as it cannot or must not be; a call failed; stopped before."""

REASON = "undo"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class UndoRow:
    """What became of taking one write back; `reason` says why it was left, or which fields of it were."""

    write: Write
    outcome: UndoOutcome
    reason: str | None = None


class Left(Exception):
    """A write is not taken back; says why."""


class _Already(Exception):
    """There is nothing to take back: the write had no effect, or somebody was there before."""


def chains(writes: Iterable[Write]) -> list[list[Write]]:
    """The writes to be taken back, in chains that have no member, contact or conversation in common, the last first.

    Writes that certainly had no effect are left out.
    """
    possible = [write for write in writes if write.effect != "failed"]
    chain_of: dict[str, list[Write]] = {}
    for write in possible:
        names = _names(write)
        whole = [write]
        for part in {id(part): part for name in names if (part := chain_of.get(name))}.values():
            whole += part
        chain_of |= dict.fromkeys((name for each in whole for name in _names(each)), whole)
    found = {id(chain): sorted(chain, key=lambda write: -write.seq) for chain in chain_of.values()}
    return sorted(found.values(), key=lambda chain: -chain[0].seq)


def _names(write: Write) -> list[str]:
    """What ties a write to others."""
    names = {"member": write.member_number, "contact": write.contact_id, "conversation": write.conversation_id}
    return [f"{kind} {name}" for kind, name in names.items() if name] or [write.operation]


class Undoer:
    """Takes chains of writes back.

    Args:
        client: the workspace.
        writer: journals what is sent; None for a dry run, which only tells what would be.
        open_work: open conversations and tickets; whoever has some is not archived.
        phone_region: the country of phone numbers without a country code.
        concurrency: chains in work at once.
        stop: once set, nothing further is begun.
        finished: told of each row.
    """

    def __init__(
        self,
        client: IntercomClient,
        writer: Writer | None,
        open_work: OpenWork,
        *,
        phone_region: str,
        concurrency: int,
        stop: asyncio.Event,
        finished: Callable[[UndoRow], None] = lambda _row: None,
    ) -> None:
        self._client = client
        self._writer = writer
        self._open_work = open_work
        self._phone_region = phone_region
        self._concurrency = concurrency
        self._stop = stop
        self._finished = finished
        self._fatal: CredentialsRefused | OSError | None = None
        self._waiting: list[list[Write]] = []
        self._merged: dict[str, str] = {}
        self._foreseen: set[str] = set()
        self._foreseen_fields: defaultdict[str, Fields] = defaultdict(dict)
        self.rows: list[UndoRow] = []

    async def undo(self, plan: Sequence[list[Write]]) -> list[UndoRow]:
        """Take all chains back; a chain that met another contact's number or email is tried once more at the end.

        Raises:
            CredentialsRefused: Intercom lets nothing through.
            OSError: the journal cannot be written.
        """
        writes = (write for chain in plan for write in chain)
        self._merged = {write.contact_id or "": write.into or "" for write in writes if write.operation == "merge"}
        await self._all(plan, last=False)
        waiting, self._waiting = self._waiting, []
        await self._all(waiting, last=True)
        if self._fatal:
            raise self._fatal
        return self.rows

    async def _all(self, plan: Sequence[list[Write]], *, last: bool) -> None:
        work = iter(plan)

        async def worker() -> None:
            for chain in work:
                await self._chain(chain, last=last)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._concurrency, len(plan))):
                group.create_task(worker())

    async def _chain(self, chain: list[Write], *, last: bool) -> None:
        """One chain; each contact of it is read once and then followed, as a dry run changes nothing."""
        seen: dict[str, Contact | None] = {}
        for position, write in enumerate(chain):
            try:
                row = await self._row(write, seen)
            except Conflict as conflict:
                if not last:
                    self._waiting.append(chain[position:])
                    return
                row = UndoRow(write, "left", f"another contact holds the number or email ({reason_of(conflict)})")
            self.rows.append(row)
            self._finished(row)

    async def _row(self, write: Write, seen: dict[str, Contact | None]) -> UndoRow:
        if self._stop.is_set() or self._fatal:
            return UndoRow(write, "not_reached")
        try:
            return UndoRow(write, "restored", await self._take_back(write, seen))
        except _Already:
            return UndoRow(write, "already")
        except Left as left:
            return UndoRow(write, "left", str(left))
        except Conflict:
            raise
        except OSError as error:
            self._fatal = error
            return UndoRow(write, "failed", "the journal could not be written")
        except IntercomError as error:
            if isinstance(error, CredentialsRefused):
                self._fatal = error
            log.warning("not taken back: %s", error, extra={"contact_id": write.contact_id})
            return UndoRow(write, "failed", reason_of(error))

    async def _take_back(self, write: Write, seen: dict[str, Contact | None]) -> str | None:
        """Take one write back; returns what of it could not be.

        Raises:
            Left, _Already
        """
        match write.operation:
            case "update":
                return await self._restore(write, seen)
            case "create":
                await self._archive_created(write, seen)
            case "archive":
                await self._unarchive(write, seen)
            case "unarchive" | "unarchive_to_judge":
                await self._archive_again(write, seen)
            case "attach" | "detach" | "tag" | "untag" | "tag_conversation" | "untag_conversation":
                await self._reverse(write)
            case "merge":
                raise Left(f"a merge cannot be undone: contact {write.contact_id} is part of {write.into} for good")
            case "note" | "note_conversation":
                raise Left("no call takes a note back")
            case "create_attribute":
                raise Left(f"the attribute {write.attribute!r} stays: archive it in Intercom's settings if it must go")
        return None

    # ---- fields

    async def _restore(self, write: Write, seen: dict[str, Contact | None]) -> str | None:
        foreseen = write.contact_id in self._foreseen
        contact = None if foreseen else await self._present(write, seen)
        wanted, kept = self._restorable(write, contact)
        if not wanted and not kept:
            raise _Already
        if wanted and contact:
            await self._write_back(contact, wanted, write, seen)
        else:
            self._foreseen_fields[write.contact_id or ""] |= wanted
        if not wanted:
            raise Left("; ".join(kept))
        return "; ".join(kept) or None

    def _restorable(self, write: Write, contact: Contact | None) -> tuple[Fields, list[str]]:
        """The fields to write back, and a sentence for each that is not.

        No contact: a dry run cannot look at one that is still archived, and takes it for as the run left it, but for
        what is taken back before.
        """
        foreseen = {**write.after, **self._foreseen_fields[write.contact_id or ""]}
        wanted: Fields = {}
        kept: list[str] = []
        for name, after in write.after.items():
            former, present = write.before.get(name), current(contact, name) if contact else foreseen[name]
            if same(name, present, former, self._phone_region):
                continue
            if not same(name, present, after, self._phone_region):
                kept.append(f"{name} was edited since")
            elif name == "role":
                kept.append("a user cannot become a lead again")
            elif name == "email" and not former:
                kept.append("an email cannot be cleared")
            else:
                wanted[name] = former
        return wanted, kept

    async def _write_back(
        self, contact: Contact, wanted: Fields, write: Write, seen: dict[str, Contact | None]
    ) -> None:
        fields = {name: "" if value is None else value for name, value in wanted.items()}
        cleared = "external_id" in fields and not fields["external_id"]
        rest = {name: value for name, value in fields.items() if not (cleared and name == "external_id")}
        if self._writer is None:
            seen[contact.id] = written(contact, fields)
            return
        if cleared:
            try:
                contact = await self._writer.clear_external_id(contact, write.member_number, REASON, release=False)
            except CannotClear as error:
                raise Left(str(error)) from None
        if rest:
            contact = await self._writer.update(contact, rest, write.member_number, REASON)
        seen[contact.id] = contact

    # ---- out of sight and back

    async def _archive_created(self, write: Write, seen: dict[str, Contact | None]) -> None:
        if write.contact_id is None:
            raise Left(f"whether it took effect is not known: look for member {write.member_number} in Intercom")
        contact = await self._look(write.contact_id, seen)
        if contact is None:
            raise _Already
        if contact.last_replied_at or contact.last_contacted_at:
            raise Left("the contact was written to or from since it was created")
        await self._archive(contact.id, write, seen)

    async def _archive_again(self, write: Write, seen: dict[str, Contact | None]) -> None:
        contact_id = write.contact_id or ""
        if contact_id not in self._foreseen and await self._look(contact_id, seen) is None:
            raise _Already
        self._foreseen.discard(contact_id)
        await self._archive(contact_id, write, seen)

    async def _archive(self, contact_id: str, write: Write, seen: dict[str, Contact | None]) -> None:
        if contact_id in self._open_work.contact_ids:
            raise Left("the contact has an open conversation or ticket")
        if self._writer:
            await self._writer.archive(contact_id, write.member_number, REASON)
        seen[contact_id] = None

    async def _unarchive(self, write: Write, seen: dict[str, Contact | None]) -> None:
        contact_id = write.contact_id or ""
        if await self._look(contact_id, seen) is not None:
            raise _Already
        if self._writer is None:
            self._foreseen.add(contact_id)
            return
        try:
            await self._writer.unarchive(contact_id, write.member_number, REASON)
        except (Rejected, NotFound, Merged, ServerFailed) as error:
            raise Left(f"Intercom does not bring the contact back ({reason_of(error)})") from None
        del seen[contact_id]

    async def _look(self, contact_id: str, seen: dict[str, Contact | None]) -> Contact | None:
        if contact_id not in seen:
            try:
                seen[contact_id] = await self._client.contact(contact_id)
            except NotFound:
                seen[contact_id] = None
            except Merged as merged:
                raise Left(f"the contact was merged into {merged.survivor_id or 'another'} since") from None
        return seen[contact_id]

    async def _present(self, write: Write, seen: dict[str, Contact | None]) -> Contact:
        contact = await self._look(write.contact_id or "", seen)
        if contact is None:
            raise Left("the contact is archived or deleted")
        return contact

    # ---- conversations and tags

    async def _reverse(self, write: Write) -> None:
        for other in write.beside:
            if self._merged.get(other) == write.contact_id:
                raise Left(f"contact {other}, which took part, is part of it for good")
        if self._writer is None:
            return
        contact_id, number = write.contact_id or "", write.member_number
        try:
            match write.operation:
                case "attach":
                    await self._writer.detach(write.conversation_id or "", contact_id, number)
                case "detach":
                    await self._writer.attach(write.conversation_id or "", contact_id, number)
                case "tag":
                    await self._writer.untag(contact_id, write.tag_id or "", number)
                case "tag_conversation":
                    await self._writer.untag_conversation(write.conversation_id or "", write.tag_id or "", number)
                case "untag_conversation":
                    await self._writer.tag_conversation(write.conversation_id or "", write.tag_id or "", number)
                case _:
                    await self._writer.tag(contact_id, write.tag_id or "", number)
        except (Rejected, NotFound, Merged) as error:
            raise Left(f"Intercom does not allow it any more ({reason_of(error)})") from None

"""Carries a plan out, row by row.

Rows are independent: one that fails is counted with its reason and the others go on. What Intercom refuses as a
conflict goes to `conflicts`; what changed since the plan was made is read and decided again, or put back.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.errors import (
    AnswerError,
    Conflict,
    CredentialsRefused,
    IntercomError,
    Merged,
    NoAnswer,
    NotFound,
    ServerFailed,
)
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.conflicts import Conflicts, Undecided
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.mapping import Fields, before, changes
from mynatca_intercom.reconcile.match import MemberIndex, email_of, legacy_numbers, match
from mynatca_intercom.reconcile.plan import Action, Plan
from mynatca_intercom.reconcile.writer import Writer

FRESH_SECONDS = 180
"""A contact that was listed longer ago than this is read again before it is written."""

MAX_ROUNDS = 4
"""Conflicts that one member may run into before a person must look."""

MAX_FAILED_IN_A_ROW = 25
"""Rows that fail one after another because Intercom is down; then the run ends, and a later one goes on."""

RowOutcome = Literal["created", "updated", "converted", "unchanged", "review", "failed", "not_reached"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one action; `reason` says why when it was not carried out as planned."""

    member_number: str
    outcome: RowOutcome
    contact_id: str | None = None
    reason: str | None = None


class Applier:
    """Applies one plan.

    Args:
        client: the workspace.
        journal: receives every write before it is sent.
        index: the members that the plan was made from.
        concurrency: rows in work at once.
        stop: once set, no further row is begun.
        finished: told of each row as it ends.
    """

    def __init__(
        self,
        client: IntercomClient,
        journal: Journal,
        index: MemberIndex,
        *,
        concurrency: int,
        stop: asyncio.Event,
        finished: Callable[[Row], None] = lambda _row: None,
    ) -> None:
        self._writer = Writer(client, journal)
        self._conflicts = Conflicts(client, self._writer, index)
        self._index = index
        self._concurrency = concurrency
        self._stop = stop
        self._finished = finished
        self._fresh_until = time.monotonic() + FRESH_SECONDS
        self._failed_in_a_row = 0
        self._rows: list[Row] = []
        self._fatal: IntercomError | OSError | None = None

    async def apply(self, plan: Plan) -> list[Row]:
        """Carry out all actions, those that take a number over before the others.

        Raises:
            CredentialsRefused, NoAnswer, ServerFailed: Intercom lets nothing more through; `rows` has what was done.
            OSError: the journal cannot be written.
        """
        takers = [action for action in plan.actions if action.takes_number]
        others = [action for action in plan.actions if not action.takes_number]
        for wave in (takers, others):
            actions = iter(wave)
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._concurrency, len(wave))):
                    group.create_task(self._work(actions))
        if self._fatal:
            raise self._fatal
        return self._rows

    @property
    def rows(self) -> list[Row]:
        """What became of the actions so far."""
        return self._rows

    async def _work(self, actions: Iterator[Action]) -> None:
        for action in actions:
            stopped = self._stop.is_set() or self._fatal
            row = Row(action.member.number, "not_reached") if stopped else await self._row(action)
            self._rows.append(row)
            self._finished(row)

    async def _row(self, action: Action) -> Row:
        number, contact_id = action.member.number, action.contact.id if action.contact else None
        try:
            row = await self._settle(action)
        except Undecided as undecided:
            row = Row(number, "review", undecided.contact_id, undecided.reason)
        except OSError as error:  # the journal cannot be written: nothing may be sent any more
            self._fatal = error
            return Row(number, "failed", contact_id, "the journal could not be written")
        except IntercomError as error:
            log.warning("row failed: %s", error, extra={"member_number": number, "contact_id": contact_id})
            self._note_failure(error)
            return Row(number, "failed", contact_id, _reason(error))
        self._failed_in_a_row = 0
        return row

    def _note_failure(self, error: IntercomError) -> None:
        down = isinstance(error, NoAnswer | ServerFailed)
        self._failed_in_a_row = self._failed_in_a_row + 1 if down else 0
        if isinstance(error, CredentialsRefused) or self._failed_in_a_row >= MAX_FAILED_IN_A_ROW:
            self._fatal = error

    async def _settle(self, action: Action) -> Row:
        """Write the member's contact, following conflicts and merges to the contact that it turns out to be."""
        contact = action.contact
        for _ in range(MAX_ROUNDS):
            try:
                if contact is not None and contact is action.contact and time.monotonic() > self._fresh_until:
                    contact = await self._conflicts.present(contact.id)
                return await self._write(action, contact)
            except Conflict as conflict:
                contact = await self._conflicts.resolve(action.member, contact, conflict)
            except Merged as merged:
                if merged.survivor_id is None:
                    raise Undecided("the contact was merged away, and Intercom does not say into which", None) from None
                contact = await self._conflicts.present(merged.survivor_id)
            except NotFound:  # archived or deleted since it was listed: creating tells, by a 409
                contact = None
        raise Undecided("one conflict follows the other", contact.id if contact else None)

    async def _write(self, action: Action, contact: Contact | None) -> Row:
        member = action.member
        if contact is None:
            created = await self._writer.create(member, action.reason)
            return Row(member.number, "created", created.id)
        fields = action.after if contact is action.contact else self._decide_again(contact, member)
        if not fields:
            return Row(member.number, "unchanged", contact.id)
        written = await self._writer.update(contact, fields, member, action.reason)
        if _moved(contact, fields, written):
            await self._put_back(contact, fields, written, member)
        return Row(member.number, "converted" if contact.role == "lead" else "updated", contact.id)

    def _decide_again(self, contact: Contact, member: Member) -> Fields:
        if match(contact, self._index).member is not member:
            raise Undecided("the contact that stands in the way is not surely this member's", contact.id)
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
            await self._conflicts.free_number(written, member)
        if former:
            await self._writer.update(written, former, member, "it changed while it was written: put back")
        kept = f", but for its {' and '.join(stays)}" if stays else ""
        raise Undecided(f"the contact changed while it was written, and was put back{kept}", planned.id)


def _moved(planned: Contact, fields: Fields, written: Contact) -> bool:
    """Whether anything that the match rests on is not what the plan saw plus what was written."""

    def identity(contact: Contact) -> tuple[Any, ...]:
        own = {"role": contact.role, "external_id": contact.external_id or None, "name": contact.name}
        rest = (value for name, value in own.items() if name not in fields)
        return (*rest, "email" in fields or email_of(contact), legacy_numbers(contact))

    return identity(planned) != identity(written)


def _reason(error: IntercomError) -> str:
    return f"{error.status} {error.code}" if isinstance(error, AnswerError) else type(error).__name__

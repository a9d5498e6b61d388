"""Carries a plan out: case by case side by side, the actions of a case one after another.

What is written is decided elsewhere; here each action ends in a row that says what became of it, and one failing case
never stops the others.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.errors import AnswerError, CredentialsRefused, IntercomError, NoAnswer, ServerFailed
from mynatca_intercom.reconcile.conflicts import Blocked, Undecided
from mynatca_intercom.reconcile.match import MemberIndex
from mynatca_intercom.reconcile.plan import Action, ActionKind, Case, Plan
from mynatca_intercom.reconcile.retire import Gone, Retirer
from mynatca_intercom.reconcile.settle import Settler
from mynatca_intercom.reconcile.writer import Writer

MAX_FAILED_IN_A_ROW = 25
"""Rows that fail one after another because Intercom is down; then the run ends, and a later one goes on."""

RowOutcome = Literal[
    "created",
    "updated",
    "converted",
    "merged",
    "archived_duplicate",
    "archived",
    "cleared",
    "unchanged",
    "review",
    "failed",
    "not_reached",
]
OUTCOMES: tuple[RowOutcome, ...] = get_args(RowOutcome)
OUTCOME_OF: dict[ActionKind, RowOutcome] = {
    "create": "created",
    "update": "updated",
    "convert": "converted",
    "merge": "merged",
    "archive_duplicate": "archived_duplicate",
    "archive": "archived",
    "clear_external_id": "cleared",
    "free_number": "cleared",
}
"""What an action becomes when all goes as planned."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one action; `reason` says why when it was not carried out as planned.

    `contact_id` is the contact that was written, which need not be the planned one.
    """

    action: Action
    outcome: RowOutcome
    contact_id: str | None = None
    reason: str | None = None

    @property
    def member_number(self) -> str | None:
        """The member that the action was for."""
        return self.action.member.number if self.action.member else None


@dataclass(slots=True)
class _Work:
    """A case and how far it is: how its writes so far left the contacts, and what keeps the others from being done."""

    case: Case
    done: int = 0
    left: dict[str, Contact] = field(default_factory=dict)
    hindrance: Row | None = None

    @property
    def rest(self) -> tuple[Action, ...]:
        """The actions that are still to be done."""
        return self.case.actions[self.done :]


class Applier:
    """Applies one plan.

    Args:
        client: the workspace.
        writer: journals every write and sends it.
        index: the members that the plan was made from.
        concurrency: cases in work at once.
        stop: once set, no further action is begun.
        finished: told of each row as it ends.
        just_read: the contacts were read one by one a moment ago, and not listed.
    """

    def __init__(
        self,
        client: IntercomClient,
        writer: Writer,
        index: MemberIndex,
        *,
        concurrency: int,
        stop: asyncio.Event,
        finished: Callable[[Row], None] = lambda _row: None,
        just_read: bool = False,
    ) -> None:
        self._settler = Settler(client, writer, index, time.monotonic(), just_read=just_read)
        self._retirer = Retirer(client, writer)
        self._concurrency = concurrency
        self._stop = stop
        self._finished = finished
        self._failed_in_a_row = 0
        self._rows: list[Row] = []
        self._waiting: list[_Work] = []
        self._fatal: IntercomError | OSError | None = None

    async def apply(self, plan: Plan) -> list[Row]:
        """Carry out all cases, those that free a number or an email before the others.

        First of all are numbers that persons' decisions take off contacts: a decision of the same run may give the
        same contact another number, which no late call may take off again. What met another contact's number or email
        is tried once more at the end, when that one may have moved on.

        Raises:
            CredentialsRefused, NoAnswer, ServerFailed: Intercom lets nothing more through; `rows` has what was done.
            OSError: the journal cannot be written.
        """
        cases = [_Work(case) for case in plan.cases]
        await self._all(cases, self._free)
        await self._all([work for work in cases if work.case.frees], self._go_on)
        await self._all([work for work in cases if not work.case.frees], self._go_on)
        await self._all(self._waiting, self._end)
        if self._fatal:
            raise self._fatal
        return self._rows

    @property
    def rows(self) -> list[Row]:
        """What became of the actions so far."""
        return self._rows

    async def _all(self, wave: Sequence[_Work], step: Callable[[_Work], Awaitable[None]]) -> None:
        works = iter(wave)

        async def worker() -> None:
            for work in works:
                await step(work)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._concurrency, len(wave))):
                group.create_task(worker())

    async def _free(self, work: _Work) -> None:
        while work.rest and work.rest[0].kind == "free_number":
            await self._step(work)

    async def _go_on(self, work: _Work) -> None:
        """The actions in their order, up to one that meets another contact's number or email."""
        try:
            await self._end(work, last=False)
        except Blocked:
            self._waiting.append(work)

    async def _end(self, work: _Work, *, last: bool = True) -> None:
        while work.rest:
            await self._step(work, last=last)

    async def _step(self, work: _Work, *, last: bool = True) -> None:
        """The next action; after one that did not succeed the others would stand on nothing.

        Raises:
            Blocked: it is to be tried again; not if this is the `last` time.
        """
        action = work.rest[0]
        if work.hindrance:
            reason = f"waits for an earlier step: {work.hindrance.reason}"
            row = Row(action, work.hindrance.outcome, _id_of(action), reason)
        elif self._stop.is_set() or self._fatal:
            row = Row(action, "not_reached", _id_of(action))
        else:
            try:
                row = await self._row(action, work.left)
            except Blocked as blocked:
                if not last:
                    raise
                row = Row(action, "review", blocked.contact_id, blocked.reason)
            work.hindrance = row if row.outcome in ("review", "failed") else None
        work.done += 1
        self._rows.append(row)
        self._finished(row)

    async def _row(self, action: Action, left: dict[str, Contact]) -> Row:
        number, contact_id = action.member.number if action.member else None, _id_of(action)
        try:
            row = await self._carry_out(action, left)
        except Blocked:
            self._failed_in_a_row = 0
            raise
        except Gone:
            row = Row(action, "unchanged", contact_id)
        except Undecided as undecided:
            row = Row(action, "review", undecided.contact_id, undecided.reason)
        except OSError as error:  # the journal cannot be written: nothing may be sent any more
            self._fatal = error
            return Row(action, "failed", contact_id, "the journal could not be written")
        except IntercomError as error:
            log.warning("row failed: %s", error, extra={"member_number": number, "contact_id": contact_id})
            self._note_failure(error)
            return Row(action, "failed", contact_id, reason_of(error))
        self._failed_in_a_row = 0
        return row

    async def _carry_out(self, action: Action, left: dict[str, Contact]) -> Row:
        """One action; `left` remembers how writes of this case left the contacts."""
        contact_id = _id_of(action)
        match action.kind:
            case "create" | "update" | "convert":
                return await self._settle(action, left)
            case "merge":
                survivor = await self._retirer.merge(action, left.get(action.into.id if action.into else ""))
                left[survivor.id] = survivor
            case "archive_duplicate":
                await self._retirer.archive_duplicate(action)
            case "archive":
                await self._retirer.archive(action)
            case "clear_external_id" | "free_number":
                await self._retirer.clear_external_id(action)
        return Row(action, OUTCOME_OF[action.kind], contact_id)

    async def _settle(self, action: Action, left: dict[str, Contact]) -> Row:
        if action.member is None:
            raise AssertionError("only a member has a contact to be written")
        settled = await self._settler.settle(action, action.member, left.get(_id_of(action) or ""))
        left[settled.contact.id] = settled.contact
        return Row(action, settled.outcome, settled.contact.id)

    def _note_failure(self, error: IntercomError) -> None:
        down = isinstance(error, NoAnswer | ServerFailed)
        self._failed_in_a_row = self._failed_in_a_row + 1 if down else 0
        if isinstance(error, CredentialsRefused) or self._failed_in_a_row >= MAX_FAILED_IN_A_ROW:
            self._fatal = error


def _id_of(action: Action) -> str | None:
    return action.contact.id if action.contact else None


def reason_of(error: IntercomError) -> str:
    """Why a call failed, in few words and without what Intercom wrote."""
    return f"{error.status} {error.code}" if isinstance(error, AnswerError) else type(error).__name__

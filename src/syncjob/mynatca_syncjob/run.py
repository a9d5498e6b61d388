"""The steps that the nightly sync, the audit and the manual update share: read, judge, plan, brake, apply, close.

What the rules are stands in `mynatca_intercom.reconcile`; what a command is about, in its scope. This module only
leads through the steps and says how the run ended.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from mynatca_intercom import metrics
from mynatca_intercom.intercom.attributes import ensure_attributes
from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.contact import ContactListing
from mynatca_intercom.intercom.conversation import OpenWork
from mynatca_intercom.intercom.errors import Merged, NotFound
from mynatca_intercom.members.member import Member, MemberListing
from mynatca_intercom.members.source import MemberSource
from mynatca_intercom.reconcile.apply import Applier, Row
from mynatca_intercom.reconcile.brakes import Reading, brakes
from mynatca_intercom.reconcile.closing import REASON, bring_back
from mynatca_intercom.reconcile.decide import make_plan, may_archive
from mynatca_intercom.reconcile.history import History
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.judged import JudgedContacts
from mynatca_intercom.reconcile.match import MemberIndex
from mynatca_intercom.reconcile.plan import Plan, Scope
from mynatca_intercom.reconcile.run_folder import Request, RunFolder, plan_lines
from mynatca_intercom.reconcile.writer import Writer
from mynatca_intercom.settings import IntercomSettings
from mynatca_syncjob.ending import NO_ADMIN, STOPPED, Stopped, Unfit, braked, carried_out, verdict
from mynatca_syncjob.mappings import Decision
from mynatca_syncjob.options import RunOptions
from mynatca_syncjob.progress import RunProgress
from mynatca_syncjob.result import Exit, Result, outcome_of

T = TypeVar("T")
log = logging.getLogger(__name__)


def scope_of(request: Request) -> Scope:
    """What a command is about."""
    if request.command == "sync":
        return Scope("members", create=True)
    if request.command == "manual-update":
        return Scope("contacts", decisions={})
    return Scope("contacts", strangers=True, leads_only=request.leads_only, archive=not request.no_archive)


class Run:
    """One run of `sync`, `audit` or `manual-update`. After it, `plan` and `rows` have what a report tells."""

    def __init__(
        self,
        source: MemberSource,
        intercom: IntercomSettings,
        folder: RunFolder,
        options: RunOptions,
        progress: RunProgress,
        stop: asyncio.Event,
    ) -> None:
        self._source = source
        self._intercom = intercom
        self._folder = folder
        self._options = options
        self._about = scope_of(options.request)
        self._progress = progress
        self._stop = stop
        self._decisions = [Decision(*pair) for pair in options.request.decisions.items()]
        self._rejected: dict[Decision, str] = {}
        self._written_to: dict[Decision, str] = {}
        self.plan: Plan | None = None
        self.rows: list[Row] | None = None

    async def run(self, result: Result) -> None:
        """Carry the run out and write into `result` how it went."""
        await carried_out(self._intercom, lambda client: self._steps(client, result), result)

    async def _steps(self, client: IntercomClient, result: Result) -> tuple[Exit, str]:
        started = int(time.time())
        me = await self._unless_stopped(client.me())
        admin_id = self._intercom.admin_id or (me.id if me else None)
        history = History(self._folder.journal)
        if not self._options.dry_run:
            await self._put_away(client, history)
        members, contacts = await self._unless_stopped(self._read(client))
        result.saw(members, contacts)
        metrics.SOURCE_MEMBERS.set(result.members)
        index = MemberIndex(members.members, self._options.phone_region, knows_all=not self._about.create)
        scope = await self._scope(client, members, index, contacts)
        judged = JudgedContacts(index, contacts.contacts, scope.decisions, history.freed)
        needed = may_archive(judged, scope)
        open_work = await self._unless_stopped(client.open_work()) if needed else OpenWork()
        plan = make_plan(judged, scope, open_work, started - self._intercom.search_lag_seconds)
        plan = self.plan = self._limited(plan, history)
        result.plan_digest = self._folder.write_plan(self._options.request, plan_lines(plan))
        result.count(plan, None, len(self._rejected))
        last = self._folder.members_of_last_run(result.kind)
        result.brakes = brakes(plan, Reading(members, contacts, open_work, last), self._options.request.released)
        if result.brakes:
            return braked(result)
        if self._options.dry_run:
            return Exit.DONE, "Dry run: nothing was written."
        if any(action.kind == "archive_duplicate" for action in plan.actions) and admin_id is None:
            raise Unfit(NO_ADMIN)
        await self._write(client, plan, index, admin_id, result)
        return self._verdict(result)

    def _limited(self, plan: Plan, history: History) -> Plan:
        """So much of the plan as may be carried out."""
        if self._options.approved:
            return self._options.approved.narrowed(plan, history)
        return plan.limited(self._options.request.limit)

    async def _put_away(self, client: IntercomClient, history: History) -> None:
        """Archive again what an earlier attempt brought back only to look at it, and was killed over."""
        if history.left_to_judge:
            async with Journal(self._folder.journal) as journal:
                for write in history.left_to_judge:
                    with suppress(NotFound, Merged):  # deleted for good: it never came back
                        await Writer(client, journal).archive(
                            write.contact_id or "", write.member_number, "it was archived before the last attempt"
                        )

    async def _read(self, client: IntercomClient) -> tuple[MemberListing, ContactListing]:
        """Members and contacts at the same time; the source blocks, so it has a thread."""
        read = self._source.synced_members if self._about.create else self._source.all_members
        try:
            async with asyncio.TaskGroup() as group:
                members = group.create_task(asyncio.to_thread(read))
                contacts = group.create_task(client.list_contacts(self._progress.listed))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return members.result(), contacts.result()

    async def _scope(
        self, client: IntercomClient, members: MemberListing, index: MemberIndex, contacts: ContactListing
    ) -> Scope:
        """The command's scope in the light of what was read: on half a source nothing is archived."""
        whole = members.complete and not members.from_fallback
        decisions: dict[str, Member] = {}
        for decision in self._decisions:
            member = index.by_number.get(decision.member_number)
            contact = contacts.contacts.get(decision.contact_id) or await client.present_contact(decision.contact_id)
            if member is None:
                self._rejected[decision] = "no member has this number"
            elif contact is None:
                self._rejected[decision] = "Intercom shows no such contact: it is unknown, archived or deleted"
            elif contact.id in decisions:
                self._rejected[decision] = "the contact was merged into one that another row names"
            else:
                contacts.contacts.setdefault(contact.id, contact)
                decisions[contact.id] = member
                self._written_to[decision] = contact.id
        scope = self._about
        about_all = scope.decisions is None
        return replace(scope, archive=scope.archive and whole, decisions=None if about_all else decisions)

    async def _write(
        self, client: IntercomClient, plan: Plan, index: MemberIndex, admin_id: str | None, result: Result
    ) -> None:
        """Apply the plan, then look whether anybody came back meanwhile, also to what an earlier attempt archived."""
        self.rows = []
        async with Journal(self._folder.journal) as journal:
            if plan.actions:
                writer = Writer(client, journal, admin_id)
                await ensure_attributes(client, writer.create_attribute if self._intercom.create_attributes else None)
                await self._apply(client, writer, plan, index, result)
            await self._close(client, journal, plan, result)

    async def _apply(
        self, client: IntercomClient, writer: Writer, plan: Plan, index: MemberIndex, result: Result
    ) -> None:
        self._progress.writes(len(plan.actions))
        applier = Applier(
            client,
            writer,
            index,
            concurrency=self._intercom.concurrency,
            stop=self._stop,
            finished=self._progress.finished,
        )
        try:
            await applier.apply(plan)
        finally:
            self.rows = applier.rows
            result.count(plan, applier.rows, len(self._rejected))

    async def _close(self, client: IntercomClient, journal: Journal, plan: Plan, result: Result) -> None:
        await journal.flush()
        archived = History(self._folder.journal).unclosed_archives
        if not archived:
            return
        await self._wait_for_search()
        since = int(min(write.at.timestamp() for write in archived.values())) - self._intercom.search_lag_seconds
        back = await bring_back(client, journal, archived, since, final=not self._stop.is_set())
        metrics.BROUGHT_BACK.inc(len(back))
        if back and self.rows is not None:
            taken_back = ("archived", "archived_duplicate")
            self.rows = [
                replace(row, outcome="review", reason=REASON)
                if row.contact_id in back and row.outcome in taken_back
                else row
                for row in self.rows
            ]
            result.count(plan, self.rows, len(self._rejected))

    async def _wait_for_search(self) -> None:
        """Let search catch up with the last archive; SIGTERM cuts the wait short."""
        self._progress.waits(self._intercom.search_lag_seconds)
        try:
            await asyncio.wait_for(self._stop.wait(), self._intercom.search_lag_seconds)
        except TimeoutError:
            return

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result, or `Stopped` as soon as SIGTERM comes."""
        task, stopped = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Stopped
        finally:
            stopped.cancel()
            task.cancel()

    def _verdict(self, result: Result) -> tuple[Exit, str]:
        if self._stop.is_set():
            return Exit.STOPPED, STOPPED
        # A person's decision that could not be carried out is no matter for a review list.
        failed = result.counts["failed"] + (0 if self._about.decisions is None else result.counts["review"])
        return verdict(failed, result.seen, self._options.max_failed_rows)

    def mapping_rows(self) -> list[dict[str, Any]]:
        """What became of each row of the mappings file, in a form that can be fed back."""
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for row in self.rows or ():
            if row.action.contact:
                found[row.action.contact.id].append(row)
        return [self._mapping_row(decision, found) for decision in self._decisions]

    def _mapping_row(self, decision: Decision, found: Mapping[str, list[Row]]) -> dict[str, Any]:
        row: dict[str, Any] = {"contact_id": decision.contact_id, "member_number": decision.member_number}
        if decision in self._rejected:
            return row | {"outcome": "failed", "reason": self._rejected[decision]}
        own = found.get(self._written_to.get(decision, ""), [])
        if not own:
            return row | self._unwritten(decision)
        reason = next((each.reason for each in own if each.reason), None)
        return row | {"outcome": outcome_of(each.outcome for each in own), "reason": reason}

    def _unwritten(self, decision: Decision) -> dict[str, str | None]:
        """Why there is no row: nothing to change, something in the way, or the run did not get so far."""
        if self.plan is None or self.rows is None:
            return {"outcome": "not_reached", "reason": None}
        contact_id = self._written_to.get(decision, "")
        if contact_id in self.plan.left_out:
            return {"outcome": self.plan.left_out[contact_id], "reason": None}
        findings = (each.reason for each in self.plan.findings if each.member_number == decision.member_number)
        review = contact_id in self.plan.in_review
        return {"outcome": "review" if review else "unchanged", "reason": next(findings, None)}

"""The engine for one contact at a time: read it, judge it, and carry out what its member needs, with few calls.

Members are looked up rather than listed: by the contact's email, by the numbers that it claims, and by the number that
a person gave. Phone and name never decide, so no match is missed; a contact that only these speak for counts as
unmatched here. What the plan then does is what an audit would do,
only that a duplicate is found by its number (and for a person's decision by its email), not by a listing.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.conversation import OpenWork
from mynatca_intercom.intercom.errors import IntercomError
from mynatca_intercom.members.directory import Directory
from mynatca_intercom.members.member import Member
from mynatca_intercom.members.source import MemberSource
from mynatca_intercom.reconcile.apply import OUTCOME_OF, Applier, Row, RowOutcome
from mynatca_intercom.reconcile.decide import make_plan, may_archive
from mynatca_intercom.reconcile.judged import JudgedContacts
from mynatca_intercom.reconcile.mapping import changes
from mynatca_intercom.reconcile.match import (
    Match,
    MemberIndex,
    claimed_number,
    email_of,
    judgements,
    legacy_numbers,
    match,
)
from mynatca_intercom.reconcile.match import decided as as_decided
from mynatca_intercom.reconcile.plan import Plan, Scope
from mynatca_intercom.reconcile.turns import Turns
from mynatca_intercom.reconcile.writer import Writer

T = TypeVar("T")

Outcome = RowOutcome | Literal["ambiguous", "unmatched", "gone", "refused"]
"""What became of a contact; `gone`: it is archived or deleted; `refused`: what a person asked for cannot be done."""

SUCCEEDED: frozenset[Outcome] = frozenset(
    {"created", "updated", "converted", "merged", "archived_duplicate", "unchanged"}
)
"""Outcomes after which the contact, or what it became part of, is the member's."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one contact turned out to be, and what was done; free of personal data but for `answer`.

    `contact_id` is the contact that it is now, after merges. `reason` is a sentence for a person. `answer` is, if there
    is one, what whoever gave a number reads instead, and nobody else: it quotes what may be anything but a number.
    """

    contact_id: str
    outcome: Outcome
    member_number: str | None = None
    reason: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """A contact as it is, and all that speaks for or against it being somebody.

    `judgements` has each member that any data point speaks for, and how it is judged. `differing` are the fields that
    are not as the member's should be.
    """

    contact: Contact
    match: Match
    judgements: tuple[tuple[Member, Match], ...] = ()
    differing: tuple[str, ...] = ()


class Door:
    """Takes contacts in, one at a time; several may be taken in at once.

    Args:
        client: the workspace.
        writer: journals every write and sends it; None where nothing is to be written.
        members: where members are looked up; its calls block and run in threads. While any of what is known of a
            contact comes from a fallback, its duplicates stay.
        turns: of those who write for the same contact or member.
        phone_region: the country of phone numbers without a country code.
        search_lag_seconds: contacts active within this time are not archived as duplicates.
        before_archiving: told which duplicates of a contact are about to be archived; what it raises keeps everything
            that the contact needs from being done.
    """

    def __init__(
        self,
        client: IntercomClient,
        writer: Writer | None,
        members: Directory,
        turns: Turns,
        *,
        phone_region: str,
        search_lag_seconds: int,
        before_archiving: Callable[[Collection[str]], None] = lambda _contact_ids: None,
    ) -> None:
        self._client = client
        self._writer = writer
        self._members = members
        self._turns = turns
        self._phone_region = phone_region
        self._search_lag_seconds = search_lag_seconds
        self._before_archiving = before_archiving

    async def judge(self, contact_id: str) -> tuple[Contact, Match] | None:
        """The contact as it is now, and whose it is by its own evidence; None when it is archived or deleted.

        Raises:
            IntercomError: a call failed for good.
            SourceError: no source of members answers.
        """
        return await self._judged(contact_id, _LookUps(self._members, self._phone_region))

    async def _judged(self, contact_id: str, look_ups: "_LookUps") -> tuple[Contact, Match] | None:
        contact = await self._client.present_contact(contact_id)
        if contact is None:
            return None
        return contact, match(contact, await look_ups.index([contact]))

    async def explain(self, contact_id: str, number: str | None = None) -> Explained | None:
        """Why a contact is judged as it is; None when it is archived or deleted.

        Args:
            contact_id: the contact.
            number: the member's that a person said it is, if one did.

        Raises:
            IntercomError, SourceError
        """
        contact = await self._client.present_contact(contact_id)
        if contact is None:
            return None
        look_ups = _LookUps(self._members, self._phone_region)
        member = await look_ups.with_number(number) if number else None
        index = await look_ups.index([contact])
        judgement = as_decided(contact, member, index) if member else match(contact, index)
        differing = changes(contact, judgement.member, self._phone_region) if judgement.member else ()
        judged = [(index.by_number[each.candidates[0]], each) for each in judgements(contact, index)]
        return Explained(contact, judgement, tuple(judged), tuple(differing))

    async def enrich(self, contact_id: str) -> Verdict:
        """Bring a contact in line with the member that it is by its own evidence.

        Raises:
            IntercomError, SourceError
            OSError: the journal takes nothing more.
        """
        look_ups, read_at = _LookUps(self._members, self._phone_region), time.monotonic()
        judged = await self._judged(contact_id, look_ups)
        if judged is None:
            return _gone(contact_id)
        contact, judgement = judged
        if judgement.member is None:
            unmatched = judgement.outcome == "unmatched"
            return Verdict(contact.id, "unmatched" if unmatched else "ambiguous", reason=judgement.reason)
        return await self._settle(contact, judgement.member, look_ups, read_at, decided=False)

    async def decide(self, contact_id: str, number: str) -> Verdict:
        """Make a contact the member's whose number a person gave.

        Raises:
            IntercomError, SourceError, OSError
        """
        look_ups = _LookUps(self._members, self._phone_region)
        member = await look_ups.with_number(number)
        if member is None:
            answer = f"no member has the number {number}"
            return Verdict(contact_id, "refused", reason="no member has this number", answer=answer)
        read_at = time.monotonic()
        contact = await self._client.present_contact(contact_id)
        if contact is None:
            return _gone(contact_id, number)
        return await self._settle(contact, member, look_ups, read_at, decided=True)

    async def _settle(
        self, contact: Contact, member: Member, look_ups: "_LookUps", read_at: float, *, decided: bool
    ) -> Verdict:
        """Do what the member needs; who shares the turns does so after us, and then finds what we have done."""
        planned = await self._planned(contact, member, look_ups, decided=decided)
        if not planned.own.actions:
            return _verdict(contact, member, planned.whole, [])
        async with self._turns.turn(f"contact {contact.id}", f"member {member.number}") as ended_ago:
            if ended_ago < time.monotonic() - read_at:
                again = await self._client.present_contact(contact.id)
                if again is None:
                    return _gone(contact.id, member.number)
                if not decided and match(again, await look_ups.index([again])).member is not member:
                    return Verdict(contact.id, "not_reached", member.number, "the contact changed while it was read")
                contact, planned = again, await self._planned(again, member, look_ups, decided=decided)
            archived = {
                each.contact.id for each in planned.own.actions if each.kind == "archive_duplicate" and each.contact
            }
            if archived:
                self._before_archiving(archived)
            rows = await self._apply(planned.own, planned.index)
        return _verdict(contact, member, planned.whole, rows)

    async def _planned(self, contact: Contact, member: Member, look_ups: "_LookUps", *, decided: bool) -> "_Planned":
        contacts = {each.id: each for each in [contact, *await self._others(contact, member, decided=decided)]}
        index = await look_ups.index(contacts.values())
        decisions = {contact.id: member} if decided else None
        scope = Scope("contacts", archive=not look_ups.from_fallback, decisions=decisions)
        judged = JudgedContacts(index, contacts, scope.decisions)
        needed = may_archive(judged, scope)
        open_work = await self._client.open_work_of(list(contacts)) if needed else OpenWork()
        scope = replace(scope, archive=scope.archive and open_work.complete)
        plan = make_plan(judged, scope, open_work, int(time.time()) - self._search_lag_seconds)
        own = replace(plan, cases=tuple(case for case in plan.cases if case.actions[0].member is member))
        return _Planned(index, plan, own)

    async def _others(self, contact: Contact, member: Member, *, decided: bool) -> list[Contact]:
        """Further contacts of the member: the user with its number; after a decision, those with its email, too.

        Those that search names are read again, as its index may be late.
        """
        found: dict[str, Contact | None] = {contact.id: None}
        if claimed_number(contact) != member.number:
            holder = await self._client.user_with_number(member.number)
            found |= {holder.id: holder} if holder else {}
        if decided and member.email:
            for named in await self._client.contacts_with_email(member.email):
                if named.id not in found:
                    found[named.id] = await self._client.present_contact(named.id)
        return [each for each in found.values() if each and each.id != contact.id]

    async def _apply(self, plan: Plan, index: MemberIndex) -> list[Row]:
        if self._writer is None:
            return [Row(action, OUTCOME_OF[action.kind]) for action in plan.actions]
        applier = Applier(self._client, self._writer, index, concurrency=1, stop=asyncio.Event(), just_read=True)
        try:
            return await applier.apply(plan)
        except IntercomError:
            if applier.rows:  # each says what became of it
                return applier.rows
            raise


@dataclass(frozen=True, slots=True)
class _Planned:
    """A plan for all that was looked at, and what of it is the member's own."""

    index: MemberIndex
    whole: Plan
    own: Plan


class _LookUps:
    """Looks members up for one contact and its duplicates, everything once; who was found stays the same object."""

    def __init__(self, members: Directory, phone_region: str) -> None:
        self._members = members
        self._phone_region = phone_region
        self._asked = {""}
        self._found: dict[str, Member] = {}
        self.from_fallback = False
        """Whether any answer came from another source than the first."""

    async def index(self, contacts: Iterable[Contact]) -> MemberIndex:
        """Every member that these contacts' emails and numbers speak for."""
        contacts = list(contacts)
        emails = {email_of(contact) for contact in contacts} - self._asked
        await asyncio.gather(*map(self._with_email, sorted(emails)))
        numbers = {number for contact in contacts for number in (claimed_number(contact), *legacy_numbers(contact))}
        missing = numbers - self._asked - self._found.keys()
        await asyncio.gather(*map(self.with_number, sorted(filter(None, missing))))
        return MemberIndex(self._found.values(), self._phone_region, knows_all=True)

    async def _with_email(self, email: str) -> None:
        for member in await self._ask(lambda source: source.members_with_email(email)):
            self._found.setdefault(member.number, member)
        self._asked.add(email)

    async def with_number(self, number: str) -> Member | None:
        """The member with this number."""
        member = await self._ask(lambda source: source.member_with_number(number))
        self._asked.add(number)
        return self._found.setdefault(member.number, member) if member else None

    async def _ask(self, read: Callable[[MemberSource], T]) -> T:
        answer = await asyncio.to_thread(self._members.ask, read)
        self.from_fallback |= answer.from_fallback
        return answer.value


def _gone(contact_id: str, number: str | None = None) -> Verdict:
    return Verdict(contact_id, "gone", number, "Intercom shows no such contact: it is archived or deleted")


def _verdict(contact: Contact, member: Member, plan: Plan, rows: list[Row]) -> Verdict:
    """One outcome for the contact: the worst of its rows, else what was done to it."""
    hindrance = next((row for row in rows if row.outcome in ("failed", "review", "not_reached")), None)
    if hindrance:
        return Verdict(contact.id, hindrance.outcome, member.number, hindrance.reason or "")
    if contact.id in plan.in_review:
        reason = next((each.reason for each in plan.findings if each.member_number == member.number), "")
        return Verdict(contact.id, "review", member.number, reason)
    own = next((row for row in reversed(rows) if row.action.contact and row.action.contact.id == contact.id), None)
    if own and own.action.kind in ("update", "convert") and own.contact_id not in (None, contact.id):
        reason = "another contact held the member's details and was written instead"
        return Verdict(contact.id, "not_reached", member.number, reason)  # the next look finds it by its number
    into = own.action.into if own else None
    return Verdict(into.id if into else contact.id, own.outcome if own else "unchanged", member.number)

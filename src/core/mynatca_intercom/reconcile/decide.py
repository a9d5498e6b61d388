"""Makes the plan: what each member's contacts, and each contact of nobody, need.

Pure and deterministic: the same members, contacts and open work give the same plan.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.conversation import OpenWork
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.duplicates import absorbed, choose, released_id
from mynatca_intercom.reconcile.judged import JudgedContacts, Own
from mynatca_intercom.reconcile.mapping import Fields, before, changes, new_fields, written
from mynatca_intercom.reconcile.match import Match, bears_uuid, claimed_number
from mynatca_intercom.reconcile.plan import Action, ActionKind, Case, Finding, Plan, Scope, Standing

NOTHING_OPEN = OpenWork()


def may_archive(judged: JudgedContacts, scope: Scope) -> bool:
    """Whether a plan could archive anything, so that open conversations and tickets must be known."""
    if not scope.archive:
        return False
    duplicates = any(sum(contact.role == "user" for contact, _ in own) > 1 for own in judged.own.values())
    return duplicates or (scope.strangers and bool(judged.unmatched))


def make_plan(
    judged: JudgedContacts, scope: Scope, open_work: OpenWork = NOTHING_OPEN, quiet_before: int | None = None
) -> Plan:
    """Decide for every member, in the order of the source, and for every contact of nobody.

    Args:
        judged: members and contacts.
        scope: what the command is about.
        open_work: open conversations and tickets, listed after the contacts.
        quiet_before: contacts active since this moment (Unix seconds) are not archived, as what they began may not
            be listed yet.
    """
    planner = _Planner(judged, scope, open_work, quiet_before)
    planner.decide_members()
    if scope.strangers:
        planner.decide_strangers()
    return planner.plan()


class _Planner:
    """First each member's contact is chosen, then each member is decided on, as one may stand in another's way."""

    def __init__(self, judged: JudgedContacts, scope: Scope, open_work: OpenWork, quiet_before: int | None) -> None:
        self._judged = judged
        self._index = judged.index
        self._scope = scope
        self._open_work = open_work
        self._quiet_before = quiet_before
        self._cases: list[Case] = []
        self._findings: list[Finding] = []
        self._standing: Counter[Standing] = Counter()
        self._resolves = scope.archive and not scope.leads_only
        self._left: set[str] = set()
        self._in_review: set[str] = set()
        self._chosen = {number: self._choose(number, own) for number, own in judged.own.items()}
        self._chosen_ids = {contact.id for contact, _ in self._chosen.values()}

    def _choose(self, number: str, own: list[Own]) -> Own:
        if len(own) == 1:
            return own[0]
        return choose(self._index.by_number[number], own, {contact.id for contact, _ in own if self._stays(contact)})

    # ---- members

    def decide_members(self) -> None:
        """Decide on each member that the command is about."""
        for member in self._members():
            own = self._judged.own.get(member.number, [])
            if self._scope.leads_only and all(contact.role == "user" for contact, _ in own):
                self._stand("out_of_scope", own)
            else:
                self._decide(member, own)
        if self._scope.decisions is None:
            for contact, judgement in self._judged.ambiguous:
                self._note(judgement.reason, None, contact.id, judgement)
            self._stand("review", self._judged.ambiguous)

    def _members(self) -> Iterable[Member]:
        if self._scope.create:
            return self._index.by_number.values()
        if self._scope.decisions is not None:
            return [member for id_, member in self._scope.decisions.items() if id_ in self._judged.contacts]
        return [member for number, member in self._index.by_number.items() if number in self._judged.own]

    def _stand(self, standing: Standing, pairs: Sequence[Own]) -> None:
        """Count contacts that need nothing, where contacts are counted."""
        if standing == "review":
            self._in_review.update(contact.id for contact, _ in pairs)
        if self._scope.counts == "contacts":
            self._standing[standing] += sum(self._scope.is_about(contact.id) for contact, _ in pairs)

    def _decide(self, member: Member, own: list[Own]) -> None:
        """Add the member's actions, or count it as unchanged or left to a person."""
        contact, judgement = self._chosen.get(member.number, (None, None))
        obstacle = self._obstacle(member, contact)
        if obstacle:
            self._findings.append(obstacle)
            for waiting, why in own:
                self._note(f"nothing is written: {obstacle.reason}", member.number, waiting.id, why)
            self._close(own, (), "review")
        elif contact is None or judgement is None:
            creation = Action("create", member, None, {}, new_fields(member), (), "the member has no contact")
            self._close(own, (creation,), "unchanged")
        else:
            if judgement.contradiction:
                self._note(judgement.contradiction, member.number, contact.id, judgement)
            self._close(own, self._actions(member, own, contact, judgement), "unchanged")

    def _close(self, own: list[Own], actions: Sequence[Action], standing: Standing) -> None:
        """File what was decided for a member, and count what nothing is done to."""
        if actions:
            self._cases.append(Case(tuple(actions)))
        elif self._scope.counts == "members":
            self._standing[standing] += 1
        touched = {action.contact.id for action in actions if action.contact}
        for pair in own:
            if pair[0].id not in touched:
                self._stand(self._standing_of(pair[0], standing), [pair])

    def _standing_of(self, contact: Contact, standing: Standing) -> Standing:
        if contact.id in self._left:
            return "review"
        if self._scope.leads_only and contact.role == "user":
            return "out_of_scope"
        return standing

    def _actions(self, member: Member, own: list[Own], kept: Contact, judgement: Match) -> list[Action]:
        """All that the member's contacts need, in an order that leaves no number on two of them."""
        losers = self._losers(member, own, kept)
        leads = [pair for pair in losers if pair[0].role == "lead"]
        users = [pair for pair in losers if pair[0].role == "user"]
        actions = [*self._freed(member, kept), *(self._archived(member, pair, kept) for pair in users)]
        state = kept
        if kept.role == "lead":
            actions += self._written(member, kept, judgement, losers)
            state = written(kept, actions[-1].after)
        for pair in leads:
            actions.append(
                Action("merge", member, pair[0], evidence=pair[1].evidence, reason=pair[1].reason, into=kept)
            )
            state = absorbed(state, pair[0])
        if not (self._scope.leads_only and kept.role == "user"):
            actions += self._written(member, state, judgement, losers)
        return actions

    def _freed(self, member: Member, kept: Contact) -> list[Action]:
        """A person gave the user with this number to another member: it loses the number first."""
        holder = self._judged.user_with_number(member.number)
        if holder is None or holder.id == kept.id or self._judged.member_of.get(holder.id) in (None, member):
            return []
        fields: Fields = {"external_id": ""}
        reason = "a person gave this contact to another member"
        return [Action("free_number", member, holder, before(holder, fields), fields, ("decision",), reason)]

    def _archived(self, member: Member, pair: Own, kept: Contact) -> Action:
        loser, judgement = pair
        released = released_id(loser, self._index)
        after: Fields = {} if released is None else {"external_id": released}
        return Action(
            "archive_duplicate",
            member,
            loser,
            before(loser, after),
            after,
            judgement.evidence,
            "an older contact of the same member",
            into=kept,
            conversations=self._open_work.conversations.get(loser.id, ()),
        )

    def _written(self, member: Member, contact: Contact, judgement: Match, losers: list[Own]) -> list[Action]:
        after = changes(contact, member, self._index.phone_region)
        after = self._without_taken_email(member, after, {loser.id for loser, _ in losers})
        if not after:
            return []
        kind: ActionKind = "convert" if contact.role == "lead" else "update"
        return [Action(kind, member, contact, before(contact, after), after, judgement.evidence, judgement.reason)]

    def _losers(self, member: Member, own: list[Own], kept: Contact) -> list[Own]:
        """The other contacts that are resolved, oldest first; a finding for each that must stay."""
        others = sorted(
            (pair for pair in own if pair[0].id != kept.id), key=lambda pair: (pair[0].created_at or 0, pair[0].id)
        )
        resolved: list[Own] = []
        for contact, judgement in others:
            hindrance = self._hindrance(contact, kept)
            if hindrance:
                self._left.add(contact.id)
                self._note(hindrance, member.number, contact.id, judgement)
            else:
                resolved.append((contact, judgement))
        return resolved

    def _hindrance(self, loser: Contact, kept: Contact) -> str | None:
        """Why a duplicate cannot be resolved, if so."""
        if loser.role == "lead":
            return None
        if self._stays(loser):
            return self._reason_to_stay(loser)
        if (loser.created_at or 0, loser.id) > (kept.created_at or 0, kept.id):
            return "a newer user of the same member, while the one with the number has to stay"
        return None

    def _stays(self, contact: Contact) -> bool:
        return not self._resolves or contact.id in self._open_work.ticket_holders or self._is_active(contact)

    def _reason_to_stay(self, loser: Contact) -> str:
        if loser.id in self._open_work.ticket_holders:
            return "open_ticket: a duplicate with an open ticket, which no call can move"
        if self._resolves:
            return "another user of the same member, active a moment ago"
        return "another user of the same member, and this run archives nothing"

    def _is_active(self, contact: Contact) -> bool:
        return self._quiet_before is not None and contact.active_since(self._quiet_before)

    def _obstacle(self, member: Member, contact: Contact | None) -> Finding | None:
        """Why nothing may be written for the member, if so."""
        number = member.number
        holder = self._judged.user_with_number(number)
        if holder and (contact is None or holder.id != contact.id) and holder.id not in self._judged.member_of:
            return Finding("the number is on a contact that is not surely this member's", number, holder.id)
        if contact and (contact.role == "user" or not member.email):
            return None
        if not member.email:
            return Finding("the member has no usable email", number)
        rival = self._user_in_the_way(member.email)
        if rival:
            return Finding("the email is on a user that is not surely this member's", number, rival.id)
        return None

    def _user_in_the_way(self, email: str) -> Contact | None:
        """A user with this email that may be the member, or that Intercom would name in a 409.

        Users without an external id keep others from using their email; users with one do not (REST: uniqueness).
        """
        holders = (user for user in self._judged.users_with_email(email) if user.id not in self._chosen_ids)
        return next((user for user in holders if not user.external_id or user.id not in self._judged.member_of), None)

    def _without_taken_email(self, member: Member, after: Fields, losers: set[str]) -> Fields:
        """Leave the email out when another user without external id keeps it: Intercom would refuse the write."""
        if "email" not in after:
            return after
        away = self._chosen_ids | losers
        others = (user for user in self._judged.users_with_email(after["email"]) if user.id not in away)
        holder = next((user for user in others if not user.external_id), None)
        if holder is None:
            return after
        self._findings.append(Finding("the new email is on another user", member.number, holder.id))
        return {name: value for name, value in after.items() if name != "email"}

    def _note(self, reason: str, number: str | None, contact_id: str | None, judgement: Match) -> None:
        self._findings.append(Finding(reason, number, contact_id, judgement.evidence, judgement.candidates))

    # ---- contacts of nobody

    def decide_strangers(self) -> None:
        """Archive contacts that no data point ties to a member, unless somebody waits for an answer there."""
        for contact in self._judged.unmatched:
            if self._scope.leads_only and contact.role == "user":
                self._standing["out_of_scope"] += 1
            elif not self._scope.archive or contact.id in self._open_work.contact_ids:
                self._keep(contact, "open_work" if self._scope.archive else "unchanged")
            elif self._is_active(contact):
                self._keep(contact, "active")
            else:
                reason = "no data point speaks for any member, and there is no open conversation or ticket"
                self._cases.append(Case((Action("archive", None, contact, reason=reason),)))

    def _keep(self, contact: Contact, standing: Standing) -> None:
        """Take the UUID of the old integration off a user that stays."""
        if not bears_uuid(contact):
            self._standing[standing] += 1
            return
        fields: Fields = {"external_id": ""}
        reason = "the UUID of an earlier integration, and no data point speaks for any member"
        self._cases.append(
            Case((Action("clear_external_id", None, contact, before(contact, fields), fields, (), reason),))
        )

    def plan(self) -> Plan:
        """The decisions so far; what takes a number over or frees one comes first, as others may wait for it."""
        return Plan(
            scope=self._scope,
            cases=tuple(sorted(self._cases, key=lambda case: not case.frees)),
            standing=self._standing,
            findings=tuple(self._findings),
            members=len(self._index.by_number),
            matched=len(self._chosen),
            numbered=sum(self._is_numbered(number) for number in self._chosen),
            contacts=len(self._judged.contacts),
            in_review=frozenset(self._in_review),
        )

    def _is_numbered(self, number: str) -> bool:
        return any(claimed_number(contact) == number for contact, _ in self._judged.own[number])

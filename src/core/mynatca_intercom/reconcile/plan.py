"""What a run will do, as data: decided from members and contacts alone, before anything is written.

Pure and deterministic: the same members and contacts give the same plan. A dry run prints it; `apply` carries it out.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.mapping import Fields, before, changes, new_fields
from mynatca_intercom.reconcile.match import (
    Match,
    MemberIndex,
    Point,
    claimed_number,
    email_of,
    match,
)

ActionKind = Literal["create", "update", "convert"]


@dataclass(frozen=True, slots=True)
class Action:
    """One change for one member. `contact` is as it was when the plan was made; None for a creation."""

    kind: ActionKind
    member: Member
    contact: Contact | None
    before: Fields
    after: Fields
    evidence: tuple[Point, ...]
    reason: str

    @property
    def takes_number(self) -> bool:
        """Whether an existing contact gets the member's number, which frees its email for other members."""
        return self.contact is not None and "external_id" in self.after


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should look at: who, and why nothing (or not all) was written."""

    reason: str
    member_number: str | None = None
    contact_id: str | None = None
    evidence: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All decisions of a run. Each member is in exactly one of `actions`, `unchanged`, `review` and `postponed`.

    `findings` explain the members in `review`, and name contacts that need a person whatever becomes of members.
    `members` and `matched` (members with a contact) and `numbered` (members with a user that bears their number)
    are what brakes are measured against.
    """

    actions: tuple[Action, ...]
    unchanged: int
    review: int
    findings: tuple[Finding, ...]
    members: int
    matched: int
    numbered: int
    contacts: int
    postponed: int = 0

    def limited(self, limit: int | None) -> "Plan":
        """The plan with its first `limit` actions; the others are postponed."""
        if limit is None or limit >= len(self.actions):
            return self
        postponed = self.postponed + len(self.actions) - limit
        return replace(self, actions=self.actions[:limit], postponed=postponed)

    def count(self, *kinds: ActionKind) -> int:
        """Number of actions of these kinds."""
        return sum(action.kind in kinds for action in self.actions)


def make_plan(index: MemberIndex, contacts: Mapping[str, Contact]) -> Plan:
    """Decide for every member, in the index's order, what its contact needs; `contacts` are all unarchived ones."""
    planner = _Planner(index, contacts)
    for member in index.by_number.values():
        planner.decide(member)
    return planner.plan()


class _Planner:
    """First each member's contact is chosen, then each member is decided on, as one may stand in another's way."""

    def __init__(self, index: MemberIndex, contacts: Mapping[str, Contact]) -> None:
        self._index = index
        self._contacts = contacts
        self._actions: list[Action] = []
        self._findings: list[Finding] = []
        self._decided: Counter[str] = Counter()
        self._own: dict[str, list[tuple[Contact, Match]]] = defaultdict(list)
        self._users_by_email: dict[str, list[Contact]] = defaultdict(list)
        self._users_by_number: dict[str, Contact] = {}
        self._known: set[str] = set()
        for contact in contacts.values():
            self._file(contact, match(contact, index))
        self._chosen = {number: choose(number, own) for number, own in self._own.items()}
        self._chosen_ids = {contact.id for contact, _ in self._chosen.values()}

    def _file(self, contact: Contact, judgement: Match) -> None:
        if contact.role == "user":
            self._users_by_email[email_of(contact)].append(contact)
            self._users_by_number[claimed_number(contact) or ""] = contact
        if judgement.member:
            self._own[judgement.member.number].append((contact, judgement))
            self._known.add(contact.id)
        elif judgement.outcome == "ambiguous":
            self._findings.append(Finding(judgement.reason, None, contact.id, judgement.evidence))

    def decide(self, member: Member) -> None:
        """Add the member to the actions, the unchanged or the review list."""
        contact, judgement = self._chosen.get(member.number, (None, None))
        obstacle = self._obstacle(member, contact)
        if obstacle:
            self._review(obstacle)
        elif contact is None or judgement is None:
            fields = new_fields(member)
            self._actions.append(Action("create", member, None, {}, fields, (), "the member has no contact"))
        else:
            self._note_duplicates(member, contact)
            self._change(member, contact, judgement)

    def _change(self, member: Member, contact: Contact, judgement: Match) -> None:
        after = self._without_taken_email(member, changes(contact, member, self._index.phone_region))
        if not after:
            self._decided["unchanged"] += 1
            return
        kind: ActionKind = "convert" if contact.role == "lead" else "update"
        present = before(contact, after)
        self._actions.append(Action(kind, member, contact, present, after, judgement.evidence, judgement.reason))

    def _review(self, finding: Finding) -> None:
        self._decided["review"] += 1
        self._findings.append(finding)

    def _obstacle(self, member: Member, contact: Contact | None) -> Finding | None:
        """Why nothing may be written for the member, if so."""
        holder = self._users_by_number.get(member.number)
        if holder and (contact is None or holder.id != contact.id):
            return Finding("the number is on a contact that is not surely this member's", member.number, holder.id)
        if contact and contact.role == "user":
            return None
        if not member.email:
            return Finding("the member has no usable email", member.number, contact.id if contact else None)
        rival = self._user_in_the_way(member.email)
        if rival:
            return Finding("the email is on a user that is not surely this member's", member.number, rival.id)
        return None

    def _user_in_the_way(self, email: str) -> Contact | None:
        """A user with this email that may be the member, or that Intercom would name in a 409.

        Users without an external id keep others from using their email; users with one do not (REST: uniqueness).
        """
        holders = (user for user in self._users_by_email[email] if user.id not in self._chosen_ids)
        return next((user for user in holders if not user.external_id or user.id not in self._known), None)

    def _without_taken_email(self, member: Member, after: Fields) -> Fields:
        """Leave the email out when a duplicate without external id keeps it: Intercom would refuse the write."""
        if "email" not in after:
            return after
        others = (user for user in self._users_by_email[after["email"]] if user.id not in self._chosen_ids)
        holder = next((user for user in others if not user.external_id), None)
        if holder is None:
            return after
        self._findings.append(Finding("the new email is on another user", member.number, holder.id))
        return {name: value for name, value in after.items() if name != "email"}

    def _note_duplicates(self, member: Member, chosen: Contact) -> None:
        self._findings.extend(
            Finding("another contact of the same member", member.number, contact.id, judgement.evidence)
            for contact, judgement in self._own[member.number]
            if contact.id != chosen.id
        )

    def plan(self) -> Plan:
        """The decisions so far; contacts that take a number over come first, as others may wait for it."""
        return Plan(
            actions=tuple(sorted(self._actions, key=lambda action: not action.takes_number)),
            unchanged=self._decided["unchanged"],
            review=self._decided["review"],
            findings=tuple(self._findings),
            members=len(self._index.by_number),
            matched=len(self._chosen),
            numbered=sum(claimed_number(contact) == number for number, (contact, _) in self._chosen.items()),
            contacts=len(self._contacts),
        )


def choose(number: str, own: Sequence[tuple[Contact, Match]]) -> tuple[Contact, Match]:
    """The one of a member's contacts that is written: the user with its number, else the newest user or lead."""
    return max(
        own,
        key=lambda pair: (
            claimed_number(pair[0]) == number,
            pair[0].role == "user",
            pair[0].created_at or 0,
            pair[0].id,
        ),
    )

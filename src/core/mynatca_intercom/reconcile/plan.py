"""What a run will do, as data: actions in their order, and what is left to a person.

A dry run prints a plan; `apply` carries it out; `decide` makes it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.conversation import Conversation
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.mapping import Fields
from mynatca_intercom.reconcile.match import Point

ActionKind = Literal[
    "create", "update", "convert", "merge", "archive_duplicate", "archive", "clear_external_id", "free_number"
]
"""What happens to one contact.

| kind | meaning |
| --- | --- |
| create | the member gets a contact |
| update | fields of its user are brought in line |
| convert | its lead becomes its user, with all fields |
| merge | a further lead becomes part of its user, with all that it has |
| archive_duplicate | open conversations, tags and notes go to the newest user, then the older one is archived |
| archive | a contact of nobody, without open work, is archived |
| clear_external_id | a user of nobody loses the UUID of the old integration |
| free_number | a user that a person gave to another member loses this member's number |
"""

Standing = Literal["unchanged", "review", "open_work", "active", "out_of_scope", "postponed", "not_approved"]
"""What a subject without an action is: right already, left to a person, kept for its open work or for what happened
a moment ago, not what this command is about, beyond the limit, or not in the plan that a person approved."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a command is about.

    Attributes:
        counts: What the run's counts add up to: all members (the nightly sync) or contacts.
        create: Members without a contact get one.
        strangers: Contacts of nobody are archived, or lose their UUID.
        leads_only: Only leads are touched, and users only by what is merged into them.
        archive: Whether anything may be archived.
        decisions: Contact id -> member, given by a person: the run is about them alone, be there none that can be
            carried out. None for a run that is about all.
    """

    counts: Literal["members", "contacts"]
    create: bool = False
    strangers: bool = False
    leads_only: bool = False
    archive: bool = True
    decisions: Mapping[str, Member] | None = None

    def is_about(self, contact_id: str) -> bool:
        """Whether a run that counts contacts counts this one."""
        return self.decisions is None or contact_id in self.decisions


@dataclass(frozen=True, slots=True)
class Action:
    """One change of one contact.

    `contact` is as it was when the plan was made (for a write after a merge: as it will be), None for a creation.
    `into` is the kept user of a merge or of a duplicate that is archived, and `conversations` are the open ones that
    move there.
    """

    kind: ActionKind
    member: Member | None
    contact: Contact | None
    before: Fields = field(default_factory=dict)
    after: Fields = field(default_factory=dict)
    evidence: tuple[Point, ...] = ()
    reason: str = ""
    into: Contact | None = None
    conversations: tuple[Conversation, ...] = ()

    @property
    def takes_number(self) -> bool:
        """Whether an existing contact gets the member's number, which frees its email for other members."""
        return self.kind in ("update", "convert") and "external_id" in self.after


@dataclass(frozen=True, slots=True)
class Case:
    """Actions that belong together, in their order: all for one member, or all for one contact of nobody."""

    actions: tuple[Action, ...]

    @property
    def frees(self) -> bool:
        """Whether it takes numbers or emails out of other members' way."""
        return any(action.takes_number or action.kind == "archive_duplicate" for action in self.actions)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should look at: who, and why nothing (or not all) was written."""

    reason: str
    member_number: str | None = None
    contact_id: str | None = None
    evidence: tuple[Point, ...] = ()
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """All decisions of a run.

    Each subject, a member or a contact by `scope.counts`, has actions or is counted in `standing`. `findings` explain
    what is left to a person. `members`, `matched` (members with a contact), `numbered` (members with a user that bears
    their number) and `contacts` (listed) are what brakes are measured against. `in_review` are the contacts that count
    as left to a person, `left_out` the subjects that need an action and get none.
    """

    scope: Scope
    cases: tuple[Case, ...]
    standing: Mapping[Standing, int]
    findings: tuple[Finding, ...]
    members: int
    matched: int
    numbered: int
    contacts: int
    in_review: frozenset[str] = frozenset()
    left_out: Mapping[str, Standing] = field(default_factory=dict)

    @property
    def actions(self) -> tuple[Action, ...]:
        """All actions in the order of their cases."""
        return tuple(action for case in self.cases for action in case.actions)

    def limited(self, limit: int | None) -> "Plan":
        """The plan with its first `limit` cases; the subjects of the others are postponed."""
        return self if limit is None else self.only(self.cases[:limit], "postponed")

    def only(self, cases: Iterable[Case], others: Standing) -> "Plan":
        """The plan with these of its cases; the subjects of the others are counted as `others`."""
        kept = replace(self, cases=tuple(cases))
        left = set(self.subjects(self.actions)) - set(kept.subjects(kept.actions))
        standing = Counter(self.standing) + Counter({others: len(left)})
        return replace(kept, standing=standing, left_out={**self.left_out, **dict.fromkeys(left, others)})

    def subjects(self, actions: Iterable[Action]) -> Iterator[str]:
        """Whom the actions are about: member numbers or contact ids, by what this run counts."""
        for action in actions:
            subject = self.subject(action)
            if subject:
                yield subject

    def subject(self, action: Action) -> str | None:
        """The member or contact that an action is counted under; None for one that this run does not count."""
        if self.scope.counts == "members":
            return action.member.number if action.member else None
        contact_id = action.contact.id if action.contact else None
        return contact_id if contact_id and self.scope.is_about(contact_id) else None

    def count(self, *kinds: ActionKind) -> int:
        """Number of actions of these kinds."""
        return sum(action.kind in kinds for action in self.actions)

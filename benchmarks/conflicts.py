"""The five classes of 409: who holds a number or an email, and whether every case ends as it is defined to.

Cases of two origins: those of the suite, and latecomers, who appear when a sync has listed everything and so are met
as a 409 in each class. A class counts only if a 409 named a holder of it.
"""

import copy
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.commands import Run
from benchmarks.labels import Labels, fields_of, is_live
from mynatca_sandbox.exchange import Exchange
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, World
from mynatca_sandbox.world.population import Row, is_eligible
from mynatca_sandbox.world.suite import CONFLICT_KINDS, plant_conflict_merged, plant_conflict_other_person
from mynatca_sandbox.world.trouble import email_of
from mynatca_sandbox.world.workspace import Workspace

ARRIVED = "conflict_arrived"
"""A user who appears while the sync is about to create it: with the number, or known by its email alone."""
LATECOMERS = 50
"""Of each class."""

CLASSES = {
    "live": ("conflict_same_member", ARRIVED),
    "archived": ("conflict_archived", "conflict_archived_beside"),
    "merged": ("conflict_merged",),
    "deleted": ("conflict_deleted",),
    "other person": ("conflict_other_person",),
}


class Refusals:
    """Assigned to `Sandbox.observe`, notes whom the 409s name."""

    def __init__(self) -> None:
        self.holders: set[str] = set()

    def __call__(self, exchange: Exchange) -> None:
        """Called after each call."""
        if exchange.status == 409:
            self.holders.update(re.findall(r"[0-9a-f]{24}", exchange.answer_body.decode()))


# ---- latecomers


class Latecomers:
    """Assigned to `Sandbox.before`, brings people in after the listing and before the first write, and notes them."""

    def __init__(self, sandbox: Sandbox, labels: Labels) -> None:
        self._sandbox = sandbox
        self._labels = labels

    def __call__(self, _method: str, path: str) -> None:
        """Called before each call takes effect; the attributes are looked at once, when the plan is made."""
        if path == "/data_attributes":
            self._sandbox.before = None
            world = self._sandbox.world
            known = len(world.contacts)
            _arrive(world, _without_contact(world))
            # The labels' own copy must know them as they came.
            for contact in copy.deepcopy(world.contacts[known:]):
                self._labels.world.contacts.append(contact)
                self._labels.contacts[contact.id] = contact
            self._labels.world.truth.update(world.truth)
            self._labels.world.planted.update(world.planted)
            self._sandbox.reset(world)


def _arrive(world: World, members: list[Row]) -> None:
    workspace = Workspace(world, random.Random(2))
    lots = iter(members)
    for index in range(LATECOMERS):
        member = next(lots)
        external_id = member["membernumber"] if index % 2 else None
        arrived = workspace.user(member, external_id=external_id, phone=None, custom_attributes={})
        world.planted[arrived.id] = ARRIVED
        plant_conflict_merged(workspace, next(lots))
        plant_conflict_other_person(workspace, next(lots), next(lots))


def _without_contact(world: World) -> list[Row]:
    """Members of whom the workspace knows nothing, with an email of their own."""
    eligible = [member for member in world.tables["members"] if is_eligible(member)]
    emails = Counter(map(email_of, eligible))
    known = {value for contact in world.contacts for value in (contact.external_id, contact.email)}
    known |= set(world.truth.values())
    return [
        member
        for member in eligible
        if emails[email_of(member)] == 1 and not known & {member["membernumber"], email_of(member)}
    ]


# ---- judgement


@dataclass(frozen=True)
class Case:
    """One planted conflict over a number: holder and heir as they were and as they are, and who has the number now."""

    number: str
    holder: Contact
    heir: Contact | None
    bearers: list[str]
    holder_untouched: bool
    heir_untouched: bool
    reviewed: bool


class Cases:
    """All planted conflicts, after the runs; the last of which has the review list."""

    def __init__(self, labels: Labels, after: World, last: Run) -> None:
        self._labels = labels
        self._now = {contact.id: contact for contact in after.contacts}
        self._reviewed = last.reviewed("member_number")
        self._bearers: dict[str, list[str]] = {}
        for contact in after.contacts:
            if is_live(contact) and contact.role == "user" and contact.external_id:
                self._bearers.setdefault(contact.external_id, []).append(contact.id)
        self._heirs = {
            (kind, labels.owner(heir.id)): heir for kind in CONFLICT_KINDS for heir in labels.of_kind(f"{kind}_heir")
        }

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._labels.of_kind(*CONFLICT_KINDS, ARRIVED))

    def classes_as_defined(self, refused_for: set[str]) -> int:
        """Classes of which every case ended as defined, and at least one 409 named a holder."""
        return sum(self._is_as_defined(kinds, refused_for) for kinds in CLASSES.values())

    def _is_as_defined(self, kinds: tuple[str, ...], refused_for: set[str]) -> bool:
        met = any(holder.id in refused_for for holder in self._labels.of_kind(*kinds))
        wrong = [
            f"{kind} {holder.id}"
            for kind in kinds
            for holder in self._labels.of_kind(kind)
            if not ENDS[kind](self._labels, self._case(kind, holder))
        ]
        print(*(f"  not as defined: {case}" for case in wrong[:5]), sep="\n", end="\n" if wrong else "")
        return met and not wrong

    def _case(self, kind: str, holder: Contact) -> Case:
        number = holder.external_id or self._labels.owner(holder.id) or ""
        heir = self._heirs.get((kind, number))
        return Case(
            number=number,
            holder=self._now[holder.id],
            heir=self._now[heir.id] if heir else None,
            bearers=self._bearers.get(number, []),
            holder_untouched=self._is_untouched(holder),
            heir_untouched=heir is None or self._is_untouched(heir),
            reviewed=number in self._reviewed,
        )

    def _is_untouched(self, contact: Contact) -> bool:
        now = self._now[contact.id]
        return fields_of(now) == fields_of(contact) and is_live(now) == is_live(contact)


def _holder_is_the_user(labels: Labels, case: Case) -> bool:
    return labels.is_right(case.holder, case.number) and case.bearers == [case.holder.id]


def _heir_is_the_user(labels: Labels, case: Case) -> bool:
    """The heir has it all, and the holder is out of sight."""
    heir = case.heir
    right = heir is not None and labels.is_right(heir, case.number) and case.bearers == [heir.id]
    return right and not is_live(case.holder)


def _heir_took_the_number(labels: Labels, case: Case) -> bool:
    """The heir has it all, and the archived holder has no number any more."""
    return _heir_is_the_user(labels, case) and case.holder.archived and case.holder.external_id != case.number


def _nobody_is_touched(_labels: Labels, case: Case) -> bool:
    """A person must look: nothing is written, nobody is made a second time."""
    bearers = [case.holder.id] if is_live(case.holder) else []
    return case.holder_untouched and case.heir_untouched and case.bearers == bearers and case.reviewed


ENDS: dict[str, Callable[[Labels, Case], bool]] = {
    "conflict_same_member": _heir_took_the_number,
    ARRIVED: _holder_is_the_user,
    "conflict_archived": _holder_is_the_user,
    "conflict_archived_beside": _heir_took_the_number,
    "conflict_merged": _heir_is_the_user,
    "conflict_deleted": _nobody_is_touched,
    "conflict_other_person": _nobody_is_touched,
}
"""What `mynatca_intercom.reconcile.conflicts` promises of each kind."""

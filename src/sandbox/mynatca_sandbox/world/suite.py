"""The workspace of a quality suite: the usual trouble, and so much of what is hard that a rate can be measured.

A planter adds the contacts of one case and notes in `World.planted` of which kind each is, in `World.truth` who it
really is; it leaves the members alone. A member behind an ambiguous contact has a right user of its own (kind
`bystander`), unless the contact holds the member's number: nothing is to be written to either. As the kinds are
denser than in life, a careful sync stops at its limit of archived contacts.
"""

import math
from collections.abc import Callable, Iterable
from itertools import cycle, islice
from typing import Any, Final

from mynatca_sandbox.world.casting import Cast, Pair
from mynatca_sandbox.world.mapping import full_name
from mynatca_sandbox.world.model import Contact, ConversationState
from mynatca_sandbox.world.names import random_name
from mynatca_sandbox.world.population import DAY, Row, is_eligible
from mynatca_sandbox.world.reachability import e164
from mynatca_sandbox.world.trouble import (
    FORMER_DOMAIN,
    STRANGERS_DOMAIN,
    email_of,
    plant_archived_holder,
    plant_archived_holder_beside_user,
    plant_deleted_holder,
    plant_merged_holder,
    plant_mix,
)
from mynatca_sandbox.world.workspace import LEGACY_ATTRIBUTES, Workspace

AMBIGUOUS_KINDS: Final = (
    "shared_email",
    "family",
    "name_twin",
    "phone_only",
    "name_only",
    "name_and_phone",
    "number_only",
    "swapped",
    "legacy_against_number",
    "lead_against_number",
)
CONFLICT_KINDS: Final = (
    "conflict_same_member",
    "conflict_archived",
    "conflict_archived_beside",
    "conflict_merged",
    "conflict_deleted",
    "conflict_other_person",
)
"""Of the holders of numbers; their heirs' kinds end in `_heir`."""

_YEAR: Final = 365 * DAY

# ---- ambiguous: in doubt nothing is to be written to any of these


def plant_bystander(workspace: Workspace, member: Row) -> Contact:
    """A user right in every field, to whom nothing is to happen."""
    return _noted(workspace, "bystander", workspace.user(member))


def plant_shared_email(workspace: Workspace, member: Row, other: Row) -> Contact:
    """A user without a number whose email two members share and whose name is neither's."""
    owner = workspace.rng.choice((member, other))
    return _user(workspace, "shared_email", owner, email=email_of(member), name=_name_of_nobody(workspace))


def plant_family(workspace: Workspace, member: Row, other: Row) -> Contact:
    """A user without a number and a name, with the email and the phone that two members share."""
    owner = workspace.rng.choice((member, other))
    return _user(workspace, "family", owner, email=email_of(member), phone=e164(member["phone"]))


def plant_name_twin(workspace: Workspace, member: Row, other: Row) -> Contact:
    """A user or lead of whom only the name is known, and two members have it."""
    owner, plant = workspace.rng.choice((member, other)), workspace.rng.choice((_user, _lead))
    return plant(workspace, "name_twin", owner, external_id=workspace.uuid(), name=full_name(member))


def plant_phone_only(workspace: Workspace, member: Row) -> Contact:
    """A stranger with a member's phone."""
    plant_bystander(workspace, member)
    return _stranger(workspace, "phone_only", phone=e164(member["phone"]))


def plant_name_only(workspace: Workspace, member: Row) -> Contact:
    """A stranger with a member's name."""
    plant_bystander(workspace, member)
    return _stranger(workspace, "name_only", name=full_name(member))


def plant_name_and_phone(workspace: Workspace, member: Row) -> Contact:
    """A stranger with a member's name and phone: families pass on both."""
    plant_bystander(workspace, member)
    return _stranger(workspace, "name_and_phone", name=full_name(member), phone=e164(member["phone"]))


def plant_number_only(workspace: Workspace, member: Row) -> Contact:
    """A user with a member's number, and nobody's email and name: the member married and moved, or a typing error."""
    owner = workspace.rng.choice((member, None))
    name, email = _name_of_nobody(workspace), _email_of_nobody(workspace)
    return _user(workspace, "number_only", owner, external_id=member["membernumber"], name=name, email=email)


def plant_swapped(workspace: Workspace, member: Row, other: Row) -> Contact:
    """The other member by email and name, with the number of the first."""
    plant_bystander(workspace, other)
    identity = {"email": email_of(other), "name": full_name(other)}
    return _user(workspace, "swapped", other, external_id=member["membernumber"], **identity)


def plant_legacy_against_number(workspace: Workspace, member: Row, other: Row) -> Contact:
    """A user with one member's number in a legacy attribute, and the other's as external id."""
    plant_bystander(workspace, member)
    owner, legacy = workspace.rng.choice((member, other)), _legacy(workspace, member)
    number = other["membernumber"]
    return _user(workspace, "legacy_against_number", owner, external_id=number, custom_attributes=legacy)


def plant_lead_against_number(workspace: Workspace, member: Row, other: Row) -> Contact:
    """A lead with one member's email, and the other's number in a legacy attribute."""
    plant_bystander(workspace, member)
    plant_bystander(workspace, other)
    owner, legacy = workspace.rng.choice((member, other)), _legacy(workspace, other)
    fields = {"email": email_of(member), "custom_attributes": legacy}
    return _lead(workspace, "lead_against_number", owner, external_id=workspace.uuid(), **fields)


# ---- conflicts: who wants the number (the heir, if there is one) is answered 409, as a holder has it


def plant_conflict_same_member(workspace: Workspace, member: Row) -> tuple[Contact, Contact]:
    """An older user with number, name and a former email, and a newer one with the email and no number."""
    older, newer = _two_moments(workspace)
    former = f"{workspace.uuid()[:13]}@{FORMER_DOMAIN}"
    holder = workspace.user(member, email=former, created_at=older)
    heir = _unnumbered(workspace, member, None, created_at=newer)
    return _noted_pair(workspace, "conflict_same_member", holder, heir)


def plant_conflict_archived(workspace: Workspace, member: Row) -> Contact:
    """The member's only user, archived."""
    return _noted(workspace, "conflict_archived", plant_archived_holder(workspace, member))


def plant_conflict_archived_beside(workspace: Workspace, member: Row) -> tuple[Contact, Contact]:
    """An archived holder, and a live user with a UUID."""
    heir, holder = plant_archived_holder_beside_user(workspace, member)
    return _noted_pair(workspace, "conflict_archived_beside", holder, heir)


def plant_conflict_merged(workspace: Workspace, member: Row) -> tuple[Contact, Contact]:
    """A holder that was merged into a live user with a UUID, and can never come back."""
    heir, holder = plant_merged_holder(workspace, member)
    return _noted_pair(workspace, "conflict_merged", holder, heir)


def plant_conflict_deleted(workspace: Workspace, member: Row) -> Contact:
    """The member's only user, permanently deleted a moment ago."""
    return _noted(workspace, "conflict_deleted", plant_deleted_holder(workspace, member))


def plant_conflict_other_person(workspace: Workspace, member: Row, other: Row) -> tuple[Contact, Contact]:
    """A holder that is another member by email and name, and a user of the member without the number."""
    plant_bystander(workspace, other)
    holder = workspace.user(other, external_id=member["membernumber"])
    heir = _unnumbered(workspace, member, workspace.rng.choice((None, workspace.uuid())))
    return _noted_pair(workspace, "conflict_other_person", holder, heir)


# ---- strangers, of whom no data point speaks for any member: only those without open work may be archived


def plant_stranger_open(workspace: Workspace) -> Contact:
    """A stranger with an open conversation."""
    return _conversing(workspace, _stranger(workspace, "stranger_open"), "open")


def plant_stranger_snoozed(workspace: Workspace) -> Contact:
    """A stranger with a snoozed conversation."""
    return _conversing(workspace, _stranger(workspace, "stranger_snoozed"), "snoozed")


def plant_stranger_ticket(workspace: Workspace) -> Contact:
    """A stranger with an open ticket."""
    stranger = _stranger(workspace, "stranger_ticket")
    states = ("submitted", "in_progress", "waiting_on_customer")
    workspace.ticket(stranger, state_category=workspace.rng.choice(states))
    return stranger


def plant_stranger_idle(workspace: Workspace, *, conversed: bool) -> Contact:
    """A stranger without open work, with or without a closed conversation."""
    stranger = _stranger(workspace, "stranger_idle")
    return _conversing(workspace, stranger, "closed") if conversed else stranger


# ---- duplicates: the newer user is kept and loses nothing of what the other one had


def plant_duplicate_pair(
    workspace: Workspace, member: Row, state: ConversationState, *, ticket: bool
) -> tuple[Contact, Contact]:
    """An older user with number, tags, notes, a conversation and perhaps an open ticket, and a newer one without."""
    older, newer = _two_moments(workspace)
    loser = _noted(workspace, "duplicate_older", workspace.user(member, created_at=older))
    kept = _unnumbered(workspace, member, workspace.rng.choice((None, workspace.uuid())), created_at=newer)
    _endow(workspace, loser, workspace.rng.randint(1, 2))
    _conversing(workspace, loser, state)
    if ticket:
        workspace.ticket(loser, state_category="in_progress")
    return loser, _noted(workspace, "duplicate_newer", kept)


def plant_duplicate_lead(workspace: Workspace, member: Row) -> tuple[Contact, Contact]:
    """A right user, and an older or newer lead with the member's email, a tag, a note and an open conversation."""
    user = _noted(workspace, "duplicate_lead_user", workspace.user(member))
    lead = _lead(workspace, "duplicate_lead", member, external_id=workspace.uuid(), email=email_of(member))
    _endow(workspace, lead, 1)
    return user, _conversing(workspace, lead, "open")


# ---- the mix

_OfOne = Callable[[Workspace, Row], object]
_OfTwo = Callable[[Workspace, Row, Row], object]

_AMBIGUOUS_OF_ONE: Final[tuple[_OfOne, ...]] = (
    plant_phone_only,
    plant_name_only,
    plant_name_and_phone,
    plant_number_only,
)
_AMBIGUOUS_OF_TWO: Final[tuple[_OfTwo, ...]] = (plant_swapped, plant_legacy_against_number, plant_lead_against_number)
_CONFLICTS: Final[tuple[_OfOne, ...]] = (
    plant_conflict_same_member,
    plant_conflict_archived,
    plant_conflict_archived_beside,
    plant_conflict_merged,
    plant_conflict_deleted,
)
_BUSY_STRANGERS: Final[tuple[Callable[[Workspace], object], ...]] = (
    plant_stranger_open,
    plant_stranger_snoozed,
    plant_stranger_ticket,
)

_AMBIGUOUS_SHARE: Final = 0.06
_CONFLICT_SHARE: Final = 0.025
_BUSY_SHARE: Final = 0.025
_IDLE_SHARE: Final = 0.02
_DUPLICATE_SHARE: Final = 0.005
_CROWDED: Final = 30
"""At most one in so many eligible members is of one kind, so that a small world keeps ordinary people."""


def plant_suite(workspace: Workspace) -> None:
    """Plant every kind, in shares of the eligible members, and the usual trouble on those who are left."""
    members = workspace.rng.sample(workspace.world.tables["members"], len(workspace.world.tables["members"]))
    size = sum(map(is_eligible, members))
    ambiguous = _count(size, _AMBIGUOUS_SHARE / len(AMBIGUOUS_KINDS), 20)
    cast = Cast(members, twins=ambiguous)
    _plant_ambiguous(workspace, cast, ambiguous)
    _plant_conflicts(workspace, cast, _count(size, _CONFLICT_SHARE / len(CONFLICT_KINDS), 5))
    _plant_strangers(workspace, size)
    _plant_duplicates(workspace, cast, _count(size, _DUPLICATE_SHARE, 5))
    plant_mix(workspace, cast.others())


def _count(size: int, share: float, least: int) -> int:
    return min(max(least, math.ceil(size * share)), size // _CROWDED)


def _plant_ambiguous(workspace: Workspace, cast: Cast, count: int) -> None:
    for pair in (*cast.households, *cast.twins):
        for member in pair:
            plant_bystander(workspace, member)
    _plant_in_turn(workspace, plant_family, filter(_shares_phone, cast.households), count)
    _plant_in_turn(workspace, plant_shared_email, (p for p in cast.households if not _shares_phone(p)), count)
    _plant_in_turn(workspace, plant_name_twin, cast.twins, count)
    for plant in _AMBIGUOUS_OF_ONE:
        for member in cast.singles(count):
            plant(workspace, member)
    for plant_two in _AMBIGUOUS_OF_TWO:
        for member, other in cast.strangers_to_each_other(count):
            plant_two(workspace, member, other)


def _plant_in_turn(workspace: Workspace, plant: _OfTwo, pairs: Iterable[Pair], count: int) -> None:
    """So many cases; where pairs are scarce, several on one."""
    for member, other in islice(cycle(pairs), count):
        plant(workspace, member, other)


def _shares_phone(pair: Pair) -> bool:
    phone, other = (e164(member["phone"]) for member in pair)
    return phone is not None and phone == other


def _plant_conflicts(workspace: Workspace, cast: Cast, count: int) -> None:
    for plant in _CONFLICTS:
        for member in cast.singles(count):
            plant(workspace, member)
    for member, other in cast.strangers_to_each_other(count):
        plant_conflict_other_person(workspace, member, other)


def _plant_strangers(workspace: Workspace, size: int) -> None:
    for plant in _BUSY_STRANGERS:
        for _ in range(_count(size, _BUSY_SHARE / len(_BUSY_STRANGERS), 5)):
            plant(workspace)
    for index in range(_count(size, _IDLE_SHARE, 5)):
        plant_stranger_idle(workspace, conversed=index % 3 == 0)


def _plant_duplicates(workspace: Workspace, cast: Cast, count: int) -> None:
    """Every fifth older user has an open ticket."""
    states: tuple[ConversationState, ...] = ("open", "snoozed")
    for index, member in enumerate(cast.singles(count)):
        plant_duplicate_pair(workspace, member, states[index % 2], ticket=index % 5 == 0)
    for member in cast.singles(count):
        plant_duplicate_lead(workspace, member)


# ---- parts of contacts


def _noted(workspace: Workspace, kind: str, contact: Contact) -> Contact:
    workspace.world.planted[contact.id] = kind
    return contact


def _noted_pair(workspace: Workspace, kind: str, holder: Contact, heir: Contact) -> tuple[Contact, Contact]:
    return _noted(workspace, kind, holder), _noted(workspace, f"{kind}_heir", heir)


def _user(workspace: Workspace, kind: str, owner: Row | None, **fields: Any) -> Contact:
    """A user who shows these fields and no others."""
    return _noted(workspace, kind, workspace.contact(_number(owner), role="user", **fields))


def _lead(workspace: Workspace, kind: str, owner: Row | None, **fields: Any) -> Contact:
    return _noted(workspace, kind, workspace.contact(_number(owner), role="lead", **fields))


def _number(owner: Row | None) -> str | None:
    return owner["membernumber"] if owner else None


def _unnumbered(workspace: Workspace, member: Row, external_id: str | None, **fields: Any) -> Contact:
    """The member's user, as integrations made them that knew only name and email."""
    return workspace.user(member, external_id=external_id, phone=None, custom_attributes={}, **fields)


def _stranger(workspace: Workspace, kind: str, **borrowed: Any) -> Contact:
    """A user or, every third time, a lead, who is nobody's; what is not borrowed of a member is no member's."""
    own = {"external_id": workspace.uuid(), "email": _email_of_nobody(workspace), "name": _name_of_nobody(workspace)}
    plant = workspace.rng.choice((_user, _user, _lead))
    return plant(workspace, kind, None, **(own | borrowed))


def _email_of_nobody(workspace: Workspace) -> str:
    return f"account.{workspace.uuid()[:13]}@{STRANGERS_DOMAIN}"


def _name_of_nobody(workspace: Workspace) -> str:
    """A name that no member can have by chance."""
    given, family = random_name(workspace.rng)
    return f"{given} {family}-Elsewhere"


def _legacy(workspace: Workspace, member: Row) -> dict[str, str]:
    return {workspace.rng.choice(LEGACY_ATTRIBUTES): member["membernumber"]}


def _two_moments(workspace: Workspace) -> tuple[int, int]:
    """Two moments of creation, months apart."""
    now, rng = workspace.world.now, workspace.rng
    return now - rng.randrange(3 * _YEAR, 8 * _YEAR), now - rng.randrange(60 * DAY, 2 * _YEAR)


def _conversing(workspace: Workspace, contact: Contact, state: ConversationState) -> Contact:
    workspace.conversation(contact, state, parts=workspace.rng.randint(1, 3))
    return contact


def _endow(workspace: Workspace, contact: Contact, count: int) -> None:
    """Put on so many tags and notes, each note with a text of its own."""
    names = workspace.rng.sample(("arbitration", "dues", "insurance", "retirement", "vip"), count)
    contact.tag_ids += [workspace.tag_id(name) for name in names]
    for name in names:
        workspace.note(contact, f"Called about {name}, case {workspace.uuid()[:8]}.")

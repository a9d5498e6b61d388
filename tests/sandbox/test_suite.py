"""The world of the quality suite: each kind of case is there, with the evidence that makes it one and no other.

What speaks for whom is worked out anew here, from the rows of `members`.
"""

import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

import phonenumbers
import pytest

from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import Contact, Conversation, Ticket, World
from mynatca_sandbox.world.suite import AMBIGUOUS_KINDS, CONFLICT_KINDS

Points = frozenset[str]
DAY = 24 * 60 * 60


@pytest.fixture(scope="module")
def suite() -> World:
    return generate(WorldOptions(members=2000, contacts="suite"))


def of_kind(world: World, kind: str) -> list[Contact]:
    found = [contact for contact in world.contacts if world.planted.get(contact.id) == kind]
    assert found, kind
    return found


def folded(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    return " ".join("".join(each for each in letters if not unicodedata.combining(each)).split())


def member_points(member: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a contact can show of a member."""
    yield "number", member["membernumber"]
    yield "email", (member["email"] or "").strip().lower()
    yield "name", folded(f"{member['firstname']} {member['lastname']}")
    yield "phone", dialled(member["phone"])


def contact_points(contact: Contact) -> Iterator[tuple[str, str]]:
    yield "email", contact.email or ""
    yield "name", folded(contact.name or "")
    yield "phone", contact.phone or ""
    if contact.role == "user":
        yield "number", contact.external_id or ""


def dialled(phone: str | None) -> str:
    try:
        number = phonenumbers.parse(phone or "", "US")
    except phonenumbers.NumberParseException:
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


@pytest.fixture(scope="module")
def evidence(suite: World) -> Callable[[Contact], dict[str, Points]]:
    """Tell which data points of a contact speak for which member: number -> points."""
    bearers: dict[tuple[str, str], list[str]] = defaultdict(list)
    for member in suite.tables["members"]:
        for point in member_points(member):
            bearers[point].append(member["membernumber"])

    def judge(contact: Contact) -> dict[str, Points]:
        found: dict[str, set[str]] = defaultdict(set)
        for point in contact_points(contact):
            for number in bearers.get(point, []) if point[1] else []:
                found[number].add(point[0])
        for legacy in contact.custom_attributes.keys() & {"Member Number", "member_number"}:
            found[str(contact.custom_attributes[legacy])].add("legacy")
        return {number: frozenset(points) for number, points in found.items()}

    return judge


Evidence = Callable[[Contact], dict[str, Points]]


def test_equal_options_give_equal_worlds_and_the_members_are_those_of_any_state() -> None:
    one, other = (generate(WorldOptions(seed=5, members=300, contacts="suite")) for _ in range(2))
    assert one == other
    assert one.tables == generate(WorldOptions(seed=5, members=300, contacts="none")).tables


@pytest.mark.parametrize("members", [0, 1, 30, 300])
def test_small_worlds_are_worlds(members: int) -> None:
    world = generate(WorldOptions(members=members, contacts="suite"))
    assert len(world.planted) < len(world.contacts) or members == 0


def test_twenty_thousand_members_give_enough_of_each_kind_in_seconds() -> None:
    started = time.process_time()
    kinds = Counter(generate(WorldOptions(contacts="suite")).planted.values())
    assert time.process_time() - started < 30
    assert {kinds[kind] for kind in AMBIGUOUS_KINDS} == {120}
    assert {kinds[kind] for kind in CONFLICT_KINDS} == {84}
    assert kinds["stranger_open"] + kinds["stranger_snoozed"] + kinds["stranger_ticket"] == 501
    assert kinds["stranger_idle"] == 400
    assert kinds["duplicate_older"] == kinds["duplicate_newer"] == kinds["duplicate_lead"] == 100


def test_small_worlds_have_a_least_number_of_each_kind() -> None:
    kinds = Counter(generate(WorldOptions(members=600, contacts="suite")).planted.values())
    assert {kinds[kind] for kind in AMBIGUOUS_KINDS} == {20}
    assert {kinds[kind] for kind in CONFLICT_KINDS} == {5}
    assert kinds["duplicate_older"] == kinds["duplicate_lead"] == 5


def test_the_rest_of_the_members_have_the_usual_trouble(suite: World) -> None:
    usual = [contact for contact in suite.contacts if contact.id not in suite.planted]
    right = [contact for contact in usual if contact.external_id and contact.external_id == suite.truth[contact.id]]
    assert 0.6 <= len(right) / len(usual) <= 0.75
    assert any(contact.role == "lead" for contact in usual)
    assert not {suite.truth[contact.id] for contact in usual} & {suite.truth[id_] for id_ in suite.planted} - {None}


def test_numbers_are_unique_and_moments_past(suite: World) -> None:
    held = [contact.external_id for contact in suite.contacts if contact.external_id]
    assert len(set(held)) == len(held)
    assert len({contact.id for contact in suite.contacts}) == len(suite.contacts)
    moments = [contact.last_replied_at or contact.updated_at for contact in suite.contacts]
    assert max(moments) < suite.now - DAY
    assert all(contact.created_at <= min(contact.updated_at, suite.now - 30 * DAY) for contact in suite.contacts)


def test_bystanders_are_right_and_alone_with_their_number(suite: World, evidence: Evidence) -> None:
    items: list[Conversation | Ticket] = [*suite.conversations, *suite.tickets]
    busy = {id_ for item in items for id_ in item.contact_ids}
    for contact in of_kind(suite, "bystander"):
        points = evidence(contact)[str(contact.external_id)]
        assert points | {"phone"} == {"number", "email", "name", "phone"}
        assert suite.truth[contact.id] == contact.external_id
        assert contact.id not in busy


NUMBER, LEGACY, EMAIL, PHONE, NAME = map(frozenset, (["number"], ["legacy"], ["email"], ["phone"], ["name"]))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("shared_email", [EMAIL, EMAIL]),
        ("family", [EMAIL | PHONE, EMAIL | PHONE]),
        ("phone_only", [PHONE]),
        ("name_only", [NAME]),
        ("name_and_phone", [NAME | PHONE]),
        ("number_only", [NUMBER]),
        ("swapped", [EMAIL | NAME, NUMBER]),
        ("legacy_against_number", [LEGACY, NUMBER]),
        ("lead_against_number", [EMAIL, LEGACY]),
    ],
)
def test_ambiguous_contacts_have_that_evidence_only(
    suite: World, evidence: Evidence, kind: str, expected: list[Points]
) -> None:
    for contact in of_kind(suite, kind):
        assert sorted(map(sorted, evidence(contact).values())) == sorted(map(sorted, expected))


def test_a_name_twins_name_is_all_there_is(suite: World, evidence: Evidence) -> None:
    """It speaks for two members, or for more by chance."""
    twins = of_kind(suite, "name_twin")
    for contact in twins:
        found = evidence(contact)
        assert len(found) >= 2
        assert set(found.values()) == {NAME}
        assert (contact.email, contact.phone, contact.custom_attributes) == (None, None, {})
    assert {contact.role for contact in twins} == {"user", "lead"}


@pytest.mark.parametrize("kind", ["phone_only", "name_only", "name_and_phone"])
def test_who_shows_only_name_or_phone_is_a_stranger(suite: World, kind: str) -> None:
    assert {suite.truth[contact.id] for contact in of_kind(suite, kind)} == {None}


@pytest.mark.parametrize(
    "kind", ["shared_email", "family", "name_twin", "legacy_against_number", "lead_against_number"]
)
def test_no_rule_of_thumb_tells_which_of_two_members_it_is(suite: World, evidence: Evidence, kind: str) -> None:
    """The truth is one of the candidates, sometimes the lower number and sometimes the higher."""
    contacts = of_kind(suite, kind)
    ranks = {sorted(evidence(contact)).index(str(suite.truth[contact.id])) for contact in contacts}
    assert ranks >= {0, 1}


def test_details_that_make_a_case_what_it_is(suite: World) -> None:
    assert all(contact.name for contact in of_kind(suite, "shared_email"))
    assert not any(contact.name or contact.external_id for contact in of_kind(suite, "family"))
    assert all(contact.name and contact.email for contact in of_kind(suite, "number_only"))
    assert len({suite.truth[contact.id] is None for contact in of_kind(suite, "number_only")}) == 2
    assert all(suite.truth[contact.id] != contact.external_id for contact in of_kind(suite, "swapped"))
    assert {contact.role for contact in of_kind(suite, "lead_against_number")} == {"lead"}


STATES = {
    "conflict_same_member": (False, False, False),
    "conflict_archived": (True, False, False),
    "conflict_archived_beside": (True, False, False),
    "conflict_merged": (False, True, False),
    "conflict_deleted": (True, False, True),
    "conflict_other_person": (False, False, False),
}


@pytest.mark.parametrize("kind", STATES)
def test_holders_have_a_members_number_and_the_state_of_their_kind(suite: World, kind: str) -> None:
    numbers = {member["membernumber"] for member in suite.tables["members"]}
    for holder in of_kind(suite, kind):
        assert holder.external_id in numbers
        assert (holder.archived, bool(holder.merged_into), holder.deleted) == STATES[kind]
        assert (suite.truth[holder.id] == holder.external_id) is (kind != "conflict_other_person")


@pytest.mark.parametrize(
    "kind", ["conflict_same_member", "conflict_archived_beside", "conflict_merged", "conflict_other_person"]
)
def test_each_holder_has_a_live_heir_without_a_number(suite: World, evidence: Evidence, kind: str) -> None:
    heirs = {suite.truth[heir.id]: heir for heir in of_kind(suite, f"{kind}_heir")}
    for holder in of_kind(suite, kind):
        heir = heirs[holder.external_id]
        assert evidence(heir)[str(holder.external_id)] >= EMAIL
        assert "number" not in set().union(*evidence(heir).values())
        assert (heir.archived, heir.merged_into, heir.deleted) == (False, None, False)


def test_an_archived_or_deleted_holder_is_alone(suite: World) -> None:
    alone = [*of_kind(suite, "conflict_archived"), *of_kind(suite, "conflict_deleted")]
    owners = Counter(suite.truth.values())
    assert {owners[contact.external_id] for contact in alone} == {1}


def test_a_holder_who_is_surely_the_same_member_is_older_than_its_heir(suite: World, evidence: Evidence) -> None:
    heirs = {suite.truth[heir.id]: heir for heir in of_kind(suite, "conflict_same_member_heir")}
    for holder in of_kind(suite, "conflict_same_member"):
        assert evidence(holder)[str(holder.external_id)] >= NUMBER | NAME
        assert heirs[holder.external_id].external_id is None
        assert holder.created_at < heirs[holder.external_id].created_at


def test_a_holder_who_is_another_person_shows_it(suite: World, evidence: Evidence) -> None:
    for holder in of_kind(suite, "conflict_other_person"):
        assert evidence(holder)[str(suite.truth[holder.id])] >= EMAIL | NAME
        assert evidence(holder)[str(holder.external_id)] == NUMBER


def test_a_merged_holder_became_part_of_its_heir(suite: World) -> None:
    heirs = {heir.id: suite.truth[heir.id] for heir in of_kind(suite, "conflict_merged_heir")}
    for holder in of_kind(suite, "conflict_merged"):
        assert heirs[str(holder.merged_into)] == holder.external_id


def items_of(world: World, contact: Contact) -> list[Conversation | Ticket]:
    items: list[Conversation | Ticket] = [*world.conversations, *world.tickets]
    return [item for item in items if contact.id in item.contact_ids]


def described(item: Conversation | Ticket) -> str:
    if isinstance(item, Ticket):
        return "open ticket" if item.open else "resolved ticket"
    return f"{item.state} conversation"


def work_of(world: World, contact: Contact) -> list[str]:
    return sorted(described(item) for item in items_of(world, contact))


@pytest.mark.parametrize(
    ("kind", "work"),
    [
        ("stranger_open", {("open conversation",)}),
        ("stranger_snoozed", {("snoozed conversation",)}),
        ("stranger_ticket", {("open ticket",)}),
        ("stranger_idle", {(), ("closed conversation",)}),
    ],
)
def test_strangers_are_nobody_and_have_the_work_of_their_kind(
    suite: World, evidence: Evidence, kind: str, work: set[tuple[str, ...]]
) -> None:
    strangers = of_kind(suite, kind)
    assert {suite.truth[contact.id] for contact in strangers} == {None}
    assert not any(evidence(contact) for contact in strangers)
    assert {tuple(work_of(suite, contact)) for contact in strangers} == work
    assert {contact.role for contact in strangers} == {"user", "lead"}


def test_older_duplicates_have_what_must_not_be_lost(suite: World) -> None:
    olders = of_kind(suite, "duplicate_older")
    work = Counter(each for older in olders for each in work_of(suite, older))
    assert {suite.truth[older.id] == older.external_id for older in olders} == {True}
    assert all(older.tag_ids and older.notes for older in olders)
    assert work == {"open conversation": 5, "snoozed conversation": 5, "open ticket": 2}


def test_newer_duplicates_are_newer_and_have_no_number(suite: World, evidence: Evidence) -> None:
    olders = {suite.truth[older.id]: older for older in of_kind(suite, "duplicate_older")}
    newers = of_kind(suite, "duplicate_newer")
    assert {suite.truth[newer.id] for newer in newers} == olders.keys()
    for newer in newers:
        owner = suite.truth[newer.id]
        assert newer.created_at > olders[owner].created_at
        assert evidence(newer)[str(owner)] == EMAIL | NAME
    assert len({newer.external_id is None for newer in newers}) == 2


def test_duplicate_leads_stand_beside_right_users(suite: World, evidence: Evidence) -> None:
    users = {suite.truth[user.id]: user for user in of_kind(suite, "duplicate_lead_user")}
    for lead in of_kind(suite, "duplicate_lead"):
        owner = str(suite.truth[lead.id])
        assert users[owner].external_id == owner
        assert (lead.role, evidence(lead)[owner]) == ("lead", EMAIL)
        assert work_of(suite, lead) == ["open conversation"]
        assert (len(lead.tag_ids), len(lead.notes)) == (1, 1)

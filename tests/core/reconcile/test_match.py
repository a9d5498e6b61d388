"""Which member a contact is: the rules as cases that can be read, and what holds for all people."""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.match import (
    LEGACY_ATTRIBUTES,
    MemberIndex,
    _agreed_at_a_glance,
    _summed_up,
    claimed_number,
    fold,
    judgements,
    legacy_numbers,
    match,
)

UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"


def member(number: str, name: str | None, email: str | None = None, phone: str | None = None) -> Member:
    return Member(number, name, email, phone, "Current Member", "GL", "ZAU", None)


def contact(role: Any = "user", **fields: Any) -> Contact:
    return Contact("c1", role, **fields)


ADA = member("1001", "Ada Byron", "ada@union.example", "+12025550143")
BOB = member("1002", "Bob Núñez", "bob@union.example", "+12025550144")
CY = member("1003", "Cy Okafor", "family@union.example", "+12025550145")
DI = member("1004", "Di Okafor", "family@union.example", "+12025550145")
ED = member("1005", "Ed Nomail", None, None)
TWIN = member("1006", "Ada Byron", "twin@union.example", None)
EVERYBODY = (ADA, BOB, CY, DI, ED, TWIN)
FORMER = "777"


class Case(NamedTuple):
    """One contact, and whose it is: a member, or None with the outcome."""

    sentence: str
    contact: Contact
    expected: Member | str


CASES = [
    # Two points agree and none contradicts.
    Case("number and email agree", contact(external_id="1001", email="ada@union.example"), ADA),
    Case("number and name agree", contact(external_id="1001", name="ADA  byron"), ADA),
    Case("number and phone agree", contact(external_id="1001", phone="(202) 555-0143"), ADA),
    Case("email and name agree", contact(email="ada@union.example", name="Ada Byron"), ADA),
    Case("email and phone agree", contact(email="ada@union.example", phone="202.555.0143"), ADA),
    Case(
        "legacy number and email agree",
        contact(email="bob@union.example", custom_attributes={"Member Number": "1002"}),
        BOB,
    ),
    Case(
        "external id and legacy number agree",
        contact(external_id="1002", custom_attributes={"member_number": 1002}),
        BOB,
    ),
    Case("names are compared without case and accents", contact(external_id="1002", name="bob NUNEZ"), BOB),
    Case("emails are compared without case and spaces", contact(external_id="1002", email=" Bob@Union.Example "), BOB),
    Case(
        "two points decide between those who share an email",
        contact(email="family@union.example", name="Di Okafor"),
        DI,
    ),
    Case("a lead matches like a user", contact("lead", email="ada@union.example", name="Ada Byron"), ADA),
    # Email alone.
    Case("an email that one member has", contact(email="ada@union.example"), ADA),
    Case("an email that one member has, under another name", contact(email="ada@union.example", name="Countess"), ADA),
    Case("an email that two members have", contact(email="family@union.example"), "ambiguous"),
    Case(
        "an email beside the number of another member",
        contact(email="ada@union.example", external_id="1002"),
        "ambiguous",
    ),
    Case(
        "an email beside the number of a former member",
        contact(email="ada@union.example", external_id=FORMER),
        "ambiguous",
    ),
    Case(
        "an email beside another legacy number",
        contact(email="ada@union.example", custom_attributes={"Member Number": "1002"}),
        "ambiguous",
    ),
    Case("an email beside the UUID of an old integration", contact(email="ada@union.example", external_id=UUID), ADA),
    Case("an email beside a released id", contact(email="ada@union.example", external_id="released-c1"), ADA),
    Case("an email beside an id that is no number", contact(email="ada@union.example", external_id="wp_77"), ADA),
    Case(
        "an email beside a lead's own external id", contact("lead", email="ada@union.example", external_id="1002"), ADA
    ),
    # Number alone.
    Case("a number alone", contact(external_id="1001"), ADA),
    Case("a legacy number alone", contact(custom_attributes={"member_number": "1001"}), ADA),
    Case("a number of a member without email", contact(external_id="1005", email="ed@home.example"), ED),
    Case("a number beside another email", contact(external_id="1001", email="ada@home.example"), ADA),
    Case("a number beside another name", contact(external_id="1001", name="Countess"), ADA),
    Case(
        "a number beside another email and another name",
        contact(external_id="1001", email="eve@home.example", name="Eve"),
        "ambiguous",
    ),
    Case(
        "a number beside another email and another name, although the phone agrees",
        contact(external_id="1001", email="eve@home.example", name="Eve", phone="202-555-0143"),
        "ambiguous",
    ),
    Case(
        "a number beside another member's email, nameless",
        contact(external_id="1001", email="bob@union.example"),
        "ambiguous",
    ),
    Case(
        "two numbers that differ", contact(external_id="1001", custom_attributes={"member_number": "1002"}), "ambiguous"
    ),
    Case("a number that a lead bears as external id", contact("lead", external_id="1001"), "unmatched"),
    Case("a number of nobody", contact(external_id="4711"), "unmatched"),
    # Phone and name never decide.
    Case("a phone alone", contact(phone="202-555-0143"), "ambiguous"),
    Case("a name alone", contact(name="Ada Byron"), "ambiguous"),
    Case("phone and name together", contact(phone="202-555-0143", name="Ada Byron"), "ambiguous"),
    Case(
        "phone and name beside an unknown email",
        contact(phone="202-555-0143", name="Bob Núñez", email="x@y.example"),
        "ambiguous",
    ),
    # Nothing.
    Case("an empty contact", contact(), "unmatched"),
    Case("a stranger", contact(email="eve@home.example", name="Eve", phone="+442079460958"), "unmatched"),
    Case("a stranger with a UUID", contact(external_id=UUID), "unmatched"),
    Case("blanks", contact(external_id=" ", email=" ", name=" ", phone=" "), "unmatched"),
]


@pytest.mark.parametrize("case", CASES, ids=[case.sentence for case in CASES])
def test_case(case: Case) -> None:
    judgement = match(case.contact, MemberIndex(EVERYBODY))
    expected = ("matched", case.expected) if isinstance(case.expected, Member) else (case.expected, None)
    assert (judgement.outcome, judgement.member) == expected
    assert judgement.reason
    assert bool(judgement.evidence) == bool(judgement.candidates) == (judgement.outcome != "unmatched")


def test_the_evidence_is_what_agrees() -> None:
    whole = contact(
        external_id="1001",
        email="ada@union.example",
        name="ada byron",
        phone="202-555-0143",
        custom_attributes={"Member Number": "1003"},
    )
    assert match(whole, MemberIndex(EVERYBODY)).evidence == ("email", "external_id", "legacy_number", "name", "phone")
    number_and_name = contact(external_id="1002", name="Bob Nunez")
    assert match(number_and_name, MemberIndex(EVERYBODY)).evidence == ("external_id", "name")


def test_the_phone_region_is_that_of_the_contacts_numbers() -> None:
    london = member("2001", "Lo Don", "lo@union.example", "+442079460958")
    typed = contact(email="lo@union.example", phone="020 7946 0958", custom_attributes={})
    assert "phone" in match(typed, MemberIndex([london], "GB")).evidence
    assert "phone" not in match(typed, MemberIndex([london], "US")).evidence


# --- For all people: few identifiers, so that they collide.

numbers = st.sampled_from(("1001", "1002", "1003", "0042"))
emails = st.sampled_from(("ada@union.example", "bob@union.example", "family@union.example"))
names = st.sampled_from(("Ada Byron", "ada  BYRON", "Bob Núñez", "Bob Nunez", "Cy Okafor"))
phones = st.sampled_from(("+12025550143", "+12025550144"))
no_claims = st.none() | st.sampled_from(
    ("", " ", UUID, UUID.replace("-", ""), UUID.upper(), "released-1001", "released-x")
)
members = st.builds(member, numbers, st.none() | names, st.none() | emails, st.none() | phones)
everybody = st.lists(members, unique_by=lambda one: one.number, max_size=4)
contacts = st.builds(
    Contact,
    id=st.just("c1"),
    role=st.sampled_from(("user", "lead")),
    external_id=numbers | no_claims | st.sampled_from((FORMER, "wp_77")),
    email=st.none() | emails | st.sampled_from(("", " ADA@Union.example ", "eve@home.example")),
    phone=st.none() | phones | st.sampled_from(("", "202.555.0143", "n/a")),
    name=st.none() | names | st.sampled_from(("", "Eve")),
    custom_attributes=st.dictionaries(
        st.sampled_from((*LEGACY_ATTRIBUTES, "region")), numbers | st.sampled_from((1001, FORMER, "", None, "n/a"))
    ),
)


@given(contacts, everybody)
def test_phone_and_name_never_decide(anybody: Contact, people: list[Member]) -> None:
    alone = replace(anybody, external_id=None, email=None, custom_attributes={})
    assert match(alone, MemberIndex(people)).outcome != "matched"


@given(contacts, everybody)
def test_a_match_rests_on_a_number_or_an_email(anybody: Contact, people: list[Member]) -> None:
    judgement = match(anybody, MemberIndex(people))
    event(judgement.outcome)
    if judgement.member:
        assert {"external_id", "legacy_number", "email"} & set(judgement.evidence)


@given(contacts, everybody)
def test_who_claims_another_number_never_matches(anybody: Contact, people: list[Member]) -> None:
    """Be it a member's or one that could be a former member's, who the nightly sync does not know."""
    judged = match(anybody, MemberIndex(people)).member
    claims = {claimed_number(anybody)} | legacy_numbers(anybody)
    others = {claim for claim in claims if claim and claim.isdigit()} - {judged.number if judged else None}
    assert judged is None or not others


@given(contacts, everybody, no_claims)
def test_uuids_and_released_ids_are_no_claims(anybody: Contact, people: list[Member], nothing: str | None) -> None:
    index = MemberIndex(people)
    assert match(replace(anybody, external_id=nothing), index) == match(replace(anybody, external_id=None), index)


@given(contacts, everybody, numbers | no_claims)
def test_a_leads_external_id_is_no_claim(anybody: Contact, people: list[Member], external_id: str | None) -> None:
    index, lead = MemberIndex(people), replace(anybody, role="lead")
    assert match(replace(lead, external_id=external_id), index) == match(replace(lead, external_id=None), index)


@given(contacts, everybody.flatmap(lambda people: st.tuples(st.just(people), st.permutations(people))))
def test_the_order_of_members_does_not_matter(anybody: Contact, orders: tuple[list[Member], list[Member]]) -> None:
    one, other = (match(anybody, MemberIndex(people)) for people in orders)
    assert (one.outcome, one.member, one.evidence) == (other.outcome, other.member, other.evidence)
    assert set(one.candidates) == set(other.candidates)


@given(contacts, everybody.filter(bool))
def test_the_glance_at_the_everyday_case_sees_what_a_long_look_sees(anybody: Contact, people: list[Member]) -> None:
    everyday = replace(anybody, role="user", external_id=people[0].number, email=people[0].email)
    index = MemberIndex(people)
    glance, long_look = _agreed_at_a_glance(everyday, index), _summed_up(judgements(everyday, index))
    event("seen at a glance" if glance else "not seen")
    if glance:
        assert (glance.outcome, glance.member) == (long_look.outcome, long_look.member)
        assert set(glance.evidence) <= set(long_look.evidence)


@given(contacts, everybody)
def test_an_unmatched_contact_shares_nothing_with_anybody(anybody: Contact, people: list[Member]) -> None:
    judgement = match(anybody, MemberIndex(people))
    if judgement.outcome == "unmatched":
        assert claimed_number(anybody) not in {one.number for one in people}
        assert fold(anybody.name) not in {fold(one.name) for one in people if one.name}


@given(st.text())
def test_folding_a_name_twice_is_folding_it_once(name: str) -> None:
    assert fold(fold(name)) == fold(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [("José Núñez", "jose  NUNEZ "), ("Straße", "STRASSE"), ("Zoë", "Zoe\u0308"), ("İpek", "ipek"), (None, "")],
)
def test_names_are_folded_alike(one: str | None, other: str) -> None:
    assert fold(one) == fold(other)

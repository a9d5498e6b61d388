"""What a member's contact should hold, and what is never touched."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynatca_intercom.intercom.attributes import OWNED_ATTRIBUTES
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.members.member import UNKNOWN, Member
from mynatca_intercom.reconcile.mapping import before, body, changes, current, new_fields, wanted
from mynatca_intercom.reconcile.match import LEGACY_ATTRIBUTES

MAPPED = {"external_id", "role", "email", "name", "phone", *OWNED_ATTRIBUTES}

ADA = Member(
    "1001", "Ada Byron", "ada@union.example", "+12025550143", "Current Member", "GL", "ZAU", "Secretary, Treasurer"
)
AS_ADA = Contact(
    "c1",
    "user",
    external_id="1001",
    email="ada@union.example",
    phone="+12025550143",
    name="Ada Byron",
    custom_attributes={
        "member_type": "Current Member",
        "region": "GL",
        "facility": "ZAU",
        "positions": "Secretary, Treasurer",
    },
)

texts = st.text(min_size=1, max_size=8)
values = st.none() | st.just(UNKNOWN) | texts
members = st.builds(
    Member,
    number=st.from_regex(r"[0-9]{1,6}", fullmatch=True),
    name=st.none() | texts,
    email=st.none() | st.sampled_from(("ada@union.example", "bob@union.example")),
    phone=st.none() | st.sampled_from(("+12025550143", "+442079460958")),
    member_type=values,
    region=values,
    facility=values,
    positions=values,
)
attributes = st.dictionaries(
    st.sampled_from((*OWNED_ATTRIBUTES, *LEGACY_ATTRIBUTES, "favourite colour")), st.none() | texts | st.integers()
)
contacts = st.builds(
    Contact,
    id=st.just("c1"),
    role=st.sampled_from(("user", "lead")),
    external_id=st.none() | texts,
    email=st.none() | st.sampled_from(("", "ADA@Union.Example", "eve@home.example")),
    phone=st.none() | st.sampled_from(("", "n/a", "(202) 555-0143")),
    name=st.none() | texts,
    custom_attributes=attributes,
)


def but(record: Any, **fields: Any) -> Any:
    """The member or contact with other values."""
    return replace(record, **fields)


def applied(contact: Contact, fields: dict[str, Any]) -> Contact:
    """The contact after Intercom took a request body: standard fields at the top, attributes merged in."""
    sent = body(fields)
    given_attributes = sent.pop("custom_attributes", {})
    return replace(contact, **sent, custom_attributes={**contact.custom_attributes, **given_attributes})


def test_all_fields_of_the_mapping_are_wanted() -> None:
    assert wanted(ADA) == {
        "external_id": "1001",
        "role": "user",
        "email": "ada@union.example",
        "name": "Ada Byron",
        "phone": "+12025550143",
        "member_type": "Current Member",
        "region": "GL",
        "facility": "ZAU",
        "positions": "Secretary, Treasurer",
    }


def test_an_agreeing_contact_needs_no_change() -> None:
    assert changes(AS_ADA, ADA) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("external_id", "1002"),
        ("role", "lead"),
        ("email", "ada@home.example"),
        ("email", None),
        ("name", "Ada"),
        ("name", "ada byron"),
        ("phone", "+12025550144"),
        ("phone", None),
        ("phone", "n/a"),
    ],
)
def test_each_field_that_differs_is_changed_and_no_other(field: str, value: Any) -> None:
    assert changes(but(AS_ADA, **{field: value}), ADA) == {field: wanted(ADA)[field]}


@pytest.mark.parametrize("name", OWNED_ATTRIBUTES)
@pytest.mark.parametrize("value", [None, "", "other", 5])
def test_each_attribute_that_differs_is_changed_and_no_other(name: str, value: Any) -> None:
    present = AS_ADA.custom_attributes | {name: value}
    assert changes(but(AS_ADA, custom_attributes=present), ADA) == {name: wanted(ADA)[name]}


@pytest.mark.parametrize(("field", "spelled"), [("email", " Ada@Union.EXAMPLE "), ("phone", "(202) 555-0143")])
def test_intercoms_own_spelling_of_the_same_is_no_difference(field: str, spelled: str) -> None:
    assert changes(but(AS_ADA, **{field: spelled}), ADA) == {}


def test_the_phone_region_reads_intercoms_spelling() -> None:
    londoner, contact = but(ADA, phone="+442079460958"), but(AS_ADA, phone="020 7946 0958")
    assert changes(contact, londoner, "GB") == {}
    assert changes(contact, londoner, "US") == {"phone": "+442079460958"}


@pytest.mark.parametrize("field", ["phone", "name", "email"])
def test_what_the_source_lacks_leaves_intercoms_value_alone(field: str) -> None:
    assert changes(AS_ADA, but(ADA, **{field: None})) == {}


@pytest.mark.parametrize("name", OWNED_ATTRIBUTES)
def test_an_attribute_that_is_known_to_be_empty_is_cleared_by_an_empty_text(name: str) -> None:
    """Null is refused for leads."""
    empty = but(ADA, **{name: None})
    assert changes(AS_ADA, empty) == {name: ""}
    for cleared in (None, ""):
        present = but(AS_ADA, custom_attributes=AS_ADA.custom_attributes | {name: cleared})
        assert changes(present, empty) == {}


@pytest.mark.parametrize("name", OWNED_ATTRIBUTES)
def test_an_unknown_attribute_is_neither_written_nor_cleared(name: str) -> None:
    unknown = but(ADA, **{name: UNKNOWN})
    assert name not in wanted(unknown)
    assert changes(AS_ADA, unknown) == {}
    assert name not in new_fields(unknown)


@given(members)
def test_only_fields_of_the_mapping_are_ever_wanted(member: Member) -> None:
    assert set(wanted(member)) <= MAPPED
    assert not set(wanted(member)) & set(LEGACY_ATTRIBUTES)
    assert all(isinstance(value, str) for value in wanted(member).values())


@given(contacts, members)
def test_applying_the_changes_leaves_none(contact: Contact, member: Member) -> None:
    after = applied(contact, changes(contact, member))
    assert changes(after, member) == {}


@given(contacts, members)
def test_what_is_not_ours_stays_as_it_is(contact: Contact, member: Member) -> None:
    after = applied(contact, changes(contact, member))
    for name in (*LEGACY_ATTRIBUTES, "favourite colour"):
        assert after.custom_attributes.get(name) == contact.custom_attributes.get(name)


@given(contacts, members)
def test_the_before_values_bring_the_contact_back(contact: Contact, member: Member) -> None:
    fields = changes(contact, member)
    present = before(contact, fields)
    assert present.keys() == fields.keys()
    restored = applied(applied(contact, fields), present)
    assert all(current(restored, name) == current(contact, name) for name in MAPPED)


@given(members)
def test_a_new_contact_needs_no_change_afterwards(member: Member) -> None:
    fields = new_fields(member)
    assert "" not in fields.values()
    assert changes(applied(Contact("new", "lead"), fields), member) == {}


def test_a_body_has_the_shape_of_intercoms_api() -> None:
    assert body({"email": "ada@union.example", "region": "GL", "positions": ""}) == {
        "email": "ada@union.example",
        "custom_attributes": {"region": "GL", "positions": ""},
    }
    assert body({"role": "user"}) == {"role": "user"}
    assert body({}) == {}

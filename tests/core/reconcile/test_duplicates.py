"""Which of several contacts is kept, which id the others are left with, and what a merge makes of the kept one."""

from typing import Any

import pytest

from mynatca_intercom.intercom.contact import Contact, Reference, Sublist
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.duplicates import absorbed, choose, released_id
from mynatca_intercom.reconcile.judged import Own
from mynatca_intercom.reconcile.match import Match, MemberIndex

UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ANN = Member("1001", "Ann Lee", "ann@example.com", None, "Current Member", "GL", "ZAU", None)
INDEX = MemberIndex([ANN])
MATCHED = Match("matched", ANN, ("1001",), ("email",), "email agrees and nothing contradicts")


def user(contact_id: str, created_at: int | None, external_id: str | None = None, **fields: Any) -> Contact:
    return Contact(contact_id, fields.pop("role", "user"), external_id, created_at=created_at, **fields)


def lead(contact_id: str, created_at: int | None) -> Contact:
    return user(contact_id, created_at, UUID, role="lead")


def chosen(*contacts: Contact, staying: tuple[str, ...] = ()) -> str:
    own: list[Own] = [(contact, MATCHED) for contact in contacts]
    kept, _ = choose(ANN, own, staying)
    assert choose(ANN, own[::-1], staying)[0] is kept  # the order of the listing means nothing
    return kept.id


@pytest.mark.parametrize(
    ("contacts", "staying", "expected"),
    [
        ((user("a", 1), user("b", 2)), (), "b"),
        ((user("a", 1, "1001"), user("b", 2)), (), "b"),
        ((user("a", 1, "1001"), user("b", 2)), ("b",), "b"),
        ((user("a", 1, "1001"), user("b", 2)), ("a",), "a"),
        ((user("a", 1, "1001"), user("b", 2)), ("a", "b"), "a"),
        ((user("a", 1, UUID), user("b", 2)), ("a",), "b"),  # stays, but bears no number
        ((user("a", 1), lead("b", 2)), (), "a"),
        ((lead("a", 1), lead("b", 2)), (), "b"),
        ((user("a", 1), user("b", 1)), (), "b"),
        ((user("a", None), user("b", 1)), (), "b"),
        ((user("a", 1),), (), "a"),
    ],
)
def test_the_newest_user_is_kept_unless_the_one_with_the_number_has_to_stay(
    contacts: tuple[Contact, ...], staying: tuple[str, ...], expected: str
) -> None:
    assert chosen(*contacts, staying=staying) == expected


@pytest.mark.parametrize(
    ("external_id", "email", "expected"),
    [
        ("1001", "ann@example.com", "released-a"),
        ("1001", " ANN@example.com", "released-a"),
        ("1001", "ann@old.example.com", ""),
        ("1001", None, ""),
        (None, "ann@example.com", "released-a"),  # without any id it would keep others from the email
        (" ", "ann@example.com", "released-a"),
        (None, "ann@old.example.com", None),
        (UUID, "ann@example.com", None),
        ("released-a", "ann@example.com", None),
    ],
)
def test_an_archived_duplicate_stands_in_nobodys_way(
    external_id: str | None, email: str | None, expected: str | None
) -> None:
    assert released_id(user("a", 1, external_id, email=email), INDEX) == expected


def tags(*ids: str, total: int | None = None) -> Sublist:
    return Sublist(tuple(Reference(each) for each in ids), len(ids) if total is None else total)


def test_a_merge_fills_only_what_is_empty_on_the_kept_user() -> None:
    kept = user("a", 1, "1001", email="ann@example.com", custom_attributes={"region": "GL", "facility": "", "x": None})
    other = user(
        "b",
        2,
        UUID,
        role="lead",
        email="ann@work.example.com",
        phone="+13125550142",
        name="Ann",
        custom_attributes={"region": "XX", "facility": "ATL", "Member Number": "1001", "x": 5},
        tags=tags("1", "2"),
    )

    merged = absorbed(kept, other)

    assert (merged.id, merged.role, merged.external_id, merged.created_at) == ("a", "user", "1001", 1)
    assert (merged.email, merged.phone, merged.name) == ("ann@example.com", "+13125550142", "Ann")
    assert merged.custom_attributes == {"region": "GL", "facility": "ATL", "Member Number": "1001", "x": 5}
    assert merged.tags is not None
    assert merged.tags.ids == ("1", "2")


def test_tags_of_both_are_there_once() -> None:
    kept, other = user("a", 1, tags=tags("1", "2")), user("b", 1, role="lead", tags=tags("2", "3"))

    merged = absorbed(kept, other)

    assert merged.tags is not None
    assert merged.tags.ids == ("1", "2", "3")
    assert absorbed(user("a", 1, tags=None), user("b", 1, role="lead", tags=None)).tags == Sublist((), 0)

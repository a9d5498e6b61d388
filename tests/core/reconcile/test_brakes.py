"""Brakes: where each begins to pull, and what releases it."""

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynatca_intercom.intercom.contact import Contact, ContactListing
from mynatca_intercom.intercom.conversation import OpenWork
from mynatca_intercom.members.member import Member, MemberListing
from mynatca_intercom.reconcile.brakes import Brake, BrakeClass, Reading, brakes, too_many_archived
from mynatca_intercom.reconcile.plan import Action, ActionKind, Case, Plan, Scope

MEMBER = Member("1", "Ada", "ada@union.example", None, None, None, None, None)
KINDS: tuple[ActionKind, ...] = get_args(ActionKind)
OPEN_WORK = OpenWork()
ALL: tuple[BrakeClass, ...] = ("create", "update", "archive", "source", "listing")


def plan(
    *,
    members: int = 1000,
    matched: int = 1000,
    numbered: int = 1000,
    contacts: int = 1000,
    **counts: int,
) -> Plan:
    """A plan with so many actions of each kind."""
    cases = tuple(Case((Action(kind, MEMBER, None),)) for kind in KINDS for _ in range(counts.pop(kind, 0)))
    assert not counts
    return Plan(Scope("members", create=True), cases, {}, (), members, matched, numbered, contacts)


def reading(
    *,
    read: int = 1000,
    counted: int | None = None,
    listed: int = 1000,
    total: int | None = None,
    last: int | None = None,
    open_work: OpenWork = OPEN_WORK,
) -> Reading:
    contacts = {str(number): Contact(str(number), "user") for number in range(listed)}
    return Reading(
        MemberListing("supabase", (MEMBER,) * read, read if counted is None else counted),
        ContactListing(contacts, listed if total is None else total),
        open_work,
        last,
    )


def pulled(what: Plan, read: Reading, *released: BrakeClass) -> list[BrakeClass]:
    return [brake.brake for brake in brakes(what, read, released)]


def test_a_quiet_night_pulls_no_brake() -> None:
    assert pulled(plan(create=5, update=40), reading(last=1000)) == []


@pytest.mark.parametrize(
    ("create", "members", "expected"),
    [
        (100, 1000, []),
        (101, 1000, ["create"]),
        (19, 100, []),  # percentages apply from 20 actions on
        (20, 100, ["create"]),
        (20, 200, []),
        (21, 200, ["create"]),
        (0, 0, []),
    ],
)
def test_creating_for_more_than_a_tenth_of_the_members(create: int, members: int, expected: list[str]) -> None:
    assert pulled(plan(create=create, members=members, numbered=members), reading()) == expected


@pytest.mark.parametrize(
    ("counts", "matched", "expected"),
    [
        ({"update": 500}, 1000, []),
        ({"update": 501}, 1000, ["update"]),
        ({"update": 300, "convert": 200}, 1000, []),
        ({"update": 300, "convert": 201}, 1000, ["update"]),
        ({"update": 19}, 19, []),
        ({"update": 20}, 20, ["update"]),
        ({"update": 20}, 40, []),
        ({"convert": 20}, 39, ["update"]),
        ({"merge": 20}, 39, ["update"]),
        ({"clear_external_id": 20}, 39, ["update"]),
        ({"update": 5, "convert": 5, "merge": 5, "clear_external_id": 5}, 39, ["update"]),
        ({"free_number": 400}, 39, []),  # as many as a person named
        ({"update": 20}, 0, ["update"]),
    ],
)
def test_changing_more_than_half_of_the_matched(counts: dict[str, Any], matched: int, expected: list[str]) -> None:
    assert pulled(plan(**counts, matched=matched), reading()) == expected


@pytest.mark.parametrize(
    ("counts", "contacts", "expected"),
    [
        ({"archive": 500}, 100_000, []),
        ({"archive": 501}, 100_000, ["archive"]),
        ({"archive_duplicate": 501}, 100_000, ["archive"]),
        ({"archive": 251, "archive_duplicate": 250}, 100_000, ["archive"]),
        ({"archive": 50}, 1000, []),
        ({"archive": 51}, 1000, ["archive"]),
        ({"archive": 26, "archive_duplicate": 25}, 1000, ["archive"]),
        ({"archive": 19}, 19, []),  # percentages apply from 20 actions on
        ({"archive": 20}, 399, ["archive"]),
        ({"archive": 20}, 400, []),
    ],
)
def test_archiving_too_many(counts: dict[str, Any], contacts: int, expected: list[str]) -> None:
    """Five hundred however large the workspace is, or a twentieth of it."""
    assert pulled(plan(**counts, contacts=contacts), reading()) == expected


def test_one_sentence_says_how_many_are_too_many_to_archive() -> None:
    assert brakes(plan(archive=501, contacts=1000), reading(), ()) == [
        Brake("archive", "The plan would archive 501 contacts (at most 500 without a person's word).")
    ]
    assert brakes(plan(archive=51, contacts=1000), reading(), ()) == [
        Brake(
            "archive",
            "The plan would archive 51 contacts, 5.1% of 1000 contacts (at most 5% without a person's word).",
        )
    ]


def test_archiving_is_braked_on_a_first_run_too() -> None:
    assert pulled(plan(archive=51, create=600, numbered=0), reading()) == ["archive"]


@pytest.mark.parametrize(("count", "expected"), [(500, 0), (501, 1)])
def test_where_no_contacts_are_listed_only_their_number_counts(count: int, expected: int) -> None:
    assert len(list(too_many_archived(count, None))) == expected


@pytest.mark.parametrize(("numbered", "expected"), [(0, []), (99, []), (100, ["create", "update"])])
def test_a_first_run_may_create_and_change_all(numbered: int, expected: list[str]) -> None:
    """It is one while less than a tenth of the members have a user with their number."""
    assert pulled(plan(create=600, update=400, matched=400, numbered=numbered), reading()) == expected


def test_a_first_run_is_braked_for_half_a_reading_all_the_same() -> None:
    half = reading(read=500, counted=1000, listed=100, total=1000)
    assert pulled(plan(create=500, members=500, matched=0, numbered=0), half) == ["source", "listing"]


@pytest.mark.parametrize(
    ("read", "counted", "last", "expected"),
    [
        (0, 0, None, ["source"]),
        (0, 0, 1000, ["source"]),
        (1000, 1000, None, []),
        (1000, 1001, None, ["source"]),
        (1001, 1000, None, []),
        (900, 900, 1000, []),
        (899, 899, 1000, ["source"]),
        (899, 1000, 1000, ["source"]),  # one sentence is enough
        (5000, 5000, 1000, []),
        (1, 1, 0, []),
    ],
)
def test_a_source_that_is_empty_incomplete_or_shrunk(
    read: int, counted: int, last: int | None, expected: list[str]
) -> None:
    assert pulled(plan(), reading(read=read, counted=counted, last=last)) == expected


@given(st.integers(1, 3000))
def test_nine_tenths_of_the_last_run_are_enough_at_any_size(tenth: int) -> None:
    enough = Reading(
        MemberListing("supabase", (MEMBER,) * (9 * tenth), 0), ContactListing({}, 0), OPEN_WORK, 10 * tenth
    )
    assert pulled(plan(), enough) == []


@pytest.mark.parametrize(
    ("listed", "total", "expected"),
    [(1000, 1000, []), (995, 1000, []), (994, 1000, ["listing"]), (0, 5, []), (0, 6, ["listing"])],
)
def test_a_listing_of_contacts_with_gaps(listed: int, total: int, expected: list[str]) -> None:
    assert pulled(plan(), reading(listed=listed, total=total)) == expected


def test_a_listing_of_conversations_with_gaps() -> None:
    """Who has open work is not known, so nobody may be archived."""
    gaps = reading(open_work=OpenWork(complete=False))
    assert brakes(plan(), gaps, ()) == [
        Brake("listing", "Intercom listed fewer open conversations or tickets than it counts, twice.")
    ]
    assert pulled(plan(), gaps, "listing") == []


@pytest.mark.parametrize("released", ALL)
def test_a_released_brake_does_not_pull_and_the_others_do(released: BrakeClass) -> None:
    everything_wrong = plan(create=600, update=600, archive=600), reading(read=0, listed=0, total=1000)
    assert sorted(pulled(*everything_wrong)) == sorted(ALL)
    assert sorted(pulled(*everything_wrong, released)) == sorted(set(ALL) - {released})


def test_all_brakes_can_be_released() -> None:
    assert pulled(plan(create=600, update=600, archive=600), reading(read=0, listed=0, total=1000), *ALL) == []


def test_a_brake_says_by_how_much() -> None:
    wrong = brakes(plan(create=150, update=900), reading(read=500, listed=10, total=1000, last=1000), ())
    assert wrong == [
        Brake("source", "The source has 500 members, 50.0% of the last run's 1000 (at least 90% are expected)."),
        Brake("listing", "Intercom listed 10 of the 1000 contacts that it counts, twice."),
        Brake(
            "create", "The plan would create 150 contacts, 15.0% of 1000 members (at most 10% without a person's word)."
        ),
        Brake(
            "update",
            "The plan would update 900 contacts, 90.0% of 1000 matched contacts (at most 50% without a person's word).",
        ),
    ]

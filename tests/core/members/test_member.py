"""The rules that turn a row into a member: names, addresses and positions."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mynatca_intercom.members.member import (
    ATTRIBUTE_LENGTH,
    Member,
    MemberListing,
    cut_positions,
    full_name,
    join_positions,
    usable_email,
)

titles = st.lists(st.text(st.characters(exclude_characters=","), max_size=120), max_size=12)


@pytest.mark.parametrize(
    ("first", "last", "name"),
    [
        ("Ada", "Byron", "Ada Byron"),
        (" Ada ", "  King  Byron ", "Ada King Byron"),
        ("Ada", None, "Ada"),
        (None, "Byron", "Byron"),
        ("", "", None),
        ("  ", None, None),
        (None, None, None),
    ],
)
def test_a_name_has_single_spaces_or_is_none(first: str | None, last: str | None, name: str | None) -> None:
    assert full_name(first, last) == name


@pytest.mark.parametrize(
    ("raw", "email"),
    [
        ("ada@union.example", "ada@union.example"),
        ("  Ada.Byron@Union.EXAMPLE\n", "ada.byron@union.example"),
        ("o'brien+union@mail.union.example", "o'brien+union@mail.union.example"),
    ],
)
def test_an_email_is_trimmed_and_in_lower_case(raw: str, email: str) -> None:
    assert usable_email(raw) == email


@pytest.mark.parametrize(
    "raw",
    [
        None,
        "",
        "  ",
        "none",
        "n/a",
        "@union.example",
        "ada@",
        "ada@union",
        "ada@@union.example",
        "ada@.example",
        "ada@union.",
        "ada@union..example",
        "ada byron@union.example",
        "ada@union.example bob@union.example",
        "ada@union.example;bob@union.example",
    ],
)
def test_what_cannot_be_an_address_is_none(raw: str | None) -> None:
    """Intercom would refuse the whole member for it."""
    assert usable_email(raw) is None


@given(st.text())
def test_a_usable_email_is_its_own_usable_form(raw: str) -> None:
    email = usable_email(raw)
    assert email is None or usable_email(email) == email


@given(titles)
def test_positions_are_distinct_and_sorted(given_titles: list[str]) -> None:
    joined = join_positions(given_titles)
    expected = sorted({title.strip() for title in given_titles if title.strip()})
    assert (joined.split(", ") if joined else []) == expected


@given(titles.flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(rows))))
def test_positions_do_not_depend_on_the_order_of_rows(orders: tuple[list[str], list[str]]) -> None:
    assert join_positions(orders[0]) == join_positions(orders[1])


def test_no_position_is_none() -> None:
    assert join_positions([]) is None
    assert join_positions(["", "  "]) is None


@given(st.lists(st.text("ab", min_size=1, max_size=90), min_size=1, max_size=12))
@example(["a" * 253, "b"])
@example(["a" * 254, "b"])
@example(["a" * 255, "b"])
@example(["a" * 256, "b"])
@example(["a" * 300])
def test_positions_are_cut_at_a_separator_and_as_late_as_possible(titles_in_order: list[str]) -> None:
    cut = cut_positions(", ".join(titles_in_order))
    kept = len(cut.split(", "))
    assert len(cut) <= ATTRIBUTE_LENGTH
    if len(titles_in_order[0]) > ATTRIBUTE_LENGTH:
        assert cut == titles_in_order[0][:ATTRIBUTE_LENGTH]
    else:
        assert cut == ", ".join(titles_in_order[:kept])
        assert kept == len(titles_in_order) or len(", ".join(titles_in_order[: kept + 1])) > ATTRIBUTE_LENGTH


@given(st.text(max_size=600))
def test_positions_are_never_longer_than_intercom_takes(joined: str) -> None:
    cut = cut_positions(joined)
    assert len(cut) <= ATTRIBUTE_LENGTH
    assert joined.startswith(cut)
    assert cut or not joined


@pytest.mark.parametrize(("counted", "complete"), [(0, True), (1, True), (2, False)])
def test_a_listing_is_complete_when_no_counted_member_is_missing(counted: int, complete: bool) -> None:  # noqa: FBT001 - a table
    member = Member("1", "Ada", None, None, None, None, None, None)
    assert MemberListing("supabase", (member,), counted).complete is complete


def test_a_listing_after_a_failed_source_is_from_a_fallback() -> None:
    assert not MemberListing("supabase", (), 0).from_fallback
    assert MemberListing("mysql", (), 0, failed=("Supabase does not answer",)).from_fallback

"""Phone numbers as people type them become E.164, or nothing."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynatca_intercom.members.phone import e164


@pytest.mark.parametrize(
    "typed",
    [
        "2025550143",
        "202-555-0143",
        "202.555.0143",
        "(202) 555-0143",
        " (202)555-0143 ",
        "1-202-555-0143",
        "+1 202 555 0143",
        "+12025550143",
        "202/555-0143",
        "202-555-0143 x12",
        "202-555-0143 ext. 1234",
        "2025550143x12",
        "(202)\u00a0555\u20110143",
    ],
)
def test_what_people_type_for_one_number_is_one_number(typed: str) -> None:
    assert e164(typed, "US") == "+12025550143"


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("+44 20 7946 0958", "+442079460958"),
        ("011 44 20 7946 0958", "+442079460958"),
        ("+49 30 901820", "+4930901820"),
        ("+1 787 555 0143", "+17875550143"),
        ("1-800-FLOWERS", "+18003569377"),
    ],
)
def test_international_and_lettered_numbers_are_read(typed: str, number: str) -> None:
    assert e164(typed, "US") == number


def test_the_region_is_that_of_numbers_without_a_country_code() -> None:
    assert e164("020 7946 0958", "GB") == "+442079460958"
    assert e164("+1 202 555 0143", "GB") == "+12025550143"


@pytest.mark.parametrize(
    "junk",
    [
        "",
        " ",
        "n/a",
        "none",
        "unknown",
        "0",
        "911",
        "12345",
        "call my wife",
        "@",
        "+",
        "202-555-01430000000",
        "9" * 400,
    ],
)
def test_what_is_no_number_is_nothing(junk: str) -> None:
    assert e164(junk, "US") is None


def test_a_local_number_without_its_area_code_is_nothing() -> None:
    """It can be dialled at home, but nobody knows from where else; Intercom would keep it for good."""
    assert e164("555-0143", "US") is None


def test_a_new_area_code_is_read_although_no_list_has_it_yet() -> None:
    assert e164("999-555-0143", "US") == "+19995550143"


@given(st.text(max_size=40) | st.from_regex(r"[+(]?[0-9 ().x-]{1,25}", fullmatch=True))
def test_whatever_comes_is_e164_or_nothing_and_read_alike_again(typed: str) -> None:
    number = e164(typed, "US")
    if number is not None:
        assert re.fullmatch(r"\+[1-9]\d{4,14}", number)
        assert e164(number, "US") == number

"""The same rows become the same members, whichever source has them."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mynatca_intercom.members.member import UNKNOWN, Member
from mynatca_intercom.members.mysql import MySQLSource
from mynatca_intercom.members.rows import like_pattern, text
from mynatca_intercom.members.supabase import SupabaseSource
from mynatca_intercom.settings import MemberSettings, MySQLSettings, SupabaseSettings, load
from mynatca_sandbox.server import Sandbox
from support.mariadb import MariaDB
from support.worlds import member_row, world_of

NUMBERS = ("7", "70", "A", "a", "ä", "%", "_", "*", "7abc", "'", '"', "\\", "(,)", "😀")
ADDRESSES = (
    "a_b@x.example",
    "aab@x.example",
    "a%b@x.example",
    "a*b@x.example",
    "a|b@x.example",
    "a\\b@x.example",
    'a"(b,c)@x.example',
    "o'b@x.example",
    "é@x.example",
    "😀@x.example",
)
SPACES = ("", " ", "\t", "\u2003", "\n")

typed = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
spelt = st.tuples(st.sampled_from(SPACES), st.sampled_from(ADDRESSES), st.sampled_from(SPACES)).map("".join)
spellings = spelt | spelt.map(str.upper)
rows = st.dictionaries(
    st.sampled_from(NUMBERS),
    st.fixed_dictionaries(
        {
            "firstname": typed,
            "lastname": typed,
            "email": st.none() | spellings | typed,
            "phone": typed | st.sampled_from(("(202) 555-0143", "911")),
            "status": st.sampled_from(("Active", "Retired", "Resigned", "active", None)),
            "membertypeid": st.sampled_from((None, 2, 6, 99)),
        }
    ),
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(world_of([])) as sandbox:
        yield sandbox


def supabase_of(sandbox: Sandbox) -> SupabaseSource:
    environment = {"SUPABASE_URL": sandbox.url, "SUPABASE_KEY": "sandbox-key"}
    return SupabaseSource(load(SupabaseSettings, environment), load(MemberSettings, environment))


def mysql_of(server: MariaDB) -> MySQLSource:
    environment = server.environment(MYSQL_MEMBERS_TABLE="filled")
    return MySQLSource(load(MySQLSettings, environment), load(MemberSettings, environment))


def fill(server: MariaDB, filled: list[dict[str, Any]]) -> None:
    columns = ("membernumber", "firstname", "lastname", "email", "phone", "status", "membertypeid")
    with closing(server.connect(database="natca")) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM filled")
        values = [tuple(row[column] for column in columns) for row in filled]
        cursor.executemany(f"INSERT INTO filled ({', '.join(columns)}) VALUES (%s,%s,%s,%s,%s,%s,%s)", values)  # noqa: S608


def as_mysql_knows(member: Member) -> Member:
    """What is left of a member without the tables that only Supabase has."""
    known = ("Current Member", "Retired Member", None)
    return replace(
        member,
        member_type=member.member_type if member.member_type in known else UNKNOWN,
        region=UNKNOWN,
        facility=UNKNOWN,
        positions=UNKNOWN,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=rows, email=spellings, number=st.sampled_from(NUMBERS))
def test_both_sources_make_the_same_members_of_the_same_rows(
    mysql: MariaDB, sandbox: Sandbox, rows: dict[str, dict[str, Any]], email: str, number: str
) -> None:
    """In listings and look-ups; and a look-up finds what the listing has, no more and no less."""
    filled = [member_row(number, **row, first="", last="") | row for number, row in rows.items()]
    sandbox.reset(world_of(filled))
    fill(mysql, filled)
    with supabase_of(sandbox) as supabase, mysql_of(mysql) as legacy:
        everybody = supabase.all_members().members
        assert [member.number for member in everybody] == sorted(rows)
        assert legacy.all_members().members == tuple(map(as_mysql_knows, everybody))
        assert legacy.synced_members().members == tuple(map(as_mysql_knows, supabase.synced_members().members))
        with_email = tuple(member for member in everybody if member.email == email.strip().lower())
        assert supabase.members_with_email(email) == with_email
        assert legacy.members_with_email(email) == tuple(map(as_mysql_knows, with_email))
        with_number = next((member for member in everybody if member.number == number), None)
        assert supabase.member_with_number(number) == with_number
        assert legacy.member_with_number(number) == (with_number and as_mysql_knows(with_number))


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (None, None),
        ("", ""),
        (" 1001 ", " 1001 "),
        (1001, "1001"),
        (2025550143.0, "2025550143"),
        (6.5, "6.5"),
        (float("inf"), "inf"),
        (b"Jos\xc3\xa9", "José"),
        (b"\xff", "\ufffd"),
    ],
)
def test_every_value_is_read_as_text(value: object, read: str | None) -> None:
    assert text(value) == read


@pytest.mark.parametrize(
    ("address", "pattern"),
    [
        ("ada@x.example", "%ada@x.example%"),
        ("a_b%@x.example", "%a|_b|%@x.example%"),
        ("a|b@x.example", "%a||b@x.example%"),
        ("a*b\u00e9😀@x.example", "%a_b__@x.example%"),
        ("a\\b@x.example", "%a\\b@x.example%"),
    ],
)
def test_wildcards_of_an_address_are_escaped(address: str, pattern: str) -> None:
    """With wildcards at work, an address of them alone would fetch half the members."""
    assert like_pattern(address, "|") == pattern

"""Members from Supabase: every row exactly once, few calls, and errors that name no person."""

import json
import threading
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mynatca_intercom.members.member import UNKNOWN, Member, MemberListing
from mynatca_intercom.members.source import SourceRefused, SourceUnavailable
from mynatca_intercom.members.supabase import SupabaseSource
from mynatca_intercom.settings import MemberSettings, SupabaseSettings, load
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import World
from support.canned import Answer, Request, Server, canned

Row = dict[str, Any]
CALLS = "GET /rest/v1/{table}"
REGIONS = [{"id": 1, "code": "GL", "name": "Great Lakes"}, {"id": 2, "code": " ", "name": "Nowhere"}]
FACILITIES = [{"id": 7, "code": "ZAU", "name": "Chicago", "region_id": 1, "status": "open"}]
TYPES = [{"id": 6, "type_name": "Regular"}, {"id": 8, "type_name": "Associate"}]


def row(number: str = "1001", **columns: Any) -> Row:
    """A row of `members`: a current member, who may be changed."""
    return {
        "membernumber": number,
        "firstname": "Ada",
        "lastname": "Byron",
        "email": f"m{number}@union.example",
        "phone": None,
        "status": "Active",
        "membertypeid": 6,
        "region_id": 1,
        "facility_id": 7,
        "updated_at": "2026-11-01T00:00:00+00:00",
        **columns,
    }


def world(*members: Row, positions: tuple[Row, ...] = ()) -> World:
    tables = {
        "members": list(members),
        "regions": REGIONS,
        "facilities": FACILITIES,
        "member_types": TYPES,
        "positions": list(positions),
    }
    return World(now=1_790_000_000, tables=tables)


def position(id_: int, number: str, title: str | None, end: str | None = None) -> Row:
    return {"id": id_, "membernumber": number, "positiontype": title, "facility_id": 7, "end_date": end}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(world()) as sandbox:
        yield sandbox


def source_of(url: str, **variables: str) -> SupabaseSource:
    environment = {"SUPABASE_URL": url, "SUPABASE_KEY": "sandbox-key", **variables}
    return SupabaseSource(load(SupabaseSettings, environment), load(MemberSettings, environment))


def read(url: str, **variables: str) -> MemberListing:
    with source_of(url, **variables) as source:
        return source.synced_members()


def member_of(sandbox: Sandbox, *positions: Row, **columns: Any) -> Member:
    """What becomes of one row."""
    sandbox.reset(world(row(**columns), positions=positions))
    [member] = read(sandbox.url).members
    return member


@pytest.mark.parametrize(("count", "pages"), [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (2500, 3)])
def test_every_row_is_read_exactly_once_in_as_few_calls_as_can_be(sandbox: Sandbox, count: int, pages: int) -> None:
    """One call for each page and each small table, none per member."""
    numbers = [str(number) for number in range(count)]
    sandbox.reset(world(*map(row, reversed(numbers))))
    listing = read(sandbox.url)
    assert [member.number for member in listing.members] == sorted(numbers)
    assert (listing.counted, listing.complete) == (count, True)
    assert sandbox.calls.by_route == {CALLS: pages + 4}


def test_large_reference_tables_are_read_whole_too(sandbox: Sandbox) -> None:
    positions = [position(id_, str(1000 + id_ % 3), f"Title {id_}") for id_ in range(2001)]
    sandbox.reset(world(*map(row, ("1000", "1001", "1002")), positions=tuple(positions)))
    assert read(sandbox.url).left_out["positions_cut"] == 3
    assert sandbox.calls.by_route == {CALLS: 1 + 3 + 3}


def test_active_and_retired_members_with_an_email_are_synced(sandbox: Sandbox) -> None:
    sandbox.reset(
        world(
            row("1", status="Active"),
            row("2", status="Retired"),
            row("3", status="Resigned"),
            row("4", status="active"),
            row("5", status=None),
            row("6", email=None),
        )
    )
    assert [member.number for member in read(sandbox.url).members] == ["1", "2"]


def test_all_rows_are_members_whatever_their_status(sandbox: Sandbox) -> None:
    sandbox.reset(world(row("3", status="Resigned"), row("1", email=None), row("2", status=None, email="")))
    with source_of(sandbox.url) as source:
        listing = source.all_members()
    assert [member.number for member in listing.members] == ["1", "2", "3"]
    assert (listing.source, listing.counted, listing.complete, listing.from_fallback) == ("supabase", 3, True, False)
    assert {reason: count for reason, count in listing.left_out.items() if count} == {"email_unusable": 1}


def test_a_look_up_reads_one_member_with_what_it_refers_to(sandbox: Sandbox) -> None:
    """Of members and positions only what belongs to it: one call for each and for each small table."""
    held = (position(1, "500", "Treasurer"), position(2, "501", "President"), position(3, "500", "Old", "2020-01-01"))
    sandbox.reset(world(*(row(str(number)) for number in range(2000)), positions=held))
    with source_of(sandbox.url) as source:
        [member] = source.members_with_email("\tM500@union.EXAMPLE ")
        assert sandbox.calls.by_route == {CALLS: 5}
        assert source.member_with_number(" 500 ") == member
        assert sandbox.calls.by_route == {CALLS: 7}  # the small tables are remembered
    assert (member.number, member.region, member.facility, member.positions) == ("500", "GL", "ZAU", "Treasurer")


def test_a_facility_that_is_new_is_known_to_the_next_look_up(sandbox: Sandbox) -> None:
    sandbox.reset(world(row("1"), row("2", facility_id=77)))
    with source_of(sandbox.url) as source:
        assert source.member_with_number("1")
        sandbox.world.tables["facilities"] = [*FACILITIES, {**FACILITIES[0], "id": 77, "code": "NEW"}]
        member = source.member_with_number("2")
    assert member
    assert member.facility == "NEW"


def test_nobody_is_found_in_one_call_or_none(sandbox: Sandbox) -> None:
    sandbox.reset(world(row("1"), row("2", email=None)))
    with source_of(sandbox.url) as source:
        assert source.members_with_email("somebody@union.example") == ()
        assert source.member_with_number("3") is None
        assert sandbox.calls.by_route == {CALLS: 2}
        assert source.members_with_email("none") == source.members_with_email("") == ()
        assert source.member_with_number(" ") is source.member_with_number("1\x00") is None
        assert sandbox.calls.by_route == {CALLS: 2}


def test_everybody_with_an_address_is_found_and_nobody_else(sandbox: Sandbox) -> None:
    """Also former members, and whatever case and space the address has in the table."""
    sandbox.reset(
        world(
            row("2", email=" A_B@Union.Example", status="Resigned"),
            row("1", email="a_b@union.example"),
            row("3", email="axb@union.example"),
            row("4", email="aa_b@union.example"),
            row("5", email="a_b@union.example;c@union.example"),
        )
    )
    with source_of(sandbox.url) as source:
        assert [member.number for member in source.members_with_email("a_b@union.example")] == ["1", "2"]


def test_more_people_than_a_page_holds_may_have_one_address(sandbox: Sandbox) -> None:
    sandbox.reset(world(*(row(str(number), email="us@union.example") for number in range(1001))))
    with source_of(sandbox.url) as source:
        assert len(source.members_with_email("us@union.example")) == 1001


def test_a_row_becomes_a_member(sandbox: Sandbox) -> None:
    held = (position(1, "1001", "Treasurer"), position(2, "1001", "Secretary"), position(3, "1002", "President"))
    assert member_of(sandbox, *held, email=" Ada@Union.Example ", phone="(202) 555-0143") == Member(
        number="1001",
        name="Ada Byron",
        email="ada@union.example",
        phone="+12025550143",
        member_type="Current Member",
        region="GL",
        facility="ZAU",
        positions="Secretary, Treasurer",
    )


@pytest.mark.parametrize(
    ("status", "type_id", "expected"),
    [
        ("Active", 6, "Current Member"),
        ("Active", 8, "Associate"),
        ("Active", None, None),
        ("Active", 99, UNKNOWN),
        ("Retired", 6, "Retired Member"),
        ("Retired", 8, "Retired Member"),
        ("Retired", None, "Retired Member"),
    ],
)
def test_the_member_type_follows_from_status_and_type(
    sandbox: Sandbox, status: str, type_id: int | None, expected: object
) -> None:
    assert member_of(sandbox, status=status, membertypeid=type_id).member_type == expected


def test_the_names_of_types_and_the_country_are_settings(sandbox: Sandbox) -> None:
    sandbox.reset(world(row("1", membertypeid=8), row("2", status="Retired", phone="020 7946 0958")))
    variables = {
        "CURRENT_MEMBER_TYPE_ID": "8",
        "CURRENT_MEMBER_TYPE_NAME": "Current",
        "RETIRED_MEMBER_TYPE_NAME": "Retired",
        "PHONE_REGION": "GB",
    }
    one, two = read(sandbox.url, **variables).members
    assert (one.member_type, two.member_type, two.phone) == ("Current", "Retired", "+442079460958")


@pytest.mark.parametrize(
    ("columns", "places"),
    [
        ({}, ("GL", "ZAU")),
        ({"region_id": None, "facility_id": None}, (None, None)),
        ({"region_id": 2}, (None, "ZAU")),
        ({"region_id": 99, "facility_id": 99}, (UNKNOWN, UNKNOWN)),
        ({"status": "Retired"}, ("RNAV", "RNAV")),
        ({"status": "Retired", "region_id": None, "facility_id": 99}, ("RNAV", "RNAV")),
    ],
)
def test_places_are_codes_none_or_unknown(sandbox: Sandbox, columns: Row, places: tuple[object, object]) -> None:
    """What leads nowhere is not nothing: it must not clear what Intercom has."""
    member = member_of(sandbox, **columns)
    assert (member.region, member.facility) == places


def test_only_current_positions_count_each_once(sandbox: Sandbox) -> None:
    held = [position(1, "1001", "Treasurer"), position(2, "1001", " Treasurer "), position(3, "1001", None)]
    assert member_of(sandbox, *held, position(4, "1001", "President", "2020-01-01")).positions == "Treasurer"
    assert member_of(sandbox, position(4, "1001", "President", "2020-01-01")).positions is None


def test_what_cannot_be_used_is_left_out_and_counted(sandbox: Sandbox) -> None:
    long = [position(id_, "5", f"{id_} {'x' * 90}") for id_ in range(4)]
    sandbox.reset(
        world(
            row("1", email="none"),
            row("2", email="  "),
            row("3", phone="n/a"),
            row("4", firstname=None, lastname=" "),
            row("5", region_id=99, facility_id=99, membertypeid=99),
            row("6", phone="  "),
            positions=tuple(long),
        )
    )
    listing = read(sandbox.url)
    assert len(listing.members) == 6
    assert {reason: count for reason, count in listing.left_out.items() if count} == {
        "email_unusable": 2,
        "phone_unparsable": 1,
        "name_empty": 1,
        "region_unknown": 1,
        "facility_unknown": 1,
        "member_type_unknown": 1,
        "positions_cut": 1,
    }


texts = st.none() | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=texts, last=texts, email=texts, phone=texts, titles=st.lists(texts, max_size=3))
def test_whatever_people_typed_never_stops_a_run(
    sandbox: Sandbox,
    first: str | None,
    last: str | None,
    email: str | None,
    phone: str | None,
    titles: list[str | None],
) -> None:
    held = [position(id_, "1001", title) for id_, title in enumerate(titles)]
    sandbox.reset(world(row(firstname=first, lastname=last, email=email, phone=phone), positions=tuple(held)))
    listing = read(sandbox.url)
    assert len(listing.members) == listing.counted == (email is not None)


@pytest.mark.parametrize("key", ["wrong-key", "sb_secret_..."])
def test_a_refused_key_is_told_from_a_failing_source(sandbox: Sandbox, key: str) -> None:
    """Supabase's gateway says so without a code."""
    sandbox.reset(world(row()))
    with pytest.raises(SourceRefused, match="SUPABASE_KEY") as caught:
        read(sandbox.url, SUPABASE_KEY=key)
    assert key not in str(caught.value)


def test_a_new_key_is_accepted_once_supabase_knows_it(sandbox: Sandbox) -> None:
    sandbox.reset(world(row()), Options(supabase_key="other"))
    assert len(read(sandbox.url, SUPABASE_KEY="other").members) == 1
    sandbox.options = Options()


def test_an_unknown_schema_is_an_error(sandbox: Sandbox) -> None:
    sandbox.reset(world(row()))
    assert len(read(sandbox.url, SUPABASE_SCHEMA="dev").members) == 1
    with pytest.raises(SourceUnavailable, match="PGRST106"):
        read(sandbox.url, SUPABASE_SCHEMA="elsewhere")


def rows(rows: list[Any], counted: int) -> Answer:
    return Answer(200, json.dumps(rows).encode(), {"Content-Range": f"0-{len(rows)}/{counted}"})


def calls_on(server: Server, table: str) -> int:
    return sum(f"/{table}?" in request.path for request in server.requests)


def test_numbers_are_read_as_text() -> None:
    def numeric(request: Request) -> Answer:
        if "membernumber=eq.abc" in request.path:
            return Answer(400, b'{"code":"22P02","message":"invalid input syntax for type bigint"}', {})
        if "/members?" in request.path:
            return rows([row("") | {"membernumber": 1001, "phone": 2025550143.0, "email": "Ada@Union.example"}], 1)
        if "/positions?" in request.path:
            return rows([{"id": 1, "membernumber": 1001, "positiontype": "Treasurer"}], 1)
        return rows([], 0)

    with canned(numeric) as server, source_of(server.url) as source:
        [member] = source.all_members().members
        assert (member.number, member.phone, member.positions) == ("1001", "+12025550143", "Treasurer")
        assert source.member_with_number("1001") == member
        assert source.members_with_email("ada@union.example") == (member,)
        assert source.member_with_number("abc") is None


def test_rows_without_a_number_are_left_out_and_counted() -> None:
    given = [row("1"), row("") | {"membernumber": None}, row(" ")]
    with canned(lambda request: rows(given, 3) if "/members?" in request.path else rows([], 0)) as server:
        listing = read(server.url)
    assert [member.number for member in listing.members] == ["1"]
    assert (listing.counted, listing.complete, listing.left_out["number_empty"]) == (1, True, 2)


def test_the_schema_is_sent_with_every_call() -> None:
    with canned(lambda _request: rows([], 0)) as server:
        read(server.url, SUPABASE_SCHEMA="dev")
    assert [request.headers["Accept-Profile"] for request in server.requests] == ["dev"] * 5


def test_missing_members_are_read_for_a_second_time_and_then_told() -> None:
    def three_of_five(request: Request) -> Answer:
        if "/members?" not in request.path:
            return rows([], 0)
        return rows([], 2) if "membernumber=gt." in request.path else rows([row("1"), row("2"), row("3")], 5)

    with canned(three_of_five) as server:
        listing = read(server.url)
    assert (len(listing.members), listing.counted, listing.complete) == (3, 5, False)
    assert calls_on(server, "members") == 2 * 2


def test_members_that_are_there_the_second_time_are_no_matter() -> None:
    def at_first_one_of_two(request: Request) -> Answer:
        if "/members?" not in request.path:
            return rows([], 0)
        if calls_on(server, "members") <= 2:
            return rows([], 1) if "membernumber=gt." in request.path else rows([row("1")], 2)
        return rows([row("1"), row("2")], 2)

    with canned(at_first_one_of_two) as server:
        listing = read(server.url)
    assert (len(listing.members), listing.complete) == (2, True)


def test_missing_rows_of_a_small_table_are_an_error_after_one_repetition() -> None:
    """Half the positions would look like positions that have ended."""
    with canned(lambda request: rows([], 3 if "/regions?" in request.path else 0)) as server:
        with pytest.raises(SourceUnavailable, match="0 of 3 rows of regions"):
            read(server.url)
        assert calls_on(server, "regions") == 2


SECRET = b"ada@union.example"
NONSENSE = {
    "500": Answer(500, b'{"code":"XX000","message":"row ada@union.example"}', {}),
    "500 as HTML": Answer(500, b"<html>ada@union.example</html>", {}),
    "an error whose code is no code": Answer(400, b'{"code":"ada@union.example"}', {}),
    "an error without a code": Answer(429, b'{"message":"ada@union.example"}', {}),
    "a redirection": Answer(302, b"", {"Location": "/ada@union.example"}),
    "no JSON": Answer(200, SECRET, {"Content-Range": "0-0/1"}),
    "half a JSON": Answer(200, b'[{"id":1,"code":"ada@union.example"', {"Content-Range": "0-0/1"}),
    "nothing": Answer(200, b"", {"Content-Range": "0-0/1"}),
    "null": Answer(200, b"null", {"Content-Range": "0-0/1"}),
    "an object": Answer(200, b'{"id":1,"code":"ada@union.example"}', {"Content-Range": "0-0/1"}),
    "texts": Answer(200, b'["ada@union.example"]', {"Content-Range": "0-0/1"}),
    "rows without columns": Answer(200, b'[{"email":"ada@union.example"}]', {"Content-Range": "0-0/1"}),
    "rows of rows": Answer(200, b'[{"id":1,"code":["ada@union.example"]}]', {"Content-Range": "0-0/1"}),
    "no count": Answer(200, b'[{"id":1,"code":"GL"}]', {}),
    "an unknown count": Answer(200, b'[{"id":1,"code":"GL"}]', {"Content-Range": "0-0/*"}),
    "a count that is none": Answer(200, b"[]", {"Content-Range": "0-0/ada@union.example"}),
    "no bytes that could be text": Answer(200, b'["\xff\xfe"]', {"Content-Range": "0-0/1"}),
    "a broken encoding": Answer(200, SECRET, {"Content-Range": "0-0/1", "Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_an_unavailable_source_and_is_not_quoted(name: str) -> None:
    with canned(lambda _request: NONSENSE[name]) as server, pytest.raises(SourceUnavailable) as caught:
        read(server.url)
    assert str(caught.value).startswith("Supabase ")
    assert "ada@" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_in_a_look_up_is_an_unavailable_source_too(name: str) -> None:
    email = SECRET.decode()
    with canned(lambda _request: NONSENSE[name]) as server, source_of(server.url) as source:
        for look_up in (source.members_with_email, source.member_with_number):
            with pytest.raises(SourceUnavailable) as caught:
                look_up(email)
            assert "ada@" not in "".join(traceback.format_exception(caught.value))


def test_a_refused_key_is_told_from_nobody_found(sandbox: Sandbox) -> None:
    sandbox.reset(world(row("1")))
    with source_of(sandbox.url, SUPABASE_KEY="wrong") as source, pytest.raises(SourceRefused):
        source.member_with_number("1")


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [b'{"message":"ada@union.example"}', b"<html>ada@union.example</html>", b""])
def test_every_form_of_refusal_is_one(status: int, body: bytes) -> None:
    with canned(lambda _request: Answer(status, body)) as server, pytest.raises(SourceRefused) as caught:
        read(server.url)
    assert "ada" not in str(caught.value)


def test_a_silent_server_is_waited_for_only_so_long() -> None:
    answered = threading.Event()

    def late(_request: Request) -> Answer:
        answered.wait(5)
        return rows([], 0)

    with canned(late) as server:
        with pytest.raises(SourceUnavailable, match="ReadTimeout"):
            read(server.url, SUPABASE_TIMEOUT_SECONDS="0.1")
        answered.set()


def test_a_server_that_is_down_is_unavailable() -> None:
    """Takes some seconds, as Supabase's client tries again of its own accord."""
    with canned(lambda _request: rows([], 0)) as server:
        url = server.url
    with pytest.raises(SourceUnavailable, match="ConnectError"):
        read(url)

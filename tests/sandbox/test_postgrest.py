"""The Supabase emulator at its boundary: by plain HTTP for PostgREST's rules, by the official client for its use.

Expected statuses, codes and headers are those of PostgREST 13 and of Supabase's gateway.
"""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from postgrest import APIError, CountMethod
from supabase import Client, create_client
from supabase.client import ClientOptions

from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import World

KEYS = {"apikey": "sandbox-key", "Authorization": "Bearer sandbox-key"}
Official = Callable[..., Client]
ONE_OBJECT = {"Accept": "application/vnd.pgrst.object+json"}
EXACT = {"Prefer": "count=exact"}


def member(number: str, **columns: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = dict.fromkeys(("firstname", "lastname", "email", "phone", "region_id", "facility_id"))
    moment = {"updated_at": "2026-01-02T03:04:05+00:00"}
    return {"membernumber": number} | defaults | {"status": "Active", "membertypeid": 6} | moment | columns


TABLES: dict[str, list[dict[str, Any]]] = {
    "members": [
        member("1", firstname="Ann", email="ann@example.com", region_id=1, facility_id=10),
        member("10", firstname="Bo", email="", status="Retired", region_id=1, facility_id=11),
        member("2", firstname="Cy", email=None, status="Retired", membertypeid=7, region_id=2),
        member("03", firstname="Łu, (x)", email="lu%o@example.com", status="Inactive", facility_id=99),
        member(
            "20", firstname=None, email="Bob_B@Example.com", membertypeid=None, updated_at="2026-05-01T00:00:00+00:00"
        ),
    ],
    "regions": [{"id": 1, "code": "GL", "name": "Great Lakes"}, {"id": 2, "code": "SO", "name": "Southern"}],
    "facilities": [
        {"id": 10, "code": "ZAU", "name": "Chicago Center", "region_id": 1, "status": "Active"},
        {"id": 11, "code": "ORD", "name": "O'Hare Tower", "region_id": 1, "status": "Active"},
    ],
    "positions": [
        {"id": 1, "membernumber": "1", "positiontype": "B", "facility_id": 10, "start_date": None, "end_date": None},
        {"id": 2, "membernumber": "1", "positiontype": "A", "facility_id": 10, "start_date": None, "end_date": None},
        {
            "id": 3,
            "membernumber": "10",
            "positiontype": "C",
            "facility_id": None,
            "start_date": None,
            "end_date": "2020-01-01",
        },
    ],
    "member_types": [{"id": 6, "type_name": "Active Member"}, {"id": 7, "type_name": "Retired Member"}],
}


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(World(now=0, tables=TABLES)) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def rest(server: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{server.url}/rest/v1", headers=KEYS, timeout=10) as client:
        yield client


@pytest.fixture(scope="module")
def crowd() -> Iterator[Sandbox]:
    """Serve 2,500 eligible members, more than two answers hold."""
    with Sandbox(generate(WorldOptions(members=2500, contacts="none"))) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def many(crowd: Sandbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"{crowd.url}/rest/v1", headers=KEYS, timeout=10) as client:
        yield client


@pytest.fixture
def official_client() -> Iterator[Official]:
    """Make official clients, whose connections the test's end closes."""
    with httpx.Client(timeout=10) as http:

        def client(sandbox: Sandbox, key: str = "sandbox-key", schema: str = "public") -> Client:
            return create_client(sandbox.url, key, ClientOptions(schema=schema, httpx_client=http))

        yield client


def numbers(rest: httpx.Client, query: str) -> list[str]:
    """Return the member numbers that the query finds, in the order of their text."""
    answer = rest.get(f"/members?select=membernumber&{query}")
    assert answer.status_code == 200, answer.text
    return sorted(row["membernumber"] for row in answer.json())


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


class TestFilters:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("membernumber=eq.1", ["1"]),
            ("membernumber=neq.1", ["03", "10", "2", "20"]),
            ("membernumber=gt.10", ["2", "20"]),
            ("membernumber=gte.10", ["10", "2", "20"]),
            ("membernumber=lt.10", ["03", "1"]),
            ("membernumber=lte.10", ["03", "1", "10"]),
            ("membertypeid=eq.6", ["03", "1", "10"]),
            ("membertypeid=gt.6", ["2"]),
            ("membertypeid=neq.6", ["2"]),
            ("status=in.(Active,Retired)", ["1", "10", "2", "20"]),
            ("membertypeid=in.(6,7)", ["03", "1", "10", "2"]),
            ("status=in.()", []),
            ('firstname=in.("Łu, (x)",Ann)', ["03", "1"]),
            ("email=is.null", ["2"]),
            ("email=is.not_null", ["03", "1", "10", "20"]),
            ("email=not.is.null", ["03", "1", "10", "20"]),
            ("email=eq.", ["10"]),
            ("email=like.*@example.com", ["03", "1"]),
            ("email=ilike.%25@EXAMPLE.com", ["03", "1", "20"]),
            ("email=like.lu\\%25o*", ["03"]),
            ("email=like.Bob_B@*", ["20"]),
            ("email=like.lu\\*o%25", ["03"]),
            ("email=not.like.*@*", ["10"]),
            ("membernumber=gt.1&membernumber=lt.20", ["10", "2"]),
            ("or=(membernumber.eq.1,membernumber.eq.2)", ["1", "2"]),
            ('or=(firstname.eq."Łu, (x)",and(status.eq.Retired,email.not.is.null))', ["03", "10"]),
            ("and=(status.eq.Retired,membertypeid.in.(7,8))", ["2"]),
            ("not.or=(status.eq.Active,email.is.null)", ["03", "10"]),
            ("and=(not.or(status.eq.Active,status.eq.Retired),membernumber.gt.0)", ["03"]),
            ("updated_at=gt.2026-02-01T00:00:00Z", ["20"]),
            ("updated_at=eq.2026-05-01T02:00:00%2B02:00", ["20"]),
            ("updated_at=lt.2026-02-01", ["03", "1", "10", "2"]),
        ],
    )
    def test_rows_for_which_the_filter_is_true(self, rest: httpx.Client, query: str, found: list[str]) -> None:
        assert numbers(rest, query) == found

    def test_neither_a_filter_nor_its_negation_finds_null(self, rest: httpx.Client) -> None:
        assert numbers(rest, "membertypeid=not.eq.6") == ["2"]
        assert numbers(rest, "not.and=(membertypeid.eq.6,membernumber.neq.0)") == ["2"]
        assert numbers(rest, "or=(membertypeid.eq.6,membertypeid.neq.6)") == ["03", "1", "10", "2"]

    @pytest.mark.parametrize(
        ("query", "status", "code"),
        [
            ("membernumber=1", 400, "PGRST100"),
            ("membernumber=is_null.1", 400, "PGRST100"),
            ("email=is.nothing", 400, "PGRST100"),
            ("status=in.Active", 400, "PGRST100"),
            ("or=(membernumber.eq.1", 400, "PGRST100"),
            ("or=(membernumber)", 400, "PGRST100"),
            ("select=a(b", 400, "PGRST100"),
            ("order=membernumber.up", 400, "PGRST100"),
            ("nothing=eq.1", 400, "42703"),
            ("select=nothing", 400, "42703"),
            ("order=nothing", 400, "42703"),
            ("or=(nothing.eq.1)", 400, "42703"),
            ("membertypeid=eq.six", 400, "22P02"),
            ("updated_at=gt.yesterday", 400, "22007"),
            ("email=is.true", 400, "42804"),
            ("membertypeid=like.6*", 404, "42883"),
            ("positions.end_date=is.null", 400, "PGRST108"),
            ("select=positions!nothing(id)", 400, "PGRST200"),
            ("select=planets(*)", 400, "PGRST200"),
            ("limit=-1", 416, "PGRST103"),
        ],
    )
    def test_queries_that_postgrest_refuses(self, rest: httpx.Client, query: str, status: int, code: str) -> None:
        answer = rest.get(f"/members?{query}")

        assert refusal(answer) == (status, code)
        assert answer.json().keys() == {"code", "details", "hint", "message"}

    def test_an_unknown_table_is_404_with_a_hint(self, rest: httpx.Client) -> None:
        answer = rest.get("/member")

        assert refusal(answer) == (404, "PGRST205")
        assert answer.json()["message"] == "Could not find the table 'public.member' in the schema cache"
        assert answer.json()["hint"] == "Perhaps you meant the table 'public.members'"


class TestSelect:
    def test_all_columns_by_default(self, rest: httpx.Client) -> None:
        (row,) = rest.get("/members?membernumber=eq.1").json()

        assert row == TABLES["members"][0]

    def test_columns_in_the_order_asked_for_under_their_labels(self, rest: httpx.Client) -> None:
        (row,) = rest.get("/members?select=mail:email,membernumber&membernumber=eq.1").json()

        assert list(row.items()) == [("mail", "ann@example.com"), ("membernumber", "1")]

    def test_a_row_referred_to_is_an_object_or_null(self, rest: httpx.Client) -> None:
        query = "select=membernumber,regions(code),facility:facilities(code,regions(code))&order=membernumber"
        rows = {row.pop("membernumber"): row for row in rest.get(f"/members?{query}").json()}

        assert rows["1"] == {"regions": {"code": "GL"}, "facility": {"code": "ZAU", "regions": {"code": "GL"}}}
        assert rows["2"] == {"regions": {"code": "SO"}, "facility": None}
        assert rows["03"] == {"regions": None, "facility": None}

    def test_rows_that_refer_here_are_an_array_with_filters_and_order_of_its_own(self, rest: httpx.Client) -> None:
        query = "select=membernumber,positions(positiontype)&positions.end_date=is.null&positions.order=positiontype"
        rows = {row["membernumber"]: row["positions"] for row in rest.get(f"/members?{query}").json()}

        assert rows["1"] == [{"positiontype": "A"}, {"positiontype": "B"}]
        assert rows["10"] == rows["2"] == []

    def test_an_inner_join_drops_rows_without_a_match_and_they_do_not_count(self, rest: httpx.Client) -> None:
        query = "select=membernumber,facilities!inner(code)&facilities.code=eq.ZAU"
        answer = rest.get(f"/members?{query}", headers=EXACT)

        assert [row["membernumber"] for row in answer.json()] == ["1"]
        assert answer.headers["content-range"] == "0-0/1"

    def test_a_relationship_can_be_named(self, rest: httpx.Client) -> None:
        by_constraint = rest.get("/members?select=r:regions!members_region_id_fkey(code)&membernumber=eq.1").json()

        assert by_constraint == [{"r": {"code": "GL"}}]


class TestOrder:
    @pytest.mark.parametrize(
        ("order", "found"),
        [
            ("membernumber", ["03", "1", "10", "2", "20"]),
            ("membernumber.desc", ["20", "2", "10", "1", "03"]),
            ("membertypeid.desc,membernumber", ["20", "2", "03", "1", "10"]),
            ("membertypeid.desc.nullslast,membernumber.desc", ["2", "10", "1", "03", "20"]),
            ("membertypeid,membernumber", ["03", "1", "10", "2", "20"]),
            ("membertypeid.nullsfirst,membernumber", ["20", "03", "1", "10", "2"]),
        ],
    )
    def test_rows_come_in_the_order_asked_for(self, rest: httpx.Client, order: str, found: list[str]) -> None:
        rows = rest.get(f"/members?select=membernumber&order={order}").json()

        assert [row["membernumber"] for row in rows] == found

    def test_text_sorts_by_code_point(self, rest: httpx.Client) -> None:
        rows = rest.get("/members?select=firstname&order=firstname&firstname=not.is.null").json()

        assert [row["firstname"] for row in rows] == ["Ann", "Bo", "Cy", "Łu, (x)"]

    def test_without_an_order_there_is_none(self, many: httpx.Client) -> None:
        one, other = (many.get("/members?select=membernumber&limit=20").json() for _ in range(2))

        assert one != other


class TestPages:
    def test_an_answer_has_at_most_a_thousand_rows_whatever_is_asked_for(self, many: httpx.Client) -> None:
        for query, headers in (("", {}), ("limit=5000", {}), ("", {"Range-Unit": "items", "Range": "0-4999"})):
            answer = many.get(f"/members?{query}", headers=headers)
            assert (answer.status_code, len(answer.json())) == (200, 1000)
            assert answer.headers["content-range"] == "0-999/*"

    @pytest.mark.parametrize(
        ("query", "headers", "status", "content_range"),
        [
            ("", {}, 200, "0-4/*"),
            ("", EXACT, 200, "0-4/5"),
            ("limit=2", EXACT, 206, "0-1/5"),
            ("limit=2&offset=4", EXACT, 206, "4-4/5"),
            ("offset=5", EXACT, 206, "*/5"),
            ("offset=6", {}, 200, "*/*"),
            ("limit=0", EXACT, 206, "*/5"),
            ("membernumber=eq.0", EXACT, 200, "*/0"),
            ("", EXACT | {"Range": "1-2"}, 206, "1-2/5"),
            ("", EXACT | {"Range": "3-"}, 206, "3-4/5"),
            ("limit=2&offset=2", EXACT | {"Range": "3-9"}, 206, "3-3/5"),
            ("limit=many", EXACT, 200, "0-4/5"),
        ],
    )
    def test_status_and_content_range_tell_the_part(
        self, rest: httpx.Client, query: str, headers: dict[str, str], status: int, content_range: str
    ) -> None:
        answer = rest.get(f"/members?{query}", headers=headers)

        assert (answer.status_code, answer.headers["content-range"]) == (status, content_range)

    def test_an_offset_beyond_the_count_is_416(self, rest: httpx.Client) -> None:
        answer = rest.get("/members?offset=6", headers=EXACT)

        assert refusal(answer) == (416, "PGRST103")
        assert answer.json()["details"] == "An offset of 6 was requested, but there are only 5 rows."

    def test_a_range_backwards_is_416(self, rest: httpx.Client) -> None:
        assert refusal(rest.get("/members", headers={"Range": "5-2"})) == (416, "PGRST103")

    def test_only_an_exact_count_is_exact(self, many: httpx.Client) -> None:
        counts = {}
        for kind in ("exact", "planned", "estimated"):
            answer = many.get("/members?limit=1", headers={"Prefer": f"count={kind}"})
            counts[kind] = int(answer.headers["content-range"].partition("/")[2])
            assert answer.headers["preference-applied"] == f"count={kind}"

        assert counts["exact"] == 2725
        assert counts["planned"] == counts["estimated"] != 2725

    def test_head_answers_the_same_without_rows(self, rest: httpx.Client) -> None:
        answer = rest.head("/members?limit=2", headers=EXACT)

        assert (answer.status_code, answer.content) == (206, b"")
        assert answer.headers["content-range"] == "0-1/5"
        assert rest.get("/members?membernumber=eq.1").status_code == 200

    def test_one_object_is_given_for_exactly_one_row(self, rest: httpx.Client) -> None:
        one = rest.get("/members?select=membernumber&membernumber=eq.1", headers=ONE_OBJECT)
        none = rest.get("/members?membernumber=eq.0", headers=ONE_OBJECT)
        several = rest.get("/members", headers=ONE_OBJECT)

        assert one.json() == {"membernumber": "1"}
        assert one.headers["content-type"].startswith("application/vnd.pgrst.object+json")
        assert refusal(none) == refusal(several) == (406, "PGRST116")
        assert several.json()["details"] == "The result contains 5 rows"

    def test_keyset_pages_hold_each_row_once(self, many: httpx.Client, crowd: Sandbox) -> None:
        rows, sizes = _keyset(many)
        expected = sorted(
            row["membernumber"]
            for row in crowd.world.tables["members"]
            if row["status"] in {"Active", "Retired"} and row["email"] is not None
        )

        assert rows == expected
        assert sizes == [1000, 1000, len(expected) - 2000, 0]

    def test_offset_pages_without_an_order_lose_rows(self, many: httpx.Client) -> None:
        pages = [many.get(f"/members?select=membernumber&offset={offset}").json() for offset in (0, 1000, 2000)]
        found = [row["membernumber"] for page in pages for row in page]

        assert len(found) == 2725
        assert len(set(found)) < 2725


def _keyset(rest: httpx.Client) -> tuple[list[str], list[int]]:
    rows: list[str] = []
    sizes: list[int] = []
    while not sizes or sizes[-1]:
        last = rows[-1] if rows else ""
        query = f"membernumber=gt.{last}&status=in.(Active,Retired)&email=not.is.null&order=membernumber&limit=1000"
        page = rest.get(f"/members?{query}").json()
        rows += [row["membernumber"] for row in page]
        sizes.append(len(page))
    return rows, sizes


class TestAccess:
    @pytest.mark.parametrize(
        ("headers", "body"),
        [
            (
                {},
                {
                    "message": "No API key found in request",
                    "hint": "No `apikey` request header or url param was found.",
                },
            ),
            (
                KEYS | {"apikey": "wrong"},
                {
                    "message": "Invalid API key",
                    "hint": "Double check your Supabase `anon` or `service_role` API key.",
                },
            ),
        ],
    )
    def test_the_gateway_refuses_a_missing_or_wrong_key(
        self, server: Sandbox, headers: dict[str, str], body: dict[str, str]
    ) -> None:
        answer = httpx.get(f"{server.url}/rest/v1/members", headers=headers)

        assert (answer.status_code, answer.json()) == (401, body)

    @pytest.mark.parametrize(("authorization", "code"), [({}, "42501"), ({"Authorization": "Bearer x"}, "PGRST301")])
    def test_postgrest_wants_the_key_as_bearer_token(
        self, server: Sandbox, authorization: dict[str, str], code: str
    ) -> None:
        headers = {"apikey": "sandbox-key"} | authorization

        assert refusal(httpx.get(f"{server.url}/rest/v1/members", headers=headers)) == (401, code)

    @pytest.mark.parametrize("schema", ["public", "dev"])
    def test_both_schemas_show_the_tables(self, rest: httpx.Client, schema: str) -> None:
        answer = rest.get("/members", headers={"Accept-Profile": schema})

        assert len(answer.json()) == 5
        assert answer.headers["content-profile"] == schema

    def test_no_other_schema_is_exposed(self, rest: httpx.Client) -> None:
        answer = rest.get("/members", headers={"Accept-Profile": "auth"})

        assert refusal(answer) == (406, "PGRST106")
        assert answer.json()["hint"] == "Only the following schemas are exposed: public, dev"

    @pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
    def test_nothing_can_be_written(self, rest: httpx.Client, method: str) -> None:
        assert refusal(rest.request(method, "/members?membernumber=eq.1")) == (405, "PGRST117")


class TestOfficialClient:
    """`supabase` (Python) against the sandbox; a key of the new kind, which is no JWT, is fine with it."""

    def test_reads_all_pages_by_key(self, official_client: Official, crowd: Sandbox) -> None:
        client, found, last = official_client(crowd), [], ""
        while True:
            query = client.table("members").select("membernumber, regions(code)").in_("status", ["Active", "Retired"])
            page: Any = query.not_.is_("email", "null").gt("membernumber", last).order("membernumber").execute().data
            if not page:
                break
            found += [row["membernumber"] for row in page]
            last = found[-1]

        assert len(found) == len(set(found)) > 2500
        assert found == sorted(found)

    def test_counts_and_ranges(self, official_client: Official, crowd: Sandbox) -> None:
        query = official_client(crowd).table("members").select("*", count=CountMethod.exact)
        answer = query.order("membernumber").range(2000, 2009).execute()

        assert (len(answer.data), answer.count) == (10, 2725)

    def test_counts_without_rows(self, official_client: Official, crowd: Sandbox) -> None:
        query = official_client(crowd).table("members").select("*", count=CountMethod.exact, head=True)

        assert query.eq("status", "Retired").execute().count == 750

    def test_single_rows(self, official_client: Official, server: Sandbox) -> None:
        members = official_client(server, schema="dev").table("members")

        one: Any = members.select("membernumber").eq("membernumber", "1").single().execute().data
        none = members.select("membernumber").eq("membernumber", "0").maybe_single().execute()

        assert one == {"membernumber": "1"}
        assert none is None

    def test_alternatives_and_patterns(self, official_client: Official, server: Sandbox) -> None:
        query = official_client(server).table("members").select("membernumber")
        rows: Any = (
            query.or_("email.ilike.*@example.com,membertypeid.eq.7").order("membernumber", desc=True).execute().data
        )

        assert [row["membernumber"] for row in rows] == ["20", "2", "1", "03"]

    @pytest.mark.parametrize(
        ("schema", "table", "code"),
        [
            ("public", "planets", "PGRST205"),
            ("auth", "members", "PGRST106"),
        ],
    )
    def test_refusals_arrive_as_its_errors(
        self, official_client: Official, server: Sandbox, schema: str, table: str, code: str
    ) -> None:
        with pytest.raises(APIError) as caught:
            official_client(server, schema=schema).table(table).select("*").execute()

        assert caught.value.code == code

    def test_a_wrong_key_arrives_without_a_code(self, official_client: Official, server: Sandbox) -> None:
        """The gateway's body has none, and so the client's error says it in words only."""
        with pytest.raises(APIError) as caught:
            official_client(server, key="wrong").table("members").select("*").execute()

        assert (caught.value.code, caught.value.message) == (None, "Invalid API key")


def test_twenty_thousand_members_are_read_in_22_pages() -> None:
    world = generate(WorldOptions(contacts="none"))
    with Sandbox(world) as sandbox, httpx.Client(base_url=f"{sandbox.url}/rest/v1", headers=KEYS) as client:
        rows, sizes = _keyset(client)

    assert len(rows) > 20_000
    assert len(sizes) == 22

"""Searching contacts: operators by type, whole days, limits, sorting, and an index that is behind."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact

Refusal = Callable[[httpx.Response], tuple[int, str, str]]
Add = Callable[..., Contact]

MIDNIGHT = 1_699_938_000  # 2023-11-14 00:00 in New York, 05:00 UTC
DAY = 86_400


def search(api: httpx.Client, query: object, **more: Any) -> httpx.Response:
    version = more.pop("version", "2.16")
    return api.post("/contacts/search", json={"query": query, **more}, headers={"Intercom-Version": version})


def found(api: httpx.Client, field: str, operator: str, value: object) -> set[str]:
    response = search(api, {"field": field, "operator": operator, "value": value})
    assert response.status_code == 200, response.text
    return {contact["id"] for contact in response.json()["data"]}


@pytest.fixture
def three(add_contact: Add) -> None:
    add_contact(
        "a1",
        email="ann@union.example",
        external_id="10",
        name="Ann",
        tag_ids=["1", "2"],
        custom_attributes={"visits": 3, "vip": True, "region": "GL", "joined": MIDNIGHT},
        created_at=MIDNIGHT,
    )
    add_contact(
        "a2",
        role="lead",
        email="bob@other.example",
        name="Bob",
        tag_ids=["2"],
        custom_attributes={"visits": 5, "vip": False},
        created_at=MIDNIGHT + DAY - 1,
    )
    add_contact("a3", phone="+12025550101", created_at=MIDNIGHT + DAY)


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("field", "operator", "value", "expected"),
    [
        ("email", "=", "ANN@union.example", {"a1"}),
        ("email", "!=", "ann@union.example", {"a2", "a3"}),
        ("email", "=", None, {"a3"}),
        ("email", "!=", None, {"a1", "a2"}),
        ("email", "~", "union", {"a1"}),
        ("email", "!~", "union", {"a2", "a3"}),
        ("email", "^", "bob@", {"a2"}),
        ("email", "$", ".example", {"a1", "a2"}),
        ("email_domain", "=", "other.example", {"a2"}),
        ("id", "IN", ["a1", "a3"], {"a1", "a3"}),
        ("id", "NIN", ["a1", "a3"], {"a2"}),
        ("role", "=", "lead", {"a2"}),
        ("external_id", "=", "10", {"a1"}),
        ("phone", "=", "+12025550101", {"a3"}),
        ("tag_id", "=", "2", {"a1", "a2"}),
        ("tag_id", "!=", "1", {"a2", "a3"}),
        ("browser", "=", "Chrome", set()),
        ("unsubscribed_from_emails", "=", False, {"a1", "a2", "a3"}),
        ("custom_attributes.visits", ">", 3, {"a2"}),
        ("custom_attributes.visits", ">=", 3, {"a1", "a2"}),
        ("custom_attributes.visits", "<=", "3", {"a1"}),
        ("custom_attributes.vip", "=", True, {"a1"}),
        ("custom_attributes.region", "=", "GL", {"a1"}),
        ("custom_attributes.joined", "=", MIDNIGHT + 99, {"a1"}),
    ],
)
def test_operators(api: httpx.Client, field: str, operator: str, value: object, expected: set[str]) -> None:
    assert found(api, field, operator, value) == expected


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("operator", "moment", "expected"),
    [
        ("=", MIDNIGHT + 3600, {"a1", "a2"}),
        (">", MIDNIGHT + 3600, {"a3"}),
        (">", str(MIDNIGHT - 1), {"a1", "a2", "a3"}),
        ("<", MIDNIGHT + DAY - 1, set()),
        ("<", MIDNIGHT + DAY, {"a1", "a2"}),
    ],
)
def test_moments_are_compared_by_days_of_the_workspace(
    api: httpx.Client, operator: str, moment: object, expected: set[str]
) -> None:
    assert found(api, "created_at", operator, moment) == expected


@pytest.mark.parametrize(
    "query",
    [
        None,
        {},
        {"field": "email", "operator": "=="},
        {"field": "shoe_size", "operator": "=", "value": "9"},
        {"field": "custom_attributes.hobby", "operator": "=", "value": "x"},
        {"field": "created_at", "operator": ">=", "value": 1},
        {"field": "created_at", "operator": "!=", "value": 1},
        {"field": "created_at", "operator": ">", "value": "yesterday"},
        {"field": "tag_id", "operator": "IN", "value": ["1"]},
        {"field": "email", "operator": ">", "value": "a"},
        {"field": "email", "operator": "=", "value": 5},
        {"field": "id", "operator": "IN", "value": "a1"},
        {"operator": "AND", "value": []},
        {"operator": "XOR", "value": [{"field": "email", "operator": "=", "value": "a"}]},
        {"operator": "AND", "value": [{"field": "email", "operator": "=", "value": "a"}] * 16},
        {
            "operator": "AND",
            "value": [
                {
                    "operator": "OR",
                    "value": [{"operator": "AND", "value": [{"field": "email", "operator": "=", "value": "a"}]}],
                }
            ],
        },
    ],
)
def test_malformed_queries_are_400(api: httpx.Client, refusal: Refusal, query: object) -> None:
    assert refusal(search(api, query))[:2] == (400, "parameter_invalid")


def test_a_group_operator_on_a_field_is_500(api: httpx.Client) -> None:
    assert search(api, {"field": "email", "operator": "AND", "value": "a"}).status_code == 500


@pytest.mark.usefixtures("three")
def test_groups_combine(api: httpx.Client) -> None:
    has_tag_2 = {"field": "tag_id", "operator": "=", "value": "2"}
    is_lead = {"field": "role", "operator": "=", "value": "lead"}
    has_phone = {"field": "phone", "operator": "=", "value": "+12025550101"}
    both = {"operator": "AND", "value": [has_tag_2, is_lead]}
    either = search(api, {"operator": "OR", "value": [both, has_phone]}).json()
    assert {contact["id"] for contact in either["data"]} == {"a2", "a3"}


@pytest.mark.usefixtures("three")
def test_pages_and_sorting(api: httpx.Client) -> None:
    everyone = {"field": "id", "operator": "!=", "value": "x"}
    first = search(api, everyone, pagination={"per_page": 2}).json()
    assert [contact["id"] for contact in first["data"]] == ["a3", "a2"]
    assert (first["total_count"], first["pages"]["total_pages"]) == (3, 2)
    cursor = first["pages"]["next"]["starting_after"]
    rest = search(api, everyone, pagination={"per_page": 2, "starting_after": cursor}).json()
    assert [contact["id"] for contact in rest["data"]] == ["a1"]
    assert "next" not in rest["pages"]
    by_name = search(api, everyone, sort={"field": "name", "order": "ascending"}).json()
    assert [contact["id"] for contact in by_name["data"]] == ["a3", "a1", "a2"]


@pytest.mark.usefixtures("three")
def test_sort_is_checked_from_2_16_on(api: httpx.Client, refusal: Refusal) -> None:
    everyone = {"field": "id", "operator": "!=", "value": "x"}
    assert refusal(search(api, everyone, sort={"field": "name", "order": "desc"})) == (
        400,
        "invalid_sort_order",
        "Invalid sort order 'desc'. Must be one of: ascending, descending",
    )
    assert search(api, everyone, sort={"order": "desc"}, version="2.15").status_code == 200


def test_a_search_cursor_is_no_cursor_of_the_list(api: httpx.Client, three: None, refusal: Refusal) -> None:
    assert three is None
    everyone = {"field": "id", "operator": "!=", "value": "x"}
    cursor = search(api, everyone, pagination={"per_page": 2}).json()["pages"]["next"]["starting_after"]
    refused = api.get("/contacts", params={"starting_after": cursor})
    assert refusal(refused)[:2] == (400, "client_error")


def test_the_index_is_behind_but_nothing_else(sandbox: Sandbox, api: httpx.Client, add_contact: Add) -> None:
    add_contact("a1", email="old@union.example")
    sandbox.options.index_lag = 3600
    api.put("/contacts/a1", json={"email": "new@union.example"})
    created = api.post("/contacts", json={"email": "young@union.example"}).json()
    assert found(api, "email", "=", "old@union.example") == {"a1"}
    assert found(api, "email", "=", "new@union.example") == set()
    assert found(api, "email", "~", "union") == {"a1"}
    assert api.get(f"/contacts/{created['id']}").status_code == 200
    assert api.get("/contacts").json()["total_count"] == 2
    sandbox.options.index_lag = 0
    assert found(api, "email", "~", "union") == {"a1", created["id"]}
    assert found(api, "email", "=", "new@union.example") == {"a1"}


def test_the_index_catches_up_with_time(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.options.index_lag = 0.2
    begun = time.monotonic()
    created = api.post("/contacts", json={"email": "a@union.example"}).json()
    while not found(api, "email", "=", "a@union.example"):
        assert time.monotonic() - begun < 10
    assert time.monotonic() - begun >= 0.19
    assert found(api, "email", "=", "a@union.example") == {created["id"]}


def test_archived_contacts_are_never_found_and_restored_ones_after_the_lag(
    sandbox: Sandbox, api: httpx.Client, add_contact: Add
) -> None:
    add_contact("a1", email="a@union.example")
    sandbox.options.index_lag = 3600
    api.post("/contacts/a1/archive")
    assert found(api, "email", "=", "a@union.example") == set()
    api.post("/contacts/a1/unarchive")
    assert found(api, "email", "=", "a@union.example") == {"a1"}

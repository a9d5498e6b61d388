"""The list of contacts: pages, cursors and counts."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact

Refusal = Callable[[httpx.Response], tuple[int, str, str]]


@pytest.fixture
def hundred(sandbox: Sandbox) -> list[str]:
    """The ids of 100 contacts."""
    ids = [f"{number:024x}" for number in range(100)]
    sandbox.world.contacts += [Contact(contact_id, "user", 1, 1, external_id=contact_id) for contact_id in ids]
    sandbox.reset(sandbox.world)
    return ids


def page(api: httpx.Client, cursor: str | None = None, per_page: int = 30) -> dict[str, Any]:
    parameters = {"per_page": str(per_page)} | ({"starting_after": cursor} if cursor else {})
    response = api.get("/contacts", params=parameters)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def crawl(api: httpx.Client) -> list[str]:
    seen, cursor = [], None
    while True:
        body = page(api, cursor)
        seen += [contact["id"] for contact in body["data"]]
        if "next" not in body["pages"]:
            return seen
        cursor = body["pages"]["next"]["starting_after"]


def test_pages_hold_each_contact_once_in_an_order_that_is_not_the_ids(api: httpx.Client, hundred: list[str]) -> None:
    seen = crawl(api)
    assert sorted(seen) == hundred
    assert seen != hundred
    assert seen == crawl(api)


def test_the_pages_object_counts(api: httpx.Client, hundred: list[str]) -> None:
    first = page(api)
    assert first["total_count"] == len(hundred)
    assert {key: first["pages"][key] for key in ("type", "page", "per_page", "total_pages")} == {
        "type": "pages",
        "page": 1,
        "per_page": 30,
        "total_pages": 4,
    }
    second = page(api, first["pages"]["next"]["starting_after"])
    assert second["pages"]["page"] == 2


def test_a_page_has_10_contacts_unless_told_and_at_most_150(
    api: httpx.Client, hundred: list[str], refusal: Refusal
) -> None:
    assert len(api.get("/contacts").json()["data"]) == 10
    assert len(page(api, per_page=150)["data"]) == len(hundred)
    for per_page in ("151", "0", "x"):
        refused = api.get("/contacts", params={"per_page": per_page})
        assert refusal(refused)[:2] == (400, "parameter_invalid")


@pytest.mark.usefixtures("hundred")
def test_a_cursor_is_opaque_and_must_be_encoded(api: httpx.Client, refusal: Refusal) -> None:
    cursor = page(api)["pages"]["next"]["starting_after"]
    assert {"+", "/", "\n"} <= set(cursor)
    for wrong in (cursor.strip(), "None", "0"):
        refused = api.get(f"/contacts?starting_after={wrong}")
        assert refusal(refused) == (
            400,
            "client_error",
            ("Invalid starting_after param. Please try again using a starting_after value from a paginated response"),
        )


def test_a_cursor_survives_changes_before_and_behind_it(api: httpx.Client, hundred: list[str]) -> None:
    first = page(api)
    seen = [contact["id"] for contact in first["data"]]
    rest = [contact_id for contact_id in hundred if contact_id not in seen]
    api.post(f"/contacts/{seen[0]}/archive")
    api.post(f"/contacts/{rest[0]}/archive")
    api.post("/contacts", json={"email": "new@union.example"})
    after, cursor = [], first["pages"]["next"]["starting_after"]
    while cursor:
        body = page(api, cursor)
        after += [contact["id"] for contact in body["data"]]
        cursor = body["pages"].get("next", {}).get("starting_after")
    assert set(rest[1:]) <= set(after)
    assert not set(seen) & set(after)
    assert body["total_count"] == 99


def test_archived_blocked_deleted_and_merged_contacts_are_absent(
    api: httpx.Client, add_contact: Callable[..., Contact]
) -> None:
    add_contact("a1")
    add_contact("a2", archived=True)
    add_contact("a3", blocked=True)
    add_contact("a4", deleted=True)
    add_contact("a5", role="lead", merged_into="a1")
    body = page(api)
    assert [contact["id"] for contact in body["data"]] == ["a1"]
    assert body["total_count"] == 1

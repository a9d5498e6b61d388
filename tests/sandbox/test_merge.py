"""Merging a lead into a user."""

from collections.abc import Callable

import httpx
import pytest

from mynatca_sandbox.world.model import Contact, Conversation, Note, Ticket

Refusal = Callable[[httpx.Response], tuple[int, str, str]]
Add = Callable[..., Contact]


def merge(api: httpx.Client, source: str, into: str, version: str = "2.16", **more: object) -> httpx.Response:
    body = {"from": source, "into": into, **more}
    return api.post("/contacts/merge", json=body, headers={"Intercom-Version": version})


def test_the_user_survives_with_all_that_the_lead_had(
    api: httpx.Client,
    add_contact: Add,
    add_conversation: Callable[..., Conversation],
    add_ticket: Callable[..., Ticket],
) -> None:
    add_contact("u1", email="a@union.example", name="Ann", tag_ids=["1"], custom_attributes={"region": "GL"})
    add_contact(
        "l1",
        role="lead",
        email="a@union.example",
        name="Visitor",
        phone="+12025550101",
        external_id="uuid",
        tag_ids=["1", "2"],
        custom_attributes={"region": "XX", "visits": 3},
        notes=[Note("70", "<p>hi</p>", 1, None)],
    )
    add_conversation("80", "l1")
    add_ticket("90", "l1")
    survivor = merge(api, "l1", "u1").json()
    assert (survivor["id"], survivor["name"], survivor["phone"]) == ("u1", "Ann", "+12025550101")
    assert survivor["external_id"] is None
    assert survivor["custom_attributes"] == {"region": "GL", "visits": 3}
    assert [tag["id"] for tag in survivor["tags"]["data"]] == ["1", "2"]
    assert survivor["notes"]["total_count"] == 1
    contacts = api.get("/conversations/80").json()["contacts"]["contacts"]
    assert [contact["id"] for contact in contacts] == ["u1"]
    of_survivor = {"query": {"field": "contact_ids", "operator": "=", "value": "u1"}}
    for kind in ("conversations", "tickets"):
        assert api.post(f"/{kind}/search", json=of_survivor).json()["total_count"] == 1


def test_a_merged_contact_is_410_with_a_link_over_chains_and_404_up_to_2_15(
    api: httpx.Client, add_contact: Add, refusal: Refusal
) -> None:
    add_contact("u1", email="a@union.example")
    add_contact("u2", external_id="5", email="a@union.example", merged_into="u1")
    add_contact("l1", role="lead", external_id="uuid", merged_into="u2")
    for path in ("/contacts/l1", "/contacts/find_by_external_id/uuid", "/contacts/find_by_external_id/5"):
        gone = api.get(path)
        assert refusal(gone) == (
            410,
            "contact_merged",
            "This contact has been merged. See the 'Link' header for the canonical contact.",
        )
        assert gone.headers["Link"] == '</contacts/u1>; rel="canonical"'
        older = api.get(path, headers={"Intercom-Version": "2.15"})
        assert refusal(older) == (404, "not_found", "User Not Found")


def test_only_a_lead_into_a_user(api: httpx.Client, add_contact: Add, refusal: Refusal) -> None:
    add_contact("u1", email="a@union.example")
    add_contact("u2", email="a@union.example")
    add_contact("l1", role="lead", email="a@union.example")
    for source, into in (("u1", "u2"), ("u1", "l1"), ("l1", "l1")):
        assert refusal(merge(api, source, into)) == (
            400,
            "invalid_merge",
            "Merging can only be performed on a lead into a user",
        )


def test_only_duplicates_unless_told_or_older(api: httpx.Client, add_contact: Add, refusal: Refusal) -> None:
    add_contact("u1", email="a@union.example")
    for lead in ("l1", "l2"):
        add_contact(lead, role="lead", email="b@union.example")
    assert refusal(merge(api, "l1", "u1")) == (
        400,
        "invalid_merge",
        (
            "Contacts can only be merged when they are duplicates (matching email or phone). "
            "Pass skip_duplicate_validation=true to override this check."
        ),
    )
    assert merge(api, "l1", "u1", skip_duplicate_validation=True).status_code == 200
    assert merge(api, "l2", "u1", version="2.15").status_code == 200


@pytest.mark.parametrize("state", [{"archived": True}, {"merged_into": "u1"}, {"deleted": True}])
def test_who_is_not_live_cannot_be_merged(
    api: httpx.Client, add_contact: Add, refusal: Refusal, state: dict[str, object]
) -> None:
    add_contact("u1", email="a@union.example")
    add_contact("l1", role="lead", email="a@union.example", **state)
    assert refusal(merge(api, "l1", "u1")) == (404, "not_found", "Contact Not Found")


def test_a_missing_into_is_not_found(api: httpx.Client, add_contact: Add, refusal: Refusal) -> None:
    add_contact("l1", role="lead")
    refused = api.post("/contacts/merge", json={"from": "l1", "to": "u1"})
    assert refusal(refused) == (404, "not_found", "Contact Not Found")


def test_merge_history_lists_sources_of_a_user(api: httpx.Client, add_contact: Add, refusal: Refusal) -> None:
    add_contact("u1", email="a@union.example")
    for lead in ("l1", "l2", "l3"):
        add_contact(lead, role="lead", email="a@union.example")
        merge(api, lead, "u1")
    first = api.get("/contacts/u1/merge_history", params={"per_page": 2}).json()
    rest = api.get("/contacts/u1/merge_history", params={"per_page": 2, "cursor": first["next_cursor"]}).json()
    sources = [entry["source_contact_id"] for entry in first["data"] + rest["data"]]
    assert sorted(sources) == ["l1", "l2", "l3"]
    assert (first["has_more"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
    older = api.get("/contacts/u1/merge_history", headers={"Intercom-Version": "2.15"})
    assert refusal(older)[:2] == (400, "intercom_version_invalid")

"""Definitions of custom attributes: of contacts and companies, and of conversations."""

from collections.abc import Callable

import httpx
import pytest

Refusal = Callable[[httpx.Response], tuple[int, str, str]]


def test_listing_tells_built_in_custom_and_archived_attributes_apart(api: httpx.Client) -> None:
    listed = api.get("/data_attributes", params={"model": "contact"}).json()["data"]
    by_name = {attribute["full_name"]: attribute for attribute in listed}
    assert "id" not in by_name["email"]
    region = by_name["custom_attributes.region"]
    assert (region["id"], region["custom"], region["data_type"], region["archived"]) == (
        1,
        True,
        "string",
        False,
    )
    assert "custom_attributes.old" not in by_name
    everything = api.get("/data_attributes", params={"model": "contact", "include_archived": "true"}).json()
    assert len(everything["data"]) == len(listed) + 1


def test_a_new_attribute_can_be_written_at_once(api: httpx.Client) -> None:
    body = {"name": "facility", "model": "contact", "data_type": "string", "description": "Code"}
    created = api.post("/data_attributes", json=body).json()
    assert created["full_name"] == "custom_attributes.facility"
    contact = api.post("/contacts", json={"email": "a@union.example", "custom_attributes": {"facility": "ZAU"}}).json()
    assert contact["custom_attributes"] == {"facility": "ZAU"}


def test_a_list_takes_its_options_only(api: httpx.Client, refusal: Refusal) -> None:
    body = {"name": "shift", "model": "contact", "options": [{"value": "day"}, {"value": "night"}]}
    created = api.post("/data_attributes", json=body | {"data_type": "options"}).json()
    assert (created["data_type"], created["options"]) == ("string", ["day", "night"])
    refused = api.post("/contacts", json={"email": "a@b.example", "custom_attributes": {"shift": "noon"}})
    assert refusal(refused)[:2] == (400, "parameter_invalid")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            {"name": "region", "model": "contact", "data_type": "string"},
            ("You already have 'region' in your people data. To save this as new people data, use a different name."),
        ),
        (
            {"name": "employees", "model": "contact", "data_type": "string"},
            (
                "You already have 'employees' in your company data. "
                "To save this as new people data, use a different name."
            ),
        ),
        (
            {"name": "!nv@l!d n@me", "model": "contact", "data_type": "string"},
            ("Your name for this attribute must only contain alphanumeric characters, currency symbols, and hyphens"),
        ),
        ({"name": "a", "model": "contact", "data_type": "mithril"}, "Data Type isn't an option"),
        (
            {"name": "a", "data_type": "string"},
            "The Data Attribute model field must be either contact or company",
        ),
        (
            {"name": "a", "model": "contact", "data_type": "options", "options": {"value": "1"}},
            "Options isn't an array",
        ),
    ],
)
def test_definitions_are_checked(api: httpx.Client, refusal: Refusal, body: object, message: str) -> None:
    assert refusal(api.post("/data_attributes", json=body)) == (400, "parameter_invalid", message)


def test_an_attribute_is_archived_by_id(api: httpx.Client, refusal: Refusal) -> None:
    assert api.put("/data_attributes/1", json={"archived": True}).json()["archived"] is True
    refused = api.post("/contacts", json={"email": "a@b.example", "custom_attributes": {"region": "GL"}})
    assert refusal(refused)[2] == "Custom attribute 'region' does not exist"
    assert refusal(api.put("/data_attributes/99", json={})) == (
        404,
        "field_not_found",
        "We couldn't find that data attribute to update",
    )


def test_conversation_attributes_have_a_call_of_their_own_from_2_16_on(api: httpx.Client, refusal: Refusal) -> None:
    created = api.post("/conversations/attributes", json={"name": "Member Number", "data_type": "string"})
    assert created.json()["multiline"] is False
    assert [each["name"] for each in api.get("/conversations/attributes").json()["data"]] == ["Member Number"]
    assert refusal(api.get("/data_attributes", params={"model": "conversation"})) == (
        422,
        "parameter_invalid",
        "model=conversation is no longer supported. Use GET /conversations/attributes instead",
    )
    older = {"Intercom-Version": "2.15"}
    listed = api.get("/data_attributes", params={"model": "conversation"}, headers=older).json()["data"]
    assert [each["name"] for each in listed] == ["Member Number"]
    assert refusal(api.get("/conversations/attributes", headers=older)) == (
        400,
        "intercom_version_invalid",
        "Requested resource is not available in current API version.",
    )


def test_a_conversation_attribute_is_renamed_and_archived(api: httpx.Client, refusal: Refusal) -> None:
    path = "/conversations/attributes"
    created = api.post(path, json={"name": "Topic", "data_type": "string"}).json()
    assert api.put(f"{path}/{created['id']}", json={"name": "Subject"}).json()["name"] == "Subject"
    assert api.get(f"{path}/{created['id']}").json()["name"] == "Subject"
    assert api.delete(f"{path}/{created['id']}").json()["archived"] is True
    assert api.get(path).json()["data"] == []
    assert refusal(api.get(f"{path}/99")) == (
        404,
        "conversation_attribute_not_found",
        "Conversation attribute not found",
    )


def test_a_list_of_conversations_keeps_two_options(api: httpx.Client, refusal: Refusal) -> None:
    body = {"name": "Topic", "data_type": "list", "options": [{"label": "Dues"}, {"label": "Badge"}]}
    attribute = api.post("/conversations/attributes", json=body).json()
    options = f"/conversations/attributes/{attribute['id']}/options"
    added = api.post(options, json={"label": "Other"}).json()["options"][-1]
    renamed = api.put(f"{options}/{added['id']}", json={"label": "Else"}).json()["options"]
    assert [option["label"] for option in renamed] == ["Dues", "Badge", "Else"]
    assert api.delete(f"{options}/{added['id']}").json()["options"][-1]["archived"] is True
    too_few = api.delete(f"{options}/{attribute['options'][0]['id']}")
    assert refusal(too_few) == (
        422,
        "parameter_invalid",
        "A list attribute must have at least 2 active options",
    )
    assert refusal(api.post(options, json={})) == (422, "parameter_invalid", "label is required")
    assert refusal(api.delete(f"{options}/unknown"))[2] == "List option not found"


def test_conversation_attribute_types_are_checked(api: httpx.Client, refusal: Refusal) -> None:
    refused = api.post("/conversations/attributes", json={"name": "x", "data_type": "invalid_type"})
    assert refusal(refused) == (
        422,
        "parameter_invalid",
        (
            "data_type 'invalid_type' is not valid. "
            "Allowed types: string, integer, list, decimal, boolean, datetime, relationship, files"
        ),
    )

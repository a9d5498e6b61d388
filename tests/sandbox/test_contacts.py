"""Contacts over HTTP: create, get, find and update."""

from collections.abc import Callable

import httpx
import pytest

from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact

Refusal = Callable[[httpx.Response], tuple[int, str, str]]
Add = Callable[..., Contact]


def create(api: httpx.Client, **body: object) -> str:
    response = api.post("/contacts", json=body)
    assert response.status_code == 200, response.text
    contact_id: str = response.json()["id"]
    return contact_id


def test_create_answers_200_with_a_full_user(api: httpx.Client) -> None:
    response = api.post("/contacts", json={"email": " Ann@Union.Example ", "name": "Ann", "type": "lead"})
    assert response.status_code == 200
    contact = response.json()
    assert (contact["role"], contact["email"], contact["email_domain"]) == (
        "user",
        "ann@union.example",
        "union.example",
    )
    assert contact["tags"] == {
        "type": "list",
        "data": [],
        "url": f"/contacts/{contact['id']}/tags",
        "total_count": 0,
        "has_more": False,
    }
    assert {
        "location",
        "companies",
        "ios_device",
        "owner_id",
        "opted_in_subscription_types",
    } <= contact.keys()
    assert api.get(f"/contacts/{contact['id']}").json() == contact


def test_a_lead_gets_an_external_id_of_intercoms_own(api: httpx.Client, refusal: Refusal) -> None:
    lead = api.post("/contacts", json={"role": "lead"}).json()
    assert len(lead["external_id"]) == 36
    refused = api.post("/contacts", json={"role": "lead", "external_id": "5"})
    assert refusal(refused)[:2] == (400, "parameter_invalid")


def test_ids_follow_from_identifiers_not_from_order(api: httpx.Client, sandbox: Sandbox) -> None:
    first = [create(api, email=f"{name}@union.example") for name in ("a", "b")]
    sandbox.world.contacts.clear()
    sandbox.reset(sandbox.world)
    second = [create(api, email=f"{name}@union.example") for name in ("b", "a")]
    assert sorted(first) == sorted(second)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"email": "nobody"}, "Email is invalid"),
        ({"email": None}, "Email is invalid"),
        ({"email": "a@b.example", "phone": "12"}, "Phone is invalid"),
        ({"role": "user"}, "A user needs an email or an external_id"),
        ({"name": "Ann"}, "A user needs an email or an external_id"),
        ({"email": "a@b.example", "role": "admin"}, "Role must be one of: user, lead"),
        ({"email": "a@b.example", "owner_id": "99"}, "The owner specified is not a member of the workspace"),
        ({"email": "a@b.example", "signed_up_at": 1_700_000_000_000}, "A moment in Unix seconds is expected"),
        ({"external_id": "5", "email_verified": True}, "email_verified can only be set together with email"),
    ],
)
def test_create_refuses_wrong_values(api: httpx.Client, refusal: Refusal, body: object, message: str) -> None:
    assert refusal(api.post("/contacts", json=body)) == (400, "parameter_invalid", message)


def test_get_finds_neither_unknown_nor_archived_contacts(api: httpx.Client, add_contact: Add, refusal: Refusal) -> None:
    add_contact("a1", email="a@union.example", archived=True)
    for contact_id in ("a1", "unknown"):
        assert refusal(api.get(f"/contacts/{contact_id}")) == (404, "not_found", "User Not Found")


def test_find_by_external_id_decodes_it_and_finds_users_only(
    api: httpx.Client, add_contact: Add, refusal: Refusal
) -> None:
    add_contact("a1", external_id="A/1 b")
    add_contact("a2", role="lead", external_id="lead-uuid")
    assert api.get("/contacts/find_by_external_id/A%2F1%20b").json()["id"] == "a1"
    found = api.get("/contacts/find_by_external_id/lead-uuid")
    assert refusal(found) == (404, "not_found", "User Not Found")


def test_update_changes_only_what_it_names_and_moves_updated_at(api: httpx.Client) -> None:
    contact_id = create(api, email="a@union.example", name="Ann", phone="(202) 555-0101")
    before = api.get(f"/contacts/{contact_id}").json()
    after = api.put(f"/contacts/{contact_id}", json={"name": "Anna", "phone": None}).json()
    assert (after["name"], after["phone"], after["email"]) == ("Anna", None, "a@union.example")
    assert before["phone"] == "2025550101"
    assert after["updated_at"] > before["updated_at"]
    again = api.put(f"/contacts/{contact_id}", json={"name": "Anna"}).json()
    assert again["updated_at"] == after["updated_at"]


def test_update_of_an_unknown_or_archived_contact_is_404(api: httpx.Client, add_contact: Add, refusal: Refusal) -> None:
    add_contact("a1", archived=True)
    for contact_id in ("a1", "unknown"):
        refused = api.put(f"/contacts/{contact_id}", json={"name": "x"})
        assert refusal(refused) == (404, "not_found", "Contact Not Found")


def test_a_lead_becomes_a_user_but_never_back(api: httpx.Client, add_contact: Add, refusal: Refusal) -> None:
    add_contact("a1", role="lead", external_id="uuid", email="a@union.example")
    user = api.put("/contacts/a1", json={"role": "user", "external_id": "100"}).json()
    assert (user["role"], user["external_id"]) == ("user", "100")
    assert refusal(api.put("/contacts/a1", json={"role": "lead"})) == (
        400,
        "client_error",
        "Contact with user role can't be converted to a lead",
    )


@pytest.mark.parametrize("empty", [None, ""])
@pytest.mark.parametrize(
    "behaviour", [("accept", 200, None), ("refuse", 400, "5"), ("ignore", 200, "5")], ids=lambda row: row[0]
)
def test_clearing_an_external_id_has_three_behaviours(
    sandbox: Sandbox,
    api: httpx.Client,
    add_contact: Add,
    empty: str | None,
    behaviour: tuple[str, int, str | None],
) -> None:
    rule, status, kept = behaviour
    add_contact("a1", external_id="5", email="a@union.example")
    sandbox.options = sandbox.options.changed({"clear_external_id": rule})
    response = api.put("/contacts/a1", json={"external_id": empty})
    assert response.status_code == status
    assert api.get("/contacts/a1").json()["external_id"] == kept


def test_custom_attributes_are_set_and_cleared(api: httpx.Client, add_contact: Add) -> None:
    add_contact("a1", email="a@union.example")
    values = {"region": "GL", "member_type": "Retired", "visits": 3, "score": 0.5, "vip": False, "joined": 9}
    written = api.put("/contacts/a1", json={"custom_attributes": values}).json()
    assert written["custom_attributes"] == values
    cleared = api.put("/contacts/a1", json={"custom_attributes": {"region": None, "member_type": ""}}).json()
    assert cleared["custom_attributes"] == {"visits": 3, "score": 0.5, "vip": False, "joined": 9}


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"hobby": "chess"}, "Custom attribute 'hobby' does not exist"),
        ({"old": "x"}, "Custom attribute 'old' does not exist"),
        ({"employees": 1}, "Custom attribute 'employees' does not exist"),
        ({"region": 5}, "Custom attribute 'region' must be of type string"),
        ({"region": "x" * 256}, "Custom attribute 'region' is too long (maximum is 255 characters)"),
        ({"member_type": "Guest"}, "Custom attribute 'member_type' must be one of: Current Member, Retired"),
        ({"visits": True}, "Custom attribute 'visits' must be of type integer"),
        ([], "custom_attributes must be an object"),
    ],
)
def test_custom_attributes_are_checked(
    api: httpx.Client, add_contact: Add, refusal: Refusal, attributes: object, message: str
) -> None:
    add_contact("a1", email="a@union.example")
    refused = api.put("/contacts/a1", json={"custom_attributes": attributes})
    assert refusal(refused) == (400, "parameter_invalid", message)


def test_owner_id_is_a_number_up_to_2_15(api: httpx.Client, add_contact: Add) -> None:
    add_contact("a1", email="a@union.example")
    assert api.put("/contacts/a1", json={"owner_id": 11}).json()["owner_id"] == "11"
    assert api.get("/contacts/a1", headers={"Intercom-Version": "2.15"}).json()["owner_id"] == 11


def test_notes_are_listed_newest_first_and_shortened_in_the_contact(
    api: httpx.Client, add_contact: Add, refusal: Refusal
) -> None:
    add_contact("a1", email="a@union.example")
    for number in range(12):
        created = api.post("/contacts/a1/notes", json={"body": f"note {number}", "admin_id": "11"})
        assert created.json()["body"] == f"<p>note {number}</p>"
    shortened = api.get("/contacts/a1").json()["notes"]
    assert (len(shortened["data"]), shortened["total_count"], shortened["has_more"]) == (10, 12, True)
    listed = api.get("/contacts/a1/notes").json()
    assert listed["total_count"] == len(listed["data"]) == 12
    assert listed["data"][0]["author"]["name"] == "Ada"
    unknown_admin = api.post("/contacts/a1/notes", json={"body": "x", "admin_id": "99"})
    assert refusal(unknown_admin) == (404, "not_found", "Resource Not Found")

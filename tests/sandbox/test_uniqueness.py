"""Which identifiers two contacts may not share: the 409s of create and update."""

from collections.abc import Callable

import httpx
import pytest

from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact

Refusal = Callable[[httpx.Response], tuple[int, str, str]]
Add = Callable[..., Contact]

LIVE = "A contact matching those details already exists with id="
ARCHIVED = "An archived contact matching those details already exists with id="


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, LIVE),
        ({"archived": True}, ARCHIVED),
        ({"deleted": True}, ARCHIVED),
        ({"blocked": True}, ARCHIVED),
        ({"merged_into": "b1"}, ARCHIVED),
    ],
)
def test_create_conflicts_with_a_holder_of_any_state(
    api: httpx.Client, add_contact: Add, refusal: Refusal, state: dict[str, object], message: str
) -> None:
    add_contact("b1", email="other@union.example")
    add_contact("a1", external_id="5", email="a@union.example", **state)
    for body in ({"external_id": "5"}, {"email": "A@union.example"}):
        assert refusal(api.post("/contacts", json=body)) == (409, "conflict", f"{message}a1")


def test_a_live_holder_is_named_before_an_archived_one(api: httpx.Client, add_contact: Add, refusal: Refusal) -> None:
    add_contact("a1", email="a@union.example", archived=True)
    add_contact("a2", email="a@union.example")
    assert refusal(api.post("/contacts", json={"email": "a@union.example"}))[2] == f"{LIVE}a2"


def test_leads_never_conflict(api: httpx.Client, add_contact: Add) -> None:
    add_contact("a1", email="a@union.example")
    for _ in range(2):
        assert api.post("/contacts", json={"role": "lead", "email": "a@union.example"}).status_code == 200


def test_a_lead_does_not_stop_a_user_with_its_email(api: httpx.Client, add_contact: Add) -> None:
    add_contact("a1", role="lead", email="a@union.example")
    assert api.post("/contacts", json={"email": "a@union.example"}).status_code == 200


@pytest.mark.parametrize(
    ("rule", "statuses"), [("second_user", {"4": 200, None: 409}), ("conflict", {"4": 409, None: 409})]
)
def test_a_new_external_id_with_a_taken_email(
    sandbox: Sandbox, api: httpx.Client, add_contact: Add, rule: str, statuses: dict[str | None, int]
) -> None:
    sandbox.options = sandbox.options.changed({"taken_email": rule})
    for holder_external_id, status in statuses.items():
        sandbox.world.contacts.clear()
        add_contact("a1", email="a@union.example", external_id=holder_external_id)
        created = api.post("/contacts", json={"email": "a@union.example", "external_id": "5"})
        assert created.status_code == status


def test_update_conflicts_with_the_holder_of_an_external_id(
    api: httpx.Client, add_contact: Add, refusal: Refusal
) -> None:
    add_contact("a1", email="a@union.example")
    add_contact("a2", external_id="5", archived=True)
    refused = api.put("/contacts/a1", json={"external_id": "5", "name": "x"})
    assert refusal(refused) == (409, "conflict", f"{ARCHIVED}a2")
    assert api.get("/contacts/a1").json()["name"] is None


def test_who_was_merged_into_a_contact_does_not_stop_it(api: httpx.Client, add_contact: Add) -> None:
    add_contact("a1", email="a@union.example")
    add_contact("a2", external_id="5", merged_into="a1")
    assert api.put("/contacts/a1", json={"external_id": "5"}).status_code == 200


def test_an_update_to_ones_own_identifiers_is_no_conflict(api: httpx.Client, add_contact: Add) -> None:
    add_contact("a1", email="a@union.example", external_id="5")
    same = api.put("/contacts/a1", json={"email": "A@UNION.example", "external_id": "5"})
    assert same.status_code == 200


def test_a_lead_that_becomes_a_user_must_be_unique(api: httpx.Client, add_contact: Add, refusal: Refusal) -> None:
    add_contact("a1", email="a@union.example")
    add_contact("a2", role="lead", email="a@union.example", external_id="uuid")
    assert refusal(api.put("/contacts/a2", json={"role": "user"}))[2] == f"{LIVE}a1"


def test_a_freed_external_id_can_be_taken(api: httpx.Client, add_contact: Add) -> None:
    add_contact("a1", external_id="5")
    api.put("/contacts/a1", json={"external_id": None})
    assert api.post("/contacts", json={"external_id": "5"}).status_code == 200

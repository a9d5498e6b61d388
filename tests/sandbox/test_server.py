"""What every call goes through, and several sandboxes in one process."""

from collections.abc import Callable
from email.utils import parsedate_to_datetime

import httpx
import pytest

from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import World

Refusal = Callable[[httpx.Response], tuple[int, str, str]]


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer wrong"}, {"Authorization": ""}])
def test_wrong_credentials_are_401_without_rate_headers(
    sandbox: Sandbox, refusal: Refusal, headers: dict[str, str]
) -> None:
    response = httpx.get(f"{sandbox.url}/me", headers=headers)
    assert refusal(response) == (401, "unauthorized", "Access Token Invalid")
    assert "X-RateLimit-Limit" not in response.headers


def test_answers_carry_date_and_request_id(api: httpx.Client) -> None:
    response = api.get("/me")
    assert parsedate_to_datetime(response.headers["Date"]).tzinfo is not None
    assert response.headers["x-request-id"] != api.get("/me").headers["x-request-id"]


@pytest.mark.parametrize("version", ["1.0", "2.13", "2.17", "Preview"])
def test_other_versions_are_refused(api: httpx.Client, refusal: Refusal, version: str) -> None:
    assert refusal(api.get("/me", headers={"Intercom-Version": version})) == (
        400,
        "intercom_version_invalid",
        "Requested resource is not available in current API version.",
    )


def test_unknown_paths_methods_and_media_types(api: httpx.Client, refusal: Refusal) -> None:
    assert refusal(api.get("/people"))[:2] == (404, "not_found")
    assert refusal(api.delete("/me"))[:2] == (405, "method_not_allowed")
    assert refusal(api.get("/me", headers={"Accept": "text/html"}))[:2] == (406, "media_type_not_acceptable")
    form = api.post("/contacts", data={"email": "a@union.example"})
    assert refusal(form)[:2] == (415, "unsupported")
    for content in (b"{", b"[]"):
        malformed = api.post("/contacts", content=content, headers={"Content-Type": "application/json"})
        assert refusal(malformed)[:2] == (400, "bad_request")


def test_me_tells_workspace_region_and_time_zone(api: httpx.Client, sandbox: Sandbox) -> None:
    me = api.get("/me").json()
    assert (me["type"], me["id"]) == ("admin", "11")
    assert (me["app"]["id_code"], me["app"]["timezone"]) == (sandbox.world.workspace_id, "America/New_York")
    sandbox.reset(World(now=0))
    assert api.get("/me").json() is None


def test_admins_are_listed_and_found(api: httpx.Client, refusal: Refusal) -> None:
    assert [admin["id"] for admin in api.get("/admins").json()["admins"]] == ["11", "12"]
    assert api.get("/admins/12").json()["email"] == "bob@union.example"
    assert refusal(api.get("/admins/13")) == (404, "admin_not_found", "Admin not found")


def test_calls_are_counted_by_route_and_status(api: httpx.Client, sandbox: Sandbox) -> None:
    api.get("/contacts/unknown")
    api.get("/contacts/other")
    api.post("/contacts/search", json={"query": {"field": "id", "operator": "=", "value": "a"}})
    api.post("/contacts", json={"email": "a@union.example"})
    assert sandbox.calls["GET /contacts/{contact_id}"] == 2
    assert sandbox.calls.by_status == {404: 2, 200: 2}
    assert (sandbox.calls.total, sandbox.calls.writes) == (4, 1)
    sandbox.calls.clear()
    assert sandbox.calls.total == 0


def test_supabase_is_at_the_same_address_and_counted(api: httpx.Client, sandbox: Sandbox) -> None:
    sandbox.world.tables["regions"] = [{"id": 1, "code": "GL", "name": "Great Lakes"}]
    headers = {"apikey": "sandbox-key", "Authorization": "Bearer sandbox-key"}
    assert api.get("/rest/v1/regions?select=code", headers=headers).json() == [{"code": "GL"}]
    assert api.get("/rest/v1/regions").status_code == 401
    assert sandbox.calls["GET /rest/v1/{table}"] == 2
    assert sandbox.calls.writes == 0


def test_two_sandboxes_in_one_process_are_apart(api: httpx.Client) -> None:
    with Sandbox(World(now=0)) as other:
        headers = {"Authorization": "Bearer sandbox-token"}
        created = httpx.post(f"{other.url}/contacts", json={"email": "a@b.example"}, headers=headers)
        assert created.status_code == 200
    assert api.get("/contacts").json()["total_count"] == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{other.url}/me")

"""Faults on demand: what a client sees, and what took effect."""

import time

import httpx
import pytest

from mynatca_sandbox.server import Sandbox


def create(api: httpx.Client, number: int = 1) -> httpx.Response:
    return api.post("/contacts", json={"email": f"a{number}@union.example"})


@pytest.mark.parametrize(("fault", "contacts"), [("fault_drop_before", 0), ("fault_drop_after", 1)])
def test_a_cut_connection_has_no_answer(sandbox: Sandbox, api: httpx.Client, fault: str, contacts: int) -> None:
    sandbox.options = sandbox.options.changed({fault: 1})
    with pytest.raises(httpx.RemoteProtocolError):
        create(api)
    assert len(sandbox.world.contacts) == contacts
    assert sandbox.calls.by_status == {0: 1}


def test_a_5xx_has_no_effect_and_is_not_always_json(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.options = sandbox.options.changed({"fault_5xx": 1})
    responses = [create(api, number) for number in range(30)]
    assert {response.status_code for response in responses} == {500, 502, 503, 504}
    assert {response.headers["Content-Type"].split(";")[0] for response in responses} == {
        "application/json",
        "text/html",
    }
    assert sandbox.world.contacts == []


def test_a_429_looks_like_a_used_up_window(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.options = sandbox.options.changed({"fault_429": 1})
    response = create(api)
    assert response.status_code == 429
    assert response.json()["errors"][0]["code"] == "rate_limit_exceeded"
    assert response.headers["X-RateLimit-Remaining"] == "0"
    assert sandbox.world.contacts == []


@pytest.mark.parametrize("option", [{"latency": 0.3}, {"fault_slow": 1, "slow_seconds": 0.3}])
def test_answers_come_late(sandbox: Sandbox, api: httpx.Client, option: dict[str, float]) -> None:
    sandbox.options = sandbox.options.changed(option)
    begun = time.monotonic()
    assert create(api).status_code == 200
    assert time.monotonic() - begun >= 0.3


def test_the_same_seed_strikes_the_same_calls(sandbox: Sandbox, api: httpx.Client) -> None:
    def statuses(seed: int) -> list[int]:
        sandbox.reset(sandbox.world, sandbox.options.changed({"fault_429": 0.5, "fault_seed": seed}))
        return [api.get("/me").status_code for _ in range(40)]

    assert statuses(1) == statuses(1)
    assert statuses(1) != statuses(2)
    assert set(statuses(1)) == {200, 429}


def test_the_control_api_is_never_struck(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.options = sandbox.options.changed({"fault_drop_before": 1})
    assert api.get("/_sandbox/health").status_code in {200, 404}

"""Rate windows and their headers."""

import time
from collections.abc import Callable

import httpx
import pytest

from mynatca_sandbox.server import Sandbox

Refusal = Callable[[httpx.Response], tuple[int, str, str]]

HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def limit(sandbox: Sandbox, **options: object) -> None:
    """Set a limit, with a window that outlasts the test."""
    sandbox.options = sandbox.options.changed({"window_seconds": 3600, **options})


def test_each_answer_tells_limit_remaining_and_the_windows_end(sandbox: Sandbox, api: httpx.Client) -> None:
    limit(sandbox, limit=5)
    answers = [api.get("/me").headers for _ in range(2)]
    told = [[int(headers[name]) for name in HEADERS] for headers in answers]
    [[first_limit, first_remaining, reset], [_, second_remaining, _]] = told
    assert (first_limit, first_remaining, second_remaining) == (5, 4, 3)
    assert reset % 3600 == 0
    assert 0 < reset - time.time() <= 3600


def test_over_the_limit_is_429_without_retry_after(sandbox: Sandbox, api: httpx.Client, refusal: Refusal) -> None:
    limit(sandbox, limit=2)
    assert [api.get(path).status_code for path in ("/me", "/unknown")] == [200, 404]
    refused = api.get("/me")
    assert refusal(refused) == (429, "rate_limit_exceeded", "Exceeded rate limit of 2 in 3600_seconds")
    assert refused.headers["X-RateLimit-Remaining"] == "0"
    assert "X-RateLimit-Reset" in refused.headers
    assert "Retry-After" not in refused.headers


def test_a_new_window_begins_from_zero(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.options = sandbox.options.changed({"limit": 1, "window_seconds": 1})
    begun = time.monotonic()
    while api.get("/me").status_code == 200:
        assert time.monotonic() - begun < 10
    while api.get("/me").status_code == 429:
        assert time.monotonic() - begun < 10


def test_the_control_api_and_supabase_are_not_limited(sandbox: Sandbox, api: httpx.Client) -> None:
    limit(sandbox, limit=1)
    api.get("/me")
    for path in ("/_sandbox/health", "/rest/v1/members"):
        response = api.get(path)
        assert response.status_code != 429
        assert "X-RateLimit-Limit" not in response.headers


@pytest.mark.parametrize("option", [{"limit": None}, {"rate_headers": False}])
def test_headers_can_be_absent(sandbox: Sandbox, api: httpx.Client, option: dict[str, object]) -> None:
    limit(sandbox, **option)
    response = api.get("/me")
    assert response.status_code == 200
    assert not set(response.headers) & {name.lower() for name in HEADERS}

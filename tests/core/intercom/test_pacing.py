"""Calls go out as fast as the rate-limit headers allow, leave the reserve, and never wait for a wrong clock."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from email.utils import formatdate
from typing import Any

import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.pacing import JITTER_SECONDS, LONGEST_WINDOW_SECONDS, Pacer
from mynatca_intercom.settings import IntercomSettings, load
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, World

NOW = 1_790_000_000
AT_ONCE = 0.03


def window(limit: object, remaining: object, reset: object, *, server_time: float | None = None) -> dict[str, str]:
    """The headers of one answer."""
    headers = {
        "x-ratelimit-limit": str(limit),
        "x-ratelimit-remaining": str(remaining),
        "x-ratelimit-reset": str(reset),
    }
    return headers if server_time is None else headers | {"date": formatdate(server_time, usegmt=True)}


async def goes(pacer: Pacer, seconds: float = AT_ONCE) -> bool:
    """Whether a call may be sent within so long; if so, it is in flight."""
    try:
        async with asyncio.timeout(seconds):
            await pacer.wait_turn()
    except TimeoutError:
        return False
    return True


async def taught(headers: dict[str, str], reserve: float = 0) -> Pacer:
    """A pacer whose first call had an answer with these headers."""
    pacer = Pacer(reserve)
    await pacer.wait_turn()
    pacer.answer(headers)
    return pacer


async def sent_at_once(pacer: Pacer, most: int = 100) -> int:
    """How many calls go out, none of them answered."""
    sent = 0
    while sent < most and await goes(pacer):
        sent += 1
    return sent


def soon() -> float:
    return time.time() + 30


def test_the_first_call_goes_out_alone_and_the_others_wait_for_its_answer() -> None:
    async def scenario() -> None:
        pacer = Pacer(0)
        assert await goes(pacer)
        assert not await goes(pacer)
        others = [asyncio.create_task(pacer.wait_turn()) for _ in range(3)]
        pacer.answer(window(10, 9, soon()))
        async with asyncio.timeout(1):
            await asyncio.gather(*others)

    asyncio.run(scenario())


def test_after_a_first_call_without_an_answer_another_one_goes_out_alone() -> None:
    async def scenario() -> None:
        pacer = Pacer(0)
        await pacer.wait_turn()
        pacer.no_answer()
        assert await sent_at_once(pacer) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "headers",
    [
        {},
        window("many", 9, 1),
        window(10, "", 1),
        window(10, 9, "soon"),
        {"x-ratelimit-limit": "10"},
        {"date": "today"},
    ],
)
def test_without_readable_headers_nothing_is_held_back(headers: dict[str, str]) -> None:
    async def scenario() -> None:
        assert await sent_at_once(await taught(headers)) == 100

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("limit", "remaining", "reserve", "allowed"),
    [
        (20, 19, 0, 19),
        (20, 19, 0.05, 18),
        (20, 19, 0.5, 9),
        (20, 1, 0.05, 0),
        (20, 0, 0, 0),
        (2, 1, 0.05, 0),
        (1, 0, 0.05, 0),
    ],
)
def test_calls_go_out_until_only_the_reserve_is_left(limit: int, remaining: int, reserve: float, allowed: int) -> None:
    async def scenario() -> None:
        assert await sent_at_once(await taught(window(limit, remaining, soon()), reserve)) == allowed

    asyncio.run(scenario())


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_the_next_window_is_waited_for_and_then_used(limit: int) -> None:
    async def scenario() -> None:
        pacer = await taught(window(limit, 0, time.time() + 0.4), reserve=0.05)
        assert not await goes(pacer)
        assert await goes(pacer, 2)
        assert await sent_at_once(pacer) == max(1, limit - 1) - 1

    asyncio.run(scenario())


def test_calls_that_wait_go_on_when_an_answer_tells_of_a_new_window() -> None:
    async def scenario() -> None:
        pacer = await taught(window(2, 1, soon()))
        assert await goes(pacer)
        waiting = asyncio.create_task(goes(pacer, 2))
        await asyncio.sleep(0)
        pacer.answer(window(2, 1, soon() + 10))
        assert await waiting

    asyncio.run(scenario())


def test_a_call_without_an_answer_gives_its_place_back() -> None:
    async def scenario() -> None:
        pacer = await taught(window(2, 1, soon()))
        assert await goes(pacer)
        assert not await goes(pacer)
        pacer.no_answer()
        assert await goes(pacer)

    asyncio.run(scenario())


def test_a_late_answer_of_a_window_that_is_over_teaches_nothing() -> None:
    async def scenario() -> None:
        pacer = await taught(window(20, 5, soon()))
        await pacer.wait_turn()
        pacer.answer(window(20, 0, soon() - 20))
        assert await sent_at_once(pacer) == 5

    asyncio.run(scenario())


@pytest.mark.parametrize(("limit", "remaining", "allowed"), [(40, 30, 30), (5, 2, 2)])
def test_another_limit_is_learnt_in_the_same_window(limit: int, remaining: int, allowed: int) -> None:
    async def scenario() -> None:
        end = soon()
        pacer = await taught(window(20, 4, end))
        await pacer.wait_turn()
        pacer.answer(window(limit, remaining, end))
        assert await sent_at_once(pacer) == allowed

    asyncio.run(scenario())


def test_a_reset_in_the_past_holds_nothing_back() -> None:
    async def scenario() -> None:
        assert await sent_at_once(await taught(window(50, 0, time.time() - 3600))) == 50

    asyncio.run(scenario())


@pytest.mark.parametrize("skew", [-3600, 86_400])
def test_a_wrong_clock_here_is_seen_from_the_servers_date(skew: float) -> None:
    """`Date` is cut to seconds, hence up to one second more."""

    async def scenario() -> None:
        server_time = time.time() + skew
        pacer = await taught(window(5, 0, server_time + 0.4, server_time=server_time))
        assert not await goes(pacer)
        assert await goes(pacer, 3)

    asyncio.run(scenario())


@given(
    reset=st.floats(allow_nan=False) | st.floats(-100, 100).map(lambda ahead: time.time() + ahead),
    skew=st.none() | st.floats(-1e6, 1e6),
    remaining=st.integers(0, 5),
    in_flight=st.integers(0, 5),
)
def test_no_wait_is_longer_than_a_window_and_none_is_endless(
    reset: float, skew: float | None, remaining: int, in_flight: int
) -> None:
    """A wait without an end is right only while a call is in flight, whose answer ends it."""

    async def scenario() -> None:
        server_time = None if skew is None else time.time() + skew
        pacer = await taught(window(20, remaining, reset, server_time=server_time))
        pacer._in_flight = in_flight
        seconds = pacer._seconds_to_wait()
        if seconds is None:
            assert in_flight
        else:
            assert seconds <= LONGEST_WINDOW_SECONDS + JITTER_SECONDS

    asyncio.run(scenario())


def test_a_window_that_turns_between_two_looks_is_not_waited_for_endlessly() -> None:
    async def scenario() -> None:
        pacer = await taught(window(20, 0, time.time() - 1))
        assert pacer._seconds_to_wait() is not None

    asyncio.run(scenario())


def test_a_reset_that_is_no_number_teaches_nothing() -> None:
    async def scenario() -> None:
        assert await sent_at_once(await taught(window(20, 0, "nan"))) == 100

    asyncio.run(scenario())


# --- Against the sandbox, whose windows begin at whole seconds.


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(World(now=NOW)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset(World(now=NOW, contacts=[Contact("c1", "user", NOW, NOW, external_id="1")]), Options())
    return running


@pytest.fixture(autouse=True)
def retries_without_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=20, cap=True):
        yield


def run(sandbox: Sandbox, scenario: Callable[[IntercomClient], Awaitable[Any]], **variables: str) -> None:
    environment = {
        "INTERCOM_URL": sandbox.url,
        "INTERCOM_ACCESS_TOKEN": "sandbox-token",
        "INTERCOM_MAX_ATTEMPTS": "20",
        **variables,
    }

    async def with_client() -> None:
        async with IntercomClient(load(IntercomSettings, environment)) as client:
            await scenario(client)

    asyncio.run(with_client())


def reads(count: int, at_once: int = 50) -> Callable[[IntercomClient], Awaitable[Any]]:
    """Read one contact so many times, in so many tasks; every call must succeed."""

    async def work(client: IntercomClient, turns: Iterator[int]) -> None:
        for _ in turns:
            await client.contact("c1")

    async def scenario(client: IntercomClient) -> None:
        turns = iter(range(count))
        await asyncio.gather(*(work(client, turns) for _ in range(at_once)))

    return scenario


@pytest.mark.parametrize(
    ("limit", "reserve", "calls", "share"), [(20, "0.05", 50, 19), (20, "0.5", 25, 10), (1, "0.05", 3, 1)]
)
def test_alone_nobody_meets_a_429_and_the_reserve_is_left(
    sandbox: Sandbox, limit: int, reserve: str, calls: int, share: int
) -> None:
    sandbox.options = Options(limit=limit, window_seconds=1)
    began = int(time.time())
    run(sandbox, reads(calls), INTERCOM_RESERVE=reserve)
    windows = int(time.time()) - began + 1
    assert sandbox.calls.by_status == {200: calls}
    assert calls <= windows * share
    assert windows <= math.ceil(calls / share) + 2  # and no window was let pass unused


def test_without_a_limit_nobody_is_slowed(sandbox: Sandbox) -> None:
    sandbox.options = Options(limit=None)
    began = time.monotonic()
    run(sandbox, reads(200))
    assert sandbox.calls.by_status == {200: 200}
    assert time.monotonic() - began < 5


def test_a_limit_without_headers_is_met_by_retries(sandbox: Sandbox) -> None:
    sandbox.options = Options(limit=150, window_seconds=1, rate_headers=False)
    run(sandbox, reads(100))
    assert sandbox.calls.by_status[200] == 100


@pytest.mark.parametrize("limit", [10, 200])
def test_a_limit_that_changes_in_mid_run_loses_nothing(sandbox: Sandbox, limit: int) -> None:
    """Calls that are in flight at that moment may meet a 429 each, and no others do."""
    sandbox.options = Options(limit=30, window_seconds=1)

    async def scenario(client: IntercomClient) -> None:
        await reads(20)(client)
        changed = Options(limit=limit, window_seconds=1)
        await asyncio.gather(reads(20, at_once=8)(client), asyncio.to_thread(setattr, sandbox, "options", changed))

    run(sandbox, scenario)
    assert sandbox.calls.by_status[200] == 40
    assert sandbox.calls.by_status[429] <= 8


def test_another_client_that_uses_the_window_up_is_given_way(sandbox: Sandbox) -> None:
    """Both see the other's calls only in the headers, so a few 429s are met, and survived."""
    sandbox.options = Options(limit=20, window_seconds=1)

    async def scenario(client: IntercomClient) -> None:
        other = IntercomClient(client._settings)
        async with other:
            await asyncio.gather(reads(25, at_once=8)(client), reads(25, at_once=8)(other))

    run(sandbox, scenario)
    assert sandbox.calls.by_status[200] == 50

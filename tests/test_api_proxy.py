"""The proxy that fault tests put before the API server: what passes it, and what does not."""

import asyncio
import ssl
import threading
from collections.abc import Iterator

import httpx
import pytest
import trustme
from aiohttp import web

from support.api_proxy import ApiProxy, Call, Cut, Refused, api_proxy


class Upstream:
    """An API server of two objects and a watch, which speaks TLS."""

    def __init__(self) -> None:
        self.created: list[bytes] = []
        self.tokens: list[str] = []
        self.url = ""
        self._loop: asyncio.AbstractEventLoop
        self._say: asyncio.Queue[bytes]
        self._stop: asyncio.Event

    def say(self, text: bytes) -> None:
        """Send something on the watch."""
        self._loop.call_soon_threadsafe(self._say.put_nowait, text)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)

    async def serve(self, tls: ssl.SSLContext, started: threading.Event) -> None:
        self._loop, self._say, self._stop = asyncio.get_running_loop(), asyncio.Queue(), asyncio.Event()
        app = web.Application()
        app.add_routes([web.get("/jobs", self._jobs), web.post("/jobs", self._create)])
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        self.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _jobs(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(request.headers.get("Authorization", ""))
        assert "Content-Type" not in request.headers, "the real one answers 415 to a GET that has one"
        if "watch" not in request.query:
            return web.json_response({"items": ["one", "two"], "selector": request.query.get("labelSelector")})
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(await self._say.get())

    async def _create(self, request: web.Request) -> web.Response:
        self.created.append(await request.read())
        return web.json_response({}, status=201)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def upstream(authority: trustme.CA) -> Iterator[Upstream]:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    upstream, started = Upstream(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(upstream.serve(tls, started)))
    thread.start()
    started.wait()
    yield upstream
    upstream.stop()
    thread.join()


@pytest.fixture
def proxy(upstream: Upstream, authority: trustme.CA) -> Iterator[ApiProxy]:
    tls = ssl.create_default_context()
    authority.configure_trust(tls)
    with api_proxy(upstream.url, tls) as running:
        yield running


def test_a_call_passes_with_its_token_and_query_and_is_counted(upstream: Upstream, proxy: ApiProxy) -> None:
    answer = httpx.get(f"{proxy.url}/jobs?labelSelector=a%2Fb", headers={"Authorization": "Bearer t"})
    assert answer.json() == {"items": ["one", "two"], "selector": "a/b"}
    assert upstream.tokens == ["Bearer t"]
    assert httpx.post(f"{proxy.url}/jobs", content=b"a manifest").status_code == 201
    assert upstream.created == [b"a manifest"]
    assert [(str(call), call.writes, call.status) for call in proxy.calls] == [
        ("GET /jobs", False, 200),
        ("POST /jobs", True, 201),
    ]
    assert [call.is_about("manifest") for call in proxy.calls] == [False, True]


def test_a_watch_is_passed_on_word_by_word_until_it_stalls(upstream: Upstream, proxy: ApiProxy) -> None:
    with httpx.stream("GET", f"{proxy.url}/jobs?watch=true", timeout=5) as watch:
        words = watch.iter_bytes()
        upstream.say(b"ADDED")
        assert next(words) == b"ADDED"
        proxy.stall()
        upstream.say(b"DELETED")
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"{proxy.url}/jobs", timeout=0.3)
        proxy.recover()
        assert next(words) == b"DELETED"
    assert proxy.calls[0].watches


def test_an_outage_cuts_what_is_there_and_what_comes(upstream: Upstream, proxy: ApiProxy) -> None:
    with httpx.stream("GET", f"{proxy.url}/jobs?watch=true", timeout=5) as watch:
        words = watch.iter_bytes()
        upstream.say(b"ADDED")
        assert next(words) == b"ADDED"
        proxy.fail()
        with pytest.raises(httpx.TransportError):
            next(words)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{proxy.url}/jobs")
    proxy.recover()
    assert httpx.get(f"{proxy.url}/jobs").status_code == 200


def test_a_call_can_be_cut_before_and_after_it_takes_effect(upstream: Upstream, proxy: ApiProxy) -> None:
    async def cut(_call: Call) -> None:
        raise Cut

    proxy.before = cut
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{proxy.url}/jobs", content=b"lost")
    proxy.reset()
    proxy.after = cut
    with pytest.raises(httpx.TransportError):
        httpx.post(f"{proxy.url}/jobs", content=b"answer lost")
    assert upstream.created == [b"answer lost"]
    assert [call.status for call in proxy.writes] == [201]


def test_a_call_can_be_answered_in_the_servers_place(upstream: Upstream, proxy: ApiProxy) -> None:
    async def refuse(call: Call) -> None:
        if call.writes:
            raise Refused(429)

    proxy.before = refuse
    assert httpx.post(f"{proxy.url}/jobs", content=b"job").status_code == 429
    assert httpx.get(f"{proxy.url}/jobs").status_code == 200
    assert upstream.created == []

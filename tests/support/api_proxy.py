"""Stands between the operator and the API server: counts its calls, and delays, stalls, cuts and refuses them.

Plain HTTP in, TLS out, with the caller's own token. Watches are passed on as they come.
"""

import asyncio
import ssl
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

_WRITING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_OF_THE_CONNECTION = frozenset({"connection", "host", "keep-alive", "transfer-encoding"})


@dataclass(slots=True)
class Call:
    """One call on the API server that came in `at` (Unix time); `status` is there once it has answered."""

    number: int
    method: str
    path: str
    watches: bool
    body: str = ""
    at: float = field(default_factory=time.time)
    status: int | None = None

    @property
    def writes(self) -> bool:
        return self.method in _WRITING

    def is_about(self, name: str) -> bool:
        """Whether it names something, in its path or in its body."""
        return name in self.path or name in self.body

    def __str__(self) -> str:
        return f"{'WATCH' if self.watches else self.method} {self.path}"


class Cut(Exception):
    """A hook raises it to end the connection without an answer."""


class Refused(Exception):
    """A hook raises it to answer in the API server's place; a watch learns of 410 as its first event, as there."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


Hook = Callable[[Call], Awaitable[None]]


async def let_pass(_call: Call) -> None:
    """The hook that does nothing."""


class ApiProxy:
    """A proxy; what a test does to it takes effect at once.

    Attributes:
        url: Where it listens.
        calls: All calls so far.
        before: Awaited for each call before it is sent on.
        after: Awaited when the API server has answered, before the caller learns of it; for a watch when it begins.
    """

    def __init__(self, server: str, tls: ssl.SSLContext) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self.before: Hook = let_pass
        self.after: Hook = let_pass
        self._server = server
        self._tls = tls
        self._lines: set[asyncio.Transport] = set()
        self._is_down = False
        self._loop: asyncio.AbstractEventLoop
        self._flows: asyncio.Event
        self._stop: asyncio.Event

    # ---- for tests

    @property
    def writes(self) -> list[Call]:
        return [call for call in self.calls if call.writes]

    def reset(self) -> None:
        """No faults any more, and count from one."""
        self.before = self.after = let_pass
        self.recover()
        self.calls.clear()

    def stall(self) -> None:
        """From now on nothing passes, in no direction, and no connection ends."""
        self._on_its_loop(self._flows.clear)

    def fail(self) -> None:
        """From now on every connection is cut, those that are there and new ones."""
        self._is_down = True
        self._on_its_loop(self._cut_all)

    def recover(self) -> None:
        """End what `stall` or `fail` began."""
        self._is_down = False
        self._on_its_loop(self._flows.set)

    def _on_its_loop(self, act: Callable[[], None]) -> None:
        async def acted() -> None:
            act()

        asyncio.run_coroutine_threadsafe(acted(), self._loop).result()

    def _cut_all(self) -> None:
        for line in self._lines:
            line.abort()

    # ---- on its own thread

    async def serve(self, started: threading.Event) -> None:
        """Serve until `stop`."""
        self._loop = asyncio.get_running_loop()
        self._flows, self._stop = asyncio.Event(), asyncio.Event()
        self._flows.set()
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        # A connection for each call, so that none is sent twice because an idle one had ended.
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=None)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as self._upstream:
            started.set()
            await self._stop.wait()
            await runner.cleanup()
        await asyncio.sleep(0.1)  # TLS connections take a moment to close (aiohttp: graceful shutdown)

    def stop(self) -> None:
        """End `serve`."""
        self._on_its_loop(self._stop.set)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        watches = request.query.get("watch") in ("true", "True", "1")
        body = (await request.read()).decode(errors="replace")
        call = Call(len(self.calls) + 1, request.method, request.path, watches, body)
        self.calls.append(call)
        line = request.transport
        if line is None:
            return web.Response()
        self._lines.add(line)
        try:
            return await self._pass(request, call)
        except Refused as refused:
            call.status = refused.status
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": refused.status}
            if call.watches and refused.status == 410:
                return web.json_response({"type": "ERROR", "object": status})
            return web.json_response(status, status=refused.status)
        except (Cut, aiohttp.ClientError, OSError):
            line.abort()
            return web.Response()
        finally:
            self._lines.discard(line)

    async def _pass(self, request: web.Request, call: Call) -> web.StreamResponse:
        if self._is_down:
            raise Cut
        await self._flows.wait()
        await self.before(call)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _OF_THE_CONNECTION}
        url = self._server + request.raw_path
        async with self._upstream.request(
            call.method, url, headers=headers, data=await request.read() or None
        ) as answer:
            call.status = answer.status
            body = None if call.watches else await answer.read()
            await self.after(call)
            await self._flows.wait()
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in _OF_THE_CONNECTION:
                    response.headers[name] = value
            await response.prepare(request)
            if body is not None:
                await response.write(body)
            else:
                async for part in answer.content.iter_any():
                    await self._flows.wait()
                    await response.write(part)
            await response.write_eof()
            return response


@contextmanager
def api_proxy(server: str, tls: ssl.SSLContext) -> Iterator[ApiProxy]:
    """Stand before an API server, which `tls` trusts, while the context lasts."""
    proxy, started = ApiProxy(server, tls), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(proxy.serve(started)))
    thread.start()
    started.wait()
    try:
        yield proxy
    finally:
        proxy.recover()
        proxy.stop()
        thread.join()

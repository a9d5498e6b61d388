"""Runs a sandbox inside this process, on a thread with its own event loop; tests and benchmarks use it."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar

from sanic import Sanic

from mynatca_sandbox.app import build_app
from mynatca_sandbox.calls import Calls
from mynatca_sandbox.exchange import Before, Observer
from mynatca_sandbox.intercom.conversations import begin
from mynatca_sandbox.options import Options
from mynatca_sandbox.state import State
from mynatca_sandbox.world.model import World

T = TypeVar("T")


@asynccontextmanager
async def serving(
    state: State, sock: socket.socket, observe: Observer | None = None, before: Before | None = None
) -> AsyncIterator[None]:
    """Serve `state` on a bound socket while the context lasts."""
    app = build_app(state, observe, before)
    server = await app.create_server(sock=sock, return_asyncio_server=True, access_log=False)
    if server is None:
        raise RuntimeError("Sanic made no server")
    await server.startup()  # type: ignore[no-untyped-call]  # Sanic's
    state.webhooks.check_url()
    try:
        yield
    finally:
        await server.close()  # type: ignore[no-untyped-call]  # Sanic's
        await state.webhooks.stop()
        Sanic.unregister_app(app)


class Sandbox:
    """A running sandbox: `with Sandbox(world) as sandbox: httpx.get(sandbox.url + "/contacts", ...)`.

    `url` is the base URL of Intercom and of Supabase alike, without a slash at the end. `observe` is told of each
    call on Intercom, on the sandbox's thread.

    `before`, which may be assigned to in mid-run, is told of each call on Intercom that is about to take effect: not
    of those refused or cut off on their way. It runs on the sandbox's thread while the call waits, and may change
    the world: what it does has happened when the call takes effect.
    """

    def __init__(
        self,
        world: World,
        options: Options | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        observe: Observer | None = None,
        before: Before | None = None,
    ) -> None:
        self._state = State(world, options or Options())
        sock = socket.create_server((host, port))
        self.url = f"http://{host}:{sock.getsockname()[1]}"
        self._serving = serving(self._state, sock, observe, self._tell_before)
        self.before = before
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run_loop, name="mynatca-sandbox", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._in_loop(self._serving.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._in_loop(self._serving.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def world(self) -> World:
        """The live world; after changing identifiers or states, or adding records, call `reset`."""
        return self._state.world

    @property
    def options(self) -> Options:
        """The options in force; assign to a field, or the whole, to change them in mid-run.

        Another `fault_seed` takes effect when the whole is assigned.
        """
        return self._state.options

    @options.setter
    def options(self, options: Options) -> None:
        self._between_calls(lambda: self._state.change_options(options))

    @property
    def calls(self) -> Calls:
        """What arrived since the start, the last `clear` or the last `reset`."""
        return self._state.calls

    def reset(self, world: World, options: Options | None = None) -> None:
        """Swap in a world and options (default: those in force); counters begin at zero."""
        self._between_calls(lambda: self._state.reset(world, options or self._state.options))

    def write_in(self, contact_id: str, body: str) -> str:
        """Let a contact begin an open conversation this very moment; return the conversation's id.

        Works from any thread and within `before`. An archived contact writes as it is and stays archived; for a
        merged one writes the contact that it became part of.

        Raises:
            KeyError: there is no such contact.
        """
        return self._between_calls(lambda: self._write_in(contact_id, body))

    def _write_in(self, contact_id: str, body: str) -> str:
        store = self._state.store
        return begin(store, store.canonical(store.contacts[contact_id]), body).id

    def _tell_before(self, method: str, path: str) -> None:
        if self.before:
            self.before(method, path)

    def _between_calls(self, action: Callable[[], T]) -> T:
        if threading.current_thread() is self._thread:  # within `before`: a call waits already
            return action()

        async def act() -> T:
            return action()

        return self._in_loop(act())

    def _in_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _run_loop(self) -> None:
        """Run the loop until it is stopped; then the runner ends what connections are left."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.get_loop().run_forever()

"""Runs a sandbox inside this process, on a thread with its own event loop; tests and benchmarks use it."""

import asyncio
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from sanic import Sanic

from mynatca_sandbox.app import build_app
from mynatca_sandbox.calls import Calls
from mynatca_sandbox.options import Options
from mynatca_sandbox.state import State
from mynatca_sandbox.world.model import World


class Sandbox:
    """A running sandbox: `with Sandbox(world) as sandbox: httpx.get(sandbox.url + "/contacts", ...)`.

    `url` is the base URL of Intercom and of Supabase alike, without a slash at the end.
    """

    def __init__(
        self, world: World, options: Options | None = None, *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._state = State(world, options or Options())
        self._socket = socket.create_server((host, port))
        self.url = f"http://{host}:{self._socket.getsockname()[1]}"
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mynatca-sandbox", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    @property
    def world(self) -> World:
        """The live world; after changing identifiers or states, or adding records, call `reset`."""
        return self._state.world

    @property
    def options(self) -> Options:
        """The options in force; assign to a field, or the whole, to change them in mid-run."""
        return self._state.options

    @options.setter
    def options(self, options: Options) -> None:
        self._in_loop(lambda: self._state.change_options(options))

    @property
    def calls(self) -> Calls:
        """What arrived since the start, the last `clear` or the last `reset`."""
        return self._state.calls

    def reset(self, world: World, options: Options | None = None) -> None:
        """Swap in a world and options (default: those in force); counters begin at zero."""
        self._in_loop(lambda: self._state.reset(world, options or self._state.options))

    def _in_loop(self, action: Callable[[], None]) -> None:
        async def act() -> None:
            action()

        asyncio.run_coroutine_threadsafe(act(), self._loop).result()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(serve(self._state, self._socket, self._stop, self._ready.set))


async def serve(state: State, sock: socket.socket, stop: asyncio.Event, ready: Callable[[], None]) -> None:
    """Serve `state` on a bound socket until `stop` is set; call `ready` once calls are taken."""
    app = build_app(state)
    server = await app.create_server(sock=sock, return_asyncio_server=True, access_log=False)
    if server is None:
        raise RuntimeError("Sanic made no server")
    await server.startup()  # type: ignore[no-untyped-call]  # Sanic's
    try:
        ready()
        await stop.wait()
    finally:
        await server.close()  # type: ignore[no-untyped-call]  # Sanic's
        Sanic.unregister_app(app)

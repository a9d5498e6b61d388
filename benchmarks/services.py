"""Servers under measurement in processes of their own, which may be killed and started again, and their stores."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from benchmarks.deliveries import PATH, SECRET
from mynatca_webhook.store.event import Depth
from mynatca_webhook.store.event_store import open_store
from support.ports import free_port
from support.postgres import postgres
from support.webhook_service import kill


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 900) -> None:
    """Wait on a condition; ends the measurement if it does not come true."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.1)


class Server:
    """A program that takes notifications in on a port.

    Args:
        port: where.
        command: what to start.
        settings: what it finds in its environment, beside ours.
        log: file for what it says on standard error.
    """

    def __init__(self, port: int, command: Sequence[str], settings: Mapping[str, str], log: Path) -> None:
        self._port = port
        self._command = command
        self._settings = settings
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where Intercom's notifications go."""
        return f"http://127.0.0.1:{self._port}{PATH}"

    def start(self) -> None:
        """Start it; it is not ready yet."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._command], env={**os.environ, **self._settings}, stdout=log, stderr=log
            )

    def is_ready(self) -> bool:
        """Whether it takes notifications in."""
        if self._process and self._process.poll() is not None:
            raise SystemExit(f"it has ended:\n{self._log.read_text()}")
        try:
            return httpx.get(self.url.replace(PATH, "/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """End it as a power failure would."""
        if self._process:
            kill(self._process)
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Let it end what it has begun, and wait for the end."""
        if self._process:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def complaints(self) -> str:
        """What it said on standard error."""
        return self._log.read_text() if self._log.exists() else ""


def replica(sandbox: str, store: str, folder: Path, log_level: str) -> Server:
    """One webhook service."""
    port = free_port()
    settings = {
        "INTERCOM_URL": sandbox,
        "INTERCOM_ACCESS_TOKEN": "sandbox-token",
        "INTERCOM_CLIENT_SECRET": SECRET,
        "INTERCOM_SEARCH_LAG_SECONDS": "0",
        "SUPABASE_URL": sandbox,
        "SUPABASE_KEY": "sandbox-key",
        "WEBHOOK_STORE": store,
        "WEBHOOK_PORT": str(port),
        "LOG_LEVEL": log_level,
    }
    return Server(port, ["mynatca_webhook", "serve"], settings, folder / f"service-{port}.log")


@contextmanager
def sqlite_store() -> Iterator[str]:
    """An empty store in a file, on the disk that temporary files are on."""
    with TemporaryDirectory() as folder:
        yield f"sqlite:///{folder}/events.db"


@contextmanager
def postgresql_store() -> Iterator[str]:
    """An empty store of a real server that nobody else uses."""
    with postgres() as server:
        server.run("CREATE DATABASE events")
        yield server.url("events")


@contextmanager
def replicas(count: int, sandbox: str, store: str, *, log_level: str = "ERROR") -> Iterator[Sequence[Server]]:
    """So many services of one store, ready; stopped at the end."""
    with TemporaryDirectory() as folder:
        services = [replica(sandbox, store, Path(folder), log_level) for _ in range(count)]
        with running(services) as all_:
            yield all_


@contextmanager
def bare_server() -> Iterator[Server]:
    """The server of `benchmarks.bare`, ready; stopped at the end."""
    port = free_port()
    with TemporaryDirectory() as folder:
        command = ["benchmarks.bare", str(port), f"{folder}/events"]
        with running([Server(port, command, {}, Path(folder) / "log")]) as [server]:
            yield server


@contextmanager
def running(servers: Sequence[Server]) -> Iterator[Sequence[Server]]:
    """Servers that are ready; stopped at the end."""
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.stop)
            server.start()
        for server in servers:
            wait_until(server.is_ready, "a server starts", 60)
        yield servers


def depth_of(store: str) -> Depth:
    """How much is left to do."""

    async def look() -> Depth:
        async with open_store(store) as opened:
            return await opened.depth()

    return asyncio.run(look())


def wait_for_the_end(store: str) -> None:
    """Wait until all that was accepted is done or given up."""

    def ended() -> bool:
        depth = depth_of(store)
        return depth.waiting + depth.claimed == 0

    wait_until(ended, "the queue is worked off")

"""One server process: from its start to its stop."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvloop
from sanic.server import AsyncioServer

from mynatca_intercom import logs
from mynatca_intercom.settings import RunSettings, load
from mynatca_webhook.app import App, build_app
from mynatca_webhook.service import Service, open_service

CLOSING_SECONDS = 0.05
"""How often is looked whether a connection can be closed."""

log = logging.getLogger("mynatca_webhook.server")  # by its name, as this module may be `__main__`


def run_server(environment: Mapping[str, str], sock: socket.socket, lifeline: int | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code.

    Args:
        environment: settings.
        sock: what to listen on; other processes may do so, too.
        lifeline: read end of a pipe; when its other end is closed this process stops as on SIGTERM.

    Raises:
        SettingsError, BadStoreUrl, StoreUnavailable: the service cannot be opened.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(environment, sock, lifeline))


async def _serve(environment: Mapping[str, str], sock: socket.socket, lifeline: int | None) -> int:
    stop = _stop_signal(lifeline)
    loop = asyncio.get_running_loop()
    executor = ThreadPoolExecutor(thread_name_prefix="asking")
    loop.set_default_executor(executor)
    async with open_service(environment) as service:
        server = await _listening(build_app(service), sock)
        log.info("ready")
        failed = await _until_stopped(stop, service)
        end = loop.time() + service.configuration.webhook.grace_seconds
        await service.drain(end)  # meanwhile requests are answered
        await _close(server, end)
    log.info("stopped")
    executor.shutdown(wait=False, cancel_futures=True)
    _leave_behind("asking", int(failed))
    return int(failed)


def _stop_signal(lifeline: int | None) -> asyncio.Event:
    """What is set as soon as this process is asked to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if lifeline is not None:

        def cut() -> None:
            loop.remove_reader(lifeline)
            stop.set()

        loop.add_reader(lifeline, cut)
    return stop


async def _listening(app: App, sock: socket.socket) -> AsyncioServer:
    server = await app.create_server(sock=sock, return_asyncio_server=True, access_log=False)
    if server is None:
        raise RuntimeError("Sanic made no server")
    await server.startup()  # type: ignore[no-untyped-call]  # Sanic's
    return server


async def _until_stopped(stop: asyncio.Event, service: Service) -> bool:
    """Return when this process is to stop; True if that is as nobody works the stored events any more."""
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({stopped, service.work}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if stop.is_set():
        return False
    log.critical("nobody works the stored events any more", exc_info=service.work.exception())
    return True


async def _close(server: AsyncioServer, end: float) -> None:
    """Take no more connections, have the requests that came in answered, and cut off what is left at the end.

    By hand, as Python from 3.12 on waits for idle connections, too, which an ingress keeps open.
    """
    server.app.config.KEEP_ALIVE = False
    closed: asyncio.Task[Any] = server.close()  # type: ignore[no-untyped-call]  # Sanic's
    while server.connections and asyncio.get_running_loop().time() < end:
        for connection in tuple(server.connections):
            connection.close_if_idle()
        await asyncio.sleep(CLOSING_SECONDS)
    for connection in tuple(server.connections):
        connection.abort()
    await asyncio.wait({closed}, timeout=1)


def _leave_behind(threads: str, exit_code: int) -> None:
    """End this process at once if some of these threads are busy still, as Python would wait for them.

    They read from a database that does not answer, for somebody who is gone.
    """
    busy = [thread for thread in threading.enumerate() if thread.name.startswith(threads)]
    for thread in busy:
        thread.join(0.1)
    if any(thread.is_alive() for thread in busy):
        logging.shutdown()
        os._exit(exit_code)


def main() -> None:
    """Serve as one of several processes: on the socket of the given number, until standard input is closed."""
    settings = load(RunSettings, os.environ)
    logs.set_up(settings.log_level, "webhook")
    try:
        sys.exit(run_server(os.environ, socket.socket(fileno=int(sys.argv[1])), sys.stdin.fileno()))
    except OSError as error:  # `StoreUnavailable` is one
        log.critical("not started: %s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()

"""A process that answers: takes notifications in, looks up, and serves the inbox app."""

import asyncio
import logging
import socket
from typing import Any

from sanic.server import AsyncioServer

from mynatca_webhook.app import App, build_app
from mynatca_webhook.bell import Bell
from mynatca_webhook.service import Service

CLOSING_SECONDS = 0.05
"""How often is looked whether a connection can be closed."""

log = logging.getLogger(__name__)


async def serve(service: Service, bell: Bell, stop: asyncio.Event, sock: socket.socket) -> int:
    """Answer until it is to stop; then what requests began is awaited, within the grace time. Returns the exit code.

    Args:
        service: what answers are made with.
        bell: rung for each event that is stored.
        stop: when.
        sock: what to listen on; other processes may do so, too.
    """
    server = await _listening(build_app(service, bell), sock)
    log.info("ready")
    await stop.wait()
    end = asyncio.get_running_loop().time() + service.configuration.webhook.grace_seconds
    await _close(server, end)
    await service.background.finish(end)
    return 0


async def _listening(app: App, sock: socket.socket) -> AsyncioServer:
    server = await app.create_server(sock=sock, return_asyncio_server=True, access_log=False)
    if server is None:
        raise RuntimeError("Sanic made no server")
    await server.startup()  # type: ignore[no-untyped-call]  # Sanic's
    return server


async def _close(server: AsyncioServer, end: float) -> None:
    """Take no more connections, have the requests that came in answered, and cut off what is left at the end.

    By hand, as Python from 3.12 on waits for idle connections, too, which an ingress keeps open.
    """
    server.app.config.KEEP_ALIVE = False
    await asyncio.sleep(CLOSING_SECONDS)  # those who are connected already are accepted first
    closed: asyncio.Task[Any] = server.close()  # type: ignore[no-untyped-call]  # Sanic's
    while server.connections and asyncio.get_running_loop().time() < end:
        for connection in tuple(server.connections):
            connection.close_if_idle()
        await asyncio.sleep(CLOSING_SECONDS)
    for connection in tuple(server.connections):
        connection.abort()
    await asyncio.wait({closed}, timeout=1)

"""What Kubernetes and Prometheus ask: whether the operator sees and works, and what it has seen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from mynatca_operator.sweep import Sweeper


@asynccontextmanager
async def serving(sweeper: Sweeper, registry: CollectorRegistry, port: int) -> AsyncIterator[None]:
    """Serve /healthz, /readyz and /metrics.

    Raises:
        OSError: the port cannot be had.
    """

    async def alive(_request: web.Request) -> web.Response:
        if sweeper.is_blind:
            return web.json_response({"status": "blind", "reason": "the cluster was not read for too long"}, status=503)
        return web.json_response({"status": "ok"})

    async def ready(_request: web.Request) -> web.Response:
        if not sweeper.is_ready:
            return web.json_response({"status": "not ready", "reason": "nothing was read yet"}, status=503)
        return web.json_response({"status": "ready"})

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port).start()
        yield
    finally:
        await runner.cleanup()

"""`python -m benchmarks.bare PORT FILE`: the least that a server does that keeps what it is sent."""

import os
import sys
from pathlib import Path
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.response import json

from benchmarks.deliveries import PATH


def build_app(file: int) -> Sanic[Any, Any]:
    """Reads the body, appends it to a file, and answers when it is on the disk."""
    app: Sanic[Any, Any] = Sanic("bare", configure_logging=False)

    @app.post(PATH)
    async def notify(request: Request[Any, Any]) -> HTTPResponse:
        os.write(file, request.body)
        os.fsync(file)
        return json({"received": True})

    @app.get("/readyz")
    async def ready(_request: Request[Any, Any]) -> HTTPResponse:
        return json({"status": "ready"})

    return app


if __name__ == "__main__":
    opened = os.open(Path(sys.argv[2]), os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    build_app(opened).run("127.0.0.1", int(sys.argv[1]), single_process=True, access_log=False, motd=False)

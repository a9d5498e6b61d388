"""What a run serves while it lasts: its metrics, and the beginning of its plan for whoever is to approve it."""

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from mynatca_intercom.metrics import REGISTRY

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

MAX_ACTIONS = 500
MAX_BYTES = 250 * 1024
"""A ConfigMap takes the page, and leaves room for what else stands there (Kubernetes: 1 MiB)."""

log = logging.getLogger(__name__)


class _Server(ThreadingMixIn, WSGIServer):
    """Closing it waits for answers that are being sent."""


class _Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, *_: Any) -> None:
        """Say nothing: a request is no news."""


@contextmanager
def served(port: int | None, plan: Callable[[], bytes | None], kept: Callable[[], object]) -> Iterator[None]:
    """Serve `/plan`, and metrics anywhere else, while this lasts; nothing without a port.

    Args:
        port: where; 0 takes a free one.
        plan: the page of the plan; None as long as there is none. Called in another thread.
        kept: told at `DELETE /plan`, by which whoever fetched the page says that it is kept; in another thread.
    """
    if port is None:
        yield
        return
    metrics_app: WSGIApplication = make_wsgi_app(REGISTRY)

    def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/plan":
            return metrics_app(environ, start_response)
        page = plan()
        if page is None:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"The plan is not made yet.\n"]
        if environ["REQUEST_METHOD"] == "DELETE":
            kept()
            start_response("204 No Content", [])
            return []
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(page)))])
        return [page]

    with make_server("", port, app, _Server, _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1})
        thread.start()
        log.info("metrics are served on port %d", server.server_port)
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def beginning(plan: Path, run_id: str, plan_digest: str) -> bytes:
    """Counts and the first actions of a plan file as a page: whom and which fields they are about, never a value."""
    with plan.open(encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    actions = [line for line in lines if line["kind"] not in ("request", "finding")]
    counts = Counter(action["kind"] for action in actions)
    page = {"run_id": run_id, "plan_digest": plan_digest, "actions_total": len(actions), "counts": counts}
    first = [_told(action) for action in actions[:MAX_ACTIONS]]
    while len(text := json.dumps({**page, "actions": first}).encode()) > MAX_BYTES:
        first = first[: len(first) // 2]
    return text


def _told(action: dict[str, Any]) -> dict[str, Any]:
    return {
        "kind": action["kind"],
        "member_number": action["member_number"],
        "contact_id": action["contact_id"],
        "into": action.get("into"),
        "fields": list(action["after"]),
        "reason": action.get("reason", ""),
    }

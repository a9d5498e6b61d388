"""Prometheus' service discovery by HTTP for the pods of a cluster."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx


@contextmanager
def discovery(client: httpx.Client) -> Iterator[str]:
    """Answer, at the address that it yields, which pods have `labels` in a `namespace` and a `port` of that name."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = dict(parse_qsl(urlsplit(self.path).query))
            pods = client.get(
                f"/api/v1/namespaces/{asked['namespace']}/pods", params={"labelSelector": asked["labels"]}
            ).json()["items"]
            body = json.dumps([target for pod in pods for target in _targets(pod, asked["port"])]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def _targets(pod: dict[str, Any], port: str) -> Iterator[dict[str, Any]]:
    address = pod["status"].get("podIP")
    for container in pod["spec"]["containers"]:
        for each in container.get("ports", []):
            if address and each.get("name") == port:
                yield {"targets": [f"{address}:{each['containerPort']}"], "labels": {"pod": pod["metadata"]["name"]}}

"""A server that answers what a test tells it to, for answers that the sandbox never gives."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Request:
    """One request as it arrived; `path` with its query."""

    method: str
    path: str
    headers: Message
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to answer; status 0 closes the connection without a word."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Server(ThreadingHTTPServer):
    """Keeps the requests that it gets."""

    def __init__(self, answer: Callable[[Request], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.requests: list[Request] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = Request(self.command, self.path, self.headers, body)
        self.server.requests.append(request)
        answer = self.server.answer(request)
        if answer.status:
            self.send_response(answer.status)
            for name, value in (answer.headers | {"Content-Length": str(len(answer.body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the names that it calls

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name that it has there
        """Nothing: tests print for themselves."""


@contextmanager
def canned(answer: Callable[[Request], Answer]) -> Iterator[Server]:
    """Serve on a thread while the context lasts."""
    with Server(answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

"""The service answers what its description says, and never with a fault of its own, whatever it is sent."""

import hashlib
import hmac
import json
import re
import socket
from select import select
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    missing_required_header,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from mynatca_sandbox.world.model import Contact
from mynatca_webhook.app import build_app
from mynatca_webhook.description import description
from mynatca_webhook.notification import KNOWN_TOPICS
from support.webhook_service import SECRET, WEBHOOK, Service, signed

LOOKUP = "/api/intercom/lookup"
CANVAS = "/api/intercom/canvas"
KEY = "k" * 32
CHECKS = [
    allow_header_conformance,
    content_type_conformance,
    missing_required_header,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
]
bounded = settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[*HealthCheck])


def signatures(body: bytes) -> dict[str, str]:
    """What lets a request past all guards, whichever endpoint it is for."""
    canvas = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return {**signed(body), "X-Body-Signature": canvas, "Authorization": f"Bearer {KEY}"}


def with_signatures(prepared: Any) -> Any:
    """Signs a request as it is about to be sent."""
    body = prepared.body or b""
    prepared.headers.update(signatures(body.encode() if isinstance(body, str) else body))
    return prepared


@pytest.fixture
def running(service: Service, lead: Contact) -> Service:  # noqa: ARG001 - somebody to be found
    service.start(LOOKUP_KEYS=f"helpdesk={KEY}", LOOKUP_LIMIT_PER_MINUTE="100000")
    return service


def test_every_route_is_described_and_nothing_else() -> None:
    app = build_app(None, None)  # type: ignore[arg-type]  # nothing is asked of it
    routes = {(f"/{route.path}", method.lower()) for route in app.router.routes for method in route.methods}

    assert routes == {(path, method) for path, operations in description()["paths"].items() for method in operations}


class TestConformance:
    """By schemathesis, on a running service."""

    @pytest.fixture
    def schema(self, running: Service) -> BaseSchema:
        return schemathesis.openapi.from_url(f"{running.url}/openapi.json")

    def test_what_is_signed_is_answered_as_described(self, schema: BaseSchema) -> None:
        statuses = self.answered(schema, auth=with_signatures)

        reached = {
            ("POST", WEBHOOK): {200, 400},
            ("HEAD", WEBHOOK): {200},
            ("POST", LOOKUP): {404, 422},
            ("GET", LOOKUP): {404, 422},
            ("POST", f"{CANVAS}/initialize"): {200, 400},
            ("POST", f"{CANVAS}/submit"): {200, 400},
            ("GET", "/healthz"): {200},
            ("GET", "/readyz"): {200},
        }
        assert {place: statuses[place] & seen for place, seen in reached.items()} == reached

    def test_what_is_not_is_refused_as_described(self, schema: BaseSchema) -> None:
        statuses = self.answered(schema)

        guarded = (WEBHOOK, LOOKUP, f"{CANVAS}/initialize", f"{CANVAS}/submit")
        assert {path for (_, path), seen in statuses.items() if seen == {401}} == {*guarded}

    def answered(self, schema: BaseSchema, **how: Any) -> dict[tuple[str, str], set[int]]:
        """Send what is described, and what is not, to all operations; returns the statuses of each."""
        results: Any = schema.get_all_operations()
        operations = [result.ok() for result in results]
        return {(each.method.upper(), each.path): _statuses(each, how) for each in operations}


def _statuses(operation: Any, how: dict[str, Any]) -> set[int]:
    """What an operation answers to what it describes, and if it takes anything to what it does not."""
    takes = operation.body or operation.query
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE] if takes else [GenerationMode.POSITIVE]
    statuses: set[int] = set()

    @bounded
    @given(st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes]))
    def conforms(case: Any) -> None:
        statuses.add(case.call_and_validate(checks=CHECKS, **how).status_code)

    conforms()
    return statuses


# ---- whatever it is sent

NAMES = b"""Content-Type Content-Length Transfer-Encoding Content-Encoding Expect Connection Upgrade Host Accept Cookie
Authorization X-Hub-Signature X-Body-Signature X-Request-ID X-Forwarded-For Forwarded If-None-Match Range""".split()
VALUES = rb"""chunked|gzip|-1|0|1e3|99999999999999999999|100-continue|websocket|close|application/x-www-form-urlencoded|
multipart/form-data|multipart/form-data; boundary=|application/json; charset=utf-7|Bearer|Basic Og==|sha1=|bytes=0-|
for=_"|a=b; c""".replace(b"\n", b"").split(b"|")
ODD_VALUES = [b"", b"text/\xff", b"Bearer \xff\xfe", b"sha1=\xe9", b"\x00", b"x" * 9000]
headers = st.lists(
    st.tuples(
        st.sampled_from(NAMES) | st.binary(max_size=12),
        st.sampled_from(VALUES + ODD_VALUES) | st.binary(max_size=30) | st.text(max_size=20).map(str.encode),
    ),
    max_size=5,
)
methods = st.sampled_from([b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE", b"CONNECT"])
described = [
    (method.upper().encode(), path.encode())
    for path, operations in description()["paths"].items()
    for method in operations
]
paths = st.sampled_from([path for _, path in described])
odd_paths = st.builds(lambda path, more: path + more, paths | st.just(b"/"), st.binary(max_size=20))
targets = st.sampled_from(described) | st.tuples(methods | st.binary(max_size=8), paths | odd_paths)
queries = st.sampled_from([b"", b"?", b"?email=a@b.c", b"?email=&email=", b"?%ff", b"?email=%00", b"?email[]=1&x"])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3),
    max_leaves=8,
)
people = st.fixed_dictionaries({}, optional={"id": values, "contacts": st.fixed_dictionaries({"contacts": values})})
known = st.fixed_dictionaries(
    {},
    optional={
        "id": values,
        "topic": st.sampled_from(sorted(KNOWN_TOPICS)) | values,
        "created_at": values,
        "data": st.fixed_dictionaries({}, optional={"item": people | values}) | values,
        "email": st.sampled_from(["ann@example.com", "a@b.\x00", "\ud800@b.c", "x" * 300 + "@b.c"]) | values,
        "contact": people | values,
        "customer": people | values,
        "component_id": st.sampled_from(["sync", "number"]) | values,
        "input_values": st.dictionaries(st.sampled_from(["number", "x"]), values) | values,
    },
)
bodies = st.binary(max_size=200) | st.builds(
    lambda value: json.dumps(value).encode(errors="surrogatepass"), known | values
)


def framed(body: bytes, how: str) -> tuple[bytes, bytes]:
    """The header that says where a body ends, right or wrong, and the body as it is sent."""
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    return {
        "length": (b"Content-Length: %d\r\n" % len(body), body),
        "none": (b"", body),
        "too long": (b"Content-Length: %d\r\n" % (len(body) + 9), body),
        "too short": (b"Content-Length: %d\r\n" % (len(body) // 2), body),
        "huge": (b"Content-Length: 1048577\r\n", body),
        "chunked": (b"Transfer-Encoding: chunked\r\n", chunked),
        "chunked wrongly": (b"Transfer-Encoding: chunked\r\n", body),
        "both": (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", chunked),
    }[how]


def answered(port: int, request: bytes) -> bytes:
    """All that comes back; a request that is never whole gets no answer, or none before its sender ends it."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        answer = b""
        try:
            connection.sendall(request)
            if select([connection], [], [], 0.2)[0]:
                answer = connection.recv(65536)
            connection.shutdown(socket.SHUT_WR)
            answer += b"".join(iter(lambda: connection.recv(65536), b""))
        except ConnectionError:  # it may close while it is still sent to
            pass
        return answer


def statuses_of(answer: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"^HTTP/1\.[01] (\d{3})", answer, re.MULTILINE)]


class TestFuzz:
    """Without any description, and past the guards as often as not."""

    def test_no_request_makes_it_fail(self, running: Service) -> None:
        seen: set[int] = set()

        @settings(bounded, max_examples=400)
        @given(
            targets,
            queries,
            headers,
            bodies,
            st.sampled_from(
                ["length"] * 8 + ["none", "too long", "too short", "huge", "chunked", "chunked wrongly", "both"]
            ),
            st.booleans(),
        )
        def survives(
            target: tuple[bytes, bytes],
            query: bytes,
            more: list[tuple[bytes, bytes]],
            body: bytes,
            how: str,
            signed: bool,  # noqa: FBT001 - drawn
        ) -> None:
            own = signatures(body) if signed else {}
            length, sent = framed(body, how)
            lines = [(b"Host", b"x"), *((name.encode(), value.encode()) for name, value in own.items()), *more]
            head = b"%s %s%s HTTP/1.1\r\n" % (*target, query)
            head += b"".join(b"%s: %s\r\n" % line for line in lines) + length
            statuses = statuses_of(answered(running.port, head + b"\r\n" + sent))
            assert all(status < 500 for status in statuses)
            seen.update(statuses)

        survives()

        assert seen >= {200, 400, 401, 404, 405, 413, 422}
        assert httpx.get(f"{running.url}/readyz").status_code == 200
        assert running.stop() == 0
        assert {json.loads(line)["level"] for line in running.errors.splitlines()} <= {"INFO"}

    def test_bytes_that_are_no_request_are_not_its_end(self, running: Service) -> None:
        @settings(bounded, max_examples=50)
        @given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda junk: b"GET /healthz HTTP/1.1\r\n" + junk))
        def survives(junk: bytes) -> None:
            assert all(status < 500 for status in statuses_of(answered(running.port, junk)))

        survives()

        assert httpx.get(f"{running.url}/readyz").status_code == 200
        assert running.stop() == 0
        assert {json.loads(line)["level"] for line in running.errors.splitlines()} <= {"INFO"}

    @pytest.mark.parametrize("address", [b"/healthz\x01?who=bob", b"/\xff?who=bob", b"bob"])
    def test_an_address_that_cannot_be_read_is_told_so_and_not_logged(self, running: Service, address: bytes) -> None:
        answer = answered(running.port, b"GET " + address + b" HTTP/1.1\r\nHost: x\r\n\r\n")

        assert statuses_of(answer) == [400]
        assert b"bob" not in answer
        assert running.stop() == 0
        assert running.errors == ""

    @pytest.mark.parametrize(
        ("request_line", "size", "status"),
        [(b"GET /healthz HTTP/1.1", 8_200, 413), (b"GET /" + b"x" * 8_200 + b" HTTP/1.1", 0, 413)],
    )
    def test_a_huge_header_is_refused(self, running: Service, request_line: bytes, size: int, status: int) -> None:
        answer = answered(running.port, request_line + b"\r\nHost: x\r\nX: " + b"x" * size + b"\r\n\r\n")

        assert statuses_of(answer) == [status]

"""How a call gets to Intercom and back: paced, retried within bounds, counted, its answer read into a type.

Nothing is decided here: a 409 or 410 goes up as its own error, and is never sent again.
"""

import asyncio
import logging
import time
from itertools import product
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, get_args

import aiohttp
import httpx
import stamina
from httpx_aiohttp import AiohttpTransport
from pydantic import TypeAdapter, ValidationError

from mynatca_intercom import metrics
from mynatca_intercom.intercom.errors import (
    Conflict,
    NoAnswer,
    RateLimited,
    ServerFailed,
    error_of,
)
from mynatca_intercom.intercom.pacing import Pacer
from mynatca_intercom.settings import IntercomSettings

API_VERSION = "2.16"

Operation = Literal[
    "archive_contact",
    "attach_contact",
    "create_attribute",
    "create_contact",
    "create_note",
    "detach_contact",
    "find_by_external_id",
    "get_contact",
    "get_conversation",
    "identify",
    "list_all_tags",
    "list_attributes",
    "list_contacts",
    "list_notes",
    "list_tags",
    "merge_contacts",
    "note_conversation",
    "search_contacts",
    "search_conversations",
    "search_tickets",
    "tag_contact",
    "tag_conversation",
    "unarchive_contact",
    "untag_contact",
    "untag_conversation",
    "update_contact",
]
"""What a call is for, in counts, metrics and errors."""

STATUSES = ("200", "400", "401", "403", "404", "409", "410", "422", "429", "500", "502", "503", "504", "none")
"""Answers that Intercom is known to give; counts of all others begin when they come."""

for _operation, _status in product(get_args(Operation), STATUSES):
    metrics.CALLS.labels(_operation, _status)
for _operation in get_args(Operation):
    metrics.CALL_SECONDS.labels(_operation)

T = TypeVar("T")

log = logging.getLogger(__name__)


def _note_retry(details: stamina.instrumentation.RetryDetails) -> None:
    metrics.RETRIES.inc()
    log.debug("sent again in %.1f s: %s", details.wait_for, details.caused_by)


# In place of the library's own hooks, which log a warning per retry and count into a registry that nobody serves.
stamina.instrumentation.set_on_retry_hooks([_note_retry])


class _Transient:
    """Whether a call that failed is worth another attempt.

    `repeatable`: whether its effect is the same if it took effect already. `server_failures`: answers of 5xx at
    which it is given up.
    """

    def __init__(self, server_failures: int, *, repeatable: bool) -> None:
        self._left = server_failures
        self._repeatable = repeatable

    def __call__(self, error: Exception) -> bool:
        if isinstance(error, RateLimited):
            return True
        if isinstance(error, ServerFailed):
            self._left -= 1
        return self._repeatable and self._left > 0 and isinstance(error, NoAnswer | ServerFailed)


class Transport:
    """The connection to one workspace; use as an asynchronous context manager."""

    def __init__(self, settings: IntercomSettings) -> None:
        self.calls: dict[str, int] = {}
        self._settings = settings
        self._pacer = Pacer(settings.reserve)
        self._places = asyncio.Semaphore(settings.concurrency)
        self._http = httpx.AsyncClient(
            base_url=settings.base_url,
            timeout=settings.timeout_seconds,
            headers={
                "Authorization": f"Bearer {settings.access_token.get_secret_value()}",
                "Intercom-Version": API_VERSION,
                "Accept": "application/json",
            },
            transport=AiohttpTransport(client=self._session),
        )

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=self._settings.concurrency)
        session = aiohttp.ClientSession(connector=connector, trust_env=True)
        # aiohttp sends idempotent calls again by itself, past the pacer and the counters; it has no public switch.
        session._retry_connection = False  # noqa: SLF001
        return session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def call(self, answer: TypeAdapter[T], operation: Operation, method: str, path: str, **content: Any) -> T:
        """The answer of a call, read into its type; `ServerFailed` when it cannot be read.

        `operation` names the call in counts, metrics and errors; `content` is httpx's (`json`, `params`).
        """
        response = await self.send(operation, method, path, **content)
        try:
            return answer.validate_json(response.content)
        except ValidationError as error:
            fields = ", ".join(sorted({".".join(map(str, fault["loc"][-1:])) for fault in error.errors()}))
            request_id = response.headers.get("x-request-id")
            raise ServerFailed(response.status_code, f"unreadable_answer ({fields})", operation, request_id) from None

    async def send(
        self,
        operation: Operation,
        method: str,
        path: str,
        *,
        repeatable: bool = True,
        server_failures: int | None = None,
        **content: Any,
    ) -> httpx.Response:
        """Send until answered for good: 429, 5xx and silence are tried again, with growing jittered waits.

        A call that is not `repeatable`, as it would take effect twice, is tried again after 429 only.
        `server_failures` ends it sooner: at so many answers of 5xx.
        """
        async for attempt in stamina.retry_context(
            on=_Transient(server_failures or self._settings.max_attempts, repeatable=repeatable),
            attempts=self._settings.max_attempts,
            timeout=None,
            wait_initial=0.5,
            wait_max=10,
            wait_jitter=0.5,
        ):
            with attempt:
                try:
                    return await self._send_once(operation, method, path, **content)
                except Conflict as conflict:
                    conflict.after_silence = attempt.num > 1
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _send_once(self, operation: Operation, method: str, path: str, **content: Any) -> httpx.Response:
        async with self._places:
            await self._pacer.wait_turn()
            return await self._send_now(operation, method, path, **content)

    async def _send_now(self, operation: Operation, method: str, path: str, **content: Any) -> httpx.Response:
        self.calls[operation] = self.calls.get(operation, 0) + 1
        started = time.monotonic()
        try:
            response = await self._http.request(method, path, **content)
        except BaseException as error:
            self._pacer.no_answer()
            metrics.CALLS.labels(operation, "none").inc()
            if isinstance(error, httpx.RequestError | aiohttp.ClientError):
                raise NoAnswer(f"{operation}: no answer from Intercom ({type(error).__name__})") from None
            raise
        self._pacer.answer(response.headers)
        metrics.CALLS.labels(operation, str(response.status_code)).inc()
        metrics.CALL_SECONDS.labels(operation).observe(time.monotonic() - started)
        if response.is_success:
            return response
        raise error_of(response, operation)

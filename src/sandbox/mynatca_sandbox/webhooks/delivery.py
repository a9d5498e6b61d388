"""Delivers notifications to the app's URL in the background, as Intercom does (Intercom: Webhooks).

Documented: the envelope, the signature, five seconds for an answer, one further attempt, any 2xx is success, 410 ends
the subscription, a HEAD request when the URL is set. Not played: the slowing down after 429, and the pause and
suspension after many errors.
"""

import asyncio
import hashlib
import hmac
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import httpx
import orjson
from httpx_aiohttp import HttpxAiohttpClient

from mynatca_sandbox.options import Options

TIMEOUT_SECONDS = 5
CONNECTIONS = 20
REMEMBERED_FAILURES = 100

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Notification:
    """One notification on its way to `url`; `item` is JSON of the moment of the event."""

    topic: str
    app_id: str
    item: bytes
    url: str
    id: str = field(default_factory=lambda: f"notif_{uuid4()}")
    created_at: int = field(default_factory=lambda: int(time.time()))
    first_sent_at: int | None = None
    attempts: int = 0

    def envelope(self) -> bytes:
        """Return the body of the next attempt, and count it."""
        self.attempts += 1
        self.first_sent_at = self.first_sent_at or int(time.time())
        return orjson.dumps(
            {
                "type": "notification_event",
                "id": self.id,
                "topic": self.topic,
                "app_id": self.app_id,
                "created_at": self.created_at,
                "first_sent_at": self.first_sent_at,
                "delivery_attempts": self.attempts,
                "self": None,
                "data": {"type": "notification_event_data", "item": orjson.Fragment(self.item)},
            }
        )


@dataclass(slots=True)
class Counts:
    """`sent` are attempts; each delivery ends as `delivered` or `failed`, and `retried` are second attempts to come."""

    sent: int = 0
    delivered: int = 0
    retried: int = 0
    failed: int = 0


class Deliveries:
    """The subscription of one app. All but the constructor belongs on the event loop that serves."""

    def __init__(self, options: Callable[[], Options]) -> None:
        self._options = options
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: httpx.AsyncClient | None = None
        self._places = asyncio.Semaphore(CONNECTIONS)
        self._checked_url = ""
        self._url_answer: int | str | None = None
        self._begin()

    def _begin(self) -> None:
        self._counts = Counts()
        self._failed_ids: deque[str] = deque(maxlen=REMEMBERED_FAILURES)
        self._pending: dict[asyncio.Task[None], Notification] = {}
        self._ended_url = ""
        self._random = random.Random(1)  # noqa: S311  - repeatable on purpose

    @property
    def live(self) -> bool:
        """Whether there is a URL to deliver to that has not answered 410."""
        url = self._options().webhook_url
        return bool(url) and url != self._ended_url

    def send(self, topic: str, item: dict[str, Any], app_id: str) -> str | None:
        """Begin to deliver a notification, twice if the option's rate says so; return its id, None if not `live`."""
        if not self.live:
            return None
        self.check_url()
        options, item_json = self._options(), orjson.dumps(item)
        notification = Notification(topic, app_id, item_json, options.webhook_url)
        self._begin_delivery(notification)
        if self._random.random() < options.webhook_duplicates:
            again = Notification(topic, app_id, item_json, options.webhook_url, notification.id)
            self._begin_delivery(again)
        return notification.id

    def check_url(self) -> None:
        """Send a HEAD request to a URL that is new, as Intercom does when it is saved; log the result."""
        url = self._options().webhook_url
        if url != self._checked_url:
            self._checked_url, self._url_answer = url, None
            if url:
                self._start(self._check(url))

    def as_json(self) -> dict[str, Any]:
        """Return counts, the ids that failed last, and what the URL answered to HEAD, as JSON values."""
        return asdict(self._counts) | {
            "pending": len(self._pending),
            "last_failed": list(self._failed_ids),
            "live": self.live,
            "url_check": self._url_answer,
        }

    def reset(self) -> None:
        """Drop what is under way, count from zero, and deliver again to a URL that had answered 410."""
        for task in self._pending:
            task.cancel()
        self._begin()

    async def stop(self) -> None:
        """Drop what is under way and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._http:
            await self._http.aclose()
            self._http = None

    # ---- one delivery

    def _begin_delivery(self, notification: Notification) -> None:
        task = self._start(self._deliver(notification))
        self._pending[task] = notification

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._pending.pop(task, None)

    async def _deliver(self, notification: Notification) -> None:
        await asyncio.sleep(self._options().webhook_delay)
        delivered = await self._attempt(notification)
        if not delivered and notification.url != self._ended_url:
            self._counts.retried += 1
            await asyncio.sleep(self._options().webhook_retry_seconds)
            delivered = await self._attempt(notification)
        if delivered:
            self._counts.delivered += 1
        else:
            self._fail(notification)

    async def _attempt(self, notification: Notification) -> bool:
        """Send the notification once; tell whether it was taken."""
        async with self._places:
            self._counts.sent += 1
            body = notification.envelope()
            answer = await self._call("POST", notification.url, body)
        if answer == 410:
            self._end(notification.url)
        return isinstance(answer, int) and 200 <= answer < 300

    def _end(self, url: str) -> None:
        """End the subscription: nothing under way is tried any further."""
        self._ended_url = url
        current = asyncio.current_task()
        for task in [each for each, other in self._pending.items() if other.url == url and each is not current]:
            notification = self._pending.pop(task)
            if task.cancel():  # not so one that has just come to its end
                self._fail(notification)
        log.warning("webhooks: the URL answered 410, no more is delivered to it")

    def _fail(self, notification: Notification) -> None:
        self._counts.failed += 1
        self._failed_ids.append(notification.id)

    async def _check(self, url: str) -> None:
        self._url_answer = await self._call("HEAD", url, b"")
        log.info("webhooks: HEAD %s: %s", url, self._url_answer)

    async def _call(self, method: str, url: str, body: bytes) -> int | str:
        """Return the answer's status, or the name of what prevented one."""
        headers = {"Content-Type": "application/json", "X-Hub-Signature": self._signature(body)} if body else {}
        self._http = self._http or HttpxAiohttpClient(timeout=TIMEOUT_SECONDS)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):  # httpx's own limits each read, not the whole
                response = await self._http.request(method, url, content=body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
        return response.status_code

    def _signature(self, body: bytes) -> str:
        return "sha1=" + hmac.new(self._options().client_secret.encode(), body, hashlib.sha1).hexdigest()

"""Notifications as Intercom sends them, on time whether they are answered or not, from a process of its own."""

import asyncio
import hashlib
import hmac
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

SECRET = "sandbox-secret"  # noqa: S105 - made up
PATH = "/api/intercom/webhook"
TIMEOUT_SECONDS = 5
"""So long Intercom waits for an answer."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A notification to be sent `at` so many seconds after the start, and once more if it is not answered 200."""

    at: float
    name: str
    url: str
    body: bytes
    secret: str = SECRET

    @property
    def headers(self) -> dict[str, str]:
        """With the signature."""
        digest = hmac.new(self.secret.encode(), self.body, hashlib.sha1).hexdigest()
        return {"X-Hub-Signature": f"sha1={digest}", "Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one delivery: the status of its last attempt, 0 for none, and how long the first one took."""

    name: str
    status: int
    seconds: float


def body_of(notification_id: str, topic: str, item: dict[str, Any]) -> bytes:
    """The body of a notification, of this moment."""
    envelope = {
        "type": "notification_event",
        "id": notification_id,
        "topic": topic,
        "app_id": "sandbox1",
        "created_at": int(time.time()),
        "data": {"type": "notification_event_data", "item": item},
    }
    return json.dumps(envelope).encode()


def deliver(deliveries: Sequence[Delivery], start: float, again_after: float | None) -> list[Answer]:
    """Send each at its time after `start` (Unix seconds); after so many seconds once more what was not answered 200."""
    return asyncio.run(_deliver(deliveries, start, again_after))


async def _deliver(deliveries: Sequence[Delivery], start: float, again_after: float | None) -> list[Answer]:
    limit, patience = aiohttp.TCPConnector(limit=0), aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
    async with aiohttp.ClientSession(connector=limit, timeout=patience) as http, asyncio.TaskGroup() as group:
        tasks = []
        for delivery in sorted(deliveries, key=lambda each: each.at):
            await asyncio.sleep(start + delivery.at - time.time())
            tasks.append(group.create_task(_one(http, delivery, again_after)))
    return [task.result() for task in tasks]


async def _one(http: aiohttp.ClientSession, delivery: Delivery, again_after: float | None) -> Answer:
    started = time.perf_counter()
    status = await _attempt(http, delivery)
    seconds = time.perf_counter() - started
    if status != 200 and again_after is not None:
        await asyncio.sleep(again_after)
        status = await _attempt(http, delivery)
    return Answer(delivery.name, status, seconds)


async def _attempt(http: aiohttp.ClientSession, delivery: Delivery) -> int:
    try:
        async with http.post(delivery.url, data=delivery.body, headers=delivery.headers) as answer:
            await answer.read()
            return answer.status
    except (aiohttp.ClientError, TimeoutError):
        return 0


def flood(deliveries: Sequence[Delivery], callers: int) -> float:
    """Send all as fast as so many callers can, one after the other each; returns answers of 200 a second."""
    return asyncio.run(_flood(deliveries, callers))


async def _flood(deliveries: Sequence[Delivery], callers: int) -> float:
    waiting, answered = iter(deliveries), 0

    async def call() -> None:
        nonlocal answered
        for delivery in waiting:
            status = await _attempt(http, delivery)
            answered += status == 200

    started = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http, asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(call())
    return answered / (time.perf_counter() - started)


@contextmanager
def sender() -> Iterator[Callable[..., "Future[Any]"]]:
    """Submits a function of this module to a process of its own, so that nothing else here delays what it sends."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        process.submit(time.sleep, 0).result()  # it has started
        yield process.submit

"""Group commit: what many callers want written at the same time costs one transaction, and so one sync to disk."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from mynatca_webhook.store.database import Work
from mynatca_webhook.store.errors import StoreUnavailable, unavailable

I = TypeVar("I")  # noqa: E741 - an item
R = TypeVar("R")

Write = Callable[[AsyncConnection, Sequence[I]], Awaitable[Sequence[R]]]
"""Writes items within the transaction that it is given, and returns a result for each."""

MAX_TOGETHER = 1000
"""Items of one transaction at most, so that no caller waits for an endless one."""

MAX_ABORTED = 5
"""Times that a transaction is begun; replicas that lock the same jobs in another order make one of them give way."""


@dataclass(frozen=True, slots=True, eq=False)
class _Request:
    """An item to be written; nobody waits for one without `result`."""

    write: Write[Any, Any]
    item: Any
    result: asyncio.Future[Any] | None

    @property
    def given_up(self) -> bool:
        return self.result is not None and self.result.done()


class GroupCommit:
    """Writes for all tasks of a process, one transaction after the other.

    Args:
        transact: runs a function within a transaction; it is never cancelled, and so has to end by itself.
        timeout_seconds: how long a caller waits at most.
    """

    def __init__(self, transact: Callable[[Work[Any]], Awaitable[Any]], timeout_seconds: float) -> None:
        self._run_in_transaction = transact
        self._timeout_seconds = timeout_seconds
        self._gather_seconds = 0.0
        self._due: list[_Request] = []
        self._wanted = asyncio.Event()
        self._closed = False

    def gather(self, seconds: float) -> None:
        """From now on let each transaction wait so long for further writes."""
        self._gather_seconds = seconds

    async def write(self, write: Write[I, R], item: I) -> R:
        """Have an item written; returns once it is durable.

        Raises:
            StoreUnavailable: it was not written, or not known to be within the time. Nobody who gave up waiting has
                to fear that it is written later than with the transaction that is under way.
        """
        if self._closed:
            raise StoreUnavailable("the store is closed")
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._due.append(_Request(write, item, result))
        self._wanted.set()
        with unavailable():
            async with asyncio.timeout(self._timeout_seconds):
                return await result

    def write_later(self, write: Write[I, R], item: I) -> None:
        """Have an item written with the next transaction, which it does not bring about; or the next that succeeds."""
        self._due.append(_Request(write, item, None))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write while the context lasts.

        At its end the transaction that is under way is awaited, and those who still wait get `StoreUnavailable`.
        """
        task = asyncio.create_task(self._run(), name="group commit")
        try:
            yield
        finally:
            self._closed = True
            self._wanted.set()
            await asyncio.wait([task])
            _fail(self._due, StoreUnavailable("the store is closed"))

    async def _run(self) -> None:
        # Ended by a flag: a transaction that is under way is not to be cancelled.
        await self._wanted.wait()
        while not self._closed:
            await asyncio.sleep(self._gather_seconds)
            self._due = [request for request in self._due if not request.given_up]
            requests, self._due = self._due[:MAX_TOGETHER], self._due[MAX_TOGETHER:]
            try:
                await self._commit(requests)
            except Exception as error:  # noqa: BLE001 - whatever it is, the callers must hear of it, and others go on
                self._due[:0] = [request for request in requests if request.result is None]
                _fail(requests, error)
            if not self._closed and all(request.result is None for request in self._due):
                self._wanted.clear()
                await self._wanted.wait()

    async def _commit(self, requests: Sequence[_Request]) -> None:
        groups: dict[Write[Any, Any], list[_Request]] = {}
        for request in requests:
            groups.setdefault(request.write, []).append(request)
        with unavailable():
            results = await self._transact(groups)
        for request, result in results:
            if request.result and not request.result.done():
                request.result.set_result(result)

    async def _transact(self, groups: Mapping[Write[Any, Any], Sequence[_Request]]) -> list[tuple[_Request, Any]]:
        """Write in one transaction; one that the database gave up in favour of another's is begun anew."""

        async def write_all(connection: AsyncConnection) -> list[tuple[_Request, Any]]:
            results: list[tuple[_Request, Any]] = []
            for write, group in groups.items():
                items = [request.item for request in group]
                results += zip(group, await write(connection, items), strict=True)
            return results

        for attempts_left in reversed(range(MAX_ABORTED)):
            try:
                written: list[tuple[_Request, Any]] = await self._run_in_transaction(write_all)
            except DBAPIError as error:
                if not attempts_left or not _gave_way(error):
                    raise
            else:
                return written
        raise AssertionError("the last attempt returns or raises")


def _gave_way(error: DBAPIError) -> bool:
    """Whether the transaction was rolled back because of another one: a deadlock (SQL standard: class 40)."""
    return str(getattr(error.orig, "sqlstate", None) or "").startswith("40")


def _fail(requests: Sequence[_Request], error: Exception) -> None:
    for request in requests:
        if request.result and not request.result.done():
            request.result.set_exception(error)

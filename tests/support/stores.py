"""Events to store, and processes that use a store: started by tests, which kill some of them.

`python -m support.stores open|accept|hold|work URL ...`, with the folder `tests` as the working directory.
"""

import asyncio
import fcntl
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mynatca_webhook.store.errors import LeaseLost, StoreUnavailable
from mynatca_webhook.store.event import Event, Job
from mynatca_webhook.store.event_store import EventStore, open_store

TESTS = Path(__file__).parent.parent


def patient_store(url: str) -> AbstractAsyncContextManager[EventStore]:
    """A store that a slow machine does not make unavailable."""
    return open_store(url, timeout_seconds=60)


def event(notification_id: str, key: str = "c1") -> Event:
    """An event of now."""
    moment = datetime.now(UTC)
    return Event(notification_id, "conversation.user.replied", key, moment, moment, {"contact_id": key})


def ids(job: Job) -> list[str]:
    """The notifications of a job, in its order."""
    return [each.notification_id for each in job.events]


async def execute(store: EventStore, sql: str) -> Any:
    """Run a statement in an open store; returns the one value that it tells, if any."""

    async def run(connection: AsyncConnection, _asked: Sequence[None]) -> list[Any]:
        result = await connection.execute(text(sql))
        return [result.scalar() if result.returns_rows else None]

    return await store._commits.write(run, None)


def process(what: str, url: str, *arguments: str, limit_kib: int | None = None) -> "subprocess.Popen[str]":
    """Start a process that uses a store, and that may write no file longer than `limit_kib`."""
    limit = ["bash", "-c", f'ulimit -S -f {limit_kib}; exec "$@"', "limit"] if limit_kib else []
    command = [*limit, sys.executable, "-m", "support.stores", what, url, *arguments]
    return subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, text=True)


def say(*lines: str) -> None:
    """Tell the test, at once."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


async def _open(url: str) -> None:
    async with patient_store(url):
        say("open")


async def _accept(url: str, prefix: str) -> None:
    """Accept events at full speed and print the id of each that is stored, until there is no room for more."""
    async with patient_store(url) as store:
        numbers = count()

        async def accept() -> None:
            for number in numbers:
                name = f"{prefix}{number}"
                await store.accept(event(name, f"c{number % 50}"))
                say(name)

        try:
            await asyncio.gather(*(accept() for _ in range(20)))
        except StoreUnavailable as error:
            say(f"full: {error}")


async def _hold(url: str, lease_seconds: str) -> None:
    """Claim all there is, and do nothing about it."""
    async with patient_store(url) as store:
        say(str(len(await store.claim(1000, float(lease_seconds)))))
        await asyncio.Event().wait()


async def _work(url: str, locks: str) -> None:
    """Work until nothing is left; print every event whose job was finished."""
    async with patient_store(url) as store:
        while (depth := await store.depth()).waiting + depth.claimed:
            for job in await store.claim(3, lease_seconds=1):
                await _one(store, job, Path(locks))
            await store.wait_for_work(0.02)


async def _one(store: EventStore, job: Job, locks: Path) -> None:
    with (locks / job.key).open("w") as file, suppress(LeaseLost):
        await store.renew(job, lease_seconds=4)
        with alone(file.fileno()):  # whoever else works on the same key at this moment fails
            await asyncio.sleep(0.002)
            await store.done(job)
            say(*ids(job))


@contextmanager
def alone(file: int) -> Iterator[None]:
    """Lock a file, which a kill unlocks; fail if it is locked."""
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


if __name__ == "__main__":
    programs: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
        "open": _open,
        "accept": _accept,
        "hold": _hold,
        "work": _work,
    }
    asyncio.run(programs[sys.argv[1]](*sys.argv[2:]))

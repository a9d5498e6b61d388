"""The process that works the stored events: a bounded number of contacts at once, put off with growing waits.

What cannot be done at last is given up with a reason.
"""

import asyncio
import logging
import os
import random
from datetime import UTC, datetime
from functools import partial

from mynatca_intercom import metrics
from mynatca_intercom.intercom.errors import IntercomError
from mynatca_intercom.members.source import SourceError
from mynatca_intercom.reconcile.door import SUCCEEDED, Outcome, Verdict
from mynatca_intercom.settings import WebhookSettings
from mynatca_webhook.bell import Bell
from mynatca_webhook.engine import CannotResync, Engine
from mynatca_webhook.measuring import measured
from mynatca_webhook.notification import TAG_TOPIC
from mynatca_webhook.pruning import pruned
from mynatca_webhook.service import Service
from mynatca_webhook.store.errors import LeaseLost, StoreUnavailable
from mynatca_webhook.store.event import Job
from mynatca_webhook.store.event_store import EventStore
from mynatca_webhook.store.leases import kept

LEASE_SECONDS = 15
"""A job of a killed worker is taken over after so long; a living one renews its claim in time."""
LONGEST_WORK_SECONDS = 120
"""A job that takes longer is put off: rate limits and retries of one contact are over by then, or will not be."""
POLL_SECONDS = 1.0
"""How late events of other processes, and those that become due, are seen at most."""
GATHER_SECONDS = 0.02
"""So long writes wait for those of other jobs: with a commit for each, three times as many of the store's writes took
longer than 20 ms, and the work as a whole took longer too (measured)."""
FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 900.0
NICENESS = 10
"""So that on a busy machine answers come first: their p99 was half of that without it (measured)."""

_TO_BE_TRIED_AGAIN: frozenset[Outcome] = frozenset({"failed", "not_reached"})

OUTCOMES = ("done", "put_off", "dead", "lease_lost")
for _outcome in OUTCOMES:
    metrics.WORKED.labels(_outcome)

log = logging.getLogger(__name__)


async def work(service: Service, bell: Bell, stop: asyncio.Event) -> int:
    """Work until it is to stop; what is in work is then finished, within the grace time. Returns the exit code.

    Meanwhile the store is measured and pruned. Answers of other processes come first: this one is nice.
    """
    os.nice(NICENESS)
    service.store.gather(GATHER_SECONDS)
    settings = service.configuration.webhook
    worker = Worker(service.store, service.engine, settings)
    bell.heard(service.store.look_for_work)
    async with pruned(service.store, settings.keep_days), measured(service.store):
        working = asyncio.create_task(worker.run())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({working, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        worker.stop()
        await asyncio.wait({working}, timeout=settings.grace_seconds)
        if not working.done():
            log.warning("what is in work takes too long, and is left to others")
            working.cancel()
        failure = (await asyncio.gather(working, return_exceptions=True))[0]
    if isinstance(failure, Exception):
        log.critical("nobody works the stored events any more", exc_info=failure)
        return 1
    return 0


class PutOff(Exception):
    """The job could not be done this time; the text says why, without personal data."""


class Worker:
    """Claims jobs and works them until it is stopped.

    Args:
        store: where the events are.
        engine: what they are worked with.
        settings: how many at once, and how often.
    """

    def __init__(self, store: EventStore, engine: Engine, settings: WebhookSettings) -> None:
        self._store = store
        self._engine = engine
        self._settings = settings
        self._running: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop`; then return when the jobs in work are finished, or cut them off when cancelled."""
        while not self._stop.is_set():
            try:
                await self._turn()
            except StoreUnavailable as error:
                log.warning("no work can be claimed: %s", error)
                await self._pause(POLL_SECONDS)
        await asyncio.gather(*self._running)

    def stop(self) -> None:
        """Claim nothing more."""
        self._stop.set()

    async def _turn(self) -> None:
        """Fill the free places, else wait for work or for a place."""
        free = self._settings.concurrency - len(self._running)
        since = asyncio.get_running_loop().time()
        jobs = await self._store.claim(free, LEASE_SECONDS) if free else []
        for job in jobs:
            task = asyncio.create_task(self._finish(job, since))
            self._running.add(task)
            task.add_done_callback(self._ended)
        if not free:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED, timeout=POLL_SECONDS)
        elif len(jobs) < free:
            await self._store.wait_for_work(POLL_SECONDS)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """If its end could not be noted, that is a fault of ours; its claim runs out, and at last it is given up."""
        self._running.discard(task)
        if not task.cancelled() and task.exception():
            log.error("the end of a job crashed", exc_info=task.exception())

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    async def _finish(self, job: Job, since: float) -> None:
        """Work a job and tell the store how it ended; if the store is away the lease runs out, and it is done again."""
        try:
            spent = job.attempts > self._settings.max_attempts
            reason = "its workers were killed" if spent else await self._reason_to_put_off(job, since)
            if reason is None:
                await self._store.done(job)
                self._told("done", job)
            elif job.attempts >= self._settings.max_attempts:
                await self._store.bury(job, reason)
                self._told("dead", job)
            else:
                await self._store.retry(job, _wait(job.attempts), reason)
                self._told("put_off", job)
        except LeaseLost as error:
            log.warning("a job is left to others: %s", error, extra={"contact_id": job.key})
            self._told("lease_lost", job)
        except StoreUnavailable as error:
            log.warning("the end of a job is not stored: %s", error)

    @staticmethod
    def _told(outcome: str, job: Job) -> None:
        metrics.WORKED.labels(outcome).inc()
        if outcome == "done":
            for event in job.events:
                metrics.EVENT_SECONDS.observe((datetime.now(UTC) - event.created_at).total_seconds())

    async def _reason_to_put_off(self, job: Job, since: float) -> str | None:
        renew = partial(self._store.renew, job, LEASE_SECONDS)
        try:
            with metrics.JOB_SECONDS.time():
                async with asyncio.timeout(LONGEST_WORK_SECONDS), kept(renew, LEASE_SECONDS, since):
                    await self._work(job)
        except (PutOff, CannotResync) as error:
            return str(error)
        except (IntercomError, SourceError) as error:
            log.warning("job put off: %s", error, extra={"contact_id": job.key})
            return str(error)
        except TimeoutError:
            return "it took too long"
        except OSError:
            return "the store takes nothing more"
        except LeaseLost:
            raise
        except Exception:  # a fault of ours: it may pass, or be mended before the last attempt
            log.exception("a job crashed", extra={"contact_id": job.key})
            return "the service crashed over it: see its log"
        return None

    async def _work(self, job: Job) -> None:
        """Carry out what tags ask for, and enrich the contact unless one of them did or will, when tried again."""
        verdicts: list[Verdict] = []
        unfit: CannotResync | None = None
        try:
            verdicts += await self._resynced(job)
        except CannotResync as error:  # that a tag has to wait keeps nothing else from being done
            unfit = error
        contact_id = job.events[-1].payload.get("contact_id")
        decided = {each.contact_id for each in verdicts if each.outcome in SUCCEEDED | _TO_BE_TRIED_AGAIN}
        if contact_id and contact_id not in decided:
            verdicts.append(await (await self._engine.door()).enrich(contact_id))
        for verdict in verdicts:
            if verdict.outcome in SUCCEEDED:
                self._store.note_synced(verdict.contact_id)
        failed = next((verdict for verdict in verdicts if verdict.outcome in _TO_BE_TRIED_AGAIN), None)
        if failed:
            raise PutOff(failed.reason or "a write failed")
        if unfit:
            raise unfit

    async def _resynced(self, job: Job) -> list[Verdict]:
        conversations = {event.payload["conversation_id"]: None for event in job.events if event.topic == TAG_TOPIC}
        verdicts = [await self._engine.resync(conversation_id) for conversation_id in conversations]
        return [verdict for verdict in verdicts if verdict]


def _wait(attempts: int) -> float:
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** (attempts - 1))
    return float(longest * random.uniform(0.5, 1))  # noqa: S311 - no secret

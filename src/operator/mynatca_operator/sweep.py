"""Looks at everything, decides, and carries the decisions out; after an event, and every so often without one."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import aiohttp
from kubernetes.aio.client import ApiException

from mynatca_operator.cluster import Cluster, Gone
from mynatca_operator.decide import Launch, Release, Remove, StopJob, decide
from mynatca_operator.exporter import Exporter
from mynatca_operator.record import Record, updated
from mynatca_operator.resource import IntercomAudit
from mynatca_operator.settings import OperatorSettings
from mynatca_operator.world import World

AT_MOST_EVERY_SECONDS = 1.0
"""Events come in crowds; each look costs three lists."""
BLIND_SWEEPS = 4
"""After so many sweeps' time without a whole one the operator counts as blind."""

log = logging.getLogger(__name__)


class Sweeper:
    """The only one who decides in this process, one look after the other.

    Args:
        cluster: what is looked at.
        settings: how often, and how much is kept.
        exporter: shown what was seen.
        check: raises if the custom resource is not there any more.
    """

    def __init__(
        self, cluster: Cluster, settings: OperatorSettings, exporter: Exporter, check: Callable[[], Awaitable[None]]
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._exporter = exporter
        self._check = check
        self._wake = asyncio.Event()
        self._record: Record | None = None
        self._seen_at: float | None = None
        self._began_at = time.monotonic()

    def wake(self) -> None:
        """Look again soon: something has happened."""
        self._wake.set()

    @property
    def is_ready(self) -> bool:
        """Whether everything was looked at once."""
        return self._seen_at is not None

    @property
    def is_blind(self) -> bool:
        """Whether no look has succeeded for too long."""
        since = self._seen_at if self._seen_at is not None else self._began_at
        return time.monotonic() - since > max(60.0, BLIND_SWEEPS * self._settings.sweep_seconds)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._check()
                if await self.sweep():
                    self._wake.set()
                self._seen_at = time.monotonic()
            except (ApiException, aiohttp.ClientError, OSError, TimeoutError) as error:
                log.warning("the cluster cannot be read: %s", _told(error))
            await asyncio.sleep(AT_MOST_EVERY_SECONDS)
            try:
                await asyncio.wait_for(self._wake.wait(), self._settings.sweep_seconds)
            except TimeoutError:
                continue

    async def sweep(self) -> bool:
        """One look; whether something was changed, so that another one may find more to do.

        Raises:
            ApiException, OSError, TimeoutError: the API server does not answer, or refuses.
        """
        world = await self._cluster.read()
        changed = False
        for uid in sorted(world.audits, key=lambda uid: _age(world.audits[uid])):
            audit, moved = await self._attend(world.audits[uid], world)
            changed = changed or moved
            # The next one is decided on with what this one has become.
            world = replace(world, audits={**world.audits, uid: audit})
        await self._keep_record(world)
        await self._prune(world)
        return changed

    async def _attend(self, audit: IntercomAudit, world: World) -> tuple[IntercomAudit, bool]:
        """Store what is true of one object, then do what follows, then tell."""
        decision = decide(audit, world)
        moved = decision.status != audit.status
        try:
            if moved:
                audit = await self._cluster.store(audit, decision.status)
            for action in decision.actions:
                match action:
                    case Launch():
                        await self._cluster.launch(audit, action)
                    case Release():
                        await self._cluster.release(action.job)
                    case StopJob():
                        await self._cluster.stop(action.job)
                    case Remove():
                        await self._cluster.remove(audit)
            for event in decision.events:
                await self._cluster.tell(audit, event)
        except Gone:
            self._wake.set()
        except ApiException as error:
            log.warning("an object is left to the next look: %s", _told(error), extra={"audit": audit.metadata.name})
        return audit, moved

    async def _keep_record(self, world: World) -> None:
        known = self._record
        stored = None
        if known is None:
            stored = await self._cluster.read_record()
            known = Record.model_validate_json(stored) if stored else Record()
        record = updated(known, world)
        if record != known or (self._record is None and stored is None):
            await self._cluster.write_record(record.model_dump_json(), new=self._record is None and stored is None)
        self._record = record
        self._exporter.show(world, record)

    async def _prune(self, world: World) -> None:
        """Remove the oldest of those that have ended, beyond what is kept."""
        for condition, kept in (("Complete", self._settings.kept_complete), ("Failed", self._settings.kept_failed)):
            ended = [
                audit
                for audit in world.audits.values()
                if audit.status.phase == condition and audit.metadata.deletion_timestamp is None
            ]
            ended.sort(key=lambda audit: audit.status.completion_time or audit.metadata.creation_timestamp)
            for audit in ended[: max(0, len(ended) - kept)]:
                await self._cluster.remove(audit)


def _age(audit: IntercomAudit) -> tuple[datetime, str]:
    return audit.metadata.creation_timestamp, audit.metadata.uid


def _told(error: BaseException) -> str:
    return f"{error.status} {error.reason}" if isinstance(error, ApiException) else type(error).__name__

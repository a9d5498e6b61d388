"""Looks at everything, decides, and carries the decisions out; after an event, and every so often without one."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from pydantic import ValidationError

from mynatca_operator.cluster import TROUBLE, Cluster, Gone, told
from mynatca_operator.decide import Action, Launch, Release, Remove, StopJob, decide
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
        self._put_off: set[str] = set()
        self._sees = False
        self._seen_at: float | None = None
        self._began_at = time.monotonic()

    def wake(self) -> None:
        """Look again soon: something has happened."""
        self._wake.set()

    @property
    def is_ready(self) -> bool:
        """Whether the last look saw everything."""
        return self._sees

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
            except TROUBLE as error:
                self._sees = False
                log.warning("the cluster cannot be read, or the record not be kept: %s", told(error))
            else:
                self._sees, self._seen_at = True, time.monotonic()
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
        self._put_off = set(world.unread)
        changed, over = False, list[IntercomAudit]()
        for uid in sorted(world.audits.keys() - world.unread, key=lambda uid: _age(world.audits[uid])):
            audit, moved = await self._attend(world.audits[uid], world, over)
            changed = changed or moved
            # The next one is decided on with what this one has become.
            world = replace(world, audits={**world.audits, uid: audit})
        record = await self._keep_record(world)
        for audit in [*over, *self._surplus(world)]:  # only now: what became of them is on record
            with self._alone(audit):
                await self._cluster.remove(audit)
        self._exporter.show(world, record, len(self._put_off))
        return changed

    async def _attend(
        self, audit: IntercomAudit, world: World, over: list[IntercomAudit]
    ) -> tuple[IntercomAudit, bool]:
        """Store what is true of one object, then do what follows, then tell, even of what could not be done."""
        decision = decide(audit, world)
        moved = False
        with self._alone(audit):
            if decision.status != audit.status:
                audit = await self._cluster.store(audit, decision.status)
                moved = True
            with self._alone(audit):
                for action in decision.actions:
                    await self._act(audit, action, over)
            for event in decision.events:
                await self._cluster.tell(audit, event)
        return audit, moved

    async def _act(self, audit: IntercomAudit, action: Action, over: list[IntercomAudit]) -> None:
        match action:
            case Launch():
                await self._cluster.launch(audit, action)
            case Release():
                await self._cluster.release(action.job)
            case StopJob():
                await self._cluster.stop(action.job)
            case Remove():
                over.append(audit)

    @contextmanager
    def _alone(self, audit: IntercomAudit) -> Iterator[None]:
        """Trouble with one object is no other's: it is left to the next look, logged and counted."""
        try:
            yield
        except Gone:
            self._wake.set()
        except TROUBLE as error:
            self._put_off.add(audit.metadata.uid)
            log.warning("an object is left to the next look: %s", told(error), extra={"audit": audit.metadata.name})

    async def _keep_record(self, world: World) -> Record:
        known, new = self._record, False
        if known is None:
            stored = await self._cluster.read_record()
            known, new = _record_in(stored), stored is None
        record = updated(known, world)
        if record != known or new:
            await self._cluster.write_record(record.model_dump_json())
        self._record = record
        return record

    def _surplus(self, world: World) -> Iterator[IntercomAudit]:
        """The oldest of those that have ended, beyond what is kept; not those that have a time of their own."""
        for condition, kept in (("Complete", self._settings.kept_complete), ("Failed", self._settings.kept_failed)):
            ended = [
                audit
                for audit in world.audits.values()
                if audit.status.phase == condition
                and audit.spec.ttl_seconds_after_finished is None
                and audit.metadata.deletion_timestamp is None
            ]
            ended.sort(key=lambda audit: audit.status.completion_time or audit.metadata.creation_timestamp)
            yield from ended[: max(0, len(ended) - kept)]


def _record_in(stored: str | None) -> Record:
    """The record as it was stored; a new one if it was not, or if somebody has made it unreadable."""
    if stored is None:
        return Record()
    try:
        return Record.model_validate_json(stored)
    except ValidationError:
        log.error("the record of last runs cannot be read; a new one is begun")  # noqa: TRY400 - the text says all
        return Record()


def _age(audit: IntercomAudit) -> tuple[datetime, str]:
    return audit.metadata.creation_timestamp, audit.metadata.uid

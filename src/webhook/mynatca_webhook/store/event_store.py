"""The store, as the service sees it."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from mynatca_webhook.store import journal, queue, synced, turns, upkeep, uses
from mynatca_webhook.store.commits import GroupCommit
from mynatca_webhook.store.connecting import open_database
from mynatca_webhook.store.errors import LeaseLost, StoreUnavailable, unavailable
from mynatca_webhook.store.event import DeadLetter, Depth, Event, Job, Pruned
from mynatca_webhook.store.journal import StoreJournal
from mynatca_webhook.store.leases import kept
from mynatca_webhook.store.looks import Looks
from mynatca_webhook.store.queue import Request, Settlement
from mynatca_webhook.store.turns import Turn
from mynatca_webhook.store.upkeep import Keep
from mynatca_webhook.store.uses import Uses

TURN_SECONDS = 15
"""A turn of a killed process is free after so long; a living one renews it in time."""
TURN_POLL_SECONDS = 0.1
"""How often who waits for a turn looks whether it is free."""

_LOG = logging.getLogger(__name__)


class EventStore:
    """Events that wait to be worked, jobs made of them, dead letters, and the journal of writes.

    Any number of tasks may use it at once. Every method that reads or writes raises `StoreUnavailable` if that is not
    possible within the store's time-out, and can then be called again.

    Args:
        commits: writes for all callers.
        looks: reads for them.
    """

    def __init__(self, commits: GroupCommit, looks: Looks) -> None:
        self._commits = commits
        self._looks = looks
        self._work = asyncio.Event()
        self.journal = StoreJournal(commits)

    def gather(self, seconds: float) -> None:
        """From now on let writes of this process wait so long for one another.

        Its transactions become fewer, and keep others of the store waiting less often.
        """
        self._commits.gather(seconds)

    async def accept(self, event: Event) -> bool:
        """Store an event; durable when this returns. False if its notification is known already.

        Raises:
            StoreUnavailable: it is not stored, or not known to be: it must be delivered again, which does no harm.
        """
        new = await self._commits.write(queue.insert_events, event)
        if new:
            self._work.set()
        return new

    # ---- working

    async def claim(self, limit: int, lease_seconds: float) -> list[Job]:
        """Take up to `limit` jobs that are due, oldest first; nobody else gets them while the lease lasts.

        Events of their keys that come in from now on wait for the next job. One that is not finished, put off or
        renewed in time is due again.
        """
        return await self._commits.write(queue.claim_jobs, Request(limit, lease_seconds))

    async def renew(self, job: Job, lease_seconds: float) -> None:
        """Keep a job for so many seconds from now.

        Raises:
            LeaseLost: somebody else has it.
        """
        await self._settle(Settlement(job, "renew", lease_seconds))

    async def done(self, job: Job) -> None:
        """Finish a job; its events' ids stay known until they are pruned.

        Raises:
            LeaseLost: somebody else has it; nothing is changed.
        """
        await self._settle(Settlement(job, "done"))

    async def retry(self, job: Job, delay_seconds: float, reason: str) -> None:
        """Put a job off. Events of its key that come in meanwhile join it, and let its attempts and waits begin anew.

        Raises:
            LeaseLost: somebody else has it; nothing is changed.
        """
        await self._settle(Settlement(job, "retry", delay_seconds, _plain(reason)))

    async def bury(self, job: Job, reason: str) -> None:
        """Give a job up: its events become dead letters.

        Raises:
            LeaseLost: somebody else has it; nothing is changed.
        """
        await self._settle(Settlement(job, "dead", reason=_plain(reason)))

    async def _settle(self, settlement: Settlement) -> None:
        if not await self._commits.write(queue.settle_jobs, settlement):
            raise LeaseLost("the job is no longer this worker's")
        self._work.set()  # its key may have got events meanwhile

    def look_for_work(self) -> None:
        """Let `wait_for_work` return: another process has stored something."""
        self._work.set()

    async def wait_for_work(self, timeout_seconds: float) -> None:
        """Return when something may be due: at once after this process stored something, or when the time is over.

        What others store, unless somebody tells of it, and what becomes due, only the time-out finds. For one task of a
        process.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._work.wait()
        self._work.clear()

    # ---- dead letters

    async def dead_letters(self) -> list[DeadLetter]:
        """All events that were given up, longest dead first."""
        return await self._looks.read(queue.dead_letters)

    async def replay(self, notification_ids: Collection[str] | None) -> int:
        """Let dead letters wait to be worked again: these, or all for None; returns how many that were."""
        revived = await self._commits.write(queue.revive_events, notification_ids)
        self._work.set()
        return revived

    # ---- contacts

    @asynccontextmanager
    async def turn(self, *whose: str) -> AsyncIterator[float]:
        """Wait for the turn of contacts and members, and have it while the context lasts, among all with this store.

        Entering tells how many seconds ago the latest turn of any of them ended, infinity if there was none. A turn
        ends with what is written to the store next, as the end of the work, and at the latest after `TURN_SECONDS`.

        Raises:
            LeaseLost: the turn could not be kept; what ran in the context was cut off.
        """
        mine = Turn(frozenset(whose), secrets.token_hex(8), TURN_SECONDS)
        since, ago = await self._take(mine)
        try:
            async with kept(partial(self._renew_turn, mine), TURN_SECONDS, since):
                yield ago
        finally:
            self._commits.write_later(turns.end_turns, mine)

    async def _take(self, turn: Turn) -> tuple[float, float]:
        while True:
            since = asyncio.get_running_loop().time()
            ago = await self._commits.write(turns.take_turns, turn)
            if ago is not None:
                return since, ago
            await asyncio.sleep(TURN_POLL_SECONDS)

    async def _renew_turn(self, turn: Turn) -> None:
        if not await self._commits.write(turns.renew_turns, turn):
            raise LeaseLost("the turn is another's")

    def note_synced(self, contact_id: str) -> None:
        """Note that a contact is in line with its member now; durable with whatever is written to the store next."""
        self._commits.write_later(synced.note_contacts, contact_id)

    async def last_synced(self, contact_id: str) -> datetime | None:
        """When that was last noted of a contact; None for never."""
        return await self._looks.read(partial(synced.moment_of, contact_id=contact_id))

    # ---- keys

    async def count_use(self, key_name: str) -> Uses:
        """Count a use of a key, in all processes that share the store; returns how many this minute has, with this."""
        return await self._commits.write(uses.count_uses, key_name)

    # ---- looking after it

    async def depth(self) -> Depth:
        """Count events that are not finished, in one query."""
        return await self._looks.read(queue.depth)

    async def ensure_writable(self) -> None:
        """Write something, for readiness.

        Raises:
            StoreUnavailable: the text says why it cannot be done.
        """
        await self._commits.write(upkeep.write_something, None)

    async def prune(self, keep: Keep) -> Pruned:
        """Remove what is older than it is to be kept; others write in between."""
        events = lines = 0
        more = True
        while more:
            pruned, more = await self._commits.write(upkeep.prune, keep)
            events += pruned.events
            lines += pruned.journal_lines
        return Pruned(events, lines)

    async def export(self, since: datetime, until: datetime, folder: Path) -> int:
        """Write a run folder, for undo, with all writes intended from `since` to before `until`; returns how many.

        Those of which no end is known in the store stand there without one.

        Raises:
            ValueError: a moment has no time zone.
            FileExistsError: the folder has a journal already.
            OSError: the folder cannot be written.
        """
        await self.journal.flush()
        return await journal.export_lines(self._looks, since, until, folder)


def _plain(reason: str) -> str:
    """Such that every database stores it."""
    return "".join(letter if letter.isprintable() else " " for letter in reason)[:500]


@asynccontextmanager
async def open_store(url: str, timeout_seconds: float = 3) -> AsyncIterator[EventStore]:
    """Open the store at an address, and set it up if it is new.

    Args:
        url: `sqlite:////data/events.db` (four slashes for a path from the root), for the processes of one machine, or
            `postgresql://user:password@host/database`, for any number of replicas.
        timeout_seconds: how long any call takes at most; below the time that Intercom waits for an answer.

    Raises:
        BadStoreUrl: the address is none of a store.
        StoreUnavailable: it cannot be reached, or written, or belongs to another version.
    """
    patience = timeout_seconds * 0.8  # so that the database gives up before we do, and says why
    with unavailable():
        database = await open_database(url, patience)
    commits = GroupCommit(database.write, timeout_seconds)
    looks = Looks(database, timeout_seconds)
    try:
        async with commits.running():
            await commits.write(upkeep.set_up, None)
            store = EventStore(commits, looks)
            try:
                yield store
            finally:
                await _close(store)
    finally:
        await looks.finish()
        await database.close()


async def _close(store: EventStore) -> None:
    try:
        await store.journal.flush()
    except StoreUnavailable as error:
        _LOG.warning("The ends of the last writes are not in the journal: %s", error)

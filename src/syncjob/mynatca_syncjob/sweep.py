"""The sweep makes the promise of the tag and of each new conversation good, whatever was lost on the way.

Conversations that still bear the tag are carried out, and contacts of recent conversations that bear no member's number
are looked at. Safe to run beside the webhook and other sweeps: everything is read again before it is written.

Whatever would archive a duplicate waits until all else is done: only then it is known how many there are, and whether
a person has to look first.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from mynatca_intercom.intercom.attributes import ensure_attributes
from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.errors import CredentialsRefused, IntercomError
from mynatca_intercom.members.directory import Directory
from mynatca_intercom.members.source import SourceError, SourceRefused
from mynatca_intercom.reconcile.apply import reason_of
from mynatca_intercom.reconcile.brakes import MAX_ARCHIVED_BY_SWEEP, BrakeClass, too_many_archived
from mynatca_intercom.reconcile.door import SUCCEEDED, Door, Verdict
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.run_folder import RunFolder
from mynatca_intercom.reconcile.tagged import TaggedConversations, TagRules
from mynatca_intercom.reconcile.turns import LocalTurns
from mynatca_intercom.reconcile.writer import Writer
from mynatca_intercom.settings import IntercomSettings, TagSettings
from mynatca_syncjob.ending import NO_ADMIN, STOPPED, Unfit, braked, carried_out, verdict
from mynatca_syncjob.progress import RunProgress
from mynatca_syncjob.result import Exit, Result

COUNTED = (
    *("updated", "converted", "merged", "archived_duplicate", "unchanged"),
    *("unmatched", "ambiguous", "gone", "review", "failed", "not_reached", "postponed"),
)
"""What a tagged conversation, or a contact of a recent one, is counted under."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """What the command line says about one sweep; `recent_hours` is how far back conversations are looked at."""

    tags: TagSettings
    recent_hours: int
    dry_run: bool = False
    limit: int | None = None
    max_failed_rows: float = 0
    released: frozenset[BrakeClass] = frozenset()
    phone_region: str = "US"


@dataclass(frozen=True, slots=True)
class _Item:
    """One tagged conversation or one contact, and what is to be done with it."""

    id: str
    work: Callable[[str], Awaitable[Verdict | None]]
    tagged: bool

    def left(self, outcome: Literal["failed", "not_reached"], reason: str = "") -> Verdict:
        """What is said of it when it did not come to its end."""
        return Verdict("" if self.tagged else self.id, outcome, reason=reason)


class _Held(Exception):
    """The item would archive duplicates, and how many there are in all is not known yet."""


class Sweep:
    """One sweep."""

    def __init__(
        self,
        source: Directory,
        intercom: IntercomSettings,
        folder: RunFolder,
        options: SweepOptions,
        progress: RunProgress,
        stop: asyncio.Event,
    ) -> None:
        self._source = source
        self._intercom = intercom
        self._folder = folder
        self._options = options
        self._progress = progress
        self._stop = stop
        self._counts = Counter[str](dict.fromkeys(COUNTED, 0))
        self._fatal: CredentialsRefused | SourceRefused | OSError | None = None
        self._to_archive: set[str] = set()
        self._all_counted = False
        self._held: list[_Item] = []

    async def run(self, result: Result) -> None:
        """Carry the sweep out and write into `result` how it went."""
        await carried_out(self._intercom, lambda client: self._steps(client, result), result)

    async def _steps(self, client: IntercomClient, result: Result) -> tuple[Exit, str]:
        me = await client.me()
        admin_id = self._intercom.admin_id or (me.id if me else None)
        if admin_id is None:
            raise Unfit(NO_ADMIN)
        async with Journal(self._folder.journal) as journal:
            writer = None if self._options.dry_run else Writer(client, journal, admin_id)
            items = await self._items(client, writer)
            if writer and items:
                await ensure_attributes(client, writer.create_attribute if self._intercom.create_attributes else None)
            await self._all(items, result)
        if self._fatal:
            raise self._fatal
        if self._stop.is_set():
            return Exit.STOPPED, STOPPED
        if result.brakes:
            return braked(result, "None of them was archived, and all else was done.")
        if self._options.dry_run:
            return Exit.DONE, "Dry run: nothing was written."
        return verdict(self._counts["failed"], result.seen, self._options.max_failed_rows)

    async def _items(self, client: IntercomClient, writer: Writer | None) -> list[_Item]:
        """Tagged conversations first: what is done there may settle a recent one."""
        door = Door(
            client,
            writer,
            self._source,
            LocalTurns(),
            phone_region=self._options.phone_region,
            search_lag_seconds=self._intercom.search_lag_seconds,
            before_archiving=self._hold,
        )
        items: list[_Item] = []
        tag_id = await client.tag_id(self._options.tags.tag)
        if tag_id:
            tagged = TaggedConversations(client, writer, door, TagRules(tag_id, self._options.tags.attribute))
            found = await client.conversations_with_tag(tag_id)
            items += [_Item(conversation.id, tagged.resync, tagged=True) for conversation in found]
        since = int(time.time()) - self._options.recent_hours * 3600
        people = await client.participants_since(since)
        items += [
            _Item(contact_id, door.enrich, tagged=False)
            for contact_id, external_id in people.items()
            if not await self._is_members(external_id)
        ]
        return items

    async def _is_members(self, external_id: str | None) -> bool:
        """Whether the contact bears a member's number: then the nightly sync keeps it right."""
        if not external_id:
            return False
        return await asyncio.to_thread(self._source.member_with_number, external_id) is not None

    async def _all(self, items: Sequence[_Item], result: Result) -> None:
        todo = items[: self._options.limit]
        self._counts["postponed"] = len(items) - len(todo)
        self._progress.writes(len(todo))
        for tagged in (True, False):
            await self._wave([item for item in todo if item.tagged is tagged], result)
        self._all_counted = True
        pulled = too_many_archived(len(self._to_archive), None, MAX_ARCHIVED_BY_SWEEP)
        result.brakes = [brake for brake in pulled if brake.brake not in self._options.released]
        await self._wave(self._held, result)
        result.counts = dict(self._counts)
        result.seen = sum(self._counts.values())

    def _hold(self, contact_ids: Collection[str]) -> None:
        """Count what would be archived, and let it wait until all is counted."""
        self._to_archive.update(contact_ids)
        if not self._all_counted:
            raise _Held

    async def _wave(self, items: Sequence[_Item], result: Result) -> None:
        waiting = iter(items)

        async def worker() -> None:
            for item in waiting:
                await self._work(item, result)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._intercom.concurrency, len(items))):
                group.create_task(worker())

    async def _work(self, item: _Item, result: Result) -> None:
        try:
            found = item.left("not_reached") if result.brakes else await self._carried_out(item)
        except _Held:
            self._held.append(item)
            return
        outcome = self._outcome(item, found)
        self._counts[outcome] += 1
        self._progress.ended(outcome)
        if found and found.outcome not in SUCCEEDED and outcome not in ("unmatched", "ambiguous"):
            result.rows.append(_told(item, found, outcome))

    async def _carried_out(self, item: _Item) -> Verdict | None:
        if self._stop.is_set() or self._fatal:
            return item.left("not_reached")
        try:
            return await item.work(item.id)
        except (CredentialsRefused, SourceRefused) as error:
            self._fatal = error
            return item.left("failed", "credentials refused")
        except OSError as error:  # nothing may be sent that the journal does not hold
            self._fatal = error
            return item.left("failed", "the journal could not be written")
        except IntercomError as error:
            log.warning("not swept: %s", error)
            return item.left("failed", reason_of(error))
        except SourceError as error:
            log.warning("not swept: %s", error)
            return item.left("failed", "no source of members answers")

    @staticmethod
    def _outcome(item: _Item, found: Verdict | None) -> str:
        """A tag that could not be carried out for a reason that stands in its note is a person's affair."""
        if found is None:
            return "unchanged"
        if item.tagged and found.outcome not in (*SUCCEEDED, "failed", "not_reached"):
            return "review"
        return found.outcome


def _told(item: _Item, found: Verdict, outcome: str) -> dict[str, str | None]:
    """A row as it stands in results: ids and numbers only."""
    return {
        "action": "resync" if item.tagged else "enrich",
        "member_number": found.member_number,
        "contact_id": found.contact_id or None,
        "conversation_id": item.id if item.tagged else None,
        "outcome": outcome,
        "reason": found.reason,
    }

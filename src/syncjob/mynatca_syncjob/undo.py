"""The steps of `undo`: read the run's journal, brake, take its writes back, say how that ended."""

import asyncio
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.conversation import OpenWork
from mynatca_intercom.reconcile.brakes import BrakeClass, too_many_archived
from mynatca_intercom.reconcile.history import History, Write
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.run_folder import RunFolder
from mynatca_intercom.reconcile.undo import UNDO_OUTCOMES, Undoer, UndoRow, chains
from mynatca_intercom.reconcile.writer import Writer
from mynatca_intercom.settings import IntercomSettings, SettingsError
from mynatca_syncjob.ending import NO_ADMIN, STOPPED, Unfit, braked, carried_out, verdict
from mynatca_syncjob.progress import RunProgress
from mynatca_syncjob.result import Exit, Result

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ARCHIVING = ("create", "unarchive", "unarchive_to_judge")


@dataclass(frozen=True, slots=True)
class UndoOptions:
    """What the command line says about one undo; `limit` counts chains: members, or contacts of nobody."""

    run: str
    dry_run: bool = False
    limit: int | None = None
    max_failed_rows: float = 0
    released: frozenset[BrakeClass] = frozenset()
    phone_region: str = "US"


class Undo:
    """One undo of one run. After it, `rows` have what became of each of its writes.

    Raises:
        SettingsError: there is no such run.
    """

    def __init__(self, runs_dir: Path, options: UndoOptions) -> None:
        journal = runs_dir / options.run / "journal.jsonl"
        if not _RUN_ID.fullmatch(options.run) or not journal.parent.is_dir():
            raise SettingsError(
                f"RUN cannot be {options.run!r}: RUNS_DIR ({runs_dir}) has no folder of that name. "
                "Name a run that wrote something, for example audit-20261123t023000z-7."
            )
        self._options = options
        self._chains = chains(History(journal).writes)
        self.rows: list[UndoRow] = []

    async def run(
        self,
        intercom: IntercomSettings,
        folder: RunFolder,
        progress: RunProgress,
        stop: asyncio.Event,
        result: Result,
    ) -> None:
        """Carry the undo out and write into `result` how it went."""
        await carried_out(
            intercom, lambda client: self._steps(client, intercom, folder, progress, stop, result), result
        )

    async def _steps(
        self,
        client: IntercomClient,
        intercom: IntercomSettings,
        folder: RunFolder,
        progress: RunProgress,
        stop: asyncio.Event,
        result: Result,
    ) -> tuple[Exit, str]:
        me = await client.me()
        admin_id = intercom.admin_id or (me.id if me else None)
        todo = self._chains[: self._options.limit]
        writes = [write for chain in todo for write in chain]
        folder.write_steps(_step(write) for write in writes)
        archived = sum(write.operation in _ARCHIVING for write in writes)
        brakes = [brake for brake in too_many_archived(archived, None) if brake.brake not in self._options.released]
        result.brakes = brakes
        if brakes:
            return braked(result)
        if admin_id is None and any(write.operation in ("attach", "detach") for write in writes):
            raise Unfit(NO_ADMIN)
        open_work = await client.open_work() if archived else OpenWork()
        progress.writes(len(writes))
        async with Journal(folder.journal) as journal:
            undoer = Undoer(
                client,
                None if self._options.dry_run else Writer(client, journal, admin_id),
                open_work,
                phone_region=self._options.phone_region,
                concurrency=intercom.concurrency,
                stop=stop,
                finished=lambda row: progress.ended(row.outcome),
            )
            try:
                await undoer.undo(todo)
            finally:
                self._count(undoer.rows, len(writes), result)
        if stop.is_set():
            return Exit.STOPPED, STOPPED
        if self._options.dry_run:
            return Exit.DONE, "Dry run: nothing was written."
        return verdict(result.counts["failed"], result.seen, self._options.max_failed_rows)

    def _count(self, rows: list[UndoRow], writes: int, result: Result) -> None:
        self.rows = rows
        counts = Counter[str](dict.fromkeys(UNDO_OUTCOMES, 0))
        counts.update(row.outcome for row in rows)
        counts["not_reached"] += writes - len(rows)
        postponed = sum(len(chain) for chain in self._chains[self._options.limit :]) if self._options.limit else 0
        result.counts = {**counts, "postponed": postponed}
        result.seen = sum(result.counts.values())
        result.actions = dict(Counter(row.write.operation for row in rows))
        result.rows = [_told(row) for row in rows if row.reason]


def _step(write: Write) -> dict[str, Any]:
    return {
        "kind": f"undo_{write.operation}",
        "member_number": write.member_number,
        "contact_id": write.contact_id,
        "before": write.after,
        "after": write.before,
        "write": write.seq,
    }


def _told(row: UndoRow) -> dict[str, str | None]:
    """A row as it stands in results: ids and numbers only."""
    return {
        "action": f"undo_{row.write.operation}",
        "member_number": row.write.member_number,
        "contact_id": row.write.contact_id,
        "outcome": row.outcome,
        "reason": row.reason,
    }

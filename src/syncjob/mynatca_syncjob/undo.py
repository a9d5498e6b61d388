"""The steps of `undo`: read the run's journal, brake, take its writes back, say how that ended."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.conversation import OpenWork
from mynatca_intercom.reconcile.brakes import too_many_archived
from mynatca_intercom.reconcile.history import History, Write
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.run_folder import RunFolder, find_run
from mynatca_intercom.reconcile.undo import UNDO_OUTCOMES, Undoer, UndoRow, chains
from mynatca_intercom.reconcile.writer import Writer
from mynatca_intercom.settings import IntercomSettings
from mynatca_syncjob.approved import NO_LONGER_SO
from mynatca_syncjob.ending import NO_ADMIN, STOPPED, Unfit, braked, carried_out, verdict
from mynatca_syncjob.options import RunOptions
from mynatca_syncjob.progress import RunProgress
from mynatca_syncjob.result import Exit, Result

_ARCHIVING = ("create", "unarchive", "unarchive_to_judge")


class Undo:
    """One undo of one run. After it, `rows` have what became of each of its writes.

    The request's `limit` counts chains: members, or contacts of nobody.

    Raises:
        SettingsError: there is no such run.
    """

    def __init__(self, runs_dir: Path, options: RunOptions) -> None:
        self._options = options
        whole = chains(History(find_run(runs_dir, options.request.undone or "") / "journal.jsonl").writes)
        approved = options.approved
        self._chains = (
            [chain for chain in whole if approved.has(map(_step, chain))]
            if approved
            else whole[: options.request.limit]
        )
        left_out = sum(map(len, whole)) - sum(map(len, self._chains))
        self._left_out = {"postponed": 0, "not_approved": 0, "not_approved" if approved else "postponed": left_out}
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
        writes = [write for chain in self._chains for write in chain]
        steps = [_step(write) for write in writes]
        result.plan_digest = folder.write_plan(self._options.request, steps)
        if self._options.approved:
            result.findings = {NO_LONGER_SO: len(self._options.approved.without(steps))}
        archived = sum(write.operation in _ARCHIVING for write in writes)
        released = self._options.request.released
        brakes = [brake for brake in too_many_archived(archived, None) if brake.brake not in released]
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
                await undoer.undo(self._chains)
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
        result.counts = {**counts, **self._left_out}
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

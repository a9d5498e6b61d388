"""The journal of writes in the store: the same lines as `mynatca_intercom.reconcile.journal` has in its file."""

import itertools
import json
import os
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Row, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from mynatca_intercom.reconcile.journal import Operation
from mynatca_intercom.reconcile.run_folder import RunFolder
from mynatca_webhook.store.commits import GroupCommit
from mynatca_webhook.store.databases import insert_into
from mynatca_webhook.store.looks import Looks
from mynatca_webhook.store.tables import JOURNAL

PAGE = 1000
"""Lines that are in memory at once during an export."""


@dataclass(frozen=True, slots=True)
class _Line:
    seq: int
    intent: int | None
    at: datetime
    entry: dict[str, Any]
    origin: str


class StoreJournal:
    """Has what `reconcile.writer.Writer` needs of a journal.

    A line's `seq` is its number among those of this object; other processes write into the same store.
    """

    def __init__(self, commits: GroupCommit) -> None:
        self._commits = commits
        self._origin = secrets.token_hex(8)
        self._seqs = itertools.count(1)

    async def intend(self, operation: Operation, **what: Any) -> int:
        """Record a write that is about to be sent, and return its `seq` once it is durable.

        Raises:
            StoreUnavailable: it is not, and the write must not be sent.
        """
        line = self._line({"state": "intent", "operation": operation, **what})
        await self._commits.write(append_lines, line)
        return line.seq

    def done(self, seq: int, **what: Any) -> None:
        """Record that the write of this intent took effect; durable with whatever is written to the store next."""
        self._commits.write_later(append_lines, self._line({"state": "done", **what}, seq))

    def failed(self, seq: int, error: str, *, unknown: bool) -> None:
        """Record that the write of this intent failed; `unknown`: it may have taken effect all the same."""
        entry = {"state": "failed", "error": error, "unknown": unknown}
        self._commits.write_later(append_lines, self._line(entry, seq))

    async def flush(self) -> None:
        """Return once all lines so far are durable.

        Raises:
            StoreUnavailable: they are not; they remain due.
        """
        await self._commits.write(_nothing, None)

    def _line(self, entry: dict[str, Any], intent: int | None = None) -> _Line:
        now = datetime.now(UTC)
        at = now.replace(microsecond=now.microsecond // 1000 * 1000)  # as it is exported, so that periods fit
        return _Line(next(self._seqs), intent, at, entry, self._origin)


async def append_lines(connection: AsyncConnection, lines: Sequence[_Line]) -> list[None]:
    """Store lines; one that is there already, as its commit was not answered, is left as it is."""
    rows = [
        {
            "origin": line.origin,
            "seq": line.seq,
            "intent": line.intent,
            "at": line.at,
            "entry": json.dumps(line.entry, separators=(",", ":")),
        }
        for line in lines
    ]
    await connection.execute(insert_into(connection.dialect.name, JOURNAL).on_conflict_do_nothing(), rows)
    return [None] * len(lines)


async def _nothing(_connection: AsyncConnection, asked: Sequence[None]) -> Sequence[None]:
    return asked


async def export_lines(looks: Looks, since: datetime, until: datetime, folder: Path) -> int:
    """Write a run folder with all writes intended in a period; see `EventStore.export`."""
    if since.tzinfo is None or until.tzinfo is None:
        raise ValueError("a moment of a period has no time zone")
    run = RunFolder(folder.parent, folder.name)
    writes = 0
    with os.fdopen(os.open(run.journal, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        try:
            async for line, is_intent in _numbered(looks, since, until):
                stream.write(line)
                writes += is_intent
            stream.flush()
            os.fsync(stream.fileno())
        except BaseException:
            run.journal.unlink()  # half a journal would pass for a whole one
            raise
    return writes


async def _numbered(looks: Looks, since: datetime, until: datetime) -> AsyncIterator[tuple[bytes, bool]]:
    """Lines numbered from 1 on, and whether each is an intent."""
    numbers: dict[tuple[str, int], int] = {}
    rows = await _page(looks, since, until, after=0)
    while rows:
        for row in rows:
            numbers[row.origin, row.seq] = seq = len(numbers) + 1
            intent = None if row.intent is None else numbers[row.origin, row.intent]
            yield _as_line(row, seq, intent), intent is None
        rows = await _page(looks, since, until, after=rows[-1].id)


async def _page(looks: Looks, since: datetime, until: datetime, after: int) -> Sequence[Row[Any]]:
    lines = _of_period(since, until).where(JOURNAL.c.id > after).order_by(JOURNAL.c.id).limit(PAGE)

    async def read(connection: AsyncConnection) -> Sequence[Row[Any]]:
        rows: Sequence[Row[Any]] = (await connection.execute(lines)).all()
        return rows

    return await looks.read(read)


def _as_line(row: Row[Any], seq: int, intent: int | None) -> bytes:
    entry = json.loads(row.entry)
    line = {"seq": seq, "at": row.at.isoformat(timespec="milliseconds"), "state": entry.pop("state")}
    if intent is not None:
        line["intent"] = intent
    text = json.dumps({**line, **entry}, ensure_ascii=False, separators=(",", ":"))
    # A lone half of a letter is no UTF-8; with a backslash it is good JSON.
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _of_period(since: datetime, until: datetime) -> Select[Any]:
    """Intents of the period, and how each of them ended, be it later."""
    intent = JOURNAL.alias()
    of = and_(intent.c.origin == JOURNAL.c.origin, intent.c.seq == JOURNAL.c.intent)
    at = func.coalesce(intent.c.at, JOURNAL.c.at, type_=JOURNAL.c.at.type)
    known = or_(JOURNAL.c.intent.is_(None), intent.c.seq.is_not(None))
    return select(JOURNAL).outerjoin(intent, of).where(known, at >= since, at < until)

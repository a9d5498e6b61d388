"""The journal: every write on disk before it is sent, so that a run can be explained, gone on with and undone.

One JSON object a line. `intent` lines are synced to disk before the call; `done` and `failed` lines follow it and name
the intent by its `seq`. Lines of concurrent writers are synced together (group commit).
"""

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

Operation = Literal[
    "create",
    "update",
    "merge",
    "archive",
    "unarchive",
    "unarchive_to_judge",
    "attach",
    "detach",
    "tag",
    "untag",
    "note",
    "tag_conversation",
    "untag_conversation",
    "note_conversation",
    "create_attribute",
]
"""What can be written to Intercom. `unarchive_to_judge` is followed by a write or an archive of the same contact."""


class WriteRecord(Protocol):
    """Where writes are recorded before they are sent: a run's `Journal`, or the webhook's store."""

    async def intend(self, operation: Operation, **what: Any) -> int:
        """Record a write that is about to be sent, and return its `seq` once that is durable.

        Raises:
            OSError: it is not, and the write must not be sent.
        """

    def done(self, seq: int, **what: Any) -> None:
        """Record that the write of this intent took effect."""

    def failed(self, seq: int, error: str, *, unknown: bool) -> None:
        """Record that the write of this intent failed; `unknown`: it may have taken effect all the same."""


class Journal:
    """An append-only file, readable by its owner alone; use as an asynchronous context manager.

    A line's `seq` is its number in the file, also when a retried run goes on in the journal of a killed one. What a
    kill cut off is closed as a line of its own, which is no JSON.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        earlier = path.read_bytes()
        cut_off = bool(earlier) and not earlier.endswith(b"\n")
        self._lines: list[str] = ["\n"] if cut_off else []
        self._written = self._synced = earlier.count(b"\n") + cut_off
        self._disk = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self.flush()
        finally:
            os.close(self._file)

    async def intend(self, operation: Operation, **what: Any) -> int:
        """Record a write that is about to be sent, and return its `seq` once it is safely on disk."""
        seq = self._append({"state": "intent", "operation": operation, **what})
        await self._sync(seq)
        return seq

    def done(self, seq: int, **what: Any) -> None:
        """Record that the write of this intent took effect."""
        self._append({"state": "done", "intent": seq, **what})

    def failed(self, seq: int, error: str, *, unknown: bool) -> None:
        """Record that the write of this intent failed; `unknown`: it may have taken effect all the same."""
        self._append({"state": "failed", "intent": seq, "error": error, "unknown": unknown})

    def closed(self) -> None:
        """Record that after the last archive nobody was found waiting in what was archived so far."""
        self._append({"state": "closed"})

    async def flush(self) -> None:
        """Return once all lines so far are on disk."""
        await self._sync(self._written)

    def _append(self, entry: dict[str, Any]) -> int:
        self._written += 1
        line = {"seq": self._written, "at": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}
        self._lines.append(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        return self._written

    async def _sync(self, seq: int) -> None:
        """Return once line `seq` is on disk; whoever gets there first takes the lines of all others along."""
        async with self._disk:
            if self._synced >= seq:
                return
            taken, upto = len(self._lines), self._written
            await asyncio.to_thread(self._write, "".join(self._lines).encode())
            del self._lines[:taken]  # not before: after a full disk they are still due
            self._synced = upto

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]
        os.fsync(self._file)

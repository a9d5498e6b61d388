"""What a journal tells: the writes of a run, as far as it got, for its next attempt and for undo."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mynatca_intercom.reconcile.journal import Operation
from mynatca_intercom.reconcile.match import RELEASED

Effect = Literal["done", "failed", "unknown"]


class _Line(BaseModel):
    """One line of a journal, of any state."""

    model_config = ConfigDict(hide_input_in_errors=True)
    seq: int
    at: datetime
    state: Literal["intent", "done", "failed", "closed"]
    operation: Operation | None = None
    intent: int | None = None
    unknown: bool = False
    contact_id: str | None = None
    member_number: str | None = None
    into: str | None = None
    conversation_id: str | None = None
    beside: tuple[str, ...] = ()
    tag_id: str | None = None
    attribute: str | None = None
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Write:
    """One write of a run.

    `effect` is unknown when the run was killed, or no answer came, before it was told. `beside` are the contacts that
    took part in a conversation when this one was attached to it.
    """

    seq: int
    at: datetime
    operation: Operation
    effect: Effect
    contact_id: str | None
    member_number: str | None
    into: str | None
    conversation_id: str | None
    tag_id: str | None
    attribute: str | None
    beside: tuple[str, ...] = ()
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)


class History:
    """The writes of one journal in their order; empty for a run that has none."""

    def __init__(self, journal: Path) -> None:
        lines = list(_lines(journal)) if journal.exists() else []
        self.writes: tuple[Write, ...] = tuple(_writes(lines))
        self._closed = max((line.seq for line in lines if line.state == "closed"), default=0)

    @property
    def freed(self) -> dict[str, str]:
        """Contact id -> external id that was taken off it, where nothing was put in its place.

        Not one that the run itself had put there: it was put back because the contact had become someone else's.
        """
        freed: dict[str, str] = {}
        given: set[tuple[str, str]] = set()
        for write in self._possible("update"):
            if write.contact_id and "external_id" in write.after:
                after = write.after["external_id"] or ""
                former = freed.get(write.contact_id) or write.before.get("external_id") or ""
                takes_off = (after == "" or RELEASED.fullmatch(after)) and former and not RELEASED.fullmatch(former)
                if takes_off and (write.contact_id, former) not in given:
                    freed[write.contact_id] = former
                else:
                    freed.pop(write.contact_id, None)
                given.add((write.contact_id, after))
        return freed

    @property
    def left_to_judge(self) -> list[Write]:
        """Contacts that were brought back to look at them, and that may still be in sight though their turn never came.

        Taking the number off one is but a step on the way to putting it away again, and an archive of which no answer
        is known may never have been sent.
        """
        left: dict[str, Write] = {}
        for write in self._possible():
            contact_id = write.contact_id or ""
            unsure = write.operation == "archive" and write.effect == "unknown"
            if write.operation == "unarchive_to_judge":
                left[contact_id] = write
            elif not (unsure or _only_frees(write)):
                left.pop(contact_id, None)
        return list(left.values())

    @property
    def unclosed_archives(self) -> dict[str, Write]:
        """Archives after which nobody looked whether open work had come in meanwhile, by contact id."""
        archives = {write.contact_id: write for write in self._possible("archive") if write.contact_id}
        back = {write.contact_id: write.seq for write in self._possible("unarchive", "unarchive_to_judge")}
        return {
            contact_id: write
            for contact_id, write in archives.items()
            if write.seq > max(self._closed, back.get(contact_id, 0))
        }

    def _possible(self, *operations: Operation) -> Iterator[Write]:
        """Writes that took effect, or may have."""
        for write in self.writes:
            if write.effect != "failed" and (not operations or write.operation in operations):
                yield write


def _only_frees(write: Write) -> bool:
    """Whether it takes the number off a contact, and does nothing else."""
    number = write.after.get("external_id") or ""
    return write.after.keys() == {"external_id"} and (number == "" or bool(RELEASED.fullmatch(number)))


def _lines(journal: Path) -> Iterator[_Line]:
    """The lines that can be read; what a kill cut off is none."""
    with journal.open(encoding="utf-8", errors="replace") as stream:
        for text in stream:
            try:
                yield _Line.model_validate(json.loads(text))
            except (ValidationError, json.JSONDecodeError):
                continue


def _writes(lines: Iterable[_Line]) -> Iterator[Write]:
    intents: dict[int, _Line] = {}
    ends: dict[int, _Line] = {}
    for line in lines:
        if line.state == "intent":
            intents[line.seq] = line
        elif line.intent is not None:
            ends[line.intent] = line
    for seq, intent in intents.items():
        if intent.operation:
            yield _write(intent, ends.get(seq))


def _write(intent: _Line, end: _Line | None) -> Write:
    unknown = end is None or (end.state == "failed" and end.unknown)
    effect: Effect = "unknown" if unknown else "done" if end and end.state == "done" else "failed"
    assert intent.operation  # noqa: S101 - for the type checker
    return Write(
        seq=intent.seq,
        at=intent.at,
        operation=intent.operation,
        effect=effect,
        contact_id=(end.contact_id if end else None) or intent.contact_id,
        member_number=intent.member_number,
        into=intent.into,
        conversation_id=intent.conversation_id,
        tag_id=intent.tag_id,
        attribute=intent.attribute,
        beside=intent.beside,
        before=intent.before,
        after=intent.after,
    )

"""What a run leaves for Kubernetes: a short summary, free of personal data, as the container's termination message.

`mynatca-syncjob` writes it and the operator reads it; this is the contract between the two.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_BYTES = 4096
"""What Kubernetes keeps of a termination message (Kubernetes: determine the reason for pod failure)."""

UNCHANGED = frozenset(
    {"unchanged", "review", "failed", "not_reached", "postponed", "not_approved", "open_work", "active", "out_of_scope"}
)
"""Counts of those that were not changed."""

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9 ._-]{0,32}$")]
Count = Annotated[int, Field(ge=0, le=10**9)]


class Summary(BaseModel):
    """How a run ended.

    Every field but `message` is bounded, so that what is left of `MAX_BYTES` is enough for a sentence. `planned` are
    the actions that the run set out to take, `done` those behind it, whatever came of them.

    Raises:
        ValidationError: a field is missing or too long, or the counts do not add up to what was seen.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str = Field(pattern=r"^[A-Za-z0-9._-]{0,63}$")
    kind: Word
    dry_run: bool
    outcome: Word
    exit_code: int = Field(ge=0, le=255)
    source: Word = ""
    members: Count = 0
    contacts: Count = 0
    seen: Count
    counts: dict[Word, Count] = Field(max_length=32)
    planned: Count = 0
    done: Count = 0
    brakes: list[Word] = Field(default_factory=list, max_length=8)
    message: str = Field("", max_length=500)
    plan_digest: str = Field("", pattern=r"^([0-9a-f]{64})?$")

    @model_validator(mode="after")
    def _add_up(self) -> "Summary":
        if sum(self.counts.values()) != self.seen:
            raise ValueError("the counts do not add up to what was seen")
        return self

    @property
    def changed(self) -> int:
        """How many were changed, or would be by a dry run."""
        return sum(count for name, count in self.counts.items() if name not in UNCHANGED)

    @property
    def failed(self) -> int:
        """How many failed."""
        return self.counts.get("failed", 0)

    def as_message(self) -> str:
        """The JSON that is written, with so much of `message` as fits into `MAX_BYTES` of UTF-8."""
        told = self
        while len((text := told.model_dump_json()).encode()) > MAX_BYTES:
            told = told.model_copy(update={"message": told.message[: len(told.message) * 3 // 4]})
        return text

"""What a run leaves for Kubernetes: a short summary, free of personal data, as the container's termination message.

`mynatca-syncjob` writes it and the operator reads it; this is the contract between the two.
"""

from pydantic import BaseModel, ConfigDict, Field, model_validator

MAX_BYTES = 4096
"""What Kubernetes keeps of a termination message (Kubernetes: determine the reason for pod failure)."""

UNCHANGED = frozenset(
    {"unchanged", "review", "failed", "not_reached", "postponed", "not_approved", "open_work", "active", "out_of_scope"}
)
"""Counts of those that were not changed."""


class Summary(BaseModel):
    """How a run ended.

    Raises:
        ValidationError: a field is missing or too long, or the counts do not add up to what was seen.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str = Field(max_length=63)
    kind: str = Field(max_length=32)
    dry_run: bool
    outcome: str = Field(max_length=32)
    exit_code: int
    source: str = Field("", max_length=64)
    members: int = Field(0, ge=0)
    contacts: int = Field(0, ge=0)
    seen: int = Field(ge=0)
    counts: dict[str, int] = Field(max_length=32)
    brakes: list[str] = Field(default_factory=list, max_length=8)
    message: str = Field("", max_length=500)
    plan_digest: str = Field("", max_length=64)

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

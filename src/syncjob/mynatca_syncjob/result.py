"""How a run ended: outcome, exit code, and counts that add up to the members seen."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any, get_args

from mynatca_intercom.intercom.contact import ContactListing
from mynatca_intercom.members.member import MemberListing
from mynatca_intercom.reconcile.apply import Row, RowOutcome
from mynatca_intercom.reconcile.brakes import Brake
from mynatca_intercom.reconcile.plan import ActionKind, Plan

COUNTED = (*get_args(RowOutcome), "postponed")
"""Every member is counted under exactly one of these."""

OUTCOME_OF: dict[ActionKind, RowOutcome] = {"create": "created", "update": "updated", "convert": "converted"}


class Exit(IntEnum):
    """Exit codes of `mynatca-syncjob`."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    FAILED_ROWS = 3
    BRAKE = 4
    CREDENTIALS = 5
    STOPPED = 6


@dataclass(slots=True)
class Result:
    """What a run saw and did; free of personal data, as it goes to logs and to Kubernetes.

    `counts` of a dry run are those of the run that it foretells. Moments are ISO 8601 in UTC.
    """

    run_id: str
    kind: str
    dry_run: bool
    started_at: str
    finished_at: str = ""
    seconds: float = 0
    exit_code: Exit = Exit.FAILED
    message: str = ""
    source: str = ""
    members: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    contacts: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    findings: dict[str, int] = field(default_factory=dict)
    brakes: list[Brake] = field(default_factory=list)
    rows: list[dict[str, str | None]] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)

    def saw(self, members: MemberListing, contacts: ContactListing) -> None:
        """Note what was read."""
        self.source, self.left_out = members.source, members.left_out
        self.members, self.contacts = len(members.members), len(contacts.contacts)

    def count(self, plan: Plan, rows: Iterable[Row] | None) -> None:
        """Count every member once: by what became of its row, or with no rows (a dry run) by what is planned."""
        counts = Counter[str](dict.fromkeys(COUNTED, 0))
        counts.update(unchanged=plan.unchanged, review=plan.review, postponed=plan.postponed)
        reached = list(rows or ())
        if rows is None:
            counts.update(OUTCOME_OF[action.kind] for action in plan.actions)
        else:
            counts.update(row.outcome for row in reached)
            counts["not_reached"] += len(plan.actions) - len(reached)
        self.counts = dict(counts)
        self.rows = [asdict(row) for row in reached if row.outcome in ("failed", "review")]
        reasons = [finding.reason for finding in plan.findings]
        self.findings = dict(Counter([*reasons, *(row.reason or "" for row in reached if row.outcome == "review")]))

    def as_json(self) -> dict[str, Any]:
        """The result as it is stored and printed."""
        return asdict(self) | {"outcome": self.exit_code.name.lower(), "exit_code": int(self.exit_code)}

    def summary(self) -> dict[str, Any]:
        """The result without its rows and reasons: short enough for a log line."""
        names = ("run_id", "kind", "dry_run", "outcome", "exit_code", "members", "contacts", "counts", "message")
        whole = self.as_json()
        summary = {name: whole[name] for name in names}
        summary["brakes"] = [brake.brake for brake in self.brakes]
        summary["message"] = self.message[:500]
        return summary

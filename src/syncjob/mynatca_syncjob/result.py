"""How a run ended: outcome, exit code, and counts that add up to what was seen."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from typing import Any

from mynatca_intercom.intercom.contact import ContactListing
from mynatca_intercom.members.member import MemberListing
from mynatca_intercom.reconcile.apply import OUTCOME_OF, Row, RowOutcome
from mynatca_intercom.reconcile.brakes import Brake
from mynatca_intercom.reconcile.plan import Plan
from mynatca_intercom.summary import Summary

_PRECEDENCE: tuple[RowOutcome, ...] = (
    "failed",
    "not_reached",
    "review",
    "created",
    "converted",
    "updated",
    "merged",
    "archived_duplicate",
    "archived",
    "cleared",
    "unchanged",
)
"""Of several things that happened to a member or contact, the first of these is what it is counted under."""

_STANDING = ("unchanged", "review", "failed", "not_reached", "postponed", "not_approved")
COUNTED = {
    "members": ("created", "updated", "converted", "deduplicated", *_STANDING),
    "contacts": (
        *("updated", "converted", "merged", "archived_duplicate", "archived", "cleared"),
        *("open_work", "active", "out_of_scope", *_STANDING),
    ),
}
"""What a member, or a contact, is counted under; each is, exactly once."""


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

    `seen` is what `counts` add up to: members (sync), contacts (audit), rows of the file (manual update) or writes
    (undo). `counts` of a dry run are those of the run that it foretells; `actions` are those planned, by kind.
    Of the `planned` actions that the run set out to take, `done` are behind it.
    `failed_sources` says which sources of members were asked in vain before `source`. `plan_digest` is what the plan
    file is known by, `approved_run` the dry run whose plan was approved and is carried out. Moments are ISO 8601, UTC.
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
    failed_sources: list[str] = field(default_factory=list)
    members: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    contacts: int = 0
    seen: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    actions: dict[str, int] = field(default_factory=dict)
    planned: int = 0
    done: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    brakes: list[Brake] = field(default_factory=list)
    rows: list[dict[str, str | None]] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    plan_digest: str = ""
    approved_run: str = ""

    def saw(self, members: MemberListing, contacts: ContactListing) -> None:
        """Note what was read."""
        self.source, self.failed_sources, self.left_out = members.source, list(members.failed), members.left_out
        self.members, self.contacts = len(members.members), len(contacts.contacts)

    def count(self, plan: Plan, rows: Iterable[Row] | None, rejected: int = 0) -> None:
        """Count every subject once: by what became of its actions, or with no rows (a dry run) by what is planned.

        `rejected` are rows of a mappings file that nothing could be planned for.
        """
        reached = [Row(action, OUTCOME_OF[action.kind]) for action in plan.actions] if rows is None else list(rows)
        outcomes = _outcomes(plan, reached)
        counts = Counter[str](dict.fromkeys(COUNTED[plan.scope.counts], 0))
        counts.update(plan.standing)
        counts.update(_counted(plan, found) for found in outcomes.values())
        counts["failed"] += rejected
        self.counts = dict(counts)
        self.seen = sum(counts.values())
        self.actions = dict(Counter(action.kind for action in plan.actions))
        left = [row for row in reached if row.outcome in ("failed", "review")]
        self.rows = [as_json(row) for row in left]
        reasons = [finding.reason for finding in plan.findings]
        self.findings = dict(Counter([*reasons, *(row.reason or "" for row in left if row.outcome == "review")]))

    def as_json(self) -> dict[str, Any]:
        """The result as it is stored and printed."""
        return asdict(self) | {"outcome": self.exit_code.name.lower(), "exit_code": int(self.exit_code)}

    def summary(self) -> Summary:
        """The result without its rows and reasons: short enough for a log line and a termination message."""
        return Summary(
            run_id=self.run_id,
            kind=self.kind,
            dry_run=self.dry_run,
            outcome=self.exit_code.name.lower(),
            exit_code=int(self.exit_code),
            source=self.source,
            members=self.members,
            contacts=self.contacts,
            seen=self.seen,
            counts=self.counts,
            planned=self.planned,
            done=self.done,
            brakes=[brake.brake for brake in self.brakes],
            message=self.message[:500],
            plan_digest=self.plan_digest,
        )


def as_json(row: Row) -> dict[str, str | None]:
    """A row as it stands in results: ids and numbers only."""
    return {
        "action": row.action.kind,
        "member_number": row.member_number,
        "contact_id": row.contact_id,
        "outcome": row.outcome,
        "reason": row.reason,
    }


def outcome_of(rows: Iterable[RowOutcome]) -> RowOutcome:
    """The one thing to say of a member or contact to whom several things happened."""
    return min(rows, key=_PRECEDENCE.index)


def _outcomes(plan: Plan, rows: Sequence[Row]) -> dict[str, RowOutcome]:
    """What became of each subject that has actions; those without a row were not reached."""
    found: defaultdict[str, list[RowOutcome]] = defaultdict(list)
    ended = {id(row.action) for row in rows}
    unended = [Row(action, "not_reached") for action in plan.actions if id(action) not in ended]
    for row in (*rows, *unended):
        subject = plan.subject(row.action)
        if subject:
            found[subject].append(row.outcome)
    return {subject: outcome_of(outcomes) for subject, outcomes in found.items()}


def _counted(plan: Plan, outcome: RowOutcome) -> str:
    """A member whose own contact agreed and whose duplicates were resolved has a word of its own."""
    if plan.scope.counts == "members" and outcome in ("merged", "archived_duplicate", "cleared"):
        return "deduplicated"
    return outcome

"""A plan that a person approved: `apply-plan` carries out what stands in it, and nothing else.

The run reads, judges and plans afresh. Of its cases those are kept whose actions all stand in the approved plan, line
by line with former and new values; what changed meanwhile is left out and counted.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mynatca_intercom.reconcile.history import History
from mynatca_intercom.reconcile.plan import Case, Finding, Plan
from mynatca_intercom.reconcile.run_folder import Request, as_json, as_line, digest, find_run
from mynatca_intercom.settings import SettingsError

NO_LONGER_SO = "approved, and no longer to be done, or not in this way"
"""The finding for an approved action that is not taken."""

Line = Mapping[str, Any]


class _Ending(BaseModel):
    """What of a run's result says whether its plan can be approved."""

    dry_run: bool
    outcome: str


@dataclass(frozen=True, slots=True)
class ApprovedPlan:
    """The plan of the dry run `run`: what it was asked for, and its actions by their lines in the file."""

    run: str
    request: Request
    actions: Mapping[str, Line]

    def has(self, actions: Iterable[Line]) -> bool:
        """Whether all of these stand in the plan, as they are."""
        return all(as_line(dict(action)) in self.actions for action in actions)

    def without(self, actions: Iterable[Line]) -> list[Line]:
        """The plan's actions but for these."""
        taken = {as_line(dict(action)) for action in actions}
        return [action for line, action in self.actions.items() if line not in taken]

    def narrowed(self, plan: Plan, history: History) -> Plan:
        """A fresh plan with its approved cases alone, and a finding for each approved action that is not in it.

        What an earlier attempt of this run began is gone on with, as far as it was approved: its writes have changed
        what else a line says. What it wrote is not missed.
        """
        begun = _begun(history)
        kept = plan.only((case for case in plan.cases if self._allows(case, begun)), "not_approved")
        missed = [line for line in self.without(map(as_json, kept.actions)) if not _names(line) & begun]
        findings = (Finding(NO_LONGER_SO, line["member_number"], line["contact_id"]) for line in missed)
        return replace(kept, findings=(*kept.findings, *findings))

    def _allows(self, case: Case, begun: frozenset[str]) -> bool:
        actions = [as_json(action) for action in case.actions]
        if self.has(actions):
            return True
        return any(_names(action) & begun for action in actions) and all(map(self._has_whole_of, actions))

    def _has_whole_of(self, rest: Line) -> bool:
        return any(_is_rest(rest, approved) for approved in self.actions.values())


def read_approved(runs_dir: Path, run: str, approved: str) -> ApprovedPlan:
    """The plan of a dry run, if its file has the digest that was approved.

    Raises:
        SettingsError: there is no such run, it is no dry run that went through, or its plan has another digest.
    """
    folder = find_run(runs_dir, run)
    try:
        ending = _Ending.model_validate_json((folder / "result.json").read_bytes())
        plan = (folder / "plan.jsonl").read_bytes()
    except (OSError, ValidationError):
        raise SettingsError(f"RUN cannot be {run!r}: it left no plan, or no result. {_DRY_RUN}") from None
    if not ending.dry_run or ending.outcome != "done":
        raise SettingsError(f"RUN cannot be {run!r}: only the plan of a dry run that went through counts. {_DRY_RUN}")
    if digest(plan) != approved:
        raise SettingsError(
            f"The plan of {run} has the digest {digest(plan)}: it is not the plan that was approved. "
            f"Read it with mynatca-syncjob show {run}, and approve its digest."
        )
    try:
        return _parsed(run, plan.decode())
    except ValueError:
        raise SettingsError(f"RUN cannot be {run!r}: its plan is of another version. {_DRY_RUN}") from None


_DRY_RUN = "Make a plan first, for example with mynatca-syncjob audit --dry-run."


def _parsed(run: str, text: str) -> ApprovedPlan:
    first, *lines = text.removesuffix("\n").split("\n")
    parsed = ((line, json.loads(line)) for line in lines)
    actions = {line: action for line, action in parsed if action["kind"] != "finding"}
    return ApprovedPlan(run, Request.model_validate_json(first), actions)


def _begun(history: History) -> frozenset[str]:
    """Members and contacts that an earlier attempt of this run wrote to, or may have."""
    writes = (write for write in history.writes if write.effect != "failed")
    return frozenset(
        name
        for write in writes
        for name in _names({"member_number": write.member_number, "contact_id": write.contact_id})
    )


def _names(about: Line) -> set[str]:
    """Whom it is about."""
    return {f"{key} {about[key]}" for key in ("member_number", "contact_id") if about[key]}


def _is_rest(rest: Line, approved: Line) -> bool:
    """Whether an action is what an interrupted one still has to do: the same, for fields or conversations that remain.

    A field must be as it was, or empty by now, so that nothing is written over that nobody approved to write over.
    """
    same = all(rest.get(key) == approved.get(key) for key in ("kind", "member_number", "contact_id", "into"))
    return (
        same
        and rest["after"].items() <= approved["after"].items()
        and all(rest["before"][name] in (approved["before"].get(name), None, "") for name in rest["before"])
        and set(rest.get("conversations", ())) <= set(approved.get("conversations", ()))
    )

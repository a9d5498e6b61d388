"""The report as a page: one file without anything from outside, for a support lead to read in a browser.

It shows members' data, before and after, so it lies in the run folder, readable by its owner alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from mynatca_intercom.reconcile.apply import OUTCOME_OF, Row
from mynatca_intercom.reconcile.plan import Action, Plan
from mynatca_intercom.reconcile.undo import UndoRow
from mynatca_syncjob.report import ACTION_TITLES, HEADLINES, WORDS
from mynatca_syncjob.result import Exit, Result

_PAGES = Environment(
    loader=PackageLoader("mynatca_syncjob", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def run_page(result: Result, plan: Plan | None, rows: Sequence[Row] | None) -> str:
    """The page of a sync, audit or manual update; `rows` None for a run that wrote nothing."""
    ended = {id(row.action): row for row in rows or ()}
    groups: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for action in plan.actions if plan else ():
        groups[action.kind].append(_action(action, ended.get(id(action)), planned=rows is None))
    findings = [_finding(finding.reason, finding) for finding in plan.findings] if plan else []
    findings += [_finding(row.reason or "", row) for row in rows or () if row.outcome == "review"]
    return _page(result, groups, findings)


def undo_page(result: Result, run: str, rows: Iterable[UndoRow]) -> str:
    """The page of an undo of this run."""
    groups: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row.write.operation].append(
            {
                "member_number": row.write.member_number,
                "contact_id": row.write.contact_id,
                "outcome": row.outcome,
                "reason": row.reason or "",
                "evidence": (),
                "changes": _changes(row.write.after, row.write.before),
                "notes": [],
            }
        )
    return _page(result, groups, [], undone=run)


def _page(
    result: Result, groups: Mapping[str, list[dict[str, Any]]], findings: list[dict[str, Any]], undone: str = ""
) -> str:
    return _PAGES.get_template("page.html.j2").render(
        result=result,
        headline=HEADLINES[result.exit_code],
        good=result.exit_code == Exit.DONE,
        groups=[(ACTION_TITLES.get(kind, kind), actions) for kind, actions in groups.items()],
        findings=sorted(findings, key=lambda finding: finding["reason"]),
        words=WORDS,
        undone=undone,
    )


def _action(action: Action, row: Row | None, *, planned: bool) -> dict[str, Any]:
    notes = []
    if action.into:
        notes.append(f"into contact {action.into.id}")
    if action.conversations:
        notes.append(f"{len(action.conversations)} open conversations move there")
    outcome = OUTCOME_OF[action.kind] if planned else row.outcome if row else "not_reached"
    return {
        "member_number": action.member.number if action.member else None,
        "contact_id": action.contact.id if action.contact else (row.contact_id if row else None),
        "outcome": outcome,
        "reason": (row.reason if row else None) or action.reason,
        "evidence": action.evidence,
        "changes": _changes(action.before, action.after),
        "notes": notes,
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(name, before.get(name), after.get(name)) for name in {**before, **after}]


def _finding(reason: str, about: Any) -> dict[str, Any]:
    return {
        "reason": reason,
        "member_number": about.member_number,
        "contact_id": about.contact_id,
        "evidence": getattr(about, "evidence", ()),
        "candidates": getattr(about, "candidates", ()),
    }

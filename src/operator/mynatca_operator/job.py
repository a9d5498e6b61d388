"""The Job of a run: the chart's template, with what this run is about. Pure."""

import json
from copy import deepcopy
from typing import Any

from mynatca_operator.decide import Launch
from mynatca_operator.resource import GROUP, KIND, VERSION, IntercomAudit

KIND_LABEL = f"{GROUP}/run"
"""On every Job and pod of a run, the nightly ones too: its mode. What the operator lists by."""
WRITES_LABEL = f"{GROUP}/writes"
"""Whether the Job may write to Intercom."""
NIGHTLY = "Nightly"
"""The mode of the nightly sync, as the CronJob's template says."""
UID_LABEL = f"{GROUP}/uid"
"""The UID of the IntercomAudit, so that a pod says whose it is when its Job is gone; nightly ones have none."""
METRICS_PORT = 9090
HANDOVER_SECONDS = 120
"""How long the pod of a plan waits for the operator to read the plan's beginning."""
BACKSTOP_SECONDS = 7 * 24 * 3600
"""A finished Job goes after so long even if no operator is there; its result is in the status long before."""
_MAPPINGS = "/etc/mynatca-intercom/mappings"


def mappings_config_map(audit: IntercomAudit, launch: Launch) -> dict[str, Any] | None:
    """The ConfigMap with the decisions that stand in the object itself; None when there are none."""
    manual = audit.spec.manual_update
    if manual is None or manual.mappings is None:
        return None
    rows = [{"contact_id": each.contact_id, "member_number": each.member_number} for each in manual.mappings]
    return {
        "metadata": {"name": f"{launch.run_id}-mappings", "ownerReferences": [owner(audit)]},
        "immutable": True,
        "data": {"mappings.json": json.dumps(rows)},
    }


def owner(audit: IntercomAudit) -> dict[str, Any]:
    """The reference by which what belongs to an object goes with it."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "name": audit.metadata.name,
        "uid": audit.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def job(template: dict[str, Any], audit: IntercomAudit, launch: Launch, max_failed_rows: str) -> dict[str, Any]:
    """The Job to be created, suspended: `decide` says why."""
    made = deepcopy(template)
    writes = launch.step == "run" and not audit.spec.dry_run
    labels = {KIND_LABEL: audit.spec.mode, WRITES_LABEL: str(writes).lower(), UID_LABEL: audit.metadata.uid}
    metadata = made.setdefault("metadata", {})
    metadata["name"] = launch.job_name
    metadata["labels"] = metadata.get("labels", {}) | labels
    metadata["ownerReferences"] = [owner(audit)]
    spec = made["spec"]
    spec["suspend"] = True
    spec["backoffLimit"] = audit.spec.backoff_limit
    spec["ttlSecondsAfterFinished"] = BACKSTOP_SECONDS
    if audit.spec.active_deadline_seconds:
        spec["activeDeadlineSeconds"] = audit.spec.active_deadline_seconds
    pod = spec["template"]
    pod_metadata = pod.setdefault("metadata", {})
    pod_metadata["labels"] = pod_metadata.get("labels", {}) | labels
    container = pod["spec"]["containers"][0]
    container["args"] = arguments(audit, launch, max_failed_rows)
    own = {
        "RUN_ID": launch.run_id,
        "METRICS_PORT": str(METRICS_PORT),
        "TERMINATION_LOG": "/dev/termination-log",
        "PLAN_HANDOVER_SECONDS": str(HANDOVER_SECONDS if launch.step == "plan" else 0),
    }
    given = [each for each in container.get("env", []) if each["name"] not in own]
    container["env"] = [*given, *({"name": name, "value": value} for name, value in own.items())]
    _mount_mappings(audit, launch, pod["spec"], container)
    return made


def _mount_mappings(audit: IntercomAudit, launch: Launch, pod: dict[str, Any], container: dict[str, Any]) -> None:
    manual = audit.spec.manual_update
    if manual is None or _applies_plan(audit, launch):
        return
    reference = manual.mappings_from.config_map_key_ref if manual.mappings_from else None
    name = reference.name if reference else f"{launch.run_id}-mappings"
    key = reference.key if reference else "mappings.json"
    volume = {"name": "mappings", "configMap": {"name": name, "items": [{"key": key, "path": "mappings"}]}}
    pod["volumes"] = [*pod.get("volumes", []), volume]
    mount = {"name": "mappings", "mountPath": _MAPPINGS, "readOnly": True}
    container["volumeMounts"] = [*container.get("volumeMounts", []), mount]


def arguments(audit: IntercomAudit, launch: Launch, max_failed_rows: str) -> list[str]:
    """The command line of `mynatca-syncjob`."""
    spec, status = audit.spec, audit.status
    failed = ["--max-failed-rows", max_failed_rows]
    if _applies_plan(audit, launch):
        return ["apply-plan", status.plan_run_id or "", "--digest", status.plan_digest or "", *failed]
    options = ["--dry-run"] if spec.dry_run or launch.step == "plan" else []
    options += ["--limit", str(spec.limit)] if spec.limit else []
    for brake in spec.brakes.release if spec.brakes else ():
        options += ["--release", brake]
    if spec.mode == "Undo" and spec.undo:
        return ["undo", spec.undo.run_id, *options, *failed]
    if spec.mode == "ManualUpdate":
        return ["manual-update", f"{_MAPPINGS}/mappings", *options, *failed]
    if spec.mode == "Sync":
        return ["sync", *options, *failed]
    flags = [] if spec.audit is None or not spec.audit.leads_only else ["--leads-only"]
    flags += [] if spec.audit is None or spec.audit.archive else ["--no-archive"]
    return ["audit", *flags, *options, *failed]


def _applies_plan(audit: IntercomAudit, launch: Launch) -> bool:
    return audit.spec.approval == "Manual" and launch.step == "run"

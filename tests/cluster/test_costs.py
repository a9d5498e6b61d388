"""What the operator asks of the API server and of its node, with few objects and with many."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from support.cluster import Namespace, until
from support.operator_process import Operator

Figure = Callable[[str, float], None]
NOBODY = {"mappings": [{"contactId": "0" * 24, "memberNumber": "1"}]}
LOOKS_OF_AN_HOUR = 120
"""At the default of SWEEP_SECONDS."""
WRITES_OF_A_RUN = 12
"""docs/operator.md: what a run costs at most, when it takes less than half a minute."""
MANY = 1000
MEMORY_MB = 200


@pytest.mark.timeout(600)
def test_an_idle_hour_costs_no_write(namespace: Namespace, operator: Operator, figure: Figure) -> None:
    operator.start(SWEEP_SECONDS="0.01")  # it looks once a second all the same
    namespace.audit("held", mode="Audit", suspend=True).reaches("Suspended")
    namespace.audit("planned", mode="Audit", approval="Manual").reaches("AwaitingApproval")
    namespace.audit("good", mode="Audit", dryRun=True).reaches("Complete")
    namespace.audit("bad", mode="ManualUpdate", manualUpdate=NOBODY).reaches("Failed")
    operator.looks_again()
    operator.proxy.calls.clear()
    operator.looks_again(LOOKS_OF_AN_HOUR)
    figure("operator.idle_writes", len(operator.proxy.writes))
    assert operator.proxy.writes == []


def test_a_run_costs_few_writes(namespace: Namespace, operator: Operator, figure: Figure) -> None:
    operator.start()
    operator.proxy.calls.clear()
    namespace.audit("run", mode="Audit").reaches("Complete")
    operator.looks_again()
    figure("operator.writes_per_run", len(operator.proxy.writes))
    assert len(operator.proxy.writes) <= WRITES_OF_A_RUN, [str(call) for call in operator.proxy.writes]


@pytest.mark.timeout(600)
def test_a_thousand_finished_objects_are_no_burden(namespace: Namespace, operator: Operator, figure: Figure) -> None:
    operator.start(KEPT_COMPLETE=str(MANY), KEPT_FAILED=str(MANY))
    operator.looks_again()
    series, memory = count_series(operator), memory_mb(operator)
    for number in range(MANY):
        finished(namespace, f"run-{number:04}", failed=number % 10 == 0)
    until(lambda: f"{MANY // 10}.0" in line_of(operator, 'audits{mode="Audit",phase="Failed"}'), "all are seen")
    operator.looks_again()
    figure("operator.series_1000_finished", count_series(operator))
    figure("operator.series_0_finished", series)
    figure("operator.memory_mb_0_finished", memory)
    figure("operator.memory_mb_1000_finished", memory_mb(operator))
    assert count_series(operator) == series
    assert memory_mb(operator) < MEMORY_MB


def finished(namespace: Namespace, name: str, *, failed: bool) -> None:
    """An object whose run has ended, as an operator would have left it."""
    end, other, reason = ("Failed", "Complete", "Crashed") if failed else ("Complete", "Failed", "Succeeded")
    made = {"apiVersion": "intercom.natca.org/v1alpha1", "kind": "IntercomAudit", "metadata": {"name": name}}
    namespace.create("intercomaudits", made | {"spec": {"mode": "Audit"}})
    moment = "2026-01-01T00:00:00Z"
    condition: dict[str, Any] = {"reason": reason, "message": "", "lastTransitionTime": moment, "observedGeneration": 1}
    status = {
        "phase": end,
        "message": "It has ended.",
        "observedGeneration": 1,
        "runId": f"{name}-0123456789",
        "jobName": f"{name}-0123456789-run-1",
        "attempt": 1,
        "startTime": moment,
        "launchTime": moment,
        "completionTime": moment,
        "conditions": [{"type": end, "status": "True", **condition}, {"type": other, "status": "False", **condition}],
        "progress": {"total": 9, "done": 9, "lastMoved": moment},
    }
    namespace.patch("intercomaudits", f"{name}/status", {"status": status})


def count_series(operator: Operator) -> int:
    return sum(len(family.samples) for family in text_string_to_metric_families(operator.get("metrics").text))


def line_of(operator: Operator, series: str) -> str:
    lines = operator.get("metrics").text.splitlines()
    return next(line for line in lines if line.startswith(f"mynatca_intercom_operator_{series} "))


def memory_mb(operator: Operator) -> float:
    """What the operator's process holds now."""
    assert operator.process is not None
    status = Path(f"/proc/{operator.process.pid}/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)

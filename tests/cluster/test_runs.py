"""Runs of every mode, from `kubectl apply` to the truth about them."""

from support.cluster import Namespace
from support.operator_process import Operator


def test_a_dry_run_completes_and_writes_nothing(namespace: Namespace, operator: Operator) -> None:
    before = namespace.contacts()
    operator.start()
    audit = namespace.audit("dry", mode="Audit", dryRun=True)
    namespace.kubectl("wait", "--for=condition=Complete", "intercomaudit/dry", "--timeout=60s")
    status = audit.status
    assert status["phase"] == "Complete"
    assert status["result"]["outcome"] == "done"
    assert status["result"]["changed"] > 0
    assert sum(status["result"]["counts"].values()) == status["result"]["seen"]
    assert audit.condition("Failed")["status"] == "False"
    assert {each["observedGeneration"] for each in status["conditions"]} == {1}
    assert namespace.contacts() == before

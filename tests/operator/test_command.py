"""`mynatca-operator` as a process: what it refuses, how it runs, what it serves and how it stops."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from mynatca_intercom.summary import Summary
from mynatca_operator.__main__ import run
from mynatca_operator.resource import PLURAL
from support.api_server import NAMESPACE, ApiServer
from support.ports import free_port
from support.webhook_service import wait_until

COMMAND = Path(sys.executable).with_name("mynatca-operator")


POD = {"restartPolicy": "Never", "containers": [{"name": "syncjob", "image": "syncjob"}]}


def job_with(**spec: Any) -> str:
    """A Job template, with these parts of its spec."""
    return yaml.safe_dump({"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": POD}} | spec})


class Operator:
    """One process of the operator."""

    def __init__(self, api: ApiServer, folder: Path) -> None:
        self.port = free_port()
        self.log_file = folder / "operator.log"
        self.template = folder / "job.yaml"
        self.template.write_text(job_with())
        kubeconfig = folder / "kubeconfig"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator"}}],
            "clusters": [{"name": "test", "cluster": {"server": api.url}}],
            "users": [{"name": "operator", "user": {"token": "token"}}],
        }
        kubeconfig.write_text(json.dumps(config))
        self.settings = {
            "KUBECONFIG": str(kubeconfig),
            "OPERATOR_NAMESPACE": NAMESPACE,
            "JOB_TEMPLATE": str(self.template),
            "SWEEP_SECONDS": "600",
            "HTTP_PORT": str(self.port),
        }
        self.process: subprocess.Popen[bytes] | None = None

    def begin(self, **more: str | None) -> "subprocess.Popen[bytes]":
        """Start it; a setting that is None is not set."""
        settings = {name: value for name, value in (self.settings | more).items() if value is not None}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen([COMMAND], env=os.environ | settings, stdout=log, stderr=log)
        return self.process

    def start(self, **more: str) -> None:
        """Start it, and wait until it has looked at everything once."""
        self.begin(**more)
        wait_until(self._is_ready)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}/{path}", timeout=5)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            return self.get("readyz").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture
def operator(api: ApiServer, tmp_path: Path) -> Iterator[Operator]:
    operator = Operator(api, tmp_path)
    yield operator
    if operator.process:
        operator.process.kill()
        operator.process.wait()


def run_to_its_end(api: ApiServer, name: str) -> None:
    """Let an object be launched, its Job end, and its result be stored."""
    wait_until(lambda: api.list("jobs"))
    status = api.status(name)
    wait_until(lambda: not api.get("jobs", status["jobName"])["spec"]["suspend"])
    api.run_job(status["jobName"], address="")
    wait_until(lambda: api.status(name)["phase"] == "Running")
    summary = Summary(
        run_id=status["runId"],
        kind="audit",
        dry_run=False,
        outcome="done",
        exit_code=0,
        seen=1,
        counts={"updated": 1},
    )
    api.end_job(status["jobName"], summary.as_message())
    wait_until(lambda: api.status(name)["phase"] == "Complete")


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("OPERATOR_NAMESPACE", None, "OPERATOR_NAMESPACE is not set"),
        ("JOB_TEMPLATE", None, "JOB_TEMPLATE"),
        ("JOB_TEMPLATE", "/nowhere", "JOB_TEMPLATE cannot be '/nowhere'"),
        ("SWEEP_SECONDS", "0", "SWEEP_SECONDS"),
    ],
)
def test_wrong_settings_are_named(
    operator: Operator, setting: str, value: str | None, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = operator.settings | {setting: value}
    assert run([], {name: value for name, value in settings.items() if value is not None}) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{", "it cannot be read"),
        ("a word", "it is no Job"),
        (yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "spec": POD}), "it is no Job"),
        (job_with(backoffLimit="many"), "spec.backoffLimit"),
        (job_with(template={"spec": {"containers": []}}), "spec.template.spec.containers"),
        (job_with(template={"spec": {"containers": [{"name": "syncjob"}]}}), "spec.template.spec.containers.0.image"),
        (job_with(template={"spec": POD | {"tolerate": []}}), "spec.template.spec.tolerate"),
    ],
)
def test_a_wrong_template_is_named(
    operator: Operator, template: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    operator.template.write_text(template)
    assert run([], operator.settings) == 2
    told = capsys.readouterr().err
    assert told.startswith("JOB_TEMPLATE cannot be ")
    assert sentence in told
    assert len(told.splitlines()) == 1


def test_wrong_settings_end_the_process(operator: Operator) -> None:
    assert operator.begin(JOB_TEMPLATE="/nowhere").wait(30) == 2
    assert operator.log.startswith("JOB_TEMPLATE cannot be '/nowhere'")
    assert "Traceback" not in operator.log


def test_a_missing_definition_is_named(operator: Operator, api: ApiServer) -> None:
    api.has_definition = False
    assert operator.begin().wait(120) == 2
    assert operator.log.startswith("The cluster has no CustomResourceDefinition intercomaudits.intercom.natca.org")


def test_an_older_definition_is_named(operator: Operator, api: ApiServer) -> None:
    del api.definition["properties"]["spec"]["properties"]["undo"]
    assert operator.begin().wait(120) == 2
    assert "is older than this operator: it has no spec.undo." in operator.log


def test_a_definition_that_goes_ends_the_operator(operator: Operator, api: ApiServer) -> None:
    operator.start(SWEEP_SECONDS="0.1")
    api.has_definition = False
    assert operator.process is not None
    assert operator.process.wait(30) == 2
    assert "The cluster has no CustomResourceDefinition" in operator.log


def test_sweeps_alone_carry_a_run(operator: Operator, api: ApiServer) -> None:
    api.fail(f"watch {PLURAL}", None)
    api.fail("watch jobs", None)
    operator.start(SWEEP_SECONDS="0.1")
    api.add_audit("a")
    run_to_its_end(api, "a")
    assert len(api.list("jobs")) == 1
    lines = [json.loads(line) for line in operator.log.splitlines()]
    assert all({"time", "level", "message"} <= line.keys() for line in lines), lines


@pytest.mark.parametrize(("everywhere", "namespace"), [("false", NAMESPACE), ("true", "other")])
def test_an_event_is_enough(operator: Operator, api: ApiServer, everywhere: str, namespace: str) -> None:
    operator.start(ALL_NAMESPACES=everywhere)
    api.add_audit("a", namespace=namespace)
    run_to_its_end(api, "a")
    assert [job["metadata"]["namespace"] for job in api.list("jobs")] == [namespace]


def test_what_it_serves(operator: Operator, api: ApiServer) -> None:
    api.fail("list jobs", 503)
    operator.begin(SWEEP_SECONDS="0.1")
    wait_until(lambda: api.count("list jobs"))
    assert operator.get("readyz").status_code == 503
    assert operator.get("healthz").status_code == 200
    api.heal()
    wait_until(lambda: operator.get("readyz").status_code == 200)
    api.fail("list jobs", 503)
    wait_until(lambda: operator.get("readyz").status_code == 503)
    api.heal()
    assert 'mynatca_intercom_operator_audits{mode="Audit",phase="Running"} 0.0' in operator.get("metrics").text
    assert operator.stop() == 0

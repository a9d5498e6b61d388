"""All programs of an installation, as processes with real traffic, and what scrapes them."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import httpx
import yaml

from mynatca_operator.job import KIND_LABEL
from mynatca_operator.record import KINDS, SUCCEEDED, KindRecord, LastRun, Record
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact
from support.api_server import NAMESPACE, ApiServer
from support.ports import free_port
from support.prometheus import Target
from support.runs import Runner
from support.webhook_service import ANN, Service, notification, wait_until
from support.worlds import NOW, member_row, world_of

RELEASE = "natca"
RUN_POD = "natca-nightly-1"
LEAD = "a" * 24
MEMBERS = 3000
POD = {"restartPolicy": "Never", "containers": [{"name": "syncjob", "image": "syncjob"}]}
TEMPLATE = {"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"spec": POD}}}
CLUSTER = f"""
kube_job_spec_active_deadline_seconds{{namespace="{NAMESPACE}",job_name="{RELEASE}-mynatca-intercom-nightly-1"}} 21600
container_cpu_usage_seconds_total{{namespace="{NAMESPACE}",pod="webhook-1",container="webhook"}} 1.5
container_memory_working_set_bytes{{namespace="{NAMESPACE}",pod="webhook-1",container="webhook"}} 1e8
kube_pod_container_status_restarts_total{{namespace="{NAMESPACE}",pod="webhook-1",container="webhook"}} 0
kube_pod_container_info{{namespace="{NAMESPACE}",pod="webhook-1",container="webhook",image="webhook:0.1.0"}} 1
"""
"""What kube-state-metrics and the kubelet tell of an installation, as far as dashboards ask for it."""


@dataclass
class Installation:
    """Programs that run, and the ports of their metrics by part."""

    service: Service
    ports: dict[str, int]
    _numbers: Iterator[int] = field(default_factory=count)

    @property
    def targets(self) -> list[Target]:
        """What is scraped, with the labels that the chart's PodMonitors give it."""
        own = {"namespace": NAMESPACE, "release": RELEASE}
        pods = {"webhook": "webhook-1", "operator": "operator-1", "run": RUN_POD}
        parts = [Target(self.ports[part], {**own, "component": part, "pod": pod}) for part, pod in pods.items()]
        return [*parts, Target(self.ports["cluster"], {})]

    def exposition(self, part: str) -> str:
        """What a part exports now."""
        return httpx.get(f"http://127.0.0.1:{self.ports[part]}/metrics", timeout=10).text

    def traffic(self) -> None:
        """A notification of each kind, and a look-up that is refused."""
        body = notification(LEAD, next(self._numbers))
        self.service.send(body)
        self.service.send(body, headers={"X-Hub-Signature": "sha1=00"})
        httpx.post(f"{self.service.url}/api/intercom/lookup", json={"email": "ann@example.com"})


@contextmanager
def installed(folder: Path) -> Iterator[Installation]:
    """Run webhook service, operator and a sync that lasts for a minute or so."""
    with ExitStack() as stack:
        service = stack.enter_context(_webhook(folder))
        ports = {
            "webhook": stack.enter_context(_serving_webhook(service)),
            "operator": stack.enter_context(_operator(folder)),
            "run": stack.enter_context(_run(folder)),
            "cluster": stack.enter_context(_page(CLUSTER)),
        }
        yield Installation(service, ports)


@contextmanager
def _webhook(folder: Path) -> Iterator[Service]:
    lead = Contact(LEAD, "lead", NOW - 100, NOW - 100, email="ann@example.com")
    world = world_of([member_row(ANN, "ann@example.com")], [lead])
    with Sandbox(world) as sandbox:
        yield Service(sandbox, folder)


@contextmanager
def _serving_webhook(service: Service) -> Iterator[int]:
    port = free_port()
    service.start(METRICS_PORT=str(port), MEMBER_CACHE=str(service.folder / "members.db"))
    try:
        yield port
    finally:
        service.stop()


@contextmanager
def _operator(folder: Path) -> Iterator[int]:
    """An operator that knows of a last run of each kind, and of a night that goes on."""
    with ApiServer() as api:
        end = datetime.now(UTC) - timedelta(hours=5)
        last = LastRun(outcome=SUCCEEDED, started_at=end - timedelta(minutes=20), ended_at=end, counts={"updated": 7})
        record = Record(kinds={kind: KindRecord(last=last, last_success=end) for kind in KINDS})
        api.put("configmaps", {"metadata": {"name": "mynatca-intercom-runs"}, "data": {"runs.json": _text(record)}})
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": "cron", "controller": True}
        night = {"name": "nightly-1", "labels": {KIND_LABEL: "NightlySync"}, "ownerReferences": [owner]}
        api.put("jobs", {"metadata": night, "spec": TEMPLATE["spec"]})
        (folder / "job.yaml").write_text(yaml.safe_dump(TEMPLATE))
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator"}}],
            "clusters": [{"name": "test", "cluster": {"server": api.url}}],
            "users": [{"name": "operator", "user": {"token": "token"}}],
        }
        (folder / "kubeconfig").write_text(json.dumps(config))
        port = free_port()
        settings = {
            "KUBECONFIG": str(folder / "kubeconfig"),
            "OPERATOR_NAMESPACE": NAMESPACE,
            "JOB_TEMPLATE": str(folder / "job.yaml"),
            "SYNC_CRONJOB": "nightly",
            "SWEEP_SECONDS": "1",
            "HTTP_PORT": str(port),
        }
        with _process("mynatca_operator", settings, folder):
            wait_until(lambda: _answers(f"http://127.0.0.1:{port}/readyz"))
            yield port


def _text(record: Record) -> str:
    return record.model_dump_json()


@contextmanager
def _run(folder: Path) -> Iterator[int]:
    rows = [member_row(str(1000 + number), f"member{number}@example.com") for number in range(MEMBERS)]
    port = free_port()
    with Sandbox(world_of(rows, []), Options(limit=600, window_seconds=10, latency=0.02)) as sandbox:
        process = Runner(sandbox, folder / "runs").start(METRICS_PORT=str(port), RUN_ID=RUN_POD)
        try:
            wait_until(lambda: _answers(f"http://127.0.0.1:{port}/metrics"))
            yield port
        finally:
            process.terminate()
            process.communicate(timeout=60)


@contextmanager
def _process(module: str, settings: dict[str, str], folder: Path) -> Iterator[None]:
    with (folder / f"{module}.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module], env=os.environ | settings, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def _page(text: str) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False

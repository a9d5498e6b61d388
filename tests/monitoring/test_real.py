"""The programs themselves, scraped by a real Prometheus: every query has data, and an alert arrives."""

import json
import math
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.api_server import NAMESPACE
from support.prometheus import Prometheus, alertmanager, fixed, prometheus, prometheus_is_there, promtool
from support.webhook_service import wait_until

from .installation import RELEASE, RUN_POD, Installation, installed
from .queries import DASHBOARDS, filled, queries
from .test_alerts import rules

pytestmark = pytest.mark.skipif(not prometheus_is_there(), reason="there is no Prometheus")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("installation")


@pytest.fixture(scope="module")
def installation(folder: Path) -> Iterator[Installation]:
    with installed(folder) as running:
        yield running


def has_data(server: Prometheus, query: str) -> bool:
    samples = server.ask(query)
    return any(not math.isnan(float(sample["value"][1])) for sample in samples)


def test_every_query_of_the_dashboards_returns_data(installation: Installation, folder: Path) -> None:
    """Each at some moment while all programs work; of the empty ones none is left."""
    variables = {"namespace": NAMESPACE, "release": RELEASE}
    left = {
        filled(query, pod=RUN_POD if name == "run" else ".+", **variables)
        for name, dashboard in DASHBOARDS.items()
        for query in queries(dashboard)
    }
    assert len(left) > 60
    with prometheus(folder, [fixed(installation.targets)]) as server:

        def is_answered() -> bool:
            installation.traffic()
            left.difference_update([query for query in left if has_data(server, query)])
            return not left

        try:
            wait_until(is_answered, 45)
        except AssertionError:
            pytest.fail("without data: " + "\n".join(sorted(left)))


@pytest.mark.parametrize("part", ["webhook", "operator", "run"])
def test_what_the_programs_export_is_clean(installation: Installation, part: str) -> None:
    promtool("check", "metrics", stdin=installation.exposition(part))


def test_all_alerts_can_be_read_by_people(folder: Path) -> None:
    """Templates of texts are tried by Prometheus only when an alert fires: so let all of them fire."""
    now = [{**rule, "expr": "vector(12345.678)", "for": "0s"} for rule in rules()]
    with prometheus(folder, [], {"groups": [{"name": "now", "rules": now}]}) as server:
        wait_until(lambda: len(server.get("alerts")["alerts"]) == len(now))
        for alert in server.get("alerts")["alerts"]:
            description = alert["annotations"]["description"]
            assert re.search(r"3h 25m 45s|12345\.678|12\.35k|1\.235e\+06%", description), description
            assert "error" not in description
            assert "{{" not in description


class Receiver:
    """Whoever is told by Alertmanager; `told` are alert names with their states, in order."""

    def __init__(self) -> None:
        self.alerts: list[dict[str, Any]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.alerts += json.loads(body)["alerts"]
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"

    @property
    def told(self) -> set[tuple[str, str]]:
        return {(alert["labels"]["alertname"], alert["status"]) for alert in self.alerts}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def test_an_alert_arrives_and_is_taken_back(installation: Installation, folder: Path, receiver: Receiver) -> None:
    """The webhook service is stopped and started again, as its own metrics tell Prometheus."""
    found = rules(RELEASE, NAMESPACE, alerts={"WebhookDown": {"for": "1s"}})
    service, port = installation.service, installation.ports["webhook"]
    with (
        alertmanager(folder, receiver.url) as manager,
        prometheus(
            folder, [fixed(installation.targets)], {"groups": [{"name": "all", "rules": found}]}, manager
        ) as server,
    ):
        wait_until(lambda: has_data(server, 'up{component="webhook"} == 1'))
        assert receiver.told == set()

        service.stop()
        wait_until(lambda: ("WebhookDown", "firing") in receiver.told, 60)
        service.start(METRICS_PORT=str(port))
        wait_until(lambda: ("WebhookDown", "resolved") in receiver.told, 60)

    assert receiver.told == {("WebhookDown", "firing"), ("WebhookDown", "resolved")}
    alert = receiver.alerts[0]
    expected = {"alertname": "WebhookDown", "severity": "critical", "namespace": NAMESPACE, "release": RELEASE}
    assert alert["labels"] == expected
    assert alert["annotations"]["description"].startswith("0 of its pods answer Prometheus.")
    assert alert["annotations"]["runbook_url"] == "docs/runbooks/WebhookDown.md"

"""The service as those see it who run it: processes, signals, metrics, logs."""

import json
import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import Gauge
from prometheus_client.parser import text_string_to_metric_families

from mynatca_intercom import metrics
from mynatca_sandbox.options import Options
from mynatca_sandbox.world.model import Contact
from support.ports import free_port
from support.webhook_service import ANN, WEBHOOK, Service, children, notification, signed, wait_until

BROKEN = """
from mynatca_webhook.worker import Worker

async def fail(_self):
    raise RuntimeError("out of order")

Worker._turn = fail
"""
CRASHING = """
from mynatca_intercom.reconcile.door import Door

async def fail(_self, _contact_id):
    raise RuntimeError("what nobody foresaw about ann@example.com")

Door.enrich = fail
"""
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"mynatca_intercom_{name}", frozenset(labels.items())


@pytest.fixture
def scraped(service: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Samples]:
    """Let the service export metrics, and return a function that scrapes them."""
    port = free_port()
    settings = service.settings
    monkeypatch.setattr(service, "settings", lambda **more: settings(**{"METRICS_PORT": str(port)} | more))

    def scrape() -> Samples:
        families = text_string_to_metric_families(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    return scrape


def lives(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def main_of(service: Service) -> int:
    assert service.process
    return service.process.pid


class TestSeveralProcesses:
    """A main process, those that answer, and one that works."""

    def test_a_killed_one_is_replaced_and_its_work_taken_over(
        self, service: Service, lead: Contact, scraped: Callable[[], Samples]
    ) -> None:
        service.sandbox.options = Options(limit=None, latency=20)
        service.start(WEBHOOK_WORKERS="2")
        main = main_of(service)
        service.send(notification(lead.id))
        wait_until(lambda: service.sandbox.calls.total)
        service.sandbox.options = Options(limit=None)

        killed = children(main)
        for process in killed:
            os.kill(process, signal.SIGKILL)
        wait_until(lambda: len(set(children(main)) - set(killed)) == 3)
        wait_until(lambda: lead.external_id == ANN, seconds=60)

        assert service.send(notification(lead.id)).json() == {"received": True}
        wait_until(lambda: scraped()[key("webhook_jobs_total", outcome="done")] == 1)
        topic = "contact.lead.created"
        assert scraped()[key("webhook_events_total", topic=topic, outcome="stored")] == 1
        assert scraped()[key("webhook_events_total", topic=topic, outcome="repeated")] == 1
        assert service.stop() == 0
        assert not [process for process in killed if lives(process)]
        assert "Traceback" not in service.errors

    def test_sigterm_finishes_what_is_in_work(self, service: Service, lead: Contact) -> None:
        service.sandbox.options = Options(limit=None, latency=3)
        service.start(WEBHOOK_WORKERS="2")
        processes = children(main_of(service))
        service.send(notification(lead.id))
        wait_until(lambda: service.sandbox.calls.total)

        os.kill(main_of(service), signal.SIGTERM)
        wait_until(lambda: any(not lives(process) for process in processes))

        assert service.stop() == 0  # the second signal changes nothing
        assert lead.external_id == ANN
        assert not any(lives(process) for process in processes)
        assert "Traceback" not in service.errors

    def test_none_outlives_a_killed_main_process(self, service: Service) -> None:
        service.start(WEBHOOK_WORKERS="2")
        processes = children(main_of(service))

        os.kill(main_of(service), signal.SIGKILL)

        wait_until(lambda: not any(lives(process) for process in processes))

    def test_when_one_cannot_serve_all_of_it_ends(self, service: Service) -> None:
        """Kubernetes starts it anew, and waits longer each time."""
        service.start(WEBHOOK_WORKERS="2")
        (service.folder / "events.db").rename(service.folder / "gone")
        (service.folder / "events.db").mkdir()

        os.kill(children(main_of(service))[0], signal.SIGKILL)
        assert service.process
        service.process.wait(timeout=30)

        assert service.stop() == 1
        assert "not started: " in service.errors
        assert "Traceback" not in service.errors


class TestStopping:
    """What SIGTERM does beyond the jobs in work."""

    def test_what_takes_longer_than_the_grace_is_left_to_its_lease(self, service: Service, lead: Contact) -> None:
        service.sandbox.options = Options(limit=None, latency=60)
        service.start(WEBHOOK_GRACE_SECONDS="1")
        service.send(notification(lead.id))
        wait_until(lambda: service.sandbox.calls.total)

        assert service.stop() == 0
        assert "left to others" not in service.errors  # at LOG_LEVEL=ERROR
        assert "Traceback" not in service.errors
        service.sandbox.options = Options(limit=None)
        service.start()
        wait_until(lambda: lead.external_id == ANN, seconds=60)

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_a_database_that_does_not_answer_keeps_nobody_waiting(
        self, service: Service, lead: Contact, workers: str
    ) -> None:
        """Its clients wait in threads, which nobody can interrupt."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            patient = {"SUPABASE_TIMEOUT_SECONDS": "3600", "WEBHOOK_GRACE_SECONDS": "1"}
            service.start(SUPABASE_URL=url, WEBHOOK_WORKERS=workers, **patient)
            service.send(notification(lead.id))
            with silent.accept()[0]:
                assert service.stop() == 0
        assert service.errors == ""

    def test_idle_connections_keep_nobody_waiting(self, service: Service) -> None:
        service.start(WEBHOOK_GRACE_SECONDS="3600")
        with httpx.Client() as client, socket.create_connection(("127.0.0.1", service.port)):
            client.get(f"{service.url}/healthz")

            assert service.stop() == 0

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_a_request_in_work_is_answered(self, service: Service, workers: str) -> None:
        service.start(WEBHOOK_WORKERS=workers)
        body = notification("b" * 24, topic="ping")
        fields = {"Host": "x", "Content-Length": str(len(body)), **signed(body)}
        head = f"POST {WEBHOOK} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as connection:
            connection.sendall(head.encode() + b"\r\n" + body[:10])
            os.kill(main_of(service), signal.SIGTERM)
            wait_until(lambda: not _accepts(service.port))
            connection.sendall(body[10:])

            assert b" 200 OK" in connection.recv(4096)
        assert service.stop() == 0


def _accepts(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port)):
            return True
    except ConnectionRefusedError:
        return False


@pytest.mark.parametrize("setting", ["WEBHOOK_PORT", "METRICS_PORT"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_ends_with_1_and_a_sentence(service: Service, setting: str, workers: str) -> None:
    with socket.create_server(("", 0)) as taken:
        port = str(taken.getsockname()[1])
        process = service.command("serve", **{"WEBHOOK_WORKERS": workers, setting: port})
        _, errors = process.communicate(timeout=120)

    assert process.returncode == 1
    assert f"{setting} {port}: Address already in use" in errors
    assert len(errors.splitlines()) == 1


class TestMetrics:
    """What is exported."""

    def test_one_and_several_processes_export_the_same(
        self, service: Service, lead: Contact, scraped: Callable[[], Samples]
    ) -> None:
        exported = []
        for number, workers in enumerate(["1", "2"]):
            service.start(WEBHOOK_WORKERS=workers)
            service.send(notification(lead.id, number))
            wait_until(lambda: scraped()[key("webhook_jobs_total", outcome="done")] == 1)
            wait_until(lambda: key("webhook_waiting_events") in scraped())
            # Without those of runs, and of Intercom's API, which has been called in other ways.
            exported.append({each for each in scraped() if not re.search("_(run|api)_", each[0])})
            service.stop()

        assert exported[0] == exported[1]
        assert key("webhook_job_seconds_count") in exported[0]
        assert key("webhook_event_seconds_count") in exported[0]

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_notifications_are_counted_by_topic_and_outcome(
        self, service: Service, lead: Contact, scraped: Callable[[], Samples], workers: str
    ) -> None:
        service.start(WEBHOOK_WORKERS=workers)
        for body in [
            notification(lead.id, topic="ping"),
            notification(lead.id, topic="conversation.admin.replied"),
            notification(lead.id, topic="conversation.user.created"),  # of nobody
            b"{",
            notification(lead.id, topic="contact.merged"),
            notification(lead.id, topic="contact.merged"),
        ]:
            service.send(body)
        service.send(b"{}", {})

        counted = {
            tuple(sorted(dict(labels).values())): int(value)
            for (name, labels), value in scraped().items()
            if name == "mynatca_intercom_webhook_events_total" and value
        }
        assert counted == {
            ("ignored", "ping"): 1,
            ("ignored", "other"): 1,
            ("conversation.user.created", "ignored"): 1,
            ("malformed", "unknown"): 1,
            ("unknown", "unsigned"): 1,
            ("contact.merged", "stored"): 1,
            ("contact.merged", "repeated"): 1,
        }

    def test_the_oldest_event_ages_while_nobody_can_work_it(
        self, service: Service, lead: Contact, scraped: Callable[[], Samples]
    ) -> None:
        service.sandbox.options = Options(limit=None, latency=60)
        service.start(WEBHOOK_CONCURRENCY="1", WEBHOOK_GRACE_SECONDS="1")
        service.send(notification(lead.id))
        service.send(notification("b" * 24, 2))

        wait_until(lambda: scraped().get(key("webhook_waiting_events")) == 2)
        first = scraped()[key("webhook_oldest_event_seconds")]
        wait_until(lambda: scraped()[key("webhook_oldest_event_seconds")] > first)

    def test_what_several_processes_tell_is_not_told_by_each(self) -> None:
        """Gauges are of the store or of Intercom; by default each process would have its own, by its number."""
        gauges = [each for each in vars(metrics).values() if isinstance(each, Gauge)]

        assert gauges
        assert {each._multiprocess_mode for each in gauges} == {"livemostrecent"}


class TestLog:
    """What is logged: JSON lines, without what a request's address or headers may hold."""

    def lines(self, service: Service) -> list[dict[str, Any]]:
        return [json.loads(line) for line in service.log.read_text().splitlines()]

    @pytest.mark.parametrize("workers", ["1", "2"])
    def test_each_request_is_one_line_without_its_address(self, service: Service, lead: Contact, workers: str) -> None:
        service.start(WEBHOOK_WORKERS=workers, LOG_LEVEL="INFO")
        body = notification(lead.id, topic="ping")
        for request_id in ("7c1e-42", "ann@example.com"):
            headers = {**signed(body), "X-Request-ID": request_id}
            httpx.post(f"{service.url}{WEBHOOK}?who=bob", content=body, headers=headers)
        httpx.head(f"{service.url}{WEBHOOK}")
        httpx.get(f"{service.url}/members/bob?bob=bob")
        httpx.request("BOB", f"{service.url}/healthz")
        httpx.get(f"{service.url}/healthz")

        assert service.stop() == 0
        told = [line for line in self.lines(service) if line["logger"] == "mynatca_webhook.access"]
        facts = [(line["method"], line["path"], line["status"], line["bytes"]) for line in told]
        assert facts == [
            ("POST", WEBHOOK, 200, 17),
            ("POST", WEBHOOK, 200, 17),
            ("HEAD", WEBHOOK, 200, 0),
            ("GET", "unknown", 404, 34),
            ("unknown", "unknown", 405, 47),
        ]
        assert told[0]["request_id"] == "7c1e-42"
        assert all(line["milliseconds"] >= 0 for line in told)
        assert "bob" not in service.errors.lower()
        assert "example.com" not in service.errors

    def test_probes_are_told_at_debug(self, service: Service) -> None:
        service.start(LOG_LEVEL="DEBUG")

        assert service.stop() == 0
        assert {"DEBUG"} == {line["level"] for line in self.lines(service) if line.get("path") == "/readyz"}

    def test_a_caller_who_leaves_is_told_without_the_address(self, service: Service) -> None:
        """Sanic logs the whole address of a request whose caller is gone."""
        service.sandbox.options = Options(limit=None, latency=2)
        key_of_kiosk = "k" * 32
        service.start(LOG_LEVEL="INFO", LOOKUP_KEYS=f"kiosk={key_of_kiosk}")
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(
                f"{service.url}/api/intercom/lookup?email=bob@bob.example",
                headers={"Authorization": f"Bearer {key_of_kiosk}"},
                timeout=0.5,
            )
        wait_until(lambda: "look-up" in service.log.read_text())

        assert service.stop() == 0
        assert "bob" not in service.errors
        assert "Traceback" not in service.errors


def test_a_stop_in_the_middle_of_a_start_leaves_nobody(service: Service) -> None:
    process = service.command("serve", WEBHOOK_WORKERS="2")
    wait_until(lambda: len(children(process.pid)) == 3)
    processes = children(process.pid)

    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=120)

    assert process.returncode == 0, errors
    assert not any(lives(each) for each in processes)
    assert "Traceback" not in errors


def test_a_service_that_can_work_nothing_any_more_ends_with_1(service: Service, tmp_path: Path) -> None:
    """Whatever fault of ours that is, new processes may do better than those that only take notifications in."""
    (tmp_path / "sitecustomize.py").write_text(BROKEN)
    process = service.command("serve", PYTHONPATH=str(tmp_path))
    _, errors = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "nobody works the stored events any more" in errors
    assert "out of order" in errors


def test_an_event_that_the_service_crashes_over_is_put_off_and_given_up_as_that(
    service: Service, lead: Contact, tmp_path: Path
) -> None:
    """No later than any other, and the log has what a developer needs; claims need not run out for it."""
    (tmp_path / "sitecustomize.py").write_text(CRASHING)
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))
    service.start(PYTHONPATH=path, WEBHOOK_MAX_ATTEMPTS="2")
    service.send(notification(lead.id))

    wait_until(lambda: "the service crashed over it: see its log" in service.told("dead-letters"), seconds=30)

    service.stop()
    crashes = [line for line in service.errors.splitlines() if "a job crashed" in line]
    assert len(crashes) == 2
    assert all(lead.id in line and "RuntimeError" in line and "in _work" in line for line in crashes)
    assert "ann@example.com" not in service.errors

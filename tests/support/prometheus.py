"""Prometheus and Alertmanager of a test: rules tried on made-up series, and real servers that scrape real programs."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import yaml

from support.ports import free_port
from support.webhook_service import wait_until

PROGRAMS = ("prometheus", "promtool", "prometheus-alertmanager")
START_SECONDS = 30


def prometheus_is_there() -> bool:
    """Whether all of them are here, under Debian's names."""
    return all(map(shutil.which, PROGRAMS))


def promtool(*arguments: str | Path, stdin: str | None = None) -> str:
    """What promtool says.

    Raises:
        AssertionError: it finds a fault.
    """
    done = subprocess.run(
        ["promtool", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass(frozen=True)
class Prometheus:
    """A server."""

    url: str

    def ask(self, expression: str) -> list[dict[str, Any]]:
        """The samples that an expression gives now."""
        return list(self.get("query", query=expression)["result"])

    def get(self, what: str, **parameters: str) -> Any:
        """What the HTTP API says.

        Raises:
            AssertionError: it finds the question wrong.
        """
        answer = httpx.get(f"{self.url}/api/v1/{what}", params=parameters, timeout=10).json()
        assert answer["status"] == "success", answer
        return answer["data"]


@dataclass(frozen=True)
class Target:
    """Where something is scraped, and the labels that its series get."""

    port: int
    labels: Mapping[str, str]


Scrape = dict[str, Any]
"""A scrape configuration."""


def fixed(targets: Sequence[Target]) -> Scrape:
    """Scrapes what is known beforehand."""
    return {
        "job_name": "test",
        "static_configs": [
            {"targets": [f"127.0.0.1:{target.port}"], "labels": dict(target.labels)} for target in targets
        ],
    }


def monitored(monitor: Mapping[str, Any], discovery: str) -> Scrape:
    """Scrapes what a PodMonitor says, as the Prometheus operator would translate it.

    Pods come from an HTTP service discovery, as Debian's Prometheus has none for Kubernetes.
    """
    spec = monitor["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    (namespace,) = spec["namespaceSelector"]["matchNames"]
    labels = ",".join(f"{key}={value}" for key, value in spec["selector"]["matchLabels"].items())
    asked = urlencode({"namespace": namespace, "labels": labels, "port": endpoint["port"]})
    return {
        "job_name": monitor["metadata"]["name"],
        "http_sd_configs": [{"url": f"{discovery}?{asked}", "refresh_interval": "1s"}],
        "relabel_configs": [
            {"target_label": each["targetLabel"], "replacement": each["replacement"]}
            for each in endpoint["relabelings"]
        ],
    }


@contextmanager
def prometheus(
    folder: Path, scrapes: Sequence[Scrape], rules: Mapping[str, Any] | None = None, alertmanager: int | None = None
) -> Iterator[Prometheus]:
    """Run a server that scrapes twice a second while the context lasts; `alertmanager` is a port."""
    config: dict[str, Any] = {
        "global": {"scrape_interval": "500ms", "evaluation_interval": "500ms"},
        "scrape_configs": list(scrapes),
    }
    if rules:
        (folder / "rules.yaml").write_text(yaml.safe_dump(dict(rules)))
        config["rule_files"] = ["rules.yaml"]
    if alertmanager:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{alertmanager}"]}]}]}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _running(command, folder, f"http://127.0.0.1:{port}/-/ready"):
        yield Prometheus(f"http://127.0.0.1:{port}")


@contextmanager
def alertmanager(folder: Path, receiver: str) -> Iterator[int]:
    """Run an Alertmanager that tells everything to a webhook while the context lasts; yields its port."""
    config = {
        "route": {"receiver": "test", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s"},
        "receivers": [{"name": "test", "webhook_configs": [{"url": receiver, "send_resolved": True}]}],
    }
    (folder / "alertmanager.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        "prometheus-alertmanager",
        f"--config.file={folder}/alertmanager.yaml",
        f"--storage.path={folder}/alertmanager",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    with _running(command, folder, f"http://127.0.0.1:{port}/-/ready"):
        yield port


@contextmanager
def _running(command: Sequence[str], folder: Path, ready: str) -> Iterator[None]:
    log = folder / f"{command[0]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=os.environ)

    def is_ready() -> bool:
        assert process.poll() is None, log.read_text()
        try:
            return httpx.get(ready).status_code == 200
        except httpx.TransportError:
            return False

    try:
        wait_until(is_ready, START_SECONDS)
        yield
    finally:
        process.terminate()
        process.wait(30)

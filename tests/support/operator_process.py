"""The operator as a process of the test: started, stopped and killed at will, its calls through a proxy."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from support.api_proxy import ApiProxy
from support.cluster import Namespace, Object, until
from support.installation import operator_settings
from support.ports import free_port

SWEEP_SECONDS = 1


@dataclass
class Operator:
    """The operator of one namespace with the rights of its service account."""

    namespace: Namespace
    proxy: ApiProxy
    folder: Path
    template: Object
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self, **more: str) -> None:
        """Start it, and wait until it has looked at everything once."""
        self.begin(**more)
        until(self._is_ready, f"the operator is ready; it says:\n{self.log}")

    def begin(self, **more: str) -> None:
        """Start it, and do not wait; `more` are settings."""
        template = self.folder / "job.yaml"
        template.write_text(yaml.safe_dump(self.template))
        settings = {
            **operator_settings(),
            "KUBECONFIG": str(self._kubeconfig()),
            "OPERATOR_NAMESPACE": self.namespace.name,
            "JOB_TEMPLATE": str(template),
            "SWEEP_SECONDS": str(SWEEP_SECONDS),
            "HTTP_PORT": str(self.port),
            **more,
        }
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mynatca_operator"], env={**os.environ, **settings}, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """Kill it, as a node that loses power does."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it a signal; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(30)

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def looks(self) -> list[float]:
        """The moments when it has looked at everything: only then it lists pods."""
        return [call.at for call in self.proxy.calls if call.method == "GET" and call.path.endswith("/pods")]

    def looks_again(self, times: int = 3) -> None:
        """Wait until it has looked so often from now on."""
        before = len(self.looks)
        until(lambda: len(self.looks) > before + times, "the operator has looked again", 60 + 2 * times)

    @property
    def log_file(self) -> Path:
        return self.folder / "operator.log"

    @property
    def log(self) -> str:
        """All that it has said, over all starts."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    @property
    def container(self) -> Object:
        """The container of the template, which may be changed before a start."""
        container: Object = self.template["spec"]["template"]["spec"]["containers"][0]
        return container

    def get(self, path: str) -> httpx.Response:
        """Ask it as Kubernetes and Prometheus do."""
        return httpx.get(f"http://127.0.0.1:{self.port}/{path}", timeout=5)

    def _is_ready(self) -> bool:
        assert self.is_running, f"the operator has ended:\n{self.log}"
        try:
            return self.get("readyz").status_code == 200
        except httpx.TransportError:
            return False

    def _kubeconfig(self) -> Path:
        file = self.folder / "kubeconfig"
        if not file.exists():
            token = self.namespace.kubectl("create", "token", "mynatca-operator", "--duration=2h").strip()
            config = {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "test",
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator"}}],
                "clusters": [{"name": "test", "cluster": {"server": self.proxy.url}}],
                "users": [{"name": "operator", "user": {"token": token}}],
            }
            file.write_text(json.dumps(config))
        return file

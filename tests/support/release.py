"""The chart as people install it: a release of Helm's own, in a namespace that lets restricted pods in only."""

import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import trustme
import yaml

from support.cluster import Namespace, kubectl
from support.helm import CHART, Manifest, render
from support.installation import fresh_namespace

HELM = shutil.which("helm") or "helm"
NAME = "demo"
HOST = "intercom.example.org"
VALUES: dict[str, Any] = {
    "fullnameOverride": "mynatca",
    "image": {"tag": "dev"},
    "sandbox": {"enabled": True, "members": 200},
    "webhook": {"host": HOST, "ingress": {"enabled": True}},
}


@dataclass
class Release:
    """An installed release."""

    namespace: Namespace
    authority: trustme.CA
    """Vouches for the certificate of the Ingress."""
    seconds: float = 0
    """How long the installation took, until everything was ready."""

    def helm(self, command: str, *arguments: str, values: dict[str, Any] | None = None) -> str:
        """Run Helm about the release; returns what it prints.

        Raises:
            AssertionError: it fails; the text is its own.
        """
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            given: list[str] = []
            if values is not None:
                yaml.safe_dump(values, file)
                file.flush()
                given = ["--values", file.name]
            done = subprocess.run(
                [HELM, command, NAME, *arguments, "--namespace", self.namespace.name, *given],
                capture_output=True,
                text=True,
                check=False,
            )
        assert done.returncode == 0, f"helm {command}: {done.stdout}{done.stderr}"
        return done.stdout

    def monitors(self) -> list[Manifest]:
        """The PodMonitors of a release like this one, for a cluster that does not know the kind."""
        values = {**VALUES, "monitoring": {"podMonitor": {"enabled": True}}}
        objects = render(values, name=NAME, namespace=self.namespace.name)
        return [each for each in objects if each["kind"] == "PodMonitor"]

    def inbox(self, method: str, path: str, body: Any = None) -> Any:
        """Do what people do on the page of the sandbox."""
        return self.namespace.sandbox(method, f"inbox/{path}", body)


@contextmanager
def released(client: httpx.Client) -> Iterator[Release]:
    """Install everything, the custom resource too, and wait until it is ready."""
    kubectl("delete", "customresourcedefinition", "intercomaudits.intercom.natca.org", "--ignore-not-found")
    with fresh_namespace(client) as namespace:
        authority = trustme.CA()
        _certificate(namespace, authority)
        release = Release(namespace, authority)
        begun = time.monotonic()
        release.helm("install", str(CHART), "--wait", "--timeout=5m", values=VALUES)
        release.seconds = time.monotonic() - begun
        yield release


def _certificate(namespace: Namespace, authority: trustme.CA) -> None:
    issued = authority.issue_cert(HOST)
    texts = {"tls.crt": issued.cert_chain_pems[0], "tls.key": issued.private_key_pem}
    metadata, data = {"name": "mynatca-webhook-tls"}, {name: pem.bytes().decode() for name, pem in texts.items()}
    namespace.kubectl(
        "create",
        "--filename=-",
        text=json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": metadata,
                "stringData": data,
            }
        ),
    )

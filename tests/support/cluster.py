"""The cluster that KUBECONFIG names: objects of a namespace, and the sandbox that stands in it for Intercom."""

import json
import os
import shutil
import ssl
import subprocess
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx

T = TypeVar("T")
Object = dict[str, Any]
KUBECTL = shutil.which("kubectl") or ""

WORLD: dict[str, Any] = {"members": 200, "seed": 1}
"""What every test's sandbox begins with."""
PATHS = {
    "configmaps": "api/v1",
    "events": "api/v1",
    "persistentvolumeclaims": "api/v1",
    "pods": "api/v1",
    "resourcequotas": "api/v1",
    "secrets": "api/v1",
    "jobs": "apis/batch/v1",
    "ingresses": "apis/networking.k8s.io/v1",
    "intercomaudits": "apis/intercom.natca.org/v1alpha1",
}
"""Where objects of a kind are."""


def cluster_is_there() -> bool:
    return Path(os.environ.get("KUBECONFIG", "")).is_file() and bool(KUBECTL)


def until(look: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    """Look until something is there, and fail when it does not come."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, f"not seen in {seconds:g} s: {what}"
        time.sleep(0.2)
    return found


def moment(text: str) -> datetime:
    """A moment as the API server writes it."""
    return datetime.fromisoformat(text)


def kubectl(*arguments: str, text: str | None = None) -> str:
    """Run kubectl; returns what it prints.

    Raises:
        AssertionError: it fails; the text is its own.
    """
    done = subprocess.run([KUBECTL, *arguments], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout


@contextmanager
def api_client() -> Iterator[httpx.Client]:
    """A client of the API server with the rights of KUBECONFIG, whatever they rest on."""
    command = [KUBECTL, "proxy", "--port=0", "--reject-paths=^$"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            address = proxy.stdout.readline().split()[-1]  # "Starting to serve on 127.0.0.1:34567"
            with httpx.Client(base_url=f"http://{address}", timeout=30) as client:
                yield client
        finally:
            proxy.terminate()


def api_server() -> tuple[str, ssl.SSLContext]:
    """The API server's address, and what trusts it."""
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "--output=json"))
    cluster = config["clusters"][0]["cluster"]
    authority = b64decode(cluster["certificate-authority-data"]).decode()
    return cluster["server"].rstrip("/"), ssl.create_default_context(cadata=authority)


@dataclass(frozen=True)
class Namespace:
    """A namespace and what is in it."""

    name: str
    client: httpx.Client

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return kubectl("--namespace", self.name, *arguments, text=text)

    def apply(self, *objects: Object) -> None:
        """Apply objects, as a person does."""
        self.kubectl("apply", "--filename=-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def get(self, kind: str, name: str) -> Object | None:
        """An object; None if there is none."""
        answer = self.client.get(self._path(kind, name))
        return None if answer.status_code == 404 else _body(answer)

    def find(self, kind: str, **parameters: str) -> list[Object]:
        """Objects of a kind; `parameters` are the API's own."""
        return list(_body(self.client.get(self._path(kind), params=parameters))["items"])

    def delete(self, kind: str, name: str) -> None:
        """Delete an object and what it owns, or leave it if it is gone."""
        self.client.delete(self._path(kind, name), params={"propagationPolicy": "Background"})

    def create(self, kind: str, made: Object) -> None:
        """Create an object without the cost of a kubectl."""
        _body(self.client.post(self._path(kind), json=made))

    def delete_all(self, kind: str) -> None:
        """Delete all objects of a kind and what they own."""
        _body(self.client.delete(self._path(kind), params={"propagationPolicy": "Background"}))

    def patch(self, kind: str, name: str, patch: Object) -> Object:
        """Change an object by a merge patch."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return _body(self.client.patch(self._path(kind, name), content=json.dumps(patch), headers=headers))

    def _path(self, kind: str, name: str = "") -> str:
        return f"/{PATHS[kind]}/namespaces/{self.name}/{kind}/{name}".rstrip("/")

    # ---- IntercomAudits

    def audit(self, name: str, **spec: Any) -> "Audit":
        """Apply an IntercomAudit."""
        metadata = {"name": name, "namespace": self.name}
        self.apply(
            {"apiVersion": "intercom.natca.org/v1alpha1", "kind": "IntercomAudit", "metadata": metadata, "spec": spec}
        )
        return Audit(self, name)

    # ---- the sandbox

    def service_url(self, name: str, port: str) -> str:
        """A Service's address, through the API server's own proxy."""
        return str(self.client.base_url.join(f"/api/v1/namespaces/{self.name}/services/{name}:{port}/proxy"))

    def sandbox(self, method: str, path: str, body: Any = None) -> Any:
        """Use the sandbox's control API."""
        answer = self.client.request(method, self._sandbox + path, json=body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    @property
    def _sandbox(self) -> str:
        return self.service_url("mynatca-sandbox", "http") + "/_sandbox/"

    def sandbox_answers(self) -> bool:
        """Whether the sandbox is there."""
        return self.client.get(self._sandbox + "health").is_success

    def contacts(self) -> list[Object]:
        """All contacts of the sandbox, of any state."""
        return list(self.sandbox("GET", "contacts"))


@dataclass(frozen=True)
class Audit:
    """An IntercomAudit, as it is whenever it is asked."""

    namespace: Namespace
    name: str

    @property
    def object(self) -> Object:
        found = self.namespace.get("intercomaudits", self.name)
        assert found is not None, f"{self.name} is gone"
        return found

    @property
    def status(self) -> Object:
        return dict(self.object.get("status") or {})

    def condition(self, type_: str) -> Object:
        """A condition by type; empty if there is none."""
        return next((each for each in self.status.get("conditions", []) if each["type"] == type_), {})

    def reaches(self, *phases: str, seconds: float = 90) -> Object:
        """Wait until it is in one of the phases; returns its status."""

        def look() -> Object | None:
            status = self.status
            return status if status.get("phase") in phases else None

        try:
            return until(look, f"{self.name} {' or '.join(phases)}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; status: {json.dumps(self.status)}") from None

    def fails(self, seconds: float = 90) -> str:
        """Wait until it has failed; returns the reason."""
        self.reaches("Failed", "Complete", seconds=seconds)
        failed = self.condition("Failed")
        assert failed["status"] == "True", self.status
        return str(failed["reason"])

    @property
    def jobs(self) -> "list[Object]":
        """The Jobs that it owns, those that are being deleted too."""
        uid = self.object["metadata"]["uid"]
        return [
            job for job in self.namespace.find("jobs") if uid in map(_owner, job["metadata"].get("ownerReferences", []))
        ]

    @property
    def pods(self) -> "list[Object]":
        """The pods of its Jobs."""
        jobs = {job["metadata"]["name"] for job in self.jobs}
        pods = self.namespace.find("pods", labelSelector="batch.kubernetes.io/job-name")
        return [pod for pod in pods if pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] in jobs]


def _owner(reference: Object) -> str:
    return str(reference["uid"])


def _body(answer: httpx.Response) -> Object:
    assert answer.is_success, answer.text
    body: Object = answer.json()
    return body

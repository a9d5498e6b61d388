"""One webhook service beside one sandbox, as a process of its own, and the notifications that Intercom sends it."""

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import httpx

from mynatca_sandbox.server import Sandbox
from support.ports import free_port
from support.runs import environment

ANN, TAG, SECRET = "1001", "900", "sandbox-secret"
WEBHOOK = "/api/intercom/webhook"


def wait_until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait on a condition, and fail when it does not come true."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def children(process: int) -> list[int]:
    """The processes that a process has started."""
    return [int(each) for each in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def kill(process: "subprocess.Popen[Any]") -> None:
    """End it, and what it has started, as a power failure would."""
    started = children(process.pid)
    process.kill()
    for each in started:
        os.kill(each, signal.SIGKILL)


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Hub-Signature": "sha1=" + hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()}


def notification(contact_id: str, number: int = 1, topic: str = "contact.lead.created") -> bytes:
    return _notification({"type": "contact", "id": contact_id}, number, topic)


def tag_notification(conversation_id: str, contact_id: str, number: int = 1) -> bytes:
    """That some tag was put on; it does not say which."""
    item = {"type": "conversation", "id": conversation_id, "contacts": {"contacts": [{"id": contact_id}]}}
    return _notification(item, number, "conversation_part.tag.created")


def _notification(item: dict[str, Any], number: int, topic: str) -> bytes:
    envelope = {"id": f"notif_{number}", "topic": topic, "created_at": time.time(), "data": {"item": item}}
    return json.dumps(envelope).encode()


@dataclass
class Service:
    """One webhook service beside one sandbox; started and stopped at will."""

    sandbox: Sandbox
    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[str] | None" = None
    errors: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What it has said on standard error since its last start."""
        return self.folder / f"service-{self.port}.log"

    def settings(self, **more: str) -> dict[str, str]:
        own = {
            "INTERCOM_CLIENT_SECRET": SECRET,
            "WEBHOOK_PORT": str(self.port),
            "WEBHOOK_STORE": f"sqlite:///{self.folder / 'events.db'}",
            "INTERCOM_MAX_ATTEMPTS": "1",
        }
        return environment(self.sandbox.url, self.folder / "runs", **own) | more

    def command(self, *arguments: str, **more: str) -> "subprocess.Popen[str]":
        return self._begin(arguments, more, subprocess.PIPE)

    def _begin(self, arguments: Sequence[str], more: dict[str, str], stderr: IO[str] | int) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "mynatca_webhook", *arguments],
            env={**os.environ, **self.settings(**more)},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def start(self, **more: str) -> None:
        with self.log.open("w") as stderr:  # a pipe that nobody reads would stop a service that has much to say
            self.process = self._begin(["serve"], more, stderr)
        wait_until(self.is_ready, 120)

    def is_ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        if number == signal.SIGKILL:
            kill(self.process)
        else:
            self.process.send_signal(number)
        self.process.communicate(timeout=60)
        self.errors = self.log.read_text()
        code, self.process = self.process.returncode, None
        return code

    def send(self, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        return httpx.post(f"{self.url}{WEBHOOK}", content=body, headers=signed(body) if headers is None else headers)

    def told(self, *arguments: str) -> str:
        return self.command(*arguments).communicate(timeout=120)[0]


def subscribed(service: Service, **options: Any) -> None:
    """Let the sandbox deliver its own notifications to the service."""
    url = f"{service.url}{WEBHOOK}"
    service.sandbox.options = replace(service.sandbox.options, webhook_url=url, client_secret=SECRET, **options)


def put_tag(service: Service, conversation_id: str, tag_id: str = TAG) -> None:
    """What a teammate does in the inbox."""
    httpx.post(
        f"{service.sandbox.url}/conversations/{conversation_id}/tags",
        json={"id": tag_id, "admin_id": service.sandbox.world.admins[0].id},
        headers={"Authorization": "Bearer sandbox-token", "Intercom-Version": "2.16"},
    ).raise_for_status()

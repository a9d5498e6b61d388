"""What else stops, and for how long it may: each test is a row of the table in docs/webhook.md."""

import resource
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, Conversation
from mynatca_sandbox.world.workspace import VERIFICATION
from support.disk import disk
from support.ports import free_port
from support.runs import Runner
from support.webhook_service import ANN, TAG, Service, children, notification, subscribed, wait_until
from support.worlds import NOW

READ = "GET /contacts/{contact_id}"


def test_intercom_is_down_for_several_attempts(service: Service, lead: Contact) -> None:
    """Ten minutes are as many attempts as three, only with longer waits between them."""
    service.sandbox.options = Options(limit=None, fault_5xx=1.0)
    service.start()
    assert service.send(notification(lead.id, 1)).status_code == 200
    wait_until(lambda: service.sandbox.calls.by_status.total() >= 3, seconds=60)
    assert service.is_ready()
    assert service.send(notification(lead.id, 2)).status_code == 200
    assert lead.external_id != ANN

    service.sandbox.options = Options(limit=None)

    wait_until(lambda: lead.external_id == ANN, seconds=60)
    assert "no dead letters" in service.told("dead-letters")


def test_both_databases_are_down(service: Service, lead: Contact) -> None:
    """Nothing is written of what nobody knows, and it is done once one of them answers."""
    supabase = free_port()
    service.start(
        SUPABASE_URL=f"http://127.0.0.1:{supabase}",
        MYSQL_HOST="127.0.0.1",
        MYSQL_PORT=str(free_port()),
        MYSQL_USER="reader",
        MYSQL_PASS="made up",
        MYSQL_DB="natca",
    )
    assert service.send(notification(lead.id)).status_code == 200
    wait_until(lambda: service.sandbox.calls[READ] >= 2, seconds=60)
    assert service.is_ready()
    assert service.sandbox.calls.writes == 0

    with Sandbox(service.sandbox.world, port=supabase):
        wait_until(lambda: lead.external_id == ANN, seconds=60)


# ---- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 4 MiB."""
    with disk(tmp_path / "disk", "size=4m") as folder:
        yield folder


def fill(folder: Path) -> Path:
    """Leave no room; returns the file that takes it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    return filler


def no_room_and_room_again(service: Service, lead: Contact, free: Callable[[], object]) -> None:
    """Without room nothing is accepted and the service lives; with room it goes on where it was."""
    refused = service.send(notification(lead.id, 1))
    assert (refused.status_code, refused.json()) == (503, {"error": "Not stored; send it again."})
    assert httpx.get(f"{service.url}/readyz").status_code == 503
    assert httpx.get(f"{service.url}/healthz").status_code == 200
    assert service.sandbox.calls[READ] == 0

    free()

    wait_until(service.is_ready)
    assert service.send(notification(lead.id, 1)).status_code == 200
    wait_until(lambda: lead.external_id == ANN, seconds=60)
    assert service.stop() == 0
    assert "Traceback" not in service.errors


def test_the_disk_is_full(service: Service, lead: Contact, small_disk: Path) -> None:
    service.start(WEBHOOK_STORE=f"sqlite:///{small_disk}/events.db")
    filler = fill(small_disk)
    wait_until(lambda: not service.is_ready())

    no_room_and_room_again(service, lead, filler.unlink)


def test_files_may_not_grow(service: Service, lead: Contact) -> None:
    """A quota."""
    service.start()
    assert service.process
    processes = children(service.process.pid)
    before = resource.prlimit(processes[0], resource.RLIMIT_FSIZE)

    def limit(limits: tuple[int, int]) -> None:
        for process in processes:
            resource.prlimit(process, resource.RLIMIT_FSIZE, limits)

    limit((0, before[1]))
    wait_until(lambda: not service.is_ready())

    no_room_and_room_again(service, lead, lambda: limit(before))


def test_the_disk_is_full_while_a_contact_is_in_work(service: Service, lead: Contact, small_disk: Path) -> None:
    """What the journal does not hold is not sent; the event is worked again."""
    service.sandbox.options = Options(limit=None, latency=1)
    service.start(WEBHOOK_STORE=f"sqlite:///{small_disk}/events.db")
    assert service.send(notification(lead.id)).status_code == 200
    wait_until(lambda: service.sandbox.calls[READ])
    filler = fill(small_disk)
    wait_until(lambda: service.sandbox.calls["GET /contacts/find_by_external_id/{external_id}"])
    wait_until(lambda: not service.is_ready())
    service.sandbox.options = Options(limit=None)
    assert service.sandbox.calls.writes == 0

    filler.unlink()

    wait_until(lambda: lead.external_id == ANN, seconds=60)


# ---- events that were never answered


@pytest.fixture
def unanswered(service: Service, lead: Contact) -> Conversation:
    """The lead writes in, and its conversation is tagged, while no service answers; Intercom repeats that in vain."""
    lead.email = "ann@example.com"
    subscribed(service, webhook_retry_seconds=0.1)
    service.sandbox.write_in(lead.id, "Hello?")
    conversation = service.sandbox.world.conversations[-1]
    conversation.custom_attributes[VERIFICATION] = ANN
    admin_id = service.sandbox.world.admins[0].id
    httpx.post(
        f"{service.sandbox.url}/conversations/{conversation.id}/tags",
        json={"id": TAG, "admin_id": admin_id},
        headers={"Authorization": "Bearer sandbox-token", "Intercom-Version": "2.16"},
    ).raise_for_status()
    wait_until(lambda: httpx.get(f"{service.sandbox.url}/_sandbox/webhooks").json()["failed"] == 2)
    return conversation


def test_after_one_sweep_no_conversation_is_left(service: Service, lead: Contact, unanswered: Conversation) -> None:
    another = Contact("b" * 24, "lead", NOW - 90, NOW - 90, email="bob@example.com")
    service.sandbox.world.contacts.append(another)
    service.sandbox.world.tables["members"].append(dict(service.sandbox.world.tables["members"][0]) | BOB)
    service.sandbox.reset(service.sandbox.world)
    service.sandbox.write_in(another.id, "And I?")

    assert Runner(service.sandbox, service.folder / "runs").run("sweep").exit_code == 0

    assert unanswered.tag_ids == []
    assert [lead.external_id, another.external_id] == [ANN, BOB["membernumber"]]


BOB = {"membernumber": "1002", "email": "bob@example.com"}


def test_the_nightly_sync_makes_good_what_the_service_missed(service: Service, lead: Contact) -> None:
    subscribed(service, webhook_retry_seconds=0.1)
    service.sandbox.world.contacts.remove(lead)
    service.sandbox.reset(service.sandbox.world)
    made = httpx.post(
        f"{service.sandbox.url}/contacts",
        json={"role": "lead", "email": "ann@example.com"},
        headers={"Authorization": "Bearer sandbox-token", "Intercom-Version": "2.16"},
    ).raise_for_status()
    wait_until(lambda: httpx.get(f"{service.sandbox.url}/_sandbox/webhooks").json()["failed"] == 1)

    assert Runner(service.sandbox, service.folder / "runs").sync("--release=update").exit_code == 0

    found = next(each for each in service.sandbox.world.contacts if each.id == made.json()["id"])
    assert (found.role, found.external_id) == ("user", ANN)

"""The service as Intercom and Kubernetes see it: a process of its own, real deliveries, signals, outages."""

import signal
import sqlite3
from contextlib import closing

import httpx
import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.world.model import Contact, Conversation
from mynatca_sandbox.world.workspace import VERIFICATION
from support.runs import Runner
from support.webhook_service import (
    ANN,
    TAG,
    WEBHOOK,
    Service,
    notification,
    put_tag,
    signed,
    subscribed,
    tag_notification,
    wait_until,
)
from support.worlds import NOW, member_row


def conversation_of(service: Service, *people: Contact, number: str | None = None) -> Conversation:
    """A conversation of these people, in which a teammate noted a member number."""
    noted = {VERIFICATION: number} if number else {}
    count = len(service.sandbox.world.conversations)
    conversation = Conversation(str(5000 + count), [each.id for each in people], NOW, NOW, custom_attributes=noted)
    service.sandbox.world.conversations.append(conversation)
    service.sandbox.reset(service.sandbox.world)
    return conversation


class TestAnswers:
    """What Intercom is told."""

    @pytest.fixture(autouse=True)
    def started(self, service: Service) -> None:
        service.start()

    def test_the_url_is_checked_with_head(self, service: Service) -> None:
        assert httpx.head(f"{service.url}{WEBHOOK}").status_code == 200

    def test_a_signed_notification_is_received(self, service: Service, lead: Contact) -> None:
        answer = service.send(notification(lead.id))

        assert (answer.status_code, answer.json()) == (200, {"received": True})

    @pytest.mark.parametrize("topic", ["ping", "conversation.admin.replied"])
    def test_other_topics_are_received_and_nothing_is_done(self, service: Service, lead: Contact, topic: str) -> None:
        other = Contact("b" * 24, "lead", NOW, NOW, email="ann@example.com")
        service.sandbox.world.contacts.append(other)
        service.sandbox.reset(service.sandbox.world)
        seen: list[str] = []
        service.sandbox.before = lambda _method, path: seen.append(path)

        assert service.send(notification(lead.id, 1, topic)).json() == {"received": True}
        assert service.send(notification(other.id, 2)).json() == {"received": True}
        wait_until(lambda: other.external_id == ANN)
        assert service.stop() == 0

        assert f"/contacts/{other.id}" in seen
        assert not any(lead.id in path for path in seen)
        assert (lead.role, lead.external_id) == ("lead", None)

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"X-Hub-Signature": ""},
            {"X-Hub-Signature": "sha1=" + "0" * 40},
            {"X-Hub-Signature": "sha1=é"},
            signed(b"another body"),
            signed(notification("a" * 24), "another secret"),
        ],
    )
    def test_a_forged_one_is_refused(self, service: Service, lead: Contact, headers: dict[str, str]) -> None:
        answer = httpx.post(
            f"{service.url}{WEBHOOK}",
            content=notification(lead.id),
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        )

        assert answer.status_code == 401
        assert service.sandbox.calls.total == 0

    def test_what_is_no_notification_is_told_so(self, service: Service) -> None:
        assert service.send(b"{").status_code == 400

    def test_a_body_over_1_mib_is_refused(self, service: Service) -> None:
        assert service.send(b" " * (1024 * 1024 + 1)).status_code == 413

    def test_probes_answer(self, service: Service) -> None:
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        assert httpx.get(f"{service.url}/readyz").json() == {"status": "ready"}

    def test_an_unknown_path_is_404(self, service: Service) -> None:
        assert httpx.get(f"{service.url}/").status_code == 404


class TestWork:
    """What an event leads to."""

    def test_a_lead_that_writes_in_becomes_the_member_with_three_calls(self, service: Service, lead: Contact) -> None:
        service.start()
        subscribed(service)

        service.sandbox.write_in(lead.id, "Hello?")
        wait_until(lambda: lead.external_id == ANN)

        assert (lead.role, lead.custom_attributes["region"]) == ("user", "GL")
        own = {name: count for name, count in service.sandbox.calls.by_route.items() if "/contacts" in name}
        assert own == {
            "GET /contacts/{contact_id}": 1,
            "GET /contacts/find_by_external_id/{external_id}": 1,
            "PUT /contacts/{contact_id}": 1,
        }

    def test_one_that_agrees_costs_one_call(self, service: Service, lead: Contact) -> None:
        service.start()
        service.send(notification(lead.id, 1))
        wait_until(lambda: lead.external_id == ANN)
        service.sandbox.calls.clear()

        service.send(notification(lead.id, 2))
        wait_until(lambda: service.sandbox.calls["GET /contacts/{contact_id}"])

        assert service.stop() == 0
        assert {name for name in service.sandbox.calls.by_route if "rest" not in name} == {"GET /contacts/{contact_id}"}

    def test_each_delivered_three_times_has_one_effect(self, service: Service, lead: Contact) -> None:
        service.start()

        answers = [service.send(notification(lead.id)).json() for _ in range(3)]
        wait_until(lambda: lead.external_id == ANN)
        service.stop()

        assert answers == [{"received": True}] * 3
        assert service.sandbox.calls["GET /contacts/{contact_id}"] == 1

    def test_the_tag_is_carried_out_and_taken_off(self, service: Service, lead: Contact) -> None:
        lead.email = None
        conversation = conversation_of(service, lead, number=ANN)
        service.start()
        subscribed(service)

        put_tag(service, conversation.id)
        wait_until(lambda: conversation.tag_ids == [] and lead.external_id == ANN)

    def test_a_tag_that_was_deleted_and_made_anew_is_the_tag(self, service: Service, lead: Contact) -> None:
        lead.email = None
        first, second = (conversation_of(service, lead, number=ANN) for _ in range(2))
        service.start()
        subscribed(service)
        put_tag(service, first.id)
        wait_until(lambda: first.tag_ids == [])
        tags = service.sandbox.world.tags
        tags["901"] = tags.pop(TAG)

        put_tag(service, second.id, "901")

        wait_until(lambda: second.tag_ids == [])

    def test_a_tag_that_is_refused_keeps_no_contact_from_being_enriched(self, service: Service, lead: Contact) -> None:
        conversation = conversation_of(service, lead)
        service.start()
        subscribed(service)

        put_tag(service, conversation.id)
        wait_until(lambda: lead.external_id == ANN)

        assert conversation.tag_ids == [TAG]
        assert ["is empty" in (part.body or "") for part in conversation.parts if part.part_type == "note"] == [True]

    def test_a_tag_that_was_for_somebody_else_keeps_nobody_from_being_enriched(
        self, service: Service, lead: Contact
    ) -> None:
        service.sandbox.world.tables["members"].append(member_row("1002", "bob@example.com", "Bob", "Kim"))
        other = Contact("b" * 24, "lead", NOW, NOW)
        service.sandbox.world.contacts.append(other)
        conversation = conversation_of(service, lead, other, number="1002")
        service.start()
        subscribed(service)

        put_tag(service, conversation.id)
        wait_until(lambda: lead.external_id == ANN)

        assert (other.external_id, conversation.tag_ids) == ("1002", [])

    def test_a_workspace_without_the_tag_keeps_no_contact_from_being_enriched(
        self, service: Service, lead: Contact
    ) -> None:
        conversation = conversation_of(service, lead, number=ANN)
        service.start(WEBHOOK_MAX_ATTEMPTS="1", SYNC_TAG="another")

        service.send(tag_notification(conversation.id, lead.id))
        wait_until(lambda: lead.external_id == ANN)

        wait_until(lambda: "the workspace has no tag" in service.told("dead-letters"))


class TestOutages:
    """What is received is not lost, whatever stops."""

    def test_killed_before_the_work_it_goes_on_after_the_restart(self, service: Service, lead: Contact) -> None:
        service.sandbox.options = Options(limit=None, latency=20)
        service.start()
        assert service.send(notification(lead.id)).status_code == 200
        wait_until(lambda: service.sandbox.calls.total)
        service.stop(signal.SIGKILL)
        service.sandbox.options = Options(limit=None)

        service.start()
        # The killed worker's claim runs out by itself; a replay of nothing shows that the event is not dead.
        assert "no dead letters" in service.told("dead-letters")

        wait_until(lambda: lead.external_id == ANN, seconds=60)

    def test_an_event_that_its_workers_do_not_survive_is_given_up(self, service: Service, lead: Contact) -> None:
        """Killed over its only attempt, it is not worked again and again."""
        service.sandbox.options = Options(limit=None, latency=20)
        service.start(WEBHOOK_MAX_ATTEMPTS="1")
        service.send(notification(lead.id))
        wait_until(lambda: service.sandbox.calls.total)
        service.stop(signal.SIGKILL)
        service.sandbox.calls.clear()

        service.start(WEBHOOK_MAX_ATTEMPTS="1")
        wait_until(lambda: "notif_1" in service.told("dead-letters"), seconds=60)

        assert service.sandbox.calls.total == 0

    def test_sigterm_finishes_what_is_in_work(self, service: Service, lead: Contact) -> None:
        service.sandbox.options = Options(limit=None, latency=0.3)
        service.start()
        service.send(notification(lead.id))
        wait_until(lambda: service.sandbox.calls.total)

        assert service.stop() == 0
        assert lead.external_id == ANN

    def test_a_store_that_takes_no_journal_line_keeps_the_write_back(self, service: Service, lead: Contact) -> None:
        """Nothing is sent that the journal does not hold; the service lives on, and does it once the store is back."""
        service.sandbox.options = Options(limit=None, latency=0.5)
        service.start()
        service.send(notification(lead.id))
        wait_until(lambda: service.sandbox.calls["GET /contacts/{contact_id}"])
        with closing(sqlite3.connect(service.folder / "events.db")) as other:
            other.execute("BEGIN EXCLUSIVE")
            wait_until(lambda: not service.is_ready())
            wait_until(lambda: service.sandbox.calls["GET /contacts/find_by_external_id/{external_id}"])
            wait_until(lambda: not service.is_ready())
            assert service.sandbox.calls["PUT /contacts/{contact_id}"] == 0
        wait_until(lambda: lead.external_id == ANN, seconds=60)

        assert service.stop() == 0
        assert "Traceback" not in service.errors

    def test_a_source_that_is_down_puts_the_work_off(self, service: Service, lead: Contact) -> None:
        service.start(SUPABASE_URL="http://127.0.0.1:1")
        service.send(notification(lead.id))
        wait_until(lambda: service.sandbox.calls["GET /contacts/{contact_id}"])
        service.stop()
        assert lead.external_id != ANN

        service.start()

        wait_until(lambda: lead.external_id == ANN)

    def test_what_fails_for_good_is_a_dead_letter_that_can_be_replayed(self, service: Service, lead: Contact) -> None:
        service.sandbox.options = Options(limit=None, fault_5xx=1.0)
        service.start(WEBHOOK_MAX_ATTEMPTS="1")
        service.send(notification(lead.id))
        wait_until(lambda: "notif_1" in service.told("dead-letters"))
        assert "503" in service.told("dead-letters") or "50" in service.told("dead-letters")
        service.sandbox.options = Options(limit=None)

        assert "1 events are worked again" in service.told("replay")
        wait_until(lambda: lead.external_id == ANN)


def test_what_was_written_can_be_exported_and_taken_back(service: Service, lead: Contact) -> None:
    service.start()
    service.send(notification(lead.id))
    wait_until(lambda: lead.external_id == ANN)
    service.stop()

    folder = service.folder / "runs" / "webhook-export"
    assert "1 writes" in service.told("export", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z", str(folder))
    undo = Runner(service.sandbox, service.folder / "runs").undo("webhook-export")

    assert undo.exit_code == 0
    assert lead.external_id != ANN
    assert not lead.custom_attributes.get("region")


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("INTERCOM_CLIENT_SECRET", "", "INTERCOM_CLIENT_SECRET is not set"),
        ("WEBHOOK_STORE", "mongodb://x", "There is no store at mongodb"),
        ("WEBHOOK_PORT", "many", "WEBHOOK_PORT cannot be"),
    ],
)
def test_a_wrong_setting_ends_with_2_and_a_sentence(service: Service, setting: str, value: str, sentence: str) -> None:
    process = service.command("serve", **{setting: value})
    _, errors = process.communicate(timeout=120)

    assert process.returncode == 2
    assert sentence in errors

"""The inbox app as Intercom calls it: signed requests to a real service, and what an agent gets to read."""

import hashlib
import hmac
import json
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import httpx
import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact
from support.ports import free_port
from support.webhook_service import ANN, SECRET, Service, notification, wait_until
from support.worlds import NOW, member_row

CANVAS = "/api/intercom/canvas"
BOB = "1002"


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Body-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def post(service: Service, verb: str, request: dict[str, Any]) -> httpx.Response:
    body = json.dumps({"workspace_id": "w", "admin": {"id": "1"}, **request}).encode()
    return httpx.post(f"{service.url}{CANVAS}/{verb}", content=body, headers=signed(body), timeout=30)


def ask(service: Service, verb: str, **request: Any) -> list[dict[str, Any]]:
    """The components of the canvas."""
    answer = post(service, verb, request)
    assert answer.status_code == 200, answer.text
    components: list[dict[str, Any]] = answer.json()["canvas"]["content"]["components"]
    return components


def opened(service: Service, contact_id: str) -> list[dict[str, Any]]:
    return ask(service, "initialize", contact={"type": "contact", "id": contact_id})


def used(service: Service, contact_id: str, component: str, **values: Any) -> list[dict[str, Any]]:
    """An agent used a component; the canvas that Intercom holds is never what is believed."""
    lies = {"content": {"components": []}, "stored_data": {"contact_id": "f" * 24, "number": BOB}}
    request = {"component_id": component, "input_values": values, "current_canvas": lies}
    return ask(service, "submit", contact={"id": contact_id}, **request)


def texts(components: list[dict[str, Any]]) -> str:
    return "\n".join(each["text"] for each in components if each["type"] == "text")


def table(components: list[dict[str, Any]]) -> dict[str, str]:
    return {row["field"]: row["value"] for each in components for row in each.get("items", ())}


def ids(components: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in components if "id" in each]


def writes(sandbox: Sandbox) -> dict[str, int]:
    """What changes the workspace: all but reads and searches."""
    calls = sandbox.calls.by_route.items()
    return {route: count for route, count in calls if not route.startswith("GET") and "search" not in route}


@pytest.fixture
def stranger(service: Service) -> Contact:
    """A user of nobody, in a workspace that knows Bob, too."""
    contact = Contact("c" * 24, "user", NOW - 90, NOW - 90, email="someone@example.org", name="Bobby")
    service.sandbox.world.tables["members"].append(member_row(BOB, "bob@example.com", "Bob", "Núñez"))
    service.sandbox.world.contacts.append(contact)
    service.sandbox.reset(service.sandbox.world)
    return contact


class TestRequests:
    """Who is answered."""

    @pytest.fixture(autouse=True)
    def started(self, service: Service) -> None:
        service.start()

    @pytest.mark.parametrize("verb", ["initialize", "submit"])
    def test_a_forged_one_is_refused(self, service: Service, lead: Contact, verb: str) -> None:
        body = json.dumps({"contact": {"id": lead.id}, "component_id": "sync"}).encode()
        own = signed(body)["X-Body-Signature"]
        forged = [b"", b"0" * 64, f"sha256={own}".encode(), own[:-1].encode(), "é".encode(), b"\xff\xfe"]
        forged += [signed(*other)["X-Body-Signature"].encode() for other in ((b"{}",), (body, "another secret"))]

        for headers in [[], *([(b"X-Body-Signature", signature)] for signature in forged)]:
            assert httpx.post(f"{service.url}{CANVAS}/{verb}", content=body, headers=headers).status_code == 401, (
                headers
            )
        assert service.sandbox.calls.total == 0

    @pytest.mark.parametrize("verb", ["initialize", "submit"])
    def test_what_is_no_request_is_told_so(self, service: Service, verb: str) -> None:
        nobody: list[object] = [None, {}, "a", *({"id": bad} for bad in ("../me", "", 5, None, "é", "a" * 256))]
        bodies = [json.dumps({"contact": contact, "component_id": "sync"}).encode() for contact in nobody]
        bodies += [b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"contact": {"id": "\\ud800"}, "component_id": "sync"}']

        for body in bodies:
            answer = httpx.post(f"{service.url}{CANVAS}/{verb}", content=body, headers=signed(body))
            assert (answer.status_code, answer.json()) == (400, {"error": "The body is no request of Canvas Kit's."})

    def test_the_contact_may_be_called_customer(self, service: Service, lead: Contact) -> None:
        assert table(ask(service, "initialize", customer={"id": lead.id}))["Number"] == ANN


class TestCard:
    """What an agent sees on opening a conversation."""

    def test_a_member_is_shown_for_one_call_and_nothing_is_written(self, service: Service, lead: Contact) -> None:
        service.start()
        opened(service, lead.id)
        service.sandbox.calls.clear()

        seen = opened(service, lead.id)

        assert table(seen) == {
            "Number": ANN,
            "Type": "Current Member",
            "Region": "GL",
            "Facility": "ZAU",
            "Positions": "none",
            "Last synced": "not by this service yet",
        }
        assert "Known by the email." in texts(seen)
        assert "Ann Lee" in texts(seen)
        assert "not in line with it yet: member number, user instead of lead, name" in texts(seen)
        assert ids(seen) == ["sync"]
        contacts = {route: count for route, count in service.sandbox.calls.by_route.items() if "rest" not in route}
        assert contacts == {"GET /contacts/{contact_id}": 1}

    def test_one_that_the_webhook_brought_in_line_says_when(self, service: Service, lead: Contact) -> None:
        service.start()
        service.send(notification(lead.id))
        wait_until(lambda: lead.external_id == ANN)
        wait_until(lambda: "UTC" in table(opened(service, lead.id))["Last synced"])

        seen = opened(service, lead.id)

        assert "Known by the member number in Intercom, the email and the name." in texts(seen)
        assert "is in line" in texts(seen)

    def test_a_stranger_has_a_reason_and_a_field(self, service: Service, stranger: Contact) -> None:
        service.start()

        seen = opened(service, stranger.id)

        assert "No member found" in texts(seen)
        assert "No data point speaks for any member." in texts(seen)
        assert ids(seen) == ["number", "sync"]

    def test_of_a_family_all_are_named(self, service: Service, stranger: Contact) -> None:
        service.sandbox.world.tables["members"].append(member_row("1003", "bob@example.com", "Cy", "Núñez"))
        stranger.email = "bob@example.com"
        service.start()

        seen = opened(service, stranger.id)

        assert "Several members have this email." in texts(seen)
        assert "**1002**, Bob Núñez, by the email." in texts(seen)
        assert "**1003**, Cy Núñez, by the email." in texts(seen)

    def test_one_that_is_gone_is_said_to_be(self, service: Service) -> None:
        service.start()

        seen = opened(service, "f" * 24)

        assert "no such contact" in texts(seen)
        assert ids(seen) == ["look"]


class TestSync:
    """The button and the field."""

    def test_the_button_brings_the_contact_in_line(self, service: Service, lead: Contact) -> None:
        service.start()

        seen = used(service, lead.id, "sync")

        assert "Done: the lead is the member's user now." in texts(seen)
        assert "is in line" in texts(seen)
        assert table(seen)["Last synced"].endswith("UTC")
        assert (lead.external_id, lead.role) == (ANN, "user")
        assert "Nothing had to be done" in texts(used(service, lead.id, "sync"))
        assert "Nothing had to be done" not in texts(opened(service, lead.id))

    def test_a_double_click_writes_once(self, service: Service, lead: Contact) -> None:
        service.start()
        opened(service, lead.id)
        service.sandbox.options = Options(limit=None, latency=0.2)
        service.sandbox.calls.clear()

        with ThreadPoolExecutor(3) as clicks:
            seen = list(clicks.map(lambda _: texts(used(service, lead.id, "sync")), range(3)))

        assert lead.external_id == ANN
        assert writes(service.sandbox) == {"PUT /contacts/{contact_id}": 1}
        assert sorted("Nothing had to be done" in each for each in seen) == [False, True, True]

    def test_a_number_makes_the_stranger_a_member(self, service: Service, stranger: Contact) -> None:
        service.start()

        seen = used(service, stranger.id, "number", number=f" {BOB} ")

        assert table(seen)["Number"] == BOB
        assert "Done" in texts(seen)
        assert "the number that was entered" in texts(seen)
        assert (stranger.external_id, stranger.email) == (BOB, "bob@example.com")
        assert table(opened(service, stranger.id))["Number"] == BOB

    def test_a_number_that_nobody_has_is_refused_and_stays_in_the_field(
        self, service: Service, stranger: Contact
    ) -> None:
        service.start()

        seen = used(service, stranger.id, "number", number="[31337](http://x)")

        assert "Nothing was done: no member has the number (31337)(http://x)." in texts(seen)
        field = next(each for each in seen if each["type"] == "input")
        assert (field["value"], field["save_state"]) == ("[31337](http://x)", "failed")
        assert writes(service.sandbox) == {}

    def test_what_is_no_number_is_refused(self, service: Service, stranger: Contact) -> None:
        service.start()

        for number in ("", "  ", None, "1\u0000", "9" * 65, [], ["1002"], {"a": 1}, True):
            assert "That is no member number" in texts(used(service, stranger.id, "number", number=number)), number
        assert writes(service.sandbox) == {}

    def test_a_lead_beside_its_user_is_merged_and_the_user_shown(self, service: Service, lead: Contact) -> None:
        user = Contact("b" * 24, "user", NOW - 500, NOW - 500, email="ann@example.com", external_id=ANN, name="Ann Lee")
        service.sandbox.world.contacts.append(user)
        service.sandbox.reset(service.sandbox.world)
        service.start()

        seen = used(service, lead.id, "sync")

        assert f"merged into the member's contact {user.id}" in texts(seen)
        assert table(seen)["Number"] == ANN
        assert table(opened(service, lead.id))["Last synced"].endswith("UTC")

    def test_while_only_another_contact_was_written_nothing_is_done_yet(self, service: Service, lead: Contact) -> None:
        """By the lead's own evidence nobody looks for a user without a number; the 409 tells of it."""
        user = Contact("b" * 24, "user", NOW - 50, NOW - 50, email="ann@example.com", name="Ann Lee")
        service.sandbox.world.contacts.append(user)
        service.sandbox.reset(service.sandbox.world)
        service.start()

        assert "It did not succeed and can be tried again" in texts(used(service, lead.id, "sync"))
        assert (user.external_id, lead.merged_into) == (ANN, None)
        assert f"merged into the member's contact {user.id}" in texts(used(service, lead.id, "sync"))

    def test_a_failure_leaves_the_contact_to_others_at_once(self, service: Service, lead: Contact) -> None:
        """A deleted user holds the number for days; whoever tries next need not wait until the turn runs out."""
        user = Contact("b" * 24, "user", NOW - 500, NOW - 500, external_id=ANN, archived=True, deleted=True)
        service.sandbox.world.contacts.append(user)
        service.sandbox.reset(service.sandbox.world)
        service.start()

        assert "Done" not in texts(used(service, lead.id, "sync"))

        with closing(sqlite3.connect(service.folder / "events.db")) as store:
            turns = [held_until for (held_until,) in store.execute("SELECT held_until FROM webhook_turns")]
        assert turns
        assert max(turns) <= time.time()

    def test_one_in_doubt_is_left_alone(self, service: Service, stranger: Contact) -> None:
        service.start()

        assert "Nothing was done, as it is not sure who this is." in texts(used(service, stranger.id, "sync"))
        assert writes(service.sandbox) == {}

    def test_of_no_input_nothing_is_made(self, service: Service, stranger: Contact) -> None:
        service.start()
        request = {"component_id": "number", "input_values": None}

        assert "That is no member number" in texts(ask(service, "submit", contact={"id": stranger.id}, **request))

    def test_an_unknown_component_only_looks(self, service: Service, lead: Contact) -> None:
        service.start()

        assert table(used(service, lead.id, "of-an-older-version"))["Number"] == ANN
        assert writes(service.sandbox) == {}


class TestOutages:
    """Whatever is down, the agent reads a sentence, and nothing is lost."""

    def test_intercom_down(self, service: Service, lead: Contact) -> None:
        service.sandbox.options = Options(limit=None, fault_5xx=1.0)
        service.start()

        for component in ("sync", "number", "look"):
            seen = used(service, lead.id, component, number=ANN)
            assert "Intercom does not answer" in texts(seen)
            assert ids(seen) == [component]

    def test_no_members(self, service: Service, lead: Contact) -> None:
        service.start(SUPABASE_URL="http://127.0.0.1:1")

        seen = opened(service, lead.id)

        assert "No database of members answers" in texts(seen)
        assert ids(seen) == ["look"]

    def test_no_members_but_a_copy_of_them(self, service: Service, lead: Contact) -> None:
        """It is asked early enough for the card."""
        file = service.folder / "cache" / "members.db"
        service.start(MEMBER_CACHE=str(file))
        wait_until(file.exists)
        service.stop()
        service.start(MEMBER_CACHE=str(file), SUPABASE_URL="http://127.0.0.1:1")

        assert table(opened(service, lead.id))["Number"] == ANN

    def test_a_store_that_does_not_answer(self, service: Service, lead: Contact) -> None:
        """Nothing is sent that the journal does not hold; looking is possible."""
        service.start()
        with closing(sqlite3.connect(service.folder / "events.db")) as other:
            other.execute("BEGIN EXCLUSIVE")

            assert "cannot keep a record" in texts(used(service, lead.id, "sync"))
            assert table(opened(service, lead.id))["Number"] == ANN
        assert writes(service.sandbox) == {}

    def test_work_that_takes_longer_goes_on_even_if_the_service_has_to_stop(
        self, service: Service, lead: Contact
    ) -> None:
        service.sandbox.options = Options(limit=None, latency=2)
        service.start()

        seen = used(service, lead.id, "sync")

        assert "Still working" in texts(seen)
        assert ids(seen) == ["look"]
        assert lead.external_id != ANN
        assert service.stop() == 0
        assert "Traceback" not in service.errors
        assert lead.external_id == ANN
        folder = service.folder / "runs" / "webhook-export"
        assert "1 writes" in service.told("export", "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z", str(folder))

    def test_a_slow_look_says_so(self, service: Service, lead: Contact) -> None:
        service.sandbox.options = Options(limit=None, latency=6)
        service.start()

        assert "does not answer in time" in texts(opened(service, lead.id))

    def test_what_a_sync_leaves_of_the_rate_limit_is_there_for_the_service(
        self, service: Service, lead: Contact
    ) -> None:
        service.sandbox.options = Options(limit=10, window_seconds=60)
        service.start(INTERCOM_RESERVE="0.5")

        for _ in range(8):
            assert table(opened(service, lead.id))["Number"] == ANN

    def test_sigterm_answers_what_is_in_work(self, service: Service, lead: Contact) -> None:
        service.sandbox.options = Options(limit=None, latency=0.5)
        service.start()
        with ThreadPoolExecutor(1) as agent:
            seen = agent.submit(used, service, lead.id, "sync")
            wait_until(lambda: service.sandbox.calls["GET /contacts/{contact_id}"])

            assert service.stop() == 0
            assert "Done" in texts(seen.result())
        assert "Traceback" not in service.errors


def test_requests_are_counted_and_nobody_is_named_in_the_log(service: Service, lead: Contact) -> None:
    port = free_port()
    service.start(METRICS_PORT=str(port), LOG_LEVEL="INFO")
    opened(service, lead.id)
    used(service, lead.id, "sync")
    used(service, lead.id, "number", number="Ann Lee, ann@example.com")

    counted = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    service.stop()

    for outcome in ("shown", "synced", "not_synced", "unfinished", "failed", "unsigned", "malformed"):
        count = float(outcome in ("shown", "synced", "not_synced"))
        assert f'mynatca_intercom_webhook_canvases_total{{outcome="{outcome}"}} {count}' in counted
    assert f'"member_number": "{ANN}"' in service.errors
    assert "ann@example.com" not in service.errors
    assert "Ann" not in service.errors

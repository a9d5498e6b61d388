"""The look-up as the support team's tools see it, and what it leaves in the log."""

import json
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mynatca_intercom.intercom.contact import Contact as Known
from mynatca_intercom.members.member import UNKNOWN, Member, usable_email
from mynatca_intercom.settings import SettingsError, WebhookSettings, load
from mynatca_sandbox.options import Options
from mynatca_sandbox.world.model import AttributeValue, Contact
from mynatca_webhook.endpoints.lookup import LookupAnswer, LookupRequest
from support.ports import free_port
from support.webhook_service import ANN, Service
from support.worlds import NOW, member_row

PATH = "/api/intercom/lookup"
CRASHING = """
from mynatca_webhook.endpoints.probes import ENDPOINTS

async def crash(_request):
    raise RuntimeError("out of order")

ENDPOINTS.add_route(crash, "/crash")
"""
KEY, OTHER_KEY = "a" * 32, "b" * 40 + "=="
KEYS = f"helpdesk={KEY}, kiosk={OTHER_KEY}"
EMAIL = "ann@example.com"
BEARER = {"Authorization": f"Bearer {KEY}"}
MEMBER: dict[str, Any] = {
    "number": ANN,
    "name": "Ann Lee",
    "email": EMAIL,
    "phone": None,
    "member_type": "Current Member",
    "region": "GL",
    "facility": "ZAU",
    "positions": None,
    "unknown": [],
}


def ask(service: Service, email: str = EMAIL, headers: dict[str, str] = BEARER) -> httpx.Response:
    return httpx.post(f"{service.url}{PATH}", json={"email": email}, headers=headers, timeout=30)


def ask_by_query(service: Service, query: dict[str, Any], headers: dict[str, str] = BEARER) -> httpx.Response:
    return httpx.get(f"{service.url}{PATH}", params=query, headers=headers, timeout=30)


def change(service: Service, *contacts: Contact, members: tuple[dict[str, Any], ...] = ()) -> None:
    """Put other people into the workspace, and more members into Supabase."""
    world = service.sandbox.world
    world.contacts[:] = contacts
    world.tables["members"] += members
    service.sandbox.reset(world)


def audited(service: Service) -> list[dict[str, Any]]:
    """The audit lines of a service that was stopped."""
    lines = [json.loads(line) for line in service.errors.splitlines() if line.startswith("{")]
    return [line for line in lines if line["logger"].endswith("lookup.audit")]


@pytest.fixture
def started(service: Service) -> Service:
    service.start(LOOKUP_KEYS=KEYS)
    return service


class TestAnswers:
    """What is told of whom."""

    def test_the_member_and_the_contacts(self, started: Service, lead: Contact) -> None:
        answer = ask(started)

        contact = {"id": lead.id, "role": "lead", "external_id": None, "name": None}
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.json() == {
            "member": MEMBER,
            "members": [MEMBER],
            "contacts": [{**contact, "member_number": ANN, "agrees": False}],
        }

    @pytest.mark.parametrize("email", ["ANN@example.COM", "\t ann@example.com \n"])
    def test_case_and_space_around_make_no_difference(self, started: Service, email: str) -> None:
        assert ask(started, email).json() == ask_by_query(started, {"email": email}).json() == ask(started).json()

    def test_a_contact_that_is_as_it_should_be_agrees(self, started: Service) -> None:
        attributes: dict[str, AttributeValue] = {"member_type": "Current Member", "region": "GL", "facility": "ZAU"}
        user = Contact("b" * 24, "user", NOW, NOW, ANN, EMAIL, name="Ann Lee", custom_attributes=attributes)
        change(started, user)

        [contact] = ask(started).json()["contacts"]
        assert (contact["external_id"], contact["member_number"], contact["agrees"]) == (ANN, ANN, True)

    def test_a_contact_with_anothers_number_is_not_the_members(self, started: Service) -> None:
        change(started, Contact("b" * 24, "user", NOW, NOW, "1002", EMAIL, name="Ann Lee"))

        [contact] = ask(started).json()["contacts"]
        assert (contact["member_number"], contact["agrees"]) == (None, False)

    def test_a_member_without_a_contact(self, started: Service) -> None:
        change(started)

        assert ask(started).json() == {"member": MEMBER, "members": [MEMBER], "contacts": []}

    def test_a_contact_without_a_member(self, started: Service) -> None:
        change(started, Contact("b" * 24, "lead", NOW, NOW, email="zoe@example.org"))

        answer = ask(started, "zoe@example.org")
        assert answer.status_code == 200
        assert (answer.json()["member"], answer.json()["members"]) == (None, [])
        assert [contact["id"] for contact in answer.json()["contacts"]] == ["b" * 24]

    def test_a_family_is_told_whole_and_no_member_is_chosen(self, started: Service, lead: Contact) -> None:
        change(started, lead, members=(member_row("1002", EMAIL, "Bob"),))

        answer = ask(started).json()
        assert answer["member"] is None
        assert [member["number"] for member in answer["members"]] == [ANN, "1002"]
        assert [contact["member_number"] for contact in answer["contacts"]] == [None]

    def test_nobody_is_404(self, started: Service) -> None:
        answer = ask(started, "nobody@example.com")

        assert (answer.status_code, answer.headers["Cache-Control"]) == (404, "no-store")
        assert answer.json() == {"error": "No member and no contact has this email."}

    def test_what_is_no_address_is_422(self, started: Service) -> None:
        bodies = [
            b"",
            b"{",
            b"[]",
            b"{}",
            b'{"email": null}',
            b'{"email": ["ann@example.com"]}',
            b'{"email": "ann"}',
            b'{"email": "ann@example.com, bob@example.com"}',
            b'{"email": "ann@example.com", "number": "1001"}',
            b'{"email": "a\\u0000nn@example.com"}',
            b'{"email": "\\ud800@example.com"}',
            b'{"email": "' + b"a" * 255 + b'@example.com"}',
            b"\xff",
        ]
        answers = [httpx.post(f"{started.url}{PATH}", content=body, headers=BEARER) for body in bodies]

        assert [answer.status_code for answer in answers] == [422] * len(bodies)
        assert {answer.text for answer in answers} == {
            '{"error":"A look-up needs an email address as email, and nothing else."}'
        }

    def test_so_it_is_in_a_query(self, started: Service) -> None:
        queries: list[dict[str, Any]] = [
            {},
            {"email": ""},
            {"email": "ann"},
            {"email": [EMAIL, EMAIL]},
            {"email": EMAIL, "key": KEY},
        ]

        assert [ask_by_query(started, query).status_code for query in queries] == [422] * len(queries)

    def test_nothing_is_written(self, started: Service) -> None:
        ask(started)

        assert set(started.sandbox.calls.by_route) == {"POST /contacts/search", "GET /rest/v1/{table}"}


@given(st.from_type(str) | st.emails() | st.tuples(st.text(), st.text()).map("@".join))
def test_whatever_is_accepted_is_an_address_that_sources_look_for(text: str) -> None:
    try:
        email = LookupRequest(email=text).email
    except ValidationError:
        return
    assert usable_email(email) == email


def test_what_the_fallback_cannot_tell_is_named() -> None:
    member = Member(ANN, "Ann Lee", EMAIL, "+13125550142", "Retired Member", UNKNOWN, UNKNOWN, None)
    contact = Known("b" * 24, "user", ANN, EMAIL, "(312) 555-0142", "Ann Lee", custom_attributes={"region": "GL"})

    answer = LookupAnswer.of((member,), [contact], "US")

    assert answer.member
    assert (answer.member.region, answer.member.unknown) == (None, ["region", "facility"])


class TestKeys:
    """Who may ask."""

    def test_no_key_or_a_wrong_one_is_401(self, started: Service) -> None:
        wrong = ("Bearer", KEY, f"Basic {KEY}", f"Bearer {KEY}a", f"Bearer helpdesk={KEY}", "Bearer é", "Bearer ☃")
        answers = [
            httpx.post(f"{started.url}{PATH}", json={"email": EMAIL}, headers=[(b"Authorization", value.encode())])
            for value in wrong
        ]

        for answer in (*answers, ask(started, headers={})):
            assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
            assert answer.headers["Cache-Control"] == "no-store"
        assert started.sandbox.calls.total == 0

    def test_a_key_in_the_query_is_none(self, started: Service) -> None:
        assert ask_by_query(started, {"email": EMAIL, "key": KEY}, {}).status_code == 401

    def test_without_keys_nobody_may(self, service: Service) -> None:
        service.start()

        assert ask(service).status_code == 401
        assert ask(service, headers={}).status_code == 401

    def test_keys_are_rotated_by_having_both_for_a_while(self, service: Service) -> None:
        """Each restart of a rotation, and which key is valid after it."""
        old, new = {"Authorization": f"Bearer {KEY}"}, {"Authorization": f"bearer {OTHER_KEY}"}
        steps = [f"old={KEY}", f"old={KEY},new={OTHER_KEY}", f"new={OTHER_KEY}"]
        told = []
        for keys in steps:
            service.start(LOOKUP_KEYS=keys)
            told.append([ask(service, headers=headers).status_code for headers in (old, new)])
            service.stop()

        assert told == [[200, 401], [200, 200], [401, 200]]

    @pytest.mark.parametrize(
        "value",
        ["short=abc", KEY, f"={KEY}", f"a={KEY},", f"a={KEY},a={OTHER_KEY}", f"a={KEY},b={KEY}", f"a={KEY[:-1]} x"],
    )
    def test_malformed_keys_are_refused_and_not_shown(self, value: str) -> None:
        with pytest.raises(SettingsError, match=r"^LOOKUP_KEYS cannot be its value \(not shown\)") as refused:
            load(WebhookSettings, {"INTERCOM_CLIENT_SECRET": "x", "LOOKUP_KEYS": value})

        assert not any(secret in str(refused.value) for secret in (KEY[:-1], OTHER_KEY, "abc"))

    def test_the_service_does_not_start_with_them(self, service: Service) -> None:
        process = service.command("serve", LOOKUP_KEYS="short=abc")
        output, errors = process.communicate(timeout=120)

        assert process.returncode == 2
        assert "LOOKUP_KEYS cannot be its value (not shown)" in errors
        assert "abc" not in output + errors


class TestLimit:
    """How often may be asked."""

    @pytest.fixture
    def services(self, service: Service) -> Iterator[tuple[Service, Service]]:
        """Two processes on one store, which allow five look-ups a minute; one has begun that lasts for the test."""
        other = Service(service.sandbox, service.folder, free_port())
        for each in (service, other):
            each.start(LOOKUP_KEYS=KEYS, LOOKUP_LIMIT_PER_MINUTE="5")
        with closing(sqlite3.connect(service.folder / "events.db")) as store, store:
            store.execute("INSERT INTO webhook_uses VALUES ('helpdesk', strftime('%s') / 60 + 1, 0)")
        yield service, other
        other.stop(signal.SIGKILL)

    def test_it_holds_for_a_key_across_processes(self, services: tuple[Service, Service]) -> None:
        answers = [ask(services[i % 2]) for i in range(8)]

        assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
        assert answers[-1].headers["Cache-Control"] == "no-store"
        assert ask(services[0], headers={"Authorization": f"Bearer {OTHER_KEY}"}).status_code == 200

    def test_what_is_malformed_counts_and_what_is_refused_does_not(self, services: tuple[Service, Service]) -> None:
        refused = [ask(services[0], headers={}).status_code for _ in range(9)]
        malformed = [ask(services[0], "ann").status_code for _ in range(6)]

        assert (refused, malformed) == ([401] * 9, [422] * 5 + [429])


class TestOutages:
    """What is answered while something else does not."""

    def test_no_source_of_members(self, service: Service) -> None:
        service.start(LOOKUP_KEYS=KEYS, SUPABASE_URL="http://127.0.0.1:1")
        answer = ask(service)

        assert (answer.status_code, answer.headers["Cache-Control"]) == (503, "no-store")
        assert answer.json() == {"error": "No source of members answers at the moment."}

    def test_intercom(self, started: Service) -> None:
        started.sandbox.options = Options(limit=None, fault_5xx=1.0)

        answer = ask(started)
        assert answer.status_code == 503
        assert answer.json() == {"error": "Intercom does not answer the service as it should at the moment."}

    def test_the_store(self, started: Service) -> None:
        with closing(sqlite3.connect(started.folder / "events.db")) as other:
            other.execute("BEGIN EXCLUSIVE")
            answer = ask(started)

        assert answer.status_code == 503
        assert answer.json() == {"error": "The service's store does not answer at the moment."}
        assert started.sandbox.calls.total == 0


class TestAudit:
    """Every use leaves a line, and none of them an address."""

    def test_uses_of_all_kinds(self, service: Service, lead: Contact) -> None:
        service.start(LOOKUP_KEYS=f"old={KEY}", LOOKUP_LIMIT_PER_MINUTE="3", LOG_LEVEL="ERROR")
        with closing(sqlite3.connect(service.folder / "events.db")) as store, store:
            store.execute("INSERT INTO webhook_uses VALUES ('old', strftime('%s') / 60 + 1, 0)")

        ask(service)
        ask(service, "nobody@example.com")
        ask(service, "ann")
        ask(service)
        ask(service, headers={})
        service.stop()

        nothing: dict[str, Any] = {"key_name": "old", "contact_ids": [], "member_numbers": []}
        fields = ("outcome", *nothing)
        assert [{name: line[name] for name in fields} for line in audited(service)] == [
            {"outcome": "found", "key_name": "old", "contact_ids": [lead.id], "member_numbers": [ANN]},
            {"outcome": "nobody", **nothing},
            {"outcome": "malformed", **nothing},
            {"outcome": "limited", **nothing},
            {"outcome": "refused", **nothing, "key_name": None},
        ]

    def test_one_that_the_caller_does_not_wait_for(self, started: Service) -> None:
        started.sandbox.options = Options(limit=None, latency=20)
        with pytest.raises(httpx.ReadTimeout), httpx.Client(timeout=0.5) as client:
            client.post(f"{started.url}{PATH}", json={"email": EMAIL}, headers=BEARER)
        started.stop()

        assert [line["outcome"] for line in audited(started)] == ["unanswered"]

    def test_they_are_counted(self, service: Service) -> None:
        port = free_port()
        service.start(LOOKUP_KEYS=KEYS, METRICS_PORT=str(port))
        ask(service)

        lines = httpx.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
        counted = dict(
            line.rsplit(" ", 1) for line in lines if line.startswith("mynatca_intercom_webhook_lookups_total")
        )
        outcomes = ("found", "nobody", "refused", "limited", "malformed", "failed", "unanswered")
        assert counted == {
            f'mynatca_intercom_webhook_lookups_total{{outcome="{outcome}"}}': "1.0" if outcome == "found" else "0.0"
            for outcome in outcomes
        }

    def test_no_log_line_has_the_address_or_a_key(self, service: Service) -> None:
        service.start(LOOKUP_KEYS=KEYS, LOG_LEVEL="DEBUG")
        for email in (EMAIL, "nobody@example.com", "Ann.Private@", "ann private"):
            ask(service, email)
            ask_by_query(service, {"email": email})
            ask_by_query(service, {"email": email}, {"Authorization": "Bearer wrong-secret"})
        httpx.delete(f"{service.url}{PATH}", params={"email": EMAIL}, headers=BEARER)
        httpx.get(f"{service.url}{PATH}/", params={"email": EMAIL}, headers=BEARER)
        service.sandbox.options = Options(limit=None, fault_5xx=1.0)
        ask_by_query(service, {"email": EMAIL})
        service.stop()

        log = service.errors.lower()
        assert log.count("lookup.audit") >= 13
        told = ("ann@", "ann%40", "nobody@", "nobody%40", "private", "ann lee", KEY, OTHER_KEY, "wrong-secret")
        assert [text for text in told if text in log] == []

    def test_a_crash_is_logged_without_the_query(self, service: Service, tmp_path: Path) -> None:
        """The address of the request holds it, and Sanic by itself would log that."""
        (tmp_path / "sitecustomize.py").write_text(CRASHING)
        service.start(PYTHONPATH=str(tmp_path))

        answer = httpx.get(f"{service.url}/crash", params={"email": EMAIL, "of": "somebody"})
        service.stop()

        assert answer.status_code == 500
        assert "somebody" not in answer.text
        assert "out of order" in service.errors
        assert "somebody" not in service.errors

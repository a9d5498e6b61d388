"""Webhooks: what is sent of which change, and how it is delivered."""

import hashlib
import hmac
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, Conversation, Part, World
from support import canned
from support.canned import Answer, Request

Add = Callable[..., Contact]
Json = dict[str, Any]

NOW = 1_700_000_000
WAIT = 10


class _WithHead(canned._Handler):
    do_HEAD = canned._Handler._answer  # noqa: N815 - the name that is called


@dataclass
class Receiver:
    """The app's endpoint: it answers `statuses` in turn, then 200."""

    statuses: list[int] = field(default_factory=list)
    heads: "queue.Queue[Request]" = field(default_factory=queue.Queue)
    requests: "queue.Queue[Request]" = field(default_factory=queue.Queue)
    url: str = ""

    def answer(self, request: Request) -> Answer:
        if request.method == "HEAD":
            self.heads.put(request)
            return Answer(200)
        status = self.statuses.pop(0) if self.statuses else 200
        self.requests.put(request)
        return Answer(status)

    def next(self) -> Json:
        """Return the next notification to arrive."""
        body: Json = orjson.loads(self.requests.get(timeout=WAIT).body)
        return body

    def topics(self, api: httpx.Client) -> dict[str, Json]:
        """Return the items of all that is sent until a ping, by topic."""
        api.post("/_sandbox/webhooks/ping")
        arrived: dict[str, Json] = {}
        settle(api)
        while not self.requests.empty():
            notification = self.next()
            assert notification["topic"] not in arrived
            arrived[notification["topic"]] = notification["data"]["item"]
        assert arrived.pop("ping")["type"] == "ping"
        return arrived


@contextmanager
def receiving(receiver: Receiver) -> Iterator[Receiver]:
    with canned.canned(receiver.answer) as server:
        server.RequestHandlerClass = _WithHead
        receiver.url = f"{server.url}/hook"
        yield receiver


@pytest.fixture
def receiver(sandbox: Sandbox, api: httpx.Client) -> Iterator[Receiver]:
    with receiving(Receiver()) as receiver:
        api.patch("/_sandbox/options", json={"webhook_url": receiver.url, "webhook_retry_seconds": 0.05})
        yield receiver
        sandbox.options = Options()


def settle(api: httpx.Client) -> Json:
    """Wait until nothing is under way any more; return the counts."""
    deadline = time.monotonic() + WAIT
    while (told := counts(api))["pending"]:
        assert time.monotonic() < deadline, told
    return told


def counts(api: httpx.Client) -> Json:
    told: Json = api.get("/_sandbox/webhooks").json()
    return told


def ping(api: httpx.Client) -> str:
    id_: str = api.post("/_sandbox/webhooks/ping").json()["id"]
    return id_


# ---- what is sent


def test_the_envelope_is_signed_over_its_very_bytes(api: httpx.Client, receiver: Receiver, world: World) -> None:
    id_ = ping(api)
    request = receiver.requests.get(timeout=WAIT)
    digest = hmac.new(b"sandbox-secret", request.body, hashlib.sha1).hexdigest()
    assert (request.method, request.path) == ("POST", "/hook")
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["X-Hub-Signature"] == f"sha1={digest}"
    envelope = orjson.loads(request.body)
    moments = {envelope.pop("created_at"), envelope.pop("first_sent_at")}
    assert all(abs(moment - time.time()) < WAIT for moment in moments)
    assert envelope == {
        "type": "notification_event",
        "id": id_,
        "topic": "ping",
        "app_id": world.workspace_id,
        "delivery_attempts": 1,
        "self": None,
        "data": {
            "type": "notification_event_data",
            "item": {"type": "ping", "message": "Hello from the sandbox"},
        },
    }


@pytest.mark.parametrize("role", ["user", "lead"])
def test_a_new_contact_is_told_as_rest_shows_it(api: httpx.Client, receiver: Receiver, role: str) -> None:
    created = api.post("/contacts", json={"role": role, "email": "a@union.example"}).json()
    assert receiver.topics(api) == {f"contact.{role}.created": created}


def change(path: str, body: Json | None = None) -> tuple[str, str, Json]:
    method = "PUT" if body else "POST"
    return method, path, body or {}


@pytest.mark.parametrize(
    ("contact", "call", "topics"),
    [
        ({"email": "a@union.example"}, change("", {"email": "b@union.example"}), ["email.updated", "user.updated"]),
        ({}, change("", {"email": "a@union.example"}), ["email.updated", "user.updated"]),
        ({"name": "Ann"}, change("", {"name": "Anne"}), ["user.updated"]),
        ({}, change("", {"custom_attributes": {"region": "GL"}}), ["user.updated"]),
        ({"name": "Ann"}, change("", {"name": "Ann"}), []),
        ({"role": "lead"}, change("", {"email": "a@union.example"}), ["lead.added_email"]),
        ({"role": "lead", "email": "a@union.example"}, change("", {"email": "b@union.example"}), ["email.updated"]),
        ({"role": "lead"}, change("", {"name": "Ann"}), []),
        ({"role": "lead", "email": "a@union.example"}, change("", {"role": "user"}), ["user.updated"]),
        ({}, change("/archive"), ["archived"]),
        ({"archived": True}, change("/archive"), []),
        ({"archived": True}, change("/unarchive"), ["unarchive"]),
    ],
)
def test_changes_of_a_contact_have_these_topics(
    api: httpx.Client,
    add_contact: Add,
    receiver: Receiver,
    contact: Json,
    call: tuple[str, str, Json],
    topics: list[str],
) -> None:
    add_contact("a1", **contact)
    method, path, body = call
    api.request(method, f"/contacts/a1{path}", json=body)
    told = receiver.topics(api)
    assert sorted(told) == sorted(f"contact.{topic}" for topic in topics)
    assert all((item["type"], item["id"]) == ("contact", "a1") for item in told.values())
    assert all(item.items() >= body.items() for item in told.values())


@pytest.mark.usefixtures("sandbox")
def test_tags_notes_and_activity_are_no_updates(api: httpx.Client, add_contact: Add, receiver: Receiver) -> None:
    add_contact("a1")
    api.post("/contacts/a1/tags", json={"id": "2"})
    api.post("/contacts/a1/notes", json={"body": "Called"})
    assert receiver.topics(api) == {}


def test_a_merge_tells_the_survivor_and_who_became_part_of_it(
    api: httpx.Client, add_contact: Add, receiver: Receiver
) -> None:
    add_contact("u1", email="a@union.example", name="Ann")
    add_contact("l1", role="lead", email="a@union.example")
    survivor = api.post("/contacts/merge", json={"from": "l1", "into": "u1"}).json()
    merged_from = {"type": "contact", "id": "l1"}
    assert receiver.topics(api) == {"contact.merged": survivor | {"merged_from": merged_from}}


def test_who_writes_in_is_told_whichever_way(
    sandbox: Sandbox, api: httpx.Client, add_contact: Add, receiver: Receiver
) -> None:
    add_contact("a1", external_id="5")
    id_ = sandbox.write_in("a1", "Hello")
    [(topic, item)] = receiver.topics(api).items()
    assert (topic, item["id"], item["source"]["body"]) == ("conversation.user.created", id_, "<p>Hello</p>")
    assert item["contacts"]["contacts"] == [{"type": "contact", "id": "a1", "external_id": "5"}]
    assert item["conversation_parts"]["conversation_parts"] == []
    api.post("/conversations", json={"from": {"type": "user", "id": "a1"}, "body": "Again"})
    assert list(receiver.topics(api)) == ["conversation.user.created"]


def add_talk(add_contact: Add, add_conversation: Callable[..., Conversation]) -> None:
    add_contact("a1")
    parts = [
        Part("8", "comment", "<p>Yes</p>", NOW, "admin", "11"),
        Part("9", "comment", "<p>No</p>", NOW, "user", "a1"),
    ]
    add_conversation("7", "a1", parts=parts)


def test_a_reply_is_told_with_its_part_alone(
    api: httpx.Client, add_contact: Add, add_conversation: Callable[..., Conversation], receiver: Receiver
) -> None:
    add_talk(add_contact, add_conversation)
    api.post(
        "/conversations/7/reply",
        json={"type": "user", "message_type": "comment", "intercom_user_id": "a1", "body": "Thanks"},
    )
    [(topic, item)] = receiver.topics(api).items()
    assert (topic, item["id"]) == ("conversation.user.replied", "7")
    [part] = item["conversation_parts"]["conversation_parts"]
    assert (part["body"], part["author"]["id"]) == ("<p>Thanks</p>", "a1")


def test_what_a_teammate_writes_has_no_topic(
    api: httpx.Client, add_contact: Add, add_conversation: Callable[..., Conversation], receiver: Receiver
) -> None:
    add_talk(add_contact, add_conversation)
    for kind in ("note", "comment"):
        body = {"type": "admin", "message_type": kind, "admin_id": "11", "body": "Hello"}
        api.post("/conversations/7/reply", json=body)
    assert receiver.topics(api) == {}


def test_a_tagged_conversation_names_the_added_tag_and_the_part(
    api: httpx.Client, add_contact: Add, add_conversation: Callable[..., Conversation], receiver: Receiver
) -> None:
    add_talk(add_contact, add_conversation)
    tag = {"type": "tag", "id": "2", "name": "mynatca-sync"}
    api.post("/conversations/7/tags", json={"id": "1", "admin_id": "11"})
    receiver.topics(api)
    api.post("/conversations/7/tags", json={"id": "2", "admin_id": "11"})
    [(topic, item)] = receiver.topics(api).items()
    assert (topic, item["type"], item["id"]) == ("conversation_part.tag.created", "conversation", "7")
    assert item["tags_added"] == {"type": "tag.list", "tags": [tag]}
    assert [each["id"] for each in item["tags"]["tags"]] == ["1", "2"]
    [part] = item["conversation_parts"]["conversation_parts"]
    assert (part["id"], part["tags"]) == ("9", [tag])
    api.post("/conversations/7/tags", json={"id": "2", "admin_id": "11"})
    api.request("DELETE", "/conversations/7/tags/2", json={"admin_id": "11"})
    assert receiver.topics(api) == {}


# ---- how it is delivered


@pytest.mark.parametrize("status", [200, 202, 204])
def test_any_2xx_is_success(api: httpx.Client, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    ping(api)
    told = settle(api)
    assert (told["sent"], told["delivered"], told["retried"], told["failed"]) == (1, 1, 0, 0)


@pytest.mark.parametrize("status", [0, 302, 401, 429, 500])
def test_what_is_not_taken_is_sent_once_more(api: httpx.Client, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    ping(api)
    told = settle(api)
    assert (told["sent"], told["delivered"], told["retried"], told["failed"]) == (2, 1, 1, 0)
    first, second = receiver.next(), receiver.next()
    assert (first.pop("delivery_attempts"), second.pop("delivery_attempts")) == (1, 2)
    assert first == second


def test_after_the_second_attempt_it_has_failed(api: httpx.Client, receiver: Receiver) -> None:
    receiver.statuses = [500, 500]
    id_ = ping(api)
    told = settle(api)
    assert (told["sent"], told["delivered"], told["retried"], told["failed"]) == (2, 0, 1, 1)
    assert told["last_failed"] == [id_]


def test_the_second_attempt_comes_after_the_set_time(api: httpx.Client, receiver: Receiver) -> None:
    api.patch("/_sandbox/options", json={"webhook_retry_seconds": 0.5})
    receiver.statuses = [500]
    ping(api)
    receiver.next()
    first = time.monotonic()
    assert counts(api)["pending"] == 1
    receiver.next()
    assert time.monotonic() - first > 0.4


def test_an_answer_that_takes_over_five_seconds_is_too_late(sandbox: Sandbox, api: httpx.Client) -> None:
    second = threading.Event()
    moments: list[float] = []

    def answer(request: Request) -> Answer:
        if request.method == "POST":
            moments.append(time.monotonic())
            second.set() if len(moments) == 2 else second.wait(2 * WAIT)
        return Answer(200)

    with canned.canned(answer) as server:
        sandbox.options = Options(webhook_url=server.url, webhook_retry_seconds=0)
        ping(api)
        assert second.wait(WAIT)
        told = settle(api)
    assert moments[1] - moments[0] >= 4.9
    assert (told["sent"], told["delivered"], told["retried"]) == (2, 1, 1)


def test_410_ends_all_deliveries_until_they_are_begun_anew(api: httpx.Client, receiver: Receiver) -> None:
    api.patch("/_sandbox/options", json={"webhook_retry_seconds": 60})
    receiver.statuses = [500, 410]
    waiting = ping(api)
    receiver.next()
    refused = ping(api)
    told = settle(api)
    assert (told["live"], told["failed"], set(told["last_failed"])) == (False, 2, {waiting, refused})
    assert api.post("/contacts", json={"email": "a@union.example"}).status_code == 200
    assert api.post("/_sandbox/webhooks/ping").status_code == 400
    assert settle(api)["sent"] == 2
    assert api.delete("/_sandbox/webhooks").json()["live"] is True
    ping(api)
    assert settle(api)["delivered"] == 1


def test_a_rate_of_notifications_comes_twice(api: httpx.Client, receiver: Receiver) -> None:
    api.patch("/_sandbox/options", json={"webhook_duplicates": 0.5})
    for _ in range(40):
        ping(api)
    told = settle(api)
    ids = [receiver.next()["id"] for _ in range(told["sent"])]
    assert told["delivered"] == told["sent"] == len(ids)
    assert 45 < len(ids) < 75
    assert len(set(ids)) == 40


def test_neither_delay_nor_a_dead_endpoint_slows_the_api(sandbox: Sandbox, api: httpx.Client) -> None:
    sandbox.options = Options(webhook_url="http://127.0.0.1:1/", webhook_delay=60)
    began = time.monotonic()
    api.post("/contacts", json={"email": "a@union.example"})
    assert time.monotonic() - began < WAIT
    assert (counts(api)["pending"], counts(api)["sent"]) == (1, 0)
    sandbox.options.webhook_delay = sandbox.options.webhook_retry_seconds = 0
    api.post("/contacts", json={"email": "b@union.example"})
    deadline = time.monotonic() + WAIT
    while not (told := counts(api))["failed"]:
        assert time.monotonic() < deadline
    assert (told["sent"], told["delivered"], told["retried"], told["pending"]) == (2, 0, 1, 1)


def test_the_delay_is_between_the_change_and_its_notification(api: httpx.Client, receiver: Receiver) -> None:
    api.patch("/_sandbox/options", json={"webhook_delay": 0.3})
    began = time.monotonic()
    ping(api)
    receiver.next()
    assert time.monotonic() - began > 0.29


def test_an_item_is_as_it_was_at_the_event(api: httpx.Client, receiver: Receiver) -> None:
    api.patch("/_sandbox/options", json={"webhook_delay": 0.2})
    created = api.post("/contacts", json={"email": "a@union.example", "name": "Ann"}).json()
    api.put(f"/contacts/{created['id']}", json={"name": "Anne"})
    told = receiver.topics(api)
    assert told["contact.user.created"] == created
    assert told["contact.user.updated"]["name"] == "Anne"


def test_a_url_is_checked_once_when_it_is_set(api: httpx.Client, sandbox: Sandbox, receiver: Receiver) -> None:
    assert receiver.heads.get(timeout=WAIT).path == "/hook"
    for _ in range(2):
        api.patch("/_sandbox/options", json={"webhook_url": receiver.url, "limit": 500})
        ping(api)
    assert settle(api)["url_check"] == 200
    assert receiver.heads.empty()
    sandbox.options.webhook_url = f"{receiver.url}2"
    ping(api)
    assert receiver.heads.get(timeout=WAIT).path == "/hook2"


def test_the_url_of_the_start_is_checked_before_anything_happens() -> None:
    with receiving(Receiver()) as receiver, Sandbox(World(now=0), Options(webhook_url=receiver.url)):
        receiver.heads.get(timeout=WAIT)


def test_a_sandbox_stops_with_notifications_under_way(caplog: pytest.LogCaptureFixture) -> None:
    held, leave = threading.Event(), threading.Event()

    def answer(request: Request) -> Answer:
        if request.method == "POST":
            held.set()
            leave.wait(WAIT)
        return Answer(200)

    with canned.canned(answer) as server:
        with Sandbox(World(now=0), Options(webhook_url=server.url, webhook_retry_seconds=60)) as sandbox:
            httpx.post(f"{sandbox.url}/_sandbox/webhooks/ping")
            assert held.wait(WAIT)
            began = time.monotonic()
        assert time.monotonic() - began < 4
        leave.set()
    assert "destroyed" not in caplog.text
    assert "never retrieved" not in caplog.text


def test_a_new_world_drops_what_was_under_way(api: httpx.Client, sandbox: Sandbox, receiver: Receiver) -> None:
    api.patch("/_sandbox/options", json={"webhook_retry_seconds": 60})
    receiver.statuses = [500]
    ping(api)
    receiver.next()
    sandbox.reset(World(now=0))
    assert counts(api) | {"url_check": None} == {
        "sent": 0,
        "delivered": 0,
        "retried": 0,
        "failed": 0,
        "pending": 0,
        "last_failed": [],
        "live": True,
        "url_check": None,
    }


def test_without_a_url_nothing_is_made(api: httpx.Client) -> None:
    api.post("/contacts", json={"email": "a@union.example"})
    assert api.post("/_sandbox/webhooks/ping").status_code == 400
    assert (counts(api)["sent"], counts(api)["live"]) == (0, False)


@pytest.mark.parametrize("url", ["ftp://x", "localhost", "http://"])
def test_a_url_that_is_none_is_refused(api: httpx.Client, url: str) -> None:
    assert api.patch("/_sandbox/options", json={"webhook_url": url}).status_code == 400

"""The agent's inbox by HTTP: what it shows, what can be done in it, and the calls on the inbox app."""

import hashlib
import hmac
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, Conversation, ConversationAttribute, Part, World
from support.canned import Answer, Request, canned

Add = Callable[..., Contact]
AddConversation = Callable[..., Conversation]
Json = dict[str, Any]

NOW = 1_700_000_000
INBOX = "/_sandbox/inbox"
CANVAS = {"content": {"components": [{"type": "text", "text": "Hello"}]}, "stored_data": {"step": 1}}


@pytest.fixture
def talk(add_contact: Add, add_conversation: AddConversation, world: World) -> Conversation:
    world.conversation_attributes = [ConversationAttribute(1, "Member Number Verification", "string", NOW, NOW)]
    attributes = {"member_type": "Retired", "region": "GL", "visits": 3}
    add_contact("a1", external_id="5", name="Ann", email="a@union.example", custom_attributes=attributes)
    parts = [
        Part("8", "comment", "<p>Which<br>number?</p>", NOW + 1, "admin", "11"),
        Part("9", "note", "<p>Not <b>found</b> &amp; gone</p>", NOW + 2, "admin", "12"),
        Part("10", "close", None, NOW + 3, "admin", "11"),
        Part("11", "open", "Mine", NOW + 4, "user", "a1"),
    ]
    return add_conversation("7", "a1", body="<p>I need help</p><p>Soon</p>", tag_ids=["1"], parts=parts)


def refusal(response: httpx.Response) -> tuple[int, str, str]:
    [error] = response.json()["errors"]
    return response.status_code, error["code"], error["message"]


def opened(api: httpx.Client, conversation_id: str = "7") -> Json:
    told: Json = api.get(f"{INBOX}/conversations/{conversation_id}").json()
    return told


def test_conversations_are_listed_as_they_changed_last(
    api: httpx.Client, add_contact: Add, add_conversation: AddConversation, talk: Conversation
) -> None:
    add_contact("l1", role="lead")
    add_conversation("5", "l1", at=NOW + 9, state="closed")
    listed = api.get(f"{INBOX}/conversations").json()["conversations"]
    assert [(each["id"], each["who"], each["role"], each["state"]) for each in listed] == [
        ("5", "Visitor l1", "lead", "closed"),
        ("7", "Ann", "user", "open"),
    ]
    assert (listed[1]["first_line"], listed[1]["tags"]) == ("I need help", ["Steward"])
    talk.updated_at = NOW + 10
    assert api.get(f"{INBOX}/conversations").json()["conversations"][0]["id"] == "7"


@pytest.mark.usefixtures("talk")
def test_a_conversation_is_plain_text_with_notes_and_events_told_apart(api: httpx.Client) -> None:
    assert [(each["kind"], each["author"], each["text"]) for each in opened(api)["messages"]] == [
        ("contact", "Ann", "I need help\nSoon"),
        ("team", "Ada", "Which\nnumber?"),
        ("note", "Bob", "Not found & gone"),
        ("event", "Ada", "Ada closed the conversation"),
        ("contact", "Ann", "Mine"),
    ]


@pytest.mark.usefixtures("talk")
def test_the_card_shows_what_the_sync_owns(api: httpx.Client) -> None:
    card = opened(api)["contact"]
    assert (card["id"], card["name"], card["archived"]) == ("a1", "Ann", False)
    assert card["fields"] == {
        "role": "user",
        "external_id": "5",
        "email": "a@union.example",
        "phone": None,
        "member_type": "Retired",
        "region": "GL",
        "facility": None,
        "positions": None,
    }


@pytest.mark.usefixtures("sandbox")
def test_a_conversation_of_nobody_is_shown_and_cannot_be_answered(
    api: httpx.Client, add_conversation: AddConversation
) -> None:
    add_conversation("7", "gone", body="<p>Hi</p>")
    assert (opened(api)["who"], opened(api)["contact"]) == ("Nobody", None)
    assert refusal(api.post(f"{INBOX}/conversations/7/reply", json={"body": "x"}))[:2] == (404, "not_found")


@pytest.mark.usefixtures("talk")
def test_writing_as_the_contact_is_a_reply_that_says_what_was_typed(api: httpx.Client) -> None:
    text = "<img src=x onerror=alert(1)>\n& more"
    told = api.post(f"{INBOX}/conversations/7/reply", json={"body": text}).json()
    assert told["messages"][-1]["text"] == text
    part = api.get("/conversations/7").json()["conversation_parts"]["conversation_parts"][-1]
    assert part["body"] == "<p>&lt;img src=x onerror=alert(1)&gt;<br>&amp; more</p>"
    assert part["author"]["id"] == "a1"


@pytest.mark.usefixtures("talk")
@pytest.mark.parametrize("body", [{}, {"body": ""}, {"body": "  \n"}])
def test_an_empty_message_is_refused(api: httpx.Client, body: Json) -> None:
    assert refusal(api.post(f"{INBOX}/conversations/7/reply", json=body))[:2] == (400, "parameter_missing")
    assert len(opened(api)["messages"]) == 5


def test_the_tag_is_put_on_once_and_made_where_there_is_none(
    api: httpx.Client, talk: Conversation, world: World
) -> None:
    for _ in range(2):
        assert api.post(f"{INBOX}/conversations/7/tag").json()["tags"] == ["Steward", "mynatca-sync"]
    assert talk.tag_ids == ["1", "2"]
    talk.tag_ids = []
    del world.tags["2"]
    assert api.post(f"{INBOX}/conversations/7/tag").json()["tags"] == ["mynatca-sync"]


def test_the_member_number_is_written_and_taken_back(api: httpx.Client, talk: Conversation, world: World) -> None:
    before = talk.updated_at
    assert api.put(f"{INBOX}/conversations/7/verification", json={"value": "12345"}).json()["verification"] == "12345"
    assert api.get("/conversations/7").json()["custom_attributes"] == {"Member Number Verification": "12345"}
    assert talk.updated_at > before
    assert api.put(f"{INBOX}/conversations/7/verification", json={"value": ""}).json()["verification"] == ""
    world.conversation_attributes = []
    refused = api.put(f"{INBOX}/conversations/7/verification", json={"value": "1"})
    assert refusal(refused)[:2] == (400, "parameter_invalid")


def test_a_visitor_becomes_a_lead_with_a_conversation(api: httpx.Client) -> None:
    told = api.post(f"{INBOX}/visitors", json={"email": "New@union.example", "body": "Hello"}).json()
    contact = api.get(f"/contacts/{told['contact']['id']}").json()
    assert (contact["role"], contact["email"]) == ("lead", "new@union.example")
    conversation = api.get(f"/conversations/{told['id']}").json()
    assert (conversation["state"], conversation["source"]["body"]) == ("open", "<p>Hello</p>")
    for wrong in ({"email": "nobody", "body": "Hello"}, {"email": "b@union.example", "body": " "}, {"body": "Hello"}):
        assert refusal(api.post(f"{INBOX}/visitors", json=wrong))[0] == 400
    assert api.get("/contacts").json()["total_count"] == 1


def test_people_to_write_as_are_members_without_doubt(api: httpx.Client, add_contact: Add, world: World) -> None:
    members = {
        "1": ("Active", "Ann@union.example "),
        "2": ("Active", "shared@union.example"),
        "3": ("Retired", "shared@union.example"),
        "4": ("Active", "archived@union.example"),
        "5": ("Active", "two@union.example"),
        "6": ("Active", None),
        "7": ("Active", "office@union.example"),
        "8": ("Active", "merged@union.example"),
    }
    world.tables["members"] = [
        {"membernumber": number, "firstname": "A", "lastname": number, "email": email, "status": status}
        for number, (status, email) in members.items()
    ]
    world.tables["positions"] = [
        {"membernumber": number, "end_date": "2020-01-01" if number == "7" else None} for number in members
    ]
    add_contact("a4", external_id="4", archived=True)
    add_contact("a5", email="two@union.example")
    add_contact("b5", external_id="5")
    add_contact("a8", external_id="8", email="merged@union.example")
    add_contact("b8", role="lead", email="merged@union.example", merged_into="a8")
    assert api.get(f"{INBOX}/people").json()["people"] == [
        {"number": "1", "name": "A 1", "email": "ann@union.example"},
        {"number": "8", "name": "A 8", "email": "merged@union.example"},
    ]


def test_it_is_told_whether_changes_are_notified(api: httpx.Client, sandbox: Sandbox) -> None:
    assert api.get(f"{INBOX}/conversations").json()["connected"] is False
    with canned(lambda _: Answer(200)) as server:
        sandbox.options = Options(webhook_url=server.url)
        assert api.get(f"{INBOX}/conversations").json()["connected"] is True


def test_an_unknown_conversation_is_404(api: httpx.Client) -> None:
    assert refusal(api.get(f"{INBOX}/conversations/8"))[:2] == (404, "not_found")
    assert refusal(api.post(f"{INBOX}/conversations/8/tag"))[:2] == (404, "not_found")


def test_the_page_allows_its_own_script_only(api: httpx.Client) -> None:
    page = api.get(INBOX)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = dict(each.strip().split(" ", 1) for each in page.headers["Content-Security-Policy"].split(";"))
    assert (policy["default-src"], policy["connect-src"]) == ("'none'", "'self'")
    assert policy["script-src"].startswith("'sha256-")


# ---- the inbox app


class App:
    """An inbox app: it answers `answer`, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer = Answer(200, orjson.dumps({"canvas": CANVAS}))
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        return self.answer


@pytest.fixture
def app(sandbox: Sandbox) -> Iterator[App]:
    app = App()
    with canned(app) as server:
        sandbox.options = Options(canvas_url=f"{server.url}/canvas/", client_secret="other secret")
        yield app


@pytest.mark.usefixtures("talk")
def test_an_opened_conversation_asks_the_app_under_signature(api: httpx.Client, app: App, world: World) -> None:
    assert api.get(f"{INBOX}/conversations").json()["app"] is True
    assert api.post(f"{INBOX}/conversations/7/canvas/initialize").json() == CANVAS
    [request] = app.requests
    assert (request.method, request.path) == ("POST", "/canvas/initialize")
    assert request.headers["Content-Type"] == "application/json"
    digest = hmac.new(b"other secret", request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Body-Signature"] == digest
    body = orjson.loads(request.body)
    assert body.keys() == {"workspace_id", "workspace_region", "admin", "conversation", "contact"}
    assert (body["workspace_id"], body["workspace_region"], body["admin"]["id"]) == (world.workspace_id, "US", "11")
    assert body["contact"] == api.get("/contacts/a1").json()
    assert body["conversation"] == api.get("/conversations/7").json()


@pytest.mark.usefixtures("talk")
def test_a_submit_adds_what_was_done(api: httpx.Client, app: App) -> None:
    done = {"component_id": "search", "input_values": {"number": "5"}, "current_canvas": CANVAS}
    assert api.post(f"{INBOX}/conversations/7/canvas/submit", json=done).json() == CANVAS
    [request] = app.requests
    assert request.path == "/canvas/submit"
    assert orjson.loads(request.body).items() >= done.items()


@pytest.mark.usefixtures("talk")
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (Answer(500), "answered 500"),
        (Answer(0), "does not answer"),
        (Answer(200, b"<html>"), "answered without a canvas"),
        (Answer(200, b"[]"), "answered without a canvas"),
        (Answer(200, b'{"canvas": {"content": {}}}'), "answered without a canvas"),
        (Answer(200, b'{"canvas": {"content": {"components": ["text"]}}}'), "answered without a list of components"),
    ],
)
def test_an_app_that_fails_is_a_502_that_says_how(api: httpx.Client, app: App, answer: Answer, words: str) -> None:
    app.answer = answer
    status, code, message = refusal(api.post(f"{INBOX}/conversations/7/canvas/initialize"))
    assert (status, code) == (502, "canvas_failed")
    assert words in message


@pytest.mark.usefixtures("talk")
def test_without_a_url_there_is_no_app(api: httpx.Client) -> None:
    assert api.get(f"{INBOX}/conversations").json()["app"] is False
    assert refusal(api.post(f"{INBOX}/conversations/7/canvas/initialize"))[:2] == (404, "not_found")

"""The agent's inbox in a real browser."""

from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import httpx
import orjson
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, Conversation, ConversationAttribute, Part, World
from support.canned import Answer, Request, canned
from support.chromium import chromium, chromium_is_there
from support.inbox_page import Page

pytestmark = pytest.mark.skipif(not chromium_is_there(), reason="there is no chromium or no chromedriver")

Add = Callable[..., Contact]
AddConversation = Callable[..., Conversation]
Json = dict[str, Any]

NOW = 1_700_000_000
HOSTILE = '<img src="x" onerror="document.title=1"><b>bold</b>'


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    with chromium() as chrome:
        yield chrome


@pytest.fixture
def page(chrome: Chrome, sandbox: Sandbox) -> Iterator[Page]:
    """Return the page, not yet open; in the end nothing may have gone against its policy or failed in its script."""
    yield Page(chrome, sandbox.url)
    assert [entry["message"] for entry in chrome.get_log("browser")] == []  # type: ignore[no-untyped-call]
    chrome.get("about:blank")


@pytest.fixture
def talk(add_contact: Add, add_conversation: AddConversation, world: World) -> Conversation:
    world.conversation_attributes = [ConversationAttribute(1, "Member Number Verification", "string", NOW, NOW)]
    add_contact("a1", role="lead", name="Ann", email="a@union.example")
    note = Part("9", "note", "<p>Looked up</p>", NOW + 2, "admin", "12")
    return add_conversation("7", "a1", body="<p>I need help</p>", parts=[note])


def test_a_visitor_writes_and_appears_as_a_lead(api: httpx.Client, page: Page) -> None:
    page.open()
    page.until(lambda: page.texts("#list .empty") == ["No conversations yet. Write in as somebody to begin one."])
    page.one("#new").click()
    page.type("#email", "new@union.example")
    page.type("#question", "Hello\nthere")
    page.one("#visitor button.primary").click()
    page.until(lambda: page.texts(".message .text") == ["Hello\nthere"])
    page.until(lambda: page.texts(".entry .who") == ["new@union.example"])
    assert page.card()["Role"] == "lead"
    [contact] = api.get("/contacts").json()["data"]
    assert contact["email"] == "new@union.example"


def test_who_looks_first_is_told_what_to_try(api: httpx.Client, page: Page, sandbox: Sandbox) -> None:
    page.open()
    page.until(lambda: len(page.texts("#welcome li")) == 3)
    assert "No webhook service is connected" in page.one("#alone").text
    with canned(lambda _: Answer(200)) as server:
        sandbox.options = Options(webhook_url=server.url)
        page.until(lambda: not page.one("#welcome").find_element(By.ID, "alone").is_displayed())
    api.post("/_sandbox/inbox/visitors", json={"email": "new@union.example", "body": "Hello"})
    page.one(".entry").click()
    page.one("#reply")
    assert page.all("#welcome") == []
    page.named("a", "What to try").click()
    page.one("#welcome")


def test_one_writes_in_as_a_member_or_from_an_unknown_address(page: Page, world: World) -> None:
    member = {"membernumber": "5", "firstname": "Ann", "lastname": "Doe", "email": "ann@union.example"}
    world.tables["members"] = [member | {"status": "Active"}]
    world.tables["positions"] = [{"membernumber": "5", "end_date": None}]
    page.open()
    page.one("#new").click()
    page.until(lambda: page.texts("#people button .clip:first-child") == ["Ann Doe", "A new address"])
    page.all("#people button")[1].click()
    assert page.one("#question").get_attribute("value") == "Hello, I write from a new address. My member number is 5."
    page.all("#people button")[0].click()
    page.one("#visitor button.primary").click()
    page.until(lambda: page.texts(".entry .who") == ["ann@union.example"])


def test_a_refused_visitor_keeps_what_was_typed(page: Page) -> None:
    page.open()
    page.one("#new").click()
    page.type("#email", "new@union")  # enough for a browser
    page.type("#question", "Hello")
    page.one("#visitor button.primary").click()
    page.until(lambda: page.one("#refused").text == "Email is invalid")
    assert page.one("#question").get_attribute("value") == "Hello"
    page.chrome.get_log("browser")  # type: ignore[no-untyped-call]  # it tells of each refused call


@pytest.mark.usefixtures("talk")
def test_a_conversation_is_answered_tagged_and_verified(api: httpx.Client, page: Page) -> None:
    page.open()
    page.one(".entry").click()
    page.until(lambda: page.texts(".message .text") == ["I need help", "Looked up"])
    assert "Bob, internal note" in page.one(".message.note").text
    page.type("#words", "Any news?")
    page.one("#reply button").click()
    page.until(lambda: page.texts(".message .text")[2:] == ["Any news?"])
    page.until(lambda: page.one("#words").get_attribute("value") == "")
    page.one("#tag").click()
    page.until(lambda: not page.one("#tag").is_enabled())
    page.type("#verification", "12345")
    page.one("#verify button").click()
    page.until(lambda: api.get("/conversations/7").json()["custom_attributes"])
    conversation = api.get("/conversations/7").json()
    assert conversation["custom_attributes"] == {"Member Number Verification": "12345"}
    assert [tag["name"] for tag in conversation["tags"]["tags"]] == ["mynatca-sync"]


def test_a_contact_is_seen_to_be_enriched_and_the_tag_to_vanish(
    api: httpx.Client, page: Page, talk: Conversation
) -> None:
    talk.tag_ids = ["2"]
    page.open("7")
    page.until(lambda: page.texts("#list .tag") == page.texts("#tags .tag") == ["mynatca-sync"])
    assert page.card() | {"Email": ""} == dict.fromkeys(page.card(), "none") | {"Role": "lead", "Email": ""}
    assert page.all("dd.changed") == []
    page.type("#words", "half a sentence")
    page.type("#verification", "123")
    changes = {"role": "user", "external_id": "5", "custom_attributes": {"region": "GL"}}
    api.put("/contacts/a1", json=changes)
    api.request("DELETE", "/conversations/7/tags/2", json={"admin_id": "11"})
    page.until(lambda: page.card()["Role"] == "user" and not page.all(".tag"))
    assert (page.card()["External id"], page.card()["Region"]) == ("5", "GL")
    assert page.texts("dd.changed") == ["user", "5", "GL"]
    assert page.texts(".seen .what") == ["The contact was changed", "Tag mynatca-sync was taken off"]
    assert page.texts(".seen dd") == ["lead user", "5", "GL"]
    assert page.one("#words").get_attribute("value") == "half a sentence"
    assert page.one("#verification").get_attribute("value") == "123"


def test_nothing_from_outside_becomes_html(
    add_contact: Add, add_conversation: AddConversation, page: Page, sandbox: Sandbox
) -> None:
    add_contact("a1", name=HOSTILE, external_id=HOSTILE)
    add_conversation("7", "a1", tag_ids=["1"], body="<p>&lt;img src=x&gt;</p>")
    sandbox.world.tags["1"] = HOSTILE
    text = f"{HOSTILE} **{HOSTILE}** [here](javascript:steal) [there](https://union.example/a)"
    components: list[Json] = [
        {"type": "text", "text": text},
        {"type": "data-table", "items": [{"type": "field-value", "field": HOSTILE, "value": HOSTILE}]},
        {"type": "button", "id": "b", "label": HOSTILE, "action": {"type": "url", "url": "javascript:alert(1)"}},
        {"type": HOSTILE},
    ]
    with canned(lambda _: canvas(*components)) as server:
        sandbox.options = Options(canvas_url=server.url)
        page.open("7")
        page.until(lambda: len(page.all("#canvas .component")) == 4)
    assert page.texts(".entry .who") == page.texts(".tags .tag") == page.texts("#name") == [HOSTILE]
    assert page.texts(".message .text") == ["<img src=x>"]
    assert page.texts("#canvas p") == [f"{HOSTILE} {HOSTILE} here there"]
    assert page.texts("#canvas td") == [HOSTILE, HOSTILE]
    assert (page.all("img"), page.all("b")) == ([], [])
    [there] = page.all("#canvas a")
    assert (there.get_attribute("href"), there.get_attribute("rel")) == (
        "https://union.example/a",
        "noopener noreferrer",
    )
    page.one("#canvas button").click()
    assert len(page.chrome.window_handles) == 1


def canvas(*components: Json) -> Answer:
    return Answer(200, orjson.dumps({"canvas": {"content": {"components": components}, "stored_data": {"step": 1}}}))


FIRST = (
    {"type": "text", "text": "Which member?", "style": "header"},
    {"type": "divider"},
    {"type": "spacer", "size": "m"},
    {
        "type": "single-select",
        "id": "kind",
        "label": "Search by",
        "options": [{"type": "option", "id": each, "text": each.title()} for each in ("number", "email")],
    },
    {"type": "input", "id": "query", "label": "Query", "value": "4"},
    {"type": "list", "items": [{"type": "item", "id": "m5", "title": "Ann", "subtitle": "5"}]},
    {"type": "button", "id": "search", "label": "Search", "action": {"type": "submit"}},
)
SECOND = (
    {"type": "list", "items": [{"type": "item", "id": "m5", "title": "Ann", "action": {"type": "submit"}}]},
    {"type": "input", "id": "again", "label": "Again", "action": {"type": "submit"}, "save_state": "failed"},
)


@pytest.mark.usefixtures("talk")
def test_the_app_is_rendered_and_a_submit_replaces_its_canvas(sandbox: Sandbox, page: Page) -> None:
    submitted: list[Json] = []

    def answer(request: Request) -> Answer:
        if request.path == "/initialize":
            return canvas(*FIRST)
        submitted.append(orjson.loads(request.body))
        return canvas(*SECOND)

    with canned(answer) as server:
        sandbox.options = Options(canvas_url=server.url)
        page.open("7")
        page.named("#canvas button", "Email").click()
        assert page.texts("#canvas .header") == ["Which member?"]
        assert page.texts("#canvas .item") == ["Ann\n5"]
        page.type("#canvas input", "ann@union.example")
        page.named("#canvas button", "Search").click()
        page.named("#canvas button", "Ann").click()
        page.until(lambda: len(submitted) == 2)
        page.until(lambda: not page.all("#canvas[aria-busy]"))
        page.type("#canvas input", "once more\n")
        page.until(lambda: len(submitted) == 3)
    assert [each["component_id"] for each in submitted] == ["search", "m5", "again"]
    assert submitted[0]["input_values"] == {"kind": "email", "query": "ann@union.example"}
    assert submitted[0]["current_canvas"] == {"content": {"components": list(FIRST)}, "stored_data": {"step": 1}}
    assert submitted[2]["input_values"] == {"again": "once more"}


@pytest.mark.usefixtures("talk")
def test_the_app_is_asked_anew_when_another_takes_part(
    api: httpx.Client, add_contact: Add, sandbox: Sandbox, page: Page
) -> None:
    add_contact("u1", email="a@union.example")
    asked: list[str] = []

    def answer(request: Request) -> Answer:
        asked.append(orjson.loads(request.body)["contact"]["id"])
        return canvas({"type": "text", "text": f"For {asked[-1]}"})

    with canned(answer) as server:
        sandbox.options = Options(canvas_url=server.url)
        page.open("7")
        page.named("#canvas p", "For a1")
        api.post("/contacts/merge", json={"from": "a1", "into": "u1"})
        page.named("#canvas p", "For u1")
    assert asked == ["a1", "u1"]


@pytest.mark.usefixtures("talk")
def test_an_answer_that_comes_late_does_not_replace_a_newer_one(
    api: httpx.Client, add_contact: Add, sandbox: Sandbox, page: Page
) -> None:
    add_contact("u1", email="a@union.example")
    newer_is_shown = Event()

    def answer(request: Request) -> Answer:
        contact_id = orjson.loads(request.body)["contact"]["id"]
        if contact_id == "a1":
            newer_is_shown.wait(4)
        return canvas({"type": "text", "text": f"For {contact_id}"})

    with canned(answer) as server:
        sandbox.options = Options(canvas_url=server.url)
        page.open("7")
        page.until(lambda: page.all("#canvas[aria-busy]"))
        api.post("/contacts/merge", json={"from": "a1", "into": "u1"})
        page.named("#canvas p", "For u1")
        newer_is_shown.set()
        page.until(lambda: page.answered("/canvas/initialize") == 2)
        polls = page.answered("/conversations/7")
        page.until(lambda: page.answered("/conversations/7") > polls + 1)  # what came late had its chance
    assert page.texts("#canvas p") == ["For u1"]


@pytest.mark.usefixtures("talk")
def test_an_app_that_fails_says_so_and_can_be_asked_again(sandbox: Sandbox, page: Page) -> None:
    answers = [Answer(500), canvas({"type": "text", "text": "There"})]
    with canned(lambda _: answers.pop(0)) as server:
        sandbox.options = Options(canvas_url=server.url)
        page.open("7")
        page.named("#canvas .error", "The inbox app answered 500.")
        page.one("#reload").click()
        page.named("#canvas p", "There")
    page.chrome.get_log("browser")  # type: ignore[no-untyped-call]  # it tells of each refused call


def test_a_sandbox_that_is_gone_is_told(chrome: Chrome) -> None:
    with Sandbox(World(now=NOW)) as sandbox:
        page = Page(chrome, sandbox.url)
        page.open("unknown")
        page.named("#messages .empty", "There is no such conversation.")
        page.named("#list .empty", "No conversations yet. Write in as somebody to begin one.")
        assert page.all("#app:not([hidden])") == []
    page.until(lambda: page.one("#trouble").text == "The sandbox does not answer.")
    chrome.get("about:blank")
    chrome.get_log("browser")  # type: ignore[no-untyped-call]  # it tells of each refused call

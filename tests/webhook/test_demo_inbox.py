"""What `make demo` shows: the sandbox's inbox in a real browser, with the real service at work behind it.

`INBOX_PICTURE=docs/images/inbox.png` keeps what the test of the vanishing tag sees as the picture of the README.
"""

import base64
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from support.chromium import chromium, chromium_is_there
from support.inbox_page import Page
from support.runs import Runner
from support.webhook_service import Service, subscribed

pytestmark = pytest.mark.skipif(not chromium_is_there(), reason="there is no chromium or no chromedriver")

SIZE = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}


@pytest.fixture(scope="module")
def chrome() -> Iterator[Chrome]:
    with chromium() as chrome:
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZE)
        yield chrome


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(generate(WorldOptions(members=200, now=int(time.time()))), Options(limit=None))


@pytest.fixture
def page(chrome: Chrome, sandbox: Sandbox, tmp_path: Path) -> Iterator[Page]:
    """The inbox after a night, with the service connected."""
    assert Runner(sandbox, tmp_path).sync().exit_code == 0
    with running(Service(sandbox, tmp_path)) as service:
        subscribed(service, canvas_url=f"{service.url}/api/intercom/canvas")
        page = Page(chrome, sandbox.url)
        page.open()
        yield page
        assert [entry["message"] for entry in chrome.get_log("browser")] == []  # type: ignore[no-untyped-call]
        chrome.get("about:blank")


@contextmanager
def running(service: Service) -> Iterator[Service]:
    try:
        service.start()
        yield service
    finally:
        service.stop()


def write_in(page: Page, place: int) -> tuple[str, str]:
    """Write in as one of the people that the page names; return what is said of it, and the message."""
    page.one("#new").click()
    page.until(lambda: len(page.all("#people button")) > 1)
    chosen = page.all("#people button")[place]
    name, hint = chosen.text.splitlines()[1:]
    chosen.click()
    message = page.one("#question").get_attribute("value") or ""
    page.one("#visitor button.primary").click()
    page.until(lambda: page.texts(".message .text") == [message])
    return f"{name}, {hint}", message


def test_a_member_who_writes_in_is_recognised(page: Page) -> None:
    person, _ = write_in(page, 0)
    name, number = person.split(", member ")
    page.until(lambda: page.texts(".seen .what") == [f"It is {name}'s conversation now"])
    assert (page.card()["Role"], page.card()["External id"]) == ("user", number)
    assert "lead user" in page.texts(".seen dd")
    page.until(lambda: number in page.texts("#canvas td"))
    assert page.one("#name").text == page.texts(".entry .who")[0] == name


def test_sync_now_brings_a_contact_back_in_line(page: Page, sandbox: Sandbox) -> None:
    person, _ = write_in(page, 0)
    number = person.split(", member ")[1]
    page.until(lambda: page.card()["External id"] == number)
    page.until(lambda: number in page.texts("#canvas td"))
    right = page.card()["Region"]
    [user] = [each for each in sandbox.world.contacts if each.external_id == number]
    user.custom_attributes["region"] = "XX"
    page.until(lambda: page.card()["Region"] == "XX")
    page.named("#canvas button", "Sync now").click()
    page.until(lambda: page.card()["Region"] == right)
    assert right != "XX"


def test_a_number_and_the_tag_make_a_stranger_a_member_and_the_tag_vanishes(page: Page) -> None:
    _, message = write_in(page, -1)
    number = message.rstrip(".").split()[-1]
    assert page.card()["Role"] == "lead"
    page.type("#verification", number)
    page.one("#verify button").click()
    page.named(".seen .what", f"Member Number Verification is {number}")
    page.one("#tag").click()
    page.until(lambda: page.texts(".seen .what")[-1] == "Tag mynatca-sync was taken off")
    assert "Tag mynatca-sync was put on" in page.texts(".seen .what")
    assert page.all("#tags .tag") == []
    assert (page.card()["Role"], page.card()["External id"]) == ("user", number)
    page.until(lambda: number in page.texts("#canvas td"))
    keep_picture(page)


def test_a_number_that_nobody_has_leaves_the_tag_and_a_note_that_says_why(page: Page) -> None:
    write_in(page, -1)
    page.type("#verification", "99999999")
    page.one("#verify button").click()
    page.named(".seen .what", "Member Number Verification is 99999999")
    page.one("#tag").click()
    page.until(lambda: "99999999" in page.one(".message.note .text").text)
    assert page.texts("#tags .tag") == ["mynatca-sync"]
    assert page.card()["Role"] == "lead"


def test_a_number_entered_in_the_app_makes_a_stranger_a_member(page: Page) -> None:
    _, message = write_in(page, -1)
    number = message.rstrip(".").split()[-1]
    page.type("#canvas input", f"{number}\n")
    page.until(lambda: page.card()["External id"] == number)
    page.until(lambda: number in page.texts("#canvas td"))


def keep_picture(page: Page) -> None:
    """Save what is seen in the file that INBOX_PICTURE names."""
    if file := os.environ.get("INBOX_PICTURE"):
        page.chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", SIZE)
        picture = page.chrome.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})
        Path(file).write_bytes(base64.b64decode(picture["data"]))

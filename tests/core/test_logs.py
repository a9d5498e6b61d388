"""What may stand in a log line: ids, numbers and moments, but no email address and no phone number."""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynatca_intercom import logs
from mynatca_intercom.logs import redact

RUN_ID = "20261123023000"  # the worst that RUN_ID allows: it looks like a phone number
Logged = Callable[[], list[dict[str, Any]]]
log = logging.getLogger("some.library")


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)


@pytest.fixture
def logged(capsys: pytest.CaptureFixture[str]) -> Logged:
    """Set logging up and return a function that gives the lines so far, each parsed."""
    logs.set_up("INFO", RUN_ID)
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


PHONE_FORMATS = (
    "{0}{1}{2}",
    "{0}-{1}-{2}",
    "{0}.{1}.{2}",
    "{0} {1} {2}",
    "({0}) {1}-{2}",
    "({0}){1}-{2}",
    "{0}/{1}-{2}",
    "{0} - {1} - {2}",
    "{0}\u2011{1}\u2013{2}",
    "{0}\u00a0{1}\u00a0{2}",
    "1-{0}-{1}-{2}",
    "1 ({0}) {1}-{2}",
    "+1{0}{1}{2}",
    "+1 {0} {1} {2}",
    "+1 ({0}) {1}-{2}",
    "+44 20 {1} {2}",
    "+49 ({0}) {1} {2}",
    "{0}-{1}-{2} x12",
    "{0}{1}{2}x12",
    "({0}) {1}-{2} ext. 1234",
)
SURROUNDINGS = ("{}", "phone {} is wrong", '"{}"', "tel:{}", "Tel.{}", "phone={}&x=1", "row:\n{}\n", "[{}]", "a\t{}, b")
phones = st.builds(
    lambda form, area, exchange, line: form.format(area, exchange, f"{line:04}"),
    st.sampled_from(PHONE_FORMATS),
    st.integers(201, 989),
    st.integers(200, 999),
    st.integers(0, 9999),
)
emails = st.builds(
    "{}@{}".format,
    st.from_regex(r"[A-Za-z0-9é!#$%*+?^_`{|}~-]+(\.[A-Za-z0-9+_-]+){0,2}", fullmatch=True),
    st.from_regex(r"[a-z0-9é]([a-z0-9-]{0,5}[a-z0-9])?(\.[a-z0-9]{1,5}){0,2}\.[a-z]{2,6}", fullmatch=True),
)


@given(phones, st.sampled_from(SURROUNDINGS))
def test_a_phone_number_is_redacted_however_people_type_it(phone: str, around: str) -> None:
    assert redact(around.format(phone)) == around.format("[phone]")


@given(phones)
def test_a_phone_number_is_redacted_in_a_url(phone: str) -> None:
    sent = quote(phone.partition(" x")[0].partition(" e")[0].encode("ascii", "ignore"))
    assert redact(f"GET /rest/v1/members?phone=eq.{sent}&limit=1") == "GET /rest/v1/members?phone=eq.[phone]&limit=1"


@given(
    emails, st.sampled_from(("{}", "mail {} bounced", '"{}"', "<{}>", "'{}'", "mailto:{}", "row:\n{}\n", "a\t{}, b"))
)
def test_an_email_address_is_redacted_wherever_it_stands(email: str, around: str) -> None:
    assert redact(around.format(email)) == around.format("[email]")


@given(emails)
def test_an_email_address_is_redacted_in_a_url(email: str) -> None:
    assert redact(f"GET /contacts?email={quote(email, safe='')}&page=2") == "GET /contacts?email=[email]&page=2"


@given(st.from_regex(r"[0-9a-f]{24}", fullmatch=True), st.integers(0, 10**9 - 1))
def test_contact_ids_and_counts_are_not_redacted(contact_id: str, count: int) -> None:
    text = f"PUT /contacts/{contact_id}: {count} of {count}, then {contact_id}"
    assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "sync-20261123t023000z-4711",
        "sync-20261123023000",
        "2026-11-23T02:30:00Z",
        "2026-11-23T02:30:00.123456+00:00",
        "2026-11-23 02:30:00,123",
        "member 0012345 failed",
        "c5b8e0c2-1234-4321-8765-123456789012",
    ],
)
def test_ids_and_moments_are_not_redacted(text: str) -> None:
    assert redact(text) == text


def test_a_line_is_json_with_the_run_and_the_extras(logged: Logged) -> None:
    log.warning("row failed", extra={"contact_id": "655012345678901234567890", "member_number": "2025550143"})
    [line] = logged()
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "some.library",
        "message": "row failed",
        "run_id": RUN_ID,
        "contact_id": "655012345678901234567890",
        "member_number": "2025550143",
    }


def test_the_moment_of_a_line_is_whole(logged: Logged) -> None:
    """A date followed by an hour has ten digits, too."""
    log.info("hello")
    assert len(logged()[0]["time"]) == len("2026-11-23T02:30:00.123Z")


def test_numbers_stay_numbers(logged: Logged) -> None:
    """Else the line would no longer be JSON."""
    log.info("numbers", extra={"at": 1_700_000_000, "counts": {"updated": 12_345_678_901}, "share": 0.12345678901})
    [line] = logged()
    assert (line["at"], line["counts"], line["share"]) == (1_700_000_000, {"updated": 12_345_678_901}, 0.12345678901)


def test_personal_data_in_nested_extras_is_redacted(logged: Logged) -> None:
    log.info("nested", extra={"row": {"to": ["ada@union.example", {"ada@union.example": "+1 202 555 0143"}]}})
    assert logged()[0]["row"] == {"to": ["[email]", {"[email]": "[phone]"}]}


def test_an_object_as_extra_is_redacted(logged: Logged) -> None:
    log.info("object", extra={"cause": ValueError("ada@union.example, 202-555-0143")})
    assert "[email], [phone]" in logged()[0]["cause"]


def test_personal_data_in_a_traceback_is_redacted(logged: Logged) -> None:
    """Also right after a line break, which JSON writes as a backslash and a letter."""
    cause = ValueError("no\n2025550143\nada@union.example")
    error = RuntimeError("(202) 555-0143 of ada%40union.example")
    error.__cause__ = cause
    log.error("failed for %s", "ada@union.example", exc_info=error)
    [line] = logged()
    assert line["message"] == "failed for [email]"
    assert "ValueError: no\n[phone]\n[email]" in line["exc_info"]
    assert "RuntimeError: [phone] of [email]" in line["exc_info"]
    assert "0143" not in str(line)


def test_a_crash_is_logged_and_redacted(logged: Logged) -> None:
    error = KeyError("ada@union.example")
    sys.excepthook(KeyError, error, None)
    [line] = logged()
    assert line["level"] == "CRITICAL"
    assert "[email]" in line["exc_info"]


def test_warnings_become_log_lines(logged: Logged) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old, ask ada@union.example", stacklevel=1)
    assert "old, ask [email]" in logged()[0]["message"]


def test_lines_below_the_level_are_left_out(logged: Logged) -> None:
    log.debug("small talk")
    assert logged() == []


def test_httpx_does_not_log_urls(logged: Logged) -> None:
    logging.getLogger("httpx").info("GET /contacts?email=ada@union.example")
    assert logged() == []


def test_a_terminal_gets_plain_redacted_text(monkeypatch: pytest.MonkeyPatch) -> None:
    screen, keyboard = os.openpty()
    with os.fdopen(keyboard, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        logs.set_up("INFO", RUN_ID)
        log.info("hello ada@union.example, %s", "202-555-0143")
        assert os.read(screen, 1000) == b"INFO hello [email], [phone]\r\n"
    os.close(screen)

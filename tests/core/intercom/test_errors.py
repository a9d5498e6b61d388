"""Each way in which Intercom says no is an error of its own, and none quotes what Intercom wrote."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynatca_intercom.intercom.errors import (
    AnswerError,
    Conflict,
    CredentialsRefused,
    IntercomError,
    Merged,
    NotFound,
    RateLimited,
    Rejected,
    ServerFailed,
    error_of,
)

BY_STATUS = {
    400: Rejected,
    401: CredentialsRefused,
    402: Rejected,
    403: CredentialsRefused,
    404: NotFound,
    405: Rejected,
    406: Rejected,
    409: Conflict,
    410: Merged,
    415: Rejected,
    422: Rejected,
    429: RateLimited,
    500: ServerFailed,
    502: ServerFailed,
    503: ServerFailed,
    504: ServerFailed,
    599: ServerFailed,
}
HOLDER = "6762f0cd1bb69f9f2193bb7c"


def refusal(
    status: int, code: str = "some_code", message: str | None = "ada@union.example", **more: Any
) -> httpx.Response:
    error = {"code": code, "message": message} if message is not None else {"code": code}
    return httpx.Response(status, json={"type": "error.list", "errors": [error], **more})


@pytest.mark.parametrize(("status", "kind"), BY_STATUS.items())
def test_each_status_has_its_class(status: int, kind: type[AnswerError]) -> None:
    error = error_of(refusal(status), "update_contact")
    assert type(error) is kind
    assert isinstance(error, IntercomError)
    assert (error.status, error.code) == (status, "some_code")


@pytest.mark.parametrize("status", BY_STATUS)
def test_the_text_names_operation_status_code_and_request_and_no_message(status: int) -> None:
    error = error_of(refusal(status, request_id="r-1"), "update_contact")
    assert str(error) == f"update_contact: Intercom answered {status} some_code (request r-1)"


@given(st.text(min_size=5), st.sampled_from(sorted(BY_STATUS)))
def test_what_intercom_wrote_is_never_quoted(message: str, status: int) -> None:
    one, other = (error_of(refusal(status, message=text), "get_contact") for text in (message, "another message"))
    assert str(one) == str(other)


@pytest.mark.parametrize(
    ("body", "headers", "request_id"),
    [
        ({"request_id": "from-body"}, {"x-request-id": "from-header"}, "from-body"),
        ({}, {"x-request-id": "from-header"}, "from-header"),
        ({"request_id": None}, {"x-request-id": "from-header"}, "from-header"),
        ({}, {}, "unnamed"),
    ],
)
def test_the_request_is_named_by_body_or_header(body: Any, headers: dict[str, str], request_id: str) -> None:
    content = json.dumps({"type": "error.list", "errors": [{"code": "x"}], **body})
    assert f"(request {request_id})" in str(error_of(httpx.Response(500, content=content, headers=headers), "me"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"ada@union.example",
        b"<html>ada@union.example</html>",
        b"null",
        b"[]",
        b'{"type":"error.list","errors":[]}',
        b'{"type":"error.list","errors":[{"message":"ada@union.example"}]}',
        b'{"type":"error.list","errors":"ada@union.example"}',
        b'{"errors":[{"code":["ada@union.example"]}]}',
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize(("status", "kind"), (BY_STATUS | {404: ServerFailed}).items())
def test_an_answer_without_an_error_list_is_judged_by_its_status(
    content: bytes, status: int, kind: type[AnswerError]
) -> None:
    error = error_of(httpx.Response(status, content=content), "get_contact")
    assert type(error) is kind
    assert error.code == "no_error_list"
    assert "ada" not in str(error)


@pytest.mark.parametrize(
    ("message", "holder", "archived"),
    [
        (f"A contact matching those details already exists with id={HOLDER}", HOLDER, False),
        (f"An archived contact matching those details already exists with id={HOLDER}", HOLDER, True),
        (f"a contact (id={HOLDER}) exists.", HOLDER, False),
        ("A contact matching those details already exists", None, False),
        ("An archived contact exists", None, True),
        ("A contact with paid=1 exists", None, False),
        ("", None, False),
        (None, None, False),
    ],
)
def test_a_conflict_names_the_holder_as_far_as_the_text_does(
    message: str | None, holder: str | None, *, archived: bool
) -> None:
    """Intercom says it nowhere else."""
    error = error_of(refusal(409, "conflict", message), "create_contact")
    assert isinstance(error, Conflict)
    assert (error.holder_id, error.archived, error.after_silence) == (holder, archived, False)


@pytest.mark.parametrize(
    ("link", "survivor"),
    [
        (f'</contacts/{HOLDER}>; rel="canonical"', HOLDER),
        (f"</contacts/{HOLDER}>; rel=canonical", HOLDER),
        (f'<https://api.intercom.io/contacts/{HOLDER}>;rel="canonical"', HOLDER),
        (f'</contacts/other>; rel="next", </contacts/{HOLDER}>; rel="canonical"', HOLDER),
        (f'</contacts/{HOLDER}>; rel="next"', None),
        ("", None),
        (None, None),
    ],
)
def test_a_merged_contact_names_the_survivor_from_the_link(link: str | None, survivor: str | None) -> None:
    answer = refusal(410, "contact_merged")
    if link is not None:
        answer.headers["Link"] = link
    error = error_of(answer, "get_contact")
    assert isinstance(error, Merged)
    assert error.survivor_id == survivor

"""How calls to Intercom fail.

IntercomError
├── NoAnswer              connection lost or time-out; the call may have taken effect all the same
└── AnswerError           Intercom answered with an error
    ├── CredentialsRefused    401, 403
    ├── NotFound              404
    ├── Merged                410; names the contact that it became part of
    ├── Conflict              409; names the contact that holds the details
    ├── RateLimited           429
    ├── ServerFailed          5xx, or an answer that is not the API's, such as a proxy's 404
    └── Rejected              any other 4xx: the request itself is wrong

A class of its own for each answer that some caller handles differently. No text holds what Intercom wrote in
`message`: it may quote an email address. Transport errors are mapped in one place, `client._send`.
"""

import re

import httpx
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError


class IntercomError(Exception):
    """A call to Intercom failed for good."""


class NoAnswer(IntercomError):
    """No answer came; the call may have taken effect all the same."""


class AnswerError(IntercomError):
    """Intercom answered with an error; `code` is its machine-readable reason."""

    def __init__(self, status: int, code: str, operation: str, request_id: str | None) -> None:
        super().__init__(f"{operation}: Intercom answered {status} {code} (request {request_id or 'unnamed'})")
        self.status = status
        self.code = code


class CredentialsRefused(AnswerError):
    """The access token is wrong, or lacks a scope."""


class NotFound(AnswerError):
    """No such thing, or an archived contact."""


class Merged(AnswerError):
    """The contact became part of another one; `survivor_id` is that one, None when Intercom does not say."""

    survivor_id: str | None = None


class Conflict(AnswerError):
    """Another contact holds the external id or email of this write.

    `holder_id` is that contact (None when the text does not name it); `archived` says that it is archived, merged
    away or deleted, which Intercom does not tell apart here. `after_silence`: an earlier attempt of the same call
    got no proper answer, so the holder may be that attempt's own work.
    """

    holder_id: str | None = None
    archived: bool = False
    after_silence: bool = False


class RateLimited(AnswerError):
    """Too many calls in this window."""


class ServerFailed(AnswerError):
    """Intercom failed; the call may have taken effect all the same."""


class Rejected(AnswerError):
    """The request itself is wrong; sending it again changes nothing."""


class _Entry(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)
    code: str
    message: str | None = None


class _ErrorList(BaseModel):
    model_config = ConfigDict(hide_input_in_errors=True)
    errors: list[_Entry]
    request_id: str | None = None


_ENVELOPE = TypeAdapter(_ErrorList)
_BY_STATUS: dict[int, type[AnswerError]] = {
    401: CredentialsRefused,
    403: CredentialsRefused,
    404: NotFound,
    409: Conflict,
    410: Merged,
    429: RateLimited,
}
# "A contact matching those details already exists with id=..." / "An archived contact matching ..." is the only
# place that names the holder (Intercom-OpenAPI issue 543; not in any published description).
_HOLDER = re.compile(r"\bid=(\w+)")
_CANONICAL = re.compile(r"<[^>]*/contacts/([^>/]+)>\s*;\s*rel=\"?canonical\"?")


def error_of(answer: httpx.Response, operation: str) -> AnswerError:
    """The typed error of an answer with a status of 400 or more."""
    try:
        body = _ENVELOPE.validate_json(answer.content)
    except ValidationError:
        body = _ErrorList(errors=[])
    first = body.errors[0] if body.errors else _Entry(code="no_error_list")
    kind = _kind(answer.status_code, from_api=bool(body.errors))
    request_id = body.request_id or answer.headers.get("x-request-id")
    error = kind(answer.status_code, first.code, operation, request_id)
    if isinstance(error, Conflict):
        _name_holder(error, first.message or "")
    if isinstance(error, Merged):
        link = _CANONICAL.search(answer.headers.get("link", ""))
        error.survivor_id = link and link[1]
    return error


def _kind(status: int, *, from_api: bool) -> type[AnswerError]:
    """By the status; but a proxy's 404 must not pass for a missing contact."""
    kind = _BY_STATUS.get(status, ServerFailed if status >= 500 else Rejected)
    return ServerFailed if kind is NotFound and not from_api else kind


def _name_holder(error: Conflict, message: str) -> None:
    found = _HOLDER.search(message)
    error.holder_id = found and found[1]
    error.archived = "archived" in message.lower()

"""Intercom's refusals: status, code and message of each, and the envelope they travel in.

Messages are those of Intercom's published examples; where none is published the message is ours, and the
status is an assumption that the raising place names.
"""

from collections.abc import Mapping
from typing import Any

from sanic import HTTPResponse

from mynatca_sandbox.responses import json_response


class ApiError(Exception):
    """A call is refused with `status` and one error of `code` and `message`."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def response(self, request_id: str) -> HTTPResponse:
        """Return the refusal as an answer."""
        return json_response(self.envelope(request_id), self.status, self.headers)

    def envelope(self, request_id: str) -> dict[str, Any]:
        """Return the error list."""
        errors = [{"code": self.code, "message": self.message}]
        return {"type": "error.list", "request_id": request_id, "errors": errors}


def unauthorized() -> ApiError:
    """No or a wrong access token."""
    return ApiError(401, "unauthorized", "Access Token Invalid")


def version_invalid() -> ApiError:
    """The version is unknown, or older than what was called."""
    return ApiError(400, "intercom_version_invalid", "Requested resource is not available in current API version.")


def rate_limit_exceeded(limit: int, window_seconds: int) -> ApiError:
    """The window is used up."""
    message = f"Exceeded rate limit of {limit} in {window_seconds}_seconds"
    return ApiError(429, "rate_limit_exceeded", message)


def invalid(message: str) -> ApiError:
    """A parameter has a wrong value."""
    return ApiError(400, "parameter_invalid", message)


def missing(name: str) -> ApiError:
    """A parameter is not there; the code is in Intercom's list, the status and message are assumed."""
    return ApiError(400, "parameter_missing", f"{name} is required")


def invalid_cursor() -> ApiError:
    """A page cursor that no answer gave."""
    return ApiError(
        400,
        "client_error",
        "Invalid starting_after param. Please try again using a starting_after value from a paginated response",
    )


def not_found(message: str = "Resource Not Found") -> ApiError:
    """What was named does not exist. Intercom's wording varies: "User Not Found", "Contact Not Found"..."""
    return ApiError(404, "not_found", message)


def user_not_found() -> ApiError:
    """No such contact, as `GET` and the calls below a contact put it."""
    return not_found("User Not Found")


def contact_merged(canonical_id: str) -> ApiError:
    """The contact became part of another one (from 2.16)."""
    message = "This contact has been merged. See the 'Link' header for the canonical contact."
    return ApiError(410, "contact_merged", message, {"Link": f'</contacts/{canonical_id}>; rel="canonical"'})


def invalid_merge(message: str) -> ApiError:
    """These two contacts cannot be merged."""
    return ApiError(400, "invalid_merge", message)


def admin_not_found() -> ApiError:
    """No such teammate."""
    return ApiError(404, "admin_not_found", "Admin not found")


def conflict(contact_id: str, *, archived: bool) -> ApiError:
    """Another contact holds the identifiers; its id is only in the message."""
    subject = "An archived contact" if archived else "A contact"
    return ApiError(409, "conflict", f"{subject} matching those details already exists with id={contact_id}")

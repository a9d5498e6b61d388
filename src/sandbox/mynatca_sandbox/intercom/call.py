"""What a handler reads from a call: its sandbox, its version, its JSON body and what the body names."""

from typing import Any

import orjson
from sanic import Request

from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.serialize import Version
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.state import state_of
from mynatca_sandbox.world.model import Admin, Contact

SUPPORTED_VERSIONS: dict[str, Version] = {"2.14": (2, 14), "2.15": (2, 15), "2.16": (2, 16)}
DEFAULT_VERSION = "2.16"


def store_of(request: Request) -> Store:
    """Return the store of the sandbox that the call arrived at."""
    return state_of(request).store


def version_of(request: Request) -> Version:
    """Return the API version that the call asks for.

    Raises:
        ApiError: 400 `intercom_version_invalid`.
    """
    name = request.headers.get("Intercom-Version", DEFAULT_VERSION)
    if name not in SUPPORTED_VERSIONS:
        raise errors.version_invalid()
    return SUPPORTED_VERSIONS[name]


def require_version(request: Request, version: Version) -> None:
    """Refuse a call that its API version does not have.

    Raises:
        ApiError: 400 `intercom_version_invalid`.
    """
    if version_of(request) < version:
        raise errors.version_invalid()


def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object that the call carries; an absent body is an empty object.

    Raises:
        ApiError: 415 for another media type; 400 `bad_request` for what is no JSON object (wording assumed).
    """
    if not request.body:
        return {}
    media_type = request.headers.get("Content-Type", "").partition(";")[0].strip()
    if media_type != "application/json":
        raise errors.ApiError(415, "unsupported", "Content-Type must be application/json")
    try:
        body = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise errors.ApiError(400, "bad_request", "The body must be a JSON object")
    return body


def required(body: dict[str, Any], name: str) -> Any:
    """Return a value that the call must carry.

    Raises:
        ApiError: 400 `parameter_missing`.
    """
    value = body.get(name)
    if value is None or value == "":
        raise errors.missing(name)
    return value


def named_contact(request: Request, contact_id: str) -> Contact:
    """Return the live contact that a call below `/contacts/{id}` addresses.

    Raises:
        ApiError: 404 `User Not Found`.
    """
    contact = store_of(request).live(contact_id)
    if contact is None:
        raise errors.user_not_found()
    return contact


def acting_admin(request: Request, body: dict[str, Any]) -> Admin:
    """Return the teammate that the body's `admin_id` names.

    Raises:
        ApiError: 400 without it, 404 `admin_not_found` for an unknown one (assumed).
    """
    admin = store_of(request).admin(required(body, "admin_id"))
    if admin is None:
        raise errors.admin_not_found()
    return admin

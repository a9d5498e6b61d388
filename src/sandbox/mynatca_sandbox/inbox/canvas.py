"""The inbox app beside a conversation: calls of Initialize and Submit (Intercom: Canvas Kit).

Documented: the bodies of both calls for the inbox, and `X-Body-Signature`, HMAC-SHA256 of the raw body without a
prefix. Assumed: five seconds for an answer (no page states a limit), and `contact` for the participant, as in the
guide's example (its table says `customer`).
"""

import asyncio
import hashlib
import hmac
from typing import Any

import aiohttp
import httpx
import orjson
from httpx_aiohttp import HttpxAiohttpClient

from mynatca_sandbox.intercom.errors import ApiError
from mynatca_sandbox.intercom.serialize import V2_16, admin_json, contact_json, conversation_json
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.options import Options
from mynatca_sandbox.world.model import Contact, Conversation

TIMEOUT_SECONDS = 5
SUBMITTED = ("component_id", "input_values", "current_canvas")


async def ask(
    options: Options, store: Store, conversation: Conversation, contact: Contact, submitted: dict[str, Any] | None
) -> dict[str, Any]:
    """Return the app's canvas for a conversation just opened, or after what was `submitted` in the present one.

    Raises:
        ApiError: 502, the app does not answer with a canvas in time.
    """
    admin = next(iter(store.world.admins), None)
    body = {
        "workspace_id": store.world.workspace_id,
        "workspace_region": "US",
        "admin": admin_json(admin) if admin else None,
        "conversation": conversation_json(conversation, store, V2_16, with_parts=True),
        "contact": contact_json(contact, store.world.workspace_id, V2_16),
    } | {name: (submitted or {}).get(name) for name in SUBMITTED if submitted is not None}
    verb = "initialize" if submitted is None else "submit"
    return _canvas(await _post(f"{options.canvas_url.rstrip('/')}/{verb}", orjson.dumps(body), options.client_secret))


async def _post(url: str, body: bytes, secret: str) -> httpx.Response:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Body-Signature": signature}
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS), HttpxAiohttpClient(timeout=TIMEOUT_SECONDS) as http:
            return await http.post(url, content=body, headers=headers)
    except (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, TimeoutError) as error:
        raise _failed(f"does not answer ({type(error).__name__})") from error


def _canvas(response: httpx.Response) -> dict[str, Any]:
    if response.status_code != 200:
        raise _failed(f"answered {response.status_code}")
    try:
        canvas = orjson.loads(response.content)["canvas"]
        components = canvas["content"]["components"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise _failed("answered without a canvas") from error
    if not isinstance(components, list) or not all(isinstance(each, dict) for each in components):
        raise _failed("answered without a list of components")
    described: dict[str, Any] = canvas
    return described


def _failed(what: str) -> ApiError:
    return ApiError(502, "canvas_failed", f"The inbox app {what}.")

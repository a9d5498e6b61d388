"""What happens to every Intercom call before and after its handler.

In this order: counted, authorised (401 without rate headers), put against the rate window, struck by a fault,
checked for its version and media type. Afterwards: headers, delay, and the cut connection of a fault.
"""

import asyncio
import time
from dataclasses import replace
from email.utils import formatdate

from sanic import HTTPResponse, Request
from sanic.exceptions import SanicException
from sanic.response import BaseHTTPResponse

from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.call import version_of
from mynatca_sandbox.state import State, state_of

JSON_MEDIA_TYPES = frozenset({"application/json", "application/*", "*/*"})


def is_intercom(request: Request) -> bool:
    """Tell whether the call is on Intercom, which owns every path but two prefixes."""
    return not request.path.startswith(("/_sandbox/", "/rest/v1/"))


async def before(request: Request) -> HTTPResponse | None:
    """Admit the call, or answer it here.

    Raises:
        ApiError: 400, 401, 406 or 429.
    """
    request.ctx.arrived_at = time.monotonic()
    request.ctx.quota = request.ctx.fault = None
    if not is_intercom(request):
        return None
    state = state_of(request)
    _authorise(request, state)
    _count_against_limit(request, state)
    fault_answer = _strike(request, state)
    if fault_answer is None:
        version_of(request)
        _check_accept(request)
    return fault_answer


async def after(request: Request, response: BaseHTTPResponse) -> None:
    """Complete the answer and send it late, or not at all, as the options say."""
    if not is_intercom(request):
        return
    state = state_of(request)
    response.headers["Date"] = formatdate(usegmt=True)
    response.headers["x-request-id"] = str(request.id)
    if request.ctx.quota and state.options.rate_headers:
        response.headers.update(request.ctx.quota.headers())
    await _delay(request, state)
    if is_cut(request) and isinstance(request.transport, asyncio.Transport):
        request.transport.abort()


def refuse(request: Request, error: errors.ApiError) -> HTTPResponse:
    """Answer a refusal."""
    return error.response(str(request.id))


def refuse_unrouted(request: Request, error: SanicException) -> HTTPResponse:
    """Answer a call that no route takes, or that Sanic found malformed."""
    codes = {404: "not_found", 405: "method_not_allowed"}
    code = codes.get(error.status_code, "bad_request")
    message = "Resource Not Found" if error.status_code == 404 else str(error)
    return refuse(request, errors.ApiError(error.status_code, code, message))


def is_cut(request: Request) -> bool:
    """Tell whether a fault closes the connection without an answer."""
    return request.ctx.fault in {"drop_before", "drop_after"}


def is_spoiled(request: Request) -> bool:
    """Tell whether a fault made up the answer, or cut it off."""
    return is_cut(request) or request.ctx.fault == "5xx"


def _authorise(request: Request, state: State) -> None:
    if request.headers.get("Authorization") != f"Bearer {state.options.access_token}":
        raise errors.unauthorized()


def _count_against_limit(request: Request, state: State) -> None:
    options = state.options
    request.ctx.quota = quota = state.rate_limit.take(options, time.time())
    if quota and quota.exceeded:
        raise errors.rate_limit_exceeded(quota.limit, options.window_seconds)


def _strike(request: Request, state: State) -> HTTPResponse | None:
    """Draw the call's fault; answer at once if the call is not to take effect."""
    request.ctx.fault = fault = state.faults.draw(state.options)
    if fault == "429":
        quota = request.ctx.quota
        request.ctx.quota = quota and replace(quota, remaining=0)
        raise errors.rate_limit_exceeded(quota.limit if quota else 0, state.options.window_seconds)
    if fault == "5xx":
        return _server_error(request, state.faults.server_error_status())
    return HTTPResponse(status=500) if fault == "drop_before" else None


def _server_error(request: Request, status: int) -> HTTPResponse:
    """Answer as Intercom (500, 503) or as the proxy before it, which does not speak JSON (502, 504)."""
    if status in {502, 504}:
        return HTTPResponse(f"<html><body><h1>{status}</h1></body></html>", status, content_type="text/html")
    code = "server_error" if status == 500 else "service_unavailable"
    return refuse(request, errors.ApiError(status, code, "Something went wrong"))


def _check_accept(request: Request) -> None:
    accepted = request.headers.get("Accept", "*/*")
    media_types = {entry.partition(";")[0].strip() for entry in accepted.split(",")}
    if not media_types & JSON_MEDIA_TYPES:
        raise errors.ApiError(406, "media_type_not_acceptable", "The Accept header must allow application/json")


async def _delay(request: Request, state: State) -> None:
    delay = request.ctx.arrived_at + state.options.latency - time.monotonic()
    if request.ctx.fault == "slow":
        delay = max(delay, 0) + state.options.slow_seconds
    if delay > 0:
        await asyncio.sleep(delay)

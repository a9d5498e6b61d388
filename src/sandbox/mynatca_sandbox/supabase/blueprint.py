"""The HTTP side: keys, schemas, ranges, counts and the forms of an answer. What the rows are is `read`'s affair.

As Supabase configures PostgREST: the schemas `public` and `dev` (both show the world's tables) and at most 1,000 rows
an answer, whatever is asked for. The database is read only.
"""

import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.supabase.errors import GatewayError, PostgrestError, unsatisfiable
from mynatca_sandbox.supabase.query import Query, parse
from mynatca_sandbox.supabase.read import Page, Reader
from mynatca_sandbox.world.model import World

MAX_ROWS: Final = 1000
SCHEMAS: Final = ("public", "dev")
_ONE_OBJECT: Final = "application/vnd.pgrst.object"
_JSON: Final = "application/json; charset=utf-8"


def supabase_blueprint(get_world: Callable[[], World], get_api_key: Callable[[], str]) -> Blueprint:
    """The Data API at `/rest/v1/<table>`; world and key are asked for anew at every request."""
    blueprint = Blueprint("supabase", url_prefix="/rest/v1")
    reader = Reader()

    async def read(request: Request, table: str) -> HTTPResponse:
        try:
            _authorize(request, get_api_key())
            return _read(request, table, reader, get_world())
        except PostgrestError as error:
            return HTTPResponse(orjson.dumps(error.body()), status=error.status, content_type=_JSON)

    async def write(request: Request, table: str) -> HTTPResponse:
        message = f"Unsupported HTTP method: {request.method}"
        error = PostgrestError(405, "PGRST117", message, details=f"The sandbox's table '{table}' is read only.")
        return HTTPResponse(orjson.dumps(error.body()), status=error.status, content_type=_JSON)

    blueprint.add_route(read, "/<table:str>", methods=["GET", "HEAD"], name="read")
    blueprint.add_route(write, "/<table:str>", methods=["POST", "PATCH", "PUT", "DELETE"], name="write")
    return blueprint


def _authorize(request: Request, api_key: str) -> None:
    """Check the key twice, as Supabase does: its gateway looks at `apikey`, PostgREST at `Authorization`.

    Raises:
        PostgrestError: Status 401.
    """
    sent = request.headers.get("apikey") or request.args.get("apikey")
    if not sent:
        raise GatewayError("No API key found in request", "No `apikey` request header or url param was found.")
    if sent != api_key:
        raise GatewayError("Invalid API key", "Double check your Supabase `anon` or `service_role` API key.")
    authorization = request.headers.get("authorization")
    if not authorization:
        raise PostgrestError(401, "42501", "permission denied for schema public")
    if authorization != f"Bearer {api_key}":
        raise PostgrestError(401, "PGRST301", "No suitable key or wrong key type")


def _read(request: Request, table: str, reader: Reader, world: World) -> HTTPResponse:
    schema = _schema(request)
    query = parse(parse_qsl(request.query_string, keep_blank_values=True))
    _limit(query, request.headers.get("range"))
    page = reader.read(world.tables, schema, table, query)
    count = _preferred_count(request)
    total = _total(page.total, count)
    headers = {"Content-Profile": schema, "Content-Range": _content_range(query.offset, len(page.rows), total)}
    if count:
        headers["Preference-Applied"] = f"count={count}"
    return _answer(request, page, _status(query.offset, len(page.rows), total), headers)


def _schema(request: Request) -> str:
    schema: str = request.headers.get("accept-profile", SCHEMAS[0])
    if schema not in SCHEMAS:
        hint = f"Only the following schemas are exposed: {', '.join(SCHEMAS)}"
        raise PostgrestError(406, "PGRST106", f"Invalid schema: {schema}", hint=hint)
    return schema


def _limit(query: Query, range_header: str | None) -> None:
    """Narrow the query to the `Range` header (PostgREST intersects it with limit and offset) and to `MAX_ROWS`."""
    if query.limit is not None and query.limit < 0:
        raise unsatisfiable("Limit should be greater than or equal to zero.")
    match = re.fullmatch(r"(?:items=)?(\d+)-(\d*)", range_header or "")
    if match:
        _intersect(query, int(match[1]), int(match[2]) if match[2] else None)
    query.limit = MAX_ROWS if query.limit is None else min(query.limit, MAX_ROWS)


def _intersect(query: Query, first: int, last: int | None) -> None:
    if last is not None and first > last:
        detail = "The lower boundary must be lower than or equal to the upper boundary in the Range header."
        raise unsatisfiable(detail)
    ends = [query.offset + query.limit] if query.limit is not None else []
    ends += [last + 1] if last is not None else []
    query.offset = max(query.offset, first)
    query.limit = max(min(ends) - query.offset, 0) if ends else None


def _preferred_count(request: Request) -> str | None:
    preferences = ",".join(request.headers.getall("prefer", []))
    match = re.search(r"\bcount=(exact|planned|estimated)\b", preferences)
    return match[1] if match else None


def _total(total: int, count: str | None) -> int | None:
    """The count as asked for: `planned` is a guess, here 2 % too low, `estimated` one above `MAX_ROWS` only."""
    if count is None or count == "exact" or (count == "estimated" and total <= MAX_ROWS):
        return None if count is None else total
    return total - total // 50


def _content_range(offset: int, rows: int, total: int | None) -> str:
    span = f"{offset}-{offset + rows - 1}" if rows and total != 0 else "*"
    return f"{span}/{'*' if total is None else total}"


def _status(offset: int, rows: int, total: int | None) -> int:
    """200 for the whole or an unknown whole, 206 for a part.

    Raises:
        PostgrestError: Status 416, when the total is known and the offset is beyond it.
    """
    if total is None:
        return 200
    if offset > total:
        raise unsatisfiable(f"An offset of {offset} was requested, but there are only {total} rows.")
    return 206 if rows < total else 200


def _answer(request: Request, page: Page, status: int, headers: dict[str, str]) -> HTTPResponse:
    """The rows as an array, or the only one as an object where `Accept` asks for that."""
    body: Any = page.rows
    content_type = _JSON
    if request.headers.get("accept", "").startswith(_ONE_OBJECT):
        if len(page.rows) != 1:
            details = f"The result contains {len(page.rows)} rows"
            raise PostgrestError(406, "PGRST116", "Cannot coerce the result to a single JSON object", details=details)
        (body,) = page.rows
        content_type = f"{_ONE_OBJECT}+json; charset=utf-8"
    return HTTPResponse(orjson.dumps(body), status=status, headers=headers, content_type=content_type)

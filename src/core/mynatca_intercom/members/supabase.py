"""Members from Supabase, through its own client.

Reads `members` in keyset pages (PostgREST answers at most 1,000 rows a page, and pages by offset lose rows when the
table changes in between) and the four small tables once each. What the rows mean is decided in `rows`.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx
from postgrest import APIError, CountMethod
from pydantic import TypeAdapter
from supabase import Client, create_client
from supabase.client import ClientOptions

from mynatca_intercom.members.member import Member, MemberListing, usable_email
from mynatca_intercom.members.rows import (
    SYNCED_STATUSES,
    UNKNOWN_REFERENCES,
    MemberBuilder,
    References,
    Row,
    Wanted,
    filled,
    has_email,
    has_number,
    is_any,
    is_synced,
    like_pattern,
    text,
    usable_number,
)
from mynatca_intercom.members.source import SourceRefused, SourceUnavailable
from mynatca_intercom.settings import MemberSettings, SupabaseSettings

PAGE_ROWS = 1000
"""PostgREST's row cap on Supabase; a larger limit is cut down to it without a word."""

NAMES_SECONDS = 60
"""So long the names of regions, facilities and member types are remembered for look-ups, which are many in a row."""

_MEMBER_COLUMNS = "membernumber,firstname,lastname,email,phone,status,membertypeid,region_id,facility_id"
_NOT_THAT_TYPE = "22P02"

Narrow = Callable[[Any], Any]

_ROWS = TypeAdapter(list[dict[str, str | int | float | None]])


class SupabaseSource:
    """A Supabase project that holds `members` and the tables that it refers to; a context manager."""

    def __init__(self, settings: SupabaseSettings, rules: MemberSettings) -> None:
        self._http = httpx.Client(timeout=settings.timeout_seconds, event_hooks={"response": [_check_credentials]})
        options = ClientOptions(
            schema=settings.schema_name,
            httpx_client=self._http,
            auto_refresh_token=False,
            persist_session=False,
        )
        self._client: Client = create_client(settings.url, settings.key.get_secret_value(), options)
        self._rules = rules
        self._names_at = References(), -math.inf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    @property
    def name(self) -> str:
        """`supabase`."""
        return "supabase"

    def synced_members(self) -> MemberListing:
        """Every Active and Retired member with an email, ordered by number.

        Raises:
            SourceRefused: the key is not accepted.
            SourceUnavailable: Supabase does not answer, or with an error.
        """
        return self._listing(_synced, is_synced)

    def all_members(self) -> MemberListing:
        """Every row of `members`, ordered by number.

        Raises:
            SourceError: as `synced_members`.
        """
        return self._listing(_all, is_any)

    def members_with_email(self, email: str) -> tuple[Member, ...]:
        """Every member with this address, ordered by number.

        Raises:
            SourceError: as `synced_members`.
        """
        address = usable_email(email)
        if address is None:
            return ()
        pattern = like_pattern(address, "\\")
        return self._found(lambda query: query.ilike("email", pattern), has_email(address))

    def member_with_number(self, number: str) -> Member | None:
        """The member with this number, whatever the status.

        Raises:
            SourceError: as `synced_members`.
        """
        wanted = usable_number(number)
        if wanted is None:
            return None
        found = self._found(lambda query: query.eq("membernumber", wanted), has_number(wanted))
        return next(iter(found), None)

    def _listing(self, narrow: Narrow, wanted: Wanted) -> MemberListing:
        with _failures_told():
            titles = _titles(self._held(_current))
            builder = MemberBuilder(replace(self._read_names(), titles=titles), self._rules)
            rows, counted = self._rows("members", _MEMBER_COLUMNS, "membernumber", narrow)
            return builder.listing(self.name, rows, counted, wanted)

    def _found(self, narrow: Narrow, wanted: Wanted) -> tuple[Member, ...]:
        """The members whose rows the source finds and that are wanted indeed, with what they refer to."""
        with _failures_told():
            rows = [row for row in self._matching(narrow) if wanted(row)]
            if not rows:
                return ()
            numbers = [row["membernumber"] for row in rows]
            titles = _titles(self._held(lambda query: _current(query).in_("membernumber", numbers)))
            builder = MemberBuilder(replace(self._remembered_names(), titles=titles), self._rules)
            members = builder.members(rows)
            if any(builder.left_out[reason] for reason in UNKNOWN_REFERENCES):  # it may be a new one
                members = MemberBuilder(replace(self._read_names(), titles=titles), self._rules).members(rows)
            return members

    def _remembered_names(self) -> References:
        names, read_at = self._names_at
        return names if time.monotonic() - read_at < NAMES_SECONDS else self._read_names()

    def _matching(self, narrow: Narrow) -> list[Row]:
        # Once: whoever looks somebody up waits for the answer, and the client's own retries take seven seconds.
        try:
            return self._whole(
                "members", _MEMBER_COLUMNS, "membernumber", lambda query: narrow(query).retry(enabled=False)
            )
        except APIError as error:
            if error.code == _NOT_THAT_TYPE:  # the column is a number, so no row is equal to this text
                return []
            raise

    def _read_names(self) -> References:
        names = References(
            regions=self._names("regions", "code"),
            facilities=self._names("facilities", "code"),
            types=self._names("member_types", "type_name"),
        )
        self._names_at = names, time.monotonic()
        return names

    def _held(self, narrow: Narrow) -> list[Row]:
        return self._whole("positions", "id,membernumber,positiontype", "id", narrow)

    def _names(self, table: str, column: str) -> dict[str, str | None]:
        rows = self._whole(table, f"id,{column}", "id", _all)
        return {text(row["id"]) or "": text(row[column]) for row in rows}

    def _whole(self, table: str, columns: str, key: str, narrow: Narrow) -> list[Row]:
        rows, counted = self._rows(table, columns, key, narrow)
        if len(rows) < counted:
            raise SourceUnavailable(f"Supabase gives {len(rows)} of {counted} rows of {table}, twice")
        return rows

    def _rows(self, table: str, columns: str, key: str, narrow: Narrow) -> tuple[list[Row], int]:
        """The rows and their number as the source counts them; read once more when some are missing."""
        for _ in range(2):
            counts: list[int] = []
            rows = [row for page in self._pages(table, columns, key, narrow, counts) for row in page]
            if len(rows) >= min(counts):
                break
        return rows, min(counts)

    def _pages(self, table: str, columns: str, key: str, narrow: Narrow, counts: list[int]) -> Iterator[Sequence[Row]]:
        """Pages in the order of `key`; `counts` receives the total as each page implies it."""
        read, after = 0, None
        while True:
            query = narrow(self._client.table(table).select(columns, count=CountMethod.exact))
            query = query if after is None else query.gt(key, after)
            answer = query.order(key).limit(PAGE_ROWS).execute()
            page: Sequence[Row] = _ROWS.validate_python(answer.data)  # the client hands any JSON on
            if answer.count is None:
                raise SourceUnavailable(f"Supabase does not say how many rows {table} has")
            counts.append(read + answer.count)
            yield page
            read += len(page)
            if not page or answer.count <= len(page):
                return
            after = page[-1][key]


def _titles(held: Iterable[Row]) -> dict[str, list[str]]:
    titles: dict[str, list[str]] = defaultdict(list)
    for row in held:
        titles[filled(row["membernumber"]) or ""].append(text(row["positiontype"]) or "")
    return titles


def _all(query: Any) -> Any:
    return query


def _synced(query: Any) -> Any:
    return query.in_("status", list(SYNCED_STATUSES)).not_.is_("email", "null")


def _current(query: Any) -> Any:
    return query.is_("end_date", "null")


@contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except APIError as error:  # its text may quote a row
        code = str(error.code)
        raise SourceUnavailable(f"Supabase answers with error {code if code.isalnum() else '?'}") from None
    except (httpx.HTTPError, ValueError, LookupError) as error:  # not in the form that PostgREST has
        raise SourceUnavailable(f"Supabase does not answer as it should: {type(error).__name__}") from None


def _check_credentials(answer: httpx.Response) -> None:
    """The status alone tells: the client hides it, and Supabase's gateway refuses a key without a code."""
    if answer.status_code in (401, 403):
        raise SourceRefused(f"Supabase refuses the key ({answer.status_code}): check SUPABASE_KEY and its grants")

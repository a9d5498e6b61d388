"""Members from Supabase, through its own client.

Reads `members` in keyset pages (PostgREST answers at most 1,000 rows a page, and pages by offset lose rows when the
table changes in between) and the four small tables once each. Which rows are synced is decided here; what their values
mean, in `member`.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
from postgrest import APIError, CountMethod
from pydantic import TypeAdapter
from supabase import Client, create_client
from supabase.client import ClientOptions

from mynatca_intercom.members.member import (
    ATTRIBUTE_LENGTH,
    RETIRED_PLACE,
    UNKNOWN,
    Member,
    MemberListing,
    Value,
    cut_positions,
    full_name,
    join_positions,
    usable_email,
)
from mynatca_intercom.members.phone import e164
from mynatca_intercom.members.source import SourceRefused, SourceUnavailable
from mynatca_intercom.settings import MemberSettings, SupabaseSettings

PAGE_ROWS = 1000
"""PostgREST's row cap on Supabase; a larger limit is cut down to it without a word."""

SYNCED_STATUSES = ("Active", "Retired")
_MEMBER_COLUMNS = "membernumber,firstname,lastname,email,phone,status,membertypeid,region_id,facility_id,updated_at"

Row = dict[str, Any]
Narrow = Callable[[Any], Any]
T = TypeVar("T")

_ROWS = TypeAdapter(list[dict[str, str | int | None]])


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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def synced_members(self) -> MemberListing:
        """Every Active and Retired member with an email, ordered by number.

        Raises:
            SourceRefused: the key is not accepted.
            SourceUnavailable: Supabase does not answer, or with an error.
        """
        try:
            return self._listing()
        except APIError as error:  # its text may quote a row
            code = str(error.code)
            raise SourceUnavailable(f"Supabase answers with error {code if code.isalnum() else '?'}") from None
        except (httpx.HTTPError, ValueError, LookupError) as error:  # not in the form that PostgREST has
            raise SourceUnavailable(f"Supabase does not answer as it should: {type(error).__name__}") from None

    def _listing(self) -> MemberListing:
        references = _References(self._whole_table)
        rows, counted = self._rows("members", _MEMBER_COLUMNS, "membernumber", _synced)
        builder = _Builder(references, self._rules)
        members = tuple(builder.member(row) for row in rows)
        return MemberListing("supabase", members, counted, dict(builder.left_out))

    def _whole_table(self, table: str, columns: str, narrow: Narrow = lambda query: query) -> list[Row]:
        rows, counted = self._rows(table, columns, "id", narrow)
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

    def _pages(self, table: str, columns: str, key: str, narrow: Narrow, counts: list[int]) -> Iterator[list[Row]]:
        """Pages in the order of `key`; `counts` receives the total as each page implies it."""
        read, after = 0, None
        while True:
            query = narrow(self._client.table(table).select(columns, count=CountMethod.exact))
            query = query if after is None else query.gt(key, after)
            answer = query.order(key).limit(PAGE_ROWS).execute()
            page: list[Row] = _ROWS.validate_python(answer.data)  # the client hands any JSON on
            if answer.count is None:
                raise SourceUnavailable(f"Supabase does not say how many rows {table} has")
            counts.append(read + answer.count)
            yield page
            read += len(page)
            if not page or answer.count <= len(page):
                return
            after = page[-1][key]


def _synced(query: Any) -> Any:
    return query.in_("status", list(SYNCED_STATUSES)).not_.is_("email", "null")


def _check_credentials(answer: httpx.Response) -> None:
    """The status alone tells: the client hides it, and Supabase's gateway refuses a key without a code."""
    if answer.status_code in (401, 403):
        raise SourceRefused(f"Supabase refuses the key ({answer.status_code}): check SUPABASE_KEY and its grants")


class _References:
    """The small tables, each read once, as look-ups."""

    def __init__(self, rows: Callable[..., list[Row]]) -> None:
        self.regions = {row["id"]: row["code"] for row in rows("regions", "id,code")}
        self.facilities = {row["id"]: row["code"] for row in rows("facilities", "id,code")}
        self.types = {row["id"]: row["type_name"] for row in rows("member_types", "id,type_name")}
        self.positions: dict[str, list[str]] = defaultdict(list)
        for row in rows("positions", "id,membernumber,positiontype", _current):
            self.positions[row["membernumber"]].append(row["positiontype"] or "")


def _current(query: Any) -> Any:
    return query.is_("end_date", "null")


class _Builder:
    """Turns rows into members and counts the values that it had to leave out."""

    def __init__(self, references: _References, rules: MemberSettings) -> None:
        self._references = references
        self._rules = rules
        self.left_out: Counter[str] = Counter()

    def member(self, row: Row) -> Member:
        number = str(row["membernumber"]).strip()
        titles = self._references.positions.get(row["membernumber"], [])
        return Member(
            number=number,
            name=self._counted("name_empty", full_name(row["firstname"], row["lastname"])),
            email=self._counted("email_unusable", usable_email(row["email"])),
            phone=self._phone(row["phone"]),
            member_type=self._type(row),
            region=self._place(row, "region_id", self._references.regions),
            facility=self._place(row, "facility_id", self._references.facilities),
            positions=self._positions(titles),
        )

    def _counted(self, reason: str, value: T | None) -> T | None:
        self.left_out[reason] += value is None
        return value

    def _phone(self, raw: str | None) -> str | None:
        if not (raw or "").strip():
            return None
        return self._counted("phone_unparsable", e164(str(raw), self._rules.phone_region))

    def _type(self, row: Row) -> Value:
        if row["status"] == "Retired":
            return self._rules.retired_type_name
        if row["membertypeid"] == self._rules.current_type_id:
            return self._rules.current_type_name
        return self._referred("member_type_unknown", row["membertypeid"], self._references.types)

    def _place(self, row: Row, column: str, codes: dict[Any, str]) -> Value:
        if row["status"] == "Retired":
            return RETIRED_PLACE
        return self._referred(f"{column.removesuffix('_id')}_unknown", row[column], codes)

    def _referred(self, reason: str, key: object, names: dict[Any, str]) -> Value:
        """None for no reference, UNKNOWN for one that leads nowhere."""
        if key is None:
            return None
        if key not in names:
            self.left_out[reason] += 1
            return UNKNOWN
        return (names[key] or "").strip()[:ATTRIBUTE_LENGTH] or None

    def _positions(self, titles: list[str]) -> str | None:
        joined = join_positions(titles)
        if joined is None:
            return None
        cut = cut_positions(joined)
        self.left_out["positions_cut"] += cut != joined
        return cut

"""The database's schema: tables, the type of each column, and the foreign keys by which rows embed one another."""

import datetime as dt
from dataclasses import dataclass, field
from typing import Final, Literal

from mynatca_sandbox.supabase.errors import invalid_input

ColumnType = Literal["text", "integer", "date", "timestamp with time zone"]
Value = str | int
"""A value that is not null, as in JSON."""


@dataclass(frozen=True, slots=True)
class Table:
    """Types by column, and for each foreign key its column and the table and column that it refers to."""

    columns: dict[str, ColumnType]
    foreign_keys: dict[str, tuple[str, str]] = field(default_factory=dict)


TABLES: Final[dict[str, Table]] = {
    "members": Table(
        {
            "membernumber": "text",
            "firstname": "text",
            "lastname": "text",
            "email": "text",
            "phone": "text",
            "status": "text",
            "membertypeid": "integer",
            "region_id": "integer",
            "facility_id": "integer",
            "updated_at": "timestamp with time zone",
        },
        {
            "membertypeid": ("member_types", "id"),
            "region_id": ("regions", "id"),
            "facility_id": ("facilities", "id"),
        },
    ),
    "regions": Table({"id": "integer", "code": "text", "name": "text"}),
    "facilities": Table(
        {"id": "integer", "code": "text", "name": "text", "region_id": "integer", "status": "text"},
        {"region_id": ("regions", "id")},
    ),
    "positions": Table(
        {
            "id": "integer",
            "membernumber": "text",
            "positiontype": "text",
            "facility_id": "integer",
            "start_date": "date",
            "end_date": "date",
        },
        {"membernumber": ("members", "membernumber"), "facility_id": ("facilities", "id")},
    ),
    "member_types": Table({"id": "integer", "type_name": "text"}),
}


@dataclass(frozen=True, slots=True)
class Relationship:
    """How rows of one table find rows of another: where `column` here equals `target_column` there."""

    constraint: str
    column: str
    target_column: str
    to_one: bool


def relationships(source: str, target: str) -> list[Relationship]:
    """All foreign keys between the two tables, in either direction."""
    outward = [
        Relationship(f"{source}_{column}_fkey", column, target_column, to_one=True)
        for column, (table, target_column) in TABLES[source].foreign_keys.items()
        if table == target
    ]
    inward = [
        Relationship(f"{target}_{column}_fkey", source_column, column, to_one=False)
        for column, (table, source_column) in TABLES[target].foreign_keys.items()
        if table == source
    ]
    return outward + inward


def literal(column_type: ColumnType, text: str) -> Value:
    """Read a literal of the query as a value that compares with the rows' JSON values.

    Moments are normalised to UTC, as the rows have them; their text then sorts by time.

    Raises:
        PostgrestError: The text is no such value (22P02, 22007).
    """
    try:
        if column_type == "integer":
            return int(text)
        if column_type == "date":
            return dt.date.fromisoformat(text).isoformat()
        if column_type == "timestamp with time zone":
            return _in_utc(dt.datetime.fromisoformat(text)).isoformat()
    except ValueError:
        raise invalid_input(column_type, text) from None
    return text


def _in_utc(moment: dt.datetime) -> dt.datetime:
    """The session's time zone is UTC, so a moment without a zone is meant in UTC."""
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)

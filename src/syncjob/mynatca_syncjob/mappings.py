"""Mappings files: which contact is which member, as a person decided. JSON, CSV or standard input.

A file is checked whole before anything is called; what a manual update wrote of its rows (`rows.json`) can be fed
back, and then only those that failed are taken.
"""

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KEYS = ("contact_id", "member_number")
_RESULT_KEYS = ("outcome", "reason")
REPLAYED = ("failed", "review", "not_reached", "postponed", "not_approved")
"""Outcomes of rows that are taken again when a result is fed back."""


class MappingsError(Exception):
    """The file cannot be used; the text lists every fault with its place and what to do."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision: this contact is this member."""

    contact_id: str
    member_number: str


def read_mappings(name: str) -> list[Decision]:
    """The mappings of a file, or of standard input for "-".

    Raises:
        MappingsError: it cannot be read, or something in it is wrong.
    """
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise MappingsError(f"{name} cannot be read: {reason}. Name a JSON or CSV file, or - for input.") from None
    return parse_mappings(text, name)


def parse_mappings(text: str, name: str) -> list[Decision]:
    """The mappings of a text in JSON (it begins with `[` or `{`) or else CSV.

    Raises:
        MappingsError: with a line for each fault.
    """
    rows = list(_json_rows(text, name) if text.lstrip()[:1] in ("[", "{") else _csv_rows(text, name))
    faults = [fault for index, row in enumerate(rows, 1) for fault in _faults(index, row)]
    if faults:
        raise MappingsError("\n".join([f"{name} cannot be used:", *faults]))
    mappings = [Decision(str(row["contact_id"]).strip(), str(row["member_number"]).strip()) for row in rows]
    repeated = [*_repeated("contact", (each.contact_id for each in mappings))]
    repeated += _repeated("member", (each.member_number for each in mappings))
    if repeated:
        raise MappingsError("\n".join([f"{name} cannot be used:", *repeated]))
    return [each for each, row in zip(mappings, rows, strict=True) if row.get("outcome") in (None, *REPLAYED)]


def _json_rows(text: str, name: str) -> list[Any]:
    try:
        rows = json.loads(text)
    except json.JSONDecodeError as error:
        raise MappingsError(f"{name} is no JSON (line {error.lineno}): {error.msg}. {_EXAMPLE}") from None
    except (ValueError, RecursionError):  # numbers of thousands of digits, lists in lists in lists
        raise MappingsError(f"{name} holds what no mappings file does. {_EXAMPLE}") from None
    if not isinstance(rows, list):
        raise MappingsError(f"{name} is not a list. {_EXAMPLE}")
    return rows


_EXAMPLE = 'It should be a list such as [{"contact_id": "65f0...", "member_number": "12345"}].'


def _csv_rows(text: str, name: str) -> Iterator[dict[str, Any]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        if not set(_KEYS) <= set(reader.fieldnames or ()):
            raise MappingsError(f"{name} is neither JSON nor CSV with the head line contact_id,member_number.")
        for row in reader:
            yield {key: value for key, value in row.items() if key in _KEYS or value}
    except csv.Error as error:
        raise MappingsError(f"{name} is no CSV (line {reader.line_num}): {error}.") from None


def _faults(index: int, row: Any) -> Iterator[str]:
    if not isinstance(row, Mapping):
        yield f"row {index} is not an object with contact_id and member_number"
        return
    unknown = sorted(str(key) for key in row.keys() - {*_KEYS, *_RESULT_KEYS})
    if unknown:
        yield f"row {index} has the unknown key {', '.join(unknown)}; only contact_id and member_number are taken"
    for key in _KEYS:
        value = row.get(key)
        if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
            yield f"row {index} lacks {key}: a text or a whole number is needed"
        elif key == "contact_id" and not str(value).strip().isalnum():
            yield f"row {index} has a contact_id that no contact has: letters and digits are needed"


def _repeated(what: str, ids: Iterable[str]) -> Iterator[str]:
    places = Counter[str]()
    first: dict[str, int] = {}
    for index, each in enumerate(ids, 1):
        places[each] += 1
        if places[each] > 1:
            yield f"row {index} names the same {what} as row {first[each]}: each may be there once"
        first.setdefault(each, index)

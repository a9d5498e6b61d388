"""The search language: filters, groups, operators and their limits (Intercom REST: Search for contacts).

What can be searched for is in `search_fields`; what the index knows is the store's affair. Refusals are 400
`parameter_invalid` (assumed) but where a docstring says otherwise.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, TypeVar
from zoneinfo import ZoneInfo

from mynatca_sandbox.intercom.errors import ApiError, invalid

MAX_DEPTH = 2
MAX_FILTERS = 15

T = TypeVar("T")

# A "day" is a moment that is compared by whole days, a "moment" by seconds. A "number" may have a fraction.
Kind = Literal["string", "tag", "boolean", "number", "day", "moment"]
Test = Callable[[Any], bool]

_OPERATORS: dict[Kind, frozenset[str]] = {
    "string": frozenset({"=", "!=", "IN", "NIN", "~", "!~", "^", "$"}),
    "tag": frozenset({"=", "!="}),
    "boolean": frozenset({"=", "!=", "IN", "NIN"}),
    "number": frozenset({"=", "!=", "IN", "NIN", "<", ">", "<=", ">="}),
    "day": frozenset({"=", "<", ">"}),
    "moment": frozenset({"=", "!=", "IN", "NIN", "<", ">", "<=", ">="}),
}
_NEGATIONS = {"!=": "=", "NIN": "IN", "!~": "~"}
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "~": operator.contains,
    "^": str.startswith,
    "$": str.endswith,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Field(Generic[T]):
    """Something to search for: `read` gives its value, None, or a list where there may be several."""

    kind: Kind
    read: Callable[[T], Any]


@dataclass(frozen=True, slots=True)
class Language(Generic[T]):
    """The fields by name, as a function, and the time zone in which days begin."""

    field: Callable[[str], Field[T] | None]
    timezone: str

    def predicate(self, query: Any, depth: int = 0) -> Callable[[T], bool]:
        """Return the test that `query` describes.

        Raises:
            ApiError: 400 for a malformed query; 500 where "AND" or "OR" stands as the operator of a field,
                which is how Intercom answers it.
        """
        if not isinstance(query, dict) or not isinstance(query.get("operator"), str):
            raise invalid("The query must be an object with an operator")
        return self._filter(query) if "field" in query else self._group(query, depth + 1)

    def _group(self, query: dict[str, Any], depth: int) -> Callable[[T], bool]:
        combine = {"AND": all, "OR": any}.get(query["operator"])
        if combine is None:
            raise invalid(f"Operator '{query['operator']}' needs a field")
        if depth > MAX_DEPTH:
            raise invalid(f"Queries can be nested {MAX_DEPTH} levels deep")
        members = query.get("value")
        if not isinstance(members, list) or not 1 <= len(members) <= MAX_FILTERS:
            raise invalid(f"A group must have 1 to {MAX_FILTERS} filters")
        predicates = [self.predicate(member, depth) for member in members]
        return lambda item: combine(predicate(item) for predicate in predicates)

    def _filter(self, query: dict[str, Any]) -> Callable[[T], bool]:
        name, symbol = query["field"], query["operator"]
        if symbol in {"AND", "OR"}:
            raise ApiError(500, "server_error", "Something went wrong")
        field = self.field(name) if isinstance(name, str) else None
        if field is None:
            raise invalid(f"Field '{name}' cannot be searched for")
        if symbol not in _OPERATORS[field.kind]:
            raise invalid(f"Operator '{symbol}' is not supported for field '{name}'")
        read, negated = field.read, symbol in _NEGATIONS
        matches = self._test(field.kind, _NEGATIONS.get(symbol, symbol), query.get("value"))
        return lambda item: matches(read(item)) is not negated

    def _test(self, kind: Kind, symbol: str, value: Any) -> Test:
        """Return the test of a field's value: any of several may match."""
        if value is None and symbol == "=":
            return lambda held: held is None or held == []
        matches = self._comparison(kind, symbol, value)
        return lambda held: any(matches(_folded(each)) for each in _several(held))

    def _comparison(self, kind: Kind, symbol: str, value: Any) -> Test:
        if symbol == "IN":
            if not isinstance(value, list):
                raise invalid("The value of IN and NIN must be an array")
            wanted = {_read_value(kind, each) for each in value}
            return lambda held: held in wanted
        read = _read_value(kind, value)
        if kind == "day":
            return self._by_day(symbol, read)
        if kind == "moment":
            # ">" and "<" are described as "or equal" there.
            symbol = {">": ">=", "<": "<="}.get(symbol, symbol)
        compare = _COMPARISONS[symbol]
        return lambda held: compare(held, read)

    def _by_day(self, symbol: str, moment: int) -> Test:
        """Compare whole days in the workspace's time zone (Intercom REST 2.16: Search for contacts)."""
        day = datetime.fromtimestamp(moment, ZoneInfo(self.timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
        start, end = day.timestamp(), (day + timedelta(days=1)).timestamp()
        if symbol == ">":
            return lambda held: bool(held >= end)
        if symbol == "<":
            return lambda held: bool(held < start)
        return lambda held: bool(start <= held < end)


def pinned(query: Any, names: tuple[str, ...]) -> tuple[str, str] | None:
    """Return the (field, value) of `names` that the query's outer level asks of every match."""
    members = query.get("value") if query.get("operator") == "AND" and "field" not in query else [query]
    for member in members if isinstance(members, list) else []:
        if isinstance(member, dict) and member.get("field") in names and member.get("operator") == "=":
            value = member.get("value")
            if isinstance(value, str) and value:
                return member["field"], value
    return None


def _several(held: Any) -> list[Any]:
    if held is None:
        return []
    return held if isinstance(held, list) else [held]


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _read_value(kind: Kind, value: Any) -> Any:
    if kind in {"string", "tag"} and isinstance(value, str):
        return value.casefold()
    if kind == "boolean" and value in {True, False, "true", "false"}:
        return value in {True, "true"}
    if kind in {"number", "day", "moment"}:
        return _read_number(value)
    raise invalid(f"The value must be a {kind}")


def _read_number(value: Any) -> float:
    """Read a number; Intercom's own examples write moments as text."""
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
    except ValueError:
        number = None
    if number is None:
        raise invalid("The value must be a number")
    return number

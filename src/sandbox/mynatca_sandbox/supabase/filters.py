"""Turns parsed filters into masks with SQL's three-valued logic: true, false, or None for unknown.

Text compares by code point, as in the collation "C", both here and in `order`, so that `gt` agrees with it. Only rows
for which the filter is true are kept: neither `eq` nor `not.eq` finds a null. A filter judges all rows at once, as
that is several times faster than a call for each.
"""

import operator
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from mynatca_sandbox.supabase.errors import PostgrestError, unknown_column
from mynatca_sandbox.supabase.query import Condition, Logic
from mynatca_sandbox.supabase.schema import ColumnType, Table, literal

Row = dict[str, Any]
Mask = list[bool | None]
Filter = Callable[[list[Row]], Mask]
"""Says of each row whether the filter holds."""

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.lt,
    "gte": operator.le,
    "lt": operator.gt,
    "lte": operator.ge,
}
"""With the operand first, so that `partial` can hold it: what is greater than 5 is what 5 is less than."""


def compile_filter(table: Table, relation: str, term: Condition | Logic) -> Filter:
    """Compile a filter on a table, which error messages call `relation`.

    Raises:
        PostgrestError: An unknown column (42703), or an operand that does not fit its type (22P02, 22007, 42804,
            42883).
    """
    holds = _logic(table, relation, term) if isinstance(term, Logic) else _condition(table, relation, term)
    return _negation(holds) if term.negated else holds


def _negation(holds: Filter) -> Filter:
    return lambda rows: [None if value is None else not value for value in holds(rows)]


def _logic(table: Table, relation: str, logic: Logic) -> Filter:
    terms = [compile_filter(table, relation, term) for term in logic.terms]
    combine = _any if logic.kind == "or" else _all
    return lambda rows: [combine(values) for values in zip(*(term(rows) for term in terms), strict=True)]


def _any(values: tuple[bool | None, ...]) -> bool | None:
    return True if True in values else None if None in values else False


def _all(values: tuple[bool | None, ...]) -> bool | None:
    return False if False in values else None if None in values else True


def _condition(table: Table, relation: str, condition: Condition) -> Filter:
    column, operand = condition.column, condition.operand
    if column not in table.columns:
        raise unknown_column(relation, column)
    column_type = table.columns[column]
    if isinstance(operand, tuple):
        operands = frozenset(literal(column_type, text) for text in operand)
        return _unless_null(column, operands.__contains__)
    if condition.operator == "is":
        return _is(column, column_type, operand.lower())
    if condition.operator in {"like", "ilike"}:
        return _like(column, column_type, operand, case_sensitive=condition.operator == "like")
    return _unless_null(column, partial(_COMPARISONS[condition.operator], literal(column_type, operand)))


def _unless_null(column: str, holds: Callable[[Any], bool]) -> Filter:
    return lambda rows: [None if (value := row.get(column)) is None else holds(value) for row in rows]


def _is(column: str, column_type: ColumnType, operand: str) -> Filter:
    """No column is boolean here, so `is` can only ask for null."""
    if operand not in {"null", "not_null"}:
        message = f"argument of IS {operand.upper()} must be type boolean, not type {column_type}"
        raise PostgrestError(400, "42804", message)
    wanted = operand == "null"
    return lambda rows: [(row.get(column) is None) == wanted for row in rows]


def _like(column: str, column_type: ColumnType, operand: str, *, case_sensitive: bool) -> Filter:
    if column_type != "text":
        sign = "~~" if case_sensitive else "~~*"
        # PostgREST answers an undefined function, which an operator is to it, with 404.
        raise PostgrestError(404, "42883", f"operator does not exist: {column_type} {sign} unknown")
    pattern = re.compile(_pattern(operand), re.DOTALL if case_sensitive else re.DOTALL | re.IGNORECASE)
    return _unless_null(column, lambda value: pattern.fullmatch(value) is not None)


def _pattern(operand: str) -> str:
    """The regular expression of a LIKE pattern, in which PostgREST puts `%` for every `*`, even an escaped one."""
    wildcards = {"%": ".*", "_": "."}
    pieces = re.findall(r"\\.|.", operand.replace("*", "%"), re.DOTALL)
    return "".join(wildcards.get(piece) or re.escape(piece[-1]) for piece in pieces)

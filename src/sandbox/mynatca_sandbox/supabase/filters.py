"""Turns parsed filters into predicates with SQL's three-valued logic: true, false, or None for unknown.

Text compares by code point, as in the collation "C", both here and in `order`, so that `gt` agrees with it. Only rows
for which the filter is true are kept: neither `eq` nor `not.eq` finds a null.
"""

import operator
import re
from collections.abc import Callable
from typing import Any, Final

from mynatca_sandbox.supabase.errors import PostgrestError, unknown_column
from mynatca_sandbox.supabase.query import Condition, Logic
from mynatca_sandbox.supabase.schema import ColumnType, Table, literal

Row = dict[str, Any]
Predicate = Callable[[Row], bool | None]

_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def predicate(table: Table, relation: str, term: Condition | Logic) -> Predicate:
    """Compile a filter on a table, which error messages call `relation`.

    Raises:
        PostgrestError: An unknown column (42703), or an operand that does not fit its type (22P02, 22007, 42804,
            42883).
    """
    holds = _logic(table, relation, term) if isinstance(term, Logic) else _condition(table, relation, term)
    return _negation(holds) if term.negated else holds


def _negation(holds: Predicate) -> Predicate:
    def negated(row: Row) -> bool | None:
        value = holds(row)
        return None if value is None else not value

    return negated


def _logic(table: Table, relation: str, logic: Logic) -> Predicate:
    terms = [predicate(table, relation, term) for term in logic.terms]
    decisive = logic.kind == "or"

    def combined(row: Row) -> bool | None:
        values = {term(row) for term in terms}
        if decisive in values:
            return decisive
        return None if None in values else not decisive

    return combined


def _condition(table: Table, relation: str, condition: Condition) -> Predicate:
    column, operand = condition.column, condition.operand
    if column not in table.columns:
        raise unknown_column(relation, column)
    column_type = table.columns[column]
    if isinstance(operand, tuple):
        return _membership(column, frozenset(literal(column_type, text) for text in operand))
    if condition.operator == "is":
        return _is(column, column_type, operand.lower())
    if condition.operator in {"like", "ilike"}:
        return _like(column, column_type, operand, case_sensitive=condition.operator == "like")
    return _comparison(column, _COMPARISONS[condition.operator], literal(column_type, operand))


def _comparison(column: str, compare: Callable[[Any, Any], bool], operand: object) -> Predicate:
    def compares(row: Row) -> bool | None:
        value = row.get(column)
        return None if value is None else compare(value, operand)

    return compares


def _membership(column: str, operands: frozenset[object]) -> Predicate:
    def is_member(row: Row) -> bool | None:
        value = row.get(column)
        return None if value is None else value in operands

    return is_member


def _is(column: str, column_type: ColumnType, operand: str) -> Predicate:
    """No column is boolean here, so `is` can only ask for null."""
    if operand not in {"null", "not_null"}:
        message = f"argument of IS {operand.upper()} must be type boolean, not type {column_type}"
        raise PostgrestError(400, "42804", message)
    wanted = operand == "null"
    return lambda row: (row.get(column) is None) == wanted


def _like(column: str, column_type: ColumnType, operand: str, *, case_sensitive: bool) -> Predicate:
    if column_type != "text":
        sign = "~~" if case_sensitive else "~~*"
        # PostgREST answers an undefined function, which an operator is to it, with 404.
        raise PostgrestError(404, "42883", f"operator does not exist: {column_type} {sign} unknown")
    matches = re.compile(_pattern(operand), re.DOTALL if case_sensitive else re.DOTALL | re.IGNORECASE).fullmatch

    def is_like(row: Row) -> bool | None:
        value = row.get(column)
        return None if value is None else matches(value) is not None

    return is_like


def _pattern(operand: str) -> str:
    """The regular expression of a LIKE pattern, in which PostgREST also takes `*` for `%`."""
    wildcards = {"*": ".*", "%": ".*", "_": "."}
    pieces = re.findall(r"\\.|.", operand, re.DOTALL)
    return "".join(wildcards.get(piece) or re.escape(piece[-1]) for piece in pieces)

"""Reads PostgREST's query language into plain records; whether tables and columns exist is not decided here.

Grammar: PostgREST's pages "Tables and Views" and "Resource Embedding". Left out: JSON paths, casts, aggregates,
full-text and range operators, `any`/`all` modifiers, spreads, ordering by an embedded resource.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from mynatca_sandbox.supabase.errors import PostgrestError, unparsable

OPERATORS: Final = frozenset({"eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "in", "is"})
_IS_VALUES: Final = frozenset({"null", "not_null", "true", "false", "unknown"})

_SELECT_ITEM: Final = re.compile(
    r"(?:(?P<label>[^:!(),]+):)?(?P<name>\w+|\*)(?P<hints>(?:!\w+)*)(?P<inner>\(.*\))?", re.DOTALL
)
_ORDER_TERM: Final = re.compile(r"(?P<column>\w+)(?:\.(?P<way>asc|desc))?(?:\.nulls(?P<nulls>first|last))?")
_LOGIC: Final = re.compile(r"(?P<negated>not\.)?(?P<kind>and|or)(?P<inner>\(.*\))", re.DOTALL)
_CONDITION: Final = re.compile(r"(?P<column>\w+)\.(?P<filter>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Condition:
    """`column=operator.operand`; the operand of `in` is the list of its values."""

    column: str
    operator: str
    operand: str | tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Logic:
    """Conditions of which all (`and`) or any (`or`) must hold."""

    kind: Literal["and", "or"]
    terms: tuple["Condition | Logic", ...]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """One term of `order`. PostgreSQL's default: null counts as the largest value."""

    column: str
    descending: bool
    nulls_first: bool


@dataclass(slots=True)
class Query:
    """What is asked of one table. `columns` has pairs of label and column, and `*` for all of them."""

    columns: list[tuple[str, str]] = field(default_factory=list)
    embeds: list["Embed"] = field(default_factory=list)
    filters: list[Condition | Logic] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    limit: int | None = None
    offset: int = 0


@dataclass(slots=True)
class Embed:
    """An embedded resource: related rows of `table` under `label`; `inner` drops rows that have none."""

    label: str
    table: str
    query: Query
    inner: bool = False
    relationship: str | None = None


def parse(parameters: Iterable[tuple[str, str]]) -> Query:
    """Read the decoded pairs of a query string.

    Raises:
        PostgrestError: PGRST100 for what the grammar does not allow, PGRST103 for a negative limit, PGRST108 for a
            filter on what is not embedded.
    """
    pairs = list(parameters)
    query = _parse_select(next((value for key, value in pairs if key == "select"), "*"))
    for key, value in pairs:
        if key not in {"select", "apikey"}:
            target, name = _embedded(query, key)
            _apply(target, name, value)
    return query


def _embedded(query: Query, key: str) -> tuple[Query, str]:
    """Follow a key such as `positions.end_date` to the embedded query that it is about."""
    first, _, rest = key.partition(".")
    if not rest or first == "not":
        return query, key
    for embed in query.embeds:
        if first in {embed.label, embed.table}:
            return _embedded(embed.query, rest)
    hint = f"Verify that '{first}' is included in the 'select' query parameter."
    raise PostgrestError(400, "PGRST108", f"'{first}' is not an embedded resource in this request", hint=hint)


def _apply(query: Query, name: str, value: str) -> None:
    match name:
        case "order":
            query.orders = [_parse_order(term, value) for term in value.split(",")]
        case "limit":
            query.limit = _integer(value)
        case "offset":
            query.offset = max(_integer(value) or 0, 0)
        case "and" | "or" | "not.and" | "not.or":
            query.filters.append(_parse_logic(name + value))
        case _:
            query.filters.append(_parse_filter(name, value))


def _integer(text: str) -> int | None:
    """PostgREST ignores a limit or an offset that is no number."""
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else None


def _parse_select(text: str) -> Query:
    query = Query()
    for item in _split(text, "select parameter"):
        match = _SELECT_ITEM.fullmatch(item.strip())
        if match is None:
            raise unparsable("select parameter", text, f'unexpected "{item[:1]}" expecting field name or "*"')
        label, name = match["label"] or match["name"], match["name"]
        if match["inner"] is None:
            query.columns.append((label, name))
        else:
            hints = set(filter(None, match["hints"].split("!")))
            relationship = next(iter(hints - {"inner", "left"}), None)
            query.embeds.append(Embed(label, name, _parse_select(match["inner"][1:-1]), "inner" in hints, relationship))
    return query


def _parse_order(term: str, whole: str) -> Order:
    match = _ORDER_TERM.fullmatch(term)
    if match is None:
        raise unparsable("order", whole, 'unexpected input expecting "asc", "desc", "nullsfirst" or "nullslast"')
    descending = match["way"] == "desc"
    return Order(
        match["column"], descending, nulls_first=descending if match["nulls"] is None else match["nulls"] == "first"
    )


def _parse_logic(text: str) -> Logic:
    match = _LOGIC.fullmatch(text)
    if match is None:
        raise unparsable("logic tree", text, 'expecting "("')
    kind: Literal["and", "or"] = "and" if match["kind"] == "and" else "or"
    terms = tuple(_parse_term(term) for term in _split(match["inner"][1:-1], "logic tree"))
    return Logic(kind, terms, negated=match["negated"] is not None)


def _parse_term(text: str) -> Condition | Logic:
    if _LOGIC.fullmatch(text):
        return _parse_logic(text)
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise unparsable("logic tree", text, "expecting field name and operator")
    return _parse_filter(match["column"], match["filter"], quoted=True)


def _parse_filter(column: str, text: str, *, quoted: bool = False) -> Condition:
    """Read `not.operator.operand`. Only within `and=()` and `or=()` may an operand be in double quotes."""
    negated = text.startswith("not.")
    operator, dot, operand = text.removeprefix("not.").partition(".")
    if operator not in OPERATORS or not dot:
        raise unparsable("filter", text, f'unexpected "{text[:1]}" expecting "not" or operator (eq, gt, ...)')
    if operator == "in":
        return Condition(column, operator, _parse_list(operand, text), negated)
    if operator == "is" and operand.lower() not in _IS_VALUES:
        raise unparsable("filter", text, "expecting null, not_null, true, false or unknown")
    return Condition(column, operator, _unquoted(operand) if quoted else operand, negated)


def _parse_list(operand: str, text: str) -> tuple[str, ...]:
    if not (operand.startswith("(") and operand.endswith(")")):
        raise unparsable("filter", text, 'expecting "("')
    inner = operand[1:-1]
    return tuple(_unquoted(value) for value in _split(inner, "filter")) if inner else ()


def _unquoted(text: str) -> str:
    if len(text) > 1 and text.startswith('"') and text.endswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text


_PIECE: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[(),]|[^"(),]+|"', re.DOTALL)


def _split(text: str, what: str) -> list[str]:
    """Split at the commas that are in no parentheses and no quotes."""
    parts, depth = [""], 0
    for piece in _PIECE.findall(text):
        depth += (piece == "(") - (piece == ")")
        if depth < 0:
            break
        if piece == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    if depth != 0:
        raise unparsable(what, text, "parentheses do not match")
    return parts

"""Answers a parsed query from the rows of a world: filter, order, page, embed, project."""

import difflib
import itertools
import operator
from dataclasses import dataclass
from typing import Any

from mynatca_sandbox.supabase.errors import PostgrestError, unknown_column
from mynatca_sandbox.supabase.filters import Mask, Row, compile_filter
from mynatca_sandbox.supabase.query import Condition, Embed, Logic, Order, Query
from mynatca_sandbox.supabase.schema import TABLES, Relationship, relationships

Tables = dict[str, list[Row]]


@dataclass(frozen=True, slots=True)
class Page:
    """The rows asked for, and how many there are without `limit` and `offset`."""

    rows: list[dict[str, Any]]
    total: int


class Reader:
    """Reads tables. Without `order`, each read begins at another row: no order is promised, so none is kept.

    PostgreSQL does the same on large tables, where sequential scans join one another half-way
    (`synchronize_seqscans`); whoever pages without an order loses rows here as there.
    """

    def __init__(self) -> None:
        self._reads = itertools.count(1)

    def read(self, tables: Tables, schema: str, table: str, query: Query) -> Page:
        """Answer `query` on `table`.

        Raises:
            PostgrestError: An unknown table (PGRST205), relationship (PGRST200) or column (42703), or an operand that
                does not fit its column.
        """
        if table not in TABLES:
            raise _unknown_table(schema, table)
        rows = tables.get(table, [])
        start = next(self._reads) * 7919 % max(len(rows), 1)
        return _Selection(tables, schema, table, table, query).page(rows[start:] + rows[:start])


def _unknown_table(schema: str, table: str) -> PostgrestError:
    similar = difflib.get_close_matches(table, TABLES, 1)
    hint = f"Perhaps you meant the table '{schema}.{similar[0]}'" if similar else None
    message = f"Could not find the table '{schema}.{table}' in the schema cache"
    return PostgrestError(404, "PGRST205", message, hint=hint)


class _Selection:
    """A query checked against the schema, ready to be applied to rows of its table."""

    def __init__(self, tables: Tables, schema: str, table: str, relation: str, query: Query) -> None:
        self._query = query
        self._columns = _columns(table, relation, query)
        self._filters = [compile_filter(TABLES[table], relation, term) for term in _cheapest_first(query.filters)]
        self._embeddings = [_Embedding(tables, schema, table, embed) for embed in query.embeds]

    def page(self, rows: list[Row]) -> Page:
        """Filter, order and cut the rows."""
        for holds in [*self._filters, *(embedding.holds for embedding in self._embeddings if embedding.inner)]:
            rows = list(itertools.compress(rows, holds(rows)))
        for order in reversed(self._query.orders):
            rows = _ordered(rows, order)
        start, limit = self._query.offset, self._query.limit
        end = None if limit is None else start + limit
        return Page([self._projected(row) for row in rows[start:end]], len(rows))

    def _projected(self, row: Row) -> dict[str, Any]:
        answer = {label: row.get(name) for label, name in self._columns.items()}
        for embedding in self._embeddings:
            answer[embedding.label] = embedding.value(row)
        return answer


def _cheapest_first(filters: list[Condition | Logic]) -> list[Condition | Logic]:
    """Comparisons first, like a database that has an index: of a page by key, few rows are left for the others."""
    return sorted(filters, key=lambda term: isinstance(term, Logic) or term.operator in {"in", "is", "like", "ilike"})


def _columns(table: str, relation: str, query: Query) -> dict[str, str]:
    """The selected columns by label, after a check that all named ones exist."""
    known = TABLES[table].columns
    selected: dict[str, str] = {}
    for label, name in query.columns:
        selected |= {column: column for column in known} if name == "*" else {label: name}
    for name in [*selected.values(), *(order.column for order in query.orders)]:
        if name not in known:
            raise unknown_column(relation, name)
    return selected


def _ordered(rows: list[Row], order: Order) -> list[Row]:
    """Sort by one column, stably, so that sorting by the last term first honours all of them."""
    nulls = [row for row in rows if row.get(order.column) is None]
    values = [row for row in rows if row.get(order.column) is not None] if nulls else list(rows)
    values.sort(key=operator.itemgetter(order.column), reverse=order.descending)
    return nulls + values if order.nulls_first else values + nulls


class _Embedding:
    """The rows of an embedded resource, found by the value of the key that relates them."""

    def __init__(self, tables: Tables, schema: str, source: str, embed: Embed) -> None:
        self.label = embed.label
        self.inner = embed.inner
        self._relationship = _relationship(schema, source, embed)
        self._selection = _Selection(tables, schema, embed.table, f"{embed.table}_1", embed.query)
        self._groups: dict[Any, list[Row]] = {}
        for row in tables.get(embed.table, []):
            self._groups.setdefault(row.get(self._relationship.target_column), []).append(row)

    def holds(self, rows: list[Row]) -> Mask:
        """Whether each row has a related one: the filter that an inner join is."""
        return [bool(self._related(row)) for row in rows]

    def value(self, row: Row) -> Any:
        """The related rows: one object or null where there can be no more, else an array."""
        related = self._related(row)
        return next(iter(related), None) if self._relationship.to_one else related

    def _related(self, row: Row) -> list[dict[str, Any]]:
        key = row.get(self._relationship.column)
        return [] if key is None else self._selection.page(self._groups.get(key, [])).rows


def _relationship(schema: str, source: str, embed: Embed) -> Relationship:
    found = relationships(source, embed.table) if embed.table in TABLES else []
    for relationship in found:
        if embed.relationship in {None, relationship.constraint, relationship.column, relationship.target_column}:
            return relationship
    raise PostgrestError(
        400,
        "PGRST200",
        f"Could not find a relationship between '{source}' and '{embed.table}' in the schema cache",
        details=f"Searched for a foreign key relationship between '{source}' and '{embed.table}' in the schema "
        f"'{schema}', but no matches were found.",
    )

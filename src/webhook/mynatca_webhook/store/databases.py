"""Where SQLite and PostgreSQL want other SQL: clock, insert, locks. All else says the same to both."""

from typing import Any

from sqlalchemy import Double, Table, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class now(FunctionElement[float]):  # noqa: N801 - SQL functions are lower case in SQLAlchemy
    """The database's clock, in seconds since 1970; it stands still within a statement."""

    type = Double()
    inherit_cache = True


@compiles(now, "postgresql")
def _postgresql_now(_element: now, _compiler: SQLCompiler, **_options: Any) -> str:
    # Not clock_timestamp(), which would keep the planner from using an index.
    return "extract(epoch from statement_timestamp())::double precision"


@compiles(now, "sqlite")
def _sqlite_now(_element: now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


def insert_into(dialect: str, table: Table) -> postgresql.Insert:
    """An insert that knows ON CONFLICT, for the database of this name."""
    # SQLite's has the same methods, but no ancestor in common that has them.
    insert: Any = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}[dialect]
    statement: postgresql.Insert = insert(table)
    return statement


async def one_at_a_time(connection: AsyncConnection) -> None:
    """Keep other replicas from setting the store up until this transaction ends; SQLite's always do."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('webhook_store'))"))

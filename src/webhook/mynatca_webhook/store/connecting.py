"""How a store's database is reached, whichever of the two it is."""

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from mynatca_webhook.store.database import Database
from mynatca_webhook.store.errors import BadStoreUrl
from mynatca_webhook.store.postgresql import PostgreSQL
from mynatca_webhook.store.sqlite import open_sqlite

EXAMPLES = "Examples: sqlite:////data/events.db, postgresql://user:password@host/database."


async def open_database(address: str, patience_seconds: float) -> Database:
    """What is at the address of a store; SQLite's file is made if it is not there.

    Raises:
        BadStoreUrl: the address is none of a store.
        OSError, sqlite3.Error: SQLite's file cannot be made.
    """
    try:
        url = make_url(address)
    except ArgumentError:
        raise BadStoreUrl(f"The store's address is no URL. {EXAMPLES}") from None
    if url.drivername == "sqlite" and url.database not in (None, "", ":memory:"):
        return await open_sqlite(url, patience_seconds)
    if url.drivername in ("postgresql", "postgres"):
        return PostgreSQL(url, patience_seconds)
    raise BadStoreUrl(f"There is no store at {url.drivername}: addresses, or this one names no file. {EXAMPLES}")

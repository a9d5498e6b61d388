"""A MariaDB server for the tests of members, with the tables and users of `members.sql`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.mariadb import MariaDB, mariadb, mariadb_is_there

SCHEMA = Path(__file__).with_name("members.sql")


@pytest.fixture(scope="session")
def mysql() -> Iterator[MariaDB]:
    """Run the server; nobody changes its tables `members` and `legacy`."""
    if not mariadb_is_there():
        pytest.skip("there is no mariadbd")
    with mariadb() as server:
        server.run(SCHEMA.read_text(encoding="utf-8"))
        yield server

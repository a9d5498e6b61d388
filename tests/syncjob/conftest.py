"""What several tests of the commands need."""

from collections.abc import Iterator

import pytest

from support.mariadb import MariaDB, mariadb, mariadb_is_there


@pytest.fixture
def mysql() -> Iterator[MariaDB]:
    """A MySQL with members 1001 and 1002."""
    if not mariadb_is_there():
        pytest.skip("there is no mariadbd")
    with mariadb() as server:
        server.run(
            """
            CREATE DATABASE natca; CREATE USER reader@'%' IDENTIFIED BY 'pass wörd €';
            GRANT SELECT ON natca.* TO reader@'%'; USE natca;
            CREATE TABLE members (membernumber VARCHAR(20) PRIMARY KEY, firstname TEXT, lastname TEXT, email TEXT,
                phone TEXT, status TEXT, membertypeid INT);
            INSERT INTO members VALUES ('1001', 'Ann', 'Lee', 'ann@example.com', NULL, 'Active', 6),
                ('1002', 'Bo', 'Kim', 'bo@example.com', NULL, 'Active', 6);
            """
        )
        yield server

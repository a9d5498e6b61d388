"""A real MariaDB server for a test run: data, socket and certificates in a folder of its own, on a free port.

It never uses a server that the environment names: these tests create users and tables.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pymysql
import trustme
from pymysql.connections import Connection
from pymysql.constants import CLIENT
from pymysql.err import OperationalError

from support.ports import free_port

START_SECONDS = 60
ADMIN = "root"


def mariadb_is_there() -> bool:
    """Whether a server can be started here; Debian has it where only root's PATH leads."""
    return all(map(_program, ("mariadbd", "mariadb-install-db")))


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class MariaDB:
    """A running server; its certificate, for 127.0.0.1 only, is vouched for by the authority in `ca_file`."""

    folder: Path
    port: int
    authority: trustme.CA = field(repr=False)

    @property
    def ca_file(self) -> Path:
        """The authority's certificate."""
        return self.folder / "ca.pem"

    @property
    def socket(self) -> str:
        """Where the administrator comes in, whatever the state of TLS."""
        return str(self.folder / "s.sock")

    def environment(self, **variables: str) -> dict[str, str]:
        """Settings for the user `reader` and the database `natca`, which `members.sql` makes; changed as told."""
        return {
            "MYSQL_HOST": "127.0.0.1",
            "MYSQL_PORT": str(self.port),
            "MYSQL_USER": "reader",
            "MYSQL_PASS": "pass wörd €",
            "MYSQL_DB": "natca",
            "MYSQL_TIMEOUT_SECONDS": "10",
            **variables,
        }

    def connect(self, **options: Any) -> "Connection[Any]":
        """Connect as the administrator."""
        given: dict[str, Any] = {"unix_socket": self.socket, "user": ADMIN, "ssl_disabled": True, **options}
        return pymysql.connect(charset="utf8mb4", autocommit=True, **given)

    def run(self, sql: str, *values: object) -> list[Any]:
        """Run statements as the administrator; returns the rows of the first."""
        with closing(self.connect(client_flag=CLIENT.MULTI_STATEMENTS)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            rows = list(cursor.fetchall())
            while cursor.nextset():
                pass
            return rows


@contextmanager
def mariadb() -> Iterator[MariaDB]:
    """Run a server while the context lasts.

    Raises:
        RuntimeError: it does not start; the text has the end of its log.
    """
    with TemporaryDirectory(prefix="mariadb-") as folder:
        server = MariaDB(Path(folder), free_port(), trustme.CA())
        _certify(server)
        with _running(server):
            yield server


@contextmanager
def _running(server: MariaDB) -> Iterator[None]:
    data = f"--datadir={server.folder / 'data'}"
    install = [_program("mariadb-install-db"), "--no-defaults", data, *_AS_ROOT, "--skip-test-db"]
    authentication = "--auth-root-authentication-method=normal"
    subprocess.run([*filter(None, install), authentication], check=True, capture_output=True)
    command = [_program("mariadbd") or "", "--no-defaults", data, *_AS_ROOT, *_options(server)]
    with (server.folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait(server, process)
            yield
        finally:
            process.kill()  # in the middle of its start it does not listen to SIGTERM, and its data go anyway


_AS_ROOT = ["--user=root"] if os.geteuid() == 0 else []


def _options(server: MariaDB) -> list[str]:
    return [
        f"--socket={server.socket}",
        f"--port={server.port}",
        f"--pid-file={server.folder / 'pid'}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--sql-mode=",  # as old servers have it, with dates of zeros
        "--innodb-flush-log-at-trx-commit=0",
        f"--ssl-ca={server.ca_file}",
        f"--ssl-cert={server.folder / 'server.pem'}",
        f"--ssl-key={server.folder / 'server.key'}",
    ]


def _certify(server: MariaDB) -> None:
    server.authority.cert_pem.write_to_path(server.ca_file)
    certificate = server.authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(server.folder / "server.key")
    certificate.cert_chain_pems[0].write_to_path(server.folder / "server.pem")


def _wait(server: MariaDB, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server lets clients in, or has ended."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", server.port)).close()
            server.connect().close()
        except (ConnectionRefusedError, OperationalError):
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"mariadbd does not start:\n{(server.folder / 'log').read_text(errors='replace')[-2000:]}")

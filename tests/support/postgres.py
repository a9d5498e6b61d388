"""A real PostgreSQL server for a test run: data and socket in a folder of its own, on a free port.

It never uses a server that the environment names: these tests stop it and fill it.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from support.ports import free_port

START_SECONDS = 60
USER = "postgres"


def postgres_is_there() -> bool:
    """Whether a server can be started here; Debian keeps its programs out of the PATH."""
    return all(map(_program, ("initdb", "pg_ctl")))


def _program(name: str) -> str | None:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    folders = [*map(str, reversed(versions)), os.environ.get("PATH", "")]
    return shutil.which(name, path=os.pathsep.join(folders))


@dataclass(frozen=True)
class PostgreSQL:
    """A server that can be stopped and started again; whoever reaches its port may do everything."""

    folder: Path
    port: int

    def url(self, database: str) -> str:
        """Where the store finds a database of it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def run(self, sql: str, database: str = "postgres") -> list[Any]:
        """Run a statement; returns its rows."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        """Start it, and wait until it lets clients in.

        Raises:
            RuntimeError: it does not start; the text has the end of its log.
        """
        log = self.folder / "log"
        options = f"-k {self.folder} -p {self.port} -c listen_addresses=127.0.0.1"
        try:
            self._control("start", "-l", str(log), "-o", options)
        except subprocess.CalledProcessError:
            raise RuntimeError(f"PostgreSQL does not start:\n{log.read_text(errors='replace')[-2000:]}") from None

    def stop(self) -> None:
        """Stop it as a power failure would."""
        self._control("stop", "-m", "immediate")

    def _control(self, *arguments: str) -> None:
        wait = ["-w", "-t", str(START_SECONDS)]
        _run("pg_ctl", "-D", str(self.folder / "data"), *wait, *arguments)


@contextmanager
def postgres() -> Iterator[PostgreSQL]:
    """Run a server while the context lasts.

    Raises:
        RuntimeError: it does not start; the text has the end of its log.
    """
    with TemporaryDirectory(prefix="postgres-") as folder:
        server = PostgreSQL(Path(folder), free_port())
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
        _run("initdb", "-D", f"{folder}/data", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _run(program: str, *arguments: str) -> None:
    """Run one of its programs, and not as root, which they refuse."""
    as_user: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
    # Not captured: the server would keep the pipe open.
    silent: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([_program(program) or program, *arguments], check=True, cwd="/", **silent, **as_user)

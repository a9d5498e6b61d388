"""Parts of the suite that need something from outside, and what to do where it is not there.

A part that is missing is left out and named at the end of the run. With `REQUIRE=all` in the environment it
ends the run at its beginning instead.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support.chromium import chromium_is_there
from support.disk import may_mount
from support.mariadb import mariadb_is_there
from support.postgres import postgres_is_there
from support.prometheus import prometheus_is_there


@dataclass(frozen=True)
class Part:
    """A part of the suite: `lack` says what is missing where it is not there, `remedy` how to provide it."""

    name: str
    is_there: Callable[[], bool]
    lack: str
    remedy: str


def openapi_file() -> Path:
    """Intercom's published description of its API; not a file where the environment names none."""
    return Path(os.environ.get("INTERCOM_OPENAPI", ""))


PARTS = (
    Part(
        name="OpenAPI checks",
        is_there=lambda: openapi_file().is_file(),
        lack="INTERCOM_OPENAPI names no file",
        remedy="set it to the path of Intercom's published OpenAPI description 2.16 (YAML)",
    ),
    Part(
        name="MariaDB tests",
        is_there=mariadb_is_there,
        lack="there is no mariadbd",
        remedy="install a MariaDB server (Debian: mariadb-server); it need not run",
    ),
    Part(
        name="PostgreSQL tests",
        is_there=postgres_is_there,
        lack="there is no initdb or pg_ctl",
        remedy="install a PostgreSQL server (Debian: postgresql); it need not run",
    ),
    Part(
        name="Browser tests",
        is_there=chromium_is_there,
        lack="there is no chromium or no chromedriver",
        remedy="install both (Debian: chromium chromium-driver)",
    ),
    Part(
        name="Full disks",
        is_there=may_mount,
        lack="only root mounts a disk",
        remedy="run the tests as root, best in a container",
    ),
    Part(
        name="Monitoring tests",
        is_there=prometheus_is_there,
        lack="there is no prometheus, promtool or prometheus-alertmanager",
        remedy="install both (Debian: prometheus prometheus-alertmanager); they need not run",
    ),
)


def missing_parts() -> list[Part]:
    """The parts that this run leaves out."""
    return [part for part in PARTS if not part.is_there()]

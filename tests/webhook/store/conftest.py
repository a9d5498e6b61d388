"""Every test of the store runs on SQLite and on a real PostgreSQL server, each in a database of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from mynatca_webhook.store.event_store import EventStore
from support.postgres import PostgreSQL, postgres, postgres_is_there
from support.stores import patient_store

_numbers = count(1)

Scenario = Callable[[EventStore], Awaitable[Any]]
InStore = Callable[[Scenario], None]


@pytest.fixture(scope="session")
def server() -> Iterator[PostgreSQL]:
    if not postgres_is_there():
        pytest.skip("there is no PostgreSQL")
    with postgres() as running:
        yield running


@pytest.fixture
def postgres_url(server: PostgreSQL) -> Iterator[str]:
    name = f"store{next(_numbers)}"
    server.run(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/events.db"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Where an empty store is."""
    address: str = request.getfixturevalue(f"{request.param}_url")
    return address


@pytest.fixture
def in_store(url: str) -> InStore:
    """Run a scenario in an open store."""

    def run(scenario: Scenario) -> None:
        async def inside() -> None:
            async with patient_store(url) as store:
                await scenario(store)

        asyncio.run(inside())

    return run

"""What a database is asked to do."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncConnection

R = TypeVar("R")

Work = Callable[[AsyncConnection], Awaitable[R]]
"""Does something through the connection that it is given, and waits for nothing else."""


class Database(Protocol):
    """A database that is reached; its methods raise what its driver and SQLAlchemy raise."""

    @property
    def engine(self) -> Engine:
        """What connects to it."""

    async def write(self, work: Work[R]) -> R:
        """Do something in a transaction that has the right to write from its beginning; durable when this returns."""

    async def read(self, work: Work[R]) -> R:
        """Read by single statements; waits for no writer."""

    async def close(self) -> None:
        """Close the connections."""

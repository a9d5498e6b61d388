"""Tells the process that works that there is something to do, as soon as another one has stored it."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress

MANY = 65536
"""Bytes that a pipe holds."""


class Bell:
    """An end of a pipe that all processes of a service share; nothing is lost if nobody hears it.

    Args:
        number: of the end, which becomes non-blocking.
    """

    def __init__(self, number: int) -> None:
        os.set_blocking(number, False)
        self._number = number

    def ring(self) -> None:
        """Tell; at the writing end."""
        with suppress(BlockingIOError):  # it is full, so it has been told often enough
            os.write(self._number, b"!")

    def heard(self, act: Callable[[], None]) -> None:
        """Do something whenever it rang; at the reading end, in the running loop."""

        def hear() -> None:
            with suppress(BlockingIOError):  # a predecessor about to stop was faster
                os.read(self._number, MANY)
            act()

        asyncio.get_running_loop().add_reader(self._number, hear)

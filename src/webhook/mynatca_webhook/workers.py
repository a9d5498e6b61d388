"""Several server processes under this one: they share its socket, and one that dies is replaced.

Sanic's own worker manager leaves a killed worker dead, and kills its whole process group when one does not start.
"""

import asyncio
import logging
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.multiprocess import mark_process_dead

PAUSE_SECONDS = 1.0
"""Between the death of a process and the start of the next one, so that none is started again and again at once."""
PATIENCE_SECONDS = 10.0
"""How much longer than its grace a process may take to stop before it is killed."""
GIVEN_UP = (1, 2)
"""Exit codes of a process that cannot serve, and whose successor could not either."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workers:
    """What every server process is started with.

    Args:
        environment: settings, and what else a process needs to run.
        sock: listens already.
        grace_seconds: how long a process may take to stop.
        metrics: folder for the metrics of all of them; None where they are not exported.
    """

    environment: Mapping[str, str]
    sock: socket.socket
    grace_seconds: float
    metrics: Path | None

    async def run(self, count: int) -> int:
        """Keep so many of them running until SIGTERM or SIGINT, then let all of them stop; returns the exit code."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return max(await asyncio.gather(*(self._keep(stop) for _ in range(count))))

    async def _keep(self, stop: asyncio.Event) -> int:
        while not stop.is_set():
            process = await self._start()
            code = await self._end(process, stop)
            if self.metrics:
                mark_process_dead(process.pid, str(self.metrics))  # type: ignore[no-untyped-call]  # the library's
            if stop.is_set():
                return int(code != 0)
            if code in GIVEN_UP:
                log.critical("server process %d ended with %d, so this one does, too", process.pid, code)
                stop.set()
                return code
            log.error("server process %d ended with %d; another one takes its place", process.pid, code)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)
        return 0

    async def _start(self) -> Process:
        own = {"PROMETHEUS_MULTIPROC_DIR": str(self.metrics)} if self.metrics else {}
        number = self.sock.fileno()
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mynatca_webhook.server", str(number)),
            env={**self.environment, **own},
            pass_fds=[number],
            stdin=PIPE,  # its lifeline: however this process ends, it is closed
            process_group=0,  # a terminal's Ctrl-C is for this process
        )

    async def _end(self, process: Process, stop: asyncio.Event) -> int:
        """The exit code of a process, which ends by itself or when it is told to."""
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if process.stdin:
            process.stdin.close()
        if stop.is_set():
            self.sock.close()  # else callers would still connect when no process accepts them any more
        await asyncio.wait({ended}, timeout=self.grace_seconds + PATIENCE_SECONDS)
        if not ended.done():
            log.error("server process %d does not stop and is killed", process.pid)
            process.kill()
        return await ended

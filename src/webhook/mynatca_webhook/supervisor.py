"""The processes of a service under this one: some answer on its socket, one works; one that dies is replaced.

So that what is worked delays no answer: a notification of Intercom's waits for the disk alone. Sanic's own worker
manager leaves a killed worker dead, and kills its whole process group when one does not start.
"""

import asyncio
import logging
import os
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
class Supervisor:
    """What every process is started with.

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

    async def run(self, servers: int) -> int:
        """Keep so many that answer, and one that works, until SIGTERM or SIGINT; then let all of them stop.

        Returns the exit code.
        """
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        heard, rung = os.pipe()
        working = _Arguments((str(heard),), (heard,))
        socket_number = self.sock.fileno()
        answering = _Arguments((str(rung), f"--answer={socket_number}"), (rung, socket_number))
        return max(await asyncio.gather(*(self._keep(each, stop) for each in (working, *[answering] * servers))))

    async def _keep(self, arguments: "_Arguments", stop: asyncio.Event) -> int:
        while not stop.is_set():
            process = await self._start(arguments)
            code = await self._end(process, stop)
            if self.metrics:
                mark_process_dead(process.pid, str(self.metrics))  # type: ignore[no-untyped-call]  # the library's
            if stop.is_set():
                return int(code != 0)
            if code in GIVEN_UP:
                log.critical("process %d ended with %d, so this one does, too", process.pid, code)
                stop.set()
                return code
            log.error("process %d ended with %d; another one takes its place", process.pid, code)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE_SECONDS)
        return 0

    async def _start(self, arguments: "_Arguments") -> Process:
        own = {"PROMETHEUS_MULTIPROC_DIR": str(self.metrics)} if self.metrics else {}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mynatca_webhook.process", *arguments.words),
            env={**self.environment, **own},
            pass_fds=arguments.descriptors,
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
            log.error("process %d does not stop and is killed", process.pid)
            process.kill()
        return await ended


@dataclass(frozen=True, slots=True)
class _Arguments:
    """What `mynatca_webhook.process` is called with, and what it finds open."""

    words: tuple[str, ...]
    descriptors: tuple[int, ...]

"""A process of the service, from its start to its stop: one of those that answer, or the one that works."""

import argparse
import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import uvloop

from mynatca_intercom import logs
from mynatca_intercom.settings import RunSettings, SettingsError, load
from mynatca_webhook.bell import Bell
from mynatca_webhook.server import serve
from mynatca_webhook.service import Part, open_service
from mynatca_webhook.store.errors import BadStoreUrl
from mynatca_webhook.worker import work

SWITCH_SECONDS = 0.0005
"""After how long a thread has to let another one run. The store's has to let go between any two statements, while it
keeps the store locked for all processes; with Python's 5 ms a busy event loop makes that long."""

log = logging.getLogger("mynatca_webhook.process")  # by its name, as this module is `__main__`


def main() -> None:
    """Do a part of the service until SIGTERM or SIGINT, or until standard input is closed.

    Exit codes: 0 stopped, 1 it cannot be done any more, or not at all, 2 settings are missing or malformed.
    """
    parser = argparse.ArgumentParser(prog="python -m mynatca_webhook.process", description=__doc__)
    parser.add_argument("bell", type=int, help="number of an open pipe")
    parser.add_argument("--answer", type=int, metavar="SOCKET", help="number of a socket that listens")
    options = parser.parse_args()
    settings = load(RunSettings, os.environ)
    logs.set_up(settings.log_level, "webhook")
    sys.setswitchinterval(SWITCH_SECONDS)
    bell = Bell(options.bell)
    part = work if options.answer is None else partial(serve, sock=socket.socket(fileno=options.answer))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sys.exit(runner.run(_do(part, bell)))
    except (SettingsError, BadStoreUrl, OSError) as error:  # `StoreUnavailable` is an OSError
        log.critical("not started: %s", error)
        sys.exit(1 if isinstance(error, OSError) else 2)


async def _do(part: Part, bell: Bell) -> int:
    stop = _stop_signal(sys.stdin.fileno())
    executor = ThreadPoolExecutor(thread_name_prefix="asking")
    asyncio.get_running_loop().set_default_executor(executor)
    async with open_service(os.environ) as service:
        # What is there now stays. Python looked through all of it for garbage every half a minute, and stood still for
        # 150 to 200 ms, sometimes with the store locked for all processes (measured).
        gc.freeze()
        exit_code = await part(service, bell, stop)
    log.info("stopped")
    executor.shutdown(wait=False, cancel_futures=True)
    _leave_behind("asking", exit_code)
    return exit_code


def _stop_signal(lifeline: int) -> asyncio.Event:
    """What is set as soon as this process is asked to stop, or the other end of its lifeline is closed."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def cut() -> None:
        loop.remove_reader(lifeline)
        stop.set()

    loop.add_reader(lifeline, cut)
    return stop


def _leave_behind(threads: str, exit_code: int) -> None:
    """End this process at once if some of these threads are busy still, as Python would wait for them.

    They read from a database that does not answer, for somebody who is gone.
    """
    busy = [thread for thread in threading.enumerate() if thread.name.startswith(threads)]
    for thread in busy:
        thread.join(0.1)
    if any(thread.is_alive() for thread in busy):
        logging.shutdown()
        os._exit(exit_code)


if __name__ == "__main__":
    main()

"""The command `mynatca-sandbox`: flags, environment, and a clean end."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

COMMAND = (sys.executable, "-m", "mynatca_sandbox", "--port", "0", "--members", "20")


@contextmanager
def running(*flags: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the command; give the process and the line that it says."""
    with subprocess.Popen(
        (*COMMAND, *flags), stderr=subprocess.PIPE, text=True, env=os.environ | environment
    ) as process:
        assert process.stderr is not None
        try:
            yield process, process.stderr.readline()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_serves_and_ends_cleanly(number: signal.Signals) -> None:
    with running("--index-lag", "5", SANDBOX_INDEX_LAG="7", SANDBOX_LIMIT="none") as (process, line):
        found = re.search(r"http://\S+:\d+", line)
        assert found is not None, line
        assert "sandbox-token" in line
        assert "sandbox-key" in line
        options = httpx.get(f"{found.group()}/_sandbox/options").json()
        assert (options["index_lag"], options["limit"]) == (5, None)
        process.send_signal(number)
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_wrong_flag_is_explained() -> None:
    with running("--fault-429", "2") as (process, _):
        assert process.stderr is not None
        assert "--fault-429: Input should be less than or equal to 1" in process.stderr.read()
        assert process.wait(10) == 2

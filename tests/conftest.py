"""What all tests share: sandboxes whose calls are judged by Intercom's description, and the parts left out."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import trustme

from mynatca_sandbox.exchange import Exchange
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import World
from support.openapi import Contract
from support.parts import missing_parts, openapi_file

DEVIATIONS = Path(__file__).parent / "contract" / "deviations.toml"

StartSandbox = Callable[..., Sandbox]
UNUSED = pytest.StashKey[set[str]]()


@pytest.fixture(scope="session", autouse=True)
def one_authority(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let HTTP clients trust one authority: each reads the system's hundred anew, 50 ms of work, thousands of times."""
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    os.environ["SSL_CERT_FILE"] = str(file)


@cache
def official_contract() -> Contract | None:
    """Return what calls on Intercom are judged by; None where the description is not there."""
    return Contract(openapi_file(), DEVIATIONS) if openapi_file().is_file() else None


@pytest.fixture(scope="session")
def contract() -> Contract | None:
    """Return Intercom's description with its known deviations; None where it is not there."""
    return official_contract()


@pytest.fixture
def judges_requests() -> bool:
    """Tell whether requests are judged too; a folder whose tests send malformed ones overrides it."""
    return True


@pytest.fixture
def start_sandbox(contract: Contract | None, *, judges_requests: bool) -> Iterator[StartSandbox]:
    """Start sandboxes: `start_sandbox(world, options=None)`.

    They stop at the end of the test, which fails if a call on one of them, or its answer, breaks Intercom's
    published description.
    """
    exchanges: list[Exchange] = []
    with ExitStack() as running:

        def start(world: World, options: Options | None = None) -> Sandbox:
            return running.enter_context(Sandbox(world, options, observe=exchanges.append))

        yield start
    failures = contract.failures(exchanges, requests=judges_requests) if contract else []
    if failures:
        # Without a traceback, which would show the exchanges.
        pytest.fail("\n".join(["Intercom's description is broken:", *map(str, failures)]), pytrace=False)


def pytest_sessionstart() -> None:
    """End the run at once if all parts are required and one is missing."""
    for part in missing_parts() if os.environ.get("REQUIRE") == "all" else []:
        raise pytest.UsageError(f"{part.name} are required, but {part.lack}: {part.remedy}.")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a full and otherwise good run that had no need of a known deviation: it is to be deleted."""
    contract = official_contract()
    if contract and hasattr(session.config, "workeroutput"):
        session.config.workeroutput["unused"] = _unused(contract)
    elif contract and session.exitstatus == pytest.ExitCode.OK and _is_full(session.config):
        reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        for unused in sorted(session.config.stash.get(UNUSED, _unused(contract))):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
            if reporter:
                reporter.write_line(f"\nunused in {DEVIATIONS.name}: {unused}", red=True)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Gather, from each of several test processes, what it had no need of; the hook is pytest-xdist's."""
    unused = set(getattr(node, "workeroutput", {}).get("unused", ()))
    node.config.stash[UNUSED] = node.config.stash.get(UNUSED, unused) & unused


def _unused(contract: Contract) -> list[str]:
    return [f"{deviation.operation}, {deviation.where}" for deviation in contract.deviations.unused()]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the parts left out."""
    for part in missing_parts():
        terminalreporter.write_line(f"left out: {part.name} ({part.lack})", yellow=True)


def _is_full(config: pytest.Config) -> bool:
    """Tell whether all tests ran, and not chosen ones, which prove nothing about what the others need."""
    choices = ("keyword", "markexpr", "ignore", "ignore_glob", "deselect", "lf")
    chosen = any(getattr(config.option, choice, None) for choice in choices)
    return config.args_source is pytest.Config.ArgsSource.TESTPATHS and not chosen

"""`mynatca-syncjob`: reads the command line and the environment, runs, reports, and exits with a documented code."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import get_args

from prometheus_client import start_http_server
from rich.console import Console

from mynatca_intercom import logs
from mynatca_intercom.members.supabase import SupabaseSource
from mynatca_intercom.metrics import REGISTRY
from mynatca_intercom.reconcile.brakes import BrakeClass
from mynatca_intercom.reconcile.run_folder import RunFolder
from mynatca_intercom.settings import (
    IntercomSettings,
    MemberSettings,
    RunSettings,
    SettingsError,
    SupabaseSettings,
    load,
)
from mynatca_syncjob.progress import RunProgress
from mynatca_syncjob.report import print_report
from mynatca_syncjob.result import Exit, Result
from mynatca_syncjob.sync import Sync, SyncOptions, run_folder_failure

log = logging.getLogger("mynatca_syncjob")

EXIT_CODES = """exit codes:
  0 done                 1 failed              2 wrong usage or settings
  3 more rows failed than --max-failed-rows    4 stopped by a brake
  5 credentials refused  6 stopped by SIGTERM; run again to go on"""


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: list[str], environment: Mapping[str, str]) -> Exit:
    """Run one command; returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        return _sync(options, environment)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging is not set up without settings
        return Exit.USAGE


def parser() -> argparse.ArgumentParser:
    """The command line."""
    formatter = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(prog="mynatca-syncjob", description=__doc__, formatter_class=formatter)
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    sync = commands.add_parser(
        "sync",
        help="bring all Active and Retired members into Intercom",
        description="Bring all Active and Retired members from Supabase into Intercom.",
        epilog=EXIT_CODES + "\n\nSettings come from environment variables: see docs/settings.md.",
        formatter_class=formatter,
    )
    sync.add_argument("--dry-run", action="store_true", help="decide everything and write nothing")
    sync.add_argument("--limit", type=_positive, metavar="N", help="write for at most N members")
    sync.add_argument(
        "--max-failed-rows",
        type=_number_or_share,
        default=0,
        metavar="N|P%",
        help="members that may fail, as a number or a share of all, before the exit code is 3 (default 0)",
    )
    sync.add_argument(
        "--release",
        action="append",
        default=[],
        choices=get_args(BrakeClass),
        help="go on in spite of this brake; may be given several times",
    )
    sync.add_argument(
        "--output",
        choices=("text", "json"),
        help="what to print at the end (default: text on a terminal, else nothing but a log line)",
    )
    return top


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0, for example 100")
    return int(text)


def _number_or_share(text: str) -> float:
    digits = text.removesuffix("%")
    if not digits.replace(".", "", 1).isdecimal() or (digits == text and not text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a share, for example 20 or 1%")
    share = float(digits) / 100
    if digits != text and share >= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not below 100%, for example 1%")
    return share if digits != text else int(text)


def _sync(options: argparse.Namespace, environment: Mapping[str, str]) -> Exit:
    settings = load(RunSettings, environment)
    rules = load(MemberSettings, environment)
    intercom = load(IntercomSettings, environment)
    supabase = load(SupabaseSettings, environment)
    started = datetime.now(UTC)
    run_id = settings.run_id or f"sync-{started:%Y%m%dt%H%M%S}z-{os.getpid()}"
    logs.set_up(settings.log_level, run_id)
    folder = _folder(settings, run_id)
    result = Result(run_id, "sync", options.dry_run, started.isoformat(timespec="seconds"))
    sync_options = SyncOptions(
        dry_run=options.dry_run,
        limit=options.limit,
        max_failed_rows=options.max_failed_rows,
        released=frozenset(options.release),
        phone_region=rules.phone_region,
    )
    console = Console(stderr=options.output == "json")
    clock = time.monotonic()
    with (
        SupabaseSource(supabase, rules) as source,
        _metrics_server(settings.metrics_port),
        RunProgress("sync", console) as progress,
    ):
        asyncio.run(_until_done(source, intercom, folder, sync_options, progress, result))
    result.seconds = round(time.monotonic() - clock, 3)
    result.finished_at = datetime.now(UTC).isoformat(timespec="seconds")
    _publish(result, folder, settings, options.output, console)
    return result.exit_code


async def _until_done(
    source: SupabaseSource,
    intercom: IntercomSettings,
    folder: RunFolder,
    options: SyncOptions,
    progress: RunProgress,
    result: Result,
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await Sync(source, intercom, folder, options, progress, stop).run(result)


def _folder(settings: RunSettings, run_id: str) -> RunFolder:
    try:
        return RunFolder(settings.runs_dir, run_id)
    except OSError as error:
        raise SettingsError(
            f"RUNS_DIR cannot be {str(settings.runs_dir)!r}: {error.strerror}. Name a folder that can be written, "
            "for example RUNS_DIR=/var/lib/mynatca-intercom/runs."
        ) from None


@contextmanager
def _metrics_server(port: int | None) -> Iterator[None]:
    if port is None:
        yield
        return
    server, thread = start_http_server(port, registry=REGISTRY)
    log.info("metrics are served on port %d", server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _publish(result: Result, folder: RunFolder, settings: RunSettings, output: str | None, console: Console) -> None:
    """Tell the person, the log, the run folder and Kubernetes how the run ended."""
    try:
        folder.write_result(result.as_json())
    except OSError as error:
        result.exit_code, result.message = Exit.FAILED, run_folder_failure(error)
        log.error(result.message)  # noqa: TRY400 - the sentence says all, and a trace nothing more
    if settings.termination_log:
        # Kubernetes keeps 4,096 bytes; the summary has a bounded number of short fields.
        settings.termination_log.write_text(json.dumps(result.summary()), encoding="utf-8")
    if output == "json":
        print(json.dumps(result.as_json(), indent=2))  # noqa: T201 - the output that was asked for
    elif output == "text" or console.is_terminal:
        print_report(result, console)
        console.print(f"Plan, journal and result: {folder.path}", highlight=False)
    else:
        log.info("run ended: %s", result.exit_code.name.lower(), extra={"result": result.summary()})


if __name__ == "__main__":
    main()

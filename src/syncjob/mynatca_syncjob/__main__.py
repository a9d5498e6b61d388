"""`mynatca-syncjob`: reads the command line and the environment, runs, reports, and exits with a documented code."""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime

from prometheus_client import start_http_server
from rich.console import Console

from mynatca_intercom import logs
from mynatca_intercom.members.directory import Directory, open_directory
from mynatca_intercom.metrics import REGISTRY
from mynatca_intercom.reconcile.plan import Scope
from mynatca_intercom.reconcile.run_folder import RunFolder
from mynatca_intercom.settings import (
    IntercomSettings,
    MemberSettings,
    RunSettings,
    SettingsError,
    TagSettings,
    load,
)
from mynatca_syncjob.arguments import parser
from mynatca_syncjob.ending import run_folder_failure
from mynatca_syncjob.explain import explain
from mynatca_syncjob.mappings import Decision, MappingsError, read_mappings
from mynatca_syncjob.page import run_page, undo_page
from mynatca_syncjob.progress import RunProgress
from mynatca_syncjob.report import print_report
from mynatca_syncjob.result import Exit, Result
from mynatca_syncjob.run import Run, RunOptions
from mynatca_syncjob.sweep import Sweep, SweepOptions
from mynatca_syncjob.undo import Undo, UndoOptions

log = logging.getLogger("mynatca_syncjob")

Work = Callable[[asyncio.Event, RunProgress], Awaitable[None]]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: list[str], environment: Mapping[str, str]) -> Exit:
    """Run one command; returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        return Command(options, environment).run()
    except (SettingsError, MappingsError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging is not set up without settings
        return Exit.USAGE


class Command:
    """One command with its settings; what can be wrong with them is found before anything is begun.

    Raises:
        SettingsError, MappingsError: something that was given cannot be used.
    """

    def __init__(self, options: argparse.Namespace, environment: Mapping[str, str]) -> None:
        self._options = options
        self._environment = environment
        self._decisions: list[Decision] = read_mappings(options.file) if options.command == "manual-update" else []
        self._settings = load(RunSettings, environment)
        self._rules = load(MemberSettings, environment)
        self._intercom = load(IntercomSettings, environment)
        self._console = Console(stderr=options.output == "json")
        self._started = datetime.now(UTC)

    def run(self) -> Exit:
        """Carry the command out; returns its exit code."""
        kind = self._options.command
        run_id = self._settings.run_id or f"{kind}-{self._started:%Y%m%dt%H%M%S}z-{os.getpid()}"
        logs.set_up(self._settings.log_level, run_id)
        if getattr(self._options, "explain", None):
            return self._explain()
        if kind == "undo":
            return self._undo(run_id)
        with open_directory(self._environment) as directory:
            return (self._sweep if kind == "sweep" else self._run)(run_id, directory)

    def _explain(self) -> Exit:
        with open_directory(self._environment) as directory:
            return asyncio.run(
                explain(self._options.explain, directory, self._intercom, self._rules.phone_region, self._console)
            )

    def _run(self, run_id: str, directory: Directory) -> Exit:
        folder = self._folder(run_id)
        result = Result(run_id, self._options.command, self._options.dry_run, _moment(self._started))
        runs: list[Run] = []

        async def work(stop: asyncio.Event, progress: RunProgress) -> None:
            runs.append(Run(directory, self._intercom, folder, self._run_options(), progress, stop))
            await runs[0].run(result)

        self._carry_out(work, result)
        if self._options.command == "manual-update":
            self._store(lambda: folder.write_rows(runs[0].mapping_rows()), result)
        self._store(lambda: folder.write_report(run_page(result, runs[0].plan, runs[0].rows)), result)
        return self._publish(result, folder)

    def _run_options(self) -> RunOptions:
        return RunOptions(
            scope=self._scope(),
            dry_run=self._options.dry_run,
            limit=self._options.limit,
            max_failed_rows=self._options.max_failed_rows,
            released=frozenset(self._options.release),
            phone_region=self._rules.phone_region,
            decisions=self._decisions,
        )

    def _scope(self) -> Scope:
        if self._options.command == "sync":
            return Scope("members", create=True)
        if self._options.command == "manual-update":
            return Scope("contacts", decisions={})
        archive = not self._options.no_archive
        return Scope("contacts", strangers=True, leads_only=self._options.leads_only, archive=archive)

    def _sweep(self, run_id: str, directory: Directory) -> Exit:
        folder = self._folder(run_id)
        options = SweepOptions(
            tags=load(TagSettings, self._environment),
            recent_hours=self._options.recent_hours,
            dry_run=self._options.dry_run,
            limit=self._options.limit,
            max_failed_rows=self._options.max_failed_rows,
            released=frozenset(self._options.release),
            phone_region=self._rules.phone_region,
        )
        result = Result(run_id, "sweep", options.dry_run, _moment(self._started))

        async def work(stop: asyncio.Event, progress: RunProgress) -> None:
            await Sweep(directory, self._intercom, folder, options, progress, stop).run(result)

        self._carry_out(work, result)
        return self._publish(result, folder)

    def _undo(self, run_id: str) -> Exit:
        options = UndoOptions(
            run=self._options.run,
            dry_run=self._options.dry_run,
            limit=self._options.limit,
            max_failed_rows=self._options.max_failed_rows,
            released=frozenset(self._options.release),
            phone_region=self._rules.phone_region,
        )
        if run_id == options.run:
            raise SettingsError(
                f"RUN_ID cannot be {run_id!r}, the run that is to be undone: its journal would end with the undo's own "
                "writes. Name another, for example RUN_ID=undo-1, or none."
            )
        undo = Undo(self._settings.runs_dir, options)
        folder = self._folder(run_id)
        result = Result(run_id, "undo", options.dry_run, _moment(self._started))

        async def work(stop: asyncio.Event, progress: RunProgress) -> None:
            await undo.run(self._intercom, folder, progress, stop, result)

        self._carry_out(work, result)
        self._store(lambda: folder.write_report(undo_page(result, options.run, undo.rows)), result)
        return self._publish(result, folder)

    def _folder(self, run_id: str) -> RunFolder:
        try:
            folder = RunFolder(self._settings.runs_dir, run_id)
            folder.forget_old(self._settings.keep_days)
        except OSError as error:
            raise SettingsError(
                f"RUNS_DIR cannot be {str(self._settings.runs_dir)!r}: {error.strerror}. Name a folder that can be "
                "written, for example RUNS_DIR=/var/lib/mynatca-intercom/runs."
            ) from None
        return folder

    def _carry_out(self, work: Work, result: Result) -> None:
        clock = time.monotonic()
        with _metrics_server(self._settings.metrics_port), RunProgress(result.kind, self._console) as progress:
            asyncio.run(_until_done(work, progress))
        result.seconds = round(time.monotonic() - clock, 3)
        result.finished_at = _moment(datetime.now(UTC))

    def _publish(self, result: Result, folder: RunFolder) -> Exit:
        """Tell the person, the log, the run folder and Kubernetes how the run ended."""
        self._store(lambda: folder.write_result(result.as_json()), result)
        if self._settings.termination_log:
            # Kubernetes keeps 4,096 bytes; the summary has a bounded number of short fields.
            self._settings.termination_log.write_text(json.dumps(result.summary()), encoding="utf-8")
        if self._options.output == "json":
            print(json.dumps(result.as_json(), indent=2))  # noqa: T201 - the output that was asked for
        elif self._options.output == "text" or self._console.is_terminal:
            print_report(result, self._console)
            self._console.print(f"Report, plan, journal and result: {folder.path}", highlight=False)
        else:
            log.info("run ended: %s", result.exit_code.name.lower(), extra={"result": result.summary()})
        return result.exit_code

    @staticmethod
    def _store(write: Callable[[], None], result: Result) -> None:
        try:
            write()
        except OSError as error:
            result.exit_code, result.message = Exit.FAILED, run_folder_failure(error)
            log.error(result.message)  # noqa: TRY400 - the sentence says all, and a trace nothing more


async def _until_done(work: Work, progress: RunProgress) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await work(stop, progress)


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


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


if __name__ == "__main__":
    main()

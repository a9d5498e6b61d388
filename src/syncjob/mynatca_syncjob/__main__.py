"""`mynatca-syncjob`: reads the command line and the environment, runs, reports, and exits with a documented code."""

import argparse
import asyncio
import errno
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from mynatca_intercom import logs
from mynatca_intercom.members.directory import Directory, open_directory
from mynatca_intercom.reconcile.run_folder import Request, RunFolder, forget_old_runs
from mynatca_intercom.settings import (
    IntercomSettings,
    MemberSettings,
    RunSettings,
    SettingsError,
    TagSettings,
    load,
)
from mynatca_syncjob.approved import ApprovedPlan, read_approved
from mynatca_syncjob.arguments import parser
from mynatca_syncjob.ending import run_folder_failure
from mynatca_syncjob.explain import explain
from mynatca_syncjob.mappings import Decision, MappingsError, read_mappings
from mynatca_syncjob.options import RunOptions
from mynatca_syncjob.page import run_page, undo_page
from mynatca_syncjob.progress import RunProgress
from mynatca_syncjob.report import print_report
from mynatca_syncjob.result import Exit, Result
from mynatca_syncjob.run import Run
from mynatca_syncjob.serving import beginning, served
from mynatca_syncjob.show import show
from mynatca_syncjob.sweep import Sweep, SweepOptions
from mynatca_syncjob.undo import Undo

log = logging.getLogger("mynatca_syncjob")

Work = Callable[[asyncio.Event, RunProgress], Awaitable[None]]


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: list[str], environment: Mapping[str, str]) -> Exit:
    """Run one command; returns its exit code."""
    options = parser().parse_args(arguments)
    try:
        if options.command == "show":
            show(load(RunSettings, environment).runs_dir, options.run, raw=options.output == "json")
            return Exit.DONE
        return Command(options, environment).run()
    except (SettingsError, MappingsError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - logging is not set up without settings
        _refused(options, environment, str(error))
        return Exit.USAGE


def _refused(options: argparse.Namespace, environment: Mapping[str, str], message: str) -> None:
    """Tell Kubernetes of a command that was not begun; not under a RUN_ID that is itself at fault."""
    file, dry_run = environment.get("TERMINATION_LOG"), getattr(options, "dry_run", False)
    if file:
        run_id = environment.get("RUN_ID", "")
        refused = Result(run_id, options.command, dry_run, "", exit_code=Exit.USAGE, message=message)
        with suppress(ValidationError, OSError):
            Path(file).write_text(refused.summary().as_message(), encoding="utf-8")


class Command:
    """One command with its settings; what can be wrong with them is found before anything is begun.

    Raises:
        SettingsError, MappingsError: something that was given cannot be used.
    """

    def __init__(self, options: argparse.Namespace, environment: Mapping[str, str]) -> None:
        self._options = options
        self._environment = environment
        decisions = read_mappings(options.file) if options.command == "manual-update" else []
        self._settings = load(RunSettings, environment)
        self._rules = load(MemberSettings, environment)
        self._intercom = load(IntercomSettings, environment)
        self._approved = self._read_approved() if options.command == "apply-plan" else None
        self._request = self._approved.request if self._approved else _request(options, decisions)
        self._kind = self._request.command if self._request else options.command
        self._console = Console(stderr=options.output == "json")
        self._started = datetime.now(UTC)

    def _read_approved(self) -> ApprovedPlan:
        run = self._options.run
        if self._settings.run_id == run:
            raise SettingsError(
                f"RUN_ID cannot be {run!r}, the dry run whose plan is to be applied: the plan would be written over. "
                "Name another, for example RUN_ID=audit-1, or none."
            )
        return read_approved(self._settings.runs_dir, run, self._options.digest)

    def run(self) -> Exit:
        """Carry the command out; returns its exit code."""
        run_id = self._settings.run_id or f"{self._kind}-{self._started:%Y%m%dt%H%M%S}z-{os.getpid()}"
        logs.set_up(self._settings.log_level, run_id)
        if getattr(self._options, "explain", None):
            return self._explain()
        result = Result(run_id, self._kind, self._options.dry_run, _moment(self._started))
        if self._request is None:
            with open_directory(self._environment) as directory:
                return self._sweep(result, directory)
        result.approved_run = self._approved.run if self._approved else ""
        options = RunOptions(
            request=self._request,
            dry_run=self._options.dry_run,
            max_failed_rows=self._options.max_failed_rows,
            phone_region=self._rules.phone_region,
            approved=self._approved,
        )
        if self._request.command == "undo":
            return self._undo(result, options)
        with open_directory(self._environment) as directory:
            return self._run(result, options, directory)

    def _explain(self) -> Exit:
        with open_directory(self._environment) as directory:
            return asyncio.run(
                explain(self._options.explain, directory, self._intercom, self._rules.phone_region, self._console)
            )

    def _run(self, result: Result, options: RunOptions, directory: Directory) -> Exit:
        folder = self._folder(result.run_id)
        runs: list[Run] = []

        async def work(stop: asyncio.Event, progress: RunProgress) -> None:
            runs.append(Run(directory, self._intercom, folder, options, progress, stop))
            await runs[0].run(result)

        def write_files() -> None:
            if result.kind == "manual-update":
                folder.write_rows(runs[0].mapping_rows())
            folder.write_report(run_page(result, runs[0].plan, runs[0].rows))

        return self._carry_out(work, result, folder, write_files)

    def _sweep(self, result: Result, directory: Directory) -> Exit:
        folder = self._folder(result.run_id)
        options = SweepOptions(
            tags=load(TagSettings, self._environment),
            recent_hours=self._options.recent_hours,
            dry_run=self._options.dry_run,
            limit=self._options.limit,
            max_failed_rows=self._options.max_failed_rows,
            released=frozenset(self._options.release),
            phone_region=self._rules.phone_region,
        )

        async def work(stop: asyncio.Event, progress: RunProgress) -> None:
            await Sweep(directory, self._intercom, folder, options, progress, stop).run(result)

        return self._carry_out(work, result, folder)

    def _undo(self, result: Result, options: RunOptions) -> Exit:
        undone = options.request.undone or ""
        if result.run_id == undone:
            raise SettingsError(
                f"RUN_ID cannot be {undone!r}, the run that is to be undone: its journal would end with the undo's own "
                "writes. Name another, for example RUN_ID=undo-1, or none."
            )
        undo = Undo(self._settings.runs_dir, options)
        folder = self._folder(result.run_id)

        async def work(stop: asyncio.Event, progress: RunProgress) -> None:
            await undo.run(self._intercom, folder, progress, stop, result)

        return self._carry_out(work, result, folder, lambda: folder.write_report(undo_page(result, undone, undo.rows)))

    def _folder(self, run_id: str) -> RunFolder:
        try:
            forget_old_runs(self._settings.runs_dir, self._settings.keep_days, run_id)
            return RunFolder(self._settings.runs_dir, run_id)
        except OSError as error:
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            mend = (
                "Make room, or keep less with RUNS_KEEP_DAYS."
                if is_full
                else "Name a folder that can be written, for example RUNS_DIR=/var/lib/mynatca-intercom/runs."
            )
            raise SettingsError(
                f"RUNS_DIR cannot be {str(self._settings.runs_dir)!r}: {error.strerror}. {mend}"
            ) from None

    def _carry_out(
        self, work: Work, result: Result, folder: RunFolder, write_files: Callable[[], None] = lambda: None
    ) -> Exit:
        asyncio.run(self._to_its_end(work, result, folder, write_files))
        return result.exit_code

    async def _to_its_end(self, work: Work, result: Result, folder: RunFolder, write_files: Callable[[], None]) -> None:
        """Do the work, tell how it ended, and hand the plan over."""
        stop, kept, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)

        def page() -> bytes | None:
            return beginning(folder.plan, result.run_id, result.plan_digest) if result.plan_digest else None

        with served(self._settings.metrics_port, page, lambda: loop.call_soon_threadsafe(kept.set)):
            clock = time.monotonic()
            with RunProgress(result.kind, self._console) as progress:
                await work(stop, progress)
            result.planned, result.done = progress.planned, progress.done
            result.seconds = round(time.monotonic() - clock, 3)
            result.finished_at = _moment(datetime.now(UTC))
            self._store(write_files, result)
            self._publish(result, folder)
            if result.dry_run and result.exit_code == Exit.DONE and result.plan_digest:
                await self._handed_over(kept, stop)

    async def _handed_over(self, kept: asyncio.Event, stop: asyncio.Event) -> None:
        """Wait until somebody keeps the plan's beginning, where anybody can: not longer than set, nor past SIGTERM."""
        seconds = self._settings.plan_handover_seconds
        if self._settings.metrics_port is None or not seconds:
            return
        log.info("the plan can be fetched for %d s", seconds)
        waits = [asyncio.create_task(event.wait()) for event in (kept, stop)]
        _, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in pending:
            wait.cancel()

    def _publish(self, result: Result, folder: RunFolder) -> None:
        """Tell the person, the log, the run folder and Kubernetes how the run ended."""
        self._store(lambda: folder.write_result(result.as_json()), result)
        if self._settings.termination_log:
            self._settings.termination_log.write_text(result.summary().as_message(), encoding="utf-8")
        if self._options.output == "json":
            print(json.dumps(result.as_json(), indent=2))  # noqa: T201 - the output that was asked for
        elif self._options.output == "text" or self._console.is_terminal:
            print_report(result, self._console)
            self._console.print(f"Report, plan, journal and result: {folder.path}", highlight=False)
        else:
            log.info("run ended: %s", result.exit_code.name.lower(), extra={"result": result.summary().model_dump()})

    @staticmethod
    def _store(write: Callable[[], None], result: Result) -> None:
        try:
            write()
        except OSError as error:
            result.exit_code, result.message = Exit.FAILED, run_folder_failure(error)
            log.error(result.message)  # noqa: TRY400 - the sentence says all, and a trace nothing more


def _request(options: argparse.Namespace, decisions: Iterable[Decision]) -> Request | None:
    """What the command line asks for; None for a sweep, which makes no plan."""
    if options.command == "sweep":
        return None
    return Request(
        command=options.command,
        leads_only=getattr(options, "leads_only", False),
        no_archive=getattr(options, "no_archive", False),
        limit=options.limit,
        released=tuple(sorted(set(options.release))),
        decisions={decision.contact_id: decision.member_number for decision in decisions},
        undone=getattr(options, "run", None),
    )


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


if __name__ == "__main__":
    main()

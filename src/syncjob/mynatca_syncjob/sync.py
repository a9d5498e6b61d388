"""The nightly sync: all Active and Retired members into Intercom.

Reads both sides at once, plans, checks the brakes, and writes what differs. What the rules are stands in
`mynatca_intercom.reconcile`; this module only leads through the steps and says how the run ended.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from mynatca_intercom import metrics
from mynatca_intercom.intercom.attributes import AttributesUnfit, ensure_attributes
from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.contact import ContactListing
from mynatca_intercom.intercom.errors import CredentialsRefused, IntercomError
from mynatca_intercom.members.member import MemberListing
from mynatca_intercom.members.source import MemberSource, SourceError, SourceRefused
from mynatca_intercom.reconcile.apply import Applier
from mynatca_intercom.reconcile.brakes import BrakeClass, Reading, brakes
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.match import MemberIndex
from mynatca_intercom.reconcile.plan import Plan, make_plan
from mynatca_intercom.reconcile.run_folder import RunFolder
from mynatca_intercom.settings import IntercomSettings
from mynatca_syncjob.progress import RunProgress
from mynatca_syncjob.result import Exit, Result

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """What the command line says about one sync.

    `max_failed_rows` is a number of members, or a share of them when it is below 1. `released` are the brakes that
    a person has released.
    """

    dry_run: bool = False
    limit: int | None = None
    max_failed_rows: float = 0
    released: frozenset[BrakeClass] = frozenset()
    phone_region: str = "US"


STOPPED = "Stopped by SIGTERM between two members; run again to go on."


def run_folder_failure(error: OSError) -> str:
    """The sentence for a disk that takes nothing more: no write is sent that the journal does not hold."""
    return f"The run folder cannot be written ({error.strerror}): make room in RUNS_DIR and run again."


class Stopped(Exception):
    """SIGTERM came."""


class Sync:
    """One run; `run` does not raise for what can go wrong outside: it says so in the result."""

    def __init__(
        self,
        source: MemberSource,
        intercom: IntercomSettings,
        folder: RunFolder,
        options: SyncOptions,
        progress: RunProgress,
        stop: asyncio.Event,
    ) -> None:
        self._source = source
        self._intercom = intercom
        self._folder = folder
        self._options = options
        self._progress = progress
        self._stop = stop

    async def run(self, result: Result) -> None:
        """Carry the sync out and write into `result` how it went."""
        async with IntercomClient(self._intercom) as client:
            try:
                result.exit_code, result.message = await self._steps(client, result)
            except CredentialsRefused as error:
                result.exit_code = Exit.CREDENTIALS
                result.message = f"{error}: check INTERCOM_ACCESS_TOKEN and its scopes."
            except SourceRefused as error:
                result.exit_code, result.message = Exit.CREDENTIALS, str(error)
            except AttributesUnfit as error:
                result.exit_code, result.message = Exit.USAGE, str(error)
            except Stopped:
                result.exit_code, result.message = Exit.STOPPED, STOPPED
            except (IntercomError, SourceError) as error:
                result.exit_code, result.message = Exit.FAILED, str(error)
            except OSError as error:
                result.exit_code, result.message = Exit.FAILED, run_folder_failure(error)
            finally:
                result.calls = dict(client.calls)

    async def _steps(self, client: IntercomClient, result: Result) -> tuple[Exit, str]:
        await self._unless_stopped(client.workspace())
        members, contacts = await self._unless_stopped(self._read(client))
        result.saw(members, contacts)
        metrics.SOURCE_MEMBERS.set(result.members)
        index = MemberIndex(members.members, self._options.phone_region)
        plan = make_plan(index, contacts.contacts).limited(self._options.limit)
        self._folder.write_plan(plan)
        result.count(plan, None)
        last = self._folder.members_of_last_run(result.kind)
        result.brakes = brakes(plan, Reading(members, contacts, last), self._options.released)
        if result.brakes:
            return self._braked(result)
        if self._options.dry_run:
            return Exit.DONE, "Dry run: nothing was written."
        if plan.actions:
            await self._apply(client, plan, index, result)
        return self._verdict(result)

    async def _read(self, client: IntercomClient) -> tuple[MemberListing, ContactListing]:
        """Members and contacts at the same time; the source blocks, so it has a thread."""
        try:
            async with asyncio.TaskGroup() as group:
                members = group.create_task(asyncio.to_thread(self._source.synced_members))
                contacts = group.create_task(client.list_contacts(self._progress.listed))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return members.result(), contacts.result()

    async def _apply(self, client: IntercomClient, plan: Plan, index: MemberIndex, result: Result) -> None:
        await ensure_attributes(client, create=self._intercom.create_attributes)
        self._progress.writes(len(plan.actions))
        async with Journal(self._folder.journal) as journal:
            applier = Applier(
                client,
                journal,
                index,
                concurrency=self._intercom.concurrency,
                stop=self._stop,
                finished=self._progress.finished,
            )
            try:
                await applier.apply(plan)
            finally:
                result.count(plan, applier.rows)

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        """The work's result, or `Stopped` as soon as SIGTERM comes."""
        task, stopped = asyncio.create_task(work), asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise Stopped
        finally:
            stopped.cancel()
            task.cancel()

    def _braked(self, result: Result) -> tuple[Exit, str]:
        for brake in result.brakes:
            metrics.BRAKES.labels(brake.brake).inc()
        flags = " ".join(f"--release {brake.brake}" for brake in result.brakes)
        reasons = " ".join(brake.message for brake in result.brakes)
        return Exit.BRAKE, f"{reasons} Nothing was written. If this is right, run again with {flags}."

    def _verdict(self, result: Result) -> tuple[Exit, str]:
        failed = result.counts["failed"]
        allowed = self._options.max_failed_rows
        if self._stop.is_set():
            return Exit.STOPPED, STOPPED
        if failed > (allowed * result.members if allowed < 1 else allowed):
            return Exit.FAILED_ROWS, f"{failed} members failed; result.json names each with its reason."
        return Exit.DONE, ""

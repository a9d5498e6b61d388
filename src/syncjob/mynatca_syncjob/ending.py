"""How a run ends: whatever goes wrong outside becomes an exit code and a sentence that says what to do."""

from collections.abc import Awaitable, Callable

from mynatca_intercom import metrics
from mynatca_intercom.intercom.attributes import AttributesUnfit
from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.errors import CredentialsRefused, IntercomError
from mynatca_intercom.members.source import SourceError, SourceRefused
from mynatca_intercom.reconcile.closing import ClosingIncomplete
from mynatca_intercom.settings import IntercomSettings
from mynatca_syncjob.result import Exit, Result

STOPPED = "Stopped by SIGTERM between two writes; run again to go on."
NO_ADMIN = (
    "Conversations are written to in a teammate's name, and the token belongs to none: "
    "set INTERCOM_ADMIN_ID, for example INTERCOM_ADMIN_ID=7000003."
)


def run_folder_failure(error: OSError) -> str:
    """The sentence for a disk that takes nothing more: no write is sent that the journal does not hold."""
    return f"The run folder cannot be written ({error.strerror}): make room in RUNS_DIR and run again."


class Stopped(Exception):
    """SIGTERM came."""


class Unfit(Exception):
    """A setting does not let the run be carried out; the text says which, and what to do."""


Steps = Callable[[IntercomClient], Awaitable[tuple[Exit, str]]]


async def carried_out(intercom: IntercomSettings, steps: Steps, result: Result) -> None:
    """Carry a run's steps out and write into `result` how they ended; nothing that can go wrong outside is raised."""
    async with IntercomClient(intercom) as client:
        await _told(client, steps, result)
        result.calls = dict(client.calls)


async def _told(client: IntercomClient, steps: Steps, result: Result) -> None:
    try:
        result.exit_code, result.message = await steps(client)
    except CredentialsRefused as error:
        result.exit_code = Exit.CREDENTIALS
        result.message = f"{error}: check INTERCOM_ACCESS_TOKEN and its scopes."
    except SourceRefused as error:
        result.exit_code, result.message = Exit.CREDENTIALS, str(error)
    except (AttributesUnfit, Unfit) as error:
        result.exit_code, result.message = Exit.USAGE, str(error)
    except Stopped:
        result.exit_code, result.message = Exit.STOPPED, STOPPED
    except (IntercomError, SourceError, ClosingIncomplete) as error:
        result.exit_code, result.message = Exit.FAILED, str(error)
    except OSError as error:
        result.exit_code, result.message = Exit.FAILED, run_folder_failure(error)


def braked(result: Result, held_back: str = "Nothing was written.") -> tuple[Exit, str]:
    """The ending of a run that a brake stops; `held_back` is the sentence that says what it kept from being done."""
    for brake in result.brakes:
        metrics.BRAKES.labels(brake.brake).inc()
    flags = " ".join(f"--release {brake.brake}" for brake in result.brakes)
    reasons = " ".join(brake.message for brake in result.brakes)
    again = "make a new plan" if result.approved_run else "run again"
    return Exit.BRAKE, f"{reasons} {held_back} If this is right, {again} with {flags}."


def verdict(failed: int, seen: int, allowed: float) -> tuple[Exit, str]:
    """The ending of a run that went through, by how many rows failed."""
    if failed > (allowed * seen if allowed < 1 else allowed):
        return Exit.FAILED_ROWS, f"{failed} failed; result.json names each with its reason."
    return Exit.DONE, ""

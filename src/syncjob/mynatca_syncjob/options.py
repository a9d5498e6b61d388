"""What a run is told to do: its request, and how it is carried out."""

from dataclasses import dataclass

from mynatca_intercom.reconcile.run_folder import Request
from mynatca_syncjob.approved import ApprovedPlan


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the command line says about one run.

    `max_failed_rows` is a number of rows, or a share of them when it is below 1. With `approved` the run does nothing
    but what stands in that plan.
    """

    request: Request
    dry_run: bool = False
    max_failed_rows: float = 0
    phone_region: str = "US"
    approved: ApprovedPlan | None = None

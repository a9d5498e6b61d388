"""Why runs fail, each in one word for machines and one sentence for people."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """One word and one sentence."""

    word: str
    sentence: str


FAILURES = {
    1: Reason("RunFailed", "The run failed; its log says why."),
    2: Reason("InvalidSettings", "The run's settings or arguments are wrong; its log says which."),
    3: Reason("RowsFailed", "More rows failed than are allowed; result.json names each with its reason."),
    4: Reason("Braked", "A brake stopped the run before its first write."),
    5: Reason("CredentialsRefused", "Intercom or the members' database does not accept the credentials."),
    6: Reason("Stopped", "The run was stopped and not started again."),
}
"""By exit code of `mynatca-syncjob` (docs/sync.md)."""

OTHERS = (
    "JobLost",
    "NameConflict",
    "ResultMissing",
    "ResultRefused",
    "OOMKilled",
    "Evicted",
    "DeadlineExceeded",
    "StartDeadlineExceeded",
    "ImagePullBackOff",
    "CannotStart",
    "Unschedulable",
    "QuotaExceeded",
    "AdmissionRefused",
    "InvalidJob",
    "JobRefused",
    "Crashed",
)
"""Reasons that Kubernetes, or the lack of a result, gives."""

FINAL = ("InvalidJob", "NameConflict")
"""Refusals of a Job that no later try can change."""

WORDS = (*(reason.word for reason in FAILURES.values()), *OTHERS)
"""Every reason that a failed run can have."""

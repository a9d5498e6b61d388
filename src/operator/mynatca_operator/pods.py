"""What a Job and its pods say of a run: whether it started, how it ended, and what stands in its way. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from kubernetes.aio.client import V1ContainerStateTerminated, V1ContainerStatus, V1Job, V1Pod
from pydantic import ValidationError

from mynatca_intercom.summary import Summary
from mynatca_operator.reasons import FAILURES
from mynatca_operator.world import Ending

_CANNOT_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
_CANNOT_START = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def state_of(job: V1Job) -> tuple[Literal["active", "complete", "failed"], str, datetime | None]:
    """Whether a Job has ended, by the type of its conditions; with the reason and the moment.

    FailureTarget and SuccessCriteriaMet, which newer versions of Kubernetes set first, are no end: pods still run.
    """
    for condition in (job.status.conditions if job.status else None) or []:
        if condition.status == "True" and condition.type == "Complete":
            return "complete", "", condition.last_transition_time
        if condition.status == "True" and condition.type == "Failed":
            return "failed", condition.reason or "", condition.last_transition_time
    return "active", "", None


def newest(pods: Sequence[V1Pod]) -> V1Pod | None:
    """The pod that was created last."""
    return max(pods, key=_age, default=None)


def has_started(pods: Sequence[V1Pod]) -> bool:
    """Whether the container of any of them runs or has run."""
    states = (status.state for pod in pods for status in _statuses(pod))
    return any(state and (state.running or state.terminated) for state in states)


def is_running(pod: V1Pod) -> bool:
    """Whether its container runs, so that it can be asked."""
    return any(status.state and status.state.running for status in _statuses(pod))


def is_open(pod: V1Pod) -> bool:
    """Whether it has not ended."""
    return pod.status is None or pod.status.phase not in ("Succeeded", "Failed")


def summary_of(pods: Sequence[V1Pod]) -> Summary | None:
    """The summary that the newest finished pod left; None when it is missing, cut off or otherwise unfit."""
    finished = [pod for pod in pods if _terminated(pod)]
    last = newest(finished)
    terminated = _terminated(last) if last else None
    if terminated is None or not terminated.message:
        return None
    try:
        return Summary.model_validate_json(terminated.message)
    except ValidationError:
        return None


def ending_of(pods: Sequence[V1Pod]) -> Ending | None:
    """Why the newest pod failed or does not start."""
    pod = newest(pods)
    if pod is None:
        return None
    return _evicted(pod) or _terminated_badly(pod) or _waiting(pod) or _unschedulable(pod)


def _age(pod: V1Pod) -> tuple[float, str]:
    created = pod.metadata.creation_timestamp if pod.metadata else None
    return created.timestamp() if created else 0, (pod.metadata.name if pod.metadata else None) or ""


def _statuses(pod: V1Pod) -> list[V1ContainerStatus]:
    return (pod.status.container_statuses if pod.status else None) or []


def _terminated(pod: V1Pod) -> V1ContainerStateTerminated | None:
    return next((each.state.terminated for each in _statuses(pod) if each.state and each.state.terminated), None)


def _evicted(pod: V1Pod) -> Ending | None:
    if pod.status and pod.status.reason == "Evicted":
        return Ending("Evicted", f"The pod was evicted: {pod.status.message or 'no message'}")
    for condition in (pod.status.conditions if pod.status else None) or []:
        if condition.type == "DisruptionTarget" and condition.status == "True":
            return Ending("Evicted", f"The pod was disrupted ({condition.reason}): {condition.message or ''}")
    return None


def _terminated_badly(pod: V1Pod) -> Ending | None:
    terminated = _terminated(pod)
    if terminated is None or terminated.exit_code == 0:
        return None
    if terminated.reason == "OOMKilled":
        return Ending("OOMKilled", "The pod needed more memory than its limit allows.")
    known = FAILURES.get(terminated.exit_code)
    if known:
        return Ending(known.word, known.sentence)
    return Ending("Crashed", f"The program ended with exit code {terminated.exit_code}.")


def _waiting(pod: V1Pod) -> Ending | None:
    for status in _statuses(pod):
        waiting = status.state.waiting if status.state else None
        if waiting and waiting.reason in _CANNOT_PULL:
            return Ending("ImagePullBackOff", f"The image {status.image} cannot be pulled.")
        if waiting and waiting.reason in _CANNOT_START:
            return Ending("CannotStart", f"The container cannot be started: {waiting.message or waiting.reason}")
    return None


def _unschedulable(pod: V1Pod) -> Ending | None:
    for condition in (pod.status.conditions if pod.status else None) or []:
        if condition.type == "PodScheduled" and condition.status == "False" and condition.reason == "Unschedulable":
            return Ending("Unschedulable", condition.message or "No node can take the pod.")
    return None

"""The cluster as the operator reads and changes it: live reads with time-outs, and few, exact writes."""

import json
import logging
import re
import uuid
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
from kubernetes.aio.client import (
    ApiClient,
    ApiException,
    BatchV1Api,
    CoreV1Api,
    CoreV1Event,
    CustomObjectsApi,
    V1ConfigMap,
    V1Job,
    V1ObjectMeta,
    V1Pod,
)
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

from mynatca_operator import pods as pods_
from mynatca_operator.decide import Event, Launch, run_id
from mynatca_operator.job import (
    KIND_LABEL,
    METRICS_PORT,
    NIGHTLY,
    UID_LABEL,
    WRITES_LABEL,
    job,
    mappings_config_map,
    owner,
)
from mynatca_operator.resource import GROUP, KIND, PLURAL, VERSION, IntercomAudit, Progress, Status, status_patch
from mynatca_operator.settings import OperatorSettings
from mynatca_operator.world import Ending, RunJob, World

TIMEOUT_SECONDS = 10.0
PROGRESS_SECONDS = timedelta(seconds=30)
"""Progress is asked for, and stored, no more often than this."""
POD_TIMEOUT = aiohttp.ClientTimeout(total=3)
JOB_LABEL = "batch.kubernetes.io/job-name"
TROUBLE = (ApiException, aiohttp.ClientError, OSError)
"""What a call to the API server may end in besides an answer: a refusal, a lost connection, a time-out."""
MAX_PLAN_BYTES = 256 * 1024
_REFUSED = (400, 403, 413, 422)

log = logging.getLogger(__name__)


class Gone(Exception):
    """The object is not there any more, or has changed since it was read: the next sweep sees what it is now."""


class Cluster:
    """A cluster, or one namespace of it.

    Args:
        api: talks to the API server.
        pods: talks to the pods of runs.
        settings: what is looked after.
        template: the Job that every run is made of.
    """

    def __init__(
        self, api: ApiClient, pods: aiohttp.ClientSession, settings: OperatorSettings, template: dict[str, Any]
    ) -> None:
        self._batch = BatchV1Api(api)
        self._core = CoreV1Api(api)
        self._objects = CustomObjectsApi(api)
        self._pods = pods
        self._settings = settings
        self._namespace = settings.namespace
        self._template = template
        self._refusals: dict[str, Ending] = {}
        self._asked: dict[str, datetime] = {}
        self._unfit: frozenset[str] = frozenset()

    # ---- reading

    async def read(self) -> World:
        """Everything that decisions need, read live.

        Raises:
            ApiException, OSError, TimeoutError: the API server does not answer, or refuses.
        """
        audits, unfit = await self._audits()
        jobs: Any = await self._listed(self._batch.list_namespaced_job, self._batch.list_job_for_all_namespaces)
        listed: Any = await self._listed(self._core.list_namespaced_pod, self._core.list_pod_for_all_namespaces)
        pods: defaultdict[str, list[V1Pod]] = defaultdict(list)
        for pod in listed.items:
            pods[_controller(pod.metadata)[1]].append(pod)
        nightly: list[RunJob] = []
        own: dict[str, RunJob] = {}
        for each in jobs.items:
            seen = _seen(each, pods[_meta(each).uid or ""])
            if _controller(each.metadata)[0] == KIND:
                own[seen.name] = seen
            elif self._is_nightly(each):
                nightly.append(seen)
        known = {_meta(each).uid for each in jobs.items}
        left = [pod for pod in listed.items if _controller(pod.metadata)[1] not in known and pods_.is_open(pod)]
        own |= {job_.name: job_ for pod in left if (job_ := _left(pod)).owner_uid}
        nightly += [_left(pod) for pod in left if self._is_of_a_night(pod)]
        unread = await self._look_closer(audits, own, pods)
        return World(datetime.now(UTC), audits, own, tuple(nightly), dict(self._refusals), unfit, unread)

    async def _listed(self, here: Any, everywhere: Any, **more: Any) -> Any:
        """List what bears the label of runs, in the namespace or in all of them."""
        more = {"label_selector": KIND_LABEL, "_request_timeout": TIMEOUT_SECONDS} | more
        if self._settings.all_namespaces:
            return await everywhere(**more)
        return await here(namespace=self._namespace, **more)

    async def _audits(self) -> tuple[dict[str, IntercomAudit], frozenset[str]]:
        """All objects by UID, and the UIDs of those that do not fit: stored by another version of the operator."""
        listed = await self._listed(
            self._objects.list_namespaced_custom_object,
            self._objects.list_cluster_custom_object,
            group=GROUP,
            version=VERSION,
            plural=PLURAL,
            label_selector="",
        )
        audits: dict[str, IntercomAudit] = {}
        unfit = set()
        for each in listed["items"]:
            try:
                audit = IntercomAudit.model_validate(each)
            except ValidationError:
                uid, name = each["metadata"]["uid"], each["metadata"]["name"]
                unfit.add(uid)
                if uid not in self._unfit:
                    log.warning("an object does not fit this version and is left out", extra={"audit": name})
            else:
                audits[audit.metadata.uid] = audit
        self._unfit = frozenset(unfit)
        return audits, self._unfit

    async def _look_closer(
        self, audits: Mapping[str, IntercomAudit], jobs: dict[str, RunJob], pods: Mapping[str, Sequence[V1Pod]]
    ) -> frozenset[str]:
        """Ask what the lists do not tell of the Jobs that run; returns the UIDs of objects where that failed."""
        self._asked = {uid: when for uid, when in self._asked.items() if uid in audits}
        open_ = [audit for audit in audits.values() if audit.status.job_name and not audit.status.is_terminal]
        names = {audit.status.job_name for audit in open_}
        self._refusals = {name: why for name, why in self._refusals.items() if name in names}
        unread = set()
        for audit in open_:
            name = audit.status.job_name or ""
            try:
                if name in jobs:
                    jobs[name] = await self._asked_about(audit, jobs[name], pods.get(jobs[name].uid, []))
                elif name not in self._refusals and (foreign := await self._foreign(audit, name)):
                    jobs[name] = foreign
            except TROUBLE as error:
                unread.add(audit.metadata.uid)
                log.warning("an object is left to the next look: %s", told(error), extra={"audit": audit.metadata.name})
        return frozenset(unread)

    def _is_nightly(self, job_: V1Job) -> bool:
        meta, cronjob = _meta(job_), self._settings.sync_cronjob
        names = [each.name for each in meta.owner_references or [] if each.controller and each.kind == "CronJob"]
        return bool(cronjob) and (meta.namespace, names) == (self._namespace, [cronjob])

    def _is_of_a_night(self, pod: V1Pod) -> bool:
        """By its label, as a Job that somebody makes of the CronJob may have any name."""
        meta = pod.metadata or V1ObjectMeta()
        ours = bool(self._settings.sync_cronjob) and meta.namespace == self._namespace
        return ours and (meta.labels or {}).get(KIND_LABEL) == NIGHTLY

    async def _foreign(self, audit: IntercomAudit, name: str) -> RunJob | None:
        """A Job that a status names and the listing did not have: somebody else's, or none."""
        try:
            found = await self._batch.read_namespaced_job(
                name, audit.metadata.namespace, _request_timeout=TIMEOUT_SECONDS
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return replace(_seen(found, []), writes=False)

    async def _asked_about(self, audit: IntercomAudit, job_: RunJob, pods: Sequence[V1Pod]) -> RunJob:
        """A Job with what events and its pod tell of it."""
        running = next((pod for pod in pods if pods_.is_running(pod)), None)
        if job_.state == "active" and not pods and not job_.held:
            job_ = replace(job_, ending=await self._no_pod(audit, job_.name))
        if running:
            job_ = replace(job_, progress=await self._progress(audit, running))
        if audit.plans and audit.status.plan_config_map is None:
            job_ = replace(job_, plan_config_map=await self._plan(audit, job_, running))
        return job_

    async def _no_pod(self, audit: IntercomAudit, job_name: str) -> Ending | None:
        """Why the Job controller cannot make a pod, as its events say."""
        selector = f"involvedObject.kind=Job,involvedObject.name={job_name},reason=FailedCreate"
        events = await self._core.list_namespaced_event(
            audit.metadata.namespace, field_selector=selector, _request_timeout=TIMEOUT_SECONDS
        )
        message = next((event.message or "" for event in reversed(events.items)), None)
        return None if message is None else _refusal(message)

    # ---- asking the run's pod

    async def _progress(self, audit: IntercomAudit, pod: V1Pod) -> Progress | None:
        """How far the run is, when what is stored is old enough."""
        told = self._asked.get(audit.metadata.uid)
        if told and datetime.now(UTC) < told + PROGRESS_SECONDS:
            return None
        text = await self._ask(pod, "metrics")
        if text is None:
            return None
        self._asked[audit.metadata.uid] = datetime.now(UTC)
        try:
            return _progress_in(text)
        except (ValueError, OverflowError):
            log.debug("a run's pod answers what is no metrics")
            return None

    async def _plan(self, audit: IntercomAudit, job_: RunJob, pod: V1Pod | None) -> str | None:
        """Keep the beginning of the plan that the pod hands over; the name of its ConfigMap once it is there.

        Each attempt at a plan has a digest, and so a name, of its own.
        """
        text = await self._ask(pod, "plan") if pod else None
        if text is None:
            digest = job_.summary.plan_digest if job_.summary else ""
            name = _plan_name(audit, digest)
            return name if digest and await self._has_config_map(audit.metadata.namespace, name) else None
        page_digest = _plan_digest_in(text, run_id(audit, "plan"))
        if page_digest is None:
            return None
        name = _plan_name(audit, page_digest)
        body = {"metadata": {"name": name, "ownerReferences": [owner(audit)]}, "data": {"plan.json": text}}
        try:
            await self._create_config_map(audit.metadata.namespace, body)
        except ApiException as error:
            if error.status not in _REFUSED:
                raise
            log.warning("a plan's beginning cannot be kept: %s", told(error), extra={"audit": audit.metadata.name})
            kept = None
        else:
            kept = name
        if pod:
            await self._ask(pod, "plan", "DELETE")  # the pod waits for that
        return kept

    async def _ask(self, pod: V1Pod, path: str, method: str = "GET") -> str | None:
        address = pod.status.pod_ip if pod.status else None
        if not address:
            return None
        host = f"[{address}]" if ":" in address else address
        url = f"http://{host}:{METRICS_PORT}/{path}"
        try:
            async with self._pods.request(method, url, timeout=POD_TIMEOUT) as answer:
                return await answer.text() if answer.status == 200 else None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.debug("a run's pod does not answer: %s", type(error).__name__)
            return None

    # ---- writing

    async def store(self, audit: IntercomAudit, status: Status) -> IntercomAudit:
        """Store a status, unless the object has changed since it was read; returns it as it is stored.

        Raises:
            Gone: it has.
        """
        body = {
            "metadata": {"resourceVersion": audit.metadata.resource_version},
            "status": status_patch(audit.status, status),
        }
        try:
            stored = await self._objects.patch_namespaced_custom_object_status(
                GROUP,
                VERSION,
                audit.metadata.namespace,
                PLURAL,
                audit.metadata.name,
                body,
                _content_type="application/merge-patch+json",
                _request_timeout=TIMEOUT_SECONDS,
            )
        except ApiException as error:
            if error.status in (404, 409):
                raise Gone from error
            raise
        return IntercomAudit.model_validate(stored)

    async def launch(self, audit: IntercomAudit, launch: Launch) -> None:
        """Create the Job; one that is there already under this name is left to the next look."""
        mappings = mappings_config_map(audit, launch)
        body = V1Job.model_validate(job(self._template, audit, launch, self._settings.max_failed_rows))
        try:
            if mappings:
                await self._create_config_map(audit.metadata.namespace, mappings)
            await self._batch.create_namespaced_job(audit.metadata.namespace, body, _request_timeout=TIMEOUT_SECONDS)
        except ApiException as error:
            if error.status == 409:
                return
            message = _message(error)
            if error.status not in _REFUSED and "webhook" not in message:
                raise
            self._refusals[launch.job_name] = _refusal(message, invalid=error.status in (400, 422))
        else:
            self._refusals.pop(launch.job_name, None)

    async def release(self, job_: RunJob) -> None:
        """Let a Job make its pod.

        Raises:
            Gone: it is not there any more.
        """
        try:
            await self._batch.patch_namespaced_job(
                job_.name,
                job_.namespace,
                {"spec": {"suspend": False}},
                _content_type="application/merge-patch+json",
                _request_timeout=TIMEOUT_SECONDS,
            )
        except ApiException as error:
            if error.status == 404:
                raise Gone from error
            raise

    async def stop(self, job_: RunJob) -> None:
        """Delete a Job and, with the time that it needs to stop, its pods."""
        await self._unless_gone(
            self._batch.delete_namespaced_job(
                job_.name,
                job_.namespace,
                propagation_policy="Foreground",
                _request_timeout=TIMEOUT_SECONDS,
            )
        )

    async def remove(self, audit: IntercomAudit) -> None:
        """Delete an object that has ended, and all that it owns."""
        await self._unless_gone(
            self._objects.delete_namespaced_custom_object(
                GROUP,
                VERSION,
                audit.metadata.namespace,
                PLURAL,
                audit.metadata.name,
                _request_timeout=TIMEOUT_SECONDS,
            )
        )

    async def tell(self, audit: IntercomAudit, event: Event) -> None:
        """Send a Kubernetes event about an object."""
        now = datetime.now(UTC)
        body = {
            "metadata": {"name": f"{audit.metadata.name[:200]}.{uuid.uuid4().hex[:16]}"},
            "involvedObject": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": KIND,
                "name": audit.metadata.name,
                "namespace": audit.metadata.namespace,
                "uid": audit.metadata.uid,
            },
            "type": event.type,
            "reason": event.reason,
            "message": event.message[:1024],
            "source": {"component": "mynatca-operator"},
            "firstTimestamp": now.isoformat(timespec="seconds"),
            "lastTimestamp": now.isoformat(timespec="seconds"),
            "count": 1,
        }
        await self._core.create_namespaced_event(
            audit.metadata.namespace, CoreV1Event.model_validate(body), _request_timeout=TIMEOUT_SECONDS
        )

    # ---- the record of last runs

    async def read_record(self) -> str | None:
        """The record's text; None while there is none."""
        try:
            found = await self._core.read_namespaced_config_map(
                self._settings.record, self._namespace, _request_timeout=TIMEOUT_SECONDS
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return (found.data or {}).get("runs.json")

    async def write_record(self, text: str) -> None:
        """Store the record, in the ConfigMap that the chart has made or, if somebody has deleted that, in a new one."""
        body = {"metadata": {"name": self._settings.record}, "data": {"runs.json": text}}
        try:
            await self._core.patch_namespaced_config_map(
                self._settings.record,
                self._namespace,
                body,
                _content_type="application/merge-patch+json",
                _request_timeout=TIMEOUT_SECONDS,
            )
        except ApiException as error:
            if error.status != 404:
                raise
            await self._create_config_map(self._namespace, body)

    async def _has_config_map(self, namespace: str, name: str) -> bool:
        try:
            await self._core.read_namespaced_config_map(name, namespace, _request_timeout=TIMEOUT_SECONDS)
        except ApiException as error:
            if error.status == 404:
                return False
            raise
        return True

    async def _create_config_map(self, namespace: str, body: dict[str, Any]) -> None:
        """Create one; one that is there already has the same content, as its name is a function of it."""
        try:
            await self._core.create_namespaced_config_map(
                namespace, V1ConfigMap.model_validate(body), _request_timeout=TIMEOUT_SECONDS
            )
        except ApiException as error:
            if error.status != 409:
                raise

    @staticmethod
    async def _unless_gone(call: Any) -> None:
        try:
            await call
        except ApiException as error:
            if error.status not in (404, 409):
                raise


def told(error: BaseException) -> str:
    """An error in a log line: without what the server says, which may quote an object."""
    return f"{error.status} {error.reason}" if isinstance(error, ApiException) else type(error).__name__


def _seen(job_: V1Job, pods: Sequence[V1Pod]) -> RunJob:
    """A Job as its own fields and those of its pods tell it.

    Before 1.31 Kubernetes says that a Job has failed while its pods still stop: that is no end, as they may write.
    """
    meta = _meta(job_)
    state, reason, ended_at = pods_.state_of(job_)
    if any(pods_.is_open(pod) for pod in pods):
        state, ended_at = "active", None
    return RunJob(
        name=meta.name or "",
        namespace=meta.namespace or "",
        uid=meta.uid or "",
        owner_uid=_controller(meta)[1],
        created_at=meta.creation_timestamp or datetime.now(UTC),
        writes=(meta.labels or {}).get(WRITES_LABEL) != "false",
        state=state,
        job_reason=reason,
        started=pods_.has_started(pods),
        ended_at=ended_at,
        summary=pods_.summary_of(pods),
        ending=pods_.ending_of(pods),
        deleting=meta.deletion_timestamp is not None,
        held=bool(job_.spec and job_.spec.suspend),
    )


def _progress_in(text: str) -> Progress:
    """How far a run is, by its metrics.

    Raises:
        ValueError, OverflowError: they are none.
    """
    values = {
        sample.name.removeprefix("mynatca_intercom_run_"): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("mynatca_intercom_run_") and not sample.labels
    }
    moved = values.get("last_action_timestamp_seconds", 0)
    return Progress(
        total=int(values.get("actions_planned", 0)),
        done=int(values.get("actions_done", 0)),
        last_moved=datetime.fromtimestamp(int(moved), UTC) if moved else None,
    )


def _plan_name(audit: IntercomAudit, digest: str) -> str:
    return f"{run_id(audit, 'plan')}-{digest[:10]}"


def _plan_digest_in(text: str, run: str) -> str | None:
    """The digest in a page, if it is the beginning of this run's plan and no larger than was agreed."""
    try:
        page = json.loads(text)
    except ValueError:
        return None
    if not isinstance(page, dict) or page.get("run_id") != run or len(text.encode()) > MAX_PLAN_BYTES:
        return None
    digest = str(page.get("plan_digest"))
    return digest if re.fullmatch(r"[0-9a-f]{64}", digest) else None


def _left(pod: V1Pod) -> RunJob:
    """The Job of a pod that has not ended although its Job is gone: as one that is being deleted."""
    meta = pod.metadata or V1ObjectMeta()
    labels = meta.labels or {}
    return RunJob(
        name=labels.get(JOB_LABEL, ""),
        namespace=meta.namespace or "",
        uid=_controller(meta)[1],
        owner_uid=labels.get(UID_LABEL, ""),
        created_at=meta.creation_timestamp or datetime.now(UTC),
        writes=labels.get(WRITES_LABEL) != "false",
        started=pods_.has_started([pod]),
        deleting=True,
    )


def _meta(job_: V1Job) -> V1ObjectMeta:
    return job_.metadata or V1ObjectMeta()


def _controller(meta: V1ObjectMeta | None) -> tuple[str, str]:
    """Kind and UID of whoever controls an object."""
    references = (meta.owner_references if meta else None) or []
    return next(((each.kind, each.uid) for each in references if each.controller), ("", ""))


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return str(error.reason)


def _refusal(message: str, *, invalid: bool = False) -> Ending:
    """Why something was not let in: by quota, by admission, or because it cannot be right."""
    if "exceeded quota" in message or "failed quota" in message:
        return Ending("QuotaExceeded", message)
    if any(sign in message for sign in ("PodSecurity", "admission", "Admission", "denied the request", "webhook")):
        return Ending("AdmissionRefused", message)
    return Ending("InvalidJob" if invalid else "JobRefused", message)

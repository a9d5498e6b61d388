"""Sweeps of the operator against an API server that refuses, stalls, forgets and loses."""

import asyncio
import json
import threading
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import aiohttp
import pytest
from kubernetes.aio.client import ApiClient, ApiException, Configuration
from prometheus_client import CollectorRegistry

from mynatca_intercom.summary import Summary
from mynatca_operator import sweep as sweep_module
from mynatca_operator.cluster import Cluster, Gone
from mynatca_operator.decide import job_name
from mynatca_operator.definition import DefinitionUnfit, ensure_current, ensure_served
from mynatca_operator.exporter import Exporter
from mynatca_operator.job import KIND_LABEL
from mynatca_operator.resource import PLURAL, IntercomAudit
from mynatca_operator.settings import OperatorSettings
from mynatca_operator.sweep import Sweeper
from support.api_server import DROPPED, NAMESPACE, ApiServer, Object

RECORD = "mynatca-intercom-runs"
STATUS = f"patch {PLURAL}/status"
LONG_AGO = "2026-01-01T00:00:00Z"
TEMPLATE: Object = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "spec": {
        "template": {
            "metadata": {},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "syncjob", "image": "syncjob"}]},
        }
    },
}


@dataclass
class Desk:
    """An operator in this process, that looks when it is told to."""

    api: ApiServer
    runner: asyncio.Runner
    settings: OperatorSettings
    sweeper: Sweeper = field(init=False)
    cluster: Cluster = field(init=False)
    client: ApiClient = field(init=False)

    def __post_init__(self) -> None:
        self.runner.run(self._connect())
        self.restart()

    async def _connect(self) -> None:
        self.client = ApiClient(Configuration(host=self.api.url))
        self.pods = aiohttp.ClientSession()

    def restart(self, **more: Any) -> None:
        """Forget all, as a new process does."""
        settings = self.settings.model_copy(update=more)
        self.cluster = Cluster(self.client, self.pods, settings, TEMPLATE)
        exporter = Exporter()
        self.registry = CollectorRegistry()
        self.registry.register(exporter)
        self.sweeper = Sweeper(self.cluster, settings, exporter, lambda: ensure_served(self.client))

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.runner.run(self.sweeper.sweep())

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"mynatca_intercom_operator_{name}", labels)

    async def close(self) -> None:
        await self.client.close()  # type: ignore[no-untyped-call]
        await self.pods.close()

    @property
    def job(self) -> Object:
        """The only Job."""
        (job,) = self.api.list("jobs")
        return job

    def end(self, name: str = "a") -> None:
        """Let the Job of an object run, and end well."""
        status = self.api.status(name)
        self.api.run_job(status["jobName"])
        self.api.end_job(status["jobName"], summary(status["runId"]))


def summary(run_id: str, *, dry_run: bool = False, plan_digest: str = "") -> str:
    return Summary(
        run_id=run_id,
        kind="audit",
        dry_run=dry_run,
        outcome="done",
        exit_code=0,
        seen=3,
        counts={"updated": 2, "unchanged": 1},
        plan_digest=plan_digest,
    ).as_message()


@pytest.fixture
def api() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture
def desk(api: ApiServer) -> Iterator[Desk]:
    environment = {"OPERATOR_NAMESPACE": NAMESPACE, "JOB_TEMPLATE": "job.yaml", "SYNC_CRONJOB": "nightly"}
    with asyncio.Runner() as runner:
        desk = Desk(api, runner, OperatorSettings.model_validate(environment))
        yield desk
        runner.run(desk.close())


@dataclass
class RunPod:
    """What the pod of a run serves.

    Attributes:
        pages: Path -> text.
        kept: Whether somebody has said that the plan is kept.
    """

    pages: dict[str, str] = field(default_factory=dict)
    kept: bool = False


@pytest.fixture
def pod(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunPod]:
    served = RunPod()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = served.pages.get(self.path)
            self.send_response(404 if page is None else 200)
            self.end_headers()
            self.wfile.write((page or "").encode())

        def do_DELETE(self) -> None:
            served.kept = True
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setattr("mynatca_operator.cluster.METRICS_PORT", server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        server.shutdown()
        thread.join()


def failure(api: ApiServer, name: str = "a") -> str:
    """Why an object has failed."""
    (failed,) = [each for each in api.status(name)["conditions"] if each["type"] == "Failed"]
    assert failed["status"] == "True"
    return str(failed["reason"])


def nightly(api: ApiServer, namespace: str = NAMESPACE) -> Object:
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": "cron", "controller": True}
    labels = {KIND_LABEL: "NightlySync"}
    metadata = {"name": "nightly-1", "namespace": namespace, "labels": labels, "ownerReferences": [owner]}
    return api.put("jobs", {"metadata": metadata, "spec": TEMPLATE["spec"]})


# ---- launching


def test_a_run_from_its_object_to_its_result(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    desk.look(2)
    assert api.calls.index(STATUS) < api.calls.index("create jobs")
    desk.end()
    desk.look()
    assert api.status("a")["phase"] == "Complete"
    assert api.status("a")["result"]["counts"] == {"updated": 2, "unchanged": 1}
    assert [event["reason"] for event in api.list("events")] == ["Pending", "Complete"]


def test_the_intent_is_stored_when_the_job_cannot_be_created(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    api.fail("create jobs", 500, times=1)
    desk.look()
    assert api.list("jobs") == []
    assert api.status("a")["jobName"]
    desk.restart()
    desk.look()
    assert desk.job["metadata"]["name"] == api.status("a")["jobName"]
    assert api.count("create jobs") == 2


def test_a_status_that_is_not_stored_launches_nothing(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    api.fail(STATUS, 409, times=1)
    desk.look()
    assert api.count("create jobs") == 0
    desk.look()
    assert api.count("create jobs") == 1


def test_a_job_makes_no_pod_before_the_status_says_that_it_is_there(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    desk.look()
    api.fail(STATUS, 409, times=1)
    desk.look()
    assert desk.job["spec"]["suspend"] is True
    desk.look()
    assert desk.job["spec"]["suspend"] is False


def test_a_job_whose_release_was_refused_is_released_later(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    api.fail("patch jobs", 500, times=1)
    desk.look(2)
    assert desk.job["spec"]["suspend"] is True
    desk.restart()
    desk.look()
    assert desk.job["spec"]["suspend"] is False


def test_a_job_that_somebody_suspends_is_left_to_them(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    desk.look(2)
    name = api.status("a")["jobName"]
    api.run_job(name, address="")
    desk.look()
    api.change("jobs", name, lambda job: job["spec"].update(suspend=True))
    desk.look()
    assert desk.job["spec"]["suspend"] is True


def test_a_job_that_was_never_noted_and_is_gone_had_no_pod(desk: Desk, api: ApiServer) -> None:
    """The operator was killed just after it created the Job, and somebody deleted it then."""
    api.add_audit("a")
    desk.look()
    assert desk.job["spec"]["suspend"] is True
    api.vanish("jobs", desk.job["metadata"]["name"])
    desk.restart()
    desk.look(2)
    assert desk.job["spec"]["suspend"] is False
    assert api.status("a")["attempt"] == 1


def test_a_status_is_not_stored_over_a_change(desk: Desk, api: ApiServer) -> None:
    read = IntercomAudit.model_validate(api.add_audit("a"))
    api.change(PLURAL, "a", lambda stored: stored["spec"].update(suspend=True))
    with pytest.raises(Gone):
        desk.runner.run(desk.cluster.store(read, read.status.model_copy(update={"phase": "Running"})))
    assert api.list(PLURAL)[0].get("status") is None


@pytest.mark.parametrize("status", [409, 500, 504])
def test_a_job_whose_creation_was_answered_wrongly_is_found(desk: Desk, api: ApiServer, status: int) -> None:
    api.add_audit("a")
    api.fail("create jobs", status, times=1, late=True)
    desk.look(3)
    desk.end()
    desk.look()
    assert api.status("a")["phase"] == "Complete"
    assert len(api.list("jobs")) == api.count("create jobs") == 1


def test_a_job_of_somebody_else_is_not_taken_over(desk: Desk, api: ApiServer) -> None:
    audit = IntercomAudit.model_validate(api.add_audit("a"))
    api.put("jobs", {"metadata": {"name": job_name(audit, "run", 1)}, "spec": TEMPLATE["spec"]})
    desk.look(2)
    assert failure(api) == "NameConflict"
    assert len(api.list("jobs")) == 1


@pytest.mark.parametrize("words", ["exceeded quota: jobs, requested: 1", "failed quota: tight: must specify cpu"])
def test_a_quota_is_named_and_tried_again(words: str, desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    api.fail("create jobs", 403, message=words, times=2)
    desk.look(2)
    (created,) = [each for each in api.status("a")["conditions"] if each["type"] == "JobCreated"]
    assert (created["status"], created["reason"]) == ("False", "QuotaExceeded")
    desk.look()
    assert desk.job


def test_an_invalid_job_fails_its_object(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    api.fail("create jobs", 422, message="spec.template: Invalid value")
    desk.look(3)
    assert failure(api) == "InvalidJob"
    assert api.count("create jobs") == 1


def test_mappings_are_there_before_their_job(desk: Desk, api: ApiServer) -> None:
    mappings = [{"contactId": "0" * 24, "memberNumber": "1001"}]
    api.add_audit("a", "ManualUpdate", manualUpdate={"mappings": mappings})
    desk.look()
    assert api.calls.index("create configmaps") < api.calls.index("create jobs")
    name = f"{api.status('a')['runId']}-mappings"
    assert api.get("configmaps", name)["data"] == {
        "mappings.json": f'[{{"contact_id": "{"0" * 24}", "member_number": "1001"}}]'
    }
    volumes = desk.job["spec"]["template"]["spec"]["volumes"]
    assert [each["configMap"]["name"] for each in volumes] == [name]


def test_a_run_waits_for_the_nightly_sync(desk: Desk, api: ApiServer) -> None:
    nightly(api)
    api.add_audit("a")
    desk.look(2)
    assert api.status("a")["phase"] == "Waiting"
    assert api.count("create jobs") == 0
    api.run_job("nightly-1")
    api.end_job("nightly-1", summary("n"))
    desk.look()
    assert api.count("create jobs") == 1


def test_two_runs_never_write_at_once(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    api.add_audit("b")
    desk.look(3)
    assert api.count("create jobs") == 1
    assert api.status("b")["phase"] == "Waiting"
    desk.end()
    desk.look(2)
    assert api.count("create jobs") == 2


# ---- namespaces


def test_other_namespaces_are_none_of_its_business(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a", namespace="other")
    desk.look(2)
    assert api.writes == ["patch configmaps", "create configmaps"]  # the record, of which there is none


def test_all_namespaces_take_turns_by_choice(desk: Desk, api: ApiServer) -> None:
    desk.restart(all_namespaces=True)
    api.add_audit("a", namespace="one")
    api.add_audit("b", namespace="two", ttlSecondsAfterFinished=0)
    desk.look(3)
    assert [job["metadata"]["namespace"] for job in api.list("jobs")] == ["one"]
    assert api.status("b")["phase"] == "Waiting"
    desk.end("a")
    desk.look(3)
    assert [job["metadata"]["namespace"] for job in api.list("jobs")] == ["one", "two"]
    desk.end("b")
    desk.look(2)
    assert [each["metadata"]["name"] for each in api.list(PLURAL)] == ["a"]
    assert api.get("configmaps", RECORD)["metadata"]["namespace"] == NAMESPACE
    assert {event["metadata"]["namespace"] for event in api.list("events")} == {"one", "two"}


def test_a_nightly_sync_of_another_namespace_is_none_of_ours(desk: Desk, api: ApiServer) -> None:
    desk.restart(all_namespaces=True)
    nightly(api, namespace="other")
    api.add_audit("a")
    desk.look(2)
    assert launched(api) == ["nightly", "a"]


# ---- one object's trouble is its own


def told(api: ApiServer) -> list[str]:
    return [event["reason"] for event in api.list("events")]


def launched(api: ApiServer) -> list[str]:
    """The objects that have a Job."""
    return [job["metadata"]["ownerReferences"][0]["name"] for job in api.list("jobs")]


@pytest.mark.parametrize("status", [500, 503, DROPPED, None])
@pytest.mark.parametrize("call", [STATUS, "create jobs", "create events"])
def test_a_call_that_fails_puts_off_its_object_alone(
    desk: Desk, api: ApiServer, monkeypatch: pytest.MonkeyPatch, call: str, status: int | None
) -> None:
    monkeypatch.setattr("mynatca_operator.cluster.TIMEOUT_SECONDS", 0.5)
    api.add_audit("a", dryRun=True)
    api.add_audit("b", dryRun=True)
    api.fail(call, status, times=1)
    desk.look()
    assert launched(api) == (["b"] if call != "create events" else ["a", "b"])
    assert desk.metric("put_off") == 1
    desk.look(2)
    assert sorted(launched(api)) == ["a", "b"]
    assert desk.metric("put_off") == 0


@pytest.mark.parametrize("status", [403, 500])
def test_a_question_that_fails_puts_off_its_object_alone(desk: Desk, api: ApiServer, status: int) -> None:
    api.add_audit("a", dryRun=True)
    api.add_audit("b", dryRun=True)
    desk.look(2)
    assert launched(api) == ["a", "b"]
    api.run_job(api.status("b")["jobName"], address="")
    api.fail("list events", status, times=1)  # why a has no pod
    desk.look()
    assert api.status("b")["phase"] == "Running"
    assert desk.metric("put_off") == 1


def test_an_object_that_does_not_fit_is_left_out(desk: Desk, api: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    api.add_audit("a", mode="Ponder")
    api.add_audit("b", status={"phase": "Levitating"})
    api.add_audit("c")
    desk.look(2)
    assert launched(api) == ["c"]
    assert desk.metric("unfit_audits") == 2
    assert [vars(record)["audit"] for record in caplog.records if "does not fit" in record.message] == ["a", "b"]


def test_a_refused_action_is_told_once(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    api.fail("create jobs", 403, message="exceeded quota: jobs, requested: 1")
    desk.look(5)
    assert told(api) == ["Pending", "QuotaExceeded"]


def test_what_keeps_a_pod_from_being_made_is_told(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    desk.look(2)
    about = {"kind": "Job", "name": api.status("a")["jobName"]}
    refused = {"reason": "FailedCreate", "message": 'pods "a" is forbidden: exceeded quota: pods'}
    api.put("events", {"metadata": {"name": "e"}, "involvedObject": about, **refused})
    desk.look(3)
    assert api.status("a")["message"].startswith("QuotaExceeded: ")
    assert told(api) == ["Pending", "FailedCreate", "QuotaExceeded"]


def test_a_transition_whose_action_fails_is_told(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    api.fail("create jobs", 500, times=1)
    desk.look(3)
    assert told(api) == ["Pending"]


def test_a_webhook_that_does_not_answer_is_named(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    api.fail("create jobs", 500, message='Internal error occurred: failed calling webhook "x": timed out', times=2)
    desk.look(2)
    assert told(api) == ["Pending", "AdmissionRefused"]
    desk.look()
    assert desk.job


# ---- what its pod tells


METRICS = """
mynatca_intercom_run_actions_planned 7
mynatca_intercom_run_actions_done 3
mynatca_intercom_run_last_action_timestamp_seconds 1.7e9
"""


def test_progress_is_what_the_pod_says(desk: Desk, api: ApiServer, pod: RunPod) -> None:
    pod.pages["/metrics"] = METRICS
    api.add_audit("a")
    desk.look(2)
    api.run_job(api.status("a")["jobName"])
    desk.look()
    assert api.status("a")["progress"] == {"total": 7, "done": 3, "lastMoved": "2023-11-14T22:13:20Z"}


@pytest.mark.parametrize("page", ["{", METRICS.replace("7", "NaN"), METRICS.replace("1.7e9", "1e99"), None])
def test_a_pod_that_makes_no_sense_is_no_trouble(desk: Desk, api: ApiServer, pod: RunPod, page: str | None) -> None:
    pod.pages |= {"/metrics": page} if page else {}
    api.add_audit("a")
    desk.look(2)
    api.run_job(api.status("a")["jobName"])
    desk.look()
    assert api.status("a")["phase"] == "Running"
    assert "progress" not in api.status("a")


def plan(desk: Desk, api: ApiServer) -> Object:
    """An object whose plan is being made."""
    api.add_audit("a", approval="Manual")
    desk.look(2)
    status = api.status("a")
    api.run_job(status["jobName"])
    return status


def page(run_id: str, digit: str) -> str:
    """The beginning of a plan whose digest is of one digit."""
    return json.dumps({"run_id": run_id, "plan_digest": digit * 64, "actions_total": 0, "actions": []})


def planned(desk: Desk, api: ApiServer) -> Object:
    """Its status once the plan's Job has ended."""
    status = api.status("a")
    api.end_job(status["jobName"], summary(status["runId"], dry_run=True, plan_digest="0" * 64))
    desk.look(2)
    assert api.status("a")["phase"] == "AwaitingApproval"
    return api.status("a")


def test_the_beginning_of_a_plan_is_kept_before_its_pod_is_let_go(desk: Desk, api: ApiServer, pod: RunPod) -> None:
    pod.pages["/plan"] = page(plan(desk, api)["runId"], "0")
    api.fail("create configmaps", 500, times=1)
    desk.look()
    assert not pod.kept
    desk.restart()
    desk.look()
    assert pod.kept
    kept = planned(desk, api)["planConfigMap"]
    assert api.get("configmaps", kept)["data"] == {"plan.json": pod.pages["/plan"]}


def test_the_beginning_that_is_shown_is_of_the_plan_that_is_approved(desk: Desk, api: ApiServer, pod: RunPod) -> None:
    """Of two attempts at a plan, each has a plan of its own."""
    run_id = plan(desk, api)["runId"]
    pod.pages["/plan"] = page(run_id, "1")
    api.change(PLURAL, "a", lambda stored: stored["spec"].update(suspend=True))
    desk.look(2)
    for each in api.list("pods"):
        api.vanish("pods", each["metadata"]["name"])
    api.change(PLURAL, "a", lambda stored: stored["spec"].update(suspend=False))
    desk.look(4)
    api.run_job(api.status("a")["jobName"])
    pod.pages["/plan"] = page(run_id, "0")
    desk.look()
    kept = planned(desk, api)["planConfigMap"]
    assert api.get("configmaps", kept)["data"] == {"plan.json": page(run_id, "0")}


def test_a_plan_whose_beginning_may_not_be_kept_waits_for_approval_all_the_same(
    desk: Desk, api: ApiServer, pod: RunPod
) -> None:
    pod.pages["/plan"] = page(plan(desk, api)["runId"], "0")
    api.fail("create configmaps", 403, message="exceeded quota: configmaps")
    desk.look()
    assert pod.kept
    api.heal()
    assert "planConfigMap" not in planned(desk, api)


def test_the_plan_of_another_run_is_not_kept(desk: Desk, api: ApiServer, pod: RunPod) -> None:
    plan(desk, api)
    pod.pages["/plan"] = page("another", "0")
    desk.look()
    assert not pod.kept
    assert "planConfigMap" not in planned(desk, api)


# ---- what is lost


def test_a_vanished_job_is_lost_and_not_launched_again(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    desk.look(2)
    api.vanish("jobs", desk.job["metadata"]["name"])
    desk.look()
    assert api.status("a")["phase"] == "Pending"  # the read may be older than the write
    api.change(PLURAL, "a", lambda stored: stored["status"].update(launchTime=LONG_AGO))
    desk.restart()
    desk.look(2)
    assert failure(api) == "JobLost"
    assert api.count("create jobs") == 1


def test_an_object_that_vanishes_is_left_alone(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    api.add_audit("b", dryRun=True)
    api.fail(STATUS, 404, times=1)
    desk.look()
    assert [job["metadata"]["ownerReferences"][0]["name"] for job in api.list("jobs")] == ["b"]


@pytest.mark.parametrize("call", [f"list {PLURAL}", "list jobs", "list pods"])
@pytest.mark.parametrize("status", [410, 429, 500, 503, None])
def test_nothing_is_decided_on_half_a_view(
    desk: Desk, api: ApiServer, monkeypatch: pytest.MonkeyPatch, call: str, status: int | None
) -> None:
    monkeypatch.setattr("mynatca_operator.cluster.TIMEOUT_SECONDS", 0.5)
    api.add_audit("a")
    api.fail(call, status, times=1)
    with pytest.raises((ApiException, TimeoutError)):
        desk.look()
    assert api.writes == []
    desk.look()
    assert desk.job


@pytest.mark.parametrize("status", [503, DROPPED])
def test_the_operator_is_blind_while_nothing_can_be_read(
    desk: Desk, api: ApiServer, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    elapsed = [0.0]

    class Clock:
        monotonic = staticmethod(lambda: elapsed[0])

    monkeypatch.setattr(sweep_module, "time", Clock)
    monkeypatch.setattr(sweep_module, "AT_MOST_EVERY_SECONDS", 0.01)
    desk.restart(sweep_seconds=0.01)

    async def outage() -> None:
        looking = asyncio.create_task(desk.sweeper.run())
        await _until(lambda: desk.sweeper.is_ready)
        api.fail("list jobs", status)
        refused = api.count("list jobs")
        await _until(lambda: api.count("list jobs") > refused + 3)
        assert not desk.sweeper.is_ready
        assert not desk.sweeper.is_blind
        elapsed[0] = 61
        assert desk.sweeper.is_blind
        api.heal()
        await _until(lambda: not desk.sweeper.is_blind)
        assert desk.sweeper.is_ready
        looking.cancel()
        await asyncio.wait({looking})
        assert looking.cancelled()

    desk.runner.run(outage())


async def _until(holds: Any) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# ---- what is written, and what goes


def test_idle_looks_write_nothing(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    desk.look(2)
    desk.end()
    desk.look()
    api.add_audit("b")
    desk.look(2)
    api.run_job(api.status("b")["jobName"], address="")
    desk.look()
    assert api.status("b")["phase"] == "Running"
    written = len(api.writes)
    desk.look(5)
    desk.restart()
    desk.look(5)
    assert len(api.writes) == written


def test_the_record_is_patched_and_created_once_where_there_is_none(desk: Desk, api: ApiServer) -> None:
    for name in ("a", "b"):
        api.add_audit(name)
        desk.look(2)
        desk.end(name)
        desk.look()
        desk.restart()
    desk.look()
    assert api.count("create configmaps") == 1
    assert api.count("patch configmaps") == 3
    assert '"totals":{"Succeeded":2}' in api.get("configmaps", RECORD)["data"]["runs.json"]


def test_a_record_that_the_chart_has_made_is_filled(desk: Desk, api: ApiServer) -> None:
    api.put("configmaps", {"metadata": {"name": RECORD}})
    desk.look()
    assert api.writes == ["patch configmaps"]
    assert "runs.json" in api.get("configmaps", RECORD)["data"]


def test_a_record_that_was_deleted_is_written_again(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    desk.look(2)
    api.vanish("configmaps", RECORD)
    desk.end()
    desk.look()
    assert '"totals":{"Succeeded":1}' in api.get("configmaps", RECORD)["data"]["runs.json"]


def test_a_record_that_cannot_be_stored_is_stored_later(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a")
    desk.look(2)
    desk.end()
    api.fail("patch configmaps", 500, times=1)
    with pytest.raises(ApiException):
        desk.look()
    desk.look()
    assert '"totals":{"Succeeded":1}' in api.get("configmaps", RECORD)["data"]["runs.json"]


def complete(api: ApiServer, name: str, at: str, **spec: Any) -> None:
    condition = {
        "type": "Complete",
        "status": "True",
        "reason": "Succeeded",
        "lastTransitionTime": at,
        "observedGeneration": 1,
    }
    status = {"phase": "Complete", "completionTime": at, "observedGeneration": 1, "conditions": [condition]}
    api.add_audit(name, status=status, **spec)


def test_the_oldest_beyond_what_is_kept_go(desk: Desk, api: ApiServer) -> None:
    for name, day in (("a", 3), ("b", 1), ("c", 2)):
        complete(api, name, f"2026-01-0{day}T00:00:00Z")
    desk.restart(kept_complete=2, kept_failed=0)
    desk.look()
    assert [each["metadata"]["name"] for each in api.list(PLURAL)] == ["a", "c"]
    assert '"totals":{"Succeeded":3}' in api.get("configmaps", RECORD)["data"]["runs.json"]


def test_an_object_goes_only_once_its_run_is_on_record(desk: Desk, api: ApiServer) -> None:
    api.add_audit("a", ttlSecondsAfterFinished=0)
    desk.look(2)
    desk.end()
    api.fail("patch configmaps", 500)
    for _ in range(3):
        with pytest.raises(ApiException):
            desk.look()
    assert len(api.list(PLURAL)) == 1
    desk.restart()
    api.heal()
    desk.look(2)
    assert api.list(PLURAL) == []
    assert '"totals":{"Succeeded":1}' in api.get("configmaps", RECORD)["data"]["runs.json"]


def test_one_that_cannot_be_removed_keeps_no_other(desk: Desk, api: ApiServer) -> None:
    for name in ("a", "b"):
        complete(api, name, LONG_AGO)
    desk.restart(kept_complete=0)
    api.fail(f"delete {PLURAL}", 500, times=1)
    desk.look()
    assert [each["metadata"]["name"] for each in api.list(PLURAL)] == ["a"]


def test_a_record_that_cannot_be_read_is_begun_anew(desk: Desk, api: ApiServer) -> None:
    api.put("configmaps", {"metadata": {"name": RECORD}, "data": {"runs.json": "{"}})
    complete(api, "a", LONG_AGO)
    desk.look()
    assert '"totals":{"Succeeded":1}' in api.get("configmaps", RECORD)["data"]["runs.json"]


def test_an_object_goes_after_its_time(desk: Desk, api: ApiServer) -> None:
    complete(api, "a", LONG_AGO, ttlSecondsAfterFinished=60)
    complete(api, "b", LONG_AGO)
    desk.look()
    assert [each["metadata"]["name"] for each in api.list(PLURAL)] == ["b"]


# ---- the definition


def test_the_definition_of_this_version_fits(desk: Desk) -> None:
    desk.runner.run(ensure_served(desk.client))
    desk.runner.run(ensure_current(desk.client))


def test_a_missing_definition_is_named(desk: Desk, api: ApiServer) -> None:
    api.has_definition = False
    with pytest.raises(DefinitionUnfit, match="has no CustomResourceDefinition intercomaudits"):
        desk.runner.run(ensure_served(desk.client))


@pytest.mark.parametrize(
    "missing", ["spec.undo", "spec.audit.archive", "spec.manualUpdate.mappings.memberNumber", "status.planDigest"]
)
def test_an_older_definition_is_named_with_what_it_lacks(desk: Desk, api: ApiServer, missing: str) -> None:
    *path, last = missing.split(".")
    part = api.definition
    for name in path:
        part = part["properties"][name]
        part = part.get("items", part)
    del part["properties"][last]
    with pytest.raises(DefinitionUnfit, match=f"it has no {missing}\\."):
        desk.runner.run(ensure_current(desk.client))


# ---- who else writes


def test_nobody_writes_beside_a_pod_whose_job_has_failed_already(desk: Desk, api: ApiServer) -> None:
    """Kubernetes 1.29 and 1.30 do not wait for the pods of a Job that has failed."""
    api.add_audit("a", activeDeadlineSeconds=5)
    desk.look(2)
    name = api.status("a")["jobName"]
    api.run_job(name)
    api.add_audit("b")
    over = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": LONG_AGO}
    api.change("jobs", name, lambda job: job.update(status={"conditions": [over]}))
    desk.look(3)
    assert (api.status("a")["phase"], api.status("b")["phase"]) == ("Running", "Waiting")
    api.change("pods", f"{name}-pod", lambda pod: pod["status"].update(phase="Failed"))
    desk.look(3)
    assert (failure(api), api.status("b")["phase"]) == ("DeadlineExceeded", "Pending")


def test_nobody_writes_beside_the_pod_of_a_night_that_was_started_by_hand_and_deleted(
    desk: Desk, api: ApiServer
) -> None:
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": "cron", "controller": True}
    labels = {KIND_LABEL: "Nightly"}
    metadata = {"name": "catch-up-1", "labels": labels, "ownerReferences": [owner]}
    api.put("jobs", {"metadata": metadata, "spec": deepcopy(TEMPLATE["spec"])})
    api.change("jobs", "catch-up-1", lambda job: job["spec"]["template"]["metadata"].update(labels=labels))
    api.run_job("catch-up-1")
    api.vanish("jobs", "catch-up-1", owned=False)
    api.add_audit("a")
    desk.look(2)
    assert api.status("a")["phase"] == "Waiting"
    api.vanish("pods", "catch-up-1-pod")
    desk.look(2)
    assert api.status("a")["phase"] == "Pending"


# ---- what is not let in


@pytest.mark.parametrize("status", [403, 422])
def test_a_policy_of_admission_is_named_and_may_be_mended(desk: Desk, api: ApiServer, status: int) -> None:
    text = "jobs \"x\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression"
    api.fail("create jobs", status, message=text, times=1)
    api.add_audit("a")
    desk.look()
    desk.look()
    assert api.status("a")["phase"] == "Pending"
    desk.look()
    assert api.count("create jobs") == 2


def test_a_quota_on_the_mappings_is_named(desk: Desk, api: ApiServer) -> None:
    api.put("configmaps", {"metadata": {"name": RECORD}})
    api.fail("create configmaps", 403, message='configmaps "m" is forbidden: exceeded quota: tight')
    mappings = [{"contactId": "0" * 24, "memberNumber": "1"}]
    api.add_audit("a", mode="ManualUpdate", manualUpdate={"mappings": mappings})
    desk.look(2)
    assert api.status("a")["message"].startswith("QuotaExceeded: ")
    api.heal()
    desk.look(2)
    assert api.count("create jobs") == 1


def test_an_api_server_that_does_not_describe_the_resource_yet_is_waited_for(desk: Desk, api: ApiServer) -> None:
    api.has_definition = False
    with pytest.raises(ApiException, match="404"):
        desk.runner.run(ensure_current(desk.client))


# ---- what is kept


def test_an_object_with_a_time_of_its_own_is_no_surplus(desk: Desk, api: ApiServer) -> None:
    complete(api, "a", "2099-01-01T00:00:00Z", ttlSecondsAfterFinished=31_536_000)
    complete(api, "b", "2099-01-02T00:00:00Z")
    complete(api, "c", "2099-01-03T00:00:00Z")
    desk.restart(kept_complete=1)
    desk.look()
    assert [each["metadata"]["name"] for each in api.list(PLURAL)] == ["a", "c"]

"""`helm install`, and it runs: one release of the whole chart, from its installation to its end.

The tests are one story and run in their order.
"""

import json
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mynatca_sandbox.world.generate import WorldOptions, generate
from support.cluster import WORLD, Namespace, Object, until
from support.discovery import discovery
from support.helm import CHART
from support.nginx import nginx
from support.prometheus import Prometheus, monitored, prometheus
from support.release import HOST, VALUES, Release, released
from support.webhook_service import signed

Json = dict[str, Any]
KEPT = {"mynatca-runs", "mynatca-webhook"}
"""Claims that outlive a release."""
MEMBERS = generate(WorldOptions(**WORLD)).tables["members"]
WRITERS = 60
"""Members who write in while the webhook's pod is killed."""
RETRY_SECONDS = 10
"""In place of Intercom's minute."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def release(client: httpx.Client) -> Iterator[Release]:
    with released(client) as release:
        release.namespace.sandbox("PUT", "world", WORLD)
        release.namespace.sandbox("PATCH", "options", {"webhook_retry_seconds": RETRY_SECONDS})
        yield release


@pytest.fixture(scope="module")
def server(release: Release, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Scrapes the release as its PodMonitors say."""
    with discovery(release.namespace.client) as address:
        scrapes = [monitored(each, address) for each in release.monitors()]
        with prometheus(tmp_path_factory.mktemp("prometheus"), scrapes) as server:
            yield server


@pytest.fixture(autouse=True)
def _shown(release: Release, request: pytest.FixtureRequest) -> Iterator[None]:
    """Show what is there when a test fails."""
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        for part in ("webhook", "operator"):
            print(release.namespace.kubectl("logs", f"deployment/mynatca-{part}", "--tail=50"))  # noqa: T201
        print(release.namespace.kubectl("get", "intercomaudits,jobs,pods,events", "--output=wide"))  # noqa: T201


def test_it_is_ready_when_helm_says_so(release: Release, figure: Callable[[str, float], None]) -> None:
    figure("chart.demo_install_seconds", round(release.seconds, 1))
    deployments = json.loads(release.namespace.kubectl("get", "deployments", "--output=json"))["items"]
    ready = {each["metadata"]["name"]: each["status"].get("readyReplicas") for each in deployments}
    assert ready == {"mynatca-operator": 1, "mynatca-sandbox": 1, "mynatca-webhook": 1}


@pytest.mark.parametrize("part", ["webhook", "operator", "sandbox"])
def test_nothing_can_be_installed_into_a_pod(release: Release, part: str) -> None:
    pip = "for python in /venv/bin/python python3; do $python -c 'import pip' 2>/dev/null && echo $python; done"
    look = f"command -v pip pip3 uv gcc cc; {pip}; true"
    assert release.namespace.kubectl("exec", f"deployment/mynatca-{part}", "--", "sh", "-c", look) == ""


def test_it_finds_itself_well(release: Release) -> None:
    assert "Phase:          Succeeded" in release.helm("test", "--timeout=3m")


def test_a_night_completes_and_its_figures_are_in_prometheus(release: Release, server: Prometheus) -> None:
    # Prometheus takes up to five seconds to take a new pod in.
    release.namespace.sandbox("PATCH", "options", {"latency": 2})
    release.namespace.kubectl("create", "job", "night", "--from=cronjob/mynatca-nightly")
    done = 'max_over_time(mynatca_intercom_run_actions_done{component="run", release="demo"}[5m]) > 0'
    until(lambda: server.ask(done), "it is scraped", 120)
    release.namespace.sandbox("PATCH", "options", {"latency": 0})
    release.namespace.kubectl("wait", "--for=condition=Complete", "job/night", "--timeout=120s")
    success = 'mynatca_intercom_operator_last_run_succeeded{kind="NightlySync", release="demo"} == 1'
    until(lambda: server.ask(success), "the operator tells of it", 90)
    updated = 'mynatca_intercom_operator_last_run_rows{kind="NightlySync", result="created"}'
    assert float(server.ask(updated)[0]["value"][1]) > 0
    assert {each["metric"]["component"] for each in server.ask("up == 1")} >= {"webhook", "operator"}


def test_a_dry_run_completes(release: Release) -> None:
    before = release.namespace.contacts()
    release.namespace.audit("dry", mode="Audit", dryRun=True).reaches("Complete")
    assert release.namespace.contacts() == before


def test_a_manual_update_completes(release: Release) -> None:
    lead = next(each for each in release.namespace.contacts() if each["role"] == "lead" and not each["archived"])
    number = MEMBERS[0]["membernumber"]
    mappings = [{"contactId": lead["id"], "memberNumber": number}]
    release.namespace.audit("by-hand", mode="ManualUpdate", manualUpdate={"mappings": mappings}).reaches("Complete")
    after = {each["id"]: each for each in release.namespace.contacts()}
    survivor = after[lead["id"]].get("merged_into") or lead["id"]
    assert after[survivor]["external_id"] == number


def test_an_approved_audit_is_done_and_undone(release: Release) -> None:
    before = {each["id"] for each in release.namespace.contacts() if each["archived"]}
    audit = release.namespace.audit("approved", mode="Audit", approval="Manual")
    digest = audit.reaches("AwaitingApproval")["planDigest"]
    release.namespace.patch("intercomaudits", "approved", {"spec": {"approvedPlan": digest}})
    run_id = audit.reaches("Complete")["runId"]
    archived = {each["id"] for each in release.namespace.contacts() if each["archived"]} - before
    assert archived
    release.namespace.audit("back", mode="Undo", undo={"runId": run_id}).reaches("Complete")
    assert {each["id"] for each in release.namespace.contacts() if each["archived"]} == before


def test_notifications_come_in_through_the_ingress_and_nothing_else_does(release: Release, tmp_path: Path) -> None:
    ingress = release.namespace.get("ingresses", "mynatca-webhook")
    assert ingress is not None
    member = people(release)[0]
    known = {each["id"] for each in release.namespace.contacts()}
    talk = silent_visitor(release, member)
    (contact_id,) = {each["id"] for each in release.namespace.contacts()} - known
    body = notification(talk, contact_id)
    with (
        nginx(release.namespace, ingress, tmp_path) as port,
        httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trust(release), headers={"Host": HOST}) as client,
    ):
        host = {"sni_hostname": HOST}
        for path in ("/readyz", "/metrics", "/openapi.json", "/", "/api/intercomx"):
            assert client.get(path, extensions=host).status_code == 404, path
        forged = client.post("/api/intercom/webhook", content=body, headers=signed(body, "?"), extensions=host)
        assert forged.status_code == 401
        answer = client.post("/api/intercom/webhook", content=body, headers=signed(body), extensions=host)
        assert (answer.status_code, answer.json()) == (200, {"received": True})
    until(lambda: number_seen(release, talk) == member["number"], "the contact is enriched")


def test_who_writes_in_is_known(release: Release) -> None:
    """By the sandbox's own notifications, through the Service."""
    member = people(release)[1]
    talk = release.inbox("POST", "visitors", {"email": member["email"], "body": "Hello"})
    until(lambda: number_seen(release, talk) == member["number"], "the contact is enriched")


def test_a_tagged_conversation_is_synced_again(release: Release) -> None:
    number = people(release)[2]["number"]
    talk = release.inbox("POST", "visitors", {"email": "new.address@elsewhere.example.net", "body": "It is me"})
    release.inbox("PUT", f"conversations/{talk['id']}/verification", {"value": number})
    release.inbox("POST", f"conversations/{talk['id']}/tag")
    until(lambda: not release.inbox("GET", f"conversations/{talk['id']}")["tags"], "the tag is taken off")
    assert number_seen(release, talk) == number


def test_a_pod_that_is_killed_under_load_loses_nothing(release: Release) -> None:
    release.namespace.sandbox("PUT", "world", WORLD | {"contacts": "synced"})
    emails = Counter(member["email"].casefold() for member in MEMBERS if member["email"])
    plain = [each for each in MEMBERS if each["status"] == "Active" and emails[(each["email"] or "").casefold()] == 1]
    talks = {}
    for number, member in enumerate(plain[:WRITERS]):
        talk = release.inbox("POST", "visitors", {"email": member["email"], "body": "Hello"})
        talks[talk["id"]] = (talk, member["membernumber"])
        if number in {WRITERS // 3, 2 * WRITERS // 3}:
            selector = "--selector=app.kubernetes.io/component=webhook"
            release.namespace.kubectl("delete", "pod", selector, "--force", "--grace-period=0", "--wait=false")
    for talk, expected in talks.values():
        until(lambda: number_seen(release, talk) == expected, f"{expected} is known", 120)  # noqa: B023


def test_an_upgrade_ends_no_run(release: Release) -> None:
    release.namespace.sandbox("PATCH", "options", {"latency": 0.3})
    audit = release.namespace.audit("through", mode="Audit")
    audit.reaches("Running")
    # The operator and the template of its Jobs change; the sandbox stays, as it has the only copy of its world.
    release.helm("upgrade", str(CHART), "--wait", "--timeout=5m", values=VALUES | {"runs": {"maxFailedRows": "2%"}})
    release.namespace.sandbox("PATCH", "options", {"latency": 0})
    assert audit.reaches("Complete")["attempt"] == 1
    assert len(audit.jobs) == 1
    after = release.namespace.audit("after", mode="Audit", dryRun=True)
    after.reaches("Complete")
    assert "2%" in after.pods[0]["spec"]["containers"][0]["args"]


def test_uninstalling_leaves_the_definition_and_the_claims(release: Release) -> None:
    release.namespace.kubectl("delete", "intercomaudits", "--all", "--timeout=60s")
    release.helm("uninstall", "--wait", "--timeout=3m")
    until(lambda: left(release.namespace) == {f"persistentvolumeclaim/{name}" for name in KEPT}, "all else is gone")
    assert release.namespace.find("intercomaudits") == []  # the definition answers


def left(namespace: Namespace) -> set[str]:
    """What is in the namespace, but for what Kubernetes itself puts into each, and for what is told of the past."""
    kinds = namespace.kubectl("api-resources", "--namespaced", "--verbs=list", "--output=name").split()
    told = {"events", "events.events.k8s.io"}
    found = namespace.kubectl("get", ",".join(sorted(set(kinds) - told)), "--output=json", "--ignore-not-found")
    items: list[Object] = json.loads(found)["items"] if found else []
    names = {f"{each['kind'].lower()}/{each['metadata']['name']}" for each in items}
    return names - {"configmap/kube-root-ca.crt", "serviceaccount/default", "secret/mynatca-webhook-tls"}


def people(release: Release) -> list[dict[str, str]]:
    """Some members, of whom nothing is in doubt when they write in."""
    return list(release.inbox("GET", "people")["people"])


def silent_visitor(release: Release, member: dict[str, str]) -> Json:
    """A member who has written in without a word to the webhook."""
    options = release.namespace.sandbox("GET", "options")
    release.namespace.sandbox("PATCH", "options", {"webhook_url": ""})
    talk: Json = release.inbox("POST", "visitors", {"email": member["email"], "body": "Hello"})
    release.namespace.sandbox("PATCH", "options", {"webhook_url": options["webhook_url"]})
    assert number_seen(release, talk) is None
    return talk


def notification(talk: Json, contact_id: str) -> bytes:
    """What Intercom sends of a conversation, in bytes that no reader of JSON would write again in the same way."""
    contacts = {"type": "contact.list", "contacts": [{"type": "contact", "id": contact_id}]}
    item = {"type": "conversation", "id": talk["id"], "contacts": contacts}
    envelope = {"id": "notif_1", "topic": "conversation.user.created", "created_at": 1, "data": {"item": item}}
    return json.dumps(envelope, indent=3).replace('"notif_1"', '"notif_\\u0031"').encode() + b"\n \n"


def number_seen(release: Release, talk: Json) -> str | None:
    """Whose conversation it is, as an agent sees it."""
    fields = release.inbox("GET", f"conversations/{talk['id']}")["contact"]["fields"]
    return fields["external_id"] if fields["role"] == "user" else None


def trust(release: Release) -> ssl.SSLContext:
    context = ssl.create_default_context()
    release.authority.configure_trust(context)
    return context

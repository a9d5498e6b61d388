"""An API server of the test: the few resources that the operator uses, over real HTTP, with faults at will.

It keeps to what the operator rests on: resource versions with conflicts, label and field selectors, merge patches,
watches that stay open, and the removal of what a removed object owns. It runs no pods: a test says what they do.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from mynatca_operator.crd import schema
from mynatca_operator.resource import GROUP, KIND, PLURAL, VERSION
from support.cluster import PATHS

NAMESPACE = "test"
RESOURCES = {"intercomaudits": KIND, "jobs": "Job", "pods": "Pod", "events": "Event", "configmaps": "ConfigMap"}
JOB_KIND = "Job"
WRITES = ("create", "patch", "delete")

DROPPED = 0

Object = dict[str, Any]


@dataclass
class Fault:
    """What becomes of some calls.

    Attributes:
        call: Verb and resource, as in "create jobs".
        status: What is answered; None: nothing, ever; `DROPPED`: the connection ends.
        message: The sentence in the answer.
        skip: So many calls before it go well.
        times: So many calls meet it.
        late: Whether the call is carried out all the same, so that only its answer is lost.
    """

    call: str
    status: int | None
    message: str = "injected"
    skip: int = 0
    times: int = 1_000_000
    late: bool = False


@dataclass(frozen=True)
class _Watch:
    resource: str
    selector: str
    queue: "asyncio.Queue[Object | None]" = field(default_factory=asyncio.Queue)


class ApiServer:
    """An API server, in a thread of its own; names are unique in all its namespaces.

    Attributes:
        url: Where it is.
        calls: Every call so far, as in "create jobs" or "patch intercomaudits/status".
        resources: What discovery says that there is, by group and version.
        definition: The OpenAPI schema of the custom resource.
    """

    def __init__(self) -> None:
        self.url = ""
        self.calls: list[str] = []
        self.definition = schema()
        self.has_definition = True
        self._objects: dict[tuple[str, str], Object] = {}
        self._history: list[tuple[str, Object]] = []
        self._forgotten = 0
        self._faults: list[Fault] = []
        self._watches: list[_Watch] = []
        self._versions = count(100)
        self._lock = threading.RLock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.heal()
        self.end_watches()
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    # ---- what a test says and asks

    def fail(self, call: str, status: int | None, **more: Any) -> None:
        """Let calls meet a fault from now on; see `Fault`."""
        self._faults.append(Fault(call, status, **more))

    def heal(self) -> None:
        """Take all faults away; calls that were never answered are let go."""
        self._faults.clear()

    def count(self, call: str) -> int:
        """How often something was called."""
        return self.calls.count(call)

    @property
    def writes(self) -> list[str]:
        """All calls so far that change something."""
        return [call for call in self.calls if call.startswith(WRITES)]

    def get(self, resource: str, name: str) -> Object:
        """An object as it is stored."""
        with self._lock:
            return deepcopy(self._objects[resource, name])

    def list(self, resource: str) -> list[Object]:
        """All objects of a resource, in the order in which they were created."""
        with self._lock:
            return [deepcopy(each) for (kind, _), each in self._objects.items() if kind == resource]

    def status(self, name: str) -> Object:
        """The status of an IntercomAudit."""
        return dict(self.get(PLURAL, name).get("status", {}))

    def put(self, resource: str, body: Object) -> Object:
        """Create an object."""
        with self._lock:
            made = deepcopy(body)
            meta = made.setdefault("metadata", {})
            version = next(self._versions)
            meta |= {"namespace": meta.get("namespace", NAMESPACE), "uid": f"uid-{version}", "generation": 1}
            meta.setdefault("creationTimestamp", now())
            made |= {"kind": RESOURCES[resource], "apiVersion": PATHS[resource].partition("/")[2]}
            self._objects[resource, meta["name"]] = made
            return self._store("ADDED", resource, made, version)

    def change(self, resource: str, name: str, change: Callable[[Object], object]) -> Object:
        """Change a stored object in place."""
        with self._lock:
            found = self._objects[resource, name]
            change(found)
            return self._store("MODIFIED", resource, found, next(self._versions))

    def vanish(self, resource: str, name: str, *, owned: bool = True) -> None:
        """Remove an object and what it owns, or the object alone, as when its pods take their time."""
        with self._lock:
            gone = self._objects.pop((resource, name))
            self._store("DELETED", resource, gone, next(self._versions))
            uid = gone["metadata"]["uid"]
            below = [
                key
                for key, each in self._objects.items()
                if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences", []))
            ]
            for each in below if owned else ():
                if each in self._objects:
                    self.vanish(*each)

    def add_audit(
        self, name: str, mode: str = "Audit", status: Object | None = None, namespace: str = NAMESPACE, **spec: Any
    ) -> Object:
        """Create an IntercomAudit; `spec` in the names of the API."""
        body: Object = {"metadata": {"name": name, "namespace": namespace}, "spec": {"mode": mode, **spec}}
        return self.put(PLURAL, body | ({"status": status} if status else {}))

    def run_job(self, name: str, address: str = "127.0.0.1") -> Object:
        """Let a Job have a pod whose container runs."""
        job = self.get("jobs", name)
        assert not job["spec"].get("suspend"), "a Job that is suspended has no pod"
        meta = job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": JOB_KIND, "name": name, "uid": meta["uid"], "controller": True}
        labels = job["spec"]["template"]["metadata"].get("labels", {}) | {"batch.kubernetes.io/job-name": name}
        pod = {
            "metadata": {
                "name": f"{name}-pod",
                "namespace": meta["namespace"],
                "labels": labels,
                "ownerReferences": [owner],
            },
            "spec": job["spec"]["template"]["spec"],
            "status": {"phase": "Running", "podIP": address},
        }
        pod["status"] |= {"containerStatuses": [_container({"running": {"startedAt": now()}})]}
        made = self.put("pods", pod)
        self.change("jobs", name, lambda job: job.update(status={"active": 1}))
        return made

    def end_job(self, name: str, message: str, exit_code: int = 0) -> None:
        """Let a Job and its running pod end, with a termination message."""
        ended = {"exitCode": exit_code, "message": message, "startedAt": now(), "finishedAt": now()}
        phase = "Succeeded" if exit_code == 0 else "Failed"
        state = {"phase": phase, "containerStatuses": [_container({"terminated": ended})]}
        self.change("pods", f"{name}-pod", lambda pod: pod["status"].update(state))
        before, last = ("SuccessCriteriaMet", "Complete") if exit_code == 0 else ("FailureTarget", "Failed")
        conditions = [
            {"type": each, "status": "True", "reason": "", "lastTransitionTime": now()} for each in (before, last)
        ]
        self.change("jobs", name, lambda job: job.update(status={"conditions": conditions}))

    def end_watches(self) -> None:
        """Close all watches, as a restart does."""
        with self._lock:
            for watch in self._watches:
                self._loop.call_soon_threadsafe(watch.queue.put_nowait, None)

    def forget_history(self) -> None:
        """Let watches that go on where they were meet 410, Gone."""
        with self._lock:
            self._forgotten = next(self._versions)

    # ---- the server

    def _store(self, kind: str, resource: str, stored: Object, version: int) -> Object:
        stored["metadata"]["resourceVersion"] = str(version)
        event = {"type": kind, "object": deepcopy(stored)}
        self._history.append((resource, event))
        for watch in self._watches:
            if watch.resource == resource and _has_labels(stored, watch.selector):
                self._loop.call_soon_threadsafe(watch.queue.put_nowait, event)
        return deepcopy(stored)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.strip("/")
        if "/namespaces/" in path:
            prefix, _, rest = path.partition("/namespaces/")
            namespace, resource, name, sub = (*rest.split("/"), "", "")[:4]
        else:
            prefix, _, resource = path.rpartition("/")
            namespace, name, sub = "", "", ""
            if PATHS.get(resource) != prefix:
                return self._describe(path)
        if PATHS.get(resource) != prefix or (resource == PLURAL and not self.has_definition):
            return _refuse(404, "the server could not find the requested resource")
        verb = _verb(request, name)
        call = f"{verb} {resource}" + (f"/{sub}" if sub else "")
        self.calls.append(call)
        fault = self._fault(call)
        if fault and fault.status is None:
            while fault in self._faults:  # noqa: ASYNC110 - until the client leaves, or the test takes the fault away
                await asyncio.sleep(0.02)
            return _refuse(503, "was stalled")
        if fault and fault.status == DROPPED:
            if request.transport:
                request.transport.close()
            return web.Response()
        if fault and fault.status and not fault.late:
            return _refuse(fault.status, fault.message)
        answer = await self._carry_out(request, verb, resource, namespace, name)
        return _refuse(fault.status, fault.message) if fault and fault.status else answer

    def _fault(self, call: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.call != call or not fault.times:
                    continue
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    async def _carry_out(  # noqa: PLR0911
        self, request: web.Request, verb: str, resource: str, namespace: str, name: str
    ) -> web.StreamResponse:
        if verb == "watch":
            return await self._watch(request, resource)
        body = await request.json() if verb in ("create", "patch") else {}
        with self._lock:
            if verb == "list":
                return self._list(request, resource, namespace)
            if verb == "create":
                if (resource, body["metadata"]["name"]) in self._objects:
                    return _refuse(409, "already exists")
                body["metadata"]["namespace"] = namespace
                return web.json_response(self.put(resource, body), status=201)
            found = self._objects.get((resource, name))
            if found is None or found["metadata"]["namespace"] != namespace:
                return _refuse(404, f"{resource} {name} not found")
            if verb == "patch":
                version = body.get("metadata", {}).get("resourceVersion")
                if version not in (None, found["metadata"]["resourceVersion"]):
                    return _refuse(409, "the object has been modified")
                return web.json_response(self.change(resource, name, lambda stored: merge(stored, body)))
            if verb == "delete":
                self.vanish(resource, name)
            return web.json_response(found)

    def _list(self, request: web.Request, resource: str, namespace: str) -> web.Response:
        items = [
            each
            for each in self.list(resource)
            if namespace in ("", each["metadata"]["namespace"])
            and _has_labels(each, request.query.get("labelSelector", ""))
            and _has_fields(each, request.query.get("fieldSelector", ""))
        ]
        version = str(next(self._versions))
        kind, group = f"{RESOURCES[resource]}List", PATHS[resource].partition("/")[2]
        return web.json_response(
            {"kind": kind, "apiVersion": group, "metadata": {"resourceVersion": version}, "items": items}
        )

    async def _watch(self, request: web.Request, resource: str) -> web.StreamResponse:
        since = int(request.query.get("resourceVersion") or 0)
        watch = _Watch(resource, request.query.get("labelSelector", ""))
        with self._lock:
            if since < self._forgotten:
                return _refuse(410, "too old resource version")
            for kind, event in self._history:
                stored = event["object"]
                newer = int(stored["metadata"]["resourceVersion"]) > since
                if kind == resource and newer and _has_labels(stored, watch.selector):
                    watch.queue.put_nowait(event)
            self._watches.append(watch)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await response.prepare(request)
            while told := await watch.queue.get():
                await response.write(json.dumps(told).encode() + b"\n")
        finally:
            self._watches.remove(watch)
        return response

    def _describe(self, path: str) -> web.Response:
        """Discovery and OpenAPI."""
        ours = f"{GROUP}/{VERSION}"
        if path == "api":
            return web.json_response({"kind": "APIVersions", "versions": ["v1"]})
        if path == "apis":
            groups = ["batch/v1", *([ours] if self.has_definition else [])]
            return web.json_response({"kind": "APIGroupList", "groups": [_group(each) for each in groups]})
        if path == f"openapi/v3/apis/{ours}" and self.has_definition:
            kind = {"group": GROUP, "version": VERSION, "kind": KIND}
            described = self.definition | {"x-kubernetes-group-version-kind": [kind]}
            return web.json_response({"openapi": "3.0.0", "components": {"schemas": {f"{GROUP}.{KIND}": described}}})
        resources = [name for name in RESOURCES if PATHS[name] == path]
        if not resources or (PLURAL in resources and not self.has_definition):
            return _refuse(404, "the server could not find the requested resource")
        names = [*resources, *(f"{name}/status" for name in resources)]
        listed = [
            {
                "name": name,
                "singularName": "",
                "namespaced": True,
                "kind": RESOURCES[name.partition("/")[0]],
                "verbs": ["get", "list", "watch", "create", "patch", "delete"],
            }
            for name in names
        ]
        if path == "api/v1":  # kopf looks for it before it watches anything
            namespaces = {"name": "namespaces", "singularName": "", "namespaced": False, "kind": "Namespace"}
            listed.append(namespaces | {"verbs": ["list"]})
        group = path.removeprefix("apis/").removeprefix("api/")
        return web.json_response({"kind": "APIResourceList", "groupVersion": group, "resources": listed})


def now() -> str:
    """The moment as the API server writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merge(stored: Object, patch: Object) -> None:
    """Apply a JSON merge patch (RFC 7396) in place."""
    for name, value in patch.items():
        if value is None:
            stored.pop(name, None)
        elif isinstance(value, dict):
            if not isinstance(stored.get(name), dict):
                stored[name] = {}
            merge(stored[name], value)
        else:
            stored[name] = value


def _verb(request: web.Request, name: str) -> str:
    if request.method == "GET" and not name:
        return "watch" if request.query.get("watch") == "true" else "list"
    return {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}[request.method]


def _pairs(selector: str) -> Iterator[tuple[str, str | None]]:
    for part in filter(None, selector.split(",")):
        name, sign, value = part.partition("=")
        yield name, value if sign else None


def _has_labels(stored: Object, selector: str) -> bool:
    labels = stored["metadata"].get("labels", {})
    return all(name in labels and value in (None, labels[name]) for name, value in _pairs(selector))


def _has_fields(stored: Object, selector: str) -> bool:
    for path, value in _pairs(selector):
        found: Any = stored
        for name in path.split("."):
            found = found.get(name, {})
        if found != value:
            return False
    return True


def _container(state: Object) -> Object:
    return {
        "name": "syncjob",
        "image": "syncjob",
        "imageID": "",
        "ready": True,
        "restartCount": 0,
        "state": state,
    }


def _group(version: str) -> Object:
    each = {"groupVersion": version, "version": version.partition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [each], "preferredVersion": each}


def _refuse(status: int, message: str) -> web.Response:
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "message": message}
    return web.json_response(body, status=status)

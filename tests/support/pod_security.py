"""The restricted Pod Security Standard, rule by rule, and what we ask of a pod on top."""

from collections.abc import Iterator
from typing import Any

from support.manifests import Pod

_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
_OF_THE_NODE = ("hostNetwork", "hostPID", "hostIPC")
_FORBIDDEN = ("privileged", "procMount", "seLinuxOptions", "windowsOptions")


def breaches(pod: Pod) -> list[str]:
    """What is wrong with a pod, in words."""
    return [*_of_pod(pod.spec), *(fault for each in pod.containers for fault in _of_container(pod.spec, each))]


def _of_pod(spec: dict[str, Any]) -> Iterator[str]:
    security = spec.get("securityContext", {})
    yield from (f"{field} is set" for field in _OF_THE_NODE if spec.get(field))
    yield from (f"{field} is set" for field in ("sysctls", *_FORBIDDEN) if security.get(field))
    for volume in spec.get("volumes", []):
        if not set(volume) - {"name"} <= _VOLUMES:
            yield f"volume {volume['name']} is of a kind that is not allowed"
    if spec.get("ephemeralContainers"):
        yield "there are ephemeral containers"


def _of_container(spec: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    security = spec.get("securityContext", {}) | own
    name = container["name"]
    if security.get("runAsNonRoot") is not True or security.get("runAsUser") == 0:
        yield f"{name} may run as root"
    if security.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield f"{name} has no seccomp profile"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{name} may gain privileges"
    capabilities = own.get("capabilities", {})
    if capabilities.get("drop") != ["ALL"] or not set(capabilities.get("add", [])) <= {"NET_BIND_SERVICE"}:
        yield f"{name} has capabilities"
    yield from (f"{name} has {field}" for field in _FORBIDDEN if own.get(field))
    if any("hostPort" in port for port in container.get("ports", [])):
        yield f"{name} takes a port of the node"
    if any("host" in handler for handler in _handlers(container)):
        yield f"{name} is probed at a host of its own"
    yield from _on_top(spec, container)


def _on_top(spec: dict[str, Any], container: dict[str, Any]) -> Iterator[str]:
    """A root filesystem that is read only, with a place for temporary files; requests, and a limit of memory."""
    name = container["name"]
    if container["securityContext"].get("readOnlyRootFilesystem") is not True:
        yield f"{name} may write to its root filesystem"
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", {})) or "memory" not in resources.get("limits", {}):
        yield f"{name} lacks requests, or a limit of memory"
    volumes = {each["name"]: each for each in spec.get("volumes", [])}
    places = {each["mountPath"]: volumes.get(each["name"], {}) for each in container.get("volumeMounts", [])}
    if "command" not in container and "emptyDir" not in places.get("/tmp", {}):  # noqa: S108 - Python's own place
        yield f"{name} has no /tmp"


def _handlers(container: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        for kind in ("httpGet", "tcpSocket"):
            if kind in container.get(probe, {}):
                yield container[probe][kind]

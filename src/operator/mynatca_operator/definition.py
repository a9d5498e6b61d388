"""Whether the cluster has the custom resource that this operator knows, read from discovery and OpenAPI alone."""

import json
from collections.abc import Iterator
from typing import Any

from kubernetes.aio.client import ApiClient, ApiException, CustomObjectsApi

from mynatca_operator.crd import schema
from mynatca_operator.resource import GROUP, KIND, PLURAL, VERSION

TIMEOUT_SECONDS = 10.0


class DefinitionUnfit(Exception):
    """The custom resource is missing or too old; the text says what to do."""


async def ensure_served(api: ApiClient) -> None:
    """Make sure that the API server serves the resource.

    Raises:
        DefinitionUnfit: it does not.
        ApiException, OSError, TimeoutError: it does not say.
    """
    try:
        found: Any = await CustomObjectsApi(api).get_api_resources(GROUP, VERSION, _request_timeout=TIMEOUT_SECONDS)
    except ApiException as error:
        if error.status != 404:
            raise
        raise DefinitionUnfit(_missing()) from error
    names = {each.name for each in found.resources}
    if not {PLURAL, f"{PLURAL}/status"} <= names:
        raise DefinitionUnfit(_missing())


async def ensure_current(api: ApiClient) -> None:
    """Make sure that the resource has every field that this operator knows.

    Raises:
        DefinitionUnfit: it is older.
        ApiException, OSError, TimeoutError: the API server does not say.
    """
    raw: Any = api  # the client has no typed call for this path
    path = f"/openapi/v3/apis/{GROUP}/{VERSION}"
    headers = {"Accept": "application/json"}
    request = await raw.param_serialize("GET", path, header_params=headers, auth_settings=["BearerToken"])
    answer = await raw.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
    await answer.read()
    if answer.status != 200:
        raise ApiException(status=answer.status, reason=answer.reason)
    described = json.loads(answer.data)
    schemas: list[dict[str, Any]] = list(described["components"]["schemas"].values())
    theirs: dict[str, Any] = next((each for each in schemas if _is_ours(each)), {})
    missing = next(_missing_fields(schema(), theirs), None)
    if missing:
        raise DefinitionUnfit(
            f"The CustomResourceDefinition {PLURAL}.{GROUP} is older than this operator: it has no {missing}. "
            "Apply the one of this version's chart: kubectl apply -f charts/mynatca-intercom/files/intercomaudits.yaml."
        )


def _missing_fields(ours: dict[str, Any], theirs: dict[str, Any], path: str = "") -> Iterator[str]:
    """The fields that one schema has and the other lacks, at any depth."""
    known = theirs.get("properties", {})
    for name, part in ours.get("properties", {}).items():
        if name in known:
            yield from _missing_fields(part, known[name], f"{path}{name}.")
        else:
            yield path + name
    if "items" in ours:
        yield from _missing_fields(ours["items"], theirs.get("items", {}), path)


def _is_ours(part: dict[str, Any]) -> bool:
    kinds = part.get("x-kubernetes-group-version-kind", [])
    return "spec" in part.get("properties", {}) and any(each.get("kind") == KIND for each in kinds)


def _missing() -> str:
    return (
        f"The cluster has no CustomResourceDefinition {PLURAL}.{GROUP} ({VERSION}): "
        "kubectl apply -f charts/mynatca-intercom/files/intercomaudits.yaml."
    )

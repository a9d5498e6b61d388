"""Whether the cluster has the custom resource that this operator knows, read from discovery and OpenAPI alone."""

import json
from typing import Any

from kubernetes.aio.client import ApiClient, ApiException, CustomObjectsApi

from mynatca_operator.resource import GROUP, KIND, PLURAL, VERSION, Spec

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
    described = json.loads(answer.data)
    schemas: list[dict[str, Any]] = list(described["components"]["schemas"].values())
    spec: dict[str, Any] = next((each["properties"]["spec"] for each in schemas if _is_ours(each)), {})
    unknown = sorted(
        {field.alias or name for name, field in Spec.model_fields.items()} - set(spec.get("properties", {}))
    )
    if unknown:
        raise DefinitionUnfit(
            f"The CustomResourceDefinition {PLURAL}.{GROUP} is older than this operator: it has no spec.{unknown[0]}. "
            "Apply the one of this version's chart: kubectl apply -f charts/mynatca-intercom/files/intercomaudits.yaml."
        )


def _is_ours(schema: dict[str, Any]) -> bool:
    kinds = schema.get("x-kubernetes-group-version-kind", [])
    return "spec" in schema.get("properties", {}) and any(each.get("kind") == KIND for each in kinds)


def _missing() -> str:
    return (
        f"The cluster has no CustomResourceDefinition {PLURAL}.{GROUP} ({VERSION}): "
        "kubectl apply -f charts/mynatca-intercom/files/intercomaudits.yaml."
    )

"""The OpenAPI description of this service's own endpoints, from the models that they read and answer with.

`docs/webhook-openapi.json` is generated from this module.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from mynatca_webhook.canvas import CanvasAnswer, CanvasRequest, CanvasSubmit
from mynatca_webhook.endpoints.lookup import LookupAnswer, LookupRequest
from mynatca_webhook.notification import Envelope

Json = dict[str, Any]


class Problem(BaseModel):
    """Why a request is not carried out."""

    model_config = ConfigDict(extra="forbid")
    error: str = Field(description="A sentence for people.")


class Received(BaseModel):
    """The notification need not be sent again."""

    model_config = ConfigDict(extra="forbid")
    received: Literal[True]


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(extra="forbid")
    status: Literal["ok"]


class Ready(BaseModel):
    """Notifications can be stored."""

    model_config = ConfigDict(extra="forbid")
    status: Literal["ready"]


class NotReady(BaseModel):
    """Notifications cannot be stored."""

    model_config = ConfigDict(extra="forbid")
    status: Literal["not ready"]
    reason: str


class _Schemas(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - its API
        """Never: a title would only repeat the name."""
        return False


_ASKED: tuple[type[BaseModel], ...] = (Envelope, LookupRequest, CanvasRequest, CanvasSubmit)
_ANSWERED: tuple[type[BaseModel], ...] = (Problem, Received, Alive, Ready, NotReady, LookupAnswer, CanvasAnswer)

_REFUSED: Mapping[int, str] = {
    400: "The request is not as HTTP demands.",
    408: "The request did not come to its end in time.",
    413: "The body is over 1 MiB, or the header over 8 KiB.",
    417: "The header `Expect` asks for something unknown.",
    500: "Something went wrong in the service.",
    503: "The request was not worked in time.",
}
"""What any request may be refused with; an operation says what else a status means there."""

_NO_STORE = {"Cache-Control": {"schema": {"const": "no-store"}, "required": True}}

_SECURITY = {
    "notificationSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Hub-Signature",
        "description": "`sha1=` and the hexadecimal HMAC-SHA1 of the body by the app's client secret.",
    },
    "canvasSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Body-Signature",
        "description": "The hexadecimal HMAC-SHA256 of the body by the app's client secret.",
    },
    "lookupKey": {"type": "http", "scheme": "bearer", "description": "One of the keys in `LOOKUP_KEYS`."},
}


@cache
def description() -> Json:
    """The whole document, OpenAPI 3.1; not to be changed."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mynatca-intercom webhook service",
            "version": "1",
            "description": "Other paths are answered with 404, other methods with 405 and `Allow`, all like a Problem.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": _paths(),
        "components": {
            "schemas": _schemas(),
            "responses": {f"Any{status}": _answer(sentence, Problem) for status, sentence in _REFUSED.items()},
            "securitySchemes": _SECURITY,
        },
    }


def _schemas() -> Json:
    asked: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in _ASKED]
    answered: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "serialization") for model in _ANSWERED]
    _, schemas = models_json_schema(
        [*asked, *answered], ref_template="#/components/schemas/{model}", schema_generator=_Schemas
    )
    found: Json = schemas["$defs"]
    return found


def _paths() -> Json:
    return {
        "/api/intercom/webhook": {"post": _notify(), "head": _check()},
        "/api/intercom/lookup": {"post": _look_up_by_body(), "get": _look_up_by_query()},
        "/api/intercom/canvas/initialize": {"post": _canvas("initialize", CanvasRequest, "An agent opens the app.")},
        "/api/intercom/canvas/submit": {"post": _canvas("submit", CanvasSubmit, "An agent uses a component.")},
        "/healthz": {"get": _get("isAlive", "Whether the process answers.", {200: _answer("It does.", Alive)})},
        "/readyz": {
            "get": _get(
                "isReady",
                "Whether notifications can be stored; it does not depend on Intercom.",
                {
                    200: _answer("They can.", Ready),
                    503: _answer("They cannot, or it was not known in time.", NotReady, Problem),
                },
            )
        },
        "/openapi.json": {"get": _get("describe", "This description.", {200: _any_json("It.")})},
    }


def _notify() -> Json:
    return _operation(
        "notify",
        "A notification of Intercom's, which may be repeated.",
        {
            200: _answer("It is durable, known already, or nothing is done about it.", Received),
            400: _answer("It is no notification, or the request is not as HTTP demands.", Problem),
            401: _answer("The signature is not that of this body.", Problem),
            503: _answer("It is not stored, and should be sent again.", Problem),
        },
        security="notificationSignature",
        body=Envelope,
    )


def _check() -> Json:
    responses: Json = {"200": {"description": "There is."}}
    responses |= {str(status): {"description": sentence} for status, sentence in _REFUSED.items()}
    return {
        "operationId": "checkAddress",
        "summary": "Whether there is anything at this address; Intercom asks when it is entered.",
        "responses": responses,
    }


def _look_up_by_body() -> Json:
    return _operation("lookUp", "Who has an email address.", _looked_up(), security="lookupKey", body=LookupRequest)


def _look_up_by_query() -> Json:
    email = {"$ref": "#/components/schemas/LookupRequest/properties/email"}
    parameter = {"name": "email", "in": "query", "required": True, "schema": email}
    return _operation(
        "lookUpByQuery",
        "Who has an email address; proxies in between may log it.",
        _looked_up(),
        security="lookupKey",
        parameters=[parameter],
    )


def _looked_up() -> dict[int, Json]:
    wait = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}, "required": True}}
    ask = {"WWW-Authenticate": {"schema": {"const": "Bearer"}, "required": True}}
    return {
        200: _answer("A member or a contact has it.", LookupAnswer, headers=_NO_STORE),
        401: _answer("No key, or none of ours.", Problem, headers=_NO_STORE | ask),
        404: _answer("Nobody has it.", Problem, headers=_NO_STORE),
        422: _answer("There is no email address, or something else, too.", Problem, headers=_NO_STORE),
        429: _answer("The key was used too often in this minute.", Problem, headers=_NO_STORE | wait),
        503: _answer("Intercom, all sources of members or the store do not answer in time.", Problem),
    }


def _canvas(name: str, asked: type[BaseModel], summary: str) -> Json:
    return _operation(
        name,
        summary,
        {
            200: _answer("What the agent sees, whatever happened.", CanvasAnswer),
            400: _answer("It is no request of Canvas Kit's, or not as HTTP demands.", Problem),
            401: _answer("The signature is not that of this body.", Problem),
        },
        security="canvasSignature",
        body=asked,
    )


def _get(name: str, summary: str, responses: dict[int, Json]) -> Json:
    return _operation(name, summary, responses)


def _operation(
    name: str,
    summary: str,
    responses: dict[int, Json],
    *,
    security: str | None = None,
    body: type[BaseModel] | None = None,
    parameters: list[Json] | None = None,
) -> Json:
    all_responses = {status: {"$ref": f"#/components/responses/Any{status}"} for status in _REFUSED} | responses
    operation: Json = {"operationId": name, "summary": summary}
    if security:
        operation["security"] = [{security: []}]
    if parameters:
        operation["parameters"] = parameters
    if body:
        operation["requestBody"] = {"required": True, "content": _content(body)}
    operation["responses"] = {str(status): all_responses[status] for status in sorted(all_responses)}
    return operation


def _answer(sentence: str, *models: type[BaseModel], headers: Json | None = None) -> Json:
    answer: Json = {"description": sentence, "content": _content(*models)}
    return answer | ({"headers": headers} if headers else {})


def _any_json(sentence: str) -> Json:
    return {"description": sentence, "content": {"application/json": {"schema": {"type": "object"}}}}


def _content(*models: type[BaseModel]) -> Json:
    schemas = [{"$ref": f"#/components/schemas/{model.__name__}"} for model in models]
    return {"application/json": {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}}

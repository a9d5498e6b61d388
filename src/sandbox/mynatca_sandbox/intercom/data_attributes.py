"""Custom attributes of contacts and companies (Intercom REST: Data attributes)."""

import re
from typing import Any, Literal, cast

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom import errors
from mynatca_sandbox.intercom.call import body_of, required, store_of, version_of
from mynatca_sandbox.intercom.serialize import V2_16
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.world.model import ConversationAttribute, DataAttribute, World

MIN_OPTIONS = 2

# What may be asked for, and what the attribute then says it is.
_DATA_TYPES = {
    "string": "string",
    "integer": "integer",
    "float": "float",
    "boolean": "boolean",
    "date": "date",
    "datetime": "date",
    "options": "string",
}
# The refusal does not name spaces and underscores, but Intercom's own examples have them.
_NAME = re.compile(r"[\w \-$€£¥]+")
_MODEL_LABELS = {"contact": "people", "company": "company"}
_BUILT_IN = (
    ("name", "string"),
    ("email", "string"),
    ("phone", "string"),
    ("external_id", "string"),
    ("role", "string"),
    ("created_at", "date"),
    ("updated_at", "date"),
    ("signed_up_at", "date"),
    ("last_seen_at", "date"),
)

data_attributes = Blueprint("data_attributes")


@data_attributes.get("/data_attributes")
def list_data_attributes(request: Request) -> HTTPResponse:
    """List attributes; up to 2.15 those of conversations too."""
    world, model = store_of(request).world, request.args.get("model")
    if model == "conversation":
        if version_of(request) >= V2_16:
            message = "model=conversation is no longer supported. Use GET /conversations/attributes instead"
            raise errors.ApiError(422, "parameter_invalid", message)
        return json_response({"type": "list", "data": [_old_form(a) for a in world.conversation_attributes]})
    if model not in {None, "contact", "company"}:
        raise _wrong_model()
    with_archived = request.args.get("include_archived") == "true"
    custom = [
        data_attribute_json(attribute)
        for attribute in world.data_attributes
        if model in {None, attribute.model} and (with_archived or not attribute.archived)
    ]
    built_in = [_built_in(*entry) for entry in _BUILT_IN] if model != "company" else []
    return json_response({"type": "list", "data": built_in + custom})


@data_attributes.post("/data_attributes")
def create_data_attribute(request: Request) -> HTTPResponse:
    """Define an attribute."""
    store, body = store_of(request), body_of(request)
    model = _read_model(body)
    name = _read_name(body, model, store.world)
    data_type = _DATA_TYPES.get(required(body, "data_type"))
    if data_type is None:
        raise errors.invalid("Data Type isn't an option")
    attribute = DataAttribute(
        id=max((each.id for each in store.world.data_attributes), default=0) + 1,
        name=name,
        model=model,
        data_type=data_type,
        created_at=store.now(),
        label=name,
        description=body.get("description"),
        options=_read_options(body["options"]) if "options" in body else None,
    )
    if body["data_type"] == "options" and attribute.options is None:
        raise errors.invalid("Options isn't an array")
    store.world.data_attributes.append(attribute)
    return json_response(data_attribute_json(attribute))


@data_attributes.put("/data_attributes/<attribute_id:str>")
def update_data_attribute(request: Request, attribute_id: str) -> HTTPResponse:
    """Archive or restore an attribute, or change its description or options; its type stays."""
    body = body_of(request)
    attributes = store_of(request).world.data_attributes
    attribute = next((each for each in attributes if str(each.id) == attribute_id), None)
    if attribute is None:
        raise errors.ApiError(404, "field_not_found", "We couldn't find that data attribute to update")
    if "options" in body:
        attribute.options = _read_options(body["options"])
    attribute.description = body.get("description", attribute.description)
    attribute.archived = bool(body.get("archived", attribute.archived))
    return json_response(data_attribute_json(attribute))


def data_attribute_json(attribute: DataAttribute) -> dict[str, Any]:
    """Return a custom attribute."""
    described: dict[str, Any] = {
        "type": "data_attribute",
        "id": attribute.id,
        "model": attribute.model,
        "name": attribute.name,
        "full_name": f"custom_attributes.{attribute.name}",
        "label": attribute.label or attribute.name,
        "description": attribute.description or "",
        "data_type": attribute.data_type,
        "api_writable": True,
        "ui_writable": False,
        "messenger_writable": False,
        "custom": True,
        "archived": attribute.archived,
        "created_at": attribute.created_at,
        "updated_at": attribute.created_at,
    }
    if attribute.options is not None:
        described["options"] = attribute.options
    return described


def _built_in(name: str, data_type: str) -> dict[str, Any]:
    return {
        "type": "data_attribute",
        "model": "contact",
        "name": name,
        "full_name": name,
        "label": name.replace("_", " ").capitalize(),
        "description": "",
        "data_type": data_type,
        "api_writable": True,
        "ui_writable": False,
        "messenger_writable": False,
        "custom": False,
        "archived": False,
    }


def _old_form(attribute: ConversationAttribute) -> dict[str, Any]:
    return {
        "type": "data_attribute",
        "id": attribute.id,
        "model": "conversation",
        "name": attribute.name,
        "full_name": f"custom_attributes.{attribute.name}",
        "label": attribute.name,
        "description": attribute.description,
        "data_type": attribute.data_type,
        "custom": True,
        "archived": attribute.archived,
    }


def _wrong_model() -> errors.ApiError:
    return errors.invalid("The Data Attribute model field must be either contact or company")


def _read_model(body: dict[str, Any]) -> Literal["contact", "company"]:
    model = body.get("model")
    if model not in _MODEL_LABELS:
        raise _wrong_model()
    return cast("Literal['contact', 'company']", model)


def _read_name(body: dict[str, Any], model: str, world: World) -> str:
    name = str(required(body, "name"))
    if not _NAME.fullmatch(name):
        raise errors.invalid(
            "Your name for this attribute must only contain alphanumeric characters, currency symbols, and hyphens"
        )
    holder = next((each for each in world.data_attributes if each.name == name), None)
    if holder is not None:
        raise errors.invalid(
            f"You already have '{name}' in your {_MODEL_LABELS[holder.model]} data. "
            f"To save this as new {_MODEL_LABELS[model]} data, use a different name."
        )
    return name


def _read_options(options: Any) -> list[str]:
    if not isinstance(options, list) or len(options) < MIN_OPTIONS:
        raise errors.invalid("Options isn't an array")
    return [str(option["value"]) for option in options if isinstance(option, dict) and "value" in option]

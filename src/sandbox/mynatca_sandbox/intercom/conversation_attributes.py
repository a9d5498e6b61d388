"""Custom attributes of conversations: definitions and values (Intercom REST: Conversation attributes)."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

from sanic import Blueprint, HTTPResponse, Request

from mynatca_sandbox.intercom.call import body_of, require_version, store_of
from mynatca_sandbox.intercom.errors import ApiError, invalid
from mynatca_sandbox.intercom.serialize import V2_16
from mynatca_sandbox.intercom.store import Store
from mynatca_sandbox.responses import json_response
from mynatca_sandbox.world.model import ConversationAttribute

MIN_OPTIONS = 2
DATA_TYPES = ("string", "integer", "list", "decimal", "boolean", "datetime", "relationship", "files")

conversation_attributes = Blueprint("conversation_attributes", url_prefix="/conversations/attributes")


@conversation_attributes.on_request
def _refuse_older_versions(request: Request) -> None:
    require_version(request, V2_16)


@conversation_attributes.get("/")
def list_attributes(request: Request) -> HTTPResponse:
    """List attributes."""
    with_archived = request.args.get("include_archived") == "true"
    attributes = store_of(request).world.conversation_attributes
    listed = [attribute_json(each) for each in attributes if with_archived or not each.archived]
    return json_response({"type": "list", "data": listed})


@conversation_attributes.post("/")
def create_attribute(request: Request) -> HTTPResponse:
    """Define an attribute."""
    store, body = store_of(request), body_of(request)
    data_type = body.get("data_type")
    if data_type not in DATA_TYPES:
        allowed = ", ".join(DATA_TYPES)
        raise _refused(f"data_type '{data_type}' is not valid. Allowed types: {allowed}")
    if not isinstance(body.get("name"), str):
        raise _refused("name is required")
    attributes = store.world.conversation_attributes
    attribute = ConversationAttribute(
        id=max((each.id for each in attributes), default=0) + 1,
        name=body["name"],
        data_type=data_type,
        created_at=store.now(),
        updated_at=store.now(),
        description=body.get("description") or "",
        required=bool(body.get("required")),
        options=_new_options(body.get("options")) if data_type == "list" else None,
    )
    attributes.append(attribute)
    return json_response(attribute_json(attribute))


@conversation_attributes.get("/<attribute_id:str>")
def get_attribute(request: Request, attribute_id: str) -> HTTPResponse:
    """Return one attribute."""
    return json_response(attribute_json(_found(store_of(request), attribute_id)))


@conversation_attributes.put("/<attribute_id:str>")
def update_attribute(request: Request, attribute_id: str) -> HTTPResponse:
    """Change name, description or whether it is required."""
    store, body = store_of(request), body_of(request)
    attribute = _found(store, attribute_id)
    for name in ("name", "description", "required"):
        setattr(attribute, name, body.get(name, getattr(attribute, name)))
    return _changed(store, attribute)


@conversation_attributes.delete("/<attribute_id:str>")
def archive_attribute(request: Request, attribute_id: str) -> HTTPResponse:
    """Archive an attribute."""
    store = store_of(request)
    attribute = _found(store, attribute_id)
    attribute.archived = True
    return _changed(store, attribute)


@conversation_attributes.post("/<attribute_id:str>/options")
def add_option(request: Request, attribute_id: str) -> HTTPResponse:
    """Add an option to a list."""
    store = store_of(request)
    attribute = _found(store, attribute_id)
    _options(attribute).append(_new_option(_read_label(body_of(request))))
    return _changed(store, attribute)


@conversation_attributes.put("/<attribute_id:str>/options/<option_id:str>")
def rename_option(request: Request, attribute_id: str, option_id: str) -> HTTPResponse:
    """Rename an option of a list."""
    store = store_of(request)
    attribute = _found(store, attribute_id)
    _option(attribute, option_id)["label"] = _read_label(body_of(request))
    return _changed(store, attribute)


@conversation_attributes.delete("/<attribute_id:str>/options/<option_id:str>")
def archive_option(request: Request, attribute_id: str, option_id: str) -> HTTPResponse:
    """Archive an option of a list, of which two must stay."""
    store = store_of(request)
    attribute = _found(store, attribute_id)
    option = _option(attribute, option_id)
    remaining = [each for each in _options(attribute) if not each["archived"] and each is not option]
    if len(remaining) < MIN_OPTIONS:
        raise _too_few_options()
    option["archived"] = True
    return _changed(store, attribute)


def attribute_json(attribute: ConversationAttribute) -> dict[str, Any]:
    """Return an attribute; what else it has depends on its type."""
    described: dict[str, Any] = {
        "type": "conversation_attribute",
        "id": attribute.id,
        "name": attribute.name,
        "description": attribute.description,
        "data_type": attribute.data_type,
        "required": attribute.required,
        "visible_to_team_ids": [],
        "archived": attribute.archived,
        "created_at": attribute.created_at,
        "updated_at": attribute.updated_at,
    }
    if attribute.data_type == "string":
        described["multiline"] = False
    if attribute.data_type == "list":
        described["options"] = attribute.options
    return described


def _found(store: Store, attribute_id: str) -> ConversationAttribute:
    for attribute in store.world.conversation_attributes:
        if str(attribute.id) == attribute_id:
            return attribute
    raise ApiError(404, "conversation_attribute_not_found", "Conversation attribute not found")


def _changed(store: Store, attribute: ConversationAttribute) -> HTTPResponse:
    attribute.updated_at = store.now()
    return json_response(attribute_json(attribute))


def _options(attribute: ConversationAttribute) -> list[dict[str, Any]]:
    if attribute.options is None:
        raise _refused("Options can only be managed on list attributes")
    return attribute.options


def _option(attribute: ConversationAttribute, option_id: str) -> dict[str, Any]:
    for option in _options(attribute):
        if option["id"] == option_id:
            return option
    raise ApiError(404, "conversation_attribute_not_found", "List option not found")


def _new_options(options: Any) -> list[dict[str, Any]]:
    if not isinstance(options, list) or len(options) < MIN_OPTIONS:
        raise _too_few_options()
    return [_new_option(_read_label(option)) for option in options]


def _new_option(label: str) -> dict[str, Any]:
    return {"id": str(uuid4()), "label": label, "archived": False}


def _read_label(body: dict[str, Any]) -> str:
    if body.keys() - {"label"}:
        raise _refused("only 'label' is accepted")
    label = body.get("label")
    if not label:
        raise _refused("label is required")
    if not isinstance(label, str):
        raise _refused("label must be a string")
    return label


def _refused(message: str) -> ApiError:
    return ApiError(422, "parameter_invalid", message)


def _too_few_options() -> ApiError:
    return _refused(f"A list attribute must have at least {MIN_OPTIONS} active options")


# ---- values

_TYPE_CHECKS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "list": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "datetime": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "decimal": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
}


def merge_attribute_values(
    current: dict[str, Any], changes: Any, attributes: Iterable[ConversationAttribute]
) -> dict[str, Any]:
    """Return a conversation's values with `changes`; null and "" remove a value.

    Raises:
        ApiError: 400; an unknown name, a name that two attributes have, or a value of another type (wording
            assumed).
    """
    if not isinstance(changes, dict):
        raise invalid("custom_attributes must be an object")
    definitions = [each for each in attributes if not each.archived]
    merged = dict(current)
    for name, value in changes.items():
        named = [each for each in definitions if each.name == name]
        if not named:
            raise invalid(f"Conversation attribute '{name}' does not exist")
        if len(named) > 1:
            raise ApiError(400, "INVALID_PARAMETER", f"Several conversation attributes are named '{name}'")
        if value is None or value == "":
            merged.pop(name, None)
        else:
            _check_value(named[0], value)
            merged[name] = value
    return merged


def _check_value(attribute: ConversationAttribute, value: Any) -> None:
    check = _TYPE_CHECKS.get(attribute.data_type)
    if check is not None and not check(value):
        raise invalid(f"Conversation attribute '{attribute.name}' must be of type {attribute.data_type}")
    labels = {option["label"] for option in attribute.options or [] if not option["archived"]}
    if attribute.data_type == "list" and value not in labels:
        raise invalid(f"Conversation attribute '{attribute.name}' has no option '{value}'")

"""Judges exchanges by Intercom's published description of its API (OpenAPI 3.0, version 2.16 of the API).

Judged are: that path and method exist; the query's names; the request's body, with the names of its top level,
unless the answer itself calls the request malformed; an answer up to 399 by the schema of its status; an answer
from 400 on by the schema `error`, as the description lists few refusals. Calls of older API versions are not.
A failure tells places and rules, never values.

What the description gets wrong is in `contract/deviations.toml`, with reason and source.
"""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import parse_qsl, urlsplit

import orjson
import yaml
from jsonschema.exceptions import ValidationError
from openapi_schema_validator import OAS30Validator

from mynatca_sandbox.exchange import Exchange

VERSION = "2.16"
# With these the answer says that the request is malformed: there is nothing to hold against it any more.
MALFORMED = frozenset({400, 405, 406, 415, 422})
_COMBINATIONS = frozenset({"$ref", "allOf", "anyOf", "oneOf", "enum"})


@dataclass(frozen=True, order=True)
class Failure:
    """What broke which rule where.

    `operation` is "METHOD /path/{parameter}"; `pointer` is a JSON pointer into the body, "query/<name>" or
    empty; `rule` is a keyword of JSON Schema, or `null` (it must not be), `operation`, `query`, `status`,
    `json`, `body` (there is none, or there must be none) or `unknown` (the request's schema has no such name).
    """

    operation: str
    status: int
    part: Literal["request", "response"]
    pointer: str
    rule: str

    def __str__(self) -> str:
        return f"{self.operation} {self.status}: {self.part} {self.pointer}: {self.rule}"


@dataclass(frozen=True)
class Deviation:
    """Failures to accept: the fields but `reason` and `source` are patterns with `*`."""

    operation: str
    where: str
    rule: str
    reason: str
    source: str

    def covers(self, failure: Failure) -> bool:
        """Tell whether the failure is known."""
        place = f"{failure.part} {failure.pointer}".strip()
        pairs = ((failure.operation, self.operation), (place, self.where), (failure.rule, self.rule))
        return all(fnmatchcase(value, pattern) for value, pattern in pairs)


class Deviations:
    """The known deviations, which remember whether they were needed."""

    def __init__(self, file: Path) -> None:
        entries = tomllib.loads(file.read_text())["deviation"]
        self._used = {Deviation(**entry): False for entry in entries}

    def unexplained(self, failures: Iterable[Failure]) -> list[Failure]:
        """Return the failures that no deviation covers, each once."""
        return sorted({failure for failure in failures if not self._explains(failure)})

    def unused(self) -> list[Deviation]:
        """Return the deviations that nothing needed."""
        return [deviation for deviation, used in self._used.items() if not used]

    def _explains(self, failure: Failure) -> bool:
        covering = [deviation for deviation in self._used if deviation.covers(failure)]
        self._used.update(dict.fromkeys(covering, True))
        return bool(covering)


class Operation:
    """One method of one path, with its schemas."""

    def __init__(self, method: str, path: str, described: dict[str, Any], root: Any) -> None:
        self.name = f"{method.upper()} {path}"
        self._segments = path.split("/")
        self._described = described
        self._root = root

    def takes(self, method: str, segments: list[str]) -> bool:
        """Tell whether a call with this path is the operation's."""
        if len(segments) != len(self._segments) or not self.name.startswith(f"{method} "):
            return False
        return all(own == given or own.startswith("{") for own, given in zip(self._segments, segments, strict=True))

    @cached_property
    def query(self) -> frozenset[str]:
        """The names that its query may have."""
        return frozenset(each["name"] for each in self._described.get("parameters", ()) if each["in"] == "query")

    @cached_property
    def request(self) -> Any:
        """The validator of its body; None if it has none."""
        return self._validator(self._described.get("requestBody", {}))

    @cached_property
    def request_names(self) -> frozenset[str]:
        """The names at the top level of its body, in any of the body's forms."""
        return frozenset(_names(self.request.schema, self._root.schema["components"]["schemas"]))

    @cached_property
    def responses(self) -> dict[int, Any]:
        """The validators of its answers by status; None for one without a body."""
        return {int(status): self._validator(answer) for status, answer in self._described["responses"].items()}

    def _validator(self, described: dict[str, Any]) -> Any:
        content = described.get("content")
        return self._root.evolve(schema=content["application/json"]["schema"]) if content else None


class Description:
    """The published description, read from its YAML file."""

    def __init__(self, file: Path) -> None:
        document = _repaired(yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader))
        root = OAS30Validator(document)
        self._error = root.evolve(schema=document["components"]["schemas"]["error"])
        self._listed_texts = frozenset(_listed_texts(document))
        self._operations = [
            Operation(method, path, described, root)
            for path, methods in document["paths"].items()
            for method, described in methods.items()
        ]

    def operation(self, method: str, path: str) -> Operation | None:
        """Return the operation that takes a path: the one with the most literal segments."""
        segments = path.split("/")
        taking = [operation for operation in self._operations if operation.takes(method, segments)]
        return min(taking, key=lambda operation: operation.name.count("{"), default=None)

    def failures(self, exchange: Exchange) -> list[Failure]:
        """Judge an exchange, the request first."""
        if exchange.request_headers.get("intercom-version", VERSION) != VERSION:
            return []
        operation = self.operation(exchange.method, urlsplit(exchange.target).path)
        if operation is None:
            return [Failure(exchange.route, exchange.status, "request", "", "operation")]
        asked = _request_faults(operation, exchange) if exchange.status not in MALFORMED else ()
        parts: dict[Literal["request", "response"], Iterable[Fault]]
        parts = {"request": asked, "response": self._faults(operation, exchange)}
        return [
            Failure(operation.name, exchange.status, part, *fault)
            for part, faults in parts.items()
            for fault in dict.fromkeys(faults)
        ]

    def _faults(self, operation: Operation, exchange: Exchange) -> "Iterable[Fault]":
        if exchange.status >= 400:
            return _body_faults(self._error, exchange.answer_body)
        if exchange.status not in operation.responses:
            return [("", "status")]
        validator = operation.responses[exchange.status]
        return _body_faults(validator, exchange.answer_body, self._listed_texts)


class Contract:
    """The description, and what is known to deviate from it."""

    def __init__(self, description_file: Path, deviations_file: Path) -> None:
        self.description = Description(description_file)
        self.deviations = Deviations(deviations_file)

    def failures(self, exchanges: Iterable[Exchange], *, requests: bool = True) -> list[Failure]:
        """Judge exchanges, or only the answers in them; return the failures that are no known deviation."""
        found = [failure for exchange in exchanges for failure in self.description.failures(exchange)]
        return self.deviations.unexplained(each for each in found if requests or each.part == "response")


# ---- bodies

# pointer and rule
Fault = tuple[str, str]


def _request_faults(operation: Operation, exchange: Exchange) -> Iterator[Fault]:
    names = {name for name, _ in parse_qsl(urlsplit(exchange.target).query, keep_blank_values=True)}
    yield from ((f"query/{name}", "query") for name in names - operation.query)
    body = exchange.request_body
    if operation.request is None:
        # An empty object says no more than nothing.
        yield from [("", "body")] if body not in {b"", b"{}"} else []
        return
    yield from _body_faults(operation.request, body)
    if body:
        yield from ((f"/{name}", "unknown") for name in orjson.loads(body).keys() - operation.request_names)


def _body_faults(validator: Any, body: bytes, listed_texts: frozenset[str] | None = None) -> Iterator[Fault]:
    """Judge a body; with `listed_texts`, the entries of a page that are alike count as one."""
    if validator is None or not body:
        yield from [("", "body")] if validator is not None or body else []
        return
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        yield "", "json"
        return
    for error in validator.iter_errors(value if listed_texts is None else _thinned(value, listed_texts)):
        yield from _error_faults(error)


def _error_faults(error: ValidationError) -> Iterator[Fault]:
    pointer = "".join(f"/{step}" for step in error.absolute_path)
    if error.validator == "required" and isinstance(error.instance, dict):
        missing = set(cast("list[str]", error.validator_value)) - error.instance.keys()
        yield from ((f"{pointer}/{name}", "required") for name in missing)
    elif error.validator == "type" and error.instance is None:
        yield pointer, "null"
    else:
        yield pointer, str(error.validator)


# ---- pages: thousands of entries that are alike, judged once per page and shape


def _thinned(body: Any, listed_texts: frozenset[str]) -> Any:
    """Keep of each list at the top level one entry per shape."""
    if not isinstance(body, dict):
        return body
    lists = {name: entries for name, entries in body.items() if isinstance(entries, list)}
    return body | {
        name: list({_shape(entry, listed_texts): entry for entry in entries}.values())
        for name, entries in lists.items()
    }


def _shape(value: Any, listed_texts: frozenset[str]) -> Any:
    """Return keys and types to any depth; texts that some schema lists as allowed stand for themselves."""
    if isinstance(value, dict):
        return tuple((name, _shape(inner, listed_texts)) for name, inner in value.items())
    if isinstance(value, list):
        return len(value), frozenset(_shape(inner, listed_texts) for inner in value)
    return value if isinstance(value, str) and value in listed_texts else type(value)


# ---- schemas


def _repaired(node: Any) -> Any:
    """Say in the words of OpenAPI 3.0 what Intercom means.

    `nullable` has no meaning beside `$ref`, a combination or an `enum`, where Intercom lets null pass too. A
    `oneOf` with one member becomes the `allOf` that it is, whose failures tell their places.
    """
    if isinstance(node, list):
        return [_repaired(each) for each in node]
    if not isinstance(node, dict):
        return node
    inner = {name: _repaired(value) for name, value in node.items()}
    if isinstance(inner.get("oneOf"), list) and len(inner["oneOf"]) == 1:
        inner["allOf"] = inner.pop("oneOf")
    if inner.get("nullable") is True and inner.keys() & _COMBINATIONS:
        return {"anyOf": [{"type": "object", "nullable": True, "enum": [None]}, inner]}
    return inner


def _listed_texts(node: Any) -> Iterator[str]:
    """Yield all texts that stand in an `enum`."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "enum" and isinstance(value, list):
                yield from (each for each in value if isinstance(each, str))
            yield from _listed_texts(value)
    elif isinstance(node, list):
        for each in node:
            yield from _listed_texts(each)


def _names(schema: dict[str, Any], schemas: dict[str, Any]) -> Iterator[str]:
    """Yield the properties of a schema and of all it is combined from."""
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    yield from schema.get("properties", ())
    for combination in ("allOf", "anyOf", "oneOf"):
        for member in schema.get(combination, ()):
            yield from _names(member, schemas)

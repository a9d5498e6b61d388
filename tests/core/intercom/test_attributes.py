"""The attributes that contacts need are made, or their lack is said in a sentence, before any contact is written."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from mynatca_intercom.intercom.attributes import OWNED_ATTRIBUTES, AttributesUnfit, ensure_attributes
from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.settings import IntercomSettings, load
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import DataAttribute, World
from support.canned import Answer, canned

NOW = 1_790_000_000
LIST, CREATE = "GET /data_attributes", "POST /data_attributes"


def attribute(name: str, **fields: Any) -> DataAttribute:
    fields = {"id": 1, "model": "contact", "data_type": "string", "created_at": NOW, **fields}
    return DataAttribute(name=name, **fields)


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox(World(now=NOW)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset(World(now=NOW, data_attributes=[attribute(name) for name in OWNED_ATTRIBUTES]))
    return running


def ensure(url: str, *, create: bool = True) -> None:
    settings = load(IntercomSettings, {"INTERCOM_URL": url, "INTERCOM_ACCESS_TOKEN": "sandbox-token"})

    async def run() -> None:
        async with IntercomClient(settings) as client:

            async def make(name: str, description: str) -> None:
                await client.create_contact_attribute(name, description)

            await ensure_attributes(client, make if create else None)

    asyncio.run(run())


@pytest.mark.parametrize("create", [True, False])
def test_when_all_exist_nothing_is_written(sandbox: Sandbox, *, create: bool) -> None:
    ensure(sandbox.url, create=create)
    assert sandbox.calls.by_route == {LIST: 1}


@pytest.mark.parametrize("missing", [["positions"], sorted(OWNED_ATTRIBUTES)])
def test_missing_ones_are_created_as_text_with_a_description(sandbox: Sandbox, missing: list[str]) -> None:
    attributes = sandbox.world.data_attributes
    attributes[:] = [each for each in attributes if each.name not in missing]
    ensure(sandbox.url)
    assert sandbox.calls.by_route == {LIST: 1, CREATE: len(missing)}
    made = {each.name: each for each in attributes if each.name in missing}
    assert {name: each.description for name, each in made.items()} == {name: OWNED_ATTRIBUTES[name] for name in missing}
    assert {(each.model, each.data_type) for each in made.values()} == {("contact", "string")}
    ensure(sandbox.url)
    assert sandbox.calls[CREATE] == len(missing)


def test_missing_ones_are_refused_when_they_may_not_be_created(sandbox: Sandbox) -> None:
    sandbox.world.data_attributes[:] = [attribute("region"), attribute("facility")]
    with pytest.raises(AttributesUnfit) as caught:
        ensure(sandbox.url, create=False)
    assert str(caught.value).splitlines() == [
        f"Contact attribute {name!r} is missing: create it as text in Intercom, or allow it to be created."
        for name in ("member_type", "positions")
    ]
    assert sandbox.calls.writes == 0


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"archived": True}, "'region' is archived: unarchive it in Intercom's settings, People data."),
        ({"data_type": "integer"}, "'region' is of type integer, not text: archive or rename it."),
        ({"data_type": "date"}, "'region' is of type date, not text: archive or rename it."),
    ],
)
def test_an_unfit_one_is_refused_and_no_other_is_created(
    sandbox: Sandbox, fault: dict[str, Any], sentence: str
) -> None:
    sandbox.world.data_attributes[:] = [attribute("region", **fault)]
    with pytest.raises(AttributesUnfit) as caught:
        ensure(sandbox.url)
    assert str(caught.value) == f"Contact attribute {sentence}"
    assert sandbox.calls.writes == 0


def test_one_that_the_api_may_not_write_is_refused() -> None:
    listed = [{"name": name, "custom": True, "data_type": "string", "api_writable": False} for name in OWNED_ATTRIBUTES]
    answer = Answer(200, json.dumps({"type": "list", "data": listed}).encode())
    with (
        canned(lambda _request: answer) as server,
        pytest.raises(AttributesUnfit, match="cannot be written by the API"),
    ):
        ensure(server.url)


def test_a_built_in_attribute_of_that_name_does_not_count() -> None:
    """`name` and the like are in the same list, but are no custom attributes."""
    listed = [{"name": name, "custom": False, "data_type": "string"} for name in OWNED_ATTRIBUTES]
    answer = Answer(200, json.dumps({"type": "list", "data": listed}).encode())
    with canned(lambda _request: answer) as server, pytest.raises(AttributesUnfit, match="is missing"):
        ensure(server.url, create=False)

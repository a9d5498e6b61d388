"""docs/operator.md says what is: its tables are whole, and its objects are accepted, as are those of other pages."""

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from mynatca_operator.crd import schema
from mynatca_operator.exporter import Exporter
from mynatca_operator.reasons import WORDS
from mynatca_operator.resource import ConditionType, IntercomAudit, Phase
from support.runs_model import SCHEMA

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "operator.md").read_text(encoding="utf-8")
NO_LEAVES = {"brakes", "audit", "manualUpdate", "undo"}


def objects(*pages: Path) -> Iterator[dict[str, Any]]:
    """What stands in a block by itself, or is given to a command there."""
    for page in pages:
        for block in re.findall(r"(?:^    .*\n)+", page.read_text(encoding="utf-8"), re.MULTILINE):
            text = textwrap.dedent(block)
            for each in re.findall(r"<<END\n(.*?)^END$", text, re.MULTILINE | re.DOTALL) or [text]:
                if "kind: IntercomAudit" in each:
                    yield yaml.safe_load(each)


def first_cells(head: str) -> set[str]:
    """All words in code in the first column of a table."""
    table = PAGE[PAGE.index(f"| {head} |") :].partition("\n\n")[0].splitlines()[2:]
    return {word for line in table for word in re.findall(r"`([^`]+)`", line.split("|")[1])}


def leaves(part: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, each in part["properties"].items():
        if name in NO_LEAVES or "properties" in each:
            yield from leaves(each, f"{path}{name}.")
        else:
            yield path + name


@pytest.mark.parametrize("given", list(objects(*sorted(DOCS.glob("*.md")))))
def test_objects_are_accepted(given: dict[str, Any]) -> None:
    SCHEMA.validate(given)
    stored = {"uid": "u", "namespace": "n", "creationTimestamp": "2026-11-25T00:00:00Z"}
    IntercomAudit.model_validate(given | {"metadata": given["metadata"] | stored})


def test_its_objects_show_every_mode() -> None:
    shown = {given["spec"]["mode"] for given in objects(DOCS / "operator.md")}
    assert shown == {"Audit", "ManualUpdate", "Sync", "Undo"}


def test_every_field_is_explained() -> None:
    fields = {name.removesuffix(".name").removesuffix(".key") for name in leaves(schema()["properties"]["spec"])}
    assert first_cells("field") == fields


@pytest.mark.parametrize(
    ("head", "words"),
    [("reason", set(WORDS)), ("phase", set(get_args(Phase))), ("condition", set(get_args(ConditionType)))],
)
def test_every_word_of_a_status_is_explained(head: str, words: set[str]) -> None:
    assert first_cells(head) == words


def test_the_metrics_that_are_named_exist() -> None:
    named = {f"mynatca_intercom_operator{name}" for name in re.findall(r"`\.\.\.(_\w+)`", PAGE)}
    assert named
    assert named <= {family.name for family in Exporter().describe()}

"""The pages of the documentation: what they link to, tell to type and show as values is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import yaml

from support.helm import render

ROOT = Path(__file__).parent.parent
VALUES = yaml.safe_load((ROOT / "charts/mynatca-intercom/values.yaml").read_text())
PAGES = sorted(
    {ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/*/README.md")}
)
INSTALLATION_PAGES = [
    page for page in PAGES if page.parent.parent.name in {"charts", "docs"} or page.stem in {"install", "operations"}
]
"""Here a word like `runs.resources` can only be a value of the chart."""
GIVEN_BY_USERS = ("settings.", "secret.inline.", "pods.annotations.", "monitoring.prometheusRule.alerts.")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """What GitHub makes of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code(text: str) -> Iterator[str]:
    """Lines of indented code, and code within sentences."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.startswith("    "):
            yield line
        else:
            yield from re.findall(r"`([^`]+)`", line)


def is_value(name: str) -> bool:
    """Whether the chart has this value; below some, users put in what they like."""
    values = VALUES
    for key in name.split("."):
        if not isinstance(values, dict) or key not in values:
            return name.startswith(GIVEN_BY_USERS)
        values = values[key]
    return True


def samples() -> Iterator[dict[str, Any]]:
    """Parts of a `values.yaml` that the pages show."""
    for page in PAGES:
        for block in re.findall(r"(?:^(?: {4}.*)?\n)+", page.read_text(), re.MULTILINE):
            if re.match(rf"\s*(?:{'|'.join(VALUES)}):", block):
                yield yaml.safe_load(dedent(block))


SAMPLES = list(samples())


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)", page.read_text()):
        place = page.parent / target if target else page
        assert place.exists(), f"links to {target}"
        if anchor:
            assert anchor in anchors(place), f"links to {target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_pages_tell_to_make_is_there(page: Path) -> None:
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in code(page.read_text()):
        assert set(re.findall(r"\bmake ([a-z][a-z-]*)", line)) <= there, line


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_values_that_commands_set_are_the_charts(page: Path) -> None:
    for line in code(page.read_text()):
        for name in re.findall(r"--set(?:-string)? ([\w.]+)=", line):
            assert is_value(name), name


@pytest.mark.parametrize("page", INSTALLATION_PAGES, ids=name_of)
def test_values_that_sentences_name_are_the_charts(page: Path) -> None:
    for word in code(page.read_text()):
        if re.fullmatch(rf"(?:{'|'.join(VALUES)})\.[\w.]+(?:=\w+)?", word):
            assert is_value(word.partition("=")[0]), word


@pytest.mark.parametrize("sample", SAMPLES, ids=range(len(SAMPLES)))
def test_values_that_pages_show_render(sample: dict[str, Any]) -> None:
    """Each block of YAML that is no object of Kubernetes is a part of a `values.yaml`."""
    needed: dict[str, Any] = {"settings": {"SUPABASE_URL": "https://abcd.supabase.co"}}
    if "secret" not in sample:
        needed["secret"] = {"existingSecret": "natca-keys"}
    render(needed | sample)


def test_the_map_has_every_source_root() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    for package in ROOT.glob("src/*/mynatca_*"):
        assert f"    {name_of(package)}/" in text
        assert f"[{name_of(package.parent)}]" in text, "the drawing"

"""Keys come from exactly one place, and stand in a Secret and nowhere else."""

import json
import re
from typing import Any

import pytest
from helm_python import HelmRenderError

from support.chart_cases import CASES, EVERYTHING_ON, EXISTING_SECRET, EXTERNAL_SECRET, INLINE, SUPABASE, Values, merged
from support.helm import SANDBOX, notes, render, templates
from support.manifests import find, of_kind, pods

WAYS: dict[str, Values] = {"existingSecret": EXISTING_SECRET, "externalSecret": EXTERNAL_SECRET, "inline": INLINE}


def refusal(*values: Values) -> str:
    """Why these values are refused, in the words that `helm install` shows."""
    with pytest.raises(HelmRenderError) as caught:
        templates(merged(*values))
    words = re.search(r"\): (.*)$", caught.value.detail)
    assert words, caught.value.detail
    return words[1]


@pytest.mark.parametrize("ways", [[], [*WAYS], *([a, b] for a in WAYS for b in WAYS if a < b)])
def test_there_is_exactly_one_place(ways: list[str]) -> None:
    assert refusal(SUPABASE, *(WAYS[way] for way in ways)) == (
        "Set exactly one of secret.existingSecret, secret.externalSecret.key and secret.inline, "
        f"not {len(ways)} of them. To try everything without any account: --set sandbox.enabled=true"
    )


@pytest.mark.parametrize("way", WAYS)
def test_one_place_is_enough(way: str) -> None:
    objects = render(WAYS[way])
    name = "keys" if way == "existingSecret" else "natca-mynatca-intercom"
    made = {"existingSecret": [], "externalSecret": ["ExternalSecret"], "inline": ["Secret"]}[way]
    assert [each["kind"] for each in of_kind(objects, "Secret", "ExternalSecret")] == made
    assert {reference["name"] for reference in references(objects)} == {name}


@pytest.mark.parametrize("way", ["existingSecret", "externalSecret"])
def test_the_sandbox_brings_its_own(way: str) -> None:
    assert refusal(SANDBOX, WAYS[way]).startswith("sandbox.enabled brings its own secret: leave secret.existingSecret")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            merged(SUPABASE, {"secret": {"externalSecret": {"key": "k"}}}),
            "secret.externalSecret.key needs secret.externalS",
        ),
        ({"secret": {"existingSecret": "keys"}}, "Set settings.SUPABASE_URL, the address of the project"),
        (merged(INLINE, {"webhook": {"store": "postgresql"}}), "secret.inline lacks WEBHOOK_STORE."),
        (
            merged(SANDBOX, {"webhook": {"store": "postgresql"}}),
            "webhook.store is postgresql: set secret.inline.WEBHOOK",
        ),
        (
            merged(EXISTING_SECRET, {"settings": {"MEMBER_SOURCES": "mysql"}}),
            "Members are looked for in MySQL: set setti",
        ),
        (
            merged(EXISTING_SECRET, {"settings": {"MYSQL_HOST": "m"}}),
            "Members are looked for in MySQL: set settings.MYSQL",
        ),
        (
            merged(EXISTING_SECRET, {"webhook": {"ingress": {"enabled": True}}}),
            "Set webhook.host, the name under which ",
        ),
        (
            merged(EXISTING_SECRET, {"webhook": {"host": "h", "httpRoute": {"enabled": True}}}),
            "Set webhook.httpRoute.parentRefs, the gateways that the route is for.",
        ),
    ],
)
def test_what_is_missing_is_said(values: Values, words: str) -> None:
    assert refusal(values).startswith(words)


@pytest.mark.parametrize("key", INLINE["secret"]["inline"])
def test_a_key_that_is_missing_is_named(key: str) -> None:
    rest = {name: value for name, value in INLINE["secret"]["inline"].items() if name != key}
    assert refusal(SUPABASE, {"secret": {"inline": rest}}) == f"secret.inline lacks {key}."


def test_only_the_webhook_service_needs_the_client_secret() -> None:
    rest = {name: value for name, value in INLINE["secret"]["inline"].items() if name != "INTERCOM_CLIENT_SECRET"}
    objects = render(merged(SUPABASE, {"secret": {"inline": rest}, "webhook": {"enabled": False}}))
    assert {each["key"] for each in references(objects)} == set(rest)
    for pod in pods(render(EVERYTHING_ON)):
        keys = {each["key"] for each in references_in(pod.spec)}
        expected = {
            "webhook": {
                *("INTERCOM_ACCESS_TOKEN", "SUPABASE_KEY", "MYSQL_PASS"),
                *("INTERCOM_CLIENT_SECRET", "WEBHOOK_STORE", "LOOKUP_KEYS"),
            },
            "run": {"INTERCOM_ACCESS_TOKEN", "SUPABASE_KEY", "MYSQL_PASS"},
            "test": {"INTERCOM_ACCESS_TOKEN", "SUPABASE_KEY", "MYSQL_PASS"},
            "operator": set(),
            "sandbox": set(),
            "volume": set(),
        }
        assert keys == expected[pod.part], pod


@pytest.mark.parametrize("case", ["inline-secret", "everything-on"])
def test_no_key_stands_anywhere_else(case: str) -> None:
    values = CASES[case]
    objects = render(values)
    secret = find(objects, "Secret")
    rest = json.dumps([each for each in objects if each is not secret]) + notes(values)
    assert secret["stringData"].items() >= values["secret"]["inline"].items()
    for key in secret["stringData"].values():
        assert key not in rest


def test_the_sandbox_takes_its_own_keys_only() -> None:
    """A real key that stands in the values by mistake is not sent to it."""
    secret = find(render(merged(INLINE, SANDBOX)), "Secret")
    assert secret["stringData"]["INTERCOM_ACCESS_TOKEN"] == "sandbox-token"


def references(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [reference for pod in pods(objects) for reference in references_in(pod.spec)]


def references_in(spec: dict[str, Any]) -> list[dict[str, Any]]:
    variables = [each for container in spec["containers"] for each in container.get("env", [])]
    found = (each.get("valueFrom", {}).get("secretKeyRef") for each in variables)
    return [each for each in found if each]

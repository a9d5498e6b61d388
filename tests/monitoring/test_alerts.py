"""Alerts as the chart renders them: each fires, stays quiet, clears, and speaks up when it hears nothing."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.helm import NAMESPACE, SANDBOX, render
from support.prometheus import prometheus_is_there, promtool

from .cases import CASES, Case

pytestmark = pytest.mark.skipif(not prometheus_is_there(), reason="there is no promtool")

RUNBOOKS = Path(__file__).parents[2] / "docs/runbooks"
GUILTY, INNOCENT = "natca", "other"
Rule = dict[str, Any]


def rules(name: str = GUILTY, namespace: str = NAMESPACE, *, chosen: Any = None, **rule_values: Any) -> list[Rule]:
    """The alerts of a release."""
    monitoring = {"prometheusRule": {"enabled": True, **rule_values}}
    objects = render({**SANDBOX, **(chosen or {}), "monitoring": monitoring}, name=name, namespace=namespace)
    (found,) = [each for each in objects if each["kind"] == "PrometheusRule"]
    groups = found["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def rule_file(folder: Path, name: str, found: list[Rule]) -> str:
    """Write rules as Prometheus reads them; returns the file's name."""
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({"groups": [{"name": name, "rules": found}]}))
    return f"{name}.yaml"


def fullname(release: str) -> str:
    return f"{release}-mynatca-intercom"


def series_of(release: str, namespace: str, series: Any) -> list[dict[str, str]]:
    """A release's series, with the labels that its PodMonitors or kube-state-metrics give them."""
    made = []
    for selector, values in series.items():
        name, _, labels = selector.replace("FULLNAME", fullname(release)).rstrip("}").partition("{")
        own = [f'namespace="{namespace}"', *([] if name.startswith("kube_") else [f'release="{release}"'])]
        made.append({"series": f"{name}{{{','.join([*own, *filter(None, [labels])])}}}", "values": values})
    return made


def seconds(step: str, count: int) -> str:
    unit = {"m": 60, "h": 3600}[step[-1]]
    return f"{int(step[:-1]) * unit * count}s"


@pytest.mark.parametrize("name", CASES)
def test_it_fires_for_the_release_that_it_is_about_and_clears(name: str, tmp_path: Path) -> None:
    """Beside it are a release that is well, and another one of the same name in a namespace of its own."""
    case: Case = CASES[name]
    releases = [(GUILTY, NAMESPACE, case.guilty), (INNOCENT, NAMESPACE, case.innocent), (GUILTY, "far", case.innocent)]
    files, series = [], []
    for release, namespace, own in releases:
        found = [rule for rule in rules(release, namespace) if rule["alert"] == name]
        assert len(found) == 1
        files.append(rule_file(tmp_path, f"{release}-{namespace}", found))
        series += series_of(release, namespace, own)
    (rule,) = [rule for rule in rules() if rule["alert"] == name]
    own_labels = {label: value.replace("FULLNAME", fullname(GUILTY)) for label, value in case.labels.items()}

    def expected(at: int, *, fires: bool) -> dict[str, Any]:
        labels = {"alertname": name, "alertstate": "firing", **rule["labels"], **own_labels}
        sample = {
            "labels": f"ALERTS{{{','.join(f'{label}={value!r}' for label, value in labels.items())}}}",
            "value": 1,
        }
        firing = f'ALERTS{{alertname="{name}",alertstate="firing"}}'
        return {"expr": firing, "eval_time": seconds(case.step, at), "exp_samples": [sample] if fires else []}

    checks = [expected(case.quiet, fires=False), expected(case.fires, fires=True), expected(case.clears, fires=False)]
    run_test(tmp_path, files, case.step, series, checks)


def test_what_it_says_when_nothing_at_all_is_heard(tmp_path: Path) -> None:
    """Each alert that could not fire has another one that does in its place, but those about kube-state-metrics."""
    files = [rule_file(tmp_path, "all", rules())]
    speak_up = {name for name, case in CASES.items() if case.covered == name}
    samples = [
        {"labels": f'{{alertname="{name}",namespace="{NAMESPACE}",release="{GUILTY}"}}', "value": 1}
        for name in sorted(speak_up)
    ]
    firing = 'sum by (alertname, namespace, release) (ALERTS{alertstate="firing"})'
    check = {"expr": firing, "eval_time": "27h", "exp_samples": samples}

    run_test(tmp_path, files, "10m", [{"series": "other", "values": "0x162"}], [check])

    assert {case.covered for case in CASES.values()} == speak_up | {""}
    assert {name for name, case in CASES.items() if not case.covered} == {"SyncSuspended", "SweepStale"}


def run_test(folder: Path, files: list[str], step: str, series: list[dict[str, str]], checks: list[Any]) -> None:
    test = {
        "rule_files": files,
        "evaluation_interval": step,
        "tests": [{"interval": step, "input_series": series, "promql_expr_test": checks}],
    }
    (folder / "test.yaml").write_text(yaml.safe_dump(test))
    assert "SUCCESS" in promtool("test", "rules", folder / "test.yaml")


def test_every_alert_has_its_case_and_what_people_need() -> None:
    found = {rule["alert"]: rule for rule in rules()}
    assert found.keys() == CASES.keys()
    for name, rule in found.items():
        annotations = rule["annotations"]
        assert rule["for"], name
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert "$value" in annotations["description"], name
        assert "$" not in annotations["summary"] + str(rule["labels"]), f"{name}: what changes resets `for`"
        assert not re.search(r"\b[A-Z]{5,}\b", str(rule)), f"{name}: a word was not replaced"
        page = RUNBOOKS / annotations["runbook_url"].removeprefix("docs/runbooks/")
        assert page.is_file(), page
    assert {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"} == found.keys()


@pytest.mark.parametrize("name", CASES)
def test_its_page_says_what_to_do(name: str) -> None:
    """Meaning, impact, three things to look at, mend, escalation; and what commands name is installed."""
    text = (RUNBOOKS / f"{name}.md").read_text()
    steps = re.findall(r"^\d\. .+(?:\n   \S.*)*\n\n {7}\S.*\n", text, re.MULTILINE)
    assert re.findall(r"^\*\*([^*]+)\*\*", text, re.MULTILINE) == [
        *("What it means.", "What it does to people.", "Look at", "Mend it.", "Escalate"),
    ]
    assert len(steps) == 3
    installed = {(each["kind"].lower(), each["metadata"]["name"]) for each in render()}
    for kind, part in re.findall(r"(\w+)/\$APP(-[a-z-]+)", text):
        assert (kind, fullname(GUILTY) + part) in installed, f"{kind}/$APP{part}"
    assert f"| [{name}]({name}.md) |" in (RUNBOOKS / "README.md").read_text()


def test_links_of_the_pages_lead_somewhere() -> None:
    for page in RUNBOOKS.glob("*.md"):
        for target, anchor in re.findall(r"\]\(([^)#]+)(?:#([^)]+))?\)", page.read_text()):
            file = RUNBOOKS / target
            assert file.is_file(), f"{page.name}: {target}"
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert not anchor or anchor in anchors, f"{page.name}: {target}#{anchor}"


def test_promtool_finds_no_fault(tmp_path: Path) -> None:
    file = tmp_path / rule_file(tmp_path, "all", rules())
    told = promtool("check", "rules", "--lint=all", "--lint-fatal", file)
    assert f"{len(CASES)} rules found" in told


def test_an_alert_can_be_changed_without_touching_others() -> None:
    before = {rule["alert"]: rule for rule in rules()}
    changes = {
        "SyncSlow": {"enabled": False},
        "SyncPartialFailure": {"threshold": 0, "severity": "critical", "for": "2h", "labels": {"team": "crm"}},
    }
    after = {rule["alert"]: rule for rule in rules(alerts=changes)}

    assert before.keys() - after.keys() == {"SyncSlow"}
    changed = after.pop("SyncPartialFailure")
    assert " > 0\n" in changed["expr"]
    assert changed["for"] == "2h"
    assert changed["labels"] == before["SyncPartialFailure"]["labels"] | {"severity": "critical", "team": "crm"}
    assert after == {name: before[name] for name in after}


def test_all_alerts_can_bear_more_labels_and_lead_to_pages_elsewhere() -> None:
    found = rules(alertLabels={"team": "crm", "severity": "low"}, runbookUrl="https://wiki.example.org/runbooks/")
    assert {rule["labels"]["team"] for rule in found} == {"crm"}
    assert {rule["labels"]["severity"] for rule in found} == {"critical", "warning"}
    assert all(
        rule["annotations"]["runbook_url"] == f"https://wiki.example.org/runbooks/{rule['alert']}.md" for rule in found
    )


@pytest.mark.parametrize(
    ("part", "gone"),
    [
        ("webhook", {name for name in CASES if name.startswith(("Webhook", "Backlog"))}),
        ("operator", {name for name in CASES if name.startswith(("Operator", "Audit", "Sync"))}),
        ("nightly", {name for name in CASES if name.startswith("Sync")}),
        ("sweep", {"SweepStale"}),
    ],
)
def test_what_is_not_installed_has_no_alerts(part: str, gone: set[str]) -> None:
    left = {rule["alert"] for rule in rules(chosen={part: {"enabled": False}})}
    without_operator = {"SyncOverrunning", "SyncSuspended"} if part == "operator" else set()
    assert CASES.keys() - left == gone - without_operator

"""GitHub's workflows and the scripts: nothing runs them here, so linters say whether they would."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = [ROOT / ".ci" / "run", *sorted((ROOT / "tools").glob("*.sh"))]
JOBS: dict[str, dict[str, Any]] = {
    f"{workflow.stem}: {name}": job
    for workflow in WORKFLOWS
    for name, job in yaml.safe_load(workflow.read_text())["jobs"].items()
}
STEPS: dict[str, str] = {
    f"{job}: {step['name']}": step["run"]
    for job, content in JOBS.items()
    for step in content.get("steps", ())
    if "run" in step
}


def lint(*command: str | Path, stdin: str | None = None) -> None:
    """Run a linter, which has to find nothing."""
    done = subprocess.run(
        [BIN / command[0], *command[1:]], cwd=ROOT, input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_workflows_are_what_github_reads() -> None:
    lint("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    lint("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml")


def test_workflows_cannot_be_made_to_do_anything_else() -> None:
    """Actions and images pinned by digest, no rights but those that a job needs, no credentials left behind."""
    lint("zizmor", "--offline", "--no-progress", "--strict-collection", "--persona=auditor", ".github")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_have_no_slips(script: Path) -> None:
    lint("shellcheck", script)


@pytest.mark.parametrize("step", STEPS)
def test_steps_have_no_slips(step: str) -> None:
    lint("shellcheck", "--shell=bash", "-", stdin=STEPS[step])


@pytest.mark.parametrize("job", JOBS)
def test_no_job_runs_for_ever(job: str) -> None:
    assert "uses" in JOBS[job] or JOBS[job]["timeout-minutes"] <= 90


def test_the_oldest_kubernetes_of_the_chart_is_tested() -> None:
    chart = yaml.safe_load((ROOT / "charts/mynatca-intercom/Chart.yaml").read_text())
    matrix = JOBS["ci: cluster"]["strategy"]["matrix"]["include"]

    for version in matrix:
        assert f":v{version['kubernetes']}." in version["image"]
    assert f">={matrix[0]['kubernetes']}.0-0" == chart["kubeVersion"]


def test_notes_of_a_release_are_those_of_its_version(tmp_path: Path) -> None:
    """The step that makes the release's page, with a `gh` that tells what it was given."""
    step = STEPS["release: release: Release's page"]
    gh = tmp_path / "gh"
    gh.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    gh.chmod(0o755)
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## [1.1.0] - now\n\nNew.\n\n## [1.0.0] - then\n\nOld.\n")

    def page(tag: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "GITHUB_REF_NAME": tag}
        bash = shutil.which("bash")
        assert bash
        return subprocess.run(
            [bash, "-ec", step], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    assert "\nNew.\n" in page("v1.1.0").stdout
    assert "Old." not in page("v1.1.0").stdout
    assert page("v2.0.0").returncode

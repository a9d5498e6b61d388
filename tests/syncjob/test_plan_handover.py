"""The beginning of a plan is served to whoever is to approve it, who cannot read the run folder."""

import json
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_syncjob.serving import beginning
from support.runs import Run, Runner
from support.worlds import member_row, world_of

Start = Callable[..., Sandbox]


@pytest.fixture
def runner(start_sandbox: Start, tmp_path: Path) -> Runner:
    """Six hundred members to be created."""
    rows = [member_row(str(n), f"m{n}@example.com", "Mo", f"Number{n}") for n in range(3000, 3600)]
    return Runner(start_sandbox(world_of(rows), Options(limit=None)), tmp_path / "runs")


@pytest.fixture
def start(runner: Runner, tmp_path: Path) -> Iterator[Callable[..., tuple["subprocess.Popen[str]", str]]]:
    """Start a command that serves: returns its process and address."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, seconds: int, command: str = "sync") -> tuple["subprocess.Popen[str]", str]:
        process = runner.start(
            *arguments,
            command=command,
            RUN_ID="plan",
            METRICS_PORT="0",
            PLAN_HANDOVER_SECONDS=str(seconds),
            LOG_LEVEL="INFO",
            TERMINATION_LOG=str(tmp_path / "termination-log"),
        )
        started.append(process)
        assert process.stderr
        port = re.search(r"on port (\d+)", process.stderr.readline())
        assert port
        return process, f"http://127.0.0.1:{port[1]}"

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(file: Path) -> None:
    while not (file.exists() and file.read_text()):
        time.sleep(0.01)


def test_a_dry_run_waits_until_its_plan_is_kept(
    runner: Runner, start: Callable[..., tuple["subprocess.Popen[str]", str]], tmp_path: Path
) -> None:
    process, url = start("--dry-run", seconds=300)
    wait_for(tmp_path / "termination-log")
    metrics = httpx.get(f"{url}/metrics").text
    assert process.poll() is None

    page = httpx.get(f"{url}/plan")
    again = httpx.get(f"{url}/plan")
    assert process.poll() is None
    assert httpx.delete(f"{url}/plan").status_code == 204
    process.communicate(timeout=60)

    assert again.content == page.content
    run = Run(process.returncode, runner.runs_dir / "plan")
    assert (run.exit_code, page.status_code, page.headers["content-type"]) == (0, 200, "application/json")
    assert "mynatca_intercom_run_actions_planned" in metrics
    told = page.json()
    assert (told["run_id"], told["plan_digest"], told["actions_total"]) == ("plan", run.result["plan_digest"], 600)
    assert len(told["actions"]) == 500
    assert told["actions"][0] == {
        "kind": "create",
        "member_number": "3000",
        "contact_id": None,
        "into": None,
        "fields": list(run.actions[0]["after"]),
        "reason": "the member has no contact",
    }
    assert json.loads((tmp_path / "termination-log").read_text())["plan_digest"] == told["plan_digest"]


def test_it_ends_at_sigterm_as_it_had_ended(
    start: Callable[..., tuple["subprocess.Popen[str]", str]], tmp_path: Path
) -> None:
    process, _ = start("--dry-run", seconds=300)
    wait_for(tmp_path / "termination-log")

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert process.returncode == 0
    assert json.loads((tmp_path / "termination-log").read_text())["exit_code"] == 0


@pytest.mark.parametrize(("arguments", "seconds"), [(["--dry-run"], 1), (["--dry-run"], 0), ([], 300)])
def test_nobody_is_waited_for_longer_than_is_set(
    start: Callable[..., tuple["subprocess.Popen[str]", str]], arguments: list[str], seconds: int
) -> None:
    """And only after a dry run: any other has nothing to be approved."""
    process, _ = start(*arguments, seconds=seconds)

    process.communicate(timeout=120)

    assert process.returncode == 0


def test_a_plan_that_is_not_made_yet_is_not_served(
    runner: Runner, start: Callable[..., tuple["subprocess.Popen[str]", str]]
) -> None:
    """Nor is that of an earlier attempt, which lies in the same folder."""
    runner.sync("--dry-run", RUN_ID="plan")
    runner.sandbox.options = Options(limit=None, latency=30)
    process, url = start("--dry-run", seconds=300)

    page = httpx.get(f"{url}/plan")
    kept = httpx.delete(f"{url}/plan")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    assert (page.status_code, kept.status_code) == (404, 404)
    assert process.returncode == 6


def test_the_plan_of_an_undo_is_served_too(
    runner: Runner, start: Callable[..., tuple["subprocess.Popen[str]", str]], tmp_path: Path
) -> None:
    runner.sync("--limit", "2", RUN_ID="night")
    created = {contact.external_id: contact.id for contact in runner.sandbox.world.contacts}
    _, url = start("night", "--dry-run", command="undo", seconds=300)
    wait_for(tmp_path / "termination-log")

    told = httpx.get(f"{url}/plan").json()

    assert told["actions_total"] == 2
    assert {each["member_number"]: (each["kind"], each["contact_id"]) for each in told["actions"]} == {
        number: ("undo_create", contact_id) for number, contact_id in created.items()
    }


texts = st.text(max_size=2_000)
lines = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(("update", "finding", "archive")),
        "member_number": st.none() | texts,
        "contact_id": st.none() | texts,
        "before": st.just({}),
        "after": st.dictionaries(texts, texts, max_size=3),
        "reason": texts,
    }
)


@given(some=st.lists(lines, max_size=8), times=st.sampled_from((1, 10, 100)))
def test_the_page_is_never_larger_than_its_bound(
    tmp_path_factory: pytest.TempPathFactory, some: list[dict[str, object]], times: int
) -> None:
    """Whatever stands in the plan: then fewer actions are told, and all are counted."""
    plan = tmp_path_factory.mktemp("runs") / "plan.jsonl"
    plan.write_text("".join(f"{json.dumps(line)}\n" for line in [{"kind": "request"}, *some * times]))

    page = beginning(plan, "run", "digest")

    told = json.loads(page)
    assert len(page) <= 250 * 1024
    actions = [line for line in some * times if line["kind"] != "finding"]
    assert told["actions_total"] == len(actions)
    assert told["counts"] == Counter(action["kind"] for action in actions)
    assert [each["reason"] for each in told["actions"]] == [each["reason"] for each in actions[: len(told["actions"])]]

"""Members' emails, phones and names stay out of everything that leaves the run folder's private files."""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from prometheus_client import generate_latest

from mynatca_intercom.metrics import REGISTRY
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import World
from mynatca_syncjob.serving import beginning
from support.runs import Runner
from support.worlds import decisions, worlds


def personal_data(world: World) -> set[str]:
    """Emails, full names and phone digits of everybody, as they might be quoted."""
    found: set[str] = set()
    for row in world.tables["members"]:
        email, phone = (row["email"] or "").strip().lower(), re.sub(r"\D", "", row["phone"] or "")
        name = " ".join(f"{row['firstname'] or ''} {row['lastname'] or ''}".split())
        found |= {email, phone if len(phone) >= 10 else "", name.lower() if " " in name else ""}
    found |= {(contact.email or "").lower() for contact in world.contacts}
    return found - {""}


def test_a_night_full_of_trouble_and_faults_tells_nothing_personal(
    start_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    """Standard output, log lines at their most talkative, result, termination message and metrics."""
    world = generate(WorldOptions(members=400))
    regions = next(attribute for attribute in world.data_attributes if attribute.name == "region")
    regions.options = ["RNAV", "GL"]  # members of other regions are refused, each with an error
    secrets = personal_data(world)
    faults = Options(limit=None, fault_5xx=0.05, fault_drop_after=0.05, fault_429=0.02)
    runner = Runner(start_sandbox(world, faults), tmp_path)
    termination = tmp_path / "termination-log"

    process = runner.start(LOG_LEVEL="DEBUG", RUN_ID="talkative", TERMINATION_LOG=str(termination))
    output, errors = process.communicate(timeout=120)
    runner.sync()

    result = (tmp_path / "talkative" / "result.json").read_text()
    public = "\n".join((output, errors, result, termination.read_text(), generate_latest(REGISTRY).decode())).lower()
    assert process.returncode == 3
    assert len(errors.splitlines()) > 50
    assert told(secrets, public) == []


def told(secrets: set[str], public: str) -> list[str]:
    """Which of the secrets stand in a text, in lower case."""
    digits = re.sub(r"[^\d\n]", "", public)
    return [secret for secret in secrets if secret in public or (secret.isdigit() and secret in digits)]


@pytest.mark.parametrize("command", ["sync", "audit", "manual-update"])
@settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(world=worlds(), rows=decisions())
def test_the_beginning_of_a_plan_tells_nothing_personal(
    start_sandbox: Callable[..., Sandbox], command: str, world: World, rows: list[dict[str, str]]
) -> None:
    """It goes to Kubernetes, where more people may read it than the run folder; the same for taking the run back."""
    secrets = personal_data(world)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        runner = Runner(start_sandbox(world, Options(limit=None)), runs)
        mappings = Path(folder) / "mappings.json"
        mappings.write_text(json.dumps(rows))
        runner.run(command, *([str(mappings)] if command == "manual-update" else []), RUN_ID="run")
        runner.undo("run", "--dry-run", RUN_ID="undo")

        for run in ("run", "undo"):
            page = json.loads(beginning(runs / run / "plan.jsonl", run, "digest"))
            texts = [value for action in page["actions"] for value in action.values() if isinstance(value, str)]
            texts += [field for action in page["actions"] for field in action["fields"]]
            assert told(secrets, "\n".join(texts).lower()) == []

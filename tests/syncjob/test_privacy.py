"""Members' emails, phones and names stay out of everything that leaves the run folder's private files."""

import re
from collections.abc import Callable
from pathlib import Path

from prometheus_client import generate_latest

from mynatca_intercom.metrics import REGISTRY
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import World
from support.runs import Runner


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
    digits = re.sub(r"[^\d\n]", "", public)
    assert process.returncode == 3
    assert len(errors.splitlines()) > 50
    assert [secret for secret in secrets if secret in public or (secret.isdigit() and secret in digits)] == []

"""The promises of the engine, on random worlds, through the real command and a sandbox as strict as Intercom.

Not here: crashes and lost answers (`tests/syncjob`), privacy (`tests/syncjob`), duplicates and archiving.
"""

import copy
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import World
from support.runs import Run, Runner, end_state
from support.worlds import EMAILS, worlds

# Without shrinking: an example takes three runs of the command, and the worlds are small as they come.
random_worlds = settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
rules = st.builds(
    Options,
    taken_email=st.sampled_from(("second_user", "conflict")),
    clear_external_id=st.sampled_from(("accept", "refuse", "ignore")),
    limit=st.none(),
)


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(World(now=0), Options(limit=None))


@pytest.fixture
def runs_dirs() -> Iterator[Iterator[Path]]:
    """A new folder for each example."""
    with tempfile.TemporaryDirectory() as folder:
        yield (Path(folder) / str(i) for i in range(10_000))


def in_review(run: Run) -> set[str]:
    """Members that the run left to a person, whether it foresaw that or not."""
    rows = {row["member_number"] for row in run.result["rows"]}
    return rows | {finding["member_number"] for finding in run.findings if finding["member_number"]}


@random_worlds
@given(world=worlds(), options=rules)
def test_a_second_run_finds_nothing_to_do(
    sandbox: Sandbox, runs_dirs: Iterator[Path], world: World, options: Options
) -> None:
    """Invariant 1: what a run leaves behind needs no change, but for members that wait for a person."""
    sandbox.reset(world, options)
    runner = Runner(sandbox, next(runs_dirs))

    first = runner.sync()
    after_first = end_state(sandbox)
    second = runner.sync()

    assert first.exit_code == second.exit_code == 0
    assert {action["member_number"] for action in second.actions} <= in_review(first)
    assert end_state(sandbox) == after_first


@random_worlds
@given(world=worlds(), options=rules)
def test_an_agreeing_world_costs_the_listing_and_nothing_else(
    sandbox: Sandbox, runs_dirs: Iterator[Path], world: World, options: Options
) -> None:
    """Invariant 2: no write, and one list call for so few contacts."""
    sandbox.reset(world, options)
    runner = Runner(sandbox, next(runs_dirs))
    runner.sync()
    sandbox.calls.clear()

    second = runner.sync()

    if not second.actions:
        assert sandbox.calls.writes == 0
        assert second.result["calls"] == {"identify": 1, "list_contacts": 1}


@random_worlds
@given(world=worlds(), options=rules)
def test_each_synced_member_has_exactly_one_user_with_its_number(
    sandbox: Sandbox, runs_dirs: Iterator[Path], world: World, options: Options
) -> None:
    """Invariant 3: one, for all that do not wait for a person; never two for anybody."""
    sandbox.reset(world, options)

    run = Runner(sandbox, next(runs_dirs)).sync()

    users = Counter(
        contact.external_id
        for contact in sandbox.world.contacts
        if contact.role == "user" and not (contact.archived or contact.merged_into or contact.deleted)
    )
    for row in world.tables["members"]:
        synced = row["status"] in ("Active", "Retired") and row["email"] is not None
        number = row["membernumber"]
        assert users[number] <= 1
        if synced and number not in in_review(run):
            assert users[number] == 1


@random_worlds
@given(world=worlds(), options=rules)
def test_nobody_is_archived_who_was_not(
    sandbox: Sandbox, runs_dirs: Iterator[Path], world: World, options: Options
) -> None:
    """Invariant 4, as far as the sync reaches: whoever was in sight stays in sight, with all conversations."""
    sandbox.reset(world, options)
    in_sight = {contact.id for contact in world.contacts if not (contact.archived or contact.merged_into)}

    Runner(sandbox, next(runs_dirs)).sync()

    after = {contact.id: contact for contact in sandbox.world.contacts}
    assert not any(after[contact_id].archived or after[contact_id].merged_into for contact_id in in_sight)


@random_worlds
@given(world=worlds(), options=rules)
def test_doubtful_contacts_are_not_touched(
    sandbox: Sandbox, runs_dirs: Iterator[Path], world: World, options: Options
) -> None:
    """Invariant 5: a contact on the review list is after the run as it was before."""
    sandbox.reset(world, options)
    before = {contact.id: copy.deepcopy(contact) for contact in sandbox.world.contacts}

    run = Runner(sandbox, next(runs_dirs)).sync()

    after = {contact.id: contact for contact in sandbox.world.contacts}
    doubtful = {finding["contact_id"] for finding in run.findings if not finding["member_number"]}
    assert all(after[contact_id] == before[contact_id] for contact_id in doubtful)


@random_worlds
@given(world=worlds(), options=rules)
def test_a_dry_run_tells_the_truth_and_writes_nothing(
    sandbox: Sandbox, runs_dirs: Iterator[Path], world: World, options: Options
) -> None:
    """Invariant 6: the same plan as the real run, no write call, and each first write is the planned one."""
    sandbox.reset(world, options)
    runner = Runner(sandbox, next(runs_dirs))

    foretold = runner.sync("--dry-run")
    writes_of_dry_run = sandbox.calls.writes
    real = runner.sync()

    assert writes_of_dry_run == 0
    assert foretold.actions == real.actions
    assert foretold.findings == real.findings
    intents = [entry for entry in real.journal if entry["state"] == "intent"]
    first_writes = {entry["member_number"]: entry for entry in reversed(intents)}
    assert set(first_writes) == {action["member_number"] for action in real.actions}
    for action in real.actions:
        write = first_writes[action["member_number"]]
        assert (write["after"], write.get("contact_id")) == (action["after"], action["contact_id"])


@random_worlds
@given(world=worlds(), options=rules, limit=st.integers(1, 4))
def test_every_member_is_counted_once(
    sandbox: Sandbox, runs_dirs: Iterator[Path], world: World, options: Options, limit: int
) -> None:
    """Invariant 12: the outcomes add up to the members seen, limited or not, foretold or done."""
    sandbox.reset(world, options)
    runner = Runner(sandbox, next(runs_dirs))

    runs = [runner.sync("--dry-run"), runner.sync("--limit", str(limit)), runner.sync()]

    for run in runs:
        assert sum(run.result["counts"].values()) == run.result["members"]
        assert all(row["reason"] for row in run.result["rows"])


@random_worlds
@given(world=worlds(), options=rules, share=st.floats(0, 0.3))
def test_nothing_personal_is_told(
    sandbox: Sandbox, runs_dirs: Iterator[Path], world: World, options: Options, share: float
) -> None:
    """Invariant 13: no email, phone or name in the log at its most talkative, in what is printed, or in the result."""
    sandbox.reset(world, replace(options, fault_5xx=share, fault_drop_after=share / 3))
    said = io.StringIO()

    with redirect_stderr(said), redirect_stdout(said):
        run = Runner(sandbox, next(runs_dirs)).sync("--output", "json", LOG_LEVEL="DEBUG", INTERCOM_MAX_ATTEMPTS="2")

    public = (said.getvalue() + (run.folder / "result.json").read_text()).lower()
    secrets = [*EMAILS, "stranger@example.org", "5550142", "555-0142", "5550199", "okafor", "núñez", "ann lee"]
    assert len(said.getvalue().splitlines()) > 3
    assert [secret for secret in secrets if secret in public] == []


@random_worlds
@given(world=worlds(), share=st.floats(0.05, 0.4), seed=st.integers(0, 1000))
def test_a_failing_row_stops_no_other_and_can_be_run_again(
    sandbox: Sandbox, runs_dirs: Iterator[Path], world: World, share: float, seed: int
) -> None:
    """Invariants 10 and 12: with writes that fail for good, a later run reaches the undisturbed end state."""
    sandbox.reset(copy.deepcopy(world), Options(limit=None))
    Runner(sandbox, next(runs_dirs)).sync()
    undisturbed = end_state(sandbox)

    sandbox.reset(world, Options(limit=None))
    runner = Runner(sandbox, next(runs_dirs))
    sandbox.options = Options(limit=None, fault_5xx=share, fault_drop_after=share / 2, fault_seed=seed)
    disturbed = runner.sync(INTERCOM_MAX_ATTEMPTS="1")
    sandbox.options = Options(limit=None)
    runner.sync()

    assert disturbed.exit_code in (0, 1, 3)
    assert end_state(sandbox) == undisturbed
    if disturbed.exit_code == 3:
        assert sum(disturbed.result["counts"].values()) == disturbed.result["members"]
        assert disturbed.result["counts"]["failed"] == sum(
            row["outcome"] == "failed" for row in disturbed.result["rows"]
        )

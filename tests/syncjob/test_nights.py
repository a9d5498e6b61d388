"""Whole nights: what they cost, that faults and crashes change nothing in the end, and that nobody is confused."""

import copy
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.change import change_members
from mynatca_sandbox.world.generate import WorldOptions, generate
from support.runs import Runner, end_state

Start = Callable[..., Sandbox]


def test_a_quiet_night_of_20_000_costs_134_pages_and_no_write(start_sandbox: Start, tmp_path: Path) -> None:
    """And 200 changed members cost exactly 200 writes more."""
    world = generate(WorldOptions(members=20_000, contacts="synced"))
    runner = Runner(start_sandbox(world, Options(limit=None)), tmp_path)

    quiet = runner.sync()
    pages, writes = runner.sandbox.calls["GET /contacts"], runner.sandbox.calls.writes
    change_members(world, 200, seed=1)
    runner.sandbox.calls.clear()
    changed = runner.sync()

    assert (quiet.exit_code, changed.exit_code) == (0, 0)
    assert (pages, writes) == (134, 0)
    assert sum(quiet.result["calls"].values()) - pages <= 5
    assert changed.result["counts"]["updated"] == runner.sandbox.calls.writes == 200
    assert sum(changed.result["calls"].values()) <= 345


@pytest.mark.parametrize("seed", [1, 2])
def test_faults_change_nothing_in_the_end(start_sandbox: Start, tmp_path: Path, seed: int) -> None:
    """2 % server errors, 2 % 429 and 1 % lost answers: the same end state, nobody twice."""
    world = generate(WorldOptions(members=600, seed=seed))
    calm = Runner(start_sandbox(copy.deepcopy(world), Options(limit=None)), tmp_path / "calm")
    faults = Options(limit=None, fault_5xx=0.02, fault_429=0.02, fault_drop_after=0.01, fault_seed=seed)
    rough = Runner(start_sandbox(world, faults), tmp_path / "rough")

    calm.sync()
    night = rough.sync()

    assert night.exit_code == 0
    assert rough.sandbox.calls.by_status[429] > 0
    assert end_state(rough.sandbox) == end_state(calm.sandbox)


def test_killed_anywhere_and_run_again_the_end_is_the_same(start_sandbox: Start, tmp_path: Path) -> None:
    """SIGKILL at ten random points of one run; the last attempt goes through under the same run id."""
    world = generate(WorldOptions(members=250, seed=3))
    calm = Runner(start_sandbox(copy.deepcopy(world), Options(limit=None)), tmp_path / "calm")
    calm.sync()
    runner = Runner(start_sandbox(world, Options(limit=None, latency=0.02)), tmp_path / "killed")

    moments = random.Random(5)
    for _ in range(10):
        process = runner.start(INTERCOM_CONCURRENCY="3", RUN_ID="night")
        point = runner.sandbox.calls.total + moments.randrange(5, 60)
        while process.poll() is None and runner.sandbox.calls.total < point:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    last = runner.sync(RUN_ID="night")

    assert last.exit_code == 0
    assert end_state(runner.sandbox) == end_state(calm.sandbox)
    recorded = {entry["seq"] for entry in last.journal}
    assert len(recorded) == len(last.journal)


def test_a_holder_that_was_deleted_for_good_does_not_stop_the_next_attempt(
    start_sandbox: Start, tmp_path: Path
) -> None:
    """Intercom answers 500 when it is to come back to be looked at, so the journal leaves open whether it did."""
    world = generate(WorldOptions(members=5, contacts="synced"))
    world.contacts[0].archived = world.contacts[0].deleted = True
    runner = Runner(start_sandbox(world, Options(limit=None)), tmp_path)

    runs = [runner.sync(RUN_ID="night") for _ in range(2)]

    assert [run.exit_code for run in runs] == [0, 0]
    assert [run.result["counts"]["review"] for run in runs] == [1, 1]


def test_a_number_on_a_part_of_an_archived_contact_is_left_to_a_person(start_sandbox: Start, tmp_path: Path) -> None:
    """Nothing takes it off a contact that was merged away, also not when that one's survivor is an older duplicate."""
    world = generate(WorldOptions(members=5, contacts="synced"))
    newest = world.contacts[0]
    older, part = copy.copy(newest), copy.copy(newest)
    older.id, older.created_at = "a" * 24, newest.created_at - 1
    part.id, part.merged_into = "b" * 24, older.id
    newest.external_id, older.external_id = None, "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
    world.contacts += [older, part]

    run = Runner(start_sandbox(world, Options(limit=None)), tmp_path).audit()

    assert run.exit_code == 0
    assert [(row["outcome"], row["contact_id"]) for row in run.result["rows"]] == [("review", older.id)]


@pytest.mark.parametrize("seed", range(3))
def test_no_contact_gets_another_persons_data(start_sandbox: Start, tmp_path: Path, seed: int) -> None:
    """In worlds whose truth is known, a contact that bears a number after the night is really that member."""
    world = generate(WorldOptions(members=1_500, seed=seed))
    before = {contact.id: copy.deepcopy(contact) for contact in world.contacts}
    runner = Runner(start_sandbox(world, Options(limit=None)), tmp_path)

    runner.sync()

    numbers = {row["membernumber"] for row in world.tables["members"]}
    changed = [contact for contact in world.contacts if contact.id in before and contact != before[contact.id]]
    assert len(changed) > 100
    bearers = [contact for contact in changed if contact.external_id in numbers]
    assert [contact.id for contact in bearers if contact.external_id != world.truth[contact.id]] == []

"""`apply-plan`: what a person approved is carried out, and nothing else, whatever happened meanwhile."""

import copy
import json
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import Contact, Conversation, Note, World
from mynatca_syncjob.mappings import Decision, read_mappings
from support.runs import Run, Runner, end_state
from support.worlds import ADMIN, EMAILS, NOW, decisions, member_row, rules, world_of, worlds

Start = Callable[..., Sandbox]
Line = dict[str, Any]

NO_LONGER_SO = "approved, and no longer to be done, or not in this way"
UNKNOWN_DIGEST = "0" * 64
COMMANDS = (("sync",), ("audit",), ("audit", "--leads-only"), ("audit", "--no-archive"), ("manual-update",))
every_command = pytest.mark.parametrize("command", COMMANDS, ids=["-".join(command) for command in COMMANDS])
few_worlds = settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def sandbox(start_sandbox: Start) -> Sandbox:
    return start_sandbox(World(now=0), Options(limit=None))


@pytest.fixture
def folders() -> Iterator[Iterator[Path]]:
    """A new folder for each example."""
    with tempfile.TemporaryDirectory() as folder:
        yield (Path(folder) / str(i) for i in range(10_000))


def approve(runner: Runner, plan: Run, *flags: str, **more: str) -> Run:
    """Carry out the plan of a dry run."""
    return runner.run("apply-plan", plan.folder.name, "--digest", plan.result["plan_digest"], *flags, **more)


def on(sandbox: Sandbox, folder: Path, world: World, options: Options, rows: list[dict[str, str]]) -> Runner:
    """A runner on this world, with a mappings file beside its runs."""
    sandbox.reset(world, options)
    folder.mkdir()
    (folder / "mappings.json").write_text(json.dumps(rows))
    return Runner(sandbox, folder / "runs")


def arguments(command: tuple[str, ...], folder: Path) -> tuple[str, ...]:
    return (*command, str(folder / "mappings.json")) if command == ("manual-update",) else command


def intents(run: Run) -> list[Line]:
    return [line for line in run.journal if line["state"] == "intent"]


def sent(run: Run, known: set[str]) -> list[str]:
    """The writes of a run, each in comparable form: contacts that it created have other ids each time."""
    what = ("operation", "contact_id", "member_number", "into", "conversation_id", "tag_id", "before", "after")
    lines = [{name: line.get(name) for name in what} for line in intents(run)]
    text = [
        json.dumps(line | {"contact_id": line["contact_id"] if line["contact_id"] in known else ""}) for line in lines
    ]
    return sorted(text)


def subjects(line: Line) -> set[str]:
    return {f"{key} {line[key]}" for key in ("member_number", "contact_id") if line.get(key)}


def text(lines: list[Line]) -> set[str]:
    return {json.dumps(line) for line in lines}


@every_command
@few_worlds
@given(world=worlds(), options=rules, rows=decisions())
def test_right_after_the_dry_run_it_does_what_the_run_itself_would_do(
    sandbox: Sandbox,
    folders: Iterator[Path],
    command: tuple[str, ...],
    world: World,
    options: Options,
    rows: list[dict[str, str]],
) -> None:
    """The same writes, counts and end, and under the same digest, as the plan is the same to the last byte."""
    known = {contact.id for contact in world.contacts}
    folder, other = next(folders), next(folders)
    runner = on(sandbox, folder, copy.deepcopy(world), options, rows)
    one_by_one = {"INTERCOM_CONCURRENCY": "1"}
    plan = runner.run(*arguments(command, folder), "--dry-run")
    approved = approve(runner, plan, **one_by_one)
    approved_end, approved_writes = end_state(sandbox), sandbox.calls.writes

    direct = on(sandbox, other, world, options, rows).run(*arguments(command, other), **one_by_one)

    assert (approved.exit_code, approved.result["kind"]) == (direct.exit_code, command[0])
    assert approved.result["counts"] == direct.result["counts"]
    assert approved.result["plan_digest"] == plan.result["plan_digest"] == direct.result["plan_digest"]
    assert (approved_end, approved_writes) == (end_state(sandbox), sandbox.calls.writes)
    assert sent(approved, known) == sent(direct, known)


Change = tuple[str, int]
changes = st.lists(
    st.tuples(
        st.sampled_from(("name", "region", "email", "archive", "create", "move", "rename", "join", "talk")),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=4,
)


def change(world: World, what: str, which: int) -> None:
    """Something that happens between a plan and its approval."""
    people, rows = world.contacts, world.tables["members"]
    contact = people[which % len(people)] if people else Contact("f" * 24, "user", NOW, NOW)
    row = rows[which % len(rows)]
    match what:
        case "name":
            contact.name = "Edited By Hand"
        case "region":
            contact.custom_attributes["region"] = "By Hand"
        case "email":
            contact.email = EMAILS[which % len(EMAILS)]
        case "archive":
            contact.archived = True
        case "create":
            people.append(Contact(f"{900 + len(people):024x}", "lead", NOW, NOW, email=EMAILS[which % len(EMAILS)]))
        case "move":
            row["facility_id"] = 2 if row["facility_id"] == 1 else 1
        case "rename":
            row["lastname"] = "Renamed"
        case "join":
            rows.append(member_row(f"50{len(rows)}", f"new{len(rows)}@example.com", "Ny", "Neu"))
        case _ if not (contact.deleted or contact.merged_into):
            world.conversations.append(
                Conversation(str(6000 + len(world.conversations)), [contact.id], NOW, NOW, "open")
            )


@every_command
@few_worlds
@given(world=worlds(), options=rules, rows=decisions(), happened=changes)
def test_what_changed_meanwhile_is_left_out_and_counted(
    sandbox: Sandbox,
    folders: Iterator[Path],
    command: tuple[str, ...],
    world: World,
    options: Options,
    rows: list[dict[str, str]],
    happened: list[Change],
) -> None:
    """Nothing is written that does not stand in the approved plan, and each member or contact is counted."""
    folder = next(folders)
    runner = on(sandbox, folder, world, options, rows)
    plan = runner.run(*arguments(command, folder), "--dry-run")
    for what, which in happened:
        change(world, what, which)
    sandbox.reset(world)
    fresh = runner.run(*arguments(command, folder), "--dry-run")

    run = approve(runner, plan)

    assert run.exit_code in ({0, 3} if command == ("manual-update",) else {0})
    assert text(run.actions) <= text(plan.actions) & text(fresh.actions)
    about = {name for action in run.actions for name in subjects(action)}
    assert [line for line in intents(run) if not subjects(line) & about] == []
    assert (sandbox.calls.writes > 0) <= bool(run.actions)
    counts = run.result["counts"]
    assert sum(counts.values()) == run.result["seen"] == fresh.result["seen"]
    missed = [finding for finding in run.findings if finding["reason"] == NO_LONGER_SO]
    assert len(missed) == len(text(plan.actions) - text(run.actions))
    assert (counts["not_approved"] > 0) <= bool(text(fresh.actions) - text(run.actions))


def test_killed_anywhere_and_run_again_it_goes_on(start_sandbox: Start, tmp_path: Path) -> None:
    """SIGKILL at eight random points of an approved run: at the end all is as if nothing had happened."""
    world = generate(WorldOptions(members=200, seed=7))
    released = [flag for brake in ("create", "update", "archive") for flag in ("--release", brake)]
    calm = Runner(start_sandbox(copy.deepcopy(world), Options(limit=None)), tmp_path / "calm")
    calm.audit(*released)
    runner = Runner(start_sandbox(world, Options(limit=None)), tmp_path / "killed")
    plan = runner.audit("--dry-run", *released)
    runner.sandbox.options = Options(limit=None, latency=0.02)

    moments = random.Random(11)
    approved = (plan.folder.name, "--digest", plan.result["plan_digest"])
    for _ in range(8):
        process = runner.start(*approved, command="apply-plan", INTERCOM_CONCURRENCY="3", RUN_ID="approved")
        point = runner.sandbox.calls.writes + moments.randrange(1, 40)
        while process.poll() is None and runner.sandbox.calls.writes < point:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    runner.sandbox.options = Options(limit=None)
    last = approve(runner, plan, RUN_ID="approved")

    assert last.exit_code == 0
    assert end_state(runner.sandbox) == end_state(calm.sandbox)
    assert last.result["counts"]["not_approved"] == 0
    assert NO_LONGER_SO not in last.result["findings"]


def entangled() -> World:
    """A member with an older user that has all there is to hand over, and one with nothing but leads."""
    rows = [member_row("1001", "ann@example.com"), member_row("1002", "bo@example.com", "Bo", "Kim")]
    older = Contact("a" * 24, "user", NOW - 9000, NOW - 9000, external_id="1001", email="ann@example.com")
    older.tag_ids, older.notes = ["101", "102"], [Note("9001", "<p>Called</p>", NOW - 8000, ADMIN)]
    kept = Contact("b" * 24, "user", NOW - 5000, NOW - 5000, email="ann@example.com", name="Ann Lee")
    leads = [
        Contact(each * 24, "lead", NOW - 4000 + i, NOW - 4000 + i, email="bo@example.com", name=f"Bo {i}")
        for i, each in enumerate("cde")
    ]
    lead = Contact("f" * 24, "lead", NOW - 3000, NOW - 3000, email="ann@example.com", phone="+13125550142")
    world = world_of(rows, [older, kept, *leads, lead])
    world.conversations = [Conversation(str(5000 + i), ["a" * 24], NOW - 500, NOW - 400, "open") for i in range(2)]
    return world


def test_killed_at_each_write_it_goes_on(start_sandbox: Start, tmp_path: Path) -> None:
    """SIGKILL while the n-th write is under way, for every n: what a member still lacks is as approved as the whole."""
    calm = Runner(start_sandbox(entangled(), Options(limit=None)), tmp_path / "calm")
    calm.audit()
    writes = len(intents(Run(0, tmp_path / "calm" / "run-1")))
    assert writes > 10
    sandbox = start_sandbox(entangled(), Options(limit=None))

    for nth in range(1, writes + 1):
        sandbox.reset(entangled())
        runner = Runner(sandbox, tmp_path / str(nth))
        plan = runner.audit("--dry-run")
        flags = (plan.folder.name, "--digest", plan.result["plan_digest"])
        process = runner.start(*flags, command="apply-plan", RUN_ID="approved", INTERCOM_CONCURRENCY="1")
        sandbox.before = kill_at(nth, process)
        process.communicate()
        sandbox.before = None
        last = approve(runner, plan, RUN_ID="approved")

        assert (process.returncode, last.exit_code) == (-signal.SIGKILL, 0)
        assert end_state(sandbox) == end_state(calm.sandbox)
        assert last.result["counts"]["not_approved"] == 0
        assert NO_LONGER_SO not in last.result["findings"]


def kill_at(nth: int, process: "subprocess.Popen[str]") -> Callable[[str, str], None]:
    """What kills the process as soon as its n-th write has arrived, which then takes effect unanswered."""
    writes = iter(range(1, nth + 1))

    def before(method: str, path: str) -> None:
        if method != "GET" and not path.endswith("/search") and next(writes, nth) == nth:
            process.kill()

    return before


@pytest.fixture
def runner(start_sandbox: Start, tmp_path: Path) -> Runner:
    """Thirty members without a contact, and some of nobody's."""
    rows = [member_row(str(n), f"m{n}@example.com", "Mo", f"Number{n}") for n in range(3000, 3030)]
    strangers = [Contact(f"{n:024x}", "lead", NOW - 9000, NOW - 9000, email=f"s{n}@x.example") for n in range(30)]
    return Runner(start_sandbox(world_of(rows, strangers), Options(limit=None)), tmp_path)


class TestRefusals:
    """Exit code 2, one sentence, and no call."""

    def refused(self, runner: Runner, name: str, digest: str, **more: str) -> None:
        calls = runner.sandbox.calls.total
        assert runner.run("apply-plan", name, "--digest", digest, **more).exit_code == 2
        assert runner.sandbox.calls.total == calls

    @pytest.mark.parametrize("name", ["unknown", "../plan", "", "plan/../plan"])
    def test_a_run_that_is_not_there(self, runner: Runner, name: str, capsys: pytest.CaptureFixture[str]) -> None:
        runner.sync("--dry-run", RUN_ID="plan")

        self.refused(runner, name, UNKNOWN_DIGEST)

        assert f"RUN cannot be {name!r}" in capsys.readouterr().err

    def test_another_digest(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        plan = runner.sync("--dry-run")

        self.refused(runner, plan.folder.name, UNKNOWN_DIGEST)

        assert f"has the digest {plan.result['plan_digest']}" in capsys.readouterr().err

    def test_a_plan_that_was_edited(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        plan = runner.sync("--dry-run")
        file = plan.folder / "plan.jsonl"
        file.write_text(file.read_text().replace("Mo Number3000", "Mo Somebody"))

        self.refused(runner, plan.folder.name, plan.result["plan_digest"])

        assert "not the plan that was approved" in capsys.readouterr().err

    def test_a_run_that_was_no_dry_run(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        run = runner.sync()

        self.refused(runner, run.folder.name, run.result["plan_digest"])

        assert "dry run that went through" in capsys.readouterr().err

    def test_a_dry_run_that_a_brake_stopped(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        plan = runner.audit("--dry-run")
        assert plan.exit_code == 4

        self.refused(runner, plan.folder.name, plan.result["plan_digest"])

        assert "dry run that went through" in capsys.readouterr().err

    def test_a_run_without_a_plan(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        plan = runner.sync("--dry-run")
        digest = plan.result["plan_digest"]
        (plan.folder / "result.json").unlink()

        self.refused(runner, plan.folder.name, digest)

        assert "left no plan, or no result" in capsys.readouterr().err

    def test_a_plan_of_another_version(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        plan = runner.sync("--dry-run")
        file = plan.folder / "plan.jsonl"
        file.write_text("".join(file.read_text().splitlines(keepends=True)[1:]))
        runner.run("show", plan.folder.name)
        digest = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Digest: "))

        self.refused(runner, plan.folder.name, digest.removeprefix("Digest: "))

        assert "another version" in capsys.readouterr().err

    def test_its_own_name(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        plan = runner.sync("--dry-run", RUN_ID="plan")

        self.refused(runner, "plan", plan.result["plan_digest"], RUN_ID="plan")

        assert "RUN_ID cannot be 'plan'" in capsys.readouterr().err

    @pytest.mark.parametrize("flags", [["--digest", "abc"], [], ["--digest", UNKNOWN_DIGEST, "--limit", "3"]])
    def test_a_wrong_argument(self, runner: Runner, flags: list[str]) -> None:
        with pytest.raises(SystemExit) as ending:
            runner.run("apply-plan", "plan", *flags)

        assert ending.value.code == 2


class TestWhatThePlanSays:
    """Flags and brakes come from the plan."""

    def test_the_limit(self, runner: Runner) -> None:
        run = approve(runner, runner.sync("--dry-run", "--limit", "5"))

        counts = {name: count for name, count in run.result["counts"].items() if count}
        assert counts == {"created": 5, "not_approved": 25}

    def test_released_brakes(self, runner: Runner) -> None:
        run = approve(runner, runner.audit("--dry-run", "--release", "archive"))

        assert run.exit_code == 0
        assert run.result["counts"]["archived"] == 30

    def test_a_brake_that_is_not_released_holds(self, runner: Runner) -> None:
        runner.sync(RUN_ID="night")
        plan = runner.sync("--dry-run")
        runner.sandbox.world.tables["members"].clear()

        run = approve(runner, plan)

        assert run.exit_code == 4
        assert [brake["brake"] for brake in run.result["brakes"]] == ["source"]
        assert "make a new plan with --release source" in run.result["message"]

    def test_brakes_measure_what_is_kept(self, runner: Runner) -> None:
        """Twenty members joined since; to create them all would be too much, and none of them is approved."""
        runner.sync()
        rows = runner.sandbox.world.tables["members"]
        rows[0]["facility_id"] = 2
        plan = runner.sync("--dry-run")
        rows.extend(member_row(str(n), f"new{n}@example.com", "Ny", f"Neu{n}") for n in range(5000, 5020))
        assert runner.sync("--dry-run").exit_code == 4

        run = approve(runner, plan)

        assert run.exit_code == 0
        assert (run.result["counts"]["updated"], run.result["counts"]["not_approved"]) == (1, 20)

    def test_the_report_says_whose_plan_it_was(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        plan = runner.sync("--dry-run", "--output", "text", RUN_ID="plan")
        assert f"apply-plan plan --digest {plan.result['plan_digest']}" in capsys.readouterr().out

        run = approve(runner, plan, "--output", "text")

        assert "Only what was approved in the plan of plan." in capsys.readouterr().out
        assert "as approved in plan" in (run.folder / "report.html").read_text()
        assert run.result["approved_run"] == "plan"


class TestUndo:
    """The plan of an undo is approved in the same way."""

    @pytest.fixture
    def plan(self, runner: Runner) -> Run:
        runner.sync("--limit", "2", RUN_ID="night")
        return runner.undo("night", "--dry-run")

    def test_what_was_approved_is_taken_back(self, runner: Runner, plan: Run) -> None:
        run = approve(runner, plan)

        assert (run.exit_code, run.result["kind"]) == (0, "undo")
        assert run.result["plan_digest"] == plan.result["plan_digest"]
        assert run.result["counts"]["restored"] == 2
        created = [each for each in runner.sandbox.world.contacts if each.external_id in ("3000", "3001")]
        assert [each.archived for each in created] == [True, True]

    def test_what_the_run_wrote_since_is_left_out(self, runner: Runner, plan: Run) -> None:
        """The undone run went on meanwhile: with what it did to one of the members, that one is another affair."""
        runner.sandbox.world.tables["members"][0]["facility_id"] = 2
        runner.sync("--limit", "1", RUN_ID="night")

        run = approve(runner, plan)

        assert run.exit_code == 0
        assert (run.result["counts"]["restored"], run.result["counts"]["not_approved"]) == (1, 2)
        assert sum(run.result["counts"].values()) == run.result["seen"] == 3
        assert run.result["findings"] == {NO_LONGER_SO: 1}

    def test_a_run_whose_folder_has_gone_cannot_be_undone(
        self, runner: Runner, plan: Run, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (runner.runs_dir / "night").rename(runner.runs_dir / "elsewhere")

        assert approve(runner, plan).exit_code == 2
        assert "RUN cannot be 'night'" in capsys.readouterr().err


class TestManualUpdate:
    """Rows that were not carried out can be given again."""

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """Two strangers are members, as a person says."""
        file = tmp_path / "mappings.csv"
        file.write_text(f"contact_id,member_number\n{0:024x},3000\n{1:024x},3001\n")
        return file

    def test_a_decision_that_was_not_approved_as_it_is_now(self, runner: Runner, file: Path) -> None:
        plan = runner.manual_update(file, "--dry-run")
        runner.sandbox.world.contacts[0].name = "Edited By Hand"

        run = approve(runner, plan)

        assert [row["outcome"] for row in run.rows] == ["not_approved", "converted"]
        assert read_mappings(str(run.folder / "rows.json")) == [Decision(f"{0:024x}", "3000")]

    def test_a_decision_beyond_the_limit(self, runner: Runner, file: Path) -> None:
        run = runner.manual_update(file, "--limit", "1")

        assert [row["outcome"] for row in run.rows] == ["converted", "postponed"]
        assert read_mappings(str(run.folder / "rows.json")) == [Decision(f"{1:024x}", "3001")]

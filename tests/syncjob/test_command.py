"""The command as a person or a Job sees it: arguments, settings, exit codes, output, signals, metrics."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import World
from mynatca_syncjob.__main__ import run
from support.disk import disk
from support.runs import Run, Runner, environment
from support.worlds import member_row, world_of

Start = Callable[..., Sandbox]


def members(count: int) -> World:
    """A world of so many members and no contacts."""
    return world_of([member_row(str(n), f"m{n}@example.com", "Mo", f"Number{n}") for n in range(3000, 3000 + count)])


def refuse_eastern_region(world: World) -> None:
    """Make `region` a list without ESO, where the first member is."""
    world.data_attributes[1].options = ["GL", "ZZ"]
    world.tables["members"][0]["region_id"] = 2


@pytest.fixture
def runner(start_sandbox: Start, tmp_path: Path) -> Runner:
    return Runner(start_sandbox(members(30), Options(limit=None)), tmp_path)


class TestUsage:
    """Exit code 2: nothing was begun, and one sentence says what to do."""

    @pytest.mark.parametrize(
        "arguments",
        [
            ["sync", "--limit", "0"],
            ["sync", "--limit", "many"],
            ["sync", "--max-failed-rows", "5.5"],
            ["sync", "--max-failed-rows", "100%"],
            ["sync", "--release", "delete"],
            ["sync", "--output", "xml"],
            ["sink"],
            [],
        ],
    )
    def test_a_wrong_argument_is_refused(self, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ending:
            run(arguments, {})

        assert ending.value.code == 2
        assert capsys.readouterr().err

    def test_a_missing_setting_is_named_with_an_example(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["sync"], {}) == 2
        assert "INTERCOM_ACCESS_TOKEN is not set" in capsys.readouterr().err

    def test_a_runs_dir_that_cannot_be_made_is_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "file").touch()

        code = run(["sync"], environment("http://127.0.0.1:1", tmp_path / "file" / "runs"))

        assert code == 2
        assert "RUNS_DIR" in capsys.readouterr().err

    def test_an_attribute_that_may_not_be_created_is_named(self, runner: Runner) -> None:
        runner.sandbox.world.data_attributes.clear()
        runner.sandbox.reset(runner.sandbox.world)

        refused = runner.sync(INTERCOM_CREATE_ATTRIBUTES="false")
        allowed = runner.sync()

        assert (refused.exit_code, allowed.exit_code) == (2, 0)
        assert "member_type" in refused.result["message"]
        assert {attribute.name for attribute in runner.sandbox.world.data_attributes} == {
            "member_type",
            "region",
            "facility",
            "positions",
        }


class TestEndings:
    """Each exit code but 2, with what the result says."""

    def test_done(self, runner: Runner) -> None:
        night = runner.sync()

        assert (night.exit_code, night.result["outcome"]) == (0, "done")
        assert night.result["counts"]["created"] == 30

    def test_failed_when_the_source_is_down(self, runner: Runner) -> None:
        night = runner.sync(SUPABASE_URL="http://127.0.0.1:1")

        assert (night.exit_code, night.result["outcome"]) == (1, "failed")
        assert "Supabase" in night.result["message"]
        assert runner.sandbox.calls.writes == 0

    def test_failed_when_intercom_is_down(self, runner: Runner) -> None:
        night = runner.sync(INTERCOM_URL="http://127.0.0.1:1", INTERCOM_MAX_ATTEMPTS="2")

        assert (night.exit_code, night.result["outcome"]) == (1, "failed")
        assert "no answer from Intercom" in night.result["message"]

    def test_failed_when_intercom_goes_down_in_mid_run(self, start_sandbox: Start, tmp_path: Path) -> None:
        """After 25 failed rows in a row the run gives up rather than try each of the others in vain."""
        runner = Runner(start_sandbox(members(400), Options(limit=None, latency=0.05)), tmp_path)
        process = runner.start(INTERCOM_CONCURRENCY="4", INTERCOM_MAX_ATTEMPTS="1", RUN_ID="down")
        while len(runner.sandbox.world.contacts) < 10:
            time.sleep(0.005)
        runner.sandbox.options = Options(limit=None, fault_5xx=1.0)
        process.communicate(timeout=60)

        night = Run(process.returncode, tmp_path / "down")
        counts = night.result["counts"]
        assert (night.exit_code, night.result["outcome"]) == (1, "failed")
        assert 25 <= counts["failed"] < 100  # answers still under way may be good ones
        assert counts["created"] + counts["failed"] + counts["not_reached"] == 400

    def test_failed_rows_are_named_and_allowed_up_to_a_share(self, runner: Runner) -> None:
        """A value that Intercom refuses fails its row and no other."""
        refuse_eastern_region(runner.sandbox.world)

        strict = runner.sync()
        lenient = runner.sync("--max-failed-rows", "4%")

        assert (strict.exit_code, strict.result["outcome"]) == (3, "failed_rows")
        assert strict.result["counts"]["created"] == 29
        assert [(row["member_number"], row["reason"]) for row in strict.result["rows"]] == [
            ("3000", "400 parameter_invalid")
        ]
        assert (lenient.exit_code, lenient.result["counts"]["failed"]) == (0, 1)

    def test_failed_when_the_disk_is_full(self, runner: Runner) -> None:
        """The journal takes no more: what it does not hold was not sent."""
        process = runner.start(RUN_ID="full", INTERCOM_CONCURRENCY="2", file_kib=11)
        process.communicate(timeout=60)

        night = Run(process.returncode, runner.runs_dir / "full")
        created = len(runner.sandbox.world.contacts)
        assert night.exit_code == 1
        assert "make room in RUNS_DIR" in night.result["message"]
        assert 0 < created < 30
        assert created <= sum(line.startswith('{"seq"') and '"intent"' in line for line in night.journal_text)

    def test_old_runs_make_room_for_the_present_one(self, runner: Runner, tmp_path: Path) -> None:
        with disk(tmp_path / "disk", "nr_inodes=12") as runs_dir:
            runner = Runner(runner.sandbox, runs_dir)
            old = runner.sync(RUN_ID="old").folder
            for file in old.iterdir():
                os.utime(file, (0, 0))
            while left := os.statvfs(runs_dir).f_ffree:
                (runs_dir / f"filler-{left}").touch()

            present = runner.sync(RUN_ID="present")

            assert (present.exit_code, present.result["outcome"]) == (0, "done")
            assert not old.exists()

    def test_a_full_volume_asks_for_room_and_for_no_other_folder(
        self, runner: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with disk(tmp_path / "disk", "nr_inodes=12") as runs_dir:
            while left := os.statvfs(runs_dir).f_ffree:
                (runs_dir / f"filler-{left}").touch()

            assert Runner(runner.sandbox, runs_dir).sync().exit_code == 2

        assert "No space left on device. Make room, or keep less with RUNS_KEEP_DAYS" in capsys.readouterr().err
        assert runner.sandbox.calls.total == 0

    def test_credentials_refused_by_intercom(self, runner: Runner) -> None:
        night = runner.sync(INTERCOM_ACCESS_TOKEN="wrong")

        assert (night.exit_code, night.result["outcome"]) == (5, "credentials")
        assert "INTERCOM_ACCESS_TOKEN" in night.result["message"]

    def test_credentials_refused_by_supabase(self, runner: Runner) -> None:
        night = runner.sync(SUPABASE_KEY="wrong")

        assert (night.exit_code, night.result["outcome"]) == (5, "credentials")
        assert "SUPABASE_KEY" in night.result["message"]


class TestBrakes:
    """Exit code 4: nothing is written, the sentence names the flag, and the flag lets the run through."""

    @pytest.fixture
    def settled(self, runner: Runner) -> Runner:
        """After a first night, so that the thresholds apply."""
        assert runner.sync().exit_code == 0
        runner.sandbox.calls.clear()
        return runner

    def check(self, runner: Runner, brake: str) -> None:
        pulled = runner.sync()
        writes = runner.sandbox.calls.writes
        released = runner.sync("--release", brake)

        assert (pulled.exit_code, pulled.result["outcome"]) == (4, "brake")
        assert [each["brake"] for each in pulled.result["brakes"]] == [brake]
        assert f"--release {brake}" in pulled.result["message"]
        assert writes == 0
        assert released.exit_code == 0

    def test_too_many_creations(self, settled: Runner) -> None:
        rows = settled.sandbox.world.tables["members"]
        rows.extend(member_row(str(n), f"new{n}@example.com", "Ny", f"Neu{n}") for n in range(5000, 5020))

        self.check(settled, "create")

    def test_too_many_updates(self, settled: Runner) -> None:
        for row in settled.sandbox.world.tables["members"]:
            row["facility_id"] = 2

        self.check(settled, "update")

    def test_an_empty_source(self, settled: Runner) -> None:
        settled.sandbox.world.tables["members"].clear()

        self.check(settled, "source")

    def test_a_source_that_shrank(self, settled: Runner) -> None:
        """27 of 30 are 90 %; 26 are too few. A braked night does not become the measure of the next."""
        rows = settled.sandbox.world.tables["members"]
        del rows[27:]
        assert settled.sync("--dry-run").exit_code == 0
        del rows[26:]
        assert settled.sync().exit_code == 4

        self.check(settled, "source")

    def test_a_dry_run_says_that_the_brake_would_stop_it(self, settled: Runner) -> None:
        settled.sandbox.world.tables["members"].clear()

        assert settled.sync("--dry-run").exit_code == 4

    def test_a_limited_run_is_measured_by_what_it_would_write(self, settled: Runner) -> None:
        for row in settled.sandbox.world.tables["members"]:
            row["facility_id"] = 2

        night = settled.sync("--limit", "5")

        assert night.exit_code == 0
        assert (night.result["counts"]["updated"], night.result["counts"]["postponed"]) == (5, 25)


class TestOutput:
    """What a run prints and leaves."""

    def test_the_report_reads_like_one(self, start_sandbox: Start, tmp_path: Path) -> None:
        """What was done, what was left out and what waits for a person, in words and with counts."""
        runner = Runner(start_sandbox(generate(WorldOptions(members=300)), Options(limit=None)), tmp_path)
        process = runner.start("--output", "text", RUN_ID="told")
        report, _ = process.communicate(timeout=60)

        counts = Run(process.returncode, tmp_path / "told").result["counts"]
        assert re.search(r"^Done · sync told · [\d.]+ s$", report, re.MULTILINE)
        assert re.search(rf"^ *created +{counts['created']} *$", report, re.MULTILINE)
        assert re.search(rf"^ *converted from a lead +{counts['converted']} *$", report, re.MULTILINE)
        assert re.search(r"^ *\d+ +phones that cannot be phone numbers$", report, re.MULTILINE)
        assert re.search(r"^ *\d+ +several members have this email$", report, re.MULTILINE)

    def test_a_report_of_a_braked_run_says_how_to_go_on(self, runner: Runner) -> None:
        runner.sync()
        runner.sandbox.world.tables["members"].clear()
        report, _ = runner.start("--output", "text").communicate(timeout=60)

        assert "Stopped by a brake" in report
        assert "--release source" in report

    def test_json_goes_to_standard_output_alone(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        night = runner.sync("--output", "json")

        assert json.loads(capsys.readouterr().out) == night.result

    def test_the_termination_message_is_short_json(self, start_sandbox: Start, tmp_path: Path) -> None:
        """Kubernetes keeps 4,096 bytes of it; the whole troubled world must fit."""
        world = generate(WorldOptions(members=300))
        message = tmp_path / "termination-log"

        night = Runner(start_sandbox(world, Options(limit=None)), tmp_path).sync(TERMINATION_LOG=str(message))

        summary = json.loads(message.read_text())
        assert len(message.read_bytes()) <= 4096
        assert summary["run_id"] == "run-1"
        assert summary["counts"] == night.result["counts"]
        assert summary["exit_code"] == night.exit_code
        assert summary["planned"] == summary["done"] == len(night.actions)

    def test_off_a_terminal_each_log_line_is_json_with_the_run_id(self, runner: Runner) -> None:
        process = runner.start(LOG_LEVEL="INFO", RUN_ID="logged")
        _, errors = process.communicate(timeout=60)

        lines = [json.loads(line) for line in errors.splitlines()]
        assert process.returncode == 0
        assert {line["run_id"] for line in lines} == {"logged"}
        assert lines[-1]["result"]["counts"]["created"] == 30

    def test_files_of_a_run_are_the_owners_alone(self, runner: Runner) -> None:
        night = runner.sync()

        assert night.folder.stat().st_mode & 0o777 == 0o700
        assert {file.name: file.stat().st_mode & 0o777 for file in night.folder.iterdir()} == {
            "journal.jsonl": 0o600,
            "plan.jsonl": 0o600,
            "report.html": 0o600,
            "result.json": 0o600,
        }

    def test_help_names_the_exit_codes(self) -> None:
        help_text = subprocess.run(
            [sys.executable, "-m", "mynatca_syncjob", "sync", "--help"], capture_output=True, text=True, check=True
        ).stdout

        assert all(f"{code} " in help_text for code in range(7))


class TestWhileRunning:
    """Signals and metrics."""

    @pytest.fixture
    def slow(self, start_sandbox: Start, tmp_path: Path) -> Runner:
        """A world that takes a while, as each call takes 50 ms."""
        return Runner(start_sandbox(members(400), Options(limit=None, latency=0.05)), tmp_path)

    def wait_for_writes(self, runner: Runner, count: int) -> None:
        while len(runner.sandbox.world.contacts) < count:
            time.sleep(0.005)

    def test_sigterm_ends_between_two_members_and_another_run_goes_on(self, slow: Runner) -> None:
        process = slow.start(INTERCOM_CONCURRENCY="4", RUN_ID="stopped")
        self.wait_for_writes(slow, 10)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)

        stopped = Run(process.returncode, slow.runs_dir / "stopped")
        counts = stopped.result["counts"]
        assert (stopped.exit_code, stopped.result["outcome"]) == (6, "stopped")
        assert counts["created"] == len(slow.sandbox.world.contacts) < 400
        assert counts["created"] + counts["not_reached"] == 400
        slow.sandbox.options = Options(limit=None)
        assert slow.sync(RUN_ID="stopped").exit_code == 0
        assert len(slow.sandbox.world.contacts) == 400

    def test_sigterm_while_reading_ends_at_once(self, start_sandbox: Start, tmp_path: Path) -> None:
        runner = Runner(start_sandbox(members(3), Options(limit=None, latency=20)), tmp_path)
        process = runner.start(RUN_ID="stopped")
        while not runner.sandbox.calls.total:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=15)

        assert Run(process.returncode, tmp_path / "stopped").exit_code == 6

    def test_metrics_are_served_while_it_runs(self, slow: Runner) -> None:
        process = slow.start(INTERCOM_CONCURRENCY="4", METRICS_PORT="0", LOG_LEVEL="INFO")
        assert process.stderr
        port = re.search(r"on port (\d+)", process.stderr.readline())
        assert port
        self.wait_for_writes(slow, 10)
        page = httpx.get(f"http://127.0.0.1:{port[1]}/metrics").text
        process.communicate(timeout=60)

        samples = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
        assert float(samples["mynatca_intercom_run_actions_planned"]) == 400
        assert 0 < float(samples["mynatca_intercom_run_actions_done"]) < 400
        assert float(samples['mynatca_intercom_run_actions_total{outcome="created"}']) > 0
        assert float(samples['mynatca_intercom_run_actions_total{outcome="failed"}']) == 0
        assert float(samples["mynatca_intercom_run_source_members"]) == 400
        assert all(name.startswith("mynatca_intercom_") for name in samples)

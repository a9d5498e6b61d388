"""The audit as a person or a Job sees it: flags, brakes, explanation, closing pass, fallback, report page."""

import html
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mynatca_intercom.metrics import REGISTRY
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import Contact, World
from support.mariadb import MariaDB
from support.runs import Run, Runner
from support.worlds import NOW, UUIDS, member_row, world_of

Start = Callable[..., Sandbox]
STRANGERS = 19
"""As many may be archived before the brake looks at shares."""


def contact(contact_id: str, role: str = "user", **fields: object) -> Contact:
    return Contact(contact_id * 24, role, NOW - 100, NOW - 100, **fields)  # type: ignore[arg-type]


def strangers(count: int) -> list[Contact]:
    return [
        Contact(
            f"{i:024x}", "user", NOW, NOW, external_id=f"{i:08x}-4f89-41d3-9a0c-0305e82c3301", email=f"s{i}@x.example"
        )
        for i in range(count)
    ]


def small_world() -> World:
    """One of each: a lead of a member, a user with a UUID, strangers, and a doubtful contact."""
    rows = [member_row("1001", "ann@example.com"), member_row("1002", "bo@example.com", "Bo", "Kim")]
    people = [
        contact("a", "lead", email="ann@example.com"),
        contact("b", external_id=UUIDS[0], email="bo@example.com", name="Bo Kim"),
        contact("c", name="Ann Lee"),
        *strangers(STRANGERS),
    ]
    return world_of(rows, people)


@pytest.fixture
def runner(start_sandbox: Start, tmp_path: Path) -> Runner:
    return Runner(start_sandbox(small_world(), Options(limit=None)), tmp_path)


def archived(runner: Runner) -> int:
    return sum(each.archived for each in runner.sandbox.world.contacts)


def test_each_contact_gets_what_it_needs(runner: Runner) -> None:
    audit = runner.audit()

    lead, user, doubtful, *_ = runner.sandbox.world.contacts
    assert audit.exit_code == 0
    assert (lead.role, lead.external_id, user.external_id, doubtful.archived) == ("user", "1001", "1002", False)
    assert archived(runner) == STRANGERS
    counts = {name: count for name, count in audit.result["counts"].items() if count}
    assert counts == {"converted": 1, "updated": 1, "archived": STRANGERS, "review": 1}
    assert audit.result["seen"] == audit.result["contacts"] == 22


class TestFlags:
    """What each flag leaves alone."""

    def test_no_archive(self, runner: Runner) -> None:
        """Strangers stay, and lose the UUID that an archive would have taken out of sight."""
        audit = runner.audit("--no-archive", "--release", "update")

        assert archived(runner) == 0
        assert audit.result["counts"]["cleared"] == STRANGERS
        assert not any(each.external_id for each in runner.sandbox.world.contacts[3:])

    def test_leads_only(self, runner: Runner) -> None:
        audit = runner.audit("--leads-only")

        lead, user, *_ = runner.sandbox.world.contacts
        assert (lead.external_id, user.external_id) == ("1001", UUIDS[0])
        assert archived(runner) == 0
        assert audit.result["counts"]["out_of_scope"] == STRANGERS + 1

    def test_limit(self, runner: Runner) -> None:
        audit = runner.audit("--limit", "3")

        assert sum(audit.result["counts"][name] for name in ("converted", "updated", "archived")) == 3
        assert audit.result["counts"]["postponed"] == STRANGERS - 1
        assert sum(audit.result["counts"].values()) == audit.result["seen"]

    def test_dry_run(self, runner: Runner) -> None:
        foretold, real = runner.audit("--dry-run"), runner.audit()

        assert foretold.result["counts"] == real.result["counts"]
        assert foretold.actions == real.actions
        assert foretold.journal == []


class TestArchiveBrake:
    """Over 5 % from 20 on; exit code 4, nothing written, and the flag lets it through."""

    def test_it_stops_and_is_released(self, start_sandbox: Start, tmp_path: Path) -> None:
        world = small_world()
        world.contacts += [contact("d", email="one@too-many.example")]
        runner = Runner(start_sandbox(world, Options(limit=None)), tmp_path)

        pulled = runner.audit()
        writes = runner.sandbox.calls.writes
        released = runner.audit("--release", "archive")

        assert (pulled.exit_code, released.exit_code) == (4, 0)
        assert "--release archive" in pulled.result["message"]
        assert (writes, archived(runner)) == (0, STRANGERS + 1)

    def test_over_500_it_stops_whatever_the_share(self, start_sandbox: Start, tmp_path: Path) -> None:
        world = generate(WorldOptions(members=11_000, contacts="synced"))
        world.contacts += strangers(501)
        runner = Runner(start_sandbox(world, Options(limit=None)), tmp_path)

        audit = runner.audit()

        assert audit.exit_code == 4
        assert "501 contacts (at most 500" in audit.result["message"]


class TestClosingPass:
    """What comes in while the run archives."""

    def test_who_writes_in_between_re_check_and_archive_is_brought_back(self, runner: Runner) -> None:
        late = runner.sandbox.world.contacts[5].id

        def write_in(method: str, path: str) -> None:
            if (method, path) == ("POST", f"/contacts/{late}/archive"):
                runner.sandbox.write_in(late, "Hello?")

        runner.sandbox.before = write_in
        audit = runner.audit()

        assert runner.sandbox.world.contacts[5].archived is False
        assert archived(runner) == STRANGERS - 1
        assert audit.result["counts"]["review"] == 2
        assert [row["contact_id"] for row in audit.result["rows"]] == [late]

    def test_a_run_killed_before_it_looked_is_closed_by_the_next_attempt(self, runner: Runner) -> None:
        """The first attempt is killed while it waits for search; then the stranger writes in."""
        process = runner.start(command="audit", RUN_ID="killed", INTERCOM_SEARCH_LAG_SECONDS="600")
        while archived(runner) < STRANGERS:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        late = runner.sandbox.world.contacts[5]
        runner.sandbox.write_in(late.id, "Hello?")

        runner.audit(RUN_ID="killed")

        assert late.archived is False
        assert archived(runner) == STRANGERS - 1

    def test_sigterm_while_it_waits_for_search_still_looks_once(self, runner: Runner) -> None:
        late = runner.sandbox.world.contacts[5]
        process = runner.start(command="audit", RUN_ID="stopped", INTERCOM_SEARCH_LAG_SECONDS="600")
        while archived(runner) < STRANGERS:
            time.sleep(0.005)
        runner.sandbox.write_in(late.id, "Hello?")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)

        assert Run(process.returncode, runner.runs_dir / "stopped").exit_code == 6
        assert late.archived is False

    def test_a_look_that_sigterm_cut_short_is_repeated_by_the_next_attempt(self, runner: Runner) -> None:
        """Search had no time to catch up, so that who wrote in may not have been seen."""
        late = runner.sandbox.world.contacts[5]
        process = runner.start(command="audit", RUN_ID="stopped", INTERCOM_SEARCH_LAG_SECONDS="600")
        while archived(runner) < STRANGERS:
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        runner.sandbox.write_in(late.id, "Hello?")

        runner.audit(RUN_ID="stopped")

        assert late.archived is False


class TestExplain:
    """How one contact was judged, without values."""

    def explain(self, runner: Runner, contact_id: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        capsys.readouterr()
        run = runner.audit("--explain", contact_id)
        return run.exit_code, capsys.readouterr().out

    def test_a_match_is_told_with_its_evidence(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        code, told = self.explain(runner, "b" * 24, capsys)

        assert code == 0
        assert "a user with a UUID: matched as member 1002, as several data points agree" in told
        assert re.search(r"1002 +email, name +matched", told)
        assert "bo@" not in told
        assert runner.sandbox.calls.writes == 0

    def test_doubt_is_told_with_every_candidate(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        code, told = self.explain(runner, "c" * 24, capsys)

        assert code == 0
        assert "ambiguous, as phone or name alone never decide" in told
        assert re.search(r"1001 +name +ambiguous", told)

    def test_an_unknown_contact_is_told_so(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        code, told = self.explain(runner, "f" * 24, capsys)

        assert code == 1
        assert "unknown, archived or deleted" in told

    def test_refused_credentials_end_with_5(self, runner: Runner, capsys: pytest.CaptureFixture[str]) -> None:
        assert runner.audit("--explain", "c" * 24, INTERCOM_ACCESS_TOKEN="wrong").exit_code == 5
        assert "401" in capsys.readouterr().out


class TestFallback:
    """Supabase is down: MySQL tells the members, the run says so, and nothing is archived."""

    def test_it_is_used_and_told(self, runner: Runner, mysql: MariaDB) -> None:
        down = {"SUPABASE_URL": "http://127.0.0.1:1", **mysql.environment()}
        runner.sandbox.world.contacts[1].custom_attributes["region"] = "ESO"
        before = REGISTRY.get_sample_value("mynatca_intercom_source_fallbacks_total", {"source": "supabase"}) or 0

        audit = runner.audit("--release", "update", **down)

        lead, user, *_ = runner.sandbox.world.contacts
        after = REGISTRY.get_sample_value("mynatca_intercom_source_fallbacks_total", {"source": "supabase"})
        assert (audit.exit_code, audit.result["source"], after) == (0, "mysql", before + 1)
        assert "Supabase" in audit.result["failed_sources"][0]
        assert (lead.external_id, user.external_id, archived(runner)) == ("1001", "1002", 0)
        assert user.custom_attributes["region"] == "ESO"  # unknown from there: neither written nor cleared
        assert "nothing was archived" in (audit.folder / "report.html").read_text()

    def test_both_down_fails_with_both_reasons(self, runner: Runner, mysql: MariaDB) -> None:
        down = {"SUPABASE_URL": "http://127.0.0.1:1", **mysql.environment(MYSQL_PORT="1")}

        audit = runner.audit(**down)

        assert audit.exit_code == 1
        assert all(name in audit.result["message"] for name in ("Supabase", "MySQL"))


class TestReportPage:
    """`report.html`: readable without anything from outside."""

    def page(self, run: Run) -> str:
        return (run.folder / "report.html").read_text()

    def test_it_shows_counts_changes_and_what_needs_a_person(self, runner: Runner) -> None:
        page = self.page(runner.audit())

        assert re.search(rf"<b>{STRANGERS}</b>archived, as they are nobody", page)
        assert f"<del>{UUIDS[0]}</del> → <ins>1002</ins>" in page
        assert "<summary>phone or name alone never decide (1)</summary>" in page

    def test_it_asks_nothing_of_the_network(self, runner: Runner) -> None:
        page = self.page(runner.audit())

        assert re.findall(r"(?:src|href)=|url\(|@import", page) == []
        assert "default-src 'none'" in page

    def test_what_people_are_called_is_no_markup(self, runner: Runner) -> None:
        name = "<script>alert(1)</script>"
        runner.sandbox.world.contacts[1].name = name

        page = self.page(runner.audit())

        assert name not in page
        assert html.escape(name) in page

    def test_a_braked_dry_run_shows_the_brake_and_what_would_be_done(self, runner: Runner) -> None:
        runner.sandbox.world.contacts.append(contact("d", email="one@too-many.example"))
        runner.sandbox.reset(runner.sandbox.world)

        page = self.page(runner.audit("--dry-run"))

        assert "<h2>Brakes</h2>" in page
        assert "<h2>What would be done</h2>" in page

    def test_a_run_that_failed_before_its_plan_has_one_too(self, runner: Runner) -> None:
        page = self.page(runner.audit(SUPABASE_URL="http://127.0.0.1:1"))

        assert ">Failed</span>: audit" in page


class TestAdmin:
    """Conversations are written to in a teammate's name."""

    @pytest.fixture
    def duplicates(self, start_sandbox: Start, tmp_path: Path) -> Runner:
        """Two users of Ann, the older one with an open conversation."""
        older, newer = (
            contact("a", external_id="1001", email="ann@example.com"),
            contact("b", external_id=UUIDS[0], email="ann@example.com", name="Ann Lee"),
        )
        newer.created_at = older.created_at + 10
        world = world_of([member_row("1001", "ann@example.com")], [older, newer])
        runner = Runner(start_sandbox(world, Options(limit=None)), tmp_path)
        runner.sandbox.write_in(older.id, "Hello?")
        older.last_replied_at = NOW
        return runner

    def test_it_is_the_tokens_own(self, duplicates: Runner) -> None:
        assert duplicates.audit().exit_code == 0
        assert [each.contact_ids for each in duplicates.sandbox.world.conversations] == [["b" * 24]]

    def test_one_that_is_unknown_fails_the_row_and_archives_nobody(self, duplicates: Runner) -> None:
        audit = duplicates.audit(INTERCOM_ADMIN_ID="999")

        assert audit.exit_code == 3
        assert archived(duplicates) == 0

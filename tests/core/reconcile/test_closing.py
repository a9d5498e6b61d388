"""People who write in at the very moment of their archive, and attempts that were killed: nobody is lost."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mynatca_intercom.reconcile.closing import REASON
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, Ticket
from support.bench import contact
from support.runs import Run, Runner
from support.worlds import NOW, UUIDS, member_row, world_of


@pytest.fixture
def runner(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Runner:
    return Runner(start_sandbox(world_of([member_row("1001", "ann@example.com")]), Options(limit=None)), tmp_path)


@pytest.fixture
def ann() -> Contact:
    """Ann's user, right in every field."""
    fields: dict[str, Any] = {"member_type": "Current Member", "region": "GL", "facility": "ZAU"}
    return contact("b", external_id="1001", email="ann@example.com", name="Ann Lee", custom_attributes=fields)


@pytest.fixture
def old() -> Contact:
    """Ann's older user."""
    return contact("a", age=200, external_id=UUIDS[0], email="ann@example.com", name="Ann Lee")


def has(runner: Runner, *people: Contact) -> None:
    runner.sandbox.world.contacts[:] = people
    runner.sandbox.reset(runner.sandbox.world)


def write_in_once(runner: Runner, who: Contact, method: str, path: str) -> None:
    """Let somebody write in immediately before this call takes effect."""

    def before(called: str, on: str) -> None:
        if (called, on) == (method, path) and not runner.sandbox.world.conversations:
            runner.sandbox.write_in(who.id, "Are you there?")

    runner.sandbox.before = before


def write_in_at_archive(runner: Runner, who: Contact) -> None:
    write_in_once(runner, who, "POST", f"/contacts/{who.id}/archive")


def told(run: Run) -> list[tuple[str, str, str]]:
    return [(row["contact_id"], row["outcome"], row["reason"]) for row in run.result["rows"]]


class TestWritingIn:
    """Between the last look and the archive there is a gap, which the closing pass mends."""

    @pytest.mark.parametrize("suspended", ["listed", "hidden"])
    def test_who_writes_in_at_the_archive_is_brought_back(self, runner: Runner, suspended: Any) -> None:
        """Unless Intercom lists nothing of what archived contacts have: then no call shows it."""
        stranger = contact("z", email="zoe@example.org")
        has(runner, stranger)
        runner.sandbox.options = Options(limit=None, suspended=suspended)
        write_in_at_archive(runner, stranger)

        run = runner.audit()

        if suspended == "listed":
            assert not stranger.archived
            assert told(run) == [(stranger.id, "review", REASON)]
            assert (run.result["counts"]["archived"], run.result["counts"]["review"]) == (0, 1)
        else:
            assert stranger.archived

    def test_an_older_user_that_writes_in_at_its_archive_is_brought_back(
        self, runner: Runner, ann: Contact, old: Contact
    ) -> None:
        has(runner, ann, old)
        write_in_at_archive(runner, old)

        run = runner.sync()

        assert not old.archived
        assert told(run) == [(old.id, "review", REASON)]
        assert (run.exit_code, run.result["counts"]["review"], run.result["counts"]["deduplicated"]) == (0, 1, 0)
        assert [line["operation"] for line in run.journal if line["state"] == "intent"] == ["archive", "unarchive"]

    def test_who_opens_a_ticket_at_the_archive_is_brought_back(self, runner: Runner) -> None:
        stranger = contact("z", email="zoe@example.org")
        has(runner, stranger)
        ticket = Ticket("7000", "1", [stranger.id], NOW, int(datetime.now(UTC).timestamp()) + 1, "Badge", "resolved")
        runner.sandbox.world.tickets.append(ticket)
        runner.sandbox.reset(runner.sandbox.world)

        def before(_method: str, path: str) -> None:
            if path.endswith("/archive"):
                ticket.state_category = "submitted"

        runner.sandbox.before = before

        run = runner.audit()

        assert not stranger.archived
        assert told(run) == [(stranger.id, "review", REASON)]

    def test_who_writes_in_before_the_last_look_is_not_archived(self, runner: Runner) -> None:
        stranger = contact("z", email="zoe@example.org")
        has(runner, stranger)
        write_in_once(runner, stranger, "GET", f"/contacts/{stranger.id}")

        run = runner.audit()

        assert not stranger.archived
        assert [outcome for _, outcome, _ in told(run)] == ["review"]
        assert runner.sandbox.calls["POST /contacts/{contact_id}/archive"] == 0

    def test_the_others_stay_archived(self, runner: Runner) -> None:
        one, other = contact("y", email="yan@example.org"), contact("z", email="zoe@example.org")
        has(runner, one, other)
        write_in_at_archive(runner, other)

        runner.audit()

        assert (one.archived, other.archived) == (True, False)

    def test_a_quiet_run_does_not_look_again(self, runner: Runner, ann: Contact) -> None:
        has(runner, ann)

        run = runner.sync()

        assert run.result["calls"] == {"identify": 1, "list_contacts": 1}

    def test_a_second_attempt_does_not_look_again_at_what_was_closed(self, runner: Runner) -> None:
        stranger = contact("z", email="zoe@example.org")
        has(runner, stranger)
        runner.audit(RUN_ID="night")

        again = runner.audit(RUN_ID="night")

        assert stranger.archived
        assert [line["state"] for line in again.journal].count("closed") == 1


def killed(runner: Runner, *lines: dict[str, Any]) -> None:
    """The journal of an attempt that was killed."""
    folder = runner.runs_dir / "night"
    folder.mkdir()
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    numbered = ({"seq": seq, "at": at, **line} for seq, line in enumerate(lines, 1))
    (folder / "journal.jsonl").write_text("".join(json.dumps(line) + "\n" for line in numbered))


class TestKilled:
    """The next attempt under the same run id ends what the killed one began."""

    def test_a_contact_that_was_brought_back_for_a_look_is_put_away(self, runner: Runner, ann: Contact) -> None:
        """It was archived before, and nobody else remembers that."""
        peeked = contact("z", external_id="4711", email="zoe@example.org", name="Zoe Else")
        has(runner, ann, peeked)
        killed(
            runner,
            {"state": "intent", "operation": "unarchive_to_judge", "contact_id": peeked.id, "member_number": "1001"},
        )

        run = runner.sync(RUN_ID="night")

        assert run.exit_code == 0
        assert peeked.archived
        [intent] = [line for line in run.journal if line["state"] == "intent" and line["operation"] == "archive"]
        assert (intent["contact_id"], intent["member_number"]) == (peeked.id, "1001")

    def test_a_dry_run_under_the_same_id_puts_nobody_away(self, runner: Runner, ann: Contact) -> None:
        peeked = contact("z", external_id="4711", email="zoe@example.org", name="Zoe Else")
        has(runner, ann, peeked)
        killed(runner, {"state": "intent", "operation": "unarchive_to_judge", "contact_id": peeked.id})

        runner.sync("--dry-run", RUN_ID="night")

        assert not peeked.archived
        assert runner.sandbox.calls.writes == 0

    def test_who_wrote_in_to_the_killed_attempt_is_brought_back_by_the_next(self, runner: Runner, ann: Contact) -> None:
        """Also if that one archives nobody itself."""
        gone = contact("z", email="zoe@example.org", archived=True)
        has(runner, ann, gone)
        runner.sandbox.write_in(gone.id, "Are you there?")
        killed(
            runner,
            {"state": "intent", "operation": "archive", "contact_id": gone.id, "member_number": None},
            {"state": "done", "intent": 1},
        )

        run = runner.audit(RUN_ID="night")

        assert run.exit_code == 0
        assert not gone.archived

    def test_an_older_user_whose_number_was_taken_off_is_still_known(self, runner: Runner, ann: Contact) -> None:
        """Killed between taking the number off and archiving."""
        ann.external_id = UUIDS[0]
        old = contact("a", age=200, external_id=f"released-{'a' * 24}", email="ann@old.example.com", name="Ann Lee")
        has(runner, ann, old)
        killed(
            runner,
            {
                "state": "intent",
                "operation": "update",
                "contact_id": old.id,
                "member_number": "1001",
                "before": {"external_id": "1001"},
                "after": {"external_id": old.external_id},
            },
        )

        run = runner.sync(RUN_ID="night")

        assert run.exit_code == 0
        assert (old.archived, ann.external_id) == (True, "1001")

"""The sweep: every tag is carried out once, whatever the contact is, and recent conversations get their member."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import Contact, Conversation, ConversationAttribute
from mynatca_sandbox.world.workspace import SYNC_TAG, VERIFICATION
from support.mariadb import MariaDB
from support.runs import Run, Runner
from support.worlds import NOW, UUIDS, member_row, world_of

ANN, BO = "1001", "1002"
TAG = "900"


@dataclass
class Desk:
    """A workspace with two members, where a teammate tags conversations."""

    runner: Runner

    @property
    def sandbox(self) -> Sandbox:
        return self.runner.sandbox

    def has(self, *people: Contact) -> None:
        self.sandbox.world.contacts[:] = people
        self.sandbox.reset(self.sandbox.world)

    def tagged(self, *contact_ids: str, number: str | None = ANN, state: Any = "closed") -> Conversation:
        """A conversation with the tag; its last word was long ago."""
        count = len(self.sandbox.world.conversations)
        conversation = Conversation(
            id=str(5000 + count),
            contact_ids=list(contact_ids),
            created_at=NOW,
            updated_at=NOW,
            state=state,
            tag_ids=[TAG],
        )
        if number is not None:
            conversation.custom_attributes[VERIFICATION] = number
        self.sandbox.world.conversations.append(conversation)
        self.sandbox.reset(self.sandbox.world)
        return conversation

    def sweep(self, *flags: str, **more: str) -> Run:
        return self.runner.run("sweep", *flags, **more)

    def notes(self, conversation: Conversation) -> list[str]:
        return [part.body or "" for part in conversation.parts if part.part_type == "note"]


def person(letter: str, role: Any = "user", **fields: Any) -> Contact:
    age = fields.pop("age", 100)
    return Contact(letter * 24, role, NOW - age, NOW - age, **fields)


@pytest.fixture
def desk(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Desk:
    world = world_of([member_row(ANN, "ann@example.com"), member_row(BO, "bo@example.com", "Bo", "Kim")])
    world.tags[TAG] = SYNC_TAG
    world.conversation_attributes.append(ConversationAttribute(1, VERIFICATION, "string", NOW, NOW))
    return Desk(Runner(start_sandbox(world, Options(limit=None)), tmp_path))


class TestTag:
    """Every state that the contact of a tagged conversation can be in."""

    def done(self, desk: Desk, conversation: Conversation) -> Run:
        """The tag is off, nothing was said, and a second sweep finds nothing to do."""
        sweep = desk.sweep()
        assert sweep.exit_code == 0
        assert (conversation.tag_ids, desk.notes(conversation)) == ([], [])
        desk.sandbox.calls.clear()
        desk.sweep()
        assert desk.sandbox.calls.writes == 0
        return sweep

    def test_a_lead_becomes_the_user(self, desk: Desk) -> None:
        desk.has(lead := person("a", "lead"))

        sweep = self.done(desk, desk.tagged(lead.id))

        assert (lead.role, lead.external_id, lead.email) == ("user", ANN, "ann@example.com")
        assert sweep.result["counts"]["converted"] == 1

    def test_a_user_with_a_uuid_gets_the_number(self, desk: Desk) -> None:
        desk.has(user := person("a", external_id=UUIDS[0], email="someone@else.example"))

        self.done(desk, desk.tagged(user.id))

        assert (user.external_id, user.email, user.custom_attributes["region"]) == (ANN, "ann@example.com", "GL")

    def test_a_lead_beside_the_user_is_merged_into_it(self, desk: Desk) -> None:
        desk.has(lead := person("a", "lead"), user := person("b", external_id=ANN, email="ann@example.com"))
        conversation = desk.tagged(lead.id)

        self.done(desk, conversation)

        assert lead.merged_into == user.id
        assert conversation.contact_ids == [user.id]

    def test_of_several_users_the_newest_is_kept(self, desk: Desk) -> None:
        desk.has(
            older := person("a", external_id=ANN, email="ann@example.com", age=200),
            newer := person("b", external_id=UUIDS[0], email="ann@example.com", name="Ann Lee", age=50),
        )
        conversation = desk.tagged(older.id, state="open")

        self.done(desk, conversation)

        assert (older.archived, newer.external_id) == (True, ANN)
        assert conversation.contact_ids == [newer.id]

    def test_an_archived_holder_of_the_number_gives_it_up(self, desk: Desk) -> None:
        desk.has(
            user := person("a", email="ann@example.com", name="Ann Lee"),
            holder := person("b", external_id=ANN, email="ann@example.com", archived=True),
        )

        self.done(desk, desk.tagged(user.id))

        assert (user.external_id, holder.archived) == (ANN, True)
        assert holder.external_id != ANN

    def test_the_survivor_of_a_merge_is_written(self, desk: Desk) -> None:
        """The lead is merged by somebody else between the search and our look at it."""
        desk.has(user := person("b", email="ann@work.example"), gone := person("a", "lead"))
        conversation = desk.tagged(gone.id)

        def merge(method: str, path: str) -> None:
            if (method, path) == ("GET", f"/contacts/{gone.id}"):
                gone.merged_into = user.id

        desk.sandbox.before = merge
        self.done(desk, conversation)

        assert user.external_id == ANN

    def test_while_only_the_holder_of_the_email_was_written_the_tag_stays(self, desk: Desk) -> None:
        """Search does not show it yet; by its number the next sweep finds it."""
        desk.has(lead := person("a", "lead"))
        conversation = desk.tagged(lead.id)
        desk.sandbox.options = Options(limit=None, index_lag=600)
        httpx.post(
            f"{desk.sandbox.url}/contacts",
            json={"role": "user", "email": "ann@example.com", "name": "Ann Lee"},
            headers={"Authorization": "Bearer sandbox-token", "Intercom-Version": "2.16"},
        ).raise_for_status()
        user = desk.sandbox.world.contacts[-1]

        first = desk.sweep()

        assert (lead.role, user.external_id, conversation.tag_ids) == ("lead", ANN, [TAG])
        assert (first.result["counts"]["not_reached"], first.result["counts"]["updated"]) == (1, 0)
        assert "another contact" in first.result["rows"][0]["reason"]
        self.done(desk, conversation)
        assert lead.merged_into == user.id

    def test_a_number_that_is_corrected_meanwhile_is_carried_out_next(self, desk: Desk) -> None:
        desk.has(lead := person("a", "lead"))
        conversation = desk.tagged(lead.id, number=BO)

        def correct(method: str, path: str) -> None:
            if (method, path) == ("PUT", f"/contacts/{lead.id}"):
                conversation.custom_attributes[VERIFICATION] = ANN

        desk.sandbox.before = correct
        first = desk.sweep()

        assert (lead.external_id, conversation.tag_ids) == (BO, [TAG])
        assert first.result["counts"]["not_reached"] == 1
        self.done(desk, conversation)
        assert (lead.external_id, lead.email) == (ANN, "ann@example.com")

    def test_of_several_participants_the_one_who_is_nobody_else_is_meant(self, desk: Desk) -> None:
        desk.has(lead := person("a", "lead"), bo := person("b", external_id=BO, email="bo@example.com"))

        self.done(desk, desk.tagged(lead.id, bo.id))

        assert (lead.external_id, bo.external_id) == (ANN, BO)


class TestFailures:
    """The tag stays, and a note says why, once."""

    def refused(self, desk: Desk, conversation: Conversation, reason: str) -> None:
        first, second = desk.sweep(), desk.sweep()
        assert (first.exit_code, second.exit_code) == (0, 0)
        assert first.result["counts"]["review"] == second.result["counts"]["review"] == 1
        assert reason in first.result["rows"][0]["reason"]
        assert conversation.tag_ids == [TAG]
        [note] = desk.notes(conversation)
        assert "Member sync: " in note

    def test_no_number(self, desk: Desk) -> None:
        desk.has(lead := person("a", "lead"))

        self.refused(desk, desk.tagged(lead.id, number=None), "is empty: enter the member number there")

    def test_an_unknown_number(self, desk: Desk) -> None:
        desk.has(lead := person("a", "lead"))

        conversation = desk.tagged(lead.id, number="not a member?")
        self.refused(desk, conversation, "no member has this number")
        assert "no member has the number not a member?." in desk.notes(conversation)[0]
        assert lead.role == "lead"

    @pytest.mark.parametrize("people", [1, 2])
    def test_what_is_no_members_number_is_told_to_the_teammate_only(
        self, desk: Desk, people: int, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Whoever takes the attribute for another one enters an email or a name."""
        desk.has(one := person("a", "lead"), other := person("b", "lead"))
        conversation = desk.tagged(*[each.id for each in (one, other)[:people]], number="Ann Lee, ann@example.com")

        sweep = desk.sweep("--output", "json", LOG_LEVEL="DEBUG")

        output, errors = capfd.readouterr()
        told = "\n".join([output, errors, (sweep.folder / "result.json").read_text()])
        assert sweep.result["rows"][0]["member_number"] is None
        assert [secret for secret in ("ann@", "Ann Lee") if secret in told] == []
        assert len(desk.notes(conversation)) == 1

    def test_a_number_on_somebody_else(self, desk: Desk) -> None:
        desk.has(lead := person("a", "lead"), person("b", external_id=ANN, email="zoe@example.org", name="Zoe Else"))

        self.refused(desk, desk.tagged(lead.id), "not surely this member's")

    def test_several_participants_who_may_be_meant(self, desk: Desk) -> None:
        desk.has(one := person("a", "lead"), other := person("b", "lead"))

        self.refused(desk, desk.tagged(one.id, other.id), "several people take part")

    def test_another_cause_is_another_note(self, desk: Desk) -> None:
        desk.has(lead := person("a", "lead"))
        conversation = desk.tagged(lead.id, number=None)
        desk.sweep()
        conversation.custom_attributes[VERIFICATION] = "77"

        desk.sweep()

        assert len(desk.notes(conversation)) == 2

    def test_a_note_that_intercom_shows_with_other_entities_is_not_left_again(self, desk: Desk) -> None:
        desk.has(lead := person("a", "lead"))
        conversation = desk.tagged(lead.id, number=None)
        desk.sweep()
        for part in conversation.parts:
            part.body = (part.body or "").replace("&#x27;", "'").replace(":", "&#58;")

        desk.sweep()

        assert len(desk.notes(conversation)) == 1

    def test_an_outage_says_nothing_and_is_made_good(self, desk: Desk) -> None:
        """A source that is down is no affair of the teammate's: no note, exit code 3, and the next sweep does it."""
        desk.has(lead := person("a", "lead"))
        conversation = desk.tagged(lead.id)

        down = desk.sweep(SUPABASE_URL="http://127.0.0.1:1")
        assert (down.exit_code, down.result["counts"]["failed"]) == (3, 1)
        assert (conversation.tag_ids, desk.notes(conversation)) == ([TAG], [])

        assert desk.sweep().exit_code == 0
        assert (conversation.tag_ids, lead.external_id) == ([], ANN)

    def test_on_a_fallback_no_duplicate_goes_and_the_tag_stays(self, desk: Desk, mysql: MariaDB) -> None:
        """The note says why, and the first sweep with Supabase does it."""
        desk.has(
            older := person("a", external_id=ANN, email="ann@example.com", age=200),
            newer := person("b", external_id=UUIDS[0], email="ann@example.com", name="Ann Lee", age=50),
        )
        conversation = desk.tagged(newer.id)

        down = desk.sweep(SUPABASE_URL="http://127.0.0.1:1", **mysql.environment())
        assert (down.exit_code, down.result["counts"]["review"]) == (0, 1)
        assert (older.archived, newer.external_id, conversation.tag_ids) == (False, UUIDS[0], [TAG])
        assert ["this run archives nothing" in note for note in desk.notes(conversation)] == [True]

        assert desk.sweep(**mysql.environment()).exit_code == 0
        assert (older.archived, newer.external_id, conversation.tag_ids) == (True, ANN, [])


def test_a_full_disk_ends_the_sweep_with_a_sentence(desk: Desk) -> None:
    """What the journal does not hold was not sent, and the tag stays."""
    people = [person(letter, "lead") for letter in "abcdef"]
    desk.has(*people)
    rows = desk.sandbox.world.tables["members"]
    rows += [member_row(str(2000 + i), f"m{i}@example.com", "Mo", f"Number{i}") for i in range(6)]
    asked = [desk.tagged(each.id, number=str(2000 + i)) for i, each in enumerate(people)]

    process = desk.runner.start(command="sweep", file_kib=2, RUN_ID="full", INTERCOM_CONCURRENCY="1")
    process.communicate(timeout=60)

    sweep = Run(process.returncode, desk.runner.runs_dir / "full")
    assert sweep.exit_code == 1
    assert "make room in RUNS_DIR" in sweep.result["message"]
    assert sum(sweep.result["counts"].values()) == sweep.result["seen"] == 6
    assert sum(each.role == "user" for each in people) <= len(
        [line for line in sweep.journal_text if '"intent"' in line]
    )
    assert any(each.tag_ids == [TAG] for each in asked)


class TestBrake:
    """Archiving far more duplicates than a day's conversations have is not done without a person's word."""

    def duplicates(self, desk: Desk, count: int) -> tuple[list[Contact], list[Conversation]]:
        """Members with a conversation of their older user, which bears the number; and those users."""
        rows = [member_row(str(2000 + i), f"m{i}@example.com", "Mo", f"Number{i}") for i in range(count)]
        desk.sandbox.world.tables["members"] += rows
        older = [
            Contact(f"a{i:023x}", "user", NOW - 200, NOW - 200, str(2000 + i), f"m{i}@example.com")
            for i in range(count)
        ]
        newer = [
            Contact(f"b{i:023x}", "user", NOW - 50, NOW - 50, f"{UUIDS[0][:-4]}{i:04}", f"m{i}@example.com")
            for i in range(count)
        ]
        desk.has(*older, *newer)
        return older, [desk.tagged(each.id, number=each.external_id) for each in older]

    def test_it_stops_before_the_first_archive_each_time_until_it_is_released(self, desk: Desk) -> None:
        older, asked = self.duplicates(desk, 51)
        other = desk.tagged(older[0].id, number=None)

        foretold, first, second = desk.sweep("--dry-run"), desk.sweep(), desk.sweep()

        assert {sweep.exit_code for sweep in (foretold, first, second)} == {4}
        for sweep in (foretold, first, second):
            assert "would archive 51 contacts (at most 50" in sweep.result["message"]
            assert "--release archive" in sweep.result["message"]
            assert (sweep.result["counts"]["not_reached"], sweep.result["seen"]) == (51, 52)
            assert [brake["brake"] for brake in sweep.result["brakes"]] == ["archive"]
            left = [row for row in sweep.result["rows"] if row["outcome"] == "not_reached"]
            assert {(row["conversation_id"], row["contact_id"]) for row in left} == {(each.id, None) for each in asked}
        assert not any(each.archived for each in older)
        assert all(each.tag_ids == [TAG] and not desk.notes(each) for each in asked)
        assert len(desk.notes(other)) == 1

        released = desk.sweep("--release", "archive")

        assert released.exit_code == 0
        assert released.result["brakes"] == []
        assert all(each.archived for each in older)
        assert all(each.tag_ids == [] for each in asked)

    def test_what_two_conversations_ask_for_counts_once(self, desk: Desk) -> None:
        older, _ = self.duplicates(desk, 50)
        desk.tagged(older[0].id, number=older[0].external_id)

        assert desk.sweep().exit_code == 0
        assert all(each.archived for each in older)


class TestRecent:
    """Contacts of recent conversations."""

    def test_one_that_its_email_tells_is_enriched_with_three_calls(self, desk: Desk) -> None:
        desk.has(lead := person("a", "lead", email="ann@example.com"))
        desk.sandbox.write_in(lead.id, "Hello?")

        sweep = desk.sweep()

        assert (lead.external_id, sweep.result["counts"]["converted"]) == (ANN, 1)
        own = {name: count for name, count in sweep.result["calls"].items() if "contact" in name or "external" in name}
        assert own == {"get_contact": 1, "find_by_external_id": 1, "update_contact": 1}

    def test_a_number_that_nobody_has_speaks_for_nobody(self, desk: Desk) -> None:
        desk.has(user := person("a", external_id="9912345", email="ann@example.com"))
        desk.sandbox.write_in(user.id, "Hello?")

        desk.sweep()

        assert user.external_id == ANN

    def test_one_that_bears_a_members_number_costs_nothing(self, desk: Desk) -> None:
        desk.has(user := person("a", external_id=ANN, email="old@example.com", name="Ann Lee"))
        desk.sandbox.write_in(user.id, "Hello?")

        sweep = desk.sweep()

        assert sweep.result["seen"] == 0
        assert "get_contact" not in sweep.result["calls"]

    def test_a_stranger_and_a_doubtful_one_are_left_alone(self, desk: Desk) -> None:
        desk.sandbox.world.tables["members"].append(member_row("1003", "ann@example.com", "Al", "Lee"))
        desk.has(
            stranger := person("a", "lead", email="zoe@example.org"), doubtful := person("b", email="ann@example.com")
        )
        for each in (stranger, doubtful):
            desk.sandbox.write_in(each.id, "Hello?")
        desk.sandbox.calls.clear()

        sweep = desk.sweep()

        assert (sweep.result["counts"]["unmatched"], sweep.result["counts"]["ambiguous"]) == (1, 1)
        assert desk.sandbox.calls.writes == 0

    def test_conversations_of_long_ago_are_not_looked_at(self, desk: Desk) -> None:
        desk.has(lead := person("a", "lead", email="ann@example.com"))
        desk.tagged(lead.id).tag_ids.clear()

        assert desk.sweep().result["seen"] == 0


def test_a_dry_run_foretells_and_writes_nothing(desk: Desk) -> None:
    desk.has(lead := person("a", "lead"), other := person("b", "lead", email="bo@example.com"))
    conversation = desk.tagged(lead.id)
    desk.sandbox.write_in(other.id, "Hello?")
    desk.sandbox.calls.clear()

    foretold = desk.sweep("--dry-run")
    writes = desk.sandbox.calls.writes
    real = desk.sweep()

    assert (writes, conversation.tag_ids) == (0, [])
    assert foretold.result["counts"] == real.result["counts"]


def test_a_sweep_can_be_taken_back(desk: Desk) -> None:
    desk.has(user := person("a", external_id=UUIDS[0], email="someone@else.example"))
    conversation = desk.tagged(user.id)
    swept = desk.sweep()

    undo = desk.runner.undo(swept.folder.name)

    assert undo.exit_code == 0
    assert (user.external_id, user.email, conversation.tag_ids) == (UUIDS[0], "someone@else.example", [TAG])


def test_a_workspace_without_the_tag_is_no_error(desk: Desk) -> None:
    desk.sandbox.world.tags.clear()
    desk.sandbox.world.tags["1"] = "dues"
    desk.sandbox.reset(desk.sandbox.world)

    assert desk.sweep().exit_code == 0


def test_in_a_troubled_world_nobody_is_confused_and_a_second_sweep_has_nothing_to_do(
    start_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    """What the planted tags ask for is done where the number is a member's, and noted where it is not."""
    world = generate(WorldOptions(members=1_500, seed=4))
    runner = Runner(start_sandbox(world, Options(limit=None)), tmp_path)
    tag_id = next(tag_id for tag_id, name in world.tags.items() if name == SYNC_TAG)
    asked = [each for each in world.conversations if tag_id in each.tag_ids]

    first = runner.run("sweep", "--recent-hours", "100000")
    runner.sandbox.calls.clear()
    second = runner.run("sweep", "--recent-hours", "100000")

    left = [each for each in asked if tag_id in each.tag_ids]
    numbers = {row["membernumber"] for row in world.tables["members"]}
    bearers = [each for each in world.contacts if each.external_id in numbers and not each.archived]
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert len(asked) > len(left)
    assert runner.sandbox.calls.writes == 0
    assert sum(second.result["counts"].values()) == second.result["seen"]
    wrong = [each.id for each in bearers if world.truth[each.id] not in (each.external_id, None)]
    assert len(bearers) > 100
    assert wrong == [each.id for each in generate(WorldOptions(members=1_500, seed=4)).contacts if each.id in wrong]

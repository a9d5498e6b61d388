"""Taking contacts out of sight: what is handed over first, and who is left alone after all."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, Conversation, ConversationState, Note, Ticket
from support.bench import AUDIT, Bench, contact
from support.worlds import ADMIN, NOW, TAGS, UUIDS, member_row, world_of

ANNS_FIELDS: dict[str, str | int | float | bool | None]
ANNS_FIELDS = {"member_type": "Current Member", "region": "GL", "facility": "ZAU"}
CHANGED = "it changed since it was listed: the next run decides"


@pytest.fixture
def bench(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Bench:
    return Bench(start_sandbox(world_of([member_row("1001", "ann@example.com")])), tmp_path / "journal.jsonl")


@pytest.fixture
def new() -> Contact:
    """Ann's newest user, right in every field."""
    return contact(
        "b", external_id="1001", email="ann@example.com", name="Ann Lee", custom_attributes=dict(ANNS_FIELDS)
    )


@pytest.fixture
def old() -> Contact:
    """Ann's older user."""
    return contact("a", age=200, external_id=UUIDS[0], email="ann@example.com", name="Ann Lee")


def notes(*bodies: str) -> list[Note]:
    return [Note(str(9000 + i), f"<p>{body}</p>", NOW - 86_400 * i, ADMIN) for i, body in enumerate(bodies)]


class TestHandingOver:
    """What an older user has goes to the newest before it is archived."""

    def test_open_conversations_go_over_and_closed_ones_stay(self, bench: Bench, new: Contact, old: Contact) -> None:
        third = contact("f", external_id="4711", email="zoe@example.org")
        bench.has(new, old, third)
        states: tuple[ConversationState, ...] = ("open", "snoozed", "closed")
        talks = [Conversation(str(5000 + i), [old.id], NOW, NOW, state) for i, state in enumerate(states)]
        shared = Conversation("5010", [old.id, third.id, new.id], NOW, NOW)
        bench.sandbox.world.conversations[:] = [*talks, shared]

        rows = bench.told()

        assert rows == [("1001", "archived_duplicate", old.id)]
        assert old.archived
        assert [talk.contact_ids for talk in talks] == [[new.id], [new.id], [old.id]]
        assert shared.contact_ids == [third.id, new.id]
        assert Counter(bench.writes) == {("attach", new.id): 2, ("detach", old.id): 3, ("archive", old.id): 1}
        assert bench.writes[-1] == ("archive", old.id)

    def test_nobody_takes_part_in_nothing_meanwhile(self, bench: Bench, new: Contact, old: Contact) -> None:
        """The newest is in the conversation before the older leaves it."""
        bench.has(new, old)
        talk = Conversation("5000", [old.id], NOW, NOW)
        bench.sandbox.world.conversations[:] = [talk]
        seen: list[list[str]] = []
        bench.sandbox.before = lambda _method, path: (
            seen.append(list(talk.contact_ids)) if "customers" in path else None
        )

        bench.told()

        assert seen == [[old.id], [old.id, new.id]]

    @pytest.mark.parametrize("count", [1, 10, 11, 15])
    def test_all_tags_go_over_and_none_twice(self, bench: Bench, new: Contact, old: Contact, count: int) -> None:
        """A contact itself shows ten of them."""
        old.tag_ids, new.tag_ids = list(TAGS[:count]), [TAGS[count // 2]]
        bench.has(new, old)

        bench.told()

        assert sorted(new.tag_ids) == sorted(TAGS[:count])
        assert bench.sandbox.calls["POST /contacts/{contact_id}/tags"] == count - 1

    def test_tags_of_a_newest_user_that_has_more_than_ten_are_all_known(
        self, bench: Bench, new: Contact, old: Contact
    ) -> None:
        new.tag_ids, old.tag_ids = list(TAGS[:12]), [TAGS[11], TAGS[12]]
        bench.has(new, old)

        bench.told()

        assert new.tag_ids == list(TAGS[:13])
        assert bench.sandbox.calls["POST /contacts/{contact_id}/tags"] == 1

    def test_notes_go_over_oldest_first_with_their_origin(self, bench: Bench, new: Contact, old: Contact) -> None:
        old.notes = notes("newest", "older", "oldest")
        bench.has(new, old)

        bench.told()

        assert [note.body.rpartition("<p>")[2] for note in new.notes] == ["oldest</p>", "older</p>", "newest</p>"]
        assert f"on contact {old.id} (note 9002), which was archived as a duplicate:" in new.notes[0].body
        assert "Note of 2026-09-1" in new.notes[0].body

    @pytest.mark.parametrize("count", [12, 60])
    def test_notes_beyond_a_page_go_over_too(self, bench: Bench, new: Contact, old: Contact, count: int) -> None:
        old.notes = notes(*(f"Note {number}." for number in range(count)))
        bench.has(new, old)

        bench.told()

        assert len(new.notes) == count
        assert all(sum(note.body in copy.body for copy in new.notes) == 1 for note in old.notes)

    def test_equal_notes_are_each_copied(self, bench: Bench, new: Contact, old: Contact) -> None:
        old.notes = notes("Called", "Called")
        bench.has(new, old)

        bench.told()

        assert len(new.notes) == 2

    def test_notes_are_copied_once_even_when_answers_are_lost(self, bench: Bench, new: Contact, old: Contact) -> None:
        """A note whose answer did not come may stand there: one looks before it is written again."""
        old.notes = notes(*(f"Note {number}." for number in range(6)))
        bench.has(new, old)
        lost: list[str] = []

        def lose_one(method: str, path: str) -> None:
            writes_note = method == "POST" and path.endswith("/notes")
            lose = writes_note and len(lost) < 2 and len(new.notes) in (1, 4) and str(len(new.notes)) not in lost
            bench.sandbox.options.fault_drop_after = float(lose)
            if lose:
                lost.append(str(len(new.notes)))

        bench.sandbox.before = lose_one

        rows = bench.told()

        assert len(lost) == 2
        assert rows == [("1001", "archived_duplicate", old.id)]
        assert len(new.notes) == len({note.body for note in new.notes}) == 6

    def test_a_second_attempt_copies_only_what_the_first_did_not(
        self, bench: Bench, new: Contact, old: Contact
    ) -> None:
        old.notes = notes("one", "two")
        bench.has(new, old)
        bench.told()
        old.archived = False

        bench.told()

        assert len(new.notes) == 2

    def test_two_older_users_at_once(self, bench: Bench, new: Contact, old: Contact) -> None:
        older = contact("c", age=300, email="ann@example.com", external_id=UUIDS[1], notes=notes("other"))
        old.notes, old.tag_ids, older.tag_ids = notes("one"), list(TAGS[:2]), list(TAGS[1:3])
        talk = Conversation("5000", [old.id, older.id], NOW, NOW)
        bench.has(new, old, older)
        bench.sandbox.world.conversations[:] = [talk]

        rows = bench.told()

        assert rows == [("1001", "archived_duplicate", older.id), ("1001", "archived_duplicate", old.id)]
        assert (len(new.notes), sorted(new.tag_ids), talk.contact_ids) == (2, list(TAGS[:3]), [new.id])


class TestNumbers:
    """What an archived user keeps of its ids."""

    @pytest.mark.parametrize("clearing", ["accept", "refuse", "ignore"])
    def test_the_newest_gets_the_number_that_the_older_had(
        self, bench: Bench, new: Contact, old: Contact, clearing: str
    ) -> None:
        new.external_id, old.external_id = UUIDS[0], "1001"
        bench.has(new, old)

        rows = bench.told(options=Options(limit=None, clear_external_id=clearing))  # type: ignore[arg-type]

        assert rows == [("1001", "archived_duplicate", old.id), ("1001", "updated", new.id)]
        assert (new.external_id, old.external_id) == ("1001", f"released-{old.id}")
        assert bench.sandbox.calls.by_status[409] == 0

    def test_one_whose_email_is_no_members_keeps_no_id_at_all(self, bench: Bench, new: Contact) -> None:
        new.external_id = UUIDS[0]
        old = contact("a", age=200, external_id="1001", email="ann@old.example.com", name="Ann Lee")
        bench.has(new, old)

        bench.told()

        assert (new.external_id, old.external_id) == ("1001", None)

    def test_a_uuid_is_in_nobodys_way(self, bench: Bench, new: Contact, old: Contact) -> None:
        bench.has(new, old)

        bench.told()

        assert old.external_id == UUIDS[0]


class TestLastLook:
    """Immediately before an archive the contact is read again."""

    @pytest.mark.parametrize("moved", ["updated_at", "last_replied_at", "last_contacted_at"])
    def test_an_older_user_that_changed_is_left_with_all_it_has(
        self, bench: Bench, new: Contact, old: Contact, moved: str
    ) -> None:
        old.tag_ids, old.notes = [TAGS[0]], notes("one")
        bench.has(new, old)

        rows = bench.apply(lambda: setattr(old, moved, NOW))

        assert [(row.outcome, row.contact_id, row.reason) for row in rows] == [("review", old.id, CHANGED)]
        assert bench.sandbox.calls.writes == 0

    @pytest.mark.parametrize("moved", ["updated_at", "last_replied_at", "last_contacted_at"])
    def test_a_contact_of_nobody_that_changed_is_left(self, bench: Bench, moved: str) -> None:
        stranger = contact("z", email="zoe@example.org")
        bench.has(stranger)

        rows = bench.apply(lambda: setattr(stranger, moved, NOW), scope=AUDIT)

        assert [(row.outcome, row.contact_id, row.reason) for row in rows] == [("review", stranger.id, CHANGED)]
        assert bench.sandbox.calls.writes == 0

    def test_one_who_writes_in_before_the_last_look_is_not_archived(self, bench: Bench) -> None:
        stranger = contact("z", email="zoe@example.org")
        bench.has(stranger)

        def write_in(method: str, path: str) -> None:
            if (method, path) == ("GET", f"/contacts/{stranger.id}"):
                bench.sandbox.write_in(stranger.id, "Hello?")

        bench.sandbox.before = write_in

        rows = bench.told(scope=AUDIT)

        assert rows == [(None, "review", stranger.id)]
        assert not stranger.archived

    def test_what_is_archived_already_needs_nothing(self, bench: Bench, new: Contact, old: Contact) -> None:
        stranger = contact("z", email="zoe@example.org")
        bench.has(new, old, stranger)

        def archive() -> None:
            old.archived = stranger.archived = True

        rows = bench.told(archive, scope=AUDIT)

        assert sorted(rows, key=str) == [("1001", "unchanged", old.id), (None, "unchanged", stranger.id)]
        assert bench.sandbox.calls.writes == 0

    def test_a_step_that_fails_keeps_the_contact_in_sight(self, bench: Bench, new: Contact, old: Contact) -> None:
        """And what waits for it is not done: the number stays where it is."""
        new.external_id, old.external_id = UUIDS[0], "1001"
        bench.has(new, old)
        bench.sandbox.world.conversations[:] = [Conversation("5000", [old.id], NOW, NOW)]

        rows = bench.apply(bench.sandbox.world.conversations.clear)

        assert [(row.outcome, row.contact_id) for row in rows] == [("failed", old.id), ("failed", new.id)]
        assert (rows[1].reason or "").startswith("waits for an earlier step: 404")
        assert (old.archived, old.external_id, new.external_id) == (False, "1001", UUIDS[0])


class TestUuids:
    """Users of nobody that stay lose the UUID of the old integration."""

    @pytest.mark.parametrize(("clearing", "left"), [("accept", None), ("refuse", "released"), ("ignore", "released")])
    def test_a_uuid_is_taken_off_in_the_way_that_works(self, bench: Bench, clearing: str, left: str | None) -> None:
        stranger = contact("z", email="zoe@example.org", external_id=UUIDS[0])
        bench.has(stranger)
        bench.sandbox.world.tickets[:] = [Ticket("7000", "1", [stranger.id], NOW, NOW, "Badge")]

        rows = bench.told(options=Options(limit=None, clear_external_id=clearing), scope=AUDIT)  # type: ignore[arg-type]

        assert rows == [(None, "cleared", stranger.id)]
        assert stranger.external_id == (f"{left}-{stranger.id}" if left else None)

    @pytest.mark.parametrize("external_id", ["4711", None, UUIDS[1]])
    def test_one_that_has_another_id_now_keeps_it(self, bench: Bench, external_id: str | None) -> None:
        stranger = contact("z", email="zoe@example.org", external_id=UUIDS[0])
        bench.has(stranger)
        bench.sandbox.world.tickets[:] = [Ticket("7000", "1", [stranger.id], NOW, NOW, "Badge")]

        rows = bench.told(lambda: setattr(stranger, "external_id", external_id), scope=AUDIT)

        assert rows == [(None, "unchanged", stranger.id)]
        assert bench.sandbox.calls.writes == 0

"""What a journal tells the next attempt of a run, and undo; also one that a kill cut off."""

import json
from pathlib import Path
from typing import Any

import pytest

from mynatca_intercom.reconcile.history import History

AT = "2026-11-24T02:30:00.000+00:00"


class Told:
    """Writes a journal by hand, line by line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seq = 0

    def line(self, **what: Any) -> int:
        self._seq += 1
        with self.path.open("a") as file:
            file.write(json.dumps({"seq": self._seq, "at": AT, **what}) + "\n")
        return self._seq

    def cut_off(self, text: str) -> None:
        """What a kill leaves, closed as a line by the next attempt."""
        self._seq += 1
        with self.path.open("a") as file:
            file.write(text + "\n")

    def intent(self, operation: str, contact_id: str | None = "c1", **what: Any) -> int:
        return self.line(state="intent", operation=operation, contact_id=contact_id, **what)

    def done(self, operation: str, contact_id: str | None = "c1", **what: Any) -> int:
        seq = self.intent(operation, contact_id, **what)
        self.line(state="done", intent=seq)
        return seq

    def failed(self, operation: str, contact_id: str = "c1", *, unknown: bool = False, **what: Any) -> int:
        seq = self.intent(operation, contact_id, **what)
        self.line(state="failed", intent=seq, error="no", unknown=unknown)
        return seq

    def number(self, former: str | None, now: str | None, contact_id: str = "c1", **more: Any) -> int:
        return self.done("update", contact_id, before={"external_id": former}, after={"external_id": now}, **more)

    @property
    def history(self) -> History:
        return History(self.path)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "journal.jsonl")


def test_without_a_journal_nothing_was_written(told: Told) -> None:
    history = told.history

    assert (history.writes, history.freed, history.left_to_judge, history.unclosed_archives) == ((), {}, [], {})


class TestEffects:
    """Whether a write took effect, as far as the journal knows."""

    def test_each_ending_is_told_apart(self, told: Told) -> None:
        told.done("update")
        told.failed("update")
        told.failed("update", unknown=True)
        told.intent("update")

        assert [write.effect for write in told.history.writes] == ["done", "failed", "unknown", "unknown"]

    def test_lines_of_concurrent_writes_find_their_intents(self, told: Told) -> None:
        one, two, three = (told.intent("archive", name) for name in "abc")
        told.line(state="failed", intent=two, error="no", unknown=False)
        told.line(state="done", intent=three)
        told.line(state="done", intent=one)

        effects = [(write.contact_id, write.effect) for write in told.history.writes]
        assert effects == [("a", "done"), ("b", "failed"), ("c", "done")]

    def test_a_created_contact_is_known_by_the_id_that_it_got(self, told: Told) -> None:
        seq = told.intent("create", None, member_number="1001", after={"email": "ann@example.com"})
        told.line(state="done", intent=seq, contact_id="new")

        [write] = told.history.writes
        assert (write.contact_id, write.member_number, write.after) == ("new", "1001", {"email": "ann@example.com"})

    def test_a_creation_without_an_ending_has_no_contact(self, told: Told) -> None:
        told.intent("create", None, member_number="1001")

        assert [(write.contact_id, write.effect) for write in told.history.writes] == [(None, "unknown")]

    @pytest.mark.parametrize("rest", ['{"seq":3,"at":"20', "", "null", "7", "[]", '{"seq":3}', "\ufffd"])
    def test_a_line_that_a_kill_cut_off_costs_no_other(self, told: Told, rest: str) -> None:
        told.done("archive", "a")
        told.cut_off(rest)
        told.done("archive", "b")

        assert [write.contact_id for write in told.history.writes] == ["a", "b"]

    def test_an_intent_that_was_cut_off_was_never_sent(self, told: Told) -> None:
        """It is on disk as a whole before its call."""
        whole = json.dumps({"seq": 1, "at": AT, "state": "intent", "operation": "archive", "contact_id": "a"})
        told.cut_off(whole[:-1])

        assert told.history.writes == ()


class TestFreed:
    """Numbers that were taken off contacts: a retry still knows whose they were."""

    @pytest.mark.parametrize("nothing", ["", None, "released-c1"])
    def test_a_number_that_was_taken_off(self, told: Told, nothing: str | None) -> None:
        told.number("1001", nothing)

        assert told.history.freed == {"c1": "1001"}

    def test_a_number_that_may_have_been_taken_off(self, told: Told) -> None:
        told.intent("update", before={"external_id": "1001"}, after={"external_id": ""})

        assert told.history.freed == {"c1": "1001"}

    def test_a_refused_way_to_clear_it_took_nothing(self, told: Told) -> None:
        told.failed("update", before={"external_id": "1001"}, after={"external_id": ""})

        assert told.history.freed == {}

    def test_the_ways_to_clear_it_are_tried_one_after_the_other(self, told: Told) -> None:
        told.number("1001", "")
        told.number("1001", None)
        told.number("1001", "released-c1")

        assert told.history.freed == {"c1": "1001"}

    def test_once_it_has_another_number_it_is_not_freed_any_more(self, told: Told) -> None:
        told.number("1001", "")
        told.number("", "1002")

        assert told.history.freed == {}

    def test_a_released_id_is_no_number(self, told: Told) -> None:
        told.number("released-c1", "")

        assert told.history.freed == {}

    def test_a_number_that_the_run_itself_had_put_there_does_not_speak_for_the_contact(self, told: Told) -> None:
        """Written to a contact that had become someone else's, and put back."""
        told.number(None, "1001")
        told.number("1001", "")

        assert told.history.freed == {}

    def test_other_fields_free_nothing(self, told: Told) -> None:
        told.done("update", before={"region": "GL"}, after={"region": ""})

        assert told.history.freed == {}


class TestLeftToJudge:
    """Archived contacts that were brought back for a look, and whose turn never came."""

    def left(self, told: Told) -> list[str | None]:
        return [write.contact_id for write in told.history.left_to_judge]

    def test_one_that_nothing_was_done_with(self, told: Told) -> None:
        told.done("unarchive_to_judge")

        assert self.left(told) == ["c1"]

    def test_one_that_may_be_back(self, told: Told) -> None:
        told.failed("unarchive_to_judge", unknown=True)
        told.intent("unarchive_to_judge", "c2")

        assert self.left(told) == ["c1", "c2"]

    def test_one_that_did_not_come_back(self, told: Told) -> None:
        told.failed("unarchive_to_judge")

        assert self.left(told) == []

    @pytest.mark.parametrize("operation", ["update", "archive"])
    def test_one_that_was_written_or_put_away_again(self, told: Told, operation: str) -> None:
        told.done("unarchive_to_judge")
        told.done(operation)

        assert self.left(told) == []

    def test_one_whose_number_was_freed_is_still_to_be_put_away(self, told: Told) -> None:
        """A kill in between would leave it in sight, as a second user of its member."""
        told.done("unarchive_to_judge")
        told.number("1001", "released-c1")

        assert self.left(told) == ["c1"]

    def test_one_that_may_not_have_been_put_away(self, told: Told) -> None:
        told.done("unarchive_to_judge")
        told.intent("archive")

        assert self.left(told) == ["c1"]

    def test_a_write_that_failed_was_not_its_turn(self, told: Told) -> None:
        told.done("unarchive_to_judge")
        told.failed("archive")

        assert self.left(told) == ["c1"]


class TestUnclosedArchives:
    """Archives after which nobody has looked for people who wrote in meanwhile."""

    def unclosed(self, told: Told) -> list[str]:
        return list(told.history.unclosed_archives)

    def test_archives_since_the_last_look(self, told: Told) -> None:
        told.done("archive", "before")
        told.line(state="closed")
        told.done("archive", "after")

        assert self.unclosed(told) == ["after"]

    def test_archives_that_may_have_taken_effect(self, told: Told) -> None:
        told.intent("archive", "a")
        told.failed("archive", "b", unknown=True)
        told.failed("archive", "c")

        assert self.unclosed(told) == ["a", "b"]

    @pytest.mark.parametrize("operation", ["unarchive", "unarchive_to_judge"])
    def test_one_that_is_back_needs_no_look(self, told: Told, operation: str) -> None:
        told.done("archive")
        told.done(operation)

        assert self.unclosed(told) == []

    def test_one_that_went_again_does(self, told: Told) -> None:
        told.done("archive")
        told.done("unarchive_to_judge")
        told.done("archive")

        assert self.unclosed(told) == ["c1"]

    def test_one_whose_return_failed_does(self, told: Told) -> None:
        told.done("archive")
        told.failed("unarchive")

        assert self.unclosed(told) == ["c1"]

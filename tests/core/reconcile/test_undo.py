"""Undo: what a run did is taken back as far as Intercom allows, and what is not is listed with its reason."""

import json
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, Conversation, World
from support.bench import contact
from support.runs import Run, Runner
from support.worlds import NOW, UUIDS, decisions, member_row, rules, world_of, worlds

OWNED = ("member_type", "region", "facility", "positions")
UNFORESEEABLE = "another contact holds the number or email"
BY_HAND = "Edited By Hand"

Fields = dict[str, Any]
State = dict[str, Fields]
Edit = tuple[int, str]


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(World(now=0), Options(limit=None))


@pytest.fixture
def folders() -> Iterator[Iterator[Path]]:
    """A new folder for each example."""
    with tempfile.TemporaryDirectory() as folder:
        yield (Path(folder) / str(i) for i in range(10_000))


def fields_of(contact: Contact) -> Fields:
    """What of a contact undo is about. A released id is none, and an empty value is one that is not there."""
    fields: Fields = {name: getattr(contact, name) or None for name in ("role", "email", "phone", "name")}
    fields["email"] = contact.email.lower() if contact.email else None  # as Intercom keeps what is written
    external_id = contact.external_id or None
    fields["external_id"] = None if external_id == f"released-{contact.id}" else external_id
    fields |= {name: contact.custom_attributes.get(name) or None for name in OWNED}
    return fields | {"archived": contact.archived, "tags": frozenset(contact.tag_ids)}


def state_of(sandbox: Sandbox) -> State:
    return {contact.id: fields_of(contact) for contact in sandbox.world.contacts}


def participants_of(sandbox: Sandbox) -> dict[str, frozenset[str]]:
    return {each.id: frozenset(each.contact_ids) for each in sandbox.world.conversations}


def edit_by_hand(sandbox: Sandbox, edits: list[Edit]) -> list[tuple[str, str]]:
    """Change a field of some contacts in sight; returns contact and field of each."""
    in_sight = [each for each in sandbox.world.contacts if not (each.archived or each.merged_into or each.deleted)]
    edited = []
    for position, name in edits:
        if position < len(in_sight):
            contact = in_sight[position]
            if name == "name":
                contact.name = BY_HAND
            else:
                contact.custom_attributes[name] = BY_HAND
            edited.append((contact.id, name))
    return edited


def merges(run: Run) -> dict[str, str]:
    """Lead -> user, of each merge."""
    return {
        line["contact_id"]: line["into"]
        for line in run.journal
        if line["state"] == "intent" and line["operation"] == "merge"
    }


KEPT = (
    (re.compile(r"(\w+) was edited since"), None),
    (re.compile(r"a user cannot become a lead again"), "role"),
    (re.compile(r"an email cannot be cleared"), "email"),
)


def kept_fields(undone: Run) -> set[tuple[str, str]]:
    """Contact and field of what was listed as not taken back; "*" for all fields of a contact."""
    kept: set[tuple[str, str]] = set()
    for row in undone.result["rows"]:
        for sentence in (row["reason"] or "").split("; "):
            found = [(match, name) for pattern, name in KEPT if (match := pattern.fullmatch(sentence))]
            kept.add((row["contact_id"], found[0][1] or found[0][0][1] if found else "*"))
    return kept


def differences(before: State, now: State, merged: dict[str, str]) -> set[tuple[str, str]]:
    """Contact and field of what is not as it was, but for what a merge took or filled."""
    users = set(merged.values())
    found = set()
    for contact_id, fields in before.items():
        for name, value in fields.items():
            present = now[contact_id][name]
            filled = contact_id in users and (value is None or (name == "tags" and value <= present))
            if present != value and contact_id not in merged and not filled:
                found.add((contact_id, name))
    return found


def unlisted(found: set[tuple[str, str]], kept: set[tuple[str, str]]) -> list[tuple[str, str]]:
    return sorted(each for each in found if each not in kept and (each[0], "*") not in kept)


def moved(participants: dict[str, frozenset[str]], merged: dict[str, str]) -> dict[str, frozenset[str]]:
    """The participants as they are once these leads are merged."""

    def survivor(contact_id: str) -> str:
        return survivor(merged[contact_id]) if contact_id in merged else contact_id

    return {id_: frozenset(survivor(each) for each in contact_ids) for id_, contact_ids in participants.items()}


edits = st.lists(st.tuples(st.integers(0, 5), st.sampled_from(("name", "region"))), max_size=2)


@pytest.mark.parametrize("command", ["sync", "audit", "manual-update"])
@settings(
    max_examples=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(world=worlds(), options=rules, rows=decisions(), edits=edits)
def test_a_run_is_taken_back_and_brought_again(
    sandbox: Sandbox,
    folders: Iterator[Path],
    command: str,
    world: World,
    options: Options,
    rows: list[dict[str, str]],
    edits: list[Edit],
) -> None:
    """Invariant 9, for any world: foretold exactly, undone but for what is listed, once, and itself undone."""
    folder = next(folders)
    folder.mkdir()
    sandbox.reset(world, options)
    runner = Runner(sandbox, folder / "runs")
    (folder / "mappings.json").write_text(json.dumps(rows))
    before, talks_before = state_of(sandbox), participants_of(sandbox)

    run = runner.run(*((command, str(folder / "mappings.json")) if command == "manual-update" else (command,)))
    merged = merges(run)
    edited = edit_by_hand(sandbox, edits)
    after, talks_after = state_of(sandbox), participants_of(sandbox)
    created = after.keys() - before.keys()

    writes = sandbox.calls.writes
    foretold = runner.undo(run.folder.name, "--dry-run")
    assert (sandbox.calls.writes, state_of(sandbox), participants_of(sandbox)) == (writes, after, talks_after)
    undone = runner.undo(run.folder.name)
    undone_state, undone_talks = state_of(sandbox), participants_of(sandbox)

    if not any((row["reason"] or "").startswith(UNFORESEEABLE) for row in undone.result["rows"]):
        assert foretold.result["counts"] == undone.result["counts"]
    assert undone.result["counts"]["failed"] == undone.result["counts"]["not_reached"] == 0
    assert sum(undone.result["counts"].values()) == undone.result["seen"]
    kept = kept_fields(undone)
    assert unlisted(differences(before, undone_state, merged) - set(edited), kept) == []
    assert [id_ for id_ in created if not undone_state[id_]["archived"] and (id_, "*") not in kept] == []
    assert undone_talks == moved(talks_before, merged)
    what_was_edited_stays(run, undone, edited, undone_state)

    again = runner.undo(run.folder.name)
    assert (state_of(sandbox), participants_of(sandbox)) == (undone_state, undone_talks)
    assert again.result["counts"]["failed"] == 0

    redone = runner.undo(undone.folder.name)
    redone_state = state_of(sandbox)
    assert redone.result["counts"]["failed"] == 0
    assert unlisted(differences(after, redone_state, {}), kept_fields(redone)) == []
    assert participants_of(sandbox) == talks_after


def what_was_edited_stays(run: Run, undone: Run, edited: list[tuple[str, str]], now: State) -> None:
    """A person's later word is not overwritten, and listed where the run had written the field too.

    Where a write is left as a whole, that is what is listed.
    """
    reasons = [(row["contact_id"], row["reason"] or "") for row in undone.result["rows"]]
    failed = {line["intent"] for line in run.journal if line["state"] == "failed"}
    for contact_id, name in edited:
        assert now[contact_id][name] == BY_HAND
        for line in run.journal:
            own = line.get("contact_id") == contact_id and line.get("operation") == "update"
            if own and name in line["after"] and line["seq"] not in failed:
                assert any(
                    id_ == contact_id and (f"{name} was edited since" in why or why.startswith(UNFORESEEABLE))
                    for id_, why in reasons
                )


class TestCases:
    """What undo does write by write."""

    @pytest.fixture
    def runner(self, sandbox: Sandbox, tmp_path: Path) -> Runner:
        sandbox.reset(world_of([member_row("1001", "ann@example.com"), member_row("1002", "bo@example.com", "Bo")]))
        return Runner(sandbox, tmp_path / "runs")

    @staticmethod
    def has(runner: Runner, *people: Contact, talks: tuple[Conversation, ...] = ()) -> None:
        runner.sandbox.world.contacts[:] = people
        runner.sandbox.world.conversations[:] = talks
        runner.sandbox.reset(runner.sandbox.world)

    @pytest.mark.parametrize("attempt", range(3))
    def test_numbers_that_were_swapped_are_swapped_back(self, runner: Runner, tmp_path: Path, attempt: int) -> None:
        """Two members' writes on the same two contacts have one order, whichever came first."""
        one, other = contact("a", external_id="1002"), contact("b", external_id="1001")
        self.has(runner, one, other)
        pairs = [(one, "1001"), (other, "1002")][:: 1 if attempt else -1]
        rows = [{"contact_id": person.id, "member_number": number} for person, number in pairs]
        (tmp_path / "mappings.json").write_text(json.dumps(rows))
        run = runner.manual_update(tmp_path / "mappings.json")
        swapped = (one.external_id, other.external_id)

        undone = runner.undo(run.folder.name)

        assert swapped == ("1001", "1002")
        assert (one.external_id, other.external_id) == ("1002", "1001")
        assert {row["reason"] for row in undone.result["rows"]} == {"an email cannot be cleared"}

    @pytest.mark.parametrize("clearing", ["accept", "refuse", "ignore"])
    def test_a_duplicate_comes_back_with_number_conversation_and_tags(self, runner: Runner, clearing: Any) -> None:
        old = contact("a", age=200, external_id="1001", email="ann@old.example.com", name="Ann Lee", tag_ids=["101"])
        new = contact("b", age=100, external_id=UUIDS[0], email="ann@example.com", name="Ann Lee")
        talk = Conversation("5000", [old.id], NOW - 50, NOW - 50)
        self.has(runner, old, new, talks=(talk,))
        runner.sandbox.options = Options(limit=None, clear_external_id=clearing)
        run = runner.sync("--limit", "1")
        gone = (old.archived, talk.contact_ids, new.tag_ids, new.external_id)

        undone = runner.undo(run.folder.name)

        assert gone == (True, [new.id], ["101"], "1001")
        assert (old.archived, old.external_id, talk.contact_ids, new.tag_ids) == (False, "1001", [old.id], [])
        assert new.external_id == UUIDS[0]
        assert undone.result["counts"]["left"] == 0

    def test_a_user_stays_in_a_conversation_for_the_lead_that_became_part_of_it(self, runner: Runner) -> None:
        old = contact("a", age=200, external_id="1001", email="ann@old.example.com", name="Ann Lee")
        new = contact("b", age=100, external_id=UUIDS[0], email="ann@example.com", name="Ann Lee")
        lead = contact("c", role="lead", external_id=UUIDS[1], email="ann@example.com", name="Ann Lee")
        talk = Conversation("5000", [old.id, lead.id], NOW - 50, NOW - 50)
        self.has(runner, old, new, lead, talks=(talk,))
        run = runner.sync("--limit", "1")
        gone = (lead.merged_into, old.archived, set(talk.contact_ids))

        foreseen = runner.undo(run.folder.name, "--dry-run")
        undone = runner.undo(run.folder.name)

        assert gone == (new.id, True, {new.id})
        assert (old.archived, set(talk.contact_ids)) == (False, {old.id, new.id})
        for each in (foreseen, undone):
            assert f"contact {lead.id}, which took part, is part of it for good" in {
                row["reason"] for row in each.result["rows"]
            }

    def test_a_created_contact_is_archived_and_never_deleted(self, runner: Runner) -> None:
        self.has(runner)
        run = runner.sync()

        runner.undo(run.folder.name)

        assert [(each.archived, each.deleted) for each in runner.sandbox.world.contacts] == [(True, False)] * 2

    @pytest.mark.parametrize("activity", ["last_replied_at", "last_contacted_at"])
    def test_a_created_contact_that_somebody_wrote_to_or_from_stays(self, runner: Runner, activity: str) -> None:
        self.has(runner)
        run = runner.sync("--limit", "1")
        [created] = runner.sandbox.world.contacts
        setattr(created, activity, NOW)

        undone = runner.undo(run.folder.name)

        assert not created.archived
        assert [row["reason"] for row in undone.result["rows"]] == [
            "the contact was written to or from since it was created"
        ]

    def test_what_no_call_takes_back_is_listed(self, runner: Runner) -> None:
        user = contact("a", age=200, external_id="1001", email="ann@example.com", name="Ann Lee")
        lead = contact("b", role="lead", external_id=UUIDS[0], email="ann@example.com", name="Ann Lee")
        other = contact("c", role="lead", external_id=UUIDS[1], email="bo@example.com", name="Bo Lee")
        self.has(runner, user, lead, other)
        run = runner.sync()

        undone = runner.undo(run.folder.name)

        assert (lead.merged_into, other.role) == (user.id, "user")
        assert {(row["contact_id"], row["outcome"], row["reason"]) for row in undone.result["rows"]} == {
            (lead.id, "left", f"a merge cannot be undone: contact {lead.id} is part of {user.id} for good"),
            (other.id, "restored", "a user cannot become a lead again"),
        }

    def test_a_limit_counts_chains(self, runner: Runner) -> None:
        self.has(runner)
        run = runner.sync()

        undone = runner.undo(run.folder.name, "--limit", "1")

        assert (undone.result["counts"]["restored"], undone.result["counts"]["postponed"]) == (1, 1)
        assert sum(each.archived for each in runner.sandbox.world.contacts) == 1

    @pytest.mark.parametrize("name", ["unknown", "..", "../runs", "a/b", ""])
    def test_a_run_that_is_not_there_is_named(
        self, runner: Runner, name: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert runner.undo(name).exit_code == 2
        assert f"RUN cannot be {name!r}" in capsys.readouterr().err
        assert runner.sandbox.calls.total == 0

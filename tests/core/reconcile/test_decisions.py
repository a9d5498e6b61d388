"""A person's decisions, through `manual-update`: they are carried out, each row has its ending, and nobody else's."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact
from support.bench import contact
from support.runs import Run, Runner
from support.worlds import UUIDS, member_row, world_of

ROWS = [
    member_row("1001", "ann@example.com"),
    member_row("1002", "bo@example.com", "Bo", "Chen"),
    member_row("1003", "cy@example.com", "Cy", "Okafor"),
]
Pair = tuple[Contact | str, str]


class Desk:
    """Somebody with mappings files."""

    def __init__(self, runner: Runner, folder: Path) -> None:
        self.runner = runner
        self._file = folder / "mappings.json"

    def has(self, *people: Contact) -> None:
        self.runner.sandbox.world.contacts[:] = people
        self.runner.sandbox.reset(self.runner.sandbox.world)

    def decide(self, *pairs: Pair, flags: tuple[str, ...] = (), settings: dict[str, str] | None = None) -> Run:
        """Run with these rows: contact (or its id) and number."""
        rows = [{"contact_id": who if isinstance(who, str) else who.id, "member_number": no} for who, no in pairs]
        self._file.write_text(json.dumps(rows))
        return self.runner.manual_update(self._file, *flags, **(settings or {}))


@pytest.fixture
def desk(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Desk:
    sandbox = start_sandbox(world_of(copy.deepcopy(ROWS)), Options(limit=None))
    return Desk(Runner(sandbox, tmp_path / "runs"), tmp_path)


def ann(contact_id: str = "a", **fields: Any) -> Contact:
    return contact(contact_id, **{"external_id": "1001", "email": "ann@example.com", "name": "Ann Lee", **fields})


def bo(contact_id: str = "b", **fields: Any) -> Contact:
    return contact(contact_id, **{"external_id": "1002", "email": "bo@example.com", "name": "Bo Chen", **fields})


def outcomes(run: Run) -> list[tuple[str, str | None]]:
    return [(row["outcome"], row["reason"]) for row in run.rows]


@pytest.mark.parametrize("clearing", ["accept", "refuse", "ignore"])
def test_a_number_swapped_between_two_contacts_by_two_rows_ends_right(desk: Desk, clearing: Any) -> None:
    one, other = contact("a", external_id="1002", name="Ann"), contact("b", external_id="1001", name="Bo")
    desk.has(one, other)
    desk.runner.sandbox.options = Options(limit=None, clear_external_id=clearing)

    run = desk.decide((one, "1001"), (other, "1002"))

    assert (run.exit_code, [outcome for outcome, _ in outcomes(run)]) == (0, ["updated", "updated"])
    assert (one.external_id, one.email, one.name) == ("1001", "ann@example.com", "Ann Lee")
    assert (other.external_id, other.email, other.name) == ("1002", "bo@example.com", "Bo Chen")


def test_a_ring_of_three_numbers_ends_right(desk: Desk) -> None:
    people = [
        contact(letter, external_id=number) for letter, number in zip("abc", ("1002", "1003", "1001"), strict=True)
    ]
    desk.has(*people)

    run = desk.decide(*zip(people, ("1001", "1002", "1003"), strict=True))

    assert run.exit_code == 0
    assert [person.external_id for person in people] == ["1001", "1002", "1003"]


@pytest.mark.parametrize("concurrency", ["1", "50"])
def test_all_numbers_are_freed_before_the_first_is_given(desk: Desk, concurrency: str) -> None:
    """Else a call that is late, or sent again, could take a number off that another row has just given."""
    people = [
        contact(letter, external_id=number) for letter, number in zip("abc", ("1002", "1003", "1001"), strict=True)
    ]
    desk.has(*people)

    run = desk.decide(
        *zip(people, ("1001", "1002", "1003"), strict=True), settings={"INTERCOM_CONCURRENCY": concurrency}
    )

    writes = {line["seq"]: line for line in run.journal if line["state"] == "intent"}
    ended = [line for line in run.journal if line["state"] == "done"]
    freed = [line["seq"] for line in ended if writes[line["intent"]]["after"] == {"external_id": ""}]
    given = [seq for seq, line in writes.items() if line["after"]["external_id"]]
    assert (len(freed), len(given)) == (3, 3)
    assert max(freed) < min(given)


def test_rows_that_cannot_be_carried_out_fail_and_the_others_go_on(desk: Desk) -> None:
    person, archived = contact("a", name="Somebody"), bo(archived=True)
    desk.has(person, archived)

    run = desk.decide(("f" * 24, "1002"), (person, "1001"), (archived, "1003"), (contact("e"), "4711"))

    no_contact = "Intercom shows no such contact: it is unknown, archived or deleted"
    assert run.exit_code == 3
    assert [outcome for outcome, _ in outcomes(run)] == ["failed", "updated", "failed", "failed"]
    assert [reason for _, reason in outcomes(run) if reason] == [no_contact, no_contact, "no member has this number"]
    assert (run.result["counts"]["failed"], run.result["seen"]) == (3, 4)
    assert person.external_id == "1001"


def test_a_contradiction_is_reported_and_carried_out(desk: Desk) -> None:
    stranger = contact("z", email="zoe@example.org", name="Zoe Else")
    desk.has(stranger)

    run = desk.decide((stranger, "1001"))

    assert run.exit_code == 0
    assert (stranger.external_id, stranger.email) == ("1001", "ann@example.com")
    assert [(finding["reason"], finding["contact_id"]) for finding in run.findings] == [
        ("email and name both differ from the member's", stranger.id)
    ]
    assert run.result["findings"] == {"email and name both differ from the member's": 1}


def test_a_contact_that_was_merged_means_the_one_that_it_became(desk: Desk) -> None:
    person = contact("a", name="Somebody")
    lead = contact("b", role="lead", external_id=UUIDS[0], merged_into=person.id)
    desk.has(person, lead)

    run = desk.decide((lead, "1001"))

    assert outcomes(run) == [("updated", None)]
    assert person.external_id == "1001"


def test_two_rows_for_what_became_one_contact_are_a_persons_affair_again(desk: Desk) -> None:
    person = contact("a", name="Somebody")
    lead = contact("b", role="lead", external_id=UUIDS[0], merged_into=person.id)
    desk.has(person, lead)

    run = desk.decide((person, "1001"), (lead, "1002"))

    assert outcomes(run) == [
        ("updated", None),
        ("failed", "the contact was merged into one that another row names"),
    ]


def test_a_lead_that_a_person_names_becomes_the_user(desk: Desk) -> None:
    lead = contact("b", role="lead", external_id=UUIDS[0], name="Visitor")
    desk.has(lead)

    run = desk.decide((lead, "1001"))

    assert outcomes(run) == [("converted", None)]
    assert (lead.role, lead.external_id, lead.email) == ("user", "1001", "ann@example.com")


def test_a_named_lead_is_merged_into_the_user_that_the_member_has(desk: Desk) -> None:
    user, lead = ann(), contact("b", role="lead", external_id=UUIDS[0], name="Visitor")
    desk.has(user, lead)

    run = desk.decide((lead, "1001"))

    assert outcomes(run) == [("merged", None)]
    assert lead.merged_into == user.id


def test_contacts_and_members_that_no_row_names_stay_as_they_are(desk: Desk) -> None:
    named, others = contact("a", name="Somebody"), [bo(name="Robert"), bo("c", external_id=None), contact("z")]
    desk.has(named, *others)
    before = copy.deepcopy(others)

    run = desk.decide((named, "1001"))

    assert run.result["seen"] == 1
    assert others == before


@pytest.mark.parametrize("pairs", [[], [("f" * 24, "1001")], [("b" * 24, "4711")]])
def test_without_a_row_that_can_be_carried_out_nothing_happens(desk: Desk, pairs: list[Pair]) -> None:
    """Such as the result of a run in which nothing failed, fed back."""
    desk.has(ann(name="Anna"), bo(name="Robert"), bo("c", external_id=None), contact("z", external_id=UUIDS[1]))
    before = copy.deepcopy(desk.runner.sandbox.world.contacts)

    run = desk.decide(*pairs)

    assert (run.exit_code, run.actions) == (3 if pairs else 0, [])
    assert (run.result["seen"], run.result["counts"]["failed"]) == (len(pairs), len(pairs))
    assert desk.runner.sandbox.world.contacts == before
    assert desk.runner.sandbox.calls.writes == 0


def test_what_failed_is_run_again_from_the_result(desk: Desk) -> None:
    """`rows.json` can be given as it is: what was done is left out."""
    person, other = contact("a", name="Somebody"), contact("b", name="Else")
    desk.has(person, other)
    desk.runner.sandbox.world.tables["members"].pop()
    first = desk.decide((person, "1001"), (other, "1003"))
    desk.runner.sandbox.world.tables["members"].append(copy.deepcopy(ROWS[2]))

    again = desk.runner.manual_update(first.folder / "rows.json")

    assert [outcome for outcome, _ in outcomes(first)] == ["updated", "failed"]
    assert outcomes(again) == [("updated", None)]
    assert other.external_id == "1003"


def test_a_number_held_by_a_doubtful_contact_is_left_to_a_person(desk: Desk) -> None:
    """To take it off someone who may be a third person is another decision."""
    person, holder = contact("a", name="Somebody"), ann("z", email="zoe@example.org", name="Zoe Else")
    desk.has(person, holder)

    run = desk.decide((person, "1001"))

    assert run.exit_code == 3
    assert outcomes(run) == [("review", "the number is on a contact that is not surely this member's")]
    assert (person.external_id, holder.external_id) == (None, "1001")


def test_a_dry_run_decides_and_writes_nothing(desk: Desk) -> None:
    person = contact("a", name="Somebody")
    desk.has(person)

    run = desk.decide((person, "1001"), flags=("--dry-run",))

    assert [(action["kind"], action["contact_id"]) for action in run.actions] == [("update", person.id)]
    assert outcomes(run) == [("not_reached", None)]
    assert desk.runner.sandbox.calls.writes == 0

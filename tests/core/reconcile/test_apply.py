"""Applying a plan: each class of conflict, and contacts that changed after the plan was made.

The plan is made first and the world is changed by hand before it is applied, as another teammate or program would.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mynatca_intercom.intercom import contact as contact_module
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile import settle
from mynatca_intercom.reconcile.match import MemberIndex, match
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, World
from support.bench import Bench, contact
from support.worlds import EMAILS, FORMER_NUMBER, NUMBERS, UUIDS, member_row, members, world_of

ANN = member_row("1001", "ann@example.com")
ANNS_FIELDS: dict[str, Any] = {"member_type": "Current Member", "region": "GL", "facility": "ZAU"}


Edits = list[tuple[int, dict[str, Any]]]


@pytest.fixture
def bench(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Bench:
    return Bench(start_sandbox(world_of([ANN])), tmp_path / "journal.jsonl")


class TestConflicts:
    """The five classes of 409."""

    def test_a_live_contact_of_the_member_is_written_instead(self, bench: Bench) -> None:
        """Someone created the member's user between listing and write."""
        newcomer = contact("a", external_id="1001", email="ann@example.com")

        rows = bench.told(lambda: bench.add(newcomer))

        assert rows == [("1001", "updated", newcomer.id)]
        assert bench.live_users("1001") == [newcomer]
        assert newcomer.custom_attributes == ANNS_FIELDS

    def test_an_archived_contact_is_brought_back_and_written(self, bench: Bench) -> None:
        archived = contact("a", external_id="1001", email="ann@example.com", archived=True)
        bench.has(archived)

        rows = bench.told()

        assert rows == [("1001", "updated", archived.id)]
        assert bench.live_users("1001") == [archived]
        assert archived.custom_attributes == ANNS_FIELDS

    def test_the_survivor_of_a_merge_is_written(self, bench: Bench) -> None:
        """The number is on a contact that was merged into one which matches by its legacy number."""
        survivor = contact("b", name="Ann Lee", email="ann@work.example.com")
        merged = contact("a", external_id="1001", email="ann@example.com", merged_into=survivor.id)
        bench.has(survivor, merged)
        survivor.custom_attributes["Member Number"] = "1001"

        rows = bench.told()

        assert rows == [("1001", "updated", survivor.id)]
        assert bench.live_users("1001") == [survivor]

    def test_a_deleted_holder_is_left_to_a_person(self, bench: Bench) -> None:
        """Intercom answers 500 to its unarchiving, every time."""
        bench.has(contact("a", external_id="1001", email="ann@example.com", deleted=True))

        rows = bench.apply()

        assert [row.outcome for row in rows] == ["review"]
        assert bench.live_users("1001") == []

    @pytest.mark.parametrize("clearing", ["accept", "refuse", "ignore"])
    def test_a_number_held_by_an_archived_duplicate_is_freed(self, bench: Bench, clearing: Any) -> None:
        """Whatever Intercom does with an empty external id, the live user gets the number in the end."""
        user = contact("b", external_id=UUIDS[0], email="ann@example.com", name="Ann Lee")
        loser = contact("a", external_id="1001", email="ann@old.example.com", name="Ann Lee", archived=True)
        bench.has(user, loser)

        rows = bench.told(options=Options(limit=None, clear_external_id=clearing))

        assert rows == [("1001", "updated", user.id)]
        assert bench.live_users("1001") == [user]
        assert loser.archived
        assert loser.external_id in (None, "", f"released-{loser.id}")

    def test_an_archived_holder_that_is_somebody_else_stays_as_it_was(self, bench: Bench) -> None:
        stranger = contact("a", external_id="1001", email="zoe@example.org", name="Zoe Somebody", archived=True)
        bench.has(stranger)

        rows = bench.apply()

        assert [row.outcome for row in rows] == ["review"]
        assert stranger.archived
        assert (stranger.email, stranger.name, stranger.custom_attributes) == ("zoe@example.org", "Zoe Somebody", {})

    @pytest.mark.parametrize("concurrency", [1, 5])
    def test_an_email_that_its_holder_gives_up_in_the_same_run_is_had(self, bench: Bench, concurrency: int) -> None:
        """Whichever of the two is written first."""
        bench.sandbox.world.tables["members"].append(member_row("1002", "bo@example.com", "Bo", "Chen"))
        waiting = contact("a", name="Ann Lee", custom_attributes={"Member Number": "1001"})
        holder = contact("b", name="Bo Chen", email="ann@example.com", custom_attributes={"Member Number": "1002"})
        bench.has(waiting, holder)
        bench.concurrency = concurrency

        rows = bench.told()

        assert sorted(rows, key=str) == [("1001", "updated", waiting.id), ("1002", "updated", holder.id)]
        assert (waiting.email, holder.email) == ("ann@example.com", "bo@example.com")
        assert bench.sandbox.calls.by_status[409] <= 1

    def test_two_that_hold_each_others_email_are_left_to_a_person(self, bench: Bench) -> None:
        """Each is tried twice and no more."""
        bench.sandbox.world.tables["members"].append(member_row("1002", "bo@example.com", "Bo", "Chen"))
        one = contact("a", name="Ann Lee", email="bo@example.com", custom_attributes={"Member Number": "1001"})
        other = contact("b", name="Bo Chen", email="ann@example.com", custom_attributes={"Member Number": "1002"})
        bench.has(one, other)

        rows = bench.told()

        assert sorted(outcome for _, outcome, _ in rows) == ["review", "review"]
        assert bench.sandbox.calls.by_status[409] == 4
        assert (one.email, other.email) == ("bo@example.com", "ann@example.com")

    def test_a_409_is_never_sent_again(self, bench: Bench) -> None:
        bench.has(contact("a", external_id="1001", email="ann@example.com", archived=True))

        bench.apply()

        assert bench.sandbox.calls["POST /contacts"] == 1


class TestStalePlans:
    """A contact that changed after planning is decided again."""

    def test_a_user_that_was_archived_meanwhile_comes_back_right(self, bench: Bench) -> None:
        user = contact("a", external_id="1001", email="ann@example.com")
        bench.has(user)

        bench.apply(lambda: setattr(user, "archived", True))

        assert bench.live_users("1001") == [user]
        assert user.custom_attributes == ANNS_FIELDS

    def test_a_lead_that_was_merged_away_meanwhile_leads_to_the_survivor(self, bench: Bench) -> None:
        lead = contact("a", role="lead", email="ann@example.com")
        user = contact("b", external_id="1001", email="ann@example.com", name="Ann Lee")
        bench.has(lead)

        def merge() -> None:
            bench.add(user)
            lead.merged_into = user.id

        rows = bench.told(merge)

        assert rows == [("1001", "updated", user.id)]
        assert user.custom_attributes == ANNS_FIELDS

    def test_a_user_that_became_someone_elses_is_put_back(self, bench: Bench) -> None:
        """A teammate gave the contact to another person: nothing of Ann stays on it."""
        user = contact("a", external_id="1001", email="ann@example.com", custom_attributes={"region": "ESO"})
        bench.has(user)

        def hand_over() -> None:
            user.external_id, user.email, user.name = "2002", "bob@example.org", "Bob Else"

        rows = bench.apply(hand_over)

        assert [row.outcome for row in rows] == ["review"]
        assert (user.external_id, user.email) == ("2002", "bob@example.org")
        assert {name: value for name, value in user.custom_attributes.items() if value} == {"region": "ESO"}

    def test_what_cannot_be_put_back_is_named(self, bench: Bench) -> None:
        """Intercom clears no email; a person must know that Ann's is still there."""
        user = contact("a", external_id="1001", name="Ann Lee")
        bench.has(user)

        def hand_over() -> None:
            user.external_id, user.name = "2002", "Bob Else"

        rows = bench.apply(hand_over)

        assert [row.outcome for row in rows] == ["review"]
        assert (rows[0].reason or "").endswith("put back, but for its email")
        assert not any(user.custom_attributes.values())

    def test_a_number_that_another_door_put_on_the_contact_stays(self, bench: Bench) -> None:
        """The write would cover it, and its answer not show it."""
        user = contact("a", email="ann@example.com", name="Ann Lee")
        bench.has(user)

        rows = bench.told(lambda: setattr(user, "external_id", FORMER_NUMBER))

        assert rows == [("1001", "review", user.id)]
        assert (user.external_id, user.custom_attributes) == (FORMER_NUMBER, {})

    def test_a_lead_that_became_someone_elses_is_not_merged(self, bench: Bench) -> None:
        """A merge cannot be taken back."""
        user = contact("a", external_id="1001", email="ann@example.com", name="Ann Lee", custom_attributes=ANNS_FIELDS)
        lead = contact("b", role="lead", external_id=UUIDS[0], email="ann@example.com", name="Ann Lee")
        bench.has(user, lead)

        def hand_over() -> None:
            lead.email, lead.name = "bob@example.org", "Bob Else"

        rows = bench.told(hand_over)

        assert rows == [("1001", "review", lead.id)]
        assert lead.merged_into is None
        assert bench.sandbox.calls.writes == 0

    @pytest.mark.parametrize(
        "changes",
        [{"external_id": "2002"}, {"email": "bob@example.org", "name": "Bob Else"}, {"archived": True}],
    )
    def test_nothing_is_merged_into_a_user_that_became_someone_elses(
        self, bench: Bench, changes: dict[str, Any]
    ) -> None:
        user = contact("a", external_id="1001", email="ann@example.com", name="Ann Lee", custom_attributes=ANNS_FIELDS)
        lead = contact("b", role="lead", external_id=UUIDS[0], email="ann@example.com", name="Ann Lee")
        bench.has(user, lead)

        def hand_over() -> None:
            for name, value in changes.items():
                setattr(user, name, value)

        rows = bench.apply(hand_over)

        assert [row.outcome for row in rows] == ["review"]
        assert lead.merged_into is None

    def test_a_lead_that_only_wrote_meanwhile_is_merged(self, bench: Bench) -> None:
        """Its history goes with it, so nothing is lost."""
        user = contact("a", external_id="1001", email="ann@example.com", name="Ann Lee", custom_attributes=ANNS_FIELDS)
        lead = contact("b", role="lead", external_id=UUIDS[0], email="ann@example.com", name="Ann Lee")
        bench.has(user, lead)

        rows = bench.told(lambda: bench.sandbox.write_in(lead.id, "Hello?"))

        assert rows == [("1001", "merged", lead.id)]
        assert [each.contact_ids for each in bench.sandbox.world.conversations] == [[user.id]]

    def test_a_listing_that_is_old_is_read_again_before_the_write(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After three minutes nobody trusts the listing: the changed contact is not written at all."""
        monkeypatch.setattr(settle, "FRESH_SECONDS", -1)
        user = contact("a", external_id="1001", email="ann@example.com")
        bench.has(user)

        def hand_over() -> None:
            user.external_id, user.email, user.name = "2002", "bob@example.org", "Bob Else"

        rows = bench.apply(hand_over)

        assert [row.outcome for row in rows] == ["review"]
        assert bench.sandbox.calls.writes == 0


partly = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from((*EMAILS, "stranger@example.org")),
        "name": st.sampled_from(("Ann Lee", "Somebody Else")),
        "external_id": st.sampled_from((*NUMBERS, FORMER_NUMBER)),
        "archived": st.just(True),  # noqa: FBT003 - a value, no switch
    },
)
wholly = st.just({"external_id": FORMER_NUMBER, "email": "stranger@example.org", "name": "Somebody Else"})
edits = st.lists(st.tuples(st.integers(0, 6), st.one_of(partly, wholly)), min_size=1, max_size=4)


@st.composite
def stale_worlds(draw: st.DrawFn) -> World:
    """Every member has a user, most with something to mend, and some a second contact: a plan full of writes."""
    rows = draw(members())
    people: list[Contact] = []
    for position, row in enumerate(rows):
        right = {"email": (row["email"] or "").strip().lower() or None, "name": f"{row['firstname']} {row['lastname']}"}
        main = contact(
            f"{position:x}",
            external_id=draw(st.sampled_from((row["membernumber"], row["membernumber"], None))),
            custom_attributes={"region": draw(st.sampled_from(("XX", "GL")))},
            **(right | draw(st.sampled_from(({}, {"name": None})))),
        )
        people.append(main)
        if draw(st.booleans()):
            lead = draw(st.booleans())
            own_id = {"role": "lead", "external_id": f"00000000-0000-4000-8000-{position:012}"} if lead else {}
            people.append(contact(f"{position + 8:x}", age=draw(st.sampled_from((50, 150))), **right, **own_id))
    return world_of(rows, people)


@settings(
    max_examples=40,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(world=stale_worlds(), edits=edits)
def test_what_is_in_doubt_by_the_time_of_the_write_is_as_it_was(bench: Bench, world: World, edits: Edits) -> None:
    """Invariant 7: whatever people do between plan and apply, a contact that is nobody's for sure keeps its data.

    It is neither archived nor merged. Each field is as the person left it or, where the write came in between, as it
    was listed.
    """
    bench.sandbox.reset(world)
    listed = {each.id: data_of(each) for each in world.contacts}
    doubtful: dict[str, dict[str, Any]] = {}

    def meddle() -> None:
        for position, fields in edits:
            if position < len(world.contacts):
                edit(world, world.contacts[position], fields)
        doubtful.update({each.id: data_of(each) for each in in_doubt(world, bench.members())})

    bench.apply(meddle)

    after = {each.id: data_of(each) for each in world.contacts}
    gone = {each.id for each in world.contacts if each.archived or each.merged_into}
    assert not gone & doubtful.keys()
    for contact_id, left in doubtful.items():
        for name in {*left, *after[contact_id]}:
            assert after[contact_id].get(name) in (left.get(name), listed[contact_id].get(name))


def edit(world: World, person: Contact, fields: dict[str, Any]) -> None:
    """Change a contact by hand, as far as Intercom would allow it."""
    taken = {each.external_id for each in world.contacts if each is not person}
    for name, value in fields.items():
        if name != "external_id" or (person.role == "user" and value not in taken):
            setattr(person, name, value)
    person.updated_at += 1


def in_doubt(world: World, members: tuple[Member, ...]) -> list[Contact]:
    """The contacts in sight that are no member's for sure."""
    index = MemberIndex(members)
    return [
        each
        for each in world.contacts
        if not (each.archived or each.merged_into or each.deleted) and match(as_listed(each), index).member is None
    ]


def as_listed(person: Contact) -> contact_module.Contact:
    """The contact as the client would read it."""
    names = ("id", "role", "external_id", "email", "phone", "name", "created_at", "custom_attributes")
    return contact_module.Contact(**{name: getattr(person, name) for name in names})


def data_of(person: Contact) -> dict[str, Any]:
    """What must not change; an attribute that is empty is one that is not there."""
    attributes = {name: value for name, value in person.custom_attributes.items() if value not in (None, "")}
    return {"email": person.email, "name": person.name, "external_id": person.external_id or None, **attributes}


class TestJournal:
    """Every write is on record with its before values."""

    def test_an_update_is_recorded_with_before_and_after(self, bench: Bench) -> None:
        user = contact("a", external_id="1001", email="ann@example.com", name="Anna Lee", custom_attributes=ANNS_FIELDS)
        bench.has(user)

        bench.apply()

        intent, done = bench.journal
        assert (intent["operation"], intent["contact_id"], intent["member_number"]) == ("update", user.id, "1001")
        assert (intent["before"], intent["after"]) == ({"name": "Anna Lee"}, {"name": "Ann Lee"})
        assert (done["state"], done["intent"]) == ("done", intent["seq"])

    def test_a_creation_is_recorded_with_the_new_id(self, bench: Bench) -> None:
        bench.apply()

        intent, done = bench.journal
        assert intent["after"]["external_id"] == "1001"
        assert done["contact_id"] == bench.live_users("1001")[0].id

    def test_a_refused_write_is_recorded_as_failed(self, bench: Bench) -> None:
        bench.has(contact("a", external_id="1001", email="zoe@example.org", name="Zoe Somebody", archived=True))

        bench.apply()

        states = [(entry.get("operation"), entry["state"]) for entry in bench.journal]
        assert states[:2] == [("create", "intent"), (None, "failed")]


def test_a_lost_answer_creates_nobody_twice(bench: Bench) -> None:
    """The first attempt took effect, the second gets a 409 about its own work: counted as created."""
    bench.sandbox.world.tables["members"][:] = [
        member_row(str(n), f"m{n}@example.com", "Mo", f"Number{n}") for n in range(2000, 2040)
    ]

    rows = bench.apply(options=Options(limit=None, fault_drop_after=0.3, fault_seed=7))

    assert {row.outcome for row in rows} == {"created"}
    assert bench.sandbox.calls.by_status[409] > 0
    assert len(bench.sandbox.world.contacts) == 40

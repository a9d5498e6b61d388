"""Applying a plan: each class of conflict, and contacts that changed after the plan was made.

The plan is made first and the world is changed by hand before it is applied, as another teammate or program would.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from mynatca_intercom.intercom import contact as contact_module
from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.members.member import Member
from mynatca_intercom.members.supabase import SupabaseSource
from mynatca_intercom.reconcile import apply
from mynatca_intercom.reconcile.apply import Applier, Row
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.match import MemberIndex, match
from mynatca_intercom.reconcile.plan import Plan, make_plan
from mynatca_intercom.settings import IntercomSettings, MemberSettings, SupabaseSettings, load
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, World
from support.worlds import EMAILS, FORMER_NUMBER, NOW, NUMBERS, UUIDS, member_row, members, world_of

ANN = member_row("1001", "ann@example.com")
ANNS_FIELDS: dict[str, Any] = {"member_type": "Current Member", "region": "GL", "facility": "ZAU"}


Edits = list[tuple[int, dict[str, Any]]]


def contact(contact_id: str, **fields: Any) -> Contact:
    role = fields.pop("role", "user")
    return Contact(contact_id * 24, role, NOW - 100, NOW - 100, **fields)


@dataclass
class Bench:
    """Plans against a sandbox, lets the world change, applies."""

    sandbox: Sandbox
    journal_file: Path

    def apply(self, change: Callable[[], None] = lambda: None, options: Options | None = None) -> list[Row]:
        return asyncio.run(self._apply(change, options or Options(limit=None)))

    async def _apply(self, change: Callable[[], None], options: Options) -> list[Row]:
        self.sandbox.reset(self.sandbox.world, options)
        settings = load(IntercomSettings, {"INTERCOM_URL": self.sandbox.url, "INTERCOM_ACCESS_TOKEN": "sandbox-token"})
        async with IntercomClient(settings) as client, Journal(self.journal_file) as journal:
            index = MemberIndex(await asyncio.to_thread(self.members))
            plan = make_plan(index, (await client.list_contacts()).contacts)
            change()
            self.sandbox.reset(self.sandbox.world, options)
            return await self._carry_out(client, journal, index, plan)

    def members(self) -> tuple[Member, ...]:
        """What the source says."""
        settings = load(SupabaseSettings, {"SUPABASE_URL": self.sandbox.url, "SUPABASE_KEY": "sandbox-key"})
        with SupabaseSource(settings, load(MemberSettings, {})) as source:
            return source.synced_members().members

    async def _carry_out(self, client: IntercomClient, journal: Journal, index: MemberIndex, plan: Plan) -> list[Row]:
        applier = Applier(client, journal, index, concurrency=5, stop=asyncio.Event())
        return await applier.apply(plan)

    @property
    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.journal_file.read_text().splitlines()]

    def has(self, *people: Contact) -> None:
        self.sandbox.world.contacts[:] = people

    def add(self, person: Contact) -> None:
        self.sandbox.world.contacts.append(person)

    def live_users(self, number: str) -> list[Contact]:
        return [
            each
            for each in self.sandbox.world.contacts
            if each.external_id == number and not (each.archived or each.merged_into or each.deleted)
        ]


@pytest.fixture
def bench(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> Bench:
    return Bench(start_sandbox(world_of([ANN])), tmp_path / "journal.jsonl")


class TestConflicts:
    """The five classes of 409."""

    def test_a_live_contact_of_the_member_is_written_instead(self, bench: Bench) -> None:
        """Someone created the member's user between listing and write."""
        newcomer = contact("a", external_id="1001", email="ann@example.com")

        rows = bench.apply(lambda: bench.add(newcomer))

        assert rows == [Row("1001", "updated", newcomer.id)]
        assert bench.live_users("1001") == [newcomer]
        assert newcomer.custom_attributes == ANNS_FIELDS

    def test_an_archived_contact_is_brought_back_and_written(self, bench: Bench) -> None:
        archived = contact("a", external_id="1001", email="ann@example.com", archived=True)
        bench.has(archived)

        rows = bench.apply()

        assert rows == [Row("1001", "updated", archived.id)]
        assert bench.live_users("1001") == [archived]
        assert archived.custom_attributes == ANNS_FIELDS

    def test_the_survivor_of_a_merge_is_written(self, bench: Bench) -> None:
        """The number is on a contact that was merged into one which matches by its legacy number."""
        survivor = contact("b", name="Ann Lee", email="ann@work.example.com")
        merged = contact("a", external_id="1001", email="ann@example.com", merged_into=survivor.id)
        bench.has(survivor, merged)
        survivor.custom_attributes["Member Number"] = "1001"

        rows = bench.apply()

        assert rows == [Row("1001", "updated", survivor.id)]
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

        rows = bench.apply(options=Options(limit=None, clear_external_id=clearing))

        assert rows == [Row("1001", "updated", user.id)]
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

        rows = bench.apply(merge)

        assert rows == [Row("1001", "updated", user.id)]
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

    def test_a_listing_that_is_old_is_read_again_before_the_write(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """After three minutes nobody trusts the listing: the changed contact is not written at all."""
        monkeypatch.setattr(apply, "FRESH_SECONDS", -1)
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
edits = st.lists(st.tuples(st.integers(0, 4), st.one_of(partly, wholly)), min_size=1, max_size=4)


@st.composite
def stale_worlds(draw: st.DrawFn) -> World:
    """Every member has a user, most with something to mend, so that the plan is full of updates."""
    rows = draw(members())
    people = [
        contact(
            f"{position:x}",
            external_id=draw(st.sampled_from((row["membernumber"], row["membernumber"], None))),
            email=(row["email"] or "").strip().lower() or None,
            name=draw(st.sampled_from((f"{row['firstname']} {row['lastname']}", None))),
            custom_attributes={"region": draw(st.sampled_from(("XX", "GL")))},
        )
        for position, row in enumerate(rows)
    ]
    return world_of(rows, people)


@settings(
    max_examples=60,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(world=stale_worlds(), edits=edits)
def test_what_is_in_doubt_by_the_time_of_the_write_is_as_it_was(bench: Bench, world: World, edits: Edits) -> None:
    """Invariant 7: whatever people do between plan and apply, a contact that is nobody's for sure keeps its data.

    Each field is as the person left it or, where the write came in between, as it was listed.
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
    for contact_id, left in doubtful.items():
        for name in {*left, *after[contact_id]}:
            assert after[contact_id].get(name) in (left.get(name), listed[contact_id].get(name))


def edit(world: World, person: Contact, fields: dict[str, Any]) -> None:
    """Change a contact by hand, as far as Intercom would allow it."""
    taken = {each.external_id for each in world.contacts if each is not person}
    for name, value in fields.items():
        if name != "external_id" or (person.role == "user" and value not in taken):
            setattr(person, name, value)


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

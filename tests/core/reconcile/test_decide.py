"""What is planned for whom, case by case; that plans hold up in whole worlds stands in `test_invariants`."""

from collections import Counter
from typing import Any

import pytest

from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.conversation import Conversation, OpenWork, by_contact
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.decide import NOTHING_OPEN, make_plan, may_archive
from mynatca_intercom.reconcile.judged import JudgedContacts
from mynatca_intercom.reconcile.match import MemberIndex
from mynatca_intercom.reconcile.plan import Plan, Scope

UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ATTRIBUTES = {"member_type": "Current Member", "region": "GL", "facility": "ZAU"}
NIGHT = Scope("members", create=True)
AUDIT = Scope("contacts", strangers=True)
LEADS_ONLY = Scope("contacts", strangers=True, leads_only=True)
NO_ARCHIVE = Scope("contacts", strangers=True, archive=False)
STAYS = "another user of the same member, active a moment ago"
TICKET = "open_ticket: a duplicate with an open ticket, which no call can move"
BLOCKED = "the number is on a contact that is not surely this member's"


def member(number: str = "1001", email: str | None = "ann@example.com", name: str = "Ann Lee") -> Member:
    return Member(number, name, email, None, "Current Member", "GL", "ZAU", None)


ANN = member()
BO = member("1002", "bo@example.com", "Bo Chen")


def user(contact_id: str, external_id: str | None = "1001", **fields: Any) -> Contact:
    """Ann's user, right in every field that is not given."""
    right = {"email": "ann@example.com", "name": "Ann Lee", "custom_attributes": dict(ATTRIBUTES)}
    return Contact(contact_id, fields.pop("role", "user"), external_id, **{**right, **fields})


def lead(contact_id: str, **fields: Any) -> Contact:
    return user(contact_id, UUID, role="lead", **fields)


def stranger(contact_id: str, external_id: str | None = None, **fields: Any) -> Contact:
    """A user that shares nothing with any member."""
    return Contact(contact_id, fields.pop("role", "user"), external_id, "zoe@example.org", None, "Zoe Else", **fields)


def plan(
    members: list[Member],
    *contacts: Contact,
    scope: Scope = NIGHT,
    open_work: OpenWork = NOTHING_OPEN,
    quiet_before: int | None = None,
    freed: dict[str, str] | None = None,
) -> Plan:
    by_id = {contact.id: contact for contact in contacts}
    knows_all = not scope.create
    judged = JudgedContacts(MemberIndex(members, knows_all=knows_all), by_id, scope.decisions, freed)
    return make_plan(judged, scope, open_work, quiet_before)


def decisions(**numbers: Member) -> Scope:
    """A person's word: contact -> member."""
    return Scope("contacts", decisions=numbers)


def actions(made: Plan) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Kind, contact and new values of each action."""
    return [(action.kind, action.contact.id if action.contact else None, action.after) for action in made.actions]


def steps(made: Plan) -> list[tuple[str, str | None]]:
    """Kind and contact of each action."""
    return [(kind, contact_id) for kind, contact_id, _ in actions(made)]


def findings(made: Plan) -> list[tuple[str, str | None]]:
    return [(finding.reason, finding.contact_id) for finding in made.findings]


def standing(made: Plan) -> dict[str, int]:
    return {name: count for name, count in made.standing.items() if count}


class TestOneContact:
    """A member and its only contact."""

    def test_a_member_without_a_contact_is_created_without_empty_fields(self) -> None:
        made = plan([ANN])

        assert actions(made) == [
            (
                "create",
                None,
                {"external_id": "1001", "role": "user", "email": "ann@example.com", "name": "Ann Lee"} | ATTRIBUTES,
            )
        ]

    def test_an_agreeing_user_is_left_alone(self) -> None:
        made = plan([ANN], user("a"))

        assert (made.actions, standing(made), made.matched, made.numbered) == ((), {"unchanged": 1}, 1, 1)

    def test_an_update_holds_what_differs_with_its_former_value(self) -> None:
        made = plan([ANN], user("a", name="Anna Lee"))

        assert actions(made) == [("update", "a", {"name": "Ann Lee"})]
        assert made.actions[0].before == {"name": "Anna Lee"}

    def test_a_lead_is_converted(self) -> None:
        made = plan([ANN], lead("a"))

        assert actions(made) == [("convert", "a", {"external_id": "1001", "role": "user"})]
        assert (made.matched, made.numbered) == (1, 0)

    def test_a_member_without_an_email_is_updated_but_not_created(self) -> None:
        nameless = member(email=None)

        assert standing(plan([nameless])) == {"review": 1}
        assert actions(plan([nameless], user("a", email="ann@work.example.com", custom_attributes={}))) == [
            ("update", "a", ATTRIBUTES)
        ]

    def test_a_lead_of_a_member_without_an_email_is_converted(self) -> None:
        made = plan([member(email=None)], lead("a", custom_attributes={"Member Number": "1001", **ATTRIBUTES}))

        assert actions(made) == [("convert", "a", {"external_id": "1001", "role": "user"})]

    def test_contacts_that_take_a_number_come_first(self) -> None:
        """Only then does Intercom let the family share their email."""
        made = plan(
            [member("1002", name="Bo Lee"), ANN],
            user("a", None, custom_attributes={"Member Number": "1001", **ATTRIBUTES}),
        )

        assert [(kind, after["external_id"]) for kind, _, after in actions(made)] == [
            ("update", "1001"),
            ("create", "1002"),
        ]

    def test_what_an_earlier_attempt_took_off_a_contact_still_speaks_for_it(self) -> None:
        """Killed between taking the number off the older user and archiving it: it is not a stranger now."""
        cut_off = user("old", "released-old", email="ann@old.example.com", created_at=1)
        whole = user("new", UUID, created_at=2)

        assert steps(plan([ANN], cut_off, whole)) == [("update", "new")]
        assert steps(plan([ANN], cut_off, whole, freed={"old": "1001"})) == [
            ("archive_duplicate", "old"),
            ("update", "new"),
        ]

    def test_what_was_taken_off_a_contact_is_forgotten_once_it_bears_another(self) -> None:
        made = plan([ANN, BO], user("a", "1002", name="Bo Chen", email="bo@example.com"), freed={"a": "1001"})

        assert [(kind, contact_id) for kind, contact_id in steps(made) if kind != "create"] == []
        assert standing(made) == {"unchanged": 1}

    def test_a_limit_postpones_the_rest(self) -> None:
        made = plan([member(str(number), f"m{number}@example.com", f"Mo {number}") for number in range(5)]).limited(2)

        assert (made.count("create"), standing(made)) == (2, {"postponed": 3})


class TestInTheWay:
    """What keeps a member from being written."""

    def test_a_user_that_may_be_the_member_keeps_it_from_being_created(self) -> None:
        """Two members share the email, and the user bears no number: whose it is, a person must say."""
        made = plan([ANN, member("1002", name="Bo Lee")], user("a", None, name=None))

        assert (made.actions, standing(made)) == ((), {"review": 2})

    def test_a_family_member_with_a_number_of_its_own_stands_in_nobodys_way(self) -> None:
        made = plan([ANN, member("1002", name="Bo Lee")], user("a"))

        assert [(kind, after["external_id"]) for kind, _, after in actions(made)] == [("create", "1002")]

    def test_a_number_on_a_contact_that_contradicts_it_blocks_the_member(self) -> None:
        made = plan([ANN], user("a", email="zoe@example.org", name="Zoe Else"))

        assert (made.actions, standing(made)) == ((), {"review": 1})
        assert (BLOCKED, "a") in findings(made)

    def test_the_number_on_a_doubtful_contact_blocks_the_right_one_too(self) -> None:
        doubtful = user("numbered", email="ann@old.example.com", name="Anna Lee")
        made = plan([ANN], doubtful, user("holder", None))

        assert (steps(made), standing(made)) == ([], {"review": 1})
        assert (BLOCKED, "numbered") in findings(made)

    def test_whoever_is_left_alone_for_another_is_on_the_review_list_too(self) -> None:
        """Without its id nobody could give it the number by hand."""
        doubtful = user("numbered", email="ann@old.example.com", name="Anna Lee")
        made = plan([ANN], doubtful, user("holder", None))

        assert (f"nothing is written: {BLOCKED}", "holder") in findings(made)

    def test_an_email_that_a_user_without_id_keeps_is_left_out(self) -> None:
        """Intercom would refuse the write; the rest is written, and a person told."""
        holder = user("holder", None, created_at=1)
        numbered = user("numbered", email="ann@old.example.com", custom_attributes={}, created_at=2)
        kept_back = plan([ANN], numbered, holder, scope=NO_ARCHIVE)
        resolved = plan([ANN], numbered, holder)

        assert actions(kept_back) == [("update", "numbered", ATTRIBUTES)]
        assert ("the new email is on another user", "holder") in findings(kept_back)
        assert actions(resolved) == [
            ("archive_duplicate", "holder", {"external_id": "released-holder"}),
            ("update", "numbered", ATTRIBUTES | {"email": "ann@example.com"}),
        ]

    def test_in_the_night_a_former_members_number_is_nobodys_to_judge(self) -> None:
        """The nightly sync reads Active and Retired members only; the audit knows that nobody has this number."""
        bears_it = user("a", UUID, custom_attributes={"Member Number": "777", **ATTRIBUTES})

        assert standing(plan([ANN], bears_it)) == {"review": 1}
        assert actions(plan([ANN], bears_it, scope=AUDIT)) == [("update", "a", {"external_id": "1001"})]


class TestDuplicates:
    """Several contacts of one member: the newest user is kept."""

    def test_of_several_users_the_newest_is_kept_even_if_an_older_one_has_the_number(self) -> None:
        made = plan([ANN], user("new", UUID, created_at=2), user("old", created_at=1))

        assert actions(made) == [
            ("archive_duplicate", "old", {"external_id": "released-old"}),
            ("update", "new", {"external_id": "1001"}),
        ]
        assert made.actions[0].before == {"external_id": "1001"}
        assert made.actions[0].into is made.actions[1].contact
        assert len(made.cases) == 1

    def test_of_several_users_without_the_number_the_newest_gets_it(self) -> None:
        made = plan([ANN], user("old", UUID, created_at=1), user("new", UUID, created_at=2))

        assert actions(made) == [("archive_duplicate", "old", {}), ("update", "new", {"external_id": "1001"})]

    def test_older_users_go_in_the_order_of_their_age(self) -> None:
        made = plan([ANN], *(user(each, UUID, created_at=age) for each, age in (("c", 2), ("a", 3), ("b", 1))))

        assert steps(made) == [("archive_duplicate", "b"), ("archive_duplicate", "c"), ("update", "a")]

    def test_of_equally_old_ones_the_id_decides(self) -> None:
        """Any rule would do, as long as two runs follow the same one."""
        one, other = (
            plan([ANN], *pair, scope=AUDIT)
            for pair in ((user("a", UUID), user("b", UUID)), (user("b", UUID), user("a", UUID)))
        )

        assert steps(one) == steps(other) == [("archive_duplicate", "a"), ("update", "b")]

    def test_an_older_user_hands_over_its_open_conversations(self) -> None:
        own, shared = Conversation("21", ("old",)), Conversation("22", ("old", "new"))
        open_work = OpenWork(by_contact([own, shared, Conversation("23", ("new",))]))
        made = plan([ANN], user("new", created_at=2), user("old", UUID, created_at=1), open_work=open_work)

        assert steps(made) == [("archive_duplicate", "old")]
        assert made.actions[0].conversations == (own, shared)

    def test_a_user_comes_before_a_newer_lead_which_is_merged_into_it(self) -> None:
        made = plan([ANN], user("user", UUID, created_at=1), lead("lead", created_at=2))

        assert actions(made) == [("merge", "lead", {}), ("update", "user", {"external_id": "1001"})]

    def test_the_newest_lead_is_converted_when_there_is_no_user_and_takes_the_others_in(self) -> None:
        made = plan([ANN], lead("old", created_at=1), lead("new", created_at=2))

        assert actions(made) == [("convert", "new", {"external_id": "1001", "role": "user"}), ("merge", "old", {})]

    def test_what_a_merge_fills_is_written_only_where_it_is_wrong(self) -> None:
        """The plan foresees the user as it will be once the leads are merged into it."""
        bare = user("user", name=None, custom_attributes={})
        right = lead("lead")
        wrong = lead("lead", name="Anna", custom_attributes=ATTRIBUTES | {"region": "XX"})

        assert actions(plan([ANN], bare, right)) == [("merge", "lead", {})]
        assert actions(plan([ANN], bare, wrong)) == [
            ("merge", "lead", {}),
            ("update", "user", {"name": "Ann Lee", "region": "GL"}),
        ]

    def test_a_converted_lead_foresees_what_its_merges_bring(self) -> None:
        made = plan(
            [ANN],
            lead("old", created_at=1, custom_attributes=ATTRIBUTES | {"positions": "Treasurer"}),
            lead("new", created_at=2, custom_attributes={}),
        )

        assert steps(made) == [("convert", "new"), ("merge", "old"), ("update", "new")]
        assert made.actions[2].after == {"positions": ""}

    def test_cases_that_free_a_number_come_before_those_that_wait_for_one(self) -> None:
        made = plan(
            [BO, ANN],
            user("old", created_at=1),
            user("new", UUID, created_at=2),
        )

        assert [case.actions[0].kind for case in made.cases] == ["archive_duplicate", "create"]

    def test_nothing_is_resolved_for_a_member_in_whose_way_a_person_must_look(self) -> None:
        """The number is on a contact that may be somebody else's: neither duplicate is touched."""
        doubtful = user("doubtful", email="zoe@example.org", name="Zoe Else")
        made = plan([ANN], doubtful, user("a", UUID), lead("b"))

        assert (steps(made), standing(made)) == ([], {"review": 1})

    @pytest.mark.parametrize("scope", [NO_ARCHIVE, Scope("members", create=True, archive=False)])
    def test_without_archiving_older_users_stay_and_are_told(self, scope: Scope) -> None:
        made = plan([ANN], user("new", created_at=2), user("old", UUID, created_at=1), lead("lead"), scope=scope)

        assert steps(made) == [("merge", "lead")]
        assert findings(made) == [("another user of the same member, and this run archives nothing", "old")]

    def test_without_archiving_the_user_that_has_the_number_keeps_it(self) -> None:
        """To take it away would only make the older one harder to find."""
        made = plan([ANN], user("new", UUID, created_at=2), user("old", created_at=1), scope=NO_ARCHIVE)

        assert steps(made) == []
        assert findings(made) == [("another user of the same member, and this run archives nothing", "new")]


class TestWhoStays:
    """Older users that cannot be archived now."""

    TICKET_OF_OLD = OpenWork(ticket_holders=frozenset({"old"}))

    def test_an_older_user_with_an_open_ticket_stays(self) -> None:
        made = plan([ANN], user("new", created_at=2), user("old", UUID, created_at=1), open_work=self.TICKET_OF_OLD)

        assert steps(made) == []
        assert findings(made) == [(TICKET, "old")]

    def test_the_others_are_resolved_all_the_same(self) -> None:
        made = plan(
            [ANN],
            user("new", UUID, created_at=3),
            user("old", UUID, created_at=1),
            user("mid", UUID, created_at=2),
            lead("lead"),
            open_work=self.TICKET_OF_OLD,
            scope=AUDIT,
        )

        assert steps(made) == [("archive_duplicate", "mid"), ("merge", "lead"), ("update", "new")]
        assert standing(made) == {"review": 1}

    def test_an_older_user_with_the_number_and_an_open_ticket_is_the_one_that_is_kept(self) -> None:
        made = plan(
            [ANN],
            user("new", UUID, created_at=3),
            user("old", created_at=2, name="Anna Lee"),
            user("oldest", UUID, created_at=1),
            lead("lead", created_at=4),
            open_work=self.TICKET_OF_OLD,
        )

        assert steps(made) == [("archive_duplicate", "oldest"), ("merge", "lead"), ("update", "old")]
        assert findings(made) == [("a newer user of the same member, while the one with the number has to stay", "new")]

    @pytest.mark.parametrize(
        "activity",
        [{"last_replied_at": 100}, {"last_contacted_at": 100}, {"created_at": 100}, {"last_replied_at": 101}],
    )
    def test_an_older_user_that_was_active_a_moment_ago_stays(self, activity: dict[str, int]) -> None:
        old = user("old", UUID, **{"created_at": 1, **activity})
        made = plan([ANN], user("new", created_at=102), old, quiet_before=100)

        assert steps(made) == []
        assert findings(made) == [(STAYS, "old")]

    @pytest.mark.parametrize("activity", [{"last_replied_at": 99}, {"updated_at": 200}, {}])
    def test_an_older_user_that_was_not_active_lately_goes(self, activity: dict[str, int]) -> None:
        old = user("old", UUID, created_at=1, **activity)
        made = plan([ANN], user("new", created_at=102), old, quiet_before=100)

        assert steps(made) == [("archive_duplicate", "old")]

    def test_the_one_with_the_number_is_kept_if_it_was_active_a_moment_ago(self) -> None:
        old = user("old", created_at=1, last_replied_at=100)
        made = plan([ANN], user("new", UUID, created_at=2), old, quiet_before=100)

        assert steps(made) == []
        assert findings(made) == [("a newer user of the same member, while the one with the number has to stay", "new")]

    def test_a_newer_user_with_a_ticket_is_simply_the_one_that_is_kept(self) -> None:
        open_work = OpenWork(ticket_holders=frozenset({"new"}))
        made = plan([ANN], user("new", UUID, created_at=2), user("old", created_at=1), open_work=open_work)

        assert steps(made) == [("archive_duplicate", "old"), ("update", "new")]
        assert findings(made) == []

    def test_a_lead_with_an_open_ticket_is_merged_as_that_moves_the_ticket(self) -> None:
        made = plan([ANN], user("user"), lead("lead"), open_work=OpenWork(ticket_holders=frozenset({"lead"})))

        assert steps(made) == [("merge", "lead")]


class TestStrangers:
    """The audit on contacts of nobody."""

    def test_a_contact_of_nobody_is_archived(self) -> None:
        made = plan([ANN], user("a"), stranger("z"), scope=AUDIT)

        assert actions(made) == [("archive", "z", {})]
        assert standing(made) == {"unchanged": 1}

    def test_the_nightly_sync_leaves_it_alone(self) -> None:
        assert steps(plan([ANN], user("a"), stranger("z"))) == []

    @pytest.mark.parametrize(
        "open_work",
        [
            OpenWork(by_contact([Conversation("21", ("z", "other"))])),
            OpenWork(ticket_holders=frozenset({"z"})),
        ],
    )
    def test_one_with_open_work_stays(self, open_work: OpenWork) -> None:
        made = plan([ANN], stranger("z"), scope=AUDIT, open_work=open_work)

        assert (steps(made), standing(made)) == ([], {"open_work": 1})

    def test_one_that_was_active_a_moment_ago_stays(self) -> None:
        made = plan([ANN], stranger("z", last_replied_at=100), scope=AUDIT, quiet_before=100)

        assert (steps(made), standing(made)) == ([], {"active": 1})
        assert steps(plan([ANN], stranger("z", last_replied_at=99), scope=AUDIT, quiet_before=100)) == [
            ("archive", "z")
        ]

    @pytest.mark.parametrize(
        ("contact", "open_work", "scope"),
        [
            (stranger("z", UUID), OpenWork(ticket_holders=frozenset({"z"})), AUDIT),
            (stranger("z", UUID, last_replied_at=100), NOTHING_OPEN, AUDIT),
            (stranger("z", UUID), NOTHING_OPEN, NO_ARCHIVE),
        ],
    )
    def test_one_that_stays_loses_its_uuid(self, contact: Contact, open_work: OpenWork, scope: Scope) -> None:
        made = plan([ANN], contact, scope=scope, open_work=open_work, quiet_before=100)

        assert actions(made) == [("clear_external_id", "z", {"external_id": ""})]
        assert made.actions[0].before == {"external_id": UUID}

    def test_a_lead_of_nobody_keeps_intercoms_own_id(self) -> None:
        made = plan([ANN], stranger("z", UUID, role="lead"), scope=NO_ARCHIVE)

        assert (steps(made), standing(made)) == ([], {"unchanged": 1})

    @pytest.mark.parametrize("external_id", ["4711", "wp_77", "released-z", None])
    def test_ids_that_are_no_uuid_stay(self, external_id: str | None) -> None:
        made = plan([ANN], stranger("z", external_id), scope=NO_ARCHIVE)

        assert (steps(made), standing(made)) == ([], {"unchanged": 1})

    def test_a_doubtful_contact_is_left_to_a_person(self) -> None:
        made = plan([ANN], Contact("q", "user", UUID, name="Ann Lee"), scope=AUDIT)

        assert (steps(made), standing(made)) == ([], {"review": 1})
        assert findings(made) == [("phone or name alone never decide", "q")]


class TestScopes:
    """What each command leaves alone."""

    def test_leads_only_touches_users_by_merges_alone(self) -> None:
        made = plan(
            [ANN, BO],
            user("old", UUID, created_at=1),
            user("new", UUID, created_at=2, name="Anna Lee"),
            lead("lead"),
            user("bo", "1002", name="Bob", email="bo@example.com"),
            stranger("z", UUID),
            stranger("y", UUID, role="lead"),
            scope=LEADS_ONLY,
        )

        assert actions(made) == [("merge", "lead", {}), ("archive", "y", {})]
        assert made.actions[0].into is not None
        assert made.actions[0].into.id == "new"
        assert standing(made) == {"review": 1, "out_of_scope": 3}

    def test_leads_only_converts(self) -> None:
        made = plan([ANN], lead("old", created_at=1), lead("new", created_at=2), scope=LEADS_ONLY)

        assert steps(made) == [("convert", "new"), ("merge", "old")]

    def test_the_audit_creates_nobody(self) -> None:
        assert steps(plan([ANN, BO], user("a"), scope=AUDIT)) == []

    def test_each_contact_is_counted_once(self) -> None:
        contacts = [
            user("new", UUID, created_at=3),
            user("old", created_at=1),
            user("ticket", UUID, created_at=2),
            lead("lead"),
            user("doubtful", None, email=None),
            stranger("z"),
            stranger("busy"),
        ]
        open_work = OpenWork(ticket_holders=frozenset({"ticket", "busy"}))
        made = plan([ANN], *contacts, scope=AUDIT, open_work=open_work)

        touched = Counter(made.subjects(made.actions))
        assert set(touched) == {"new", "old", "lead", "z"}
        assert standing(made) == {"review": 2, "open_work": 1}

    @pytest.mark.parametrize(
        ("scope", "contacts", "expected"),
        [
            (NIGHT, [user("a")], False),
            (NIGHT, [user("a"), lead("b")], False),
            (NIGHT, [user("a"), user("b", UUID)], True),
            (NIGHT, [user("a"), stranger("z")], False),
            (AUDIT, [user("a"), stranger("z")], True),
            (AUDIT, [user("a")], False),
            (NO_ARCHIVE, [user("a"), user("b", UUID), stranger("z")], False),
        ],
    )
    def test_open_work_is_read_only_where_somebody_could_be_archived(
        self, scope: Scope, contacts: list[Contact], *, expected: bool
    ) -> None:
        judged = JudgedContacts(MemberIndex([ANN]), {contact.id: contact for contact in contacts})

        assert may_archive(judged, scope) is expected


class TestDecisions:
    """What a person said goes before what the contact shows."""

    def test_a_stranger_becomes_the_member_and_the_contradiction_is_told(self) -> None:
        made = plan([ANN, BO], stranger("z", "4711"), scope=decisions(z=ANN))

        assert [action.kind for action in made.actions] == ["update"]
        assert made.actions[0].after["external_id"] == "1001"
        assert made.actions[0].evidence[0] == "decision"
        assert findings(made) == [("email and name both differ from the member's", "z")]

    def test_nothing_contradicts_a_right_decision(self) -> None:
        made = plan([ANN], user("a", UUID), scope=decisions(a=ANN))

        assert (steps(made), findings(made)) == ([("update", "a")], [])

    def test_an_ambiguous_contact_is_decided(self) -> None:
        made = plan([ANN], Contact("q", "user", None, name="Ann Lee"), scope=decisions(q=ANN))

        assert steps(made) == [("update", "q")]

    def test_members_that_nobody_named_are_not_written(self) -> None:
        made = plan([ANN, BO], user("a"), user("b", "1002", name="Bob", email="bo@example.com"), scope=decisions(a=ANN))

        assert (steps(made), standing(made)) == ([], {"unchanged": 1})

    def test_a_user_that_is_given_to_another_member_loses_its_number_first(self) -> None:
        """Rows that swap two numbers: each is freed before it is given away."""
        a, b = user("a"), user("b", "1002", name="Bo Chen", email="bo@example.com")
        made = plan([ANN, BO], a, b, scope=decisions(a=BO, b=ANN))

        cases = [
            [(action.kind, action.contact and action.contact.id) for action in case.actions] for case in made.cases
        ]
        assert cases == [
            [("free_number", "b"), ("update", "a")],
            [("free_number", "a"), ("update", "b")],
        ]

    def test_the_members_own_duplicates_are_resolved_with_it(self) -> None:
        made = plan([ANN], user("a", created_at=1), stranger("z", created_at=2), scope=decisions(z=ANN))

        assert steps(made) == [("archive_duplicate", "a"), ("update", "z")]

    def test_rows_are_what_is_counted(self) -> None:
        made = plan([ANN, BO], user("a"), stranger("z"), lead("l"), scope=decisions(a=ANN))

        assert list(made.subjects(made.actions)) == []
        assert standing(made) == {"unchanged": 1}

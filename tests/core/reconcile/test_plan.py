"""What is planned for whom, case by case; that plans hold up in whole worlds stands in `test_invariants`."""

from typing import Any

from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.match import MemberIndex
from mynatca_intercom.reconcile.plan import Plan, make_plan

UUID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
ATTRIBUTES = {"member_type": "Current Member", "region": "GL", "facility": "ZAU"}


def member(number: str = "1001", email: str | None = "ann@example.com", name: str = "Ann Lee") -> Member:
    return Member(number, name, email, None, "Current Member", "GL", "ZAU", None)


def user(contact_id: str, external_id: str | None = "1001", **fields: Any) -> Contact:
    """Ann's user, right in every field that is not given."""
    right = {"email": "ann@example.com", "name": "Ann Lee", "custom_attributes": dict(ATTRIBUTES)}
    return Contact(contact_id, fields.pop("role", "user"), external_id, **{**right, **fields})


def lead(contact_id: str, **fields: Any) -> Contact:
    return user(contact_id, UUID, role="lead", **fields)


def plan(members: list[Member], *contacts: Contact) -> Plan:
    return make_plan(MemberIndex(members), {contact.id: contact for contact in contacts})


def actions(made: Plan) -> list[tuple[str, str | None, dict[str, Any]]]:
    """Kind, contact and new values of each action."""
    return [(action.kind, action.contact.id if action.contact else None, action.after) for action in made.actions]


def findings(made: Plan) -> list[tuple[str, str | None]]:
    return [(finding.reason, finding.contact_id) for finding in made.findings]


def test_a_member_without_a_contact_is_created_without_empty_fields() -> None:
    made = plan([member()])

    assert actions(made) == [
        (
            "create",
            None,
            {"external_id": "1001", "role": "user", "email": "ann@example.com", "name": "Ann Lee"} | ATTRIBUTES,
        )
    ]


def test_an_agreeing_user_is_left_alone() -> None:
    made = plan([member()], user("a"))

    assert (made.actions, made.unchanged, made.matched, made.numbered) == ((), 1, 1, 1)


def test_an_update_holds_what_differs_with_its_former_value() -> None:
    made = plan([member()], user("a", name="Anna Lee"))

    assert actions(made) == [("update", "a", {"name": "Ann Lee"})]
    assert made.actions[0].before == {"name": "Anna Lee"}


def test_of_several_users_the_one_with_the_number_is_written_even_if_it_is_older() -> None:
    made = plan([member()], user("new", UUID, created_at=2), user("old", created_at=1, name="Anna Lee"))

    assert actions(made) == [("update", "old", {"name": "Ann Lee"})]
    assert findings(made) == [("another contact of the same member", "new")]


def test_of_several_users_without_the_number_the_newest_gets_it() -> None:
    made = plan([member()], user("old", UUID, created_at=1), user("new", UUID, created_at=2))

    assert actions(made) == [("update", "new", {"external_id": "1001"})]


def test_a_user_comes_before_a_newer_lead() -> None:
    made = plan([member()], user("user", UUID, created_at=1), lead("lead", created_at=2))

    assert actions(made) == [("update", "user", {"external_id": "1001"})]


def test_the_newest_lead_is_converted_when_there_is_no_user() -> None:
    made = plan([member()], lead("old", created_at=1), lead("new", created_at=2))

    assert actions(made) == [("convert", "new", {"external_id": "1001", "role": "user"})]
    assert findings(made) == [("another contact of the same member", "old")]


def test_an_email_that_a_duplicate_without_id_keeps_is_left_out() -> None:
    """Intercom would refuse the write; the rest is written, and a person told."""
    holder = user("holder", None, name="Ann Lee")
    made = plan([member()], user("numbered", email="ann@old.example.com", name="Anna Lee"), holder)

    assert actions(made) == []
    assert ("the number is on a contact that is not surely this member's", "numbered") in findings(made)

    made = plan([member()], user("numbered", email="ann@old.example.com", custom_attributes={}), holder)

    assert actions(made) == [("update", "numbered", ATTRIBUTES)]
    assert ("the new email is on another user", "holder") in findings(made)


def test_a_user_that_may_be_the_member_keeps_it_from_being_created() -> None:
    """Two members share the email, and the user bears no number: whose it is, a person must say."""
    made = plan([member(), member("1002", name="Bo Lee")], user("a", None, name=None))

    assert (made.actions, made.review) == ((), 2)


def test_a_family_member_with_a_number_of_its_own_stands_in_nobodys_way() -> None:
    made = plan([member(), member("1002", name="Bo Lee")], user("a"))

    assert [(kind, after["external_id"]) for kind, _, after in actions(made)] == [("create", "1002")]


def test_a_number_on_a_contact_that_contradicts_it_blocks_the_member() -> None:
    made = plan([member()], user("a", email="zoe@example.org", name="Zoe Else"))

    assert (made.actions, made.review) == ((), 1)
    assert ("the number is on a contact that is not surely this member's", "a") in findings(made)


def test_a_member_without_an_email_is_updated_but_not_created() -> None:
    nameless = member(email=None)

    assert plan([nameless]).review == 1
    assert actions(plan([nameless], user("a", email="ann@work.example.com", custom_attributes={}))) == [
        ("update", "a", ATTRIBUTES)
    ]


def test_contacts_that_take_a_number_come_first() -> None:
    """Only then does Intercom let the family share their email."""
    made = plan(
        [member("1002", name="Bo Lee"), member()],
        user("a", None, custom_attributes={"Member Number": "1001", **ATTRIBUTES}),
    )

    assert [(kind, after["external_id"]) for kind, _, after in actions(made)] == [
        ("update", "1001"),
        ("create", "1002"),
    ]


def test_a_limit_postpones_the_rest() -> None:
    made = plan([member(str(number), f"m{number}@example.com", f"Mo {number}") for number in range(5)]).limited(2)

    assert (made.count("create"), made.postponed) == (2, 3)

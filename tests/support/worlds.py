"""Random worlds for property tests: few people, few identifiers, so that they collide all the time."""

from typing import Any, Literal

from hypothesis import strategies as st

from mynatca_sandbox.options import Options
from mynatca_sandbox.world.model import (
    Admin,
    Contact,
    Conversation,
    ConversationState,
    DataAttribute,
    Note,
    Ticket,
    World,
)

NOW = 1_790_000_000
NUMBERS = ("1001", "1002", "1003", "20", "3")
FORMER_NUMBER = "777"
EMAILS = ("ann@example.com", "bob@example.com", "family@example.com")
NAMES = (("Ann", "Lee"), ("Bob", "Núñez"), ("Cy", "Okafor"))
PHONES = ("(312) 555-0142", "312.555.0143", "n/a", None)
ADMIN = "1"
UUIDS = ("3f2504e0-4f89-41d3-9a0c-0305e82c3301", "9a2504e0-4f89-41d3-9a0c-0305e82c3302")
TAGS = tuple(str(number) for number in range(101, 116))
ATTRIBUTES = ("member_type", "region", "facility", "positions", "Member Number", "member_number")


def members() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of `members`, some not synced, with emails, names and phones that families share."""
    row = st.fixed_dictionaries(
        {
            "name": st.sampled_from(NAMES),
            "email": st.sampled_from((*EMAILS, *EMAILS, " Ann@Example.com ", "", None)),
            "phone": st.sampled_from(PHONES),
            "status": st.sampled_from(("Active", "Active", "Retired", "Resigned")),
            "membertypeid": st.sampled_from((6, 2, 99, None)),
            "region_id": st.sampled_from((1, 2, 99, None)),
            "facility_id": st.sampled_from((1, 2, None)),
        }
    )
    numbered = st.lists(st.tuples(st.sampled_from(NUMBERS), row), unique_by=lambda pair: pair[0], min_size=1)
    return numbered.map(_members)


def _members(pairs: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """The first is always synced: a source without any member is the brake's affair."""
    rows = [_member(number, fields) for number, fields in pairs]
    rows[0] |= {"status": "Active", "email": rows[0]["email"] or EMAILS[0]}
    return rows


def _member(number: str, fields: dict[str, Any]) -> dict[str, Any]:
    first, last = fields["name"]
    row = {key: value for key, value in fields.items() if key != "name"}
    return {"membernumber": number, "firstname": first, "lastname": last, "updated_at": None, **row}


def positions() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of `positions`, current and ended."""
    row = st.tuples(
        st.sampled_from(NUMBERS), st.sampled_from(("Treasurer", "Secretary")), st.sampled_from((None, "2020-01-01"))
    )
    return st.lists(row, max_size=4).map(
        lambda rows: [
            {
                "id": i,
                "membernumber": number,
                "positiontype": title,
                "facility_id": 1,
                "start_date": None,
                "end_date": end,
            }
            for i, (number, title, end) in enumerate(rows)
        ]
    )


def contacts() -> st.SearchStrategy[list[Contact]]:
    """Contacts of any kind; a user's external id is unique, as Intercom keeps it."""
    described = st.lists(
        st.fixed_dictionaries(
            {
                "role": st.sampled_from(("user", "user", "lead")),
                "external_id": st.sampled_from((*NUMBERS, *UUIDS, FORMER_NUMBER, None, None)),
                "email": st.sampled_from((*EMAILS, "ANN@example.com", "stranger@example.org", None)),
                "phone": st.sampled_from(("+13125550142", "+13125550199", None)),
                "name": st.sampled_from(("Ann Lee", "bob nunez", "Somebody Else", None)),
                "legacy": st.sampled_from((None, None, None, *NUMBERS, FORMER_NUMBER)),
                "region": st.sampled_from((None, "GL", "XX")),
                "state": st.sampled_from(("live", "live", "live", "live", "archived", "deleted", "merged")),
                "age": st.integers(0, 4),
                "tags": st.sampled_from(((), (), TAGS[:1], TAGS[1:3], TAGS[:12], TAGS[4:])),
                "notes": st.sampled_from((0, 0, 0, 1, 12)),
            }
        ),
        max_size=7,
    )
    return described.map(_contacts)


def _contacts(described: list[dict[str, Any]]) -> list[Contact]:
    made: list[Contact] = []
    taken: set[str] = set()
    for i, fields in enumerate(described):
        external_id = fields["external_id"] if fields["role"] == "user" else f"00000000-0000-4000-8000-{i:012}"
        contact = Contact(
            id=f"{i:024x}",
            role=fields["role"],
            created_at=NOW - 1000 * fields["age"],
            updated_at=NOW - 1000 * fields["age"],
            external_id=None if external_id in taken else external_id,
            email=fields["email"],
            phone=fields["phone"],
            name=fields["name"],
            archived=fields["state"] == "archived",
            deleted=fields["state"] == "deleted",
            tag_ids=list(fields["tags"]),
            notes=[
                Note(str(9000 + 100 * i + each), f"<p>Called {each // 2} times</p>", NOW - 86_400 * each, ADMIN)
                for each in range(fields["notes"])
            ],
        )
        survivors = [other for other in made if other.role == "user" and not (other.archived or other.deleted)]
        survivor = next((other for other in survivors if not other.merged_into), None)
        if fields["state"] == "merged" and survivor:
            contact.merged_into, contact.tag_ids, contact.notes = survivor.id, [], []
        if fields["legacy"]:
            contact.custom_attributes["Member Number"] = fields["legacy"]
        if fields["region"]:
            contact.custom_attributes["region"] = fields["region"]
        taken.add(contact.external_id or "")
        made.append(contact)
    return made


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A whole world."""
    world = world_of(draw(members()), draw(contacts()), draw(positions()))
    participants = [each.id for each in world.contacts if not (each.merged_into or each.deleted)]
    if participants:
        world.conversations = draw(conversations(participants))
        world.tickets = draw(tickets(participants))
    return world


def conversations(contact_ids: list[str]) -> st.SearchStrategy[list[Conversation]]:
    """Conversations of these contacts in any state, some of two of them."""
    states: st.SearchStrategy[ConversationState] = st.sampled_from(("open", "open", "snoozed", "closed"))
    people = st.lists(st.sampled_from(contact_ids), min_size=1, max_size=2, unique=True)
    return st.lists(st.tuples(people, states), max_size=5).map(
        lambda described: [
            Conversation(
                id=str(5000 + i),
                contact_ids=list(who),
                created_at=NOW - 500,
                updated_at=NOW - 400,
                state=state,
                snoozed_until=NOW * 2 if state == "snoozed" else None,
            )
            for i, (who, state) in enumerate(described)
        ]
    )


def tickets(contact_ids: list[str]) -> st.SearchStrategy[list[Ticket]]:
    """A few tickets of these contacts, open ones and resolved ones."""
    states: st.SearchStrategy[Literal["submitted", "resolved"]] = st.sampled_from(("submitted", "resolved"))
    return st.lists(st.tuples(st.sampled_from(contact_ids), states), max_size=2).map(
        lambda described: [
            Ticket(str(7000 + i), str(i + 1), [who], NOW - 500, NOW - 400, "Badge", state)
            for i, (who, state) in enumerate(described)
        ]
    )


def world_of(
    rows: list[dict[str, Any]], people: list[Contact] | None = None, held: list[dict[str, Any]] | None = None
) -> World:
    """A world with these members, contacts and positions, and what else a workspace needs."""
    return World(
        now=NOW,
        tables={
            "members": rows,
            "regions": [{"id": 1, "code": "GL", "name": "Great Lakes"}, {"id": 2, "code": "ESO", "name": "Eastern"}],
            "facilities": [
                {"id": 1, "code": "ZAU", "name": "Chicago Center", "region_id": 1, "status": "Active"},
                {"id": 2, "code": "ATL", "name": "Atlanta Tower", "region_id": 2, "status": "Active"},
            ],
            "positions": held or [],
            "member_types": [{"id": 6, "type_name": "Active Member"}, {"id": 2, "type_name": "Associate Member"}],
        },
        contacts=people or [],
        tags={tag_id: f"Tag {tag_id}" for tag_id in TAGS},
        admins=[Admin(ADMIN, "Ada", "ada@union.example")],
        data_attributes=[DataAttribute(i, name, "contact", "string", NOW) for i, name in enumerate(ATTRIBUTES, 1)],
    )


def member_row(number: str, email: str | None, first: str = "Ann", last: str = "Lee", **more: Any) -> dict[str, Any]:
    """One row of `members`: active, of type 6, in ZAU."""
    return {
        "membernumber": number,
        "firstname": first,
        "lastname": last,
        "email": email,
        "phone": None,
        "status": "Active",
        "membertypeid": 6,
        "region_id": 1,
        "facility_id": 1,
        "updated_at": None,
        **more,
    }


rules = st.builds(
    Options,
    taken_email=st.sampled_from(("second_user", "conflict")),
    clear_external_id=st.sampled_from(("accept", "refuse", "ignore")),
    suspended=st.sampled_from(("listed", "hidden")),
    limit=st.none(),
)
"""What is documented nowhere, in each way that Intercom may have."""


def decisions() -> st.SearchStrategy[list[dict[str, str]]]:
    """Rows of a mappings file: contacts and members of these worlds, and some that are not there."""
    pair = st.tuples(st.integers(0, 7), st.sampled_from((*NUMBERS, FORMER_NUMBER)))
    rows = st.lists(pair, min_size=1, max_size=4, unique_by=(lambda row: row[0], lambda row: row[1]))
    return rows.map(lambda pairs: [{"contact_id": f"{i:024x}", "member_number": number} for i, number in pairs])

"""A small workspace with something of everything, in the form of identifiers that Intercom's description asks for."""

from collections.abc import Callable

import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import (
    Admin,
    Contact,
    Conversation,
    ConversationAttribute,
    DataAttribute,
    Note,
    Part,
    Ticket,
    World,
)

NOW = 1_700_000_000
ANN = "6762f0dd1bb69f9f2193bb01"
LEAD = "6762f0dd1bb69f9f2193bb02"
BOB = "6762f0dd1bb69f9f2193bb03"
MERGED = "6762f0dd1bb69f9f2193bb04"
ADMIN = "11"
OPTION = "5c1a3c1e-7f3b-4b3c-9d57-1f6b1a0c0a01"


@pytest.fixture
def world() -> World:
    return World(
        now=NOW,
        tags={"1": "Steward", "2": "mynatca-sync"},
        admins=[Admin(ADMIN, "Ada", "ada@union.example"), Admin("12", "Bob", "bob@union.example")],
        contacts=[
            Contact(
                ANN,
                "user",
                NOW,
                NOW,
                external_id="1001",
                email="ann@union.example",
                phone="+13125550142",
                name="Ann Lee",
                signed_up_at=NOW,
                custom_attributes={"region": "GL"},
                tag_ids=["1"],
                notes=[Note("31", "<p>Called</p>", NOW, ADMIN), Note("32", "<p>By a rule</p>", NOW, None)],
                owner_id=ADMIN,
                avatar="https://union.example/ann.png",
            ),
            Contact(
                LEAD, "lead", NOW, NOW, external_id="3f2504e0-4f89-41d3-9a0c-0305e82c3301", email="ann@union.example"
            ),
            Contact(BOB, "user", NOW, NOW, external_id="1002", email="bob@union.example"),
            Contact(MERGED, "lead", NOW, NOW, merged_into=ANN),
        ],
        conversations=[
            Conversation(
                "21",
                [ANN, BOB],
                NOW,
                NOW,
                body="<p>Hello</p>",
                tag_ids=["2"],
                custom_attributes={"Topic": "Dues"},
                parts=[
                    Part("22", "comment", "<p>Hi</p>", NOW, "admin", ADMIN),
                    Part("23", "comment", "<p>Thanks</p>", NOW, "user", ANN, tag_ids=["1"]),
                    Part("24", "close", None, NOW, "bot", "9"),
                ],
            ),
            Conversation("25", [LEAD], NOW, NOW, state="snoozed", snoozed_until=NOW + 60, title="Visitor"),
        ],
        tickets=[Ticket("41", "7", [ANN], NOW, NOW, "Badge", tag_ids=["1"])],
        data_attributes=[
            DataAttribute(1, "region", "contact", "string", NOW),
            DataAttribute(2, "employees", "company", "integer", NOW),
            DataAttribute(3, "shift", "contact", "string", NOW, options=["day", "night"]),
        ],
        conversation_attributes=[
            ConversationAttribute(
                1,
                "Topic",
                "list",
                NOW,
                NOW,
                options=[
                    {"id": OPTION, "label": "Dues", "archived": False},
                    {"id": OPTION.replace("0a01", "0a02"), "label": "Badge", "archived": False},
                    {"id": OPTION.replace("0a01", "0a03"), "label": "Other", "archived": False},
                ],
            ),
            ConversationAttribute(2, "Member Number Verification", "string", NOW, NOW),
        ],
    )


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox], world: World) -> Sandbox:
    return start_sandbox(world, Options(index_lag=0))

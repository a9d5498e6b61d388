"""Our own programs against Intercom's description: `start_sandbox` judges what they send, when the test ends."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import Contact, Conversation, Note, World
from support.runs import Runner

Start = Callable[..., Sandbox]

OLDER = "0123456789abcdef01234567"
WRITES = (
    "POST /contacts",
    "PUT /contacts/{contact_id}",
    "POST /contacts/merge",
    "POST /contacts/{contact_id}/archive",
    "POST /contacts/{contact_id}/unarchive",
    "POST /contacts/{contact_id}/tags",
    "POST /contacts/{contact_id}/notes",
    "POST /conversations/{conversation_id}/customers",
    "DELETE /conversations/{conversation_id}/customers/{contact_id}",
    "POST /data_attributes",
)
TAKEN_BACK = ("DELETE /contacts/{contact_id}/tags/{tag_id}", "POST /contacts/{contact_id}/unarchive")


@pytest.fixture
def world() -> World:
    """A workspace without one of our attributes, and with an older user who has something of everything."""
    world = generate(WorldOptions(members=600))
    world.data_attributes = [each for each in world.data_attributes if each.name != "positions"]
    for contact in world.contacts:
        contact.custom_attributes.pop("positions", None)
    world.contacts.append(older_user_of_somebody(world))
    world.conversations.append(Conversation("990001", [OLDER], world.now, world.now))
    return world


def older_user_of_somebody(world: World) -> Contact:
    """A second user of a member whose first has number, email and name alike."""
    rows = {row["membernumber"]: row for row in world.tables["members"] if row["status"] == "Active"}
    newest = next(
        each
        for each in world.contacts
        if each.role == "user"
        and not (each.archived or each.merged_into or each.deleted)
        and (row := rows.get(each.external_id or ""))
        and (each.email, each.name) == (row["email"], f"{row['firstname']} {row['lastname']}")
    )
    return Contact(
        id=OLDER,
        role="user",
        created_at=newest.created_at - 1000,
        updated_at=newest.created_at - 1000,
        external_id="9a2504e0-4f89-41d3-9a0c-0305e82c3302",
        email=newest.email,
        name=newest.name,
        tag_ids=[tag_id for tag_id in world.tags if tag_id not in newest.tag_ids],
        notes=[Note("990002", "<p>Called</p>", world.now, world.admins[0].id)],
    )


@pytest.mark.parametrize("clear_external_id", ["accept", "refuse", "ignore"])
def test_sync_audit_and_undo_keep_to_the_description(
    start_sandbox: Start, tmp_path: Path, world: World, clear_external_id: Any
) -> None:
    """With every kind of write that the programs send, and every kind that takes one back."""
    sandbox = start_sandbox(world, Options(limit=None, clear_external_id=clear_external_id))
    runner = Runner(sandbox, tmp_path / "runs")
    release = ("--release", "archive", "--release", "update")

    nights = [runner.sync(*release), runner.audit(*release)]
    unsent = [route for route in WRITES if not sandbox.calls[route]]
    sandbox.calls.clear()
    undone = [runner.undo(night.folder.name, *release) for night in nights[::-1]]

    assert [night.exit_code for night in (*nights, *undone)] == [0, 0, 0, 0]
    assert unsent == []
    assert [route for route in TAKEN_BACK if not sandbox.calls[route]] == []


def test_a_manual_update_keeps_to_the_description(start_sandbox: Start, tmp_path: Path, world: World) -> None:
    sandbox = start_sandbox(world, Options(limit=None))
    contacts = [each.id for each in world.contacts if not (each.archived or each.merged_into or each.deleted)][:20]
    numbers = [row["membernumber"] for row in world.tables["members"]][:20]
    rows = [{"contact_id": id_, "member_number": number} for id_, number in zip(contacts, numbers, strict=True)]
    (tmp_path / "mappings.json").write_text(json.dumps(rows))

    Runner(sandbox, tmp_path / "runs").manual_update(tmp_path / "mappings.json")

    assert sandbox.calls["PUT /contacts/{contact_id}"] > 0

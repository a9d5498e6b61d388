"""An audit taken back: the world is again as it was, but for what is listed.

What a write did is split into effects: a field of a contact, a tag on it, whether it is archived, who takes part in a
conversation. An effect is gone if it is at last as it was before the audit, or, on a contact that a lead was merged
into for good, as it was on that lead.
"""

import copy
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import httpx

from benchmarks.commands import Line, Run, commands
from benchmarks.figures import Figures, share
from benchmarks.labels import Labels, fields_of
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import Contact, World

MEMBERS = 5_000
EDITED = 20
BY_HAND = {"name": "Somebody Else", "phone": "+13125550199", "facility": "ZZZ", "region": "ZZ", "positions": "Guest"}
"""What a person writes over what the audit wrote."""
IRREVERSIBLE = ("merge", "note", "create_attribute")

Effect = tuple[str, ...]
State = dict[Effect, Any]


def undo() -> Figures:
    """Audit, edits by hand, undo; compared with the world before."""
    labels = Labels(generate(WorldOptions(members=MEMBERS, contacts="suite")))
    world = copy.deepcopy(labels.world)
    with Sandbox(world, Options(limit=None)) as sandbox, commands(sandbox.url) as syncjob:
        audit = syncjob.run("audit", "--release=archive").well_ended()
        edited = _edit(sandbox.url, audit)
        taken_back = syncjob.run("undo", audit.folder.name).well_ended()
        reversible = [write for write in audit.writes if _reversible(write)]
        listed, irreversible = _listed(audit, taken_back)
        kept = _kept(world, taken_back, edited)
    return {
        "undo.actions": (len(reversible), "writes", "≥ 1000"),
        "undo.restored": (share(_restored(labels, world, reversible, edited), len(reversible)), "share", "1"),
        "undo.listed": (share(listed, irreversible), "share", "1"),
        "undo.edited_kept": (kept, f"of {EDITED}", str(EDITED)),
    }


# ---- what a person does in between


def _edit(url: str, audit: Run) -> set[tuple[str, str]]:
    """Change one field of some contacts that the audit wrote; returns which."""
    edited: dict[str, str] = {}
    names = list(BY_HAND)
    for write in audit.writes:
        if write["operation"] == "update" and len(edited) < EDITED:
            turn = len(edited) % len(names)
            name = next((name for name in names[turn:] + names[:turn] if name in write["after"]), None)
            if name:
                edited.setdefault(write["contact_id"], name)
    headers = {"Authorization": "Bearer sandbox-token", "Intercom-Version": "2.16"}
    with httpx.Client(base_url=url, headers=headers) as client:
        for contact_id, name in edited.items():
            standard = name in ("name", "phone")
            body = {name: BY_HAND[name]} if standard else {"custom_attributes": {name: BY_HAND[name]}}
            client.put(f"/contacts/{contact_id}", json=body).raise_for_status()
    return set(edited.items())


def _kept(after: World, taken_back: Run, edited: set[tuple[str, str]]) -> int:
    """Edits that still stand and are listed."""
    now = {contact.id: contact for contact in after.contacts}
    reasons: defaultdict[str, str] = defaultdict(str)
    for row in taken_back.result["rows"]:
        reasons[row["contact_id"]] += row["reason"]
    return sum(
        fields_of(now[contact_id])[name] == BY_HAND[name] and f"{name} was edited since" in reasons[contact_id]
        for contact_id, name in edited
    )


# ---- what can be taken back


def _reversible(write: Line) -> list[Effect]:
    """The effects of a write that some call takes back."""
    contact_id, operation = write["contact_id"], write["operation"]
    match operation:
        case "update":
            return [("field", contact_id, name) for name in write["after"] if not _is_for_good(write, name)]
        case "archive" | "unarchive" | "unarchive_to_judge":
            return [("archived", contact_id)]
        case "attach" | "detach":
            return [("participants", write["conversation_id"])]
        case "tag":
            return [("tag", contact_id, write["tag_id"])]
    return []


def _is_for_good(write: Line, name: str) -> bool:
    """A user does not become a lead again, and an email cannot be taken off."""
    return name == "role" or (name == "email" and not write["before"]["email"])


def _restored(labels: Labels, after: World, writes: list[Line], edited: set[tuple[str, str]]) -> int:
    """Writes whose every effect is gone, less what differs and is no write's effect."""
    differing = _differing(labels.world, after) - {("field", *edit) for edit in edited}
    effects = [_reversible(write) for write in writes]
    whole = sum(not differing.intersection(own) for own in effects)
    return whole - len(differing.difference(*effects))


def _differing(before: World, after: World) -> set[Effect]:
    """All effects that are not gone, but for those that nothing takes back."""
    survivor = {contact.id: contact.merged_into for contact in after.contacts if contact.merged_into}
    leads = _merged_since(before, survivor)
    former, present = _state(before, survivor), _state(after, survivor)
    merged = {lead for own in leads.values() for lead in own}
    return {
        effect
        for effect in former.keys() | present.keys()
        if effect[1] not in merged
        and present.get(effect) not in _acceptable(effect, former, leads[effect[1]])
        and not _is_listed_kind(effect, former)
    }


def _merged_since(before: World, survivor: dict[str, str]) -> defaultdict[str, list[str]]:
    leads: defaultdict[str, list[str]] = defaultdict(list)
    for contact in before.contacts:
        if contact.id in survivor and not contact.merged_into:
            leads[survivor[contact.id]].append(contact.id)
    return leads


def _acceptable(effect: Effect, former: State, leads: list[str]) -> list[Any]:
    kind, _, *rest = effect
    return [former.get(effect), *(former.get((kind, lead, *rest)) for lead in leads)]


def _is_listed_kind(effect: Effect, former: State) -> bool:
    """Roles and first emails, which `undo.listed` looks after."""
    return effect[0] == "field" and (effect[2] == "role" or (effect[2] == "email" and not former.get(effect)))


def _state(world: World, survivor: dict[str, str]) -> State:
    """A world as what writes have effects on; who was merged away counts as who it became part of."""
    state: State = {}
    for contact in world.contacts:
        state.update(_state_of(contact))
    for conversation in world.conversations:
        members = {survivor.get(contact_id, contact_id) for contact_id in conversation.contact_ids}
        state["participants", conversation.id] = members
    return state


def _state_of(contact: Contact) -> Iterator[tuple[Effect, Any]]:
    for name, value in (contact.custom_attributes | fields_of(contact)).items():
        yield ("field", contact.id, name), value or None
    yield ("archived", contact.id), contact.archived
    for tag_id in contact.tag_ids:
        yield ("tag", contact.id, tag_id), True


# ---- what cannot


def _listed(audit: Run, taken_back: Run) -> tuple[int, int]:
    """How many irreversible writes are listed with a reason, and how many there are."""
    rows = Counter((row["action"], row["contact_id"]) for row in taken_back.result["rows"] if row["reason"])
    due = Counter(
        (f"undo_{write['operation']}", write["contact_id"])
        for write in audit.writes
        if write["operation"] in IRREVERSIBLE or any(_is_for_good(write, name) for name in write.get("after", ()))
    )
    return (due & rows).total(), due.total()

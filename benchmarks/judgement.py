"""How well a run told apart who is who: what it wrote to whom, whom it found, and what it left to a person."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from benchmarks.commands import Line, Run
from benchmarks.labels import Labels, fields_of, is_live
from mynatca_sandbox.world.model import Contact, World
from mynatca_sandbox.world.suite import AMBIGUOUS_KINDS

# ---- writes on the wrong person


def wrongly_written(labels: Labels, after: World, runs: Iterable[Run]) -> set[str]:
    """Contacts that bear what is another person's: data of another member, or a life of another contact.

    A contact that a run created is the member's that it was created for.
    """
    merged = _merged(labels, after)
    actions = [action for run in runs for action in run.actions]
    known = [contact for contact in after.contacts if contact.id in labels.contacts]
    return {
        *(contact.id for contact in known if _bears_foreign_data(labels, contact, merged[contact.id])),
        *(lead for survivor, leads in merged.items() for lead in leads if _differ(labels, lead, survivor)),
        *_wrongly_archived(labels, after, actions),
    }


def _merged(labels: Labels, after: World) -> defaultdict[str, list[str]]:
    """Survivor -> the contacts that were merged into it since."""
    merged: defaultdict[str, list[str]] = defaultdict(list)
    for contact in after.contacts:
        if contact.merged_into and not labels.contacts[contact.id].merged_into:
            merged[contact.merged_into].append(contact.id)
    return merged


def _bears_foreign_data(labels: Labels, contact: Contact, merged: list[str]) -> bool:
    """Whether a field was written that is not the owner's, be it the source's value or that of a merged lead."""
    number = labels.owner(contact.id)
    right = labels.right_fields(number) if number else dict.fromkeys(fields_of(contact))
    leads = [fields_of(labels.contacts[lead]) for lead in merged]
    former = fields_of(labels.contacts[contact.id])
    written = {name: value for name, value in fields_of(contact).items() if value != former[name]}
    if _is_no_number(written.get("external_id")):
        written.pop("external_id", None)
    return any(value not in (right[name], *(lead[name] for lead in leads)) for name, value in written.items())


def _is_no_number(external_id: Any) -> bool:
    return external_id is None or external_id.startswith("released-")


def _wrongly_archived(labels: Labels, after: World, actions: list[Line]) -> Iterator[str]:
    """Those that are out of sight as a duplicate of somebody else, or as nobody's while they are a member's."""
    archived = {contact.id for contact in after.contacts if contact.archived}
    for action in actions:
        contact_id = action["contact_id"]
        if contact_id not in archived:
            continue
        if action["kind"] == "archive_duplicate" and _differ(labels, contact_id, action["into"]):
            yield contact_id
        if action["kind"] == "archive" and labels.owner(contact_id):
            yield contact_id


def _differ(labels: Labels, one: str, other: str) -> bool:
    number = labels.owner(one)
    return number is None or number != labels.owner(other)


# ---- matches


def found(labels: Labels, after: World, run: Run) -> set[str]:
    """The members' contacts that are at last where they belong: the member's user, or part of its history."""
    now = {contact.id: contact for contact in after.contacts}
    into = {action["contact_id"]: action["into"] for action in run.actions if "into" in action}
    return {
        contact.id
        for contact in labels.of_members()
        if _bears(now[_kept(contact.id, now, into)], labels.owner(contact.id))
    }


def _kept(contact_id: str, now: dict[str, Contact], into: dict[str, str]) -> str:
    """The contact itself, or the one that it went into."""
    return contact_id if is_live(now[contact_id]) else into.get(contact_id, contact_id)


def _bears(contact: Contact, number: str | None) -> bool:
    return is_live(contact) and contact.role == "user" and contact.external_id == number


# ---- review


def to_be_reviewed(labels: Labels, matched: set[str]) -> set[str]:
    """Contacts that a person must be told of: members' contacts that were not found, and whoever is ambiguous."""
    left = {contact.id for contact in labels.of_members()} - matched
    return left | {contact.id for contact in labels.of_kind(*AMBIGUOUS_KINDS)}

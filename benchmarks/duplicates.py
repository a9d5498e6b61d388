"""Duplicates: what a loser had must be on the kept contact, and the newest is kept."""

from benchmarks.commands import Run
from benchmarks.labels import Labels, open_conversations
from mynatca_sandbox.world.model import Contact, World


class Duplicates:
    """The planted pairs of users, and of users and leads, before and after a run."""

    def __init__(self, labels: Labels, after: World, run: Run) -> None:
        self._labels = labels
        self._now = {contact.id: contact for contact in after.contacts}
        self._conversations = {each.id: each.contact_ids for each in after.conversations}
        self._ticket_holders = {id_ for ticket in labels.world.tickets if ticket.open for id_ in ticket.contact_ids}
        self._reviewed = run.reviewed("contact_id")

    def lost(self) -> int:
        """All that went wrong: things lost, tickets out of sight, pairs of which not the newest was kept."""
        users = self._pairs("duplicate_older", "duplicate_newer")
        leads = self._pairs("duplicate_lead", "duplicate_lead_user")
        return sum(self._lost_of_users(*pair) for pair in users) + sum(self._lost_of_lead(*pair) for pair in leads)

    def _pairs(self, loser: str, kept: str) -> list[tuple[Contact, Contact]]:
        """Loser and kept contact of each member."""
        by_number = {self._labels.owner(contact.id): contact for contact in self._labels.of_kind(kept)}
        return [(contact, by_number[self._labels.owner(contact.id)]) for contact in self._labels.of_kind(loser)]

    def _lost_of_users(self, older: Contact, newer: Contact) -> int:
        number = self._labels.owner(older.id)
        if older.id in self._ticket_holders:
            stays = not self._now[older.id].archived and self._now[older.id].external_id == number
            return int(not stays) + int(not {older.id, newer.id} & self._reviewed)
        kept = self._now[older.id].archived and self._now[newer.id].external_id == number
        return int(not kept or self._now[newer.id].archived) + self._things_lost(older, newer)

    def _lost_of_lead(self, lead: Contact, user: Contact) -> int:
        return int(self._now[lead.id].merged_into != user.id) + self._things_lost(lead, user)

    def _things_lost(self, loser: Contact, kept: Contact) -> int:
        """Open conversations, tags and notes of the loser that the kept contact does not bear."""
        present = self._now[kept.id]
        texts = [note.body for note in present.notes]
        conversations = (each.id for each in open_conversations(self._labels.world) if loser.id in each.contact_ids)
        return (
            sum(kept.id not in self._conversations[id_] for id_ in conversations)
            + sum(tag_id not in present.tag_ids for tag_id in loser.tag_ids)
            + sum(not any(note.body in text for text in texts) for note in loser.notes)
        )

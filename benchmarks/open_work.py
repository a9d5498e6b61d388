"""Contacts of nobody with open work: none may be out of sight at the end, not even who writes in while a run archives.

Fifty idle ones begin a conversation in the middle of the audit, at the three moments that matter.
"""

import random

from benchmarks.labels import Labels, with_open_work
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, World

PLANTED = ("stranger_open", "stranger_snoozed", "stranger_ticket")
WRITING_IN = 50


class WritingIn:
    """Assigned to `Sandbox.before`, lets its contacts write in: before the plan, before the re-check, after it."""

    def __init__(self, sandbox: Sandbox, idle: list[Contact]) -> None:
        self._sandbox = sandbox
        chosen = [contact.id for contact in random.Random(1).sample(idle, WRITING_IN)]
        self._before_plan = chosen[::3]
        self._at = {("GET", f"/contacts/{contact_id}"): contact_id for contact_id in chosen[1::3]}
        self._at |= {("POST", f"/contacts/{contact_id}/archive"): contact_id for contact_id in chosen[2::3]}
        self.count = 0

    def __call__(self, method: str, path: str) -> None:
        """Called before each call takes effect."""
        if path == "/conversations/search":
            for contact_id in self._before_plan:
                self._write_in(contact_id)
            self._before_plan = []
        contact_id = self._at.pop((method, path), "")
        if contact_id:
            self._write_in(contact_id)

    def _write_in(self, contact_id: str) -> None:
        self._sandbox.write_in(contact_id, "Is anybody there?")
        self.count += 1


def archived_with_open_work(labels: Labels, after: World) -> int:
    """Contacts that went out of sight and have open work."""
    waiting = with_open_work(after)
    archived = (contact for contact in after.contacts if contact.archived and contact.id in waiting)
    return sum(contact.id in labels.contacts and not labels.contacts[contact.id].archived for contact in archived)

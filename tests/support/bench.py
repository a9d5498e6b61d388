"""Plans against a sandbox, lets the world change, applies: what happens between the two is under a test's control."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.conversation import OpenWork
from mynatca_intercom.members.member import Member
from mynatca_intercom.members.supabase import SupabaseSource
from mynatca_intercom.reconcile.apply import Applier, Row
from mynatca_intercom.reconcile.decide import make_plan
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.judged import JudgedContacts
from mynatca_intercom.reconcile.match import MemberIndex
from mynatca_intercom.reconcile.plan import Plan, Scope
from mynatca_intercom.reconcile.writer import Writer
from mynatca_intercom.settings import IntercomSettings, MemberSettings, SupabaseSettings, load
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact
from support.worlds import NOW

NIGHT = Scope("members", create=True)
AUDIT = Scope("contacts", strangers=True)

Told = tuple[str | None, str, str | None]
"""Of a row: member number, outcome, contact."""


def contact(contact_id: str, **fields: Any) -> Contact:
    """A user, unless `role` says otherwise; its id is one letter, repeated."""
    role, age = fields.pop("role", "user"), fields.pop("age", 100)
    return Contact(contact_id * 24, role, NOW - age, NOW - age, **fields)


@dataclass
class Bench:
    """One sandbox and one journal."""

    sandbox: Sandbox
    journal_file: Path
    settings: dict[str, str] = field(default_factory=dict)
    plan: Plan | None = None
    concurrency: int = 5

    def apply(
        self, change: Callable[[], object] = lambda: None, options: Options | None = None, scope: Scope = NIGHT
    ) -> list[Row]:
        """What became of each action; the world changes as `change` says once the plan is made."""
        return asyncio.run(self._apply(change, options or Options(limit=None), scope))

    def told(
        self, change: Callable[[], object] = lambda: None, options: Options | None = None, scope: Scope = NIGHT
    ) -> list[Told]:
        """The same in short."""
        return [(row.member_number, row.outcome, row.contact_id) for row in self.apply(change, options, scope)]

    async def _apply(self, change: Callable[[], object], options: Options, scope: Scope) -> list[Row]:
        self.sandbox.reset(self.sandbox.world, options)
        settings = load(
            IntercomSettings,
            {"INTERCOM_URL": self.sandbox.url, "INTERCOM_ACCESS_TOKEN": "sandbox-token", **self.settings},
        )
        async with IntercomClient(settings) as client, Journal(self.journal_file) as journal:
            index = MemberIndex(await asyncio.to_thread(self.members), knows_all=not scope.create)
            judged = JudgedContacts(index, (await client.list_contacts()).contacts, scope.decisions)
            self.plan = make_plan(judged, scope, await client.open_work() if scope.archive else OpenWork())
            change()
            self.sandbox.reset(self.sandbox.world, options)
            applier = Applier(
                client, Writer(client, journal, "1"), index, concurrency=self.concurrency, stop=asyncio.Event()
            )
            return await applier.apply(self.plan)

    def members(self) -> tuple[Member, ...]:
        """What the source says."""
        settings = load(SupabaseSettings, {"SUPABASE_URL": self.sandbox.url, "SUPABASE_KEY": "sandbox-key"})
        with SupabaseSource(settings, load(MemberSettings, {})) as source:
            return source.synced_members().members

    @property
    def journal(self) -> list[dict[str, Any]]:
        """The journal's lines."""
        return [json.loads(line) for line in self.journal_file.read_text().splitlines()]

    @property
    def writes(self) -> list[tuple[str, str | None]]:
        """Operation and contact of each write that was sent."""
        return [(line["operation"], line.get("contact_id")) for line in self.journal if line["state"] == "intent"]

    def has(self, *people: Contact) -> None:
        """Make these the only contacts."""
        self.sandbox.world.contacts[:] = people

    def add(self, person: Contact) -> None:
        """Add one contact."""
        self.sandbox.world.contacts.append(person)

    def live_users(self, number: str) -> list[Contact]:
        """The users in sight that bear a number."""
        return [
            each
            for each in self.sandbox.world.contacts
            if each.external_id == number and not (each.archived or each.merged_into or each.deleted)
        ]

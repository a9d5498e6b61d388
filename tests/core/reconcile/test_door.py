"""One contact at a time: when Intercom or the members are known by half only. The rest stands in `test_sweep`."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.members.cache import MemberCache
from mynatca_intercom.members.directory import Directory, open_directory
from mynatca_intercom.members.supabase import SupabaseSource
from mynatca_intercom.reconcile.door import Door, Verdict
from mynatca_intercom.reconcile.journal import Journal
from mynatca_intercom.reconcile.turns import LocalTurns, Turns
from mynatca_intercom.reconcile.writer import Writer
from mynatca_intercom.settings import IntercomSettings, MemberSettings, SupabaseSettings, load
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact
from support.canned import Answer, Request, canned
from support.worlds import NOW, UUIDS, member_row, world_of

NEWER = {"id": "b" * 24, "role": "user", "external_id": UUIDS[0], "email": "ann@example.com", "created_at": NOW - 50}
OLDER = {"id": "a" * 24, "role": "user", "external_id": "1001", "email": "ann@example.com", "created_at": NOW - 100}


def answer(conversations_counted: int) -> Callable[[Request], Answer]:
    """An Intercom with two users of Ann that lists no open conversation and counts so many."""
    newer, older = dict(NEWER), dict(OLDER)
    answers: dict[str, Any] = {
        f"/contacts/{newer['id']}": newer,
        f"/contacts/{older['id']}": older,
        "/contacts/find_by_external_id/1001": older,
        "/conversations/search": {"conversations": [], "total_count": conversations_counted},
        "/tickets/search": {"tickets": [], "total_count": 0},
    }

    def give(request: Request) -> Answer:
        answered = answers.get(request.path, {})
        if request.method == "PUT":
            answered |= json.loads(request.body)
        return Answer(200, json.dumps(answered).encode())

    return give


def enrich(url: str, members: Directory, journal: Path) -> Verdict:
    async def run() -> Verdict:
        settings = load(IntercomSettings, {"INTERCOM_URL": url, "INTERCOM_ACCESS_TOKEN": "token"})
        async with IntercomClient(settings) as client, Journal(journal) as record:
            return await door(client, record, members, LocalTurns()).enrich("b" * 24)

    return asyncio.run(run())


def door(client: IntercomClient, record: Journal, members: Directory, turns: Turns) -> Door:
    return Door(client, Writer(client, record, "1"), members, turns, phone_region="US", search_lag_seconds=0)


def archived(start_sandbox: Callable[..., Sandbox], journal: Path, counted: int) -> bool:
    """Whether the older user is archived when Intercom counts so many open conversations and lists none."""
    sandbox = start_sandbox(world_of([member_row("1001", "ann@example.com")]))
    settings = load(SupabaseSettings, {"SUPABASE_URL": sandbox.url, "SUPABASE_KEY": "sandbox-key"})
    with canned(answer(counted)) as server, SupabaseSource(settings, load(MemberSettings, {})) as source:
        enrich(server.url, Directory([source]), journal)
        return archives(server.requests)


def archives(requests: list[Request]) -> bool:
    return f"/contacts/{OLDER['id']}/archive" in [request.path for request in requests]


def test_nobody_is_archived_while_open_conversations_are_missing(
    start_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    assert archived(start_sandbox, tmp_path / "whole.jsonl", counted=0)
    assert not archived(start_sandbox, tmp_path / "missing.jsonl", counted=50)


def test_nobody_is_archived_on_the_word_of_a_fallback(start_sandbox: Callable[..., Sandbox], tmp_path: Path) -> None:
    """Here of the member cache; and it is done as soon as the first source answers again."""
    sandbox = start_sandbox(world_of([member_row("1001", "ann@example.com")]))
    cache = MemberCache(tmp_path / "members.db", 3600)
    with (
        canned(lambda _request: Answer(500, b'{"code":"XX000","message":""}')) as broken,
        open_directory({"SUPABASE_URL": sandbox.url, "SUPABASE_KEY": "sandbox-key"}) as up,
        open_directory({"SUPABASE_URL": broken.url, "SUPABASE_KEY": "sandbox-key"}) as down,
        canned(answer(0)) as meanwhile,
        canned(answer(0)) as afterwards,
    ):
        cache.refresh(up, 1)
        kept = enrich(meanwhile.url, down.followed_by(cache), tmp_path / "meanwhile.jsonl")
        enrich(afterwards.url, up.followed_by(cache), tmp_path / "afterwards.jsonl")
    assert (kept.outcome, kept.member_number) == ("review", "1001")
    assert "archives nothing" in kept.reason
    assert not archives(meanwhile.requests)
    assert archives(afterwards.requests)


class Late:
    """Turns of which somebody's is only asked for when the gate opens."""

    def __init__(self, turns: Turns, whose: str) -> None:
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()
        self._turns = turns
        self._whose = whose

    @asynccontextmanager
    async def turn(self, *whose: str) -> AsyncIterator[float]:
        if self._whose in whose:
            self.reached.set()
            await self.gate.wait()
        async with self._turns.turn(*whose) as ended_ago:
            yield ended_ago


def test_who_read_a_contact_before_the_turn_of_another_reads_it_again(
    start_sandbox: Callable[..., Sandbox], tmp_path: Path
) -> None:
    """A user and a lead of one member, in two processes: what the lead's turn did is not done once more."""
    user = Contact("u", "user", NOW, NOW, email="ann@example.com")
    lead = Contact("l", "lead", NOW, NOW, email="ann@example.com")
    sandbox = start_sandbox(world_of([member_row("1001", "ann@example.com")], [user, lead]))
    settings = load(IntercomSettings, {"INTERCOM_URL": sandbox.url, "INTERCOM_ACCESS_TOKEN": "sandbox-token"})

    async def run(members: Directory) -> tuple[Verdict, Verdict]:
        async with IntercomClient(settings) as client, Journal(tmp_path / "journal.jsonl") as record:
            turns = LocalTurns()
            late = Late(turns, "member 1001")
            users = asyncio.create_task(door(client, record, members, late).enrich("u"))
            await late.reached.wait()
            leads = await door(client, record, members, turns).decide("l", "1001")
            late.gate.set()
            return leads, await users

    with open_directory({"SUPABASE_URL": sandbox.url, "SUPABASE_KEY": "sandbox-key"}) as members:
        leads, users = asyncio.run(run(members))
    assert (leads.outcome, leads.contact_id) == ("merged", "u")
    assert (users.outcome, users.contact_id) == ("unchanged", "u")
    lines = map(json.loads, (tmp_path / "journal.jsonl").read_text().splitlines())
    assert [line["operation"] for line in lines if line["state"] == "intent"] == ["merge", "update"]

"""`audit --explain`: how one contact is judged, point by point. It prints no values, so that it may be shown around."""

import asyncio
from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.errors import CredentialsRefused, IntercomError, Merged, NotFound
from mynatca_intercom.members.source import MemberSource, SourceError, SourceRefused
from mynatca_intercom.reconcile.match import Match, MemberIndex, bears_uuid, judgements, match
from mynatca_intercom.settings import IntercomSettings
from mynatca_syncjob.result import Exit


async def explain(
    contact_id: str, source: MemberSource, intercom: IntercomSettings, phone_region: str, console: Console
) -> Exit:
    """Read the contact and all members, judge, and print; returns the exit code."""
    try:
        async with IntercomClient(intercom) as client:
            contact = await client.contact(contact_id)
        members = await asyncio.to_thread(source.all_members)
    except Merged as merged:
        console.print(
            f"Contact {contact_id} was merged into {merged.survivor_id or 'another one'}.",
            highlight=False,
            soft_wrap=True,
        )
        return Exit.FAILED
    except NotFound:
        console.print(
            f"Intercom shows no contact {contact_id}: it is unknown, archived or deleted.",
            highlight=False,
            soft_wrap=True,
        )
        return Exit.FAILED
    except (CredentialsRefused, SourceRefused) as error:
        console.print(f"{error}: check the credentials.", highlight=False, soft_wrap=True)
        return Exit.CREDENTIALS
    except (IntercomError, SourceError) as error:
        console.print(str(error), highlight=False, soft_wrap=True)
        return Exit.FAILED
    index = MemberIndex(members.members, phone_region, knows_all=True)
    _print(contact, match(contact, index), judgements(contact, index), console)
    console.print(
        f"Judged against {len(members.members):,} members from {members.source}.", highlight=False, soft_wrap=True
    )
    return Exit.DONE


def _print(contact: Contact, verdict: Match, judged: Iterable[Match], console: Console) -> None:
    console.print(f"Contact {contact.id}, a {contact.role}{' with a UUID' if bears_uuid(contact) else ''}:", end=" ")
    number = f" as member {verdict.member.number}" if verdict.member else ""
    console.print(f"[bold]{verdict.outcome}[/]{number}, as {verdict.reason}.", highlight=False, soft_wrap=True)
    table = Table(box=SIMPLE_HEAD)
    for column in ("Member", "Agrees", "Judged", "Why"):
        table.add_column(column)
    for each in judged:
        table.add_row(each.candidates[0], ", ".join(each.evidence) or "nothing", each.outcome, each.reason)
    if table.row_count:
        console.print(table)

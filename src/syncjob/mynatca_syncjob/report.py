"""The end of a run in words, for the person at the terminal. No personal data: the plan file has the values."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mynatca_syncjob.result import Exit, Result

WORDS = {
    "created": "created",
    "updated": "updated",
    "converted": "converted from a lead",
    "merged": "merged into their user",
    "archived_duplicate": "archived as older duplicates",
    "deduplicated": "agreed, duplicates resolved",
    "archived": "archived, as they are nobody's",
    "cleared": "freed of a wrong id",
    "unchanged": "agreed already",
    "open_work": "nobody's, kept for open work",
    "active": "nobody's, kept as active just now",
    "out_of_scope": "not looked at",
    "unmatched": "nobody's",
    "ambiguous": "in doubt",
    "gone": "archived or deleted",
    "review": "need a person",
    "failed": "failed",
    "not_reached": "not reached",
    "postponed": "postponed by --limit",
    "not_approved": "not in the approved plan",
    "restored": "taken back",
    "already": "nothing to take back",
    "left": "left and listed",
}
"""What a member, contact or write is counted under, in words."""

ACTION_TITLES = {
    "create": "Contacts created for members",
    "update": "Users brought in line",
    "convert": "Leads turned into users",
    "merge": "Leads merged into their user",
    "archive_duplicate": "Older duplicates archived",
    "archive": "Contacts of nobody archived",
    "clear_external_id": "UUIDs of the old integration taken away",
    "free_number": "Numbers taken off wrong contacts",
}
_COUNTED = {
    "sync": "Members",
    "audit": "Contacts",
    "manual-update": "Rows",
    "undo": "Writes",
    "sweep": "Tags and contacts",
}
_LEFT_OUT = {
    "phone_unparsable": "phones that cannot be phone numbers",
    "name_empty": "empty names",
    "email_unusable": "emails that cannot be addresses",
    "positions_unknown": "positions that the source does not have",
    "positions_cut": "position lists longer than 255 characters, cut",
    "region_unknown": "regions that the source does not explain",
    "facility_unknown": "facilities that the source does not explain",
    "member_type_unknown": "member types that the source does not explain",
}
HEADLINES = {
    Exit.DONE: "Done",
    Exit.FAILED: "Failed",
    Exit.USAGE: "Wrong settings",
    Exit.FAILED_ROWS: "Done, but some rows failed",
    Exit.BRAKE: "Stopped by a brake",
    Exit.CREDENTIALS: "Credentials refused",
    Exit.STOPPED: "Stopped",
}
_COLOURS = {Exit.DONE: "green", Exit.FAILED: "red", Exit.USAGE: "red", Exit.CREDENTIALS: "red"}


def print_report(result: Result, console: Console) -> None:
    """Print what the run did, what it left, and where to read more."""
    colour = _COLOURS.get(result.exit_code, "yellow")
    console.print()
    console.print(
        f"[bold {colour}]{HEADLINES[result.exit_code]}[/] · {result.kind} {result.run_id} · {result.seconds:.1f} s"
    )
    if result.approved_run:
        console.print(f"Only what was approved in the plan of {result.approved_run}.", highlight=False)
    if result.message:
        console.print(result.message, highlight=False)
    for sentence in result.failed_sources:
        console.print(f"[yellow]{sentence} Members came from {result.source}: nothing is archived.", highlight=False)
    if result.source:
        console.print(
            f"{result.members:,} members from {result.source}, {result.contacts:,} contacts in Intercom, "
            f"{sum(result.calls.values()):,} API calls."
        )
    if result.counts:
        console.print(_outcomes(result))
    _print_counts("Left out of the data, as it could not be used", result.left_out, _LEFT_OUT, console)
    _print_counts("For a person to look at", result.findings, {}, console)
    if result.dry_run and result.exit_code == Exit.DONE and result.plan_digest:
        told = f"To do this and nothing else: mynatca-syncjob apply-plan {result.run_id} --digest {result.plan_digest}"
        console.print(told, highlight=False, soft_wrap=True)


def _outcomes(result: Result) -> Table:
    what = _COUNTED[result.kind]
    table = Table(box=SIMPLE_HEAD)
    table.add_column(f"{what} that would be" if result.dry_run else what)
    table.add_column("", justify="right")
    for name, count in result.counts.items():
        if count or name in ("created", "updated", "unchanged"):
            table.add_row(WORDS[name], f"{count:,}", style="red" if name == "failed" and count else "")
    table.add_row("all", f"{result.seen:,}", style="bold")
    return table


def _print_counts(title: str, counts: dict[str, int], words: dict[str, str], console: Console) -> None:
    lines = [(count, words.get(name, name)) for name, count in counts.items() if count]
    if lines:
        console.print(f"[bold]{title}:")
    for count, text in sorted(lines, reverse=True):
        console.print(f"  {count:>6,}  {text}", soft_wrap=True)

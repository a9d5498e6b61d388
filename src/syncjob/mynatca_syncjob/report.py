"""The end of a run in words, for the person at the terminal. No personal data: the plan file has the values."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mynatca_syncjob.result import Exit, Result

_WORDS = {
    "created": "created",
    "updated": "updated",
    "converted": "converted from a lead",
    "unchanged": "agreed already",
    "review": "need a person",
    "failed": "failed",
    "not_reached": "not reached",
    "postponed": "postponed by --limit",
}
_LEFT_OUT = {
    "phone_unparsable": "phones that cannot be phone numbers",
    "name_empty": "empty names",
    "email_unusable": "emails that cannot be addresses",
    "positions_cut": "position lists longer than 255 characters, cut",
    "region_unknown": "regions that the source does not explain",
    "facility_unknown": "facilities that the source does not explain",
    "member_type_unknown": "member types that the source does not explain",
}
_HEADLINES = {
    Exit.DONE: "[bold green]Done",
    Exit.FAILED: "[bold red]Failed",
    Exit.USAGE: "[bold red]Wrong settings",
    Exit.FAILED_ROWS: "[bold yellow]Done, but some members failed",
    Exit.BRAKE: "[bold yellow]Stopped by a brake",
    Exit.CREDENTIALS: "[bold red]Credentials refused",
    Exit.STOPPED: "[bold yellow]Stopped",
}


def print_report(result: Result, console: Console) -> None:
    """Print what the run did, what it left, and where to read more."""
    console.print()
    console.print(f"{_HEADLINES[result.exit_code]}[/] · {result.kind} {result.run_id} · {result.seconds:.1f} s")
    if result.message:
        console.print(result.message, highlight=False)
    if result.counts:
        console.print(
            f"{result.members:,} members from {result.source}, {result.contacts:,} contacts in Intercom, "
            f"{sum(result.calls.values()):,} API calls."
        )
        console.print(_outcomes(result))
    _print_counts("Left out of the data, as it could not be used", result.left_out, _LEFT_OUT, console)
    _print_counts("For a person to look at", result.findings, {}, console)


def _outcomes(result: Result) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("Members that would be" if result.dry_run else "Members")
    table.add_column("", justify="right")
    for name, count in result.counts.items():
        if count or name in ("created", "updated", "unchanged"):
            table.add_row(_WORDS[name], f"{count:,}", style="red" if name == "failed" and count else "")
    table.add_row("all", f"{result.members:,}", style="bold")
    return table


def _print_counts(title: str, counts: dict[str, int], words: dict[str, str], console: Console) -> None:
    lines = [(count, words.get(name, name)) for name, count in counts.items() if count]
    if lines:
        console.print(f"[bold]{title}:")
    for count, text in sorted(lines, reverse=True):
        console.print(f"  {count:>6,}  {text}")

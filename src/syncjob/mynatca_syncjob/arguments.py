"""The command line of `mynatca-syncjob`."""

import argparse
import re
from typing import get_args

from mynatca_intercom.reconcile.brakes import BrakeClass

EXIT_CODES = """exit codes:
  0 done                 1 failed              2 wrong usage or settings
  3 more rows failed than --max-failed-rows    4 stopped by a brake
  5 credentials refused  6 stopped by SIGTERM; run again to go on

Settings come from environment variables: see docs/settings.md."""

_MAPPINGS = """A mappings file says which contact is which member, as a person decided:

  [{"contact_id": "65f0c1...", "member_number": "12345"}]

or CSV with the head line contact_id,member_number; - reads standard input. It is checked whole before the first call.
The run's rows.json says what became of each row, and can be given again: then only those that failed are taken.

"""
_RUN = "the run's id, the name of its folder in RUNS_DIR"


def parser() -> argparse.ArgumentParser:
    """The command line with all commands; `command` names the one that was given."""
    top = argparse.ArgumentParser(
        prog="mynatca-syncjob",
        description="Keeps the organisation's members right in Intercom.",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="command")
    _command(
        commands,
        "sync",
        "bring all Active and Retired members into Intercom",
        "Bring all Active and Retired members into Intercom, and resolve their duplicates.",
    )
    audit = _command(
        commands,
        "audit",
        "enrich and clean what is in Intercom",
        "Judge every contact: enrich those of members, turn leads into users, resolve duplicates, take UUIDs of the "
        "old integration away, archive contacts of nobody without open work.",
    )
    audit.add_argument("--leads-only", action="store_true", help="touch leads only, and users by merges alone")
    audit.add_argument("--no-archive", action="store_true", help="archive nothing, duplicates neither")
    audit.add_argument("--explain", metavar="CONTACT_ID", help="only print how this contact is judged")
    manual = _command(commands, "manual-update", "apply a person's decisions", _MAPPINGS)
    manual.add_argument("file", metavar="FILE", help="mappings file, or - for standard input")
    sweep = _command(
        commands,
        "sweep",
        "carry out what tags ask for, and look at recent conversations",
        "Carry out every conversation that bears the sync tag, and enrich the contacts of recent conversations that "
        "bear no member's number. Meant to run every 15 minutes, beside the webhook or without one.",
    )
    sweep.add_argument(
        "--recent-hours",
        type=_positive,
        default=24,
        metavar="N",
        help="look at conversations that changed within so many hours (default 24)",
    )
    undo = _command(
        commands,
        "undo",
        "take the writes of a run back",
        "Take the writes of a run back, the last one first; what cannot be taken back is listed with the reason.",
    )
    undo.add_argument("run", metavar="RUN", help=_RUN)
    _add_apply_plan(commands)
    show = _bare_command(commands, "show", "print a run's plan", "Print what a run was asked for and its whole plan.")
    show.add_argument("run", metavar="RUN", help=_RUN)
    show.add_argument("--output", choices=("text", "json"), default="text", help="json: the file as it is")
    return top


def _add_apply_plan(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`apply-plan`, which takes over from the plan what other commands are told by flags."""
    apply_plan = _bare_command(
        commands,
        "apply-plan",
        "carry out the plan of a dry run, and nothing else",
        "Run the command of a dry run, with its flags, and do nothing that does not stand in its plan. What changed "
        "meanwhile is left out and counted.",
    )
    apply_plan.add_argument("run", metavar="RUN", help="the dry run's id, the name of its folder in RUNS_DIR")
    apply_plan.add_argument(
        "--digest", type=_digest, required=True, help="the plan's digest, as the dry run and show print it"
    )
    _add_ending_flags(apply_plan)
    apply_plan.set_defaults(dry_run=False)


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    """One command with the flags of all that write."""
    command = _bare_command(commands, name, summary, description)
    command.add_argument("--dry-run", action="store_true", help="decide everything and write nothing")
    command.add_argument(
        "--limit", type=_positive, metavar="N", help="write for at most N members, or contacts that are no member's"
    )
    command.add_argument(
        "--release",
        action="append",
        default=[],
        choices=get_args(BrakeClass),
        help="go on in spite of this brake; may be given several times",
    )
    _add_ending_flags(command)
    return command


def _bare_command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, summary: str, description: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_ending_flags(command: argparse.ArgumentParser) -> None:
    """How a run may end, and what it prints then."""
    command.add_argument(
        "--max-failed-rows",
        type=_number_or_share,
        default=0,
        metavar="N|P%",
        help="rows that may fail, as a number or a share of all, before the exit code is 3 (default 0)",
    )
    command.add_argument(
        "--output",
        choices=("text", "json"),
        help="what to print at the end (default: text on a terminal, else nothing but a log line)",
    )


def _digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no digest: 64 digits and letters a to f are needed")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0, for example 100")
    return int(text)


def _number_or_share(text: str) -> float:
    digits = text.removesuffix("%")
    if not digits.replace(".", "", 1).isdecimal() or (digits == text and not text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor a share, for example 20 or 1%")
    share = float(digits) / 100
    if digits != text and share >= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not below 100%, for example 1%")
    return share if digits != text else int(text)

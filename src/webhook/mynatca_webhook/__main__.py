"""`mynatca-webhook`: serves until SIGTERM, and looks after what its store keeps."""

import argparse
import asyncio
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from mynatca_intercom import logs
from mynatca_intercom.settings import RunSettings, SettingsError, WebhookSettings, load
from mynatca_webhook.configuration import Configuration
from mynatca_webhook.exporting import exported
from mynatca_webhook.supervisor import Supervisor

EXIT_CODES = "exit codes: 0 done, 1 the store does not answer or a port is taken, 2 wrong usage or settings"
BACKLOG = 1024
"""Connections that wait to be accepted."""


def main() -> None:
    """Entry point of the console script."""
    sys.exit(run(sys.argv[1:], os.environ))


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Carry one command out; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        webhook = load(WebhookSettings, environment)
        if options.command == "serve":
            return _serve(environment)
        from mynatca_webhook.commands import look_after  # noqa: PLC0415 - who serves has processes for the heavy parts

        return asyncio.run(look_after(webhook, options))
    except SettingsError as error:
        return _refused(error, 2)
    except OSError as error:  # `StoreUnavailable` is one
        return _refused(error, 1)


def _refused(error: Exception, code: int) -> int:
    print(error, file=sys.stderr)  # noqa: T201 - logging is not set up without settings
    return code


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="mynatca-webhook", description=__doc__, epilog=EXIT_CODES)
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="command")
    commands.add_parser("serve", help="take notifications in and work them")
    commands.add_parser("dead-letters", help="list the events that were given up, with the reasons")
    replay = commands.add_parser("replay", help="let dead letters be worked again")
    replay.add_argument("ids", nargs="*", metavar="NOTIFICATION", help="their ids; default: all")
    export = commands.add_parser(
        "export", help="write the writes of a period as a run folder, for mynatca-syncjob undo"
    )
    export.add_argument("since", type=_moment, help="begin, for example 2026-11-24T02:00:00Z")
    export.add_argument("until", type=_moment, help="end; what was intended from then on is left out")
    export.add_argument("folder", type=Path, help="folder to make, below RUNS_DIR if it is to be undone")
    return top


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no moment, for example 2026-11-24T02:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _serve(environment: Mapping[str, str]) -> int:
    configuration = Configuration.read(environment)
    webhook = configuration.webhook
    settings = load(RunSettings, environment)
    with _listening(webhook) as sock:
        logs.set_up(settings.log_level, "webhook")
        with exported(settings.metrics_port, configuration.cache) as folder:
            return asyncio.run(Supervisor(environment, sock, webhook.grace_seconds, folder).run(webhook.workers))


def _listening(webhook: WebhookSettings) -> socket.socket:
    """The socket of all server processes.

    Raises:
        OSError: there is no such address, or somebody else listens there.
    """
    try:
        kind, *_, address = socket.getaddrinfo(webhook.host, webhook.port, type=socket.SOCK_STREAM)[0]
        both = kind == socket.AF_INET6 and socket.has_dualstack_ipv6()  # `::` means every address, IPv4 too
        return socket.create_server(address[:2], family=kind, backlog=BACKLOG, dualstack_ipv6=both)
    except OSError as error:
        raise OSError(f"WEBHOOK_HOST {webhook.host}, WEBHOOK_PORT {webhook.port}: {error.strerror}.") from None


if __name__ == "__main__":
    main()

"""What looks after a store: lists what was given up, lets it be worked again, exports writes."""

import argparse

from mynatca_intercom.settings import SettingsError, WebhookSettings
from mynatca_webhook.store.errors import BadStoreUrl
from mynatca_webhook.store.event_store import EventStore, open_store


async def look_after(webhook: WebhookSettings, options: argparse.Namespace) -> int:
    """Carry out a command and print its answer; returns the exit code.

    Raises:
        SettingsError: WEBHOOK_STORE is no address of a store.
        StoreUnavailable: it cannot be opened, or does not answer.
        OSError: the run folder cannot be written.
    """
    try:
        async with open_store(webhook.store.get_secret_value()) as store:
            print(await _answer(store, options))  # noqa: T201 - the output that was asked for
    except BadStoreUrl as error:
        raise SettingsError(str(error)) from None
    return 0


async def _answer(store: EventStore, options: argparse.Namespace) -> str:
    if options.command == "replay":
        return f"{await store.replay(options.ids or None)} events are worked again."
    if options.command == "export":
        written = await store.export(options.since, options.until, options.folder)
        return f"{written} writes are in {options.folder}."
    letters = await store.dead_letters()
    lines = [f"{each.event.notification_id}  {each.event.topic}  {each.event.key}  {each.reason}" for each in letters]
    return "\n".join(lines) or "There are no dead letters."

"""What keeps two processes from writing for the same contact or member: their claims and turns, lost and waited for."""

import sqlite3
import time
from contextlib import closing
from dataclasses import replace

from mynatca_sandbox.world.model import Contact
from support.webhook_service import ANN, Service, notification, wait_until


def changed(service: Service, statement: str, *values: object) -> int:
    """Change the store behind the service's back; returns how many rows that concerned."""
    with closing(sqlite3.connect(service.folder / "events.db", timeout=30)) as store, store:
        return store.execute(statement, values).rowcount


def test_who_would_write_waits_while_another_process_has_the_members_turn(service: Service, lead: Contact) -> None:
    service.start()
    free_at = time.time() + 5
    changed(service, "INSERT INTO webhook_turns VALUES (?, 'somebody else', ?, NULL)", f"member {ANN}", free_at)
    service.send(notification(lead.id))
    wait_until(lambda: lead.external_id == ANN)
    assert time.time() >= free_at


def test_a_worker_that_has_lost_its_claim_writes_nothing_more(service: Service, lead: Contact) -> None:
    service.sandbox.options = replace(service.sandbox.options, latency=4)  # so that it loses it long before its write
    service.start(LOG_LEVEL="WARNING")
    service.send(notification(lead.id))
    take = "UPDATE webhook_jobs SET claim = 'somebody else', due_at = due_at + 3600 WHERE claim IS NOT NULL"
    wait_until(lambda: changed(service, take))
    wait_until(lambda: "a job is left to others" in service.log.read_text())
    assert (lead.role, lead.external_id) == ("lead", None)

"""What is old goes by itself while the service runs, and what is not stays."""

import sqlite3
from contextlib import closing
from typing import Any

from mynatca_sandbox.world.model import Contact
from support.webhook_service import ANN, Service, notification, wait_until

ONE_MORE = """
INSERT INTO webhook_events (notification_id, topic, key, created_at, received_at, payload, state, ended_at)
SELECT ?, topic, 'another', created_at, received_at, payload, ?, ended_at - ? * 86400
FROM webhook_events WHERE notification_id = 'notif_1'
"""


def asked(service: Service, sql: str, *values: Any) -> list[Any]:
    with closing(sqlite3.connect(service.folder / "events.db", timeout=10)) as store, store:
        return store.execute(sql, values).fetchall()


def test_old_events_dead_letters_and_writes_go(service: Service, lead: Contact) -> None:
    service.start(WEBHOOK_MAX_ATTEMPTS="1")
    service.send(notification(lead.id))
    wait_until(lambda: lead.external_id == ANN)
    wait_until(lambda: asked(service, "SELECT 1 FROM webhook_events WHERE state = 'done'"))
    service.stop()
    for number, (state, age_days) in enumerate([("done", 6), ("done", 8), ("dead", 19), ("dead", 21), ("waiting", 99)]):
        asked(service, ONE_MORE, f"n{number}", state, age_days)
    asked(service, "UPDATE webhook_journal SET at = at - 21 * 86400")

    service.start(WEBHOOK_KEEP_DAYS="20")
    wait_until(lambda: not asked(service, "SELECT 1 FROM webhook_journal"))

    left = [row[0] for row in asked(service, "SELECT notification_id FROM webhook_events ORDER BY id")]
    assert left == ["notif_1", "n0", "n2", "n4"]

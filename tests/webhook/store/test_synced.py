"""When a contact was last in line."""

from collections.abc import Callable, Coroutine
from typing import Any

from mynatca_webhook.store.event_store import EventStore

InStore = Callable[[Callable[[EventStore], Coroutine[Any, Any, None]]], None]


async def note(store: EventStore, *contact_ids: str) -> None:
    for contact_id in contact_ids:
        store.note_synced(contact_id)
    await store.journal.flush()


def test_the_last_time_counts(in_store: InStore) -> None:
    async def scenario(store: EventStore) -> None:
        assert await store.last_synced("c1") is None
        await note(store, "c2", "c1", "c1")
        first = await store.last_synced("c1")
        assert first is not None

        await note(store, "c2")
        assert await store.last_synced("c1") == first
        while await store.last_synced("c1") == first:
            await note(store, "c1")

        assert (await store.last_synced("c1") or first) > first

    in_store(scenario)

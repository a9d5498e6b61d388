"""The nightly sync: calls, time and memory of quiet nights, of first nights, and of nights with a bad network."""

from benchmarks.figures import Figures
from benchmarks.workspace import LIMIT, WINDOW_SECONDS, Night, workspace


def quiet() -> Figures:
    """A night without changes, and one with 200 changed members, at 50 ms a call."""
    with workspace(members=20_000, contacts="synced", latency=0.05, limit=LIMIT) as place:
        quiet_night = place.night()
        place.change_members(200)
        changed = place.night()
    return {
        "sync.quiet_20k.list_calls": (quiet_night.list_calls, "calls", "≤ 134"),
        "sync.quiet_20k.other_calls": (quiet_night.other_calls, "calls", "≤ 5"),
        "sync.quiet_20k.source_calls": (quiet_night.source_calls, "calls", ""),
        "sync.quiet_20k.writes": (quiet_night.writes, "calls", "0"),
        "sync.quiet_20k.seconds_at_50ms": (quiet_night.result["seconds"], "s", "≤ 10"),
        "sync.changed_200.writes": (changed.writes, "calls", "200"),
        "sync.changed_200.calls": (changed.intercom_calls, "calls", "≤ 345"),
        "sync.changed_200.seconds_at_50ms": (changed.result["seconds"], "s", "≤ 12"),
    }


def create() -> Figures:
    """First nights that create everybody: 20,000 at 10,000 calls a minute, fewer at the limits of smaller plans."""
    return {
        **_creation("sync.create_20k", members=20_000, limit=LIMIT),
        **_creation("sync.create_1660_at_166", members=1_660, limit=166),
        **_creation("sync.create_830_at_83", members=830, limit=83),
    }


def _creation(key: str, members: int, limit: int) -> Figures:
    with workspace(members=members, contacts="none", latency=0.05, limit=limit) as place:
        night = place.night()
        users = {contact["external_id"] for contact in place.contacts() if contact["role"] == "user"}
    allowed_seconds = members / limit * WINDOW_SECONDS
    created = night.result["counts"]["created"]
    figures: Figures = {
        f"{key}.limit_time_ratio": (round(night.result["seconds"] / allowed_seconds, 4), "ratio", "≤ 1.10"),
        f"{key}.rejected_share": (round(night.rejected_share, 5), "share", "≤ 0.01"),
        f"{key}.lost": (members - min(len(users), created), "rows", "0"),
    }
    if members >= 20_000:
        figures["sync.create_20k.peak_mb"] = (round(night.run.peak_mb, 1), "MB", "≤ 250")
    return figures


def size() -> Figures:
    """CPU time per contact and peak memory of the sync's own process, on quiet nights."""
    small, large = (_quiet_night_of(members) for members in (20_000, 200_000))
    return {
        "sync.cpu_ms_per_contact_20k": (round(small.run.cpu_seconds / 20_000 * 1000, 4), "ms", ""),
        "sync.cpu_ms_per_contact_200k": (round(large.run.cpu_seconds / 200_000 * 1000, 4), "ms", "≤ that of 20k"),
        "sync.peak_mb_20k": (round(small.run.peak_mb, 1), "MB", "≤ 250"),
        "sync.peak_mb_200k": (round(large.run.peak_mb, 1), "MB", "≤ 10 times that of 20k"),
    }


def _quiet_night_of(members: int) -> Night:
    with workspace(members=members, contacts="synced", limit="none") as place:
        night = place.night()
    if night.run.exit_code or night.writes:
        raise SystemExit(f"not a quiet night of {members} members: {night.result}")
    return night


def faults() -> Figures:
    """The same disorder with and without a bad network: the end state must be the same."""
    world = {"members": 5_000, "contacts": "troubled", "limit": "none"}
    with workspace(**world) as calm:
        calm.night()
        expected = calm.contacts()
    faults = {"fault_5xx": 0.02, "fault_429": 0.02, "fault_drop_after": 0.01}
    with workspace(**world, **faults) as rough:
        night = rough.night()
        found = rough.contacts()
    gone = ("archived", "merged_into", "deleted")
    live = [contact for contact in found if contact["role"] == "user" and not any(contact[state] for state in gone)]
    numbers = [contact["external_id"] for contact in live if contact["external_id"]]
    return {
        "sync.faults.same_end_state": (int(found == expected), "bool", "1"),
        "sync.faults.duplicates": (len(numbers) - len(set(numbers)), "contacts", "0"),
        "sync.faults.failed_rows": (night.result["counts"]["failed"], "rows", "0"),
    }

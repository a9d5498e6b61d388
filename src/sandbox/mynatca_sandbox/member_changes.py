"""Changes members as a day at the union does, so that a night has a known number of updates to do."""

import random
from collections import Counter
from typing import Any

from mynatca_sandbox.intercom.store import is_live
from mynatca_sandbox.world.model import World

SYNCED_STATUSES = frozenset({"Active", "Retired"})
# With 555-01XX these are numbers that nobody has.
AREA_CODES = ("202", "212", "303", "312", "404", "415", "512", "617", "702", "713", "808", "907")


def change_members(world: World, count: int, seed: int) -> list[str]:
    """Change the phone or facility of `count` members and return their numbers.

    Eligible are synced members with exactly one live user, which has their number, their email and no rival:
    nothing but the change itself is then left to write.

    Raises:
        ValueError: fewer members than `count` are eligible.
    """
    chooser = random.Random(seed)  # noqa: S311  - repeatable on purpose
    eligible = _eligible(world)
    if count > len(eligible):
        raise ValueError(f"{count} changes asked for, {len(eligible)} members are eligible")
    chosen = chooser.sample(eligible, count)
    for member in chosen:
        _change(member, world, chooser)
    return [member["membernumber"] for member in chosen]


def _eligible(world: World) -> list[dict[str, Any]]:
    live = [contact for contact in world.contacts if is_live(contact)]
    emails = Counter(contact.email for contact in live)
    users = {(contact.external_id, contact.email) for contact in live if contact.role == "user"}
    return [
        member
        for member in world.tables.get("members", [])
        if member["status"] in SYNCED_STATUSES
        and member["email"]
        and emails[_folded(member["email"])] == 1
        and (member["membernumber"], _folded(member["email"])) in users
    ]


def _folded(email: str) -> str:
    return email.strip().lower()


def _change(member: dict[str, Any], world: World, chooser: random.Random) -> None:
    facilities = [
        row["id"]
        for row in world.tables.get("facilities", [])
        if row["region_id"] == member["region_id"] and row["id"] != member["facility_id"]
    ]
    # A retired member's facility is not synced.
    if member["status"] == "Active" and facilities and chooser.random() < 0.5:
        member["facility_id"] = chooser.choice(facilities)
        return
    numbers = {f"+1{area}55501{line:02}" for area in AREA_CODES for line in range(100)} - {member["phone"]}
    member["phone"] = chooser.choice(sorted(numbers))

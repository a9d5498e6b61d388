"""The day's changes in the registry: what makes a nightly sync have something to do."""

import random

from mynatca_sandbox.world.model import World
from mynatca_sandbox.world.places import RETIRED_CODE
from mynatca_sandbox.world.population import Row, is_eligible, timestamp
from mynatca_sandbox.world.reachability import AREA_CODES, PHONE_STYLES, e164


def change_members(world: World, count: int, seed: int) -> list[str]:
    """Change the phone or the facility of so many active members with an email, and return their numbers.

    Every change alters what Intercom should say, so that a member whose user was right needs exactly one update.

    Raises:
        ValueError: The world has fewer such members.
    """
    rng = random.Random(seed)  # noqa: S311  - changes are to be repeatable, not secret
    active = [row for row in world.tables["members"] if row["status"] == "Active" and is_eligible(row)]
    members = rng.sample(active, count)
    for member in members:
        rng.choice((_change_phone, _change_facility))(world, member, rng)
        member["updated_at"] = timestamp(world.now)
    return [member["membernumber"] for member in members]


def _change_phone(_: World, member: Row, rng: random.Random) -> None:
    before = member["phone"]
    while e164(member["phone"]) == e164(before) or not e164(member["phone"]):
        line = f"{rng.randrange(100, 200):04d}"
        member["phone"] = rng.choice(PHONE_STYLES).format(area=rng.choice(AREA_CODES), exchange="555", line=line)


def _change_facility(world: World, member: Row, rng: random.Random) -> None:
    others = [
        facility
        for facility in world.tables["facilities"]
        if facility["id"] != member["facility_id"] and facility["code"] != RETIRED_CODE
    ]
    facility = rng.choice(others)
    member.update(facility_id=facility["id"], region_id=facility["region_id"])

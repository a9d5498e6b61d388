"""Makes a world from a seed: Supabase's tables, and one of several states of the Intercom workspace."""

import random
from dataclasses import dataclass
from typing import Final, Literal

from mynatca_sandbox.world.mapping import ATTRIBUTES
from mynatca_sandbox.world.model import World
from mynatca_sandbox.world.population import Row, is_eligible, tables
from mynatca_sandbox.world.suite import plant_suite
from mynatca_sandbox.world.trouble import make_stale, plant_trouble
from mynatca_sandbox.world.workspace import LEGACY_ATTRIBUTES, Workspace

DEFAULT_NOW: Final = 1_795_176_000
"""2026-11-20 12:00 UTC, a fixed moment so that a seed means the same world on every day."""


@dataclass(frozen=True, slots=True)
class WorldOptions:
    """What to generate. Equal options give equal worlds.

    Attributes:
        seed: Of all randomness.
        members: Members that the nightly sync keeps in Intercom: Active or Retired, with an email. Former members
            (8 %) and active ones without an email (1 %) come on top.
        contacts: `none` is an empty workspace, `synced` one where every such member has exactly one right user,
            `troubled` one that shows what years leave behind (see `trouble`), `suite` that and more of what is
            hard, each case noted by kind in `World.planted` (see `suite`).
        stale: In a synced world, this many users have one owned field out of date.
        now: The world's present, in Unix seconds; None is a fixed moment in November 2026.
    """

    seed: int = 1
    members: int = 20_000
    contacts: Literal["troubled", "suite", "synced", "none"] = "troubled"
    stale: int = 0
    now: int | None = None


def generate(options: WorldOptions) -> World:
    """The world that the options describe."""
    rng = random.Random(options.seed)  # noqa: S311  - worlds are to be repeatable, not secret
    now = DEFAULT_NOW if options.now is None else options.now
    workspace = Workspace(World(now=now, tables=tables(rng, options.members, now)), rng)
    workspace.furnish()
    if options.contacts == "synced":
        _sync(workspace, options.stale)
    elif options.contacts != "none":
        workspace.define_attributes(ATTRIBUTES + LEGACY_ATTRIBUTES)
        plant = plant_suite if options.contacts == "suite" else plant_trouble
        plant(workspace)
    return workspace.world


def _sync(workspace: Workspace, stale: int) -> None:
    workspace.define_attributes()
    eligible: list[Row] = [member for member in workspace.world.tables["members"] if is_eligible(member)]
    users = [workspace.user(member) for member in eligible]
    for user in workspace.rng.sample(users, stale):
        make_stale(workspace, user)

"""What years leave behind in an Intercom workspace: one small planter per kind of trouble, and the usual mix.

A planter adds its contacts to the world, notes in `World.truth` who they really are, and leaves the members alone.
A planter that takes a member expects one that has no contact yet. `plant_trouble` decides how much of each there
is; up to 20,000 members its shares stay below the limits at which a careful sync stops and asks (500 contacts or
5 % archived, 10 % created, half updated).
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final

from mynatca_sandbox.world.model import Contact, Conversation, ConversationState
from mynatca_sandbox.world.names import random_name
from mynatca_sandbox.world.population import Row, is_eligible
from mynatca_sandbox.world.reachability import AREA_CODES
from mynatca_sandbox.world.union import TITLES
from mynatca_sandbox.world.workspace import LEGACY_ATTRIBUTES, SYNC_TAG, VERIFICATION, Workspace

STRANGERS_DOMAIN: Final = "elsewhere.example.net"
"""No member has an address there."""
FORMER_DOMAIN: Final = "formerly.example.org"
"""Where members had their addresses before the ones in the registry; nobody has one there now."""


def make_stale(workspace: Workspace, user: Contact) -> None:
    """Put one owned field of a right user out of date, so that one update mends it."""
    changes: list[Callable[[Workspace, Contact], None]] = [
        _age_name,
        _age_email,
        _age_facility,
        _age_positions,
        _age_type,
    ]
    if user.phone:
        changes.append(_age_phone)
    workspace.rng.choice(changes)(workspace, user)


def _age_name(workspace: Workspace, user: Contact) -> None:
    given, family = random_name(workspace.rng)
    user.name = f"{given} {family}-Formerly"


def _age_email(workspace: Workspace, user: Contact) -> None:
    user.email = f"{workspace.uuid()[:13]}@{FORMER_DOMAIN}"


def _age_phone(workspace: Workspace, user: Contact) -> None:
    user.phone = f"+1{workspace.rng.choice(AREA_CODES)}5559{workspace.rng.randrange(1000):03d}"


def _age_facility(_: Workspace, user: Contact) -> None:
    user.custom_attributes["facility"] = "ZAU" if user.custom_attributes.get("facility") != "ZAU" else "ZNY"


def _age_positions(workspace: Workspace, user: Contact) -> None:
    if user.custom_attributes.pop("positions", None) is None:
        user.custom_attributes["positions"] = workspace.rng.choice(TITLES)


def _age_type(_: Workspace, user: Contact) -> None:
    if user.custom_attributes.pop("member_type", None) is None:
        user.custom_attributes["member_type"] = "Current Member"


def plant_good_user(workspace: Workspace, member: Row) -> Contact:
    """A user right in every field."""
    return workspace.user(member)


def plant_stale_user(workspace: Workspace, member: Row) -> Contact:
    """A user with one owned field out of date."""
    user = workspace.user(member)
    make_stale(workspace, user)
    return user


def plant_odd_case_email(workspace: Workspace, member: Row) -> Contact:
    """A user whose address Intercom holds in capitals."""
    user = workspace.user(member)
    user.email = user.email and user.email.upper()
    return user


def plant_wordpress_user(workspace: Workspace, member: Row) -> Contact:
    """A user with the UUID of the old WordPress integration, which knew nothing but name and email."""
    return workspace.user(member, external_id=workspace.uuid(), phone=None, custom_attributes={})


def plant_user_without_id(workspace: Workspace, member: Row) -> Contact:
    """A user without an external id, as imports and teammates make them."""
    return workspace.user(member, external_id=None, phone=None, custom_attributes={})


def plant_legacy_number(workspace: Workspace, member: Row) -> Contact:
    """A user whose number is only in a legacy attribute; every other one has an earlier email address, too."""
    attribute = workspace.rng.choice(LEGACY_ATTRIBUTES)
    user = workspace.user(member, external_id=None, custom_attributes={attribute: member["membernumber"]})
    if workspace.rng.random() < 1 / 2:
        _age_email(workspace, user)
    return user


def plant_lead_of_member(workspace: Workspace, member: Row) -> Contact:
    """A lead with the email of a member who is no user."""
    return workspace.lead(member, email=(member["email"] or "").strip().lower())


def plant_lead_beside_user(workspace: Workspace, member: Row) -> tuple[Contact, Contact]:
    """A right user, and a lead of the same person."""
    return workspace.user(member), plant_lead_of_member(workspace, member)


def plant_several_leads(workspace: Workspace, member: Row) -> list[Contact]:
    """Three leads of one person who is no user."""
    return [plant_lead_of_member(workspace, member) for _ in range(3)]


def plant_lead_of_nobody(workspace: Workspace) -> Contact:
    """A lead with an email that no member has."""
    return workspace.lead(None, email=f"visitor.{workspace.uuid()[:8]}@{STRANGERS_DOMAIN}")


def plant_lead_without_email(workspace: Workspace) -> Contact:
    """A visitor who wrote and left no address."""
    return workspace.lead(None)


def plant_duplicate_of_wordpress_user(workspace: Workspace, member: Row) -> tuple[Contact, Contact]:
    """Two users with one email: the right one, and one of the WordPress integration."""
    return workspace.user(member), plant_wordpress_user(workspace, member)


def plant_duplicate_wordpress_users(workspace: Workspace, member: Row) -> tuple[Contact, Contact]:
    """Two users with one email, each with a UUID of its own."""
    return plant_wordpress_user(workspace, member), plant_wordpress_user(workspace, member)


def plant_unknown_number(workspace: Workspace, member: Row) -> Contact:
    """A user with the member's name and email, and a number that nobody has."""
    return workspace.user(member, external_id=f"99{workspace.rng.randrange(100_000):05d}")


def plant_swapped_numbers(workspace: Workspace, member: Row, other: Row) -> tuple[Contact, Contact]:
    """Two users, each with the number of the other one: name and email contradict it."""
    return (
        workspace.user(member, external_id=other["membernumber"]),
        workspace.user(other, external_id=member["membernumber"]),
    )


def plant_archived_holder(workspace: Workspace, member: Row) -> Contact:
    """The member's only user, archived: it still holds the number."""
    return workspace.user(member, archived=True)


def plant_archived_holder_beside_user(workspace: Workspace, member: Row) -> tuple[Contact, Contact]:
    """A user with a UUID, and an archived one that holds the number."""
    return plant_wordpress_user(workspace, member), plant_archived_holder(workspace, member)


def plant_archived_email(workspace: Workspace, member: Row) -> tuple[Contact, Contact]:
    """A right user, and an archived one with the same email."""
    return workspace.user(member), workspace.user(member, external_id=workspace.uuid(), archived=True)


def plant_merged_holder(workspace: Workspace, member: Row) -> tuple[Contact, Contact]:
    """A user with a UUID, and the one that was merged into it: it holds the number and can never come back."""
    survivor = plant_wordpress_user(workspace, member)
    return survivor, workspace.user(member, merged_into=survivor.id)


def plant_deleted_holder(workspace: Workspace, member: Row) -> Contact:
    """The member's only user, permanently deleted a moment ago: the number stays blocked for days."""
    return workspace.user(member, archived=True, deleted=True)


def plant_former_member(workspace: Workspace, member: Row) -> Contact:
    """The user of a member who left, as the sync last saw it: still a current member."""
    user = workspace.user(member)
    user.custom_attributes["member_type"] = "Current Member"
    return user


def plant_stranger(workspace: Workspace) -> Contact:
    """A user who is nobody's: an old account of the website."""
    given, family = random_name(workspace.rng)
    email = f"account.{workspace.uuid()[:8]}@{STRANGERS_DOMAIN}"
    return workspace.contact(None, role="user", external_id=workspace.uuid(), email=email, name=f"{given} {family}")


def plant_namesake(workspace: Workspace, member: Row) -> Contact:
    """A stranger with a member's name."""
    stranger = plant_stranger(workspace)
    stranger.name = workspace.mapping.fields(member)["name"]
    return stranger


def plant_family_email(workspace: Workspace, member: Row) -> Contact:
    """A user known by an email alone; where a family shares it, nothing tells which of them this is."""
    return workspace.user(member, external_id=None, name=None, phone=None, custom_attributes={})


_OF_MEMBERS: Final[tuple[tuple[float, Callable[[Workspace, Row], object]], ...]] = (
    (0.62, plant_good_user),
    (0.06, plant_stale_user),
    (0.08, plant_wordpress_user),
    (0.03, plant_user_without_id),
    (0.02, plant_legacy_number),
    (0.005, plant_odd_case_email),
    (0.04, plant_lead_of_member),
    (0.03, plant_lead_beside_user),
    (0.005, plant_several_leads),
    (0.006, plant_duplicate_of_wordpress_user),
    (0.002, plant_duplicate_wordpress_users),
    (0.002, plant_unknown_number),
    (0.005, plant_archived_holder),
    (0.004, plant_archived_holder_beside_user),
    (0.004, plant_archived_email),
    (0.003, plant_merged_holder),
    (0.001, plant_deleted_holder),
)
"""Kind and share of the eligible members; the remaining ones have no contact at all."""
_OF_NOBODY: Final[tuple[tuple[float, Callable[[Workspace], object]], ...]] = (
    (0.005, plant_lead_of_nobody),
    (0.003, plant_lead_without_email),
    (0.006, plant_stranger),
)
_SWAPPED_SHARE: Final = 0.0015
_NAMESAKE_SHARE: Final = 0.002
_FAMILY_SHARE: Final = 0.004
_FORMER_SHARE: Final = 0.02


def plant_trouble(workspace: Workspace) -> None:
    """Plant everything on the world's members, who have no contacts yet."""
    members = workspace.rng.sample(workspace.world.tables["members"], len(workspace.world.tables["members"]))
    plant_mix(workspace, members)


def plant_mix(workspace: Workspace, members: list[Row]) -> None:
    """Plant everything on these members, in shares of the eligible ones; each kind at least once."""
    before = len(workspace.world.contacts)
    eligible = [member for member in members if is_eligible(member)]
    size = len(eligible)
    families, others = _divided(eligible, math.ceil(size * _FAMILY_SHARE))
    for member in families:
        plant_family_email(workspace, member)
    _plant_on_members(workspace, others, size)
    for share, plant in _OF_NOBODY:
        for _ in range(math.ceil(size * share)):
            plant(workspace)
    former = (member for member in members if member["status"] not in {"Active", "Retired"})
    for member in islice(former, math.ceil(size * _FORMER_SHARE)):
        plant_former_member(workspace, member)
    plant_activity(workspace, workspace.world.contacts[before:])


def _divided(eligible: list[Row], families: int) -> tuple[list[Row], list[Row]]:
    """Up to so many members who share an email, no two of them the same one, and all the others."""
    count = Counter(email_of(member) for member in eligible)
    shared = {email_of(member): member for member in eligible if count[email_of(member)] > 1}
    chosen = list(islice(shared.values(), families))
    taken = {member["membernumber"] for member in chosen}
    return chosen, [member for member in eligible if member["membernumber"] not in taken]


def email_of(member: Row) -> str:
    """An eligible member's address, as Intercom should show it."""
    return str(member["email"]).strip().lower()


def _plant_on_members(workspace: Workspace, members: list[Row], size: int) -> None:
    rest = iter(members)
    for share, plant in _OF_MEMBERS:
        for member in islice(rest, math.ceil(size * share)):
            plant(workspace, member)
    for member, other in islice(_pairs(rest), math.ceil(size * _SWAPPED_SHARE)):
        plant_swapped_numbers(workspace, member, other)
    for member in islice(rest, math.ceil(size * _NAMESAKE_SHARE)):
        plant_namesake(workspace, member)


def _pairs(members: Iterator[Row]) -> Iterator[tuple[Row, Row]]:
    return zip(members, members, strict=False)


def plant_activity(workspace: Workspace, contacts: list[Contact]) -> None:
    """Conversations, tickets, notes and tags for a part of the living contacts; more for those in need of help."""
    tags = [workspace.tag_id(name) for name in ("arbitration", "dues", "insurance", "retirement", "vip")]
    for contact in contacts:
        if contact.archived or contact.merged_into:
            continue
        chance = 0.08 if contact.external_id == workspace.world.truth[contact.id] else 0.3
        if workspace.rng.random() < chance:
            _plant_conversation(workspace, contact)
        if workspace.rng.random() < chance / 8:
            workspace.ticket(contact, state_category=workspace.rng.choice(("submitted", "in_progress", "resolved")))
        if workspace.rng.random() < chance / 4:
            workspace.note(contact)
        if workspace.rng.random() < chance / 2:
            contact.tag_ids.append(workspace.rng.choice(tags))


_STATES: Final[tuple[ConversationState, ...]] = ("open", "open", "open", "snoozed") + 6 * ("closed",)


def _plant_conversation(workspace: Workspace, contact: Contact) -> None:
    state = workspace.rng.choice(_STATES)
    conversation = workspace.conversation(contact, state, parts=workspace.rng.randint(1, 5))
    unknown = contact.external_id != workspace.world.truth[contact.id]
    if unknown and workspace.rng.random() < 1 / 6:
        plant_verification(workspace, conversation)


def plant_verification(workspace: Workspace, conversation: Conversation) -> None:
    """A teammate noted the contact's member number in the conversation and asked for a sync.

    Where the contact is nobody's, what was noted is no number.
    """
    number = workspace.world.truth[conversation.contact_ids[0]]
    conversation.custom_attributes[VERIFICATION] = number or "not a member?"
    conversation.tag_ids.append(workspace.tag_id(SYNC_TAG))
    conversation.parts[-1].tag_ids.append(workspace.tag_id(SYNC_TAG))

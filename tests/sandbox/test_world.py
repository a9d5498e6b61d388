"""The seeded world: the same seed gives the same people, and every kind of trouble is there and told apart by `truth`.

What a right user looks like is checked here by rules written anew, not by the generator's own mapping.
"""

import random
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import phonenumbers
import pytest

from mynatca_sandbox.world import trouble
from mynatca_sandbox.world.change import change_members
from mynatca_sandbox.world.generate import WorldOptions, generate
from mynatca_sandbox.world.model import Contact, World
from mynatca_sandbox.world.places import facility_rows, region_rows
from mynatca_sandbox.world.workspace import Workspace

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def synced() -> World:
    return generate(WorldOptions(members=2000, contacts="synced"))


@pytest.fixture(scope="module")
def troubled() -> World:
    return generate(WorldOptions(members=2000))


@pytest.fixture
def workspace() -> Workspace:
    """Return an empty workspace and 50 members, for single planters."""
    return Workspace(generate(WorldOptions(members=50, contacts="none")), random.Random(7))


def with_email(world: World, *statuses: str) -> list[dict[str, Any]]:
    return [
        row for row in world.tables["members"] if row["status"] in statuses and row["email"] and row["email"].strip()
    ]


def by_number(world: World) -> dict[str, dict[str, Any]]:
    return {row["membernumber"]: row for row in world.tables["members"]}


def email_of(member: dict[str, Any]) -> str:
    return str(member["email"]).strip().lower()


class TestSeed:
    def test_equal_options_give_equal_worlds(self) -> None:
        assert generate(WorldOptions(seed=5, members=300)) == generate(WorldOptions(seed=5, members=300))

    def test_another_seed_gives_other_people(self) -> None:
        one, other = (generate(WorldOptions(seed=seed, members=300)) for seed in (5, 6))

        assert one.tables["members"] != other.tables["members"]

    def test_the_state_of_the_workspace_does_not_change_the_members(self) -> None:
        troubled, none = (generate(WorldOptions(members=300, contacts=kind)) for kind in ("troubled", "none"))

        assert troubled.tables == none.tables

    @pytest.mark.parametrize("members", [0, 1, 2, 10])
    @pytest.mark.parametrize("contacts", ["troubled", "synced", "none"])
    def test_tiny_worlds_are_worlds(self, members: int, contacts: Any) -> None:
        world = generate(WorldOptions(members=members, contacts=contacts))

        assert len(with_email(world, "Active", "Retired")) == members


class TestMembers:
    def test_as_many_are_eligible_as_asked_for_and_others_come_on_top(self, synced: World) -> None:
        members = synced.tables["members"]

        assert len(with_email(synced, "Active", "Retired")) == 2000
        assert len(with_email(synced, "Retired")) == 600
        assert Counter(row["status"] in {"Active", "Retired"} for row in members)[False] == 160
        assert {row["email"] for row in members if not (row["email"] or "").strip()} >= {None, ""}

    def test_numbers_are_different_texts_that_sort_unlike_numbers(self, synced: World) -> None:
        numbers = [row["membernumber"] for row in synced.tables["members"]]

        assert len(set(numbers)) == len(numbers)
        assert all(re.fullmatch(r"\d{5,6}", number) for number in numbers)
        assert sorted(numbers) != sorted(numbers, key=int)
        assert any(number.startswith("0") for number in numbers)

    def test_every_reference_leads_somewhere(self, synced: World) -> None:
        tables = synced.tables
        ids = {name: {row["id"] for row in tables[name]} for name in ("regions", "facilities", "member_types")}
        numbers = {row["membernumber"] for row in tables["members"]}

        assert {row["region_id"] for row in tables["members"] + tables["facilities"]} <= ids["regions"]
        assert {row["facility_id"] for row in tables["members"] + tables["positions"]} <= ids["facilities"] | {None}
        assert {row["membertypeid"] for row in tables["members"]} <= ids["member_types"] | {None}
        assert {row["membernumber"] for row in tables["positions"]} <= numbers

    def test_facilities_have_real_looking_unique_codes(self) -> None:
        codes = [row["code"] for row in facility_rows()]

        assert len(codes) == len(set(codes)) >= 150
        assert all(re.fullmatch(r"[A-Z0-9]{3,4}", code) for code in codes)
        assert {row["region_id"] for row in facility_rows()} == {row["id"] for row in region_rows()}

    def test_usable_phones_are_valid_and_the_others_cannot_be_parsed(self, synced: World) -> None:
        usable = [row["phone"] for row in synced.tables["members"] if sum(map(str.isdigit, row["phone"] or "")) >= 10]
        rest = {row["phone"] for row in synced.tables["members"]} - set(usable)

        assert all(phonenumbers.is_possible_number(phonenumbers.parse(phone, "US")) for phone in usable)
        assert {None, "", "n/a"} <= rest
        assert len(rest) < 10

    def test_addresses_are_in_domains_reserved_for_examples(self, synced: World) -> None:
        addresses = {email_of(row) for row in with_email(synced, "Active", "Retired")}

        assert all(re.search(r"[@.]example\.(com|net|org)$", address) for address in addresses)
        assert max(len(address.split("@")[0]) for address in addresses) <= 64

    def test_families_share_emails_and_namesakes_share_names(self, synced: World) -> None:
        members = with_email(synced, "Active", "Retired")
        emails = Counter(email_of(row) for row in members)
        names = Counter((row["firstname"], row["lastname"]) for row in members)

        assert 25 <= sum(count > 1 for count in emails.values()) <= 60
        assert sum(count > 1 for count in names.values()) >= 8


class TestSyncedWorld:
    def test_there_is_one_user_for_each_eligible_member_and_nothing_else(self, synced: World) -> None:
        numbers = [contact.external_id for contact in synced.contacts]

        assert sorted(map(str, numbers)) == sorted(
            row["membernumber"] for row in with_email(synced, "Active", "Retired")
        )
        assert {contact.role for contact in synced.contacts} == {"user"}
        assert not any(contact.archived or contact.deleted or contact.merged_into for contact in synced.contacts)
        assert synced.truth == {contact.id: contact.external_id for contact in synced.contacts}

    def test_email_and_name_are_tidied(self, synced: World) -> None:
        members = by_number(synced)

        for contact in synced.contacts:
            member = members[str(contact.external_id)]
            assert contact.email == email_of(member)
            assert contact.name == re.sub(r"\s+", " ", f"{member['firstname']} {member['lastname']}").strip()

    def test_phones_are_in_e164_form_or_absent(self, synced: World) -> None:
        members = by_number(synced)

        for contact in synced.contacts:
            typed = members[str(contact.external_id)]["phone"] or ""
            digits = re.sub(r"\D", "", re.split("x|ext", typed)[0])
            expected = f"+1{digits[-10:]}" if not typed.startswith(("+4", "+3", "+6")) else f"+{digits}"
            assert contact.phone == (expected if len(digits) >= 10 else None)

    def test_the_attributes_of_retired_members_are_those_of_retirement(self, synced: World) -> None:
        members = by_number(synced)
        retired = [c for c in synced.contacts if members[str(c.external_id)]["status"] == "Retired"]
        expected = {"member_type": "Retired Member", "region": "RNAV", "facility": "RNAV"}

        assert retired
        assert all(expected.items() <= contact.custom_attributes.items() for contact in retired)

    def test_active_members_have_type_region_and_facility_from_the_tables(self, synced: World) -> None:
        members = by_number(synced)
        types = {row["id"]: row["type_name"] for row in synced.tables["member_types"]} | {6: "Current Member"}
        regions = {row["id"]: row["code"] for row in synced.tables["regions"]}
        facilities = {row["id"]: row["code"] for row in synced.tables["facilities"]}
        active = [c for c in synced.contacts if members[str(c.external_id)]["status"] == "Active"]

        for contact in active:
            member, attributes = members[str(contact.external_id)], contact.custom_attributes
            assert attributes.get("member_type") == types.get(member["membertypeid"])
            assert attributes.get("region") == regions.get(member["region_id"])
            assert attributes.get("facility") == facilities.get(member["facility_id"])
        assert {contact.custom_attributes.get("member_type") for contact in active} > {"Current Member", "Staff"}

    def test_positions_are_the_current_titles_once_each_and_in_order(self, synced: World) -> None:
        current: dict[str, set[str]] = {}
        for row in synced.tables["positions"]:
            if row["end_date"] is None:
                current.setdefault(row["membernumber"], set()).add(row["positiontype"])

        for contact in synced.contacts:
            titles = str(contact.custom_attributes.get("positions", "")).split(", ")
            expected = sorted(current.get(str(contact.external_id), {""}))
            assert titles == expected[: len(titles)]
            assert len(titles) == len(expected) or len(", ".join(expected[: len(titles) + 1])) > 255

    def test_long_positions_are_cut_between_two_titles(self) -> None:
        world = generate(WorldOptions(members=6000, contacts="synced"))
        longest = max((str(c.custom_attributes.get("positions", "")) for c in world.contacts), key=len)
        known = {row["positiontype"] for row in world.tables["positions"]}

        assert 200 < len(longest) <= 255
        assert set(longest.split(", ")) <= known

    def test_titles_repeat_and_end(self, synced: World) -> None:
        held = Counter((row["membernumber"], row["positiontype"]) for row in synced.tables["positions"])

        assert max(held.values()) > 1
        assert any(row["end_date"] for row in synced.tables["positions"])

    def test_the_owned_attributes_are_defined(self, synced: World) -> None:
        defined = {(attribute.name, attribute.data_type) for attribute in synced.data_attributes}

        assert defined == {(name, "string") for name in ("member_type", "region", "facility", "positions")}

    def test_stale_makes_exactly_one_field_of_so_many_users_differ(self) -> None:
        right = generate(WorldOptions(members=400, contacts="synced"))
        stale = generate(WorldOptions(members=400, contacts="synced", stale=60))
        differences = [
            _differing_fields(one, other)
            for one, other in zip(right.contacts, stale.contacts, strict=True)
            if one != other
        ]

        assert len(differences) == 60
        assert {len(fields) for fields in differences} == {1}
        assert set().union(*differences) == {"name", "email", "phone", "member_type", "facility", "positions"}


def _differing_fields(one: Contact, other: Contact) -> set[str]:
    def fields(contact: Contact) -> set[tuple[str, object]]:
        own = {(name, getattr(contact, name)) for name in ("external_id", "name", "email", "phone", "role")}
        return own | set(contact.custom_attributes.items())

    return {name for name, _ in fields(one) ^ fields(other)}


class TestEmptyWorkspace:
    def test_it_has_teammates_and_tags_but_nobody_to_write_to(self) -> None:
        world = generate(WorldOptions(members=50, contacts="none"))

        assert world.contacts == []
        assert world.data_attributes == []
        assert 2 <= len(world.admins) <= 3
        assert "mynatca-sync" in world.tags.values()
        assert [attribute.name for attribute in world.conversation_attributes] == ["Member Number Verification"]


class TestTroubledWorld:
    def test_its_size_is_that_of_the_membership(self, troubled: World) -> None:
        assert 0.95 <= len(troubled.contacts) / 2000 <= 1.1

    def test_shares_are_as_documented(self, troubled: World) -> None:
        living = [c for c in troubled.contacts if not (c.archived or c.merged_into)]
        users = [c for c in living if c.role == "user"]
        right = [c for c in users if c.external_id and c.external_id == troubled.truth[c.id]]
        uuids = [c for c in users if UUID.fullmatch(c.external_id or "")]

        assert 0.65 <= len(right) / 2000 <= 0.75
        assert 0.07 <= len(uuids) / 2000 <= 0.12
        assert 0.08 <= sum(c.role == "lead" for c in living) / 2000 <= 0.12
        assert sum(c.role == "user" and c.external_id is None for c in living) >= 100

    def test_truth_knows_every_contact(self, troubled: World) -> None:
        assert set(troubled.truth) == {contact.id for contact in troubled.contacts}
        assert set(troubled.truth.values()) - {None} <= set(by_number(troubled))
        assert None in troubled.truth.values()

    def test_ids_are_unique_as_in_intercom(self, troubled: World) -> None:
        ids = [contact.id for contact in troubled.contacts]
        external = [contact.external_id for contact in troubled.contacts if contact.external_id]
        conversations = [conversation.id for conversation in troubled.conversations]

        assert len(set(ids)) == len(ids)
        assert all(re.fullmatch(r"[0-9a-f]{24}", id_) for id_ in ids)
        assert len(set(external)) == len(external)
        assert len(set(conversations)) == len(conversations)
        assert all(id_.isdecimal() for id_ in conversations)

    def test_moments_are_plausible(self, troubled: World) -> None:
        assert all(c.created_at <= c.updated_at < troubled.now for c in troubled.contacts)
        assert all(c.created_at <= c.updated_at for c in troubled.conversations)
        assert all(int(c.id[:8], 16) == c.created_at for c in troubled.contacts)

    def test_conversations_and_tickets_belong_to_the_living(self, troubled: World) -> None:
        living = {c.id for c in troubled.contacts if not (c.archived or c.merged_into)}
        used = [conversation.contact_ids for conversation in troubled.conversations]
        used += [ticket.contact_ids for ticket in troubled.tickets]

        assert {id_ for ids in used for id_ in ids} <= living
        assert {c.state for c in troubled.conversations} == {"open", "closed", "snoozed"}
        assert {True, False} == {ticket.open for ticket in troubled.tickets}
        assert any(len(conversation.parts) > 3 for conversation in troubled.conversations)
        assert any(contact.notes for contact in troubled.contacts)
        assert any(contact.tag_ids for contact in troubled.contacts)

    def test_tagged_conversations_tell_the_number_of_their_contact(self, troubled: World) -> None:
        (tag,) = (id_ for id_, name in troubled.tags.items() if name == "mynatca-sync")
        tagged = [conversation for conversation in troubled.conversations if tag in conversation.tag_ids]
        noted = [c.custom_attributes["Member Number Verification"] for c in tagged]
        expected = [troubled.truth[c.contact_ids[0]] or "not a member?" for c in tagged]

        assert tagged
        assert noted == expected

    def test_a_careful_sync_of_twenty_thousand_is_not_stopped_by_its_own_limits(self) -> None:
        world = generate(WorldOptions())
        known = {world.truth[contact.id] for contact in world.contacts if not contact.merged_into}
        missing = [row for row in with_email(world, "Active", "Retired") if row["membernumber"] not in known]
        busy = {id_ for conversation in world.conversations for id_ in conversation.contact_ids}
        strangers = [c for c in world.contacts if world.truth[c.id] is None and c.id not in busy]
        surplus = sum(count - 1 for count in Counter(_living_users(world)).values())

        assert 200 < len(missing) < 2000
        assert 200 < len(strangers) + surplus < 500


def _living_users(world: World) -> list[str]:
    living = [c for c in world.contacts if c.role == "user" and not (c.archived or c.merged_into)]
    return [number for contact in living if (number := world.truth[contact.id])]


class TestPlanters:
    """Each planter alone, on a workspace in which nobody is yet."""

    @pytest.fixture
    def member(self, workspace: Workspace) -> dict[str, Any]:
        return with_email(workspace.world, "Active")[0]

    def test_good_user(self, workspace: Workspace, member: dict[str, Any]) -> None:
        user = trouble.plant_good_user(workspace, member)

        assert (user.external_id, user.email, user.role) == (member["membernumber"], email_of(member), "user")
        assert workspace.world.truth == {user.id: member["membernumber"]}
        assert workspace.world.contacts == [user]

    def test_stale_user(self, workspace: Workspace, member: dict[str, Any]) -> None:
        stale, right = trouble.plant_stale_user(workspace, member), trouble.plant_good_user(workspace, member)

        assert len(_differing_fields(stale, right)) == 1

    def test_odd_case_email(self, workspace: Workspace, member: dict[str, Any]) -> None:
        assert trouble.plant_odd_case_email(workspace, member).email == email_of(member).upper()

    def test_wordpress_user(self, workspace: Workspace, member: dict[str, Any]) -> None:
        user = trouble.plant_wordpress_user(workspace, member)

        assert UUID.fullmatch(user.external_id or "")
        assert user.email == email_of(member)
        assert workspace.world.truth[user.id] == member["membernumber"]

    def test_user_without_id(self, workspace: Workspace, member: dict[str, Any]) -> None:
        assert trouble.plant_user_without_id(workspace, member).external_id is None

    def test_legacy_number(self, workspace: Workspace) -> None:
        members = with_email(workspace.world, "Active")
        users = [trouble.plant_legacy_number(workspace, member) for member in members]

        assert {name for user in users for name in user.custom_attributes} == {"Member Number", "member_number"}
        assert {user.external_id for user in users} == {None}
        assert [[*user.custom_attributes.values()] for user in users] == [[row["membernumber"]] for row in members]
        assert {user.email == email_of(member) for user, member in zip(users, members, strict=True)} == {True, False}

    def test_leads_of_members(self, workspace: Workspace, member: dict[str, Any]) -> None:
        alone = trouble.plant_lead_of_member(workspace, member)
        user, beside = trouble.plant_lead_beside_user(workspace, member)
        several = trouble.plant_several_leads(workspace, member)

        assert user.role == "user"
        assert {lead.email for lead in (alone, beside, *several)} == {email_of(member)}
        assert all(lead.role == "lead" and UUID.fullmatch(lead.external_id or "") for lead in (alone, beside, *several))
        assert len(several) == 3

    @pytest.mark.parametrize(
        "plant", [trouble.plant_lead_of_nobody, trouble.plant_lead_without_email, trouble.plant_stranger]
    )
    def test_contacts_of_nobody(self, workspace: Workspace, plant: Callable[[Workspace], Contact]) -> None:
        contact = plant(workspace)
        emails = {email_of(row) for row in with_email(workspace.world, "Active", "Retired")}

        assert workspace.world.truth[contact.id] is None
        assert contact.email not in emails

    def test_namesake(self, workspace: Workspace, member: dict[str, Any]) -> None:
        stranger = trouble.plant_namesake(workspace, member)

        assert stranger.name == " ".join(f"{member['firstname']} {member['lastname']}".split())
        assert workspace.world.truth[stranger.id] is None

    def test_duplicate_users(self, workspace: Workspace, member: dict[str, Any]) -> None:
        right, wordpress = trouble.plant_duplicate_of_wordpress_user(workspace, member)
        one, other = trouble.plant_duplicate_wordpress_users(workspace, member)

        assert right.external_id == member["membernumber"]
        assert len({wordpress.external_id, one.external_id, other.external_id}) == 3
        assert {contact.email for contact in workspace.world.contacts} == {email_of(member)}

    def test_unknown_number(self, workspace: Workspace, member: dict[str, Any]) -> None:
        assert trouble.plant_unknown_number(workspace, member).external_id not in by_number(workspace.world)

    def test_swapped_numbers(self, workspace: Workspace) -> None:
        member, other = with_email(workspace.world, "Active")[:2]
        one, two = trouble.plant_swapped_numbers(workspace, member, other)

        assert (one.external_id, two.external_id) == (other["membernumber"], member["membernumber"])
        assert (one.email, two.email) == (email_of(member), email_of(other))
        assert workspace.world.truth == {one.id: member["membernumber"], two.id: other["membernumber"]}

    def test_archived_holders(self, workspace: Workspace, member: dict[str, Any]) -> None:
        holder = trouble.plant_archived_holder(workspace, member)
        living, archived = trouble.plant_archived_holder_beside_user(workspace, member)
        right, former = trouble.plant_archived_email(workspace, member)

        assert holder.archived
        assert archived.archived
        assert holder.external_id == archived.external_id == right.external_id == member["membernumber"]
        assert not living.archived
        assert former.archived
        assert former.email == right.email

    def test_merged_holder(self, workspace: Workspace, member: dict[str, Any]) -> None:
        survivor, merged = trouble.plant_merged_holder(workspace, member)

        assert merged.merged_into == survivor.id
        assert merged.external_id == member["membernumber"]
        assert survivor.external_id != merged.external_id

    def test_deleted_holder(self, workspace: Workspace, member: dict[str, Any]) -> None:
        holder = trouble.plant_deleted_holder(workspace, member)

        assert holder.deleted
        assert holder.external_id == member["membernumber"]

    def test_former_member(self, workspace: Workspace) -> None:
        former = with_email(workspace.world, "Inactive", "Resigned", "Deceased", "Suspended")[0]
        user = trouble.plant_former_member(workspace, former)

        assert user.external_id == former["membernumber"]
        assert user.custom_attributes["member_type"] == "Current Member"

    def test_family_email(self, workspace: Workspace, member: dict[str, Any]) -> None:
        user = trouble.plant_family_email(workspace, member)

        assert (user.email, user.name, user.external_id) == (email_of(member), None, None)

    def test_the_mix_plants_family_emails_on_families(self, troubled: World) -> None:
        emails = Counter(email_of(row) for row in with_email(troubled, "Active", "Retired"))
        nameless = [c for c in troubled.contacts if c.role == "user" and c.name is None]

        assert len(nameless) == 8
        assert all(emails[str(contact.email)] > 1 for contact in nameless)


class TestChanges:
    def test_each_change_alters_one_thing_that_intercom_shows(self) -> None:
        before = generate(WorldOptions(members=300, contacts="none"))
        after = generate(WorldOptions(members=300, contacts="none"))
        numbers = change_members(after, 80, seed=3)
        old, new = by_number(before), by_number(after)
        changed = [_shown(new, number) - _shown(old, number) for number in numbers]

        assert len(set(numbers)) == 80
        assert [number for number in old if old[number] != new[number]] == [n for n in old if n in set(numbers)]
        assert {name for fields in changed for name, _ in fields} == {"phone", "facility_id"}
        assert all(len(fields) == 1 for fields in changed)
        assert {new[number]["status"] for number in numbers} == {"Active"}

    def test_the_same_seed_changes_the_same_members(self) -> None:
        one, other = (generate(WorldOptions(members=100, contacts="none")) for _ in range(2))

        assert change_members(one, 10, seed=1) == change_members(other, 10, seed=1)
        assert one == other

    def test_more_changes_than_members_are_refused(self) -> None:
        with pytest.raises(ValueError, match="larger than population"):
            change_members(generate(WorldOptions(members=10, contacts="none")), 11, seed=1)


def _shown(members: dict[str, dict[str, Any]], number: str) -> set[tuple[str, object]]:
    member = members[number]
    digits = re.sub(r"\D", "", re.split("x|ext", member["phone"] or "")[0])
    return {("phone", digits[-10:]), ("facility_id", member["facility_id"])}

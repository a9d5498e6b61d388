"""What Intercom should say of a member: the sandbox's own reading of the mapping that the programs promise."""

from collections.abc import Iterable
from typing import Any, Final

from mynatca_sandbox.world.model import AttributeValue
from mynatca_sandbox.world.places import RETIRED_CODE
from mynatca_sandbox.world.population import Row
from mynatca_sandbox.world.reachability import e164
from mynatca_sandbox.world.union import CURRENT_MEMBER_TYPE

ATTRIBUTES: Final = ("member_type", "region", "facility", "positions")
"""The custom attributes that the sync owns, all of them strings."""
MAX_LENGTH: Final = 255
"""Longest string value of a custom attribute in Intercom."""


class Mapping:
    """Looks up what rows of `members` refer to, and derives the fields of their users in Intercom."""

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        self._regions = {row["id"]: row["code"] for row in tables["regions"]}
        self._facilities = {row["id"]: row["code"] for row in tables["facilities"]}
        self._types = {row["id"]: row["type_name"] for row in tables["member_types"]}
        self._titles: dict[str, set[str]] = {}
        for row in tables["positions"]:
            if row["end_date"] is None:
                self._titles.setdefault(row["membernumber"], set()).add(row["positiontype"])

    def fields(self, member: Row) -> dict[str, Any]:
        """The member's fields of a contact, by their names in `Contact`."""
        return {
            "external_id": member["membernumber"],
            "email": (member["email"] or "").strip().lower() or None,
            "name": full_name(member) or None,
            "phone": e164(member["phone"]),
            "custom_attributes": self.custom_attributes(member),
        }

    def custom_attributes(self, member: Row) -> dict[str, AttributeValue]:
        """The owned custom attributes; one without a value is absent."""
        retired = member["status"] == "Retired"
        values = {
            "member_type": self._member_type(member),
            "region": RETIRED_CODE if retired else self._regions.get(member["region_id"]),
            "facility": RETIRED_CODE if retired else self._facilities.get(member["facility_id"]),
            "positions": joined(self._titles.get(member["membernumber"], ())),
        }
        return {name: value for name, value in values.items() if value}

    def _member_type(self, member: Row) -> str | None:
        if member["status"] == "Retired":
            return "Retired Member"
        if member["status"] == "Active" and member["membertypeid"] == CURRENT_MEMBER_TYPE:
            return "Current Member"
        return self._types.get(member["membertypeid"])


def full_name(member: Row) -> str:
    """First and last name with white space collapsed."""
    return " ".join(f"{member['firstname'] or ''} {member['lastname'] or ''}".split())


def joined(titles: Iterable[str]) -> str:
    """The titles in order, as many as fit into one attribute."""
    text = ", ".join(sorted(titles))
    if len(text) <= MAX_LENGTH:
        return text
    return text[: text.rindex(", ", 0, MAX_LENGTH + 2)]

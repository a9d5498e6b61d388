"""The union's own vocabulary: member types, statuses and the titles that members hold."""

from typing import Any, Final

CURRENT_MEMBER_TYPE: Final = 6
MEMBER_TYPES: Final[dict[int, str]] = {
    1: "Associate Member",
    2: "Corporate Member",
    3: "Staff",
    4: "Honorary Member",
    5: "Non Member",
    6: "Active Member",
    7: "Retired Member",
    8: "Student Member",
    9: "Inactive Member",
}
RETIRED_MEMBER_TYPE: Final = 7
FORMER_MEMBER_TYPE: Final = 9
OTHER_ACTIVE_TYPES: Final = (1, 2, 3, 8)

FORMER_STATUSES: Final = ("Inactive", "Resigned", "Deceased", "Suspended")

FACILITY_TITLES: Final = (
    "Facility President",
    "Facility Vice President",
    "Facility Secretary",
    "Facility Treasurer",
    "Facility Representative",
    "Area Representative",
    "Legislative Representative",
    "Safety Representative",
    "Training Representative",
    "Professional Standards Representative",
    "Critical Incident Stress Management Representative",
    "Occupational Safety and Health Representative",
    "Communications Representative",
    "Organizing Representative",
)
NATIONAL_TITLES: Final = (
    "Regional Vice President",
    "Alternate Regional Vice President",
    "National Legislative Committee Member",
    "National Safety Committee Member",
    "National Training Committee Member",
    "National Constitution Committee Member",
    "Drug and Alcohol Committee Representative",
    "Charitable Foundation Board Member",
    "Article 114 Representative",
    "Reloaded Committee Member",
)
TITLES: Final = FACILITY_TITLES + NATIONAL_TITLES


def member_type_rows() -> list[dict[str, Any]]:
    """Rows of the table `member_types`."""
    return [{"id": id_, "type_name": name} for id_, name in MEMBER_TYPES.items()]

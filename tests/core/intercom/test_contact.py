"""When a listing of contacts counts as complete."""

import pytest

from mynatca_intercom.intercom.contact import Contact, ContactListing


@pytest.mark.parametrize(
    ("counted", "missing", "complete"),
    [
        (0, 0, True),
        (5, 5, True),  # five may have gone while the pages were read
        (6, 6, False),
        (1000, 5, True),
        (1000, 6, False),
        (5999, 5, True),
        (5999, 6, False),
        (6000, 6, True),  # from here on it is one in a thousand
        (6000, 7, False),
        (20_000, 20, True),
        (20_000, 21, False),
    ],
)
def test_a_listing_may_lack_five_contacts_or_one_in_a_thousand(counted: int, missing: int, *, complete: bool) -> None:
    contacts = {str(number): Contact(str(number), "user") for number in range(counted - missing)}
    assert ContactListing(contacts, counted).complete is complete


def test_more_contacts_than_counted_are_complete() -> None:
    """Some came while the pages were read."""
    assert ContactListing({"c1": Contact("c1", "user")}, 0).complete

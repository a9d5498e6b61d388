"""Which identifiers two users may not share (contact create and update: the 409s).

An external id belongs to one user, whatever its state. An email may be shared by users with different
external ids,
but not with a user that has none: then Intercom takes both for the same person. With the option `taken_email:
conflict` no email may be shared. Leads never conflict.
"""

from collections.abc import Iterable

from mynatca_sandbox.intercom.errors import conflict
from mynatca_sandbox.intercom.store import Store, is_live
from mynatca_sandbox.options import Options
from mynatca_sandbox.world.model import Contact


def check_external_id(store: Store, external_id: str, contact: Contact | None = None) -> None:
    """Refuse an external id that a user other than `contact` holds.

    Raises:
        ApiError: 409 with the holder's id.
    """
    _refuse(_other_users(store, store.holders("external_id", external_id), contact))


def check_email(
    store: Store, options: Options, email: str, external_id: str | None, contact: Contact | None = None
) -> None:
    """Refuse an email for the user `contact`, to have `external_id`, that another user holds exclusively.

    Raises:
        ApiError: 409 with the holder's id.
    """
    holders = _other_users(store, store.holders("email", email), contact)
    if external_id is not None and options.taken_email == "second_user":
        holders = [holder for holder in holders if holder.external_id is None]
    _refuse(holders)


def _other_users(store: Store, holders: Iterable[Contact], contact: Contact | None) -> list[Contact]:
    """Return the users that stand in the way; who was merged into `contact` does not."""
    return [holder for holder in holders if holder.role == "user" and store.canonical(holder) is not contact]


def _refuse(holders: list[Contact]) -> None:
    if holders:
        holder = min(holders, key=lambda each: (not is_live(each), each.created_at, each.id))
        raise conflict(holder.id, archived=not is_live(holder))

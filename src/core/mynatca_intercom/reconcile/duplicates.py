"""Several contacts of one member: which one is kept, and what becomes of the others. Pure.

The newest user is kept, or the newest lead where there is no user. Leads are merged into it; older users, which no
call merges, hand over their open conversations, tags and notes and are archived. A user with an open ticket stays, as
no call moves a ticket.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from mynatca_intercom.intercom.contact import Contact, Sublist
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.judged import Own
from mynatca_intercom.reconcile.match import MemberIndex, claimed_number, email_of


def choose(member: Member, own: Sequence[Own], staying: Collection[str]) -> Own:
    """The contact that is kept, and written: the newest user, else the newest lead.

    But where the user that bears the number is among those `staying`, which cannot be archived, it is that one: to
    take its number away would only hide from an agent whose ticket it is.
    """
    candidates = [pair for pair in own if pair[0].role == "user"] or list(own)
    newest = max(candidates, key=_age)
    numbered = [pair for pair in candidates if claimed_number(pair[0]) == member.number]
    return next((pair for pair in numbered if pair[0].id in staying), newest)


def _age(pair: Own) -> tuple[int, str]:
    return pair[0].created_at or 0, pair[0].id


def released_id(loser: Contact, index: MemberIndex) -> str | None:
    """The external id that an archived duplicate is left with; None to leave it as it is, "" for none at all.

    Intercom takes users without an external id for the same person as any other user with their email (REST:
    uniqueness), archived ones too. So one whose email is a member's is left with an id that is nobody's number.
    """
    bears_number = claimed_number(loser) is not None
    if bears_number or not (loser.external_id or "").strip():
        if email_of(loser) in index.by_email:
            return f"released-{loser.id}"
        return "" if bears_number else None
    return None


def absorbed(kept: Contact, lead: Contact) -> Contact:
    """The kept user as it will be once the lead is merged into it: only what is empty on it is filled (REST: merge)."""
    filled = {name: getattr(lead, name) for name in ("email", "phone", "name") if getattr(kept, name) is None}
    attributes = {**lead.custom_attributes, **_filled(kept)}
    return replace(kept, **filled, custom_attributes=attributes, tags=_united(kept.tags, lead.tags))


def _filled(kept: Contact) -> dict[str, object]:
    return {name: value for name, value in kept.custom_attributes.items() if value not in (None, "")}


def _united(kept: Sublist | None, lead: Sublist | None) -> Sublist:
    entries = dict.fromkeys((*(kept.data if kept else ()), *(lead.data if lead else ())))
    return Sublist(tuple(entries), len(entries))

"""All contacts, each judged: whose they are, and who bears which email and number. Pure."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.members.member import Member
from mynatca_intercom.reconcile.match import Match, MemberIndex, claimed_number, decided, email_of, match

Own = tuple[Contact, Match]
"""A contact of a member, and why it is that member's."""


class JudgedContacts:
    """The contacts of a workspace in the light of the members.

    Args:
        index: the members.
        contacts: all unarchived contacts by id.
        decisions: contact id -> member, given by a person; None where nobody decided anything.
        freed: contact id -> number that an earlier attempt of this run took off the contact; it still speaks for it.
    """

    def __init__(
        self,
        index: MemberIndex,
        contacts: Mapping[str, Contact],
        decisions: Mapping[str, Member] | None = None,
        freed: Mapping[str, str] | None = None,
    ) -> None:
        self.index = index
        self.contacts = contacts
        self.own: defaultdict[str, list[Own]] = defaultdict(list)
        self.ambiguous: list[Own] = []
        self.unmatched: list[Contact] = []
        self.member_of: dict[str, Member] = {}
        self._decisions = decisions or {}
        self._freed = freed or {}
        self._users_by_email: defaultdict[str, list[Contact]] = defaultdict(list)
        self._users_by_number: dict[str, Contact] = {}
        for contact in contacts.values():
            self._file(contact, self._judge(contact))

    def _judge(self, contact: Contact) -> Match:
        member = self._decisions.get(contact.id)
        if member:
            return decided(contact, member, self.index)
        number = self._freed.get(contact.id)
        if number and contact.role == "user" and claimed_number(contact) is None:
            return match(replace(contact, external_id=number), self.index)
        return match(contact, self.index)

    def _file(self, contact: Contact, judgement: Match) -> None:
        if contact.role == "user":
            self._users_by_email[email_of(contact)].append(contact)
            self._users_by_number[claimed_number(contact) or ""] = contact
        if judgement.member:
            self.own[judgement.member.number].append((contact, judgement))
            self.member_of[contact.id] = judgement.member
        elif judgement.outcome == "ambiguous":
            self.ambiguous.append((contact, judgement))
        else:
            self.unmatched.append(contact)

    def users_with_email(self, email: str) -> list[Contact]:
        """Users that bear this email."""
        return self._users_by_email.get(email, [])

    def user_with_number(self, number: str) -> Contact | None:
        """The user that bears this number, whoever it is."""
        return self._users_by_number.get(number)

    def is_decided(self, contact: Contact) -> bool:
        """Whether a person said whose contact it is."""
        return contact.id in self._decisions

"""Which member a contact is, judged on several data points and always with the evidence.

Pure. The points: external id, legacy number attribute, email, phone, name. Two that agree without a contradiction
match; an email alone or a number alone matches under conditions; a phone or a name never does, as families share both.
Everything between a match and no evidence at all is ambiguous, and nothing is written on ambiguous evidence.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.members.member import Member
from mynatca_intercom.members.phone import e164

LEGACY_ATTRIBUTES = ("Member Number", "member_number")
"""Custom attributes of earlier integrations: evidence, never written."""

RELEASED = re.compile(r"released-.+")
"""External id of a contact whose number was freed where Intercom could not clear it: no id at all."""

_UUID = re.compile(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", re.IGNORECASE)

Point = Literal["decision", "external_id", "legacy_number", "email", "phone", "name"]
Outcome = Literal["matched", "ambiguous", "unmatched"]


@dataclass(frozen=True, slots=True)
class Match:
    """How one contact was judged.

    `member` is set when matched; `candidates` are the numbers that any point speaks for. `evidence` holds the points
    that agree (with the member, or with any candidate). `contradiction` is what speaks against a person's decision.
    """

    outcome: Outcome
    member: Member | None
    candidates: tuple[str, ...]
    evidence: tuple[Point, ...]
    reason: str
    contradiction: str | None = None


class MemberIndex:
    """Members by number, email, phone and name; `phone_region` reads the contacts' phone numbers.

    `knows_all`: whether these are all rows of the source, so that a number that is not among them is nobody's.
    """

    def __init__(self, members: Iterable[Member], phone_region: str = "US", *, knows_all: bool = False) -> None:
        self.phone_region = phone_region
        self.knows_all = knows_all
        self.by_number: dict[str, Member] = {}
        self.by_email: dict[str, list[Member]] = defaultdict(list)
        self.by_phone: dict[str, list[Member]] = defaultdict(list)
        self.by_name: dict[str, list[Member]] = defaultdict(list)
        for member in members:
            self.by_number[member.number] = member
            self._file(self.by_email, member.email, member)
            self._file(self.by_phone, member.phone, member)
            self._file(self.by_name, fold(member.name), member)

    @staticmethod
    def _file(index: dict[str, list[Member]], key: str | None, member: Member) -> None:
        if key:
            index[key].append(member)

    def may_be_number(self, text: str) -> bool:
        """Whether the text is somebody's number, or could be, as the nightly sync does not know former members."""
        return text in self.by_number or (text.isdigit() and not self.knows_all)


def fold(name: str | None) -> str:
    """A name without case, accents and extra spaces, for comparison only."""
    if name is None or name.isascii():
        return " ".join((name or "").casefold().split())
    decomposed = unicodedata.normalize("NFKD", name)
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return " ".join(plain.casefold().split())


def email_of(contact: Contact) -> str:
    """The contact's email as members' emails are written; empty when it has none."""
    return (contact.email or "").strip().lower()


def claimed_number(contact: Contact) -> str | None:
    """A user's external id, unless it is a UUID or a released one; a lead's is always Intercom's own."""
    external_id = (contact.external_id or "").strip()
    if contact.role == "lead" or not external_id or _UUID.fullmatch(external_id) or RELEASED.fullmatch(external_id):
        return None
    return external_id


def bears_uuid(contact: Contact) -> bool:
    """Whether a user's external id is of the old WordPress integration; a lead's UUID is Intercom's own."""
    return contact.role == "user" and bool(_UUID.fullmatch((contact.external_id or "").strip()))


def legacy_numbers(contact: Contact) -> set[str]:
    """The numbers in the attributes of earlier integrations; they may be texts or integers."""
    values = (contact.custom_attributes.get(name) for name in LEGACY_ATTRIBUTES)
    return {str(value).strip() for value in values if value not in (None, "")}


def match(contact: Contact, index: MemberIndex) -> Match:
    """Judge one contact."""
    return _agreed_at_a_glance(contact, index) or _summed_up(judgements(contact, index))


def judgements(contact: Contact, index: MemberIndex) -> list[Match]:
    """The contact judged against each member that any data point speaks for."""
    return [_judge(contact, member, index) for member in _candidates(contact, index).values()]


def decided(contact: Contact, member: Member, index: MemberIndex) -> Match:
    """The match that a person made by naming the number; what the data points say against it stands beside it."""
    evidence: tuple[Point, ...] = ("decision", *_agreeing(contact, member, index))
    contradiction = _contradiction(contact, member, index)
    return Match("matched", member, (member.number,), evidence, "a person gave the number", contradiction)


def _summed_up(judged: list[Match]) -> Match:
    matched = [judgement for judgement in judged if judgement.outcome == "matched"]
    if len(matched) == 1:
        return matched[0]
    if not judged:
        return Match("unmatched", None, (), (), "no data point speaks for any member")
    candidates = tuple(number for judgement in judged for number in judgement.candidates)
    evidence = tuple(sorted({point for judgement in judged for point in judgement.evidence}))
    reason = "data points speak for several members" if matched else judged[0].reason
    return Match("ambiguous", None, candidates, evidence, reason)


def _agreed_at_a_glance(contact: Contact, index: MemberIndex) -> Match | None:
    """The everyday case, number and email agree and no legacy number differs; judged alike, only sooner."""
    member = index.by_number.get(claimed_number(contact) or "")
    if member is None or not member.email or email_of(contact) != member.email:
        return None
    if legacy_numbers(contact) - {member.number}:
        return None
    return Match("matched", member, (member.number,), ("external_id", "email"), "several data points agree")


def _candidates(contact: Contact, index: MemberIndex) -> dict[str, Member]:
    """Every member that any data point speaks for, by number."""
    numbers = {claimed_number(contact) or "", *legacy_numbers(contact)}
    by_number = [index.by_number[number] for number in sorted(numbers) if number in index.by_number]
    by_email = index.by_email.get(email_of(contact), [])
    by_phone = index.by_phone.get(_phone_of(contact, index) or "", [])
    by_name = index.by_name.get(fold(contact.name), [])
    return {member.number: member for member in (*by_number, *by_email, *by_phone, *by_name)}


def _phone_of(contact: Contact, index: MemberIndex) -> str | None:
    return e164(contact.phone, index.phone_region) if contact.phone else None


def _judge(contact: Contact, member: Member, index: MemberIndex) -> Match:
    points = _agreeing(contact, member, index)

    def judgement(outcome: Outcome, reason: str) -> Match:
        matched = member if outcome == "matched" else None
        return Match(outcome, matched, (member.number,), points, reason)

    contradiction = _contradiction(contact, member, index)
    if contradiction:
        return judgement("ambiguous", contradiction)
    strong = set(points) - {"phone", "name"}
    if not strong:
        return judgement("ambiguous", "phone or name alone never decide")
    if len(points) >= 2:
        return judgement("matched", "several data points agree")
    if strong == {"email"} and len(index.by_email[email_of(contact)]) > 1:
        return judgement("ambiguous", "several members have this email")
    return judgement("matched", f"{points[0]} agrees and nothing contradicts")


def _contradiction(contact: Contact, member: Member, index: MemberIndex) -> str | None:
    return next((sentence for sentence, holds in _CONTRADICTIONS if holds(contact, member, index)), None)


def _agreeing(contact: Contact, member: Member, index: MemberIndex) -> tuple[Point, ...]:
    agreement: dict[Point, bool] = {
        "external_id": claimed_number(contact) == member.number,
        "legacy_number": member.number in legacy_numbers(contact),
        "email": bool(member.email) and email_of(contact) == member.email,
        "phone": bool(member.phone) and _phone_of(contact, index) == member.phone,
        "name": bool(member.name) and fold(contact.name) == fold(member.name),
    }
    return tuple(point for point, agrees in agreement.items() if agrees)


def _claims_another_number(contact: Contact, member: Member, index: MemberIndex) -> bool:
    claims = {claimed_number(contact) or "", *legacy_numbers(contact)} - {"", member.number}
    return any(index.may_be_number(claim) for claim in claims)


def _has_other_email_and_name(contact: Contact, member: Member, _index: MemberIndex) -> bool:
    return _other_email(contact, member) and bool(contact.name) and _other_name(contact, member)


def _has_email_of_another(contact: Contact, member: Member, index: MemberIndex) -> bool:
    return _other_email(contact, member) and _other_name(contact, member) and email_of(contact) in index.by_email


def _other_email(contact: Contact, member: Member) -> bool:
    return bool(email_of(contact)) and bool(member.email) and email_of(contact) != member.email


def _other_name(contact: Contact, member: Member) -> bool:
    return fold(contact.name) != fold(member.name)


_CONTRADICTIONS: tuple[tuple[str, Callable[[Contact, Member, MemberIndex], bool]], ...] = (
    ("the contact bears another member number", _claims_another_number),
    ("email and name both differ from the member's", _has_other_email_and_name),
    ("the email is another member's and the name is not this member's", _has_email_of_another),
)

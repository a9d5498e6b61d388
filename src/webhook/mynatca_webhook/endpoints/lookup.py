"""Who has an email: asked by the support team's tools, each with a key of its own.

Every use leaves one line in the log, whatever its level: the key's name, the outcome, contact ids and member numbers,
and no address. Nothing is written to Intercom.
"""

import asyncio
import hmac
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sanic import Blueprint, HTTPResponse, Request
from sanic.response import json

from mynatca_intercom import metrics
from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.intercom.errors import IntercomError
from mynatca_intercom.members.member import UNKNOWN, Member
from mynatca_intercom.members.source import SourceError
from mynatca_intercom.reconcile.mapping import changes
from mynatca_intercom.reconcile.match import MemberIndex, match
from mynatca_webhook.service import Service, service_of
from mynatca_webhook.store.errors import StoreUnavailable

PATH = "/api/intercom/lookup"
ANSWER_SECONDS = 45
"""After so long nothing more is waited for: by then the fallback has had its turn after a silent first source."""

Outcome = Literal["found", "nobody", "refused", "limited", "malformed", "failed", "unanswered"]
OUTCOMES: tuple[Outcome, ...] = ("found", "nobody", "refused", "limited", "malformed", "failed", "unanswered")
for _outcome in OUTCOMES:
    metrics.LOOKUPS.labels(_outcome)

ENDPOINTS = Blueprint("lookup")

log = logging.getLogger(__name__)
audit = logging.getLogger(f"{__name__}.audit")
audit.setLevel(logging.INFO)

Email = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=254,  # RFC 5321, 4.5.3.1.3, less the brackets
        pattern=r"^[^\s@\x00-\x1f\x7f]+@[^\s@.\x00-\x1f\x7f]+(\.[^\s@.\x00-\x1f\x7f]+)+$",
    ),
]


class LookupRequest(BaseModel):
    """What is asked."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    email: Email = Field(description="Compared without case and surrounding space.", examples=["ann@example.com"])


class LookupMember(BaseModel):
    """A member as it goes to Intercom; null where the source says that there is nothing."""

    model_config = ConfigDict(extra="forbid")

    number: str
    name: str | None
    email: str | None
    phone: str | None = Field(description="E.164.")
    member_type: str | None
    region: str | None
    facility: str | None
    positions: str | None = Field(description="Current ones, joined with commas.")
    unknown: list[str] = Field(description="Fields that are null because the fallback source cannot tell.")

    @classmethod
    def of(cls, member: Member) -> Self:
        """What is told of a member."""
        fields = {name: getattr(member, name) for name in cls.model_fields if name != "unknown"}
        unknown = [name for name, value in fields.items() if value is UNKNOWN]
        return cls(**(fields | dict.fromkeys(unknown)), unknown=unknown)


class LookupContact(BaseModel):
    """A contact in Intercom."""

    model_config = ConfigDict(extra="forbid")

    id: str
    role: Literal["user", "lead"]
    external_id: str | None
    name: str | None
    member_number: str | None = Field(
        description="The member, of those with this email, that the contact is by its own evidence; null if in doubt."
    )
    agrees: bool = Field(description="Whether it is that member's, with nothing left to be written.")

    @classmethod
    def of(cls, contact: Contact, index: MemberIndex) -> Self:
        """What is told of a contact, judged against the members with its email."""
        member = match(contact, index).member
        return cls(
            id=contact.id,
            role=contact.role,
            external_id=contact.external_id,
            name=contact.name,
            member_number=member.number if member else None,
            agrees=member is not None and not changes(contact, member, index.phone_region),
        )


class LookupAnswer(BaseModel):
    """Everybody who has the email."""

    model_config = ConfigDict(extra="forbid")

    member: LookupMember | None = Field(description="The only member with the email; null for none or several.")
    members: list[LookupMember] = Field(description="All members with the email, by number.")
    contacts: list[LookupContact] = Field(description="All contacts with the email, as Intercom's search knows them.")

    @classmethod
    def of(cls, members: tuple[Member, ...], contacts: list[Contact], phone_region: str) -> Self:
        """What is told of those that were found."""
        index = MemberIndex(members, phone_region)
        told = [LookupMember.of(member) for member in members]
        return cls(
            member=told[0] if len(told) == 1 else None,
            members=told,
            contacts=[LookupContact.of(contact, index) for contact in contacts],
        )


class _Refusal(Exception):
    """The look-up is not carried out; the text says why, without what was asked."""

    def __init__(self, outcome: Outcome, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.outcome: Outcome = outcome
        self.status = status
        self.headers = headers or {}


@dataclass(slots=True)
class _Use:
    """What the audit is told of one use; `unanswered` if nothing else becomes of it, as when the caller is gone."""

    outcome: Outcome = "unanswered"
    key_name: str | None = None
    contact_ids: list[str] = field(default_factory=list)
    member_numbers: list[str] = field(default_factory=list)


@ENDPOINTS.post(PATH)
async def by_body(request: Request[Any, Any]) -> HTTPResponse:
    """200 with the members and contacts that have the email of the body, else what is wrong."""
    return await _answered(request, lambda: LookupRequest.model_validate_json(request.body))


@ENDPOINTS.get(PATH, ignore_body=False)
async def by_query(request: Request[Any, Any]) -> HTTPResponse:
    """The same for the email of the query."""
    given = {name: values if len(values) > 1 else values[0] for name, values in request.args.items()}
    return await _answered(request, lambda: LookupRequest.model_validate(given))


async def _answered(request: Request[Any, Any], read: Callable[[], LookupRequest]) -> HTTPResponse:
    service = service_of(request)
    use = _Use()
    try:
        use.key_name = _key_name(request.headers.get("Authorization", ""), service.configuration.webhook.lookup_keys)
        await _within_limit(service, use.key_name)
        answer = await _found(service, _asked(read).email)
        use.contact_ids = [contact.id for contact in answer.contacts]
        use.member_numbers = [member.number for member in answer.members]
        use.outcome = "found"
        return _json(answer.model_dump(mode="json"), 200)
    except _Refusal as refusal:
        use.outcome = refusal.outcome
        return _json({"error": str(refusal)}, refusal.status, refusal.headers)
    finally:
        _tell(use)


def _json(body: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    return json(body, status, {"Cache-Control": "no-store", **(headers or {})})


def _tell(use: _Use) -> None:
    metrics.LOOKUPS.labels(use.outcome).inc()
    known = {"key_name": use.key_name, "contact_ids": use.contact_ids, "member_numbers": use.member_numbers}
    audit.info("look-up: %s", use.outcome, extra={"outcome": use.outcome, **known})


def _key_name(header: str, keys: Mapping[str, str]) -> str:
    """The name of the key that the request bears.

    All keys are compared, each by its digest and in constant time, so that the time tells nothing of them.
    """
    scheme, _, key = header.partition(" ")
    given = sha256(key.strip().encode(errors="surrogateescape")).digest()  # header bytes that are no UTF-8
    names = [name for name, each in keys.items() if hmac.compare_digest(sha256(each.encode()).digest(), given)]
    if scheme.lower() != "bearer" or not names:
        raise _Refusal("refused", 401, "A look-up needs a key.", {"WWW-Authenticate": "Bearer"})
    return names[0]


async def _within_limit(service: Service, key_name: str) -> None:
    try:
        uses = await service.store.count_use(key_name)
    except StoreUnavailable as error:
        log.warning("a look-up cannot be counted: %s", error)
        raise _Refusal("failed", 503, "The service's store does not answer at the moment.") from None
    limit = service.configuration.webhook.lookup_limit
    if uses.count > limit:
        wait = {"Retry-After": str(math.ceil(uses.seconds_left))}
        raise _Refusal("limited", 429, f"This key may look up {limit} times a minute.", wait)


def _asked(read: Callable[[], LookupRequest]) -> LookupRequest:
    try:
        return read()
    except ValidationError:
        raise _Refusal("malformed", 422, "A look-up needs an email address as email, and nothing else.") from None


async def _found(service: Service, email: str) -> LookupAnswer:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            members, contacts = await asyncio.gather(
                asyncio.to_thread(service.members.members_with_email, email),
                service.client.contacts_with_email(email),
            )
    except (IntercomError, SourceError, TimeoutError) as error:
        log.warning("a look-up failed: %s", str(error) or "it took too long")
        raise _Refusal("failed", 503, _trouble(error)) from None
    if not members and not contacts:
        raise _Refusal("nobody", 404, "No member and no contact has this email.")
    return LookupAnswer.of(members, contacts, service.configuration.rules.phone_region)


def _trouble(error: Exception) -> str:
    if isinstance(error, IntercomError):
        return "Intercom does not answer the service as it should at the moment."
    if isinstance(error, SourceError):
        return "No source of members answers at the moment."
    return "It took too long."

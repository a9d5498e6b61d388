"""The calls to Intercom that the programs make, each paced, retried within bounds, counted and typed.

Nothing is decided here: a 409 or 410 goes up as its own error, and is never sent again.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import httpx
import stamina
from httpx_aiohttp import AiohttpTransport
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mynatca_intercom import metrics
from mynatca_intercom.intercom.contact import Contact, ContactListing
from mynatca_intercom.intercom.errors import (
    Conflict,
    NoAnswer,
    RateLimited,
    ServerFailed,
    error_of,
)
from mynatca_intercom.intercom.pacing import Pacer
from mynatca_intercom.settings import IntercomSettings

API_VERSION = "2.16"
PAGE_CONTACTS = 150
"""Largest page of `GET /contacts`; the default is 10 (Intercom-OpenAPI issue 639)."""

T = TypeVar("T")
Listed = Callable[[int, int], None]
"""Told after each page: contacts read so far, contacts counted."""

log = logging.getLogger(__name__)


def _note_retry(details: stamina.instrumentation.RetryDetails) -> None:
    metrics.RETRIES.inc()
    log.debug("sent again in %.1f s: %s", details.wait_for, details.caused_by)


# In place of the library's own hooks, which log a warning per retry and count into a registry that nobody serves.
stamina.instrumentation.set_on_retry_hooks([_note_retry])
_QUIET = ConfigDict(hide_input_in_errors=True)


@dataclass(frozen=True, config=_QUIET)
class _Next:
    starting_after: str | None = None


@dataclass(frozen=True, config=_QUIET)
class _Pages:
    next: _Next | None = None


@dataclass(frozen=True, config=_QUIET)
class _ContactPage:
    data: list[Contact]
    total_count: int
    pages: _Pages | None = None

    @property
    def cursor(self) -> str | None:
        following = self.pages.next if self.pages else None
        return following.starting_after if following else None


@dataclass(frozen=True, config=_QUIET)
class Attribute:
    """A data attribute (REST 2.16: Data Attributes); built-in ones are not `custom`."""

    name: str
    custom: bool = False
    archived: bool = False
    data_type: str | None = None
    api_writable: bool = True


@dataclass(frozen=True, config=_QUIET)
class _AttributeList:
    data: list[Attribute]


@dataclass(frozen=True, config=_QUIET)
class Workspace:
    """The workspace that the token belongs to."""

    id: str = Field(alias="id_code")
    region: str | None = None


@dataclass(frozen=True, config=_QUIET)
class _Me:
    app: Workspace | None = None


_CONTACT = TypeAdapter(Contact)
_CONTACT_PAGE = TypeAdapter(_ContactPage)
_ATTRIBUTES = TypeAdapter(_AttributeList)
_ATTRIBUTE = TypeAdapter(Attribute)
_ME = TypeAdapter(_Me | None)


class _Transient:
    """Whether a call that failed is worth another attempt."""

    def __init__(self, server_failures: int) -> None:
        self._left = server_failures

    def __call__(self, error: Exception) -> bool:
        if isinstance(error, ServerFailed):
            self._left -= 1
            return self._left > 0
        return isinstance(error, NoAnswer | RateLimited)


class IntercomClient:
    """One workspace of Intercom; use as an asynchronous context manager.

    Every method raises `IntercomError` (see `errors` for its kinds) when the call failed for good.
    """

    def __init__(self, settings: IntercomSettings) -> None:
        self.calls: dict[str, int] = {}
        self._settings = settings
        self._pacer = Pacer(settings.reserve)
        self._places = asyncio.Semaphore(settings.concurrency)
        self._http = httpx.AsyncClient(
            base_url=settings.base_url,
            timeout=settings.timeout_seconds,
            headers={
                "Authorization": f"Bearer {settings.access_token.get_secret_value()}",
                "Intercom-Version": API_VERSION,
                "Accept": "application/json",
            },
            transport=AiohttpTransport(client=self._session),
        )

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=self._settings.concurrency)
        session = aiohttp.ClientSession(connector=connector, trust_env=True)
        # aiohttp sends idempotent calls again by itself, past the pacer and the counters; it has no public switch.
        session._retry_connection = False  # noqa: SLF001
        return session

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def workspace(self) -> Workspace | None:
        """The token's workspace: the cheapest proof that the credentials are good."""
        me = await self._call(_ME, "identify", "GET", "/me")
        return me.app if me else None

    async def list_contacts(self, listed: Listed = lambda _read, _counted: None) -> ContactListing:
        """All unarchived contacts; read once more when some are missing, and `complete` tells if they still are."""
        for _ in range(2):
            listing = await self._list_once(listed)
            if listing.complete:
                return listing
            log.warning("contacts are missing in the listing: %d of %d", len(listing.contacts), listing.counted)
        return listing

    async def _list_once(self, listed: Listed) -> ContactListing:
        """One pass over the cursors, which ends where a cursor is missing or comes a second time."""
        contacts: dict[str, Contact] = {}
        totals: list[int] = []
        cursor: str | None = None
        seen: set[str | None] = set()
        while cursor not in seen:
            seen.add(cursor)
            page = await self._contact_page(cursor)
            contacts.update((contact.id, contact) for contact in page.data)
            totals.append(page.total_count)
            listed(len(contacts), page.total_count)
            cursor = page.cursor
            if not cursor:
                break
        return ContactListing(contacts, min(totals[0], totals[-1]))

    async def _contact_page(self, cursor: str | None) -> _ContactPage:
        # The page size must be sent with every cursor, else it falls back to 10.
        query: dict[str, str | int] = {"per_page": PAGE_CONTACTS}
        if cursor:
            query["starting_after"] = cursor
        return await self._call(_CONTACT_PAGE, "list_contacts", "GET", "/contacts", params=query)

    async def contact(self, contact_id: str) -> Contact:
        """One contact, never from the search index; `NotFound` when archived, `Merged` when merged away."""
        return await self._call(_CONTACT, "get_contact", "GET", f"/contacts/{contact_id}")

    async def create_contact(self, body: Mapping[str, Any]) -> Contact:
        """Create a contact; `Conflict` names the contact that has the external id or email already."""
        return await self._call(_CONTACT, "create_contact", "POST", "/contacts", json=body)

    async def update_contact(self, contact_id: str, body: Mapping[str, Any]) -> Contact:
        """Change the given fields of a contact and no others."""
        return await self._call(_CONTACT, "update_contact", "PUT", f"/contacts/{contact_id}", json=body)

    async def archive_contact(self, contact_id: str) -> None:
        """Archive a contact; it keeps its external id and email."""
        await self._send_again("archive_contact", "POST", f"/contacts/{contact_id}/archive")

    async def unarchive_contact(self, contact_id: str) -> None:
        """Bring an archived contact back; `Rejected` when it was merged away."""
        path = f"/contacts/{contact_id}/unarchive"
        # A contact that was deleted for good answers 500 here, and will do so every time.
        await self._send_again("unarchive_contact", "POST", path, server_failures=3)

    async def contact_attributes(self) -> list[Attribute]:
        """The data attributes of contacts, archived ones too."""
        query = {"model": "contact", "include_archived": "true"}
        return (await self._call(_ATTRIBUTES, "list_attributes", "GET", "/data_attributes", params=query)).data

    async def create_contact_attribute(self, name: str, description: str) -> Attribute:
        """Create a string attribute of contacts."""
        body = {"name": name, "model": "contact", "data_type": "string", "description": description}
        return await self._call(_ATTRIBUTE, "create_attribute", "POST", "/data_attributes", json=body)

    async def _call(self, answer: TypeAdapter[T], operation: str, method: str, path: str, **content: Any) -> T:
        response = await self._send_again(operation, method, path, **content)
        try:
            return answer.validate_json(response.content)
        except ValidationError as error:
            fields = ", ".join(sorted({".".join(map(str, fault["loc"][-1:])) for fault in error.errors()}))
            request_id = response.headers.get("x-request-id")
            raise ServerFailed(response.status_code, f"unreadable_answer ({fields})", operation, request_id) from None

    async def _send_again(
        self, operation: str, method: str, path: str, *, server_failures: int | None = None, **content: Any
    ) -> httpx.Response:
        """Send until answered for good: 429, 5xx and silence are tried again, with growing jittered waits.

        `server_failures` ends it sooner: at so many answers of 5xx.
        """
        async for attempt in stamina.retry_context(
            on=_Transient(server_failures or self._settings.max_attempts),
            attempts=self._settings.max_attempts,
            timeout=None,
            wait_initial=0.5,
            wait_max=10,
            wait_jitter=0.5,
        ):
            with attempt:
                try:
                    return await self._send(operation, method, path, **content)
                except Conflict as conflict:
                    conflict.after_silence = attempt.num > 1
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _send(self, operation: str, method: str, path: str, **content: Any) -> httpx.Response:
        async with self._places:
            await self._pacer.wait_turn()
            return await self._send_now(operation, method, path, **content)

    async def _send_now(self, operation: str, method: str, path: str, **content: Any) -> httpx.Response:
        self.calls[operation] = self.calls.get(operation, 0) + 1
        started = time.monotonic()
        try:
            response = await self._http.request(method, path, **content)
        except BaseException as error:
            self._pacer.no_answer()
            metrics.CALLS.labels(operation, "none").inc()
            if isinstance(error, httpx.RequestError | aiohttp.ClientError):
                raise NoAnswer(f"{operation}: no answer from Intercom ({type(error).__name__})") from None
            raise
        self._pacer.answer(response.headers)
        metrics.CALLS.labels(operation, str(response.status_code)).inc()
        metrics.CALL_SECONDS.labels(operation).observe(time.monotonic() - started)
        if response.is_success:
            return response
        raise error_of(response, operation)

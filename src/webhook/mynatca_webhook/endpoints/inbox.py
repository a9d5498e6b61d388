"""The inbox app: the member beside the conversation, "Sync now", and a number by hand (Intercom: Canvas Kit).

Whatever happens after the signature is right is answered with a canvas, as that is all that an agent gets to read. Only
the contact's id and what was entered are taken from a request; everything else is read anew.
"""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Literal, TypeVar

from pydantic import ValidationError
from sanic import Blueprint, HTTPResponse, Request
from sanic.exceptions import BadRequest, Unauthorized
from sanic.response import json

from mynatca_intercom import metrics
from mynatca_intercom.intercom.errors import IntercomError
from mynatca_intercom.intercom.signature import is_signed_canvas
from mynatca_intercom.members.member import UNKNOWN
from mynatca_intercom.members.source import SourceError
from mynatca_intercom.reconcile.door import SUCCEEDED, Verdict
from mynatca_webhook import card
from mynatca_webhook.canvas import Canvas, CanvasAnswer, CanvasRequest, CanvasSubmit, Text
from mynatca_webhook.service import Service, service_of
from mynatca_webhook.store.errors import LeaseLost, StoreUnavailable
from mynatca_webhook.worker import LONGEST_WORK_SECONDS

ANSWER_SECONDS = 4.5
"""After so long something is answered. Intercom states no limit, and no inbox waits much longer."""
MAX_NUMBER = 64
"""Characters of a member number at most."""

Outcome = Literal["shown", "synced", "not_synced", "unfinished", "failed", "unsigned", "malformed"]
OUTCOMES: tuple[Outcome, ...] = ("shown", "synced", "not_synced", "unfinished", "failed", "unsigned", "malformed")
for _outcome in OUTCOMES:
    metrics.CANVASES.labels(_outcome)

_TROUBLES: tuple[tuple[type[Exception], str], ...] = (
    (IntercomError, "Intercom does not answer the service as it should at the moment."),
    (SourceError, "No database of members answers at the moment."),
    (TimeoutError, "It took too long."),
    (LeaseLost, "The service could not keep others from writing for the same member, so it wrote nothing more."),
    (OSError, "The service cannot keep a record of what it writes at the moment, so it writes nothing."),
)
_FAULT = "Something went wrong in the service; its log says what."

Asked = TypeVar("Asked", bound=CanvasRequest)
Told = tuple[Outcome, Canvas]

ENDPOINTS = Blueprint("inbox")

log = logging.getLogger(__name__)


@ENDPOINTS.post("/api/intercom/canvas/initialize")
async def initialize(request: Request[Any, Any]) -> HTTPResponse:
    """The card of the contact whose conversation an agent opened; nothing is written."""
    service = service_of(request)
    asked = _read(service, request, CanvasRequest)
    return await _in_time(service, _look(service, asked.contact_id))


@ENDPOINTS.post("/api/intercom/canvas/submit")
async def submit(request: Request[Any, Any]) -> HTTPResponse:
    """What the agent asked for is done, then the card is shown as it is now."""
    service = service_of(request)
    asked = _read(service, request, CanvasSubmit)
    if asked.component_id == card.SYNC:
        return await _in_time(service, _sync(service, asked.contact_id), writing=True)
    if asked.component_id == card.NUMBER:
        return await _in_time(service, _take(service, asked.contact_id, asked.entered(card.NUMBER)), writing=True)
    return await _in_time(service, _look(service, asked.contact_id))


def _read(service: Service, request: Request[Any, Any], kind: type[Asked]) -> Asked:
    """What is asked.

    Raises:
        Unauthorized: not by Intercom.
        BadRequest: nothing that can be understood.
    """
    secret = service.configuration.webhook.client_secret.get_secret_value()
    if not is_signed_canvas(request.body, request.headers.get("X-Body-Signature"), secret):
        metrics.CANVASES.labels("unsigned").inc()
        raise Unauthorized("The signature is not that of this body.")
    try:
        return kind.model_validate_json(request.body)
    except ValidationError:
        metrics.CANVASES.labels("malformed").inc()
        raise BadRequest("The body is no request of Canvas Kit's.") from None


async def _in_time(service: Service, work: Coroutine[Any, Any, Told], *, writing: bool = False) -> HTTPResponse:
    """The canvas that the work comes to, or one that says that it takes longer. What writes goes on to its end."""
    task = service.background.start(work)
    finished, _ = await asyncio.wait({task}, timeout=ANSWER_SECONDS)
    if finished:
        outcome, canvas = task.result()
    else:
        outcome, canvas = "unfinished", card.unfinished(writing=writing)
        if not writing:
            task.cancel()
    metrics.CANVASES.labels(outcome).inc()
    return json(CanvasAnswer(canvas=canvas).model_dump(mode="json"))


# ---- what is done, always with something to show


async def _look(service: Service, contact_id: str) -> Told:
    async def look() -> Told:
        return "shown", await _card(service, contact_id)

    return await _told(look(), contact_id, card.LOOK)


async def _sync(service: Service, contact_id: str) -> Told:
    async def sync() -> Told:
        verdict = await (await service.engine.door()).enrich(contact_id)
        return await _synced(service, verdict)

    return await _told(sync(), contact_id, card.SYNC)


async def _take(service: Service, contact_id: str, number: str) -> Told:
    """Take the number that the agent entered for a decision."""

    async def take() -> Told:
        if not 0 < len(number) <= MAX_NUMBER or not number.isprintable():
            return "not_synced", await _card(service, contact_id, card.no_number())
        verdict = await (await service.engine.door()).decide(contact_id, number)
        return await _synced(service, verdict, number)

    return await _told(take(), contact_id, card.NUMBER, number)


async def _told(work: Coroutine[Any, Any, Told], contact_id: str, component: str, entered: str = "") -> Told:
    """What the work comes to, or what keeps it from being done."""
    try:
        async with asyncio.timeout(LONGEST_WORK_SECONDS):
            return await work
    except Exception as error:  # whatever it is, an agent can read nothing but a canvas
        sentence = next((sentence for kind, sentence in _TROUBLES if isinstance(error, kind)), _FAULT)
        log.warning("the inbox app: %s", error, extra={"contact_id": contact_id}, exc_info=sentence is _FAULT and error)
        return "failed", card.trouble(sentence, component, entered)


async def _synced(service: Service, verdict: Verdict, number: str = "") -> Told:
    """Note what was done; a merged contact is shown as the one that it became part of."""
    succeeded = verdict.outcome in SUCCEEDED
    known = {"contact_id": verdict.contact_id, "member_number": verdict.member_number}
    log.info("the inbox app: %s", verdict.outcome, extra=known)
    if succeeded:
        service.store.note_synced(verdict.contact_id)
    await _make_durable(service, verdict.contact_id)
    outcome: Outcome = "synced" if succeeded else "not_synced"
    said = card.done(verdict)
    if succeeded and number:
        return outcome, await _card(service, verdict.contact_id, said, decided=number)
    return outcome, await _card(service, verdict.contact_id, said, entered=number)


async def _make_durable(service: Service, contact_id: str) -> None:
    """Have the store know what was noted, how the writes ended, and that the turn is over."""
    try:
        await service.store.journal.flush()
    except StoreUnavailable as error:  # what was written is written; the store has it with what it stores next
        log.warning("the inbox app: %s", error, extra={"contact_id": contact_id})


async def _card(service: Service, contact_id: str, *said: Text, decided: str = "", entered: str = "") -> Canvas:
    explained = await (await service.engine.door()).explain(contact_id, decided or None)
    last_synced = await _last_synced(service, explained.contact.id) if explained else None
    return card.card(explained, last_synced, *said, entered=entered)


async def _last_synced(service: Service, contact_id: str) -> card.LastSynced:
    try:
        return await service.store.last_synced(contact_id)
    except StoreUnavailable:
        return UNKNOWN

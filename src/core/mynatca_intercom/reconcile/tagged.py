"""The tag `mynatca-sync` on a conversation: a person asks that its contact become the member whose number is given.

The tag is the work item: it is removed after success only, so that whatever was lost on the way is found again by the
next look. On failure an internal note says why in one sentence, once per cause.
"""

import html
from dataclasses import dataclass

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.intercom.conversation import WholeConversation
from mynatca_intercom.intercom.errors import NotFound
from mynatca_intercom.reconcile.door import SUCCEEDED, Door, Verdict
from mynatca_intercom.reconcile.writer import Writer

NOTE = "Member sync: "
"""How each of our notes begins."""


@dataclass(frozen=True, slots=True)
class TagRules:
    """Which tag asks for a sync (its id), and which conversation attribute holds the member number (its name)."""

    tag_id: str
    attribute: str


class TaggedConversations:
    """Carries out what the tag asks for; safe to run beside others who do the same.

    With no `writer` it only tells what would be done.
    """

    def __init__(self, client: IntercomClient, writer: Writer | None, door: Door, rules: TagRules) -> None:
        self._client = client
        self._writer = writer
        self._door = door
        self._rules = rules

    async def resync(self, conversation_id: str) -> Verdict | None:
        """Make the conversation's contact the member, and take the tag off; None when the tag is off already.

        Raises:
            IntercomError: a call failed for good; the tag stays.
            SourceError: no source of members answers; the tag stays.
        """
        try:
            conversation = await self._client.conversation(conversation_id)
        except NotFound:
            return None
        if self._rules.tag_id not in conversation.tag_ids:
            return None
        verdict = await self._carried_out(conversation)
        if self._writer is None:
            return verdict
        if verdict.outcome in SUCCEEDED:
            return await self._ended(self._writer, conversation, verdict)
        if verdict.outcome not in ("failed", "not_reached"):  # what may go well the next time needs no note
            await self._say(self._writer, conversation, verdict.answer or verdict.reason)
        return verdict

    async def _ended(self, writer: Writer, conversation: WholeConversation, verdict: Verdict) -> Verdict:
        """Take the tag off, unless the number was corrected while another one was carried out."""
        if self._number(await self._client.conversation(conversation.id)) != self._number(conversation):
            reason = "the member number was changed while it was carried out"
            return Verdict(verdict.contact_id, "not_reached", verdict.member_number, reason)
        await writer.untag_conversation(conversation.id, self._rules.tag_id, verdict.member_number)
        return verdict

    def _number(self, conversation: WholeConversation) -> str:
        return str(conversation.attributes.get(self._rules.attribute) or "").strip()

    async def _carried_out(self, conversation: WholeConversation) -> Verdict:
        number = self._number(conversation)
        if not number:
            reason = f"the attribute {self._rules.attribute!r} is empty: enter the member number there"
            return Verdict("", "refused", reason=reason)
        contact_id = await self._meant(conversation, number)
        if contact_id is None:
            reason = "several people take part, and which of them is meant is not clear: take the others out first"
            return Verdict("", "refused", reason=reason)
        return await self._door.decide(contact_id, number)

    async def _meant(self, conversation: WholeConversation, number: str) -> str | None:
        """The one participant who is not surely somebody else; in a conversation of one, that one whoever it is."""
        if len(conversation.contact_ids) == 1:
            return conversation.contact_ids[0]
        possible: list[str] = []
        for contact_id in conversation.contact_ids:
            judged = await self._door.judge(contact_id)
            if judged and (judged[1].member is None or judged[1].member.number == number):
                possible.append(judged[0].id)
        return possible[0] if len(possible) == 1 else None

    @staticmethod
    async def _say(writer: Writer, conversation: WholeConversation, reason: str) -> None:
        """Leave a note, unless one of the same words stands there; Intercom may write its entities in another way."""
        text = f"{NOTE}{reason}."
        if not any(text in html.unescape(note) for note in conversation.notes):
            await writer.note_conversation(conversation.id, html.escape(text))

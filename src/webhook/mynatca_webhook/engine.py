"""The ways into the decision engine, as this service uses them; what the workspace has to tell first is kept."""

from mynatca_intercom.intercom.client import IntercomClient
from mynatca_intercom.members.directory import Directory
from mynatca_intercom.reconcile.door import Door, Verdict
from mynatca_intercom.reconcile.journal import WriteRecord
from mynatca_intercom.reconcile.tagged import TaggedConversations, TagRules
from mynatca_intercom.reconcile.turns import Turns
from mynatca_intercom.reconcile.writer import Writer
from mynatca_intercom.settings import IntercomSettings, MemberSettings, TagSettings


class CannotResync(Exception):
    """The workspace is not set up for the tag; the text says what is missing."""


class Engine:
    """One engine for everybody who asks this process.

    Args:
        client: the workspace.
        members: where members are looked up.
        journal: where every write is noted before it is sent.
        turns: who shares them never settles the same member at once.
        intercom, rules, tags: settings.
    """

    def __init__(
        self,
        client: IntercomClient,
        members: Directory,
        journal: WriteRecord,
        turns: Turns,
        *,
        intercom: IntercomSettings,
        rules: MemberSettings,
        tags: TagSettings,
    ) -> None:
        self._client = client
        self._members = members
        self._journal = journal
        self._turns = turns
        self._intercom = intercom
        self._rules = rules
        self._tags = tags
        self._admin_id = intercom.admin_id
        self._tag_id: str | None = None
        self._door: Door | None = None

    async def door(self) -> Door:
        """Takes one contact in.

        Raises:
            IntercomError: it does not say who we are.
        """
        if self._door is None:
            if self._admin_id is None:
                me = await self._client.me()
                self._admin_id = me.id if me else None
            self._door = Door(
                self._client,
                self._writer,
                self._members,
                self._turns,
                phone_region=self._rules.phone_region,
                search_lag_seconds=self._intercom.search_lag_seconds,
            )
        return self._door

    async def resync(self, conversation_id: str) -> Verdict | None:
        """Carry out what the tag on a conversation asks for; None when the tag is off already.

        Raises:
            CannotResync: there is no teammate to write as, or no such tag.
            IntercomError, SourceError, OSError: as `TaggedConversations.resync` and `Door.decide`.
        """
        door = await self.door()
        if self._admin_id is None:
            raise CannotResync("conversations are written to in a teammate's name: set INTERCOM_ADMIN_ID")
        known = self._tag_id
        verdict = await self._tagged(door, known).resync(conversation_id) if known else None
        if verdict is None:  # off, or on under another id: it may have been deleted and made anew
            self._tag_id = tag_id = await self._client.tag_id(self._tags.tag)
            if tag_id is None:
                raise CannotResync(f"the workspace has no tag {self._tags.tag!r}")
            if tag_id != known:
                verdict = await self._tagged(door, tag_id).resync(conversation_id)
        return verdict

    def _tagged(self, door: Door, tag_id: str) -> TaggedConversations:
        return TaggedConversations(self._client, self._writer, door, TagRules(tag_id, self._tags.attribute))

    @property
    def _writer(self) -> Writer:
        return Writer(self._client, self._journal, self._admin_id)

"""Intercom's official Python library against the sandbox: it asks and parses as it does with Intercom.

The library follows the description of 2.14 and sends no version unless told; both ways are taken here. It builds
its models without validating them, so that one test validates them strictly.
"""

from collections.abc import Iterator
from typing import Any

import httpx
import pydantic
import pytest
from intercom import (
    AdminReplyConversationRequest,
    ContactReplyIntercomUserIdRequest,
    Intercom,
    MultipleFilterSearchRequest,
    SingleFilterSearchRequest,
    StartingAfterPaging,
)
from intercom.contacts import Contact
from intercom.conversations import (
    AttachContactToConversationRequestCustomerIntercomUserId,
    Conversation,
    ConversationsManageRequestBody_Close,
    CreateConversationRequestFrom,
)
from intercom.core.api_error import ApiError
from intercom.errors import BadRequestError, NotFoundError, UnauthorizedError, UnprocessableEntityError
from intercom.types import (
    AdminList,
    AdminWithApp,
    ContactList,
    ConversationList,
    DataAttributeList,
    TagList,
    TicketList,
)

from mynatca_sandbox.server import Sandbox

ANN, LEAD, BOB, MERGED = (f"6762f0dd1bb69f9f2193bb0{number}" for number in (1, 2, 3, 4))


@pytest.fixture(params=[None, "2.16"], ids=["version of the app", "2.16"])
def sdk(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Intercom]:
    headers = {"Intercom-Version": request.param} if request.param else None
    with httpx.Client(verify=False) as http:  # noqa: S501  - there is no TLS
        yield Intercom(base_url=sandbox.url, token="sandbox-token", headers=headers, httpx_client=http)


def only(field: str, value: str) -> SingleFilterSearchRequest:
    return SingleFilterSearchRequest(field=field, operator="=", value=value)


class TestContacts:
    def test_create_makes_a_user_with_its_attributes(self, sdk: Intercom) -> None:
        request = {"email": "cy@union.example", "external_id": "1003", "custom_attributes": {"region": "GL"}}
        created = sdk.contacts.create(request=request)
        assert (created.role, created.email, created.external_id) == ("user", "cy@union.example", "1003")
        assert created.custom_attributes == {"region": "GL"}

    def test_update_changes_what_it_names(self, sdk: Intercom) -> None:
        updated = sdk.contacts.update(ANN, name="Anna", custom_attributes={"region": "ESO"})
        assert (updated.name, updated.custom_attributes, updated.email) == (
            "Anna",
            {"region": "ESO"},
            "ann@union.example",
        )

    def test_find_gives_owner_tags_and_notes(self, sdk: Intercom) -> None:
        found = sdk.contacts.find(ANN)
        assert found.tags is not None
        assert found.notes is not None
        assert [tag.id for tag in found.tags.data or []] == ["1"]
        assert (found.tags.total_count, found.notes.total_count) == (1, 2)

    def test_a_user_is_found_by_external_id(self, sdk: Intercom) -> None:
        assert sdk.contacts.show_contact_by_external_id("1002").id == BOB

    def test_list_goes_through_all_pages(self, sdk: Intercom) -> None:
        assert sorted(str(contact.id) for contact in sdk.contacts.list(per_page=1)) == [ANN, LEAD, BOB]

    def test_search_gives_a_cursor_to_the_next_page(self, sdk: Intercom) -> None:
        """The cursor is passed by hand: the library's own paging of a search asks for the first page for ever."""
        query = MultipleFilterSearchRequest(operator="AND", value=[only("email", "ann@union.example")])
        first = sdk.contacts.search(query=query, pagination=StartingAfterPaging(per_page=1))
        assert first.response is not None
        assert first.response.pages is not None
        assert first.response.pages.next is not None
        cursor = first.response.pages.next.starting_after
        second = sdk.contacts.search(query=query, pagination=StartingAfterPaging(per_page=1, starting_after=cursor))
        assert sorted(str(contact.id) for contact in (*(first.items or []), *(second.items or []))) == [ANN, LEAD]
        assert second.has_next is False

    def test_merge_gives_the_survivor(self, sdk: Intercom) -> None:
        merged = sdk.contacts.merge_lead_in_user(lead_id=LEAD, contact_id=ANN)
        assert (merged.id, merged.role, merged.external_id) == (ANN, "user", "1001")

    def test_archive_and_unarchive(self, sdk: Intercom) -> None:
        archived = sdk.contacts.archive(ANN)
        assert (archived.id, archived.external_id, archived.archived) == (ANN, "1001", True)
        assert sdk.contacts.unarchive(ANN).archived is False

    def test_block_and_delete(self, sdk: Intercom) -> None:
        assert sdk.contacts.block_contact(ANN).blocked is True
        assert sdk.contacts.delete(BOB).deleted is True


class TestTagsAndNotes:
    def test_a_contact_is_tagged_and_untagged(self, sdk: Intercom) -> None:
        assert sdk.tags.tag_contact(ANN, tag_id="2").name == "mynatca-sync"
        assert [tag.name for tag in sdk.contacts.list_attached_tags(ANN).data or []] == ["Steward", "mynatca-sync"]
        assert sdk.tags.untag_contact(ANN, "1").name == "Steward"

    def test_a_conversation_is_tagged_and_untagged_by_an_admin(self, sdk: Intercom) -> None:
        assert sdk.tags.tag_conversation("21", tag_id="1", admin_id="11").name == "Steward"
        applied = sdk.tags.untag_conversation("21", "2", admin_id="11").applied_by
        assert applied is not None
        assert (applied.type, applied.id) == ("admin", "11")

    def test_a_ticket_is_tagged(self, sdk: Intercom) -> None:
        assert sdk.tags.tag_ticket("41", tag_id="2", admin_id="11").id == "2"

    def test_tags_are_listed_found_and_deleted(self, sdk: Intercom) -> None:
        assert [tag.name for tag in sdk.tags.list().data or []] == ["Steward", "mynatca-sync"]
        assert sdk.tags.find("1").name == "Steward"
        sdk.tags.delete("1")
        assert [tag.id for tag in sdk.tags.list().data or []] == ["2"]

    def test_a_note_is_written(self, sdk: Intercom) -> None:
        written = sdk.notes.create(ANN, body="Moved", admin_id="11")
        assert (written.body, written.author and written.author.name) == ("<p>Moved</p>", "Ada")
        notes = sdk.contacts.find(ANN).notes
        assert notes is not None
        assert written.id in [note.id for note in notes.data or []]


class TestConversations:
    def test_a_contact_begins_one(self, sdk: Intercom) -> None:
        author = CreateConversationRequestFrom(type="user", id=ANN)
        begun = sdk.conversations.create(from_=author, body="Hello")
        assert begun.conversation_id is not None
        assert begun.body == "Hello"
        source = sdk.conversations.find(int(begun.conversation_id)).source
        assert source is not None
        assert source.body == "<p>Hello</p>"

    def test_get_gives_parts_tags_and_contacts(self, sdk: Intercom) -> None:
        found = sdk.conversations.find(21)
        assert found.conversation_parts is not None
        assert found.contacts is not None
        assert [part.part_type for part in found.conversation_parts.conversation_parts or []] == [
            "comment",
            "comment",
            "close",
        ]
        assert [contact.id for contact in found.contacts.contacts or []] == [ANN, BOB]

    def test_list_goes_through_all_pages(self, sdk: Intercom) -> None:
        assert sorted(str(each.id) for each in sdk.conversations.list(per_page=1)) == ["21", "25"]

    def test_search_finds_those_of_a_contact(self, sdk: Intercom) -> None:
        assert [each.id for each in sdk.conversations.search(query=only("contact_ids", LEAD))] == ["25"]

    def test_an_admin_notes_and_a_contact_replies(self, sdk: Intercom) -> None:
        note = AdminReplyConversationRequest(message_type="note", admin_id="11", body="Checked")
        assert self.last_part(sdk.conversations.reply("21", request=note)) == ("note", "<p>Checked</p>")
        reply = ContactReplyIntercomUserIdRequest(
            message_type="comment", type="user", intercom_user_id=ANN, body="Thanks"
        )
        assert self.last_part(sdk.conversations.reply("21", request=reply)) == ("comment", "<p>Thanks</p>")

    @staticmethod
    def last_part(conversation: Conversation) -> tuple[str | None, str | None]:
        assert conversation.conversation_parts is not None
        [*_, part] = conversation.conversation_parts.conversation_parts or []
        return part.part_type, part.body

    def test_it_is_closed(self, sdk: Intercom) -> None:
        close = ConversationsManageRequestBody_Close(admin_id="11")
        assert sdk.conversations.manage("21", request=close).state == "closed"

    def test_attributes_are_updated(self, sdk: Intercom) -> None:
        updated = sdk.conversations.update(21, custom_attributes={"Member Number Verification": "1001"})
        assert updated.custom_attributes == {"Topic": "Dues", "Member Number Verification": "1001"}

    def test_a_contact_joins_and_leaves(self, sdk: Intercom) -> None:
        customer = AttachContactToConversationRequestCustomerIntercomUserId(intercom_user_id=LEAD)
        joined = sdk.conversations.attach_contact_as_admin("21", admin_id="11", customer=customer)
        assert joined.contacts is not None
        assert [contact.id for contact in joined.contacts.contacts or []] == [ANN, BOB, LEAD]
        left = sdk.conversations.detach_contact_as_admin("21", BOB, admin_id="11")
        assert left.contacts is not None
        assert [contact.id for contact in left.contacts.contacts or []] == [ANN, LEAD]


class TestWorkspace:
    def test_open_tickets_of_a_contact_are_found(self, sdk: Intercom) -> None:
        [ticket] = sdk.tickets.search(query=only("contact_ids", ANN))
        assert ticket is not None
        assert (ticket.id, ticket.ticket_id, ticket.open) == ("41", "7", True)

    def test_a_data_attribute_is_created_and_listed(self, sdk: Intercom) -> None:
        request: Any = {"name": "facility", "model": "contact", "data_type": "string"}
        created = sdk.data_attributes.create(request=request)
        assert (created.full_name, created.data_type) == ("custom_attributes.facility", "string")
        assert "facility" in [attribute.name for attribute in sdk.data_attributes.list(model="contact").data or []]

    def test_the_app_knows_itself_and_the_admins(self, sdk: Intercom, sandbox: Sandbox) -> None:
        me = sdk.admins.identify()
        assert me is not None
        assert me.app is not None
        assert (me.id, me.app.id_code) == ("11", sandbox.world.workspace_id)
        assert [admin and admin.name for admin in sdk.admins.list().admins or []] == ["Ada", "Bob"]
        found = sdk.admins.find(12)
        assert found is not None
        assert found.email == "bob@union.example"


class TestErrors:
    """The library has types for what the description lists, and one for all others."""

    def test_a_wrong_token_is_unauthorized(self, sandbox: Sandbox) -> None:
        with httpx.Client(verify=False) as http:  # noqa: S501  - there is no TLS
            sdk = Intercom(base_url=sandbox.url, token="wrong", httpx_client=http)
            with pytest.raises(UnauthorizedError) as refused:
                sdk.contacts.find(ANN)
        assert refused.value.body.errors[0].code == "unauthorized"

    def test_an_unknown_conversation_is_not_found(self, sdk: Intercom) -> None:
        with pytest.raises(NotFoundError) as refused:
            sdk.conversations.find(99)
        assert refused.value.body["errors"][0]["code"] == "not_found"

    def test_a_bad_attribute_is_a_bad_request(self, sdk: Intercom) -> None:
        request: Any = {"name": "region", "model": "contact", "data_type": "string"}
        with pytest.raises(BadRequestError):
            sdk.data_attributes.create(request=request)

    def test_the_last_participant_stays(self, sdk: Intercom) -> None:
        with pytest.raises(UnprocessableEntityError):
            sdk.conversations.detach_contact_as_admin("25", LEAD, admin_id="11")

    @pytest.mark.parametrize(("contact_id", "status"), [("6762f0dd1bb69f9f2193bbff", 404), (MERGED, 410)])
    def test_unlisted_refusals_keep_their_status(self, sdk: Intercom, contact_id: str, status: int) -> None:
        with pytest.raises(ApiError) as refused:
            sdk.contacts.find(contact_id)
        assert refused.value.status_code == status

    def test_a_conflict_names_the_holder(self, sdk: Intercom) -> None:
        with pytest.raises(ApiError) as refused:
            sdk.contacts.create(request={"external_id": "1001"})
        assert refused.value.status_code == 409
        assert refused.value.body["errors"][0]["message"].endswith(f"already exists with id={ANN}")


@pytest.mark.parametrize(
    ("target", "model"),
    [
        ("/me", AdminWithApp),
        ("/admins", AdminList),
        ("/contacts", ContactList),
        (f"/contacts/{ANN}", Contact),
        (f"/contacts/{ANN}/tags", TagList),
        ("/conversations", ConversationList),
        ("/conversations/21", Conversation),
        ("/data_attributes?model=contact", DataAttributeList),
        ("/tags", TagList),
        ("/tickets/search", TicketList),
    ],
)
def test_answers_in_2_14_satisfy_the_librarys_models(
    sandbox: Sandbox, target: str, model: type[pydantic.BaseModel]
) -> None:
    # Theirs is a text; the description of 2.14 has an object.
    sandbox.world.contacts[0].avatar = None
    headers = {"Authorization": "Bearer sandbox-token", "Intercom-Version": "2.14"}
    query = {"query": {"field": "contact_ids", "operator": "=", "value": ANN}}
    method, body = ("POST", query) if target.endswith("/search") else ("GET", None)
    answer = httpx.request(method, sandbox.url + target, headers=headers, json=body).json()
    model.model_validate(answer, strict=True)

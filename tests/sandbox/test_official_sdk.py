"""Intercom's official Python library against the sandbox: it asks and parses as it does with Intercom."""

from collections.abc import Callable

import httpx
import pytest
from intercom import Intercom, SingleFilterSearchRequest
from intercom.core.api_error import ApiError

from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Contact, Conversation


@pytest.fixture
def sdk(sandbox: Sandbox, api: httpx.Client) -> Intercom:
    version = {"Intercom-Version": "2.14"}
    return Intercom(base_url=sandbox.url, token="sandbox-token", headers=version, httpx_client=api)


def test_contacts_are_paged_through(sdk: Intercom, add_contact: Callable[..., Contact]) -> None:
    for number in range(5):
        add_contact(f"a{number}", email=f"a{number}@union.example", phone="+12025550101")
    listed = [contact.id for contact in sdk.contacts.list(per_page=2)]
    assert sorted(filter(None, listed)) == ["a0", "a1", "a2", "a3", "a4"]
    query = SingleFilterSearchRequest(field="email", operator="=", value="a3@union.example")
    assert [contact.id for contact in sdk.contacts.search(query=query)] == ["a3"]


def test_a_contacts_life(sdk: Intercom) -> None:
    created = sdk.contacts.create(request={"email": "ann@union.example", "external_id": "5"})
    assert created.id is not None
    assert sdk.contacts.update(created.id, name="Ann").name == "Ann"
    assert sdk.contacts.show_contact_by_external_id("5").email == "ann@union.example"
    sdk.tags.tag_contact(created.id, tag_id="1")
    assert [tag.name for tag in sdk.contacts.list_attached_tags(created.id).data or []] == ["Steward"]
    assert sdk.contacts.archive(created.id).archived is True
    with pytest.raises(ApiError) as not_found:
        sdk.contacts.find(created.id)
    assert not_found.value.status_code == 404
    assert sdk.contacts.unarchive(created.id).archived is False
    with pytest.raises(ApiError) as conflict:
        sdk.contacts.create(request={"external_id": "5"})
    assert conflict.value.status_code == 409


def test_a_lead_is_merged(sdk: Intercom, add_contact: Callable[..., Contact]) -> None:
    add_contact("u1", email="a@union.example")
    add_contact("l1", role="lead", email="a@union.example", name="Visitor")
    assert sdk.contacts.merge_lead_in_user(lead_id="l1", contact_id="u1").name == "Visitor"


def test_a_conversation_is_found_answered_and_tagged(
    sdk: Intercom, add_contact: Callable[..., Contact], add_conversation: Callable[..., Conversation]
) -> None:
    add_contact("a1")
    add_conversation("7", "a1")
    query = SingleFilterSearchRequest(field="contact_ids", operator="=", value="a1")
    assert [conversation.id for conversation in sdk.conversations.search(query=query)] == ["7"]
    sdk.tags.tag_conversation("7", tag_id="2", admin_id="11")
    conversation = sdk.conversations.find(7)
    assert conversation.tags is not None
    assert [tag.name for tag in conversation.tags.tags or []] == ["mynatca-sync"]


def test_the_workspace_describes_itself(sdk: Intercom, sandbox: Sandbox) -> None:
    me = sdk.admins.identify()
    assert me is not None
    assert me.app is not None
    assert me.app.id_code == sandbox.world.workspace_id
    names = [attribute.name for attribute in sdk.data_attributes.list(model="contact").data or []]
    assert "region" in names
    assert [tag.name for tag in sdk.tags.list().data or []] == ["Steward", "mynatca-sync"]

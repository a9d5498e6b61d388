"""The client's calls: typed, listed whole, tried again within bounds, and never twice where once is right."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest
import stamina
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mynatca_intercom.intercom.client import MAX_PAGE, IntercomClient
from mynatca_intercom.intercom.errors import (
    Conflict,
    CredentialsRefused,
    IntercomError,
    Merged,
    NoAnswer,
    NotFound,
    RateLimited,
    Rejected,
    ServerFailed,
)
from mynatca_intercom.metrics import REGISTRY
from mynatca_intercom.settings import IntercomSettings, load
from mynatca_sandbox.faults import Faults
from mynatca_sandbox.options import Options
from mynatca_sandbox.server import Sandbox
from mynatca_sandbox.world.model import Admin, Contact, DataAttribute, World
from support.canned import Answer, Request, canned

T = TypeVar("T")
Call = Callable[[IntercomClient], Awaitable[Any]]
NOW = 1_790_000_000
SECRET = "ada@union.example"
LIST, CREATE, GET, PUT = "GET /contacts", "POST /contacts", "GET /contacts/{contact_id}", "PUT /contacts/{contact_id}"
ARCHIVE = "POST /contacts/{contact_id}/archive"

CALLS: dict[str, Call] = {
    "me": lambda client: client.me(),
    "list_contacts": lambda client: client.list_contacts(),
    "contact": lambda client: client.contact("c1"),
    "create_contact": lambda client: client.create_contact({"email": SECRET}),
    "update_contact": lambda client: client.update_contact("c1", {"name": "Ada"}),
    "archive_contact": lambda client: client.archive_contact("c1"),
    "unarchive_contact": lambda client: client.unarchive_contact("c1"),
    "contact_attributes": lambda client: client.contact_attributes(),
    "create_contact_attribute": lambda client: client.create_contact_attribute("region", "Code"),
}


@pytest.fixture(autouse=True)
def retries_without_waits() -> Iterator[None]:
    with stamina.set_testing(True, attempts=20, cap=True):
        yield


def world(contacts: int = 1) -> World:
    people = [
        Contact(f"c{number}", "user", NOW, NOW, external_id=str(number), email=f"m{number}@union.example")
        for number in range(1, contacts + 1)
    ]
    return World(
        now=NOW,
        contacts=people,
        admins=[Admin("11", "Ada", SECRET)],
        data_attributes=[DataAttribute(1, "region", "contact", "string", NOW)],
    )


@pytest.fixture
def sandbox(start_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return start_sandbox(world())


def run(url: str, call: Callable[[IntercomClient], Awaitable[T]], **variables: str) -> T:
    """The outcome of one call (or several) of a client with these settings."""
    environment = {"INTERCOM_URL": url, "INTERCOM_ACCESS_TOKEN": "sandbox-token", **variables}

    async def with_client() -> T:
        async with IntercomClient(load(IntercomSettings, environment)) as client:
            return await call(client)

    return asyncio.run(with_client())


def answers(*answers: Answer) -> Callable[[Request], Answer]:
    """Give these one after the other, and the last one from then on."""
    rest = list(answers)
    return lambda _request: rest.pop(0) if len(rest) > 1 else rest[0]


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, json.dumps(value).encode(), headers)


def refusal(status: int, message: str = SECRET, code: str = "some_code") -> Answer:
    return as_json({"type": "error.list", "errors": [{"code": code, "message": message}]}, status)


PERSON = {"type": "contact", "id": "c1", "role": "user"}
SILENCE = Answer(0)


def page(ids: list[str], total: int, cursor: str | None = None) -> Answer:
    following = {"per_page": 150, "starting_after": cursor} if cursor else None
    people = [PERSON | {"id": each} for each in ids]
    return as_json({"type": "list", "data": people, "total_count": total, "pages": {"next": following}})


# --- What is sent and what comes back.


def test_every_call_names_version_media_type_and_token() -> None:
    with canned(lambda _request: as_json({"app": None, **PERSON, "data": [], "total_count": 0, "name": "x"})) as server:
        for call in CALLS.values():
            run(server.url, call)
        sent = {
            (request.headers["Intercom-Version"], request.headers["Accept"], request.headers["Authorization"])
            for request in server.requests
        }
    assert sent == {("2.16", "application/json", "Bearer sandbox-token")}
    assert len(server.requests) == len(CALLS)


def test_a_contact_is_created_read_changed_archived_and_brought_back(sandbox: Sandbox) -> None:
    async def scenario(client: IntercomClient) -> None:
        body = {
            "role": "user",
            "external_id": "77",
            "email": "new@union.example",
            "custom_attributes": {"region": "GL"},
        }
        created = await client.create_contact(body)
        assert (created.external_id, created.custom_attributes["region"]) == ("77", "GL")
        assert await client.contact(created.id) == created
        updated = await client.update_contact(created.id, {"name": "Ada"})
        assert (updated.name, updated.email) == ("Ada", "new@union.example")
        await client.archive_contact(created.id)
        with pytest.raises(NotFound):
            await client.contact(created.id)
        await client.unarchive_contact(created.id)
        assert (await client.contact(created.id)).name == "Ada"

    run(sandbox.url, scenario)


def test_the_workspace_is_that_of_the_token(sandbox: Sandbox) -> None:
    me = run(sandbox.url, lambda client: client.me())
    assert me
    assert me.app
    assert me.app.id == sandbox.world.workspace_id
    assert me.id == sandbox.world.admins[0].id


@pytest.mark.parametrize("answer", [{"type": "admin", "app": None}, {"type": "admin"}, None])
def test_a_token_without_a_workspace_is_no_error(answer: Any) -> None:
    """The description allows null."""
    with canned(lambda _request: as_json(answer)) as server:
        me = run(server.url, lambda client: client.me())
        assert me is None or (me.id, me.app) == (None, None)


def test_attributes_are_listed_with_the_archived_ones_and_created(sandbox: Sandbox) -> None:
    sandbox.world.data_attributes.append(DataAttribute(2, "old", "contact", "integer", NOW, archived=True))

    async def scenario(client: IntercomClient) -> None:
        assert (await client.create_contact_attribute("facility", "Code")).data_type == "string"
        custom = {each.name: each for each in await client.contact_attributes() if each.custom}
        assert {name: each.archived for name, each in custom.items()} == {
            "region": False,
            "old": True,
            "facility": False,
        }

    run(sandbox.url, scenario)


def test_calls_are_counted_by_operation_and_answer(sandbox: Sandbox) -> None:
    def counted(status: str) -> float:
        labels = {"operation": "get_contact", "status": status}
        return REGISTRY.get_sample_value("mynatca_intercom_api_calls_total", labels) or 0

    before = counted("200"), counted("404")

    async def scenario(client: IntercomClient) -> dict[str, int]:
        await client.contact("c1")
        with pytest.raises(NotFound):
            await client.contact("nobody")
        return client.calls

    assert run(sandbox.url, scenario) == {"get_contact": 2}
    assert (counted("200"), counted("404")) == (before[0] + 1, before[1] + 1)


# --- Listing.


@pytest.mark.parametrize(("contacts", "pages"), [(0, 1), (1, 1), (149, 1), (150, 1), (151, 2), (300, 2), (301, 3)])
def test_all_contacts_are_listed_in_pages_of_150(sandbox: Sandbox, contacts: int, pages: int) -> None:
    sandbox.reset(world(contacts))
    told: list[tuple[int, int]] = []
    listing = run(sandbox.url, lambda client: client.list_contacts(lambda *counts: told.append(counts)))
    assert listing.contacts.keys() == {contact.id for contact in sandbox.world.contacts}
    assert (listing.counted, listing.complete) == (contacts, True)
    assert sandbox.calls.by_route == {LIST: pages}
    assert told == [(min(150 * (number + 1), contacts), contacts) for number in range(pages)]


def test_the_page_size_is_sent_with_every_cursor() -> None:
    """Else Intercom falls back to pages of ten."""
    with canned(answers(page(["c1"], 2, "a+/b=\n"), page(["c2"], 2))) as server:
        run(server.url, lambda client: client.list_contacts())
    assert [parse_qs(urlsplit(request.path).query) for request in server.requests] == [
        {"per_page": [str(MAX_PAGE)]},
        {"per_page": [str(MAX_PAGE)], "starting_after": ["a+/b=\n"]},
    ]


@pytest.mark.parametrize(
    "pages",
    [None, {}, {"next": None}, {"next": {}}, {"next": {"starting_after": None}}, {"next": {"starting_after": ""}}],
)
def test_the_listing_ends_where_there_is_no_cursor(pages: Any) -> None:
    with canned(lambda _request: as_json({"data": [PERSON], "total_count": 1, "pages": pages})) as server:
        assert run(server.url, lambda client: client.list_contacts()).contacts.keys() == {"c1"}
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "cursors", [["a", "a"], ["a", "b", "a"], ["a", "b", "b"]], ids=["the same", "the first", "the last"]
)
def test_the_listing_ends_where_a_cursor_comes_again(cursors: list[str]) -> None:
    """Intercom did that once, and clients went round for days."""
    pages = [page([f"c{number}"], len(cursors), cursor) for number, cursor in enumerate(cursors)]
    with canned(answers(*pages)) as server:
        listing = run(server.url, lambda client: client.list_contacts())
    assert listing.contacts.keys() == {f"c{number}" for number in range(len(cursors))}
    assert len(server.requests) == len(cursors)


def test_a_contact_on_two_pages_counts_once_and_the_later_one_holds() -> None:
    early, late = PERSON | {"name": "early"}, PERSON | {"name": "late"}
    first = as_json({"data": [early], "total_count": 1, "pages": {"next": {"starting_after": "a"}}})
    with canned(answers(first, as_json({"data": [late], "total_count": 1}))) as server:
        listing = run(server.url, lambda client: client.list_contacts())
    assert [contact.name for contact in listing.contacts.values()] == ["late"]


@pytest.mark.parametrize(("first", "last"), [(100, 2), (2, 100)])
def test_the_smaller_of_the_first_and_last_count_is_what_must_be_there(first: int, last: int) -> None:
    """Contacts come and go while pages are read."""
    with canned(answers(page(["c1"], first, "a"), page(["c2"], last))) as server:
        listing = run(server.url, lambda client: client.list_contacts())
    assert (listing.counted, listing.complete) == (2, True)
    assert len(server.requests) == 2


def test_missing_contacts_are_listed_for_a_second_time_and_then_told() -> None:
    with canned(lambda _request: page(["c1"], 100)) as server:
        listing = run(server.url, lambda client: client.list_contacts())
    assert (len(listing.contacts), listing.counted, listing.complete) == (1, 100, False)
    assert len(server.requests) == 2


def test_contacts_that_are_there_the_second_time_are_no_matter() -> None:
    whole = page([f"c{number}" for number in range(100)], 100)
    with canned(answers(page(["c1"], 100), whole)) as server:
        listing = run(server.url, lambda client: client.list_contacts())
    assert (len(listing.contacts), listing.complete) == (100, True)


# --- Trying again.


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trouble=st.lists(st.sampled_from((SILENCE, refusal(429), *map(refusal, (500, 502, 503, 504)))), max_size=5))
@pytest.mark.parametrize("name", CALLS)
def test_up_to_five_failures_of_any_kind_fail_no_call(name: str, trouble: list[Answer]) -> None:
    good = as_json({"app": None, **PERSON, "data": [], "total_count": 0, "name": "x"})
    trouble = trouble[:2] if name == "unarchive_contact" else trouble  # a deleted contact answers 500 for good
    with canned(answers(*trouble, good)) as server:
        run(server.url, CALLS[name])
        assert len(server.requests) == len(trouble) + 1


@pytest.mark.parametrize("fault", ["fault_429", "fault_5xx", "fault_drop_before", "fault_drop_after"])
def test_an_unreliable_intercom_fails_no_call_and_changes_nothing_twice(sandbox: Sandbox, fault: str) -> None:
    sandbox.options = Options(limit=None, **{fault: 0.3})  # type: ignore[arg-type]  # a float each

    async def scenario(client: IntercomClient) -> None:
        for number in range(30):
            await client.update_contact("c1", {"name": f"name {number}"})
            assert (await client.contact("c1")).name == f"name {number}"

    run(sandbox.url, scenario, INTERCOM_MAX_ATTEMPTS="20")
    assert sandbox.calls.by_status[200] == 60
    assert sandbox.calls.total > 70


@pytest.mark.parametrize("attempts", [1, 2, 6])
@pytest.mark.parametrize(
    ("answer", "error"),
    [(SILENCE, NoAnswer), (refusal(429), RateLimited), (refusal(500), ServerFailed), (Answer(504), ServerFailed)],
)
def test_trying_again_has_an_end(answer: Answer, error: type[IntercomError], attempts: int) -> None:
    with canned(lambda _request: answer) as server, pytest.raises(error):
        run(server.url, CALLS["create_contact"], INTERCOM_MAX_ATTEMPTS=str(attempts))
    assert len(server.requests) == attempts


def test_bringing_back_a_deleted_contact_is_tried_three_times() -> None:
    with canned(lambda _request: refusal(500)) as server, pytest.raises(ServerFailed):
        run(server.url, CALLS["unarchive_contact"])
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Rejected),
        (401, CredentialsRefused),
        (403, CredentialsRefused),
        (404, NotFound),
        (409, Conflict),
        (410, Merged),
        (422, Rejected),
        (302, Rejected),
    ],
)
@pytest.mark.parametrize("name", CALLS)
def test_an_answer_that_will_stay_the_same_is_asked_for_once(
    name: str, status: int, error: type[IntercomError]
) -> None:
    with canned(lambda _request: refusal(status)) as server, pytest.raises(error) as caught:
        run(server.url, CALLS[name])
    assert len(server.requests) == 1
    assert SECRET not in str(caught.value)


def test_a_wrong_token_is_told_at_once(sandbox: Sandbox) -> None:
    with pytest.raises(CredentialsRefused) as caught:
        run(sandbox.url, CALLS["me"], INTERCOM_ACCESS_TOKEN="wrong-token")
    assert "wrong-token" not in str(caught.value)
    assert sandbox.calls.total == 1


def test_nobody_there_is_no_answer() -> None:
    with canned(lambda _request: SILENCE) as server:
        url = server.url
    with pytest.raises(NoAnswer, match="get_contact: no answer from Intercom"):
        run(url, CALLS["contact"])


def test_an_answer_that_takes_too_long_is_none(sandbox: Sandbox) -> None:
    sandbox.options = Options(latency=5)
    with pytest.raises(NoAnswer, match="Timeout"):
        run(sandbox.url, CALLS["contact"], INTERCOM_TIMEOUT_SECONDS="0.1", INTERCOM_MAX_ATTEMPTS="2")
    assert sandbox.calls[GET] == 2


@pytest.mark.parametrize(
    "answer",
    [
        Answer(200, SECRET.encode(), {"Content-Encoding": "gzip"}),
        Answer(200, SECRET.encode(), {"Transfer-Encoding": "chunked"}),
    ],
    ids=["broken compression", "broken chunks"],
)
def test_a_broken_answer_is_none(answer: Answer) -> None:
    with canned(lambda _request: answer) as server, pytest.raises(NoAnswer) as caught:
        run(server.url, CALLS["contact"], INTERCOM_MAX_ATTEMPTS="2")
    assert SECRET not in str(caught.value)


# --- Conflicts and merges.


@pytest.mark.parametrize(
    ("before", "after_silence"),
    [((), False), ((SILENCE,), True), ((refusal(500),), True), ((refusal(429), SILENCE), True)],
)
def test_a_conflict_says_whether_the_call_may_have_caused_it_itself(
    before: tuple[Answer, ...], *, after_silence: bool
) -> None:
    message = "A contact matching those details already exists with id=c7"
    with canned(answers(*before, refusal(409, message))) as server, pytest.raises(Conflict) as caught:
        run(server.url, CALLS["create_contact"])
    assert (caught.value.holder_id, caught.value.after_silence) == ("c7", after_silence)
    assert len(server.requests) == len(before) + 1


def strikes_once(seed: int) -> bool:
    """Whether a fault with a rate of one half meets the first call and not the second."""
    faults, options = Faults(seed), Options(fault_drop_after=0.5)
    return [faults.draw(options), faults.draw(options)] == ["drop_after", None]


def test_a_creation_whose_answer_was_lost_is_a_conflict_with_itself(sandbox: Sandbox) -> None:
    """The sandbox cuts the first connection after the contact was made."""
    sandbox.options = Options(fault_drop_after=0.5, fault_seed=next(seed for seed in range(99) if strikes_once(seed)))
    body = {"role": "user", "external_id": "77", "email": "new@union.example"}
    with pytest.raises(Conflict) as caught:
        run(sandbox.url, lambda client: client.create_contact(body))
    conflict = caught.value
    [made] = [contact for contact in sandbox.world.contacts if contact.external_id == "77"]
    assert (conflict.holder_id, conflict.archived, conflict.after_silence) == (made.id, False, True)


def test_holders_are_named_as_intercom_names_them(sandbox: Sandbox) -> None:
    sandbox.world.contacts.append(Contact("gone", "user", NOW, NOW, external_id="2", archived=True))
    sandbox.world.contacts.append(Contact("lead", "lead", NOW, NOW, merged_into="c1"))
    sandbox.reset(sandbox.world)

    async def scenario(client: IntercomClient) -> None:
        for number, holder, archived in (("1", "c1", False), ("2", "gone", True)):
            with pytest.raises(Conflict) as conflict:
                await client.create_contact({"external_id": number})
            assert (conflict.value.holder_id, conflict.value.archived) == (holder, archived)
        with pytest.raises(Merged) as merged:
            await client.contact("lead")
        assert merged.value.survivor_id == "c1"

    run(sandbox.url, scenario)


def test_a_contact_is_present_as_what_it_was_merged_into_unless_that_is_gone(sandbox: Sandbox) -> None:
    sandbox.world.contacts += [
        Contact("part", "lead", NOW, NOW, merged_into="c1"),
        Contact("gone", "user", NOW, NOW, archived=True),
        Contact("part of gone", "lead", NOW, NOW, merged_into="gone"),
    ]
    sandbox.reset(sandbox.world)

    async def scenario(client: IntercomClient) -> None:
        present = [await client.present_contact(each) for each in ("c1", "part", "gone", "part of gone")]
        assert [contact and contact.id for contact in present] == ["c1", "c1", None, None]

    run(sandbox.url, scenario)


# --- Answers that are none.

UNREADABLE = {
    "no JSON": SECRET.encode(),
    "nothing": b"",
    "HTML": f"<html>{SECRET}</html>".encode(),
    "null": b"null",
    "a list": f'["{SECRET}"]'.encode(),
    "half an object": f'{{"id":"c1","name":"{SECRET}"'.encode(),
    "an object of another kind": f'{{"type":"admin","email":"{SECRET}"}}'.encode(),
    "a role that is none": f'{{"id":"c1","role":"{SECRET}"}}'.encode(),
    "an id that is no text": f'{{"id":["{SECRET}"],"role":"user"}}'.encode(),
    "a moment that is none": f'{{"id":"c1","role":"user","created_at":"{SECRET}"}}'.encode(),
    "no UTF-8": b'{"id":"\xff","role":"user"}',
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_answer_is_a_failing_server_and_is_not_quoted(name: str) -> None:
    """And it is not asked for again: a write took effect, whatever the answer looks like."""
    with canned(lambda _request: Answer(200, UNREADABLE[name])) as server, pytest.raises(ServerFailed) as caught:
        run(server.url, CALLS["update_contact"])
    assert str(caught.value).startswith("update_contact: Intercom answered 200 unreadable_answer (")
    assert SECRET not in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "value", [{"data": [PERSON]}, {"data": [{"id": SECRET}], "total_count": 1}, {"data": {}, "total_count": 1}]
)
def test_an_unreadable_page_is_a_failing_server(value: Any) -> None:
    """Never an empty listing."""
    with canned(lambda _request: as_json(value)) as server, pytest.raises(ServerFailed) as caught:
        run(server.url, CALLS["list_contacts"])
    assert SECRET not in str(caught.value)


def test_fields_that_are_new_to_us_are_passed_over() -> None:
    with canned(lambda _request: as_json(PERSON | {"shoe_size": {"eu": 38}, "created_at": NOW})) as server:
        assert run(server.url, lambda client: client.contact("c1")).created_at == NOW


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at_once=st.integers(1, 30))
def test_calls_at_once_do_not_get_in_each_others_way(sandbox: Sandbox, at_once: int) -> None:
    sandbox.reset(world(30), Options(limit=None))

    async def scenario(client: IntercomClient) -> list[str]:
        found = await asyncio.gather(*(client.contact(f"c{number}") for number in range(1, at_once + 1)))
        return [contact.id for contact in found]

    assert run(sandbox.url, scenario) == [f"c{number}" for number in range(1, at_once + 1)]

"""What an agent sees, whoever the contact is and whatever was done to it."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynatca_intercom.intercom.contact import Contact
from mynatca_intercom.members.member import UNKNOWN, Member
from mynatca_intercom.reconcile import apply
from mynatca_intercom.reconcile.door import SUCCEEDED, Explained, Outcome, Verdict
from mynatca_intercom.reconcile.mapping import changes
from mynatca_intercom.reconcile.match import Match, MemberIndex, decided, judgements, match
from mynatca_webhook import card
from mynatca_webhook.canvas import AnyComponent, Canvas, CanvasAnswer

OUTCOMES: tuple[Outcome, ...] = (*apply.OUTCOMES, "ambiguous", "unmatched", "gone", "refused")

# Canvas Kit: component -> fields that must be there, and those that may.
COMPONENTS: dict[str, tuple[set[str], set[str]]] = {
    "text": ({"type", "text"}, {"id", "align", "style", "bottom_margin"}),
    "data-table": ({"type", "items"}, set()),
    "button": ({"type", "id", "label", "action"}, {"style", "disabled"}),
    "input": ({"type", "id"}, {"label", "placeholder", "value", "action", "save_state", "disabled"}),
    "divider": ({"type"}, {"bottom_margin"}),
}
STYLES = {"text": {"header", "paragraph", "muted", "error"}, "button": {"primary", "secondary", "link"}}
OURS = re.compile(r"\*\*[^*]*\*\*")
MARKDOWN = re.compile(r"[\[\]*]")

wild = st.one_of(
    st.none(), st.text(max_size=600), st.sampled_from(("[a](http://b)", "**bold**", "a\nb", " ", "\ud800"))
)
few = st.sampled_from(("1001", "1002", "[1](http://x)"))
emails = st.sampled_from(("ann@example.com", "family@example.com", None))
values = st.one_of(wild, st.just(UNKNOWN))
members = st.lists(
    st.builds(
        Member,
        number=st.one_of(few, st.text(min_size=1, max_size=300)),
        name=wild,
        email=emails,
        phone=st.none(),
        member_type=values,
        region=values,
        facility=values,
        positions=values,
    ),
    max_size=9,
    unique_by=lambda member: member.number,
)
contacts = st.builds(
    Contact,
    id=st.just("c" * 24),
    role=st.sampled_from(("user", "lead")),
    external_id=st.one_of(few, st.none()),
    email=emails,
    name=wild,
    custom_attributes=st.dictionaries(st.sampled_from(("Member Number", "region")), few),
)
moments = st.one_of(st.none(), st.just(UNKNOWN), st.datetimes(timezones=st.just(UTC)))


@st.composite
def explained(draw: st.DrawFn) -> Explained:
    """As the door explains it, by the contact's own evidence or by a person's decision."""
    contact, known = draw(contacts), draw(members)
    index = MemberIndex(known, knows_all=True)
    decision = draw(st.one_of(st.none(), st.sampled_from(known))) if known else None
    judgement = decided(contact, decision, index) if decision else match(contact, index)
    differing = tuple(changes(contact, judgement.member)) if judgement.member else ()
    judged = tuple((index.by_number[each.candidates[0]], each) for each in judgements(contact, index))
    return Explained(contact, judgement, judged, differing)


verdicts = st.builds(Verdict, contact_id=st.just("c" * 24), outcome=st.sampled_from(OUTCOMES), reason=st.text())


def components(canvas: Canvas) -> list[dict[str, Any]]:
    body = CanvasAnswer(canvas=canvas).model_dump(mode="json")
    assert len(json.dumps(body["canvas"]["content"])) < 64 * 1024
    shown: list[dict[str, Any]] = body["canvas"]["content"]["components"]
    return shown


def assert_valid(canvas: Canvas) -> None:
    """As Canvas Kit's reference wants it, and nothing in it that Intercom would read as a link."""
    shown = components(canvas)
    assert shown
    for each in shown:
        required, optional = COMPONENTS[each["type"]]
        assert required <= set(each) <= required | optional
        assert each.get("style") in {None, *STYLES.get(each["type"], ())}
        assert each.get("action", {"type": "submit"}) == {"type": "submit"}
        for row in each.get("items", ()):
            assert set(row) == {"type", "field", "value"}
    ids = [each["id"] for each in shown if "id" in each]
    assert len(ids) == len(set(ids))
    assert set(ids) <= {card.SYNC, card.NUMBER, card.LOOK}
    for text in texts(shown):
        assert 0 < len(text) <= 4 * card.MAX_TEXT
        assert text.isprintable()
        assert not MARKDOWN.search(OURS.sub("", text))


def texts(shown: list[dict[str, Any]]) -> list[str]:
    """All that is read."""
    plain = [each[name] for each in shown for name in ("text", "label", "placeholder") if name in each]
    return plain + [row[name] for each in shown for row in each.get("items", ()) for name in ("field", "value")]


@given(explained(), moments, st.lists(verdicts, max_size=1), st.text())
def test_every_card_is_a_canvas(judged: Explained, moment: card.LastSynced, done: list[Verdict], entered: str) -> None:
    said: list[AnyComponent] = [card.done(verdict) for verdict in done]

    assert_valid(card.card(judged, moment, *said, entered=entered))
    assert_valid(card.card(None, moment, *said, entered=entered))


@given(st.text(), st.sampled_from((card.SYNC, card.NUMBER, card.LOOK)), st.text())
def test_every_other_canvas_is_one(sentence: str, component: str, entered: str) -> None:
    assert_valid(card.trouble(f"No. {sentence}", component, entered))
    assert_valid(card.unfinished(writing=True))
    assert_valid(card.unfinished(writing=False))


@given(explained())
def test_a_number_can_be_entered_just_where_there_is_no_member(judged: Explained) -> None:
    shown = components(card.card(judged, None))
    fields = [each["id"] for each in shown if each["type"] == "input"]
    tables = [each for each in shown if each["type"] == "data-table"]

    assert (fields, len(tables)) == ([], 1) if judged.match.member else ([card.NUMBER], 0)
    assert card.SYNC in [each.get("id") for each in shown]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_is_told_as_what_it_is(outcome: Outcome) -> None:
    said = card.done(Verdict("c" * 24, outcome, "1001", "the reason"))

    succeeded = said.text.startswith(("Done", "Nothing had to be done"))
    assert succeeded == (outcome in SUCCEEDED)
    assert succeeded or "the reason" in said.text or outcome in ("ambiguous", "unmatched")


def test_all_that_agrees_is_told_and_what_speaks_against_a_decision() -> None:
    ann = Member("1001", "Ann Lee", "ann@example.com", None, "Current Member", "GL", UNKNOWN, None)
    contact = Contact("c" * 24, "user", "1001", "ann@example.com", name="Ann Lee")
    index = MemberIndex([ann], knows_all=True)
    judged = Explained(contact, match(contact, index), ((ann, judgements(contact, index)[0]),))
    against = replace(judged, match=Match("matched", ann, ("1001",), ("decision",), "", "the *name* differs"))

    shown = texts(components(card.card(judged, datetime(2026, 11, 24, 23, 5, tzinfo=UTC))))

    assert "Known by the member number in Intercom, the email and the name." in shown
    assert "24 Nov 2026, 23:05 UTC" in shown
    assert "not known at present" in shown
    assert any("But the name differs." in text for text in texts(components(card.card(against, None))))

"""What an agent sees beside a conversation: the contact's member and why it is that one, or why it is none.

Pure. All texts are bounded and free of Markdown, as some of them come from a database or from the agent.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from mynatca_intercom.members.member import UNKNOWN, Member, Unknown
from mynatca_intercom.reconcile.door import SUCCEEDED, Explained, Outcome, Verdict
from mynatca_intercom.reconcile.match import Match, Point
from mynatca_webhook.canvas import AnyComponent, Button, Canvas, DataTable, Divider, Input, TableRow, Text, canvas_of

SYNC = "sync"
"""Component that asks for the contact to be brought in line."""
NUMBER = "number"
"""Field whose value makes the contact that member's."""
LOOK = "look"
"""Component that asks for the card as it is now."""

MAX_TEXT = 255
"""Longest text from elsewhere, in characters; as long as an attribute of Intercom's may be."""
MAX_CANDIDATES = 3
"""Members that are shown when several are possible: a first canvas is 400 pixels high at most (Canvas Kit)."""

LastSynced = datetime | Literal[Unknown.UNKNOWN] | None
"""When this service last found or brought the contact in line; None for never, UNKNOWN when its store does not say."""

_POINTS: dict[Point, str] = {
    "decision": "the number that was entered",
    "external_id": "the member number in Intercom",
    "legacy_number": "the number in an older attribute",
    "email": "the email",
    "phone": "the phone",
    "name": "the name",
}
_FIELDS = {"external_id": "member number", "role": "user instead of lead", "member_type": "type"}
_DONE: dict[Outcome, str] = {
    "created": "Done: the member's contact was created.",
    "updated": "Done: the contact was brought in line.",
    "converted": "Done: the lead is the member's user now.",
    "unchanged": "Nothing had to be done: the contact is in line.",
}
_WITHOUT_MARKDOWN = str.maketrans("[]", "()", "*")


def card(explained: Explained | None, last_synced: LastSynced, *said: AnyComponent, entered: str = "") -> Canvas:
    """The member's card, or what is known where there is none.

    Args:
        explained: the contact as it was judged; None when Intercom shows no such contact.
        last_synced: see there.
        said: shown above it.
        entered: a member number that the agent entered in vain.
    """
    if explained is None:
        gone = Text(text="Intercom shows no such contact any more: it is archived or deleted.")
        return canvas_of(*(said or (gone,)), _button(LOOK, "Look again"))
    member = explained.match.member
    if member is None:
        return canvas_of(*said, *_doubt(explained), _number(entered), _button(SYNC, "Sync now", "secondary"))
    return canvas_of(*said, *_member(member, explained, last_synced))


def trouble(sentence: str, component: str, entered: str = "") -> Canvas:
    """Why there is no card, and the same component to try it again with."""
    again = _number(entered) if component == NUMBER else _button(component, "Try again")
    return canvas_of(Text(text=plain(sentence), style="error"), again)


def unfinished(*, writing: bool) -> Canvas:
    """Said when the time for an answer is over before the work is."""
    goes_on = "Still working: it goes on by itself. Look again in a moment."
    slow = "Intercom or the members' database does not answer in time. Look again in a moment."
    return canvas_of(Text(text=goes_on if writing else slow), _button(LOOK, "Look again"))


def no_number() -> Text:
    """Said when the field was left empty, or holds what cannot be a number."""
    return Text(text="That is no member number. Enter the number as it is in the members' database.", style="error")


def done(verdict: Verdict) -> Text:
    """What a sync came to, in one sentence."""
    if verdict.outcome == "merged":
        return Text(text=f"Done: merged into the member's contact {plain(verdict.contact_id)}, which is shown here.")
    if verdict.outcome == "archived_duplicate":
        kept = plain(verdict.contact_id)
        return Text(text=f"Done: archived as a duplicate of the member's contact {kept}, which is shown here.")
    if verdict.outcome in ("ambiguous", "unmatched"):
        return Text(text="Nothing was done, as it is not sure who this is.")
    if verdict.outcome in SUCCEEDED:
        return Text(text=_DONE[verdict.outcome])
    failed = verdict.outcome in ("failed", "not_reached")
    beginning = "It did not succeed and can be tried again" if failed else "Nothing was done"
    return Text(text=f"{beginning}: {plain(verdict.answer or verdict.reason) or 'no reason is known'}.", style="error")


def plain(text: str) -> str:
    """One line of text from elsewhere: bounded, printable, and nothing in it that is a link or bold to Canvas Kit."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    line = line.translate(_WITHOUT_MARKDOWN)
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"


# ---- a member


def _member(member: Member, explained: Explained, last_synced: LastSynced) -> Iterable[AnyComponent]:
    values = {
        "Number": member.number,
        "Type": member.member_type,
        "Region": member.region,
        "Facility": member.facility,
        "Positions": member.positions,
    }
    rows = [TableRow(field=name, value=_value(value)) for name, value in values.items()]
    yield Text(text=_called(member), style="header")
    yield DataTable(items=(*rows, TableRow(field="Last synced", value=_moment(last_synced))))
    yield Text(text=_why(explained), style="muted")
    yield Divider()
    yield Text(text=_in_line(explained.differing))
    yield _button(SYNC, "Sync now", "primary" if explained.differing else "secondary")


def _called(member: Member) -> str:
    return plain(member.name or "") or f"Member {plain(member.number)}"


def _value(value: str | Literal[Unknown.UNKNOWN] | None) -> str:
    if value is UNKNOWN:
        return "not known at present"
    return plain(value or "") or "none"


def _moment(moment: LastSynced) -> str:
    if moment is UNKNOWN:
        return "not known at present"
    return f"{moment.astimezone(UTC):%d %b %Y, %H:%M} UTC" if moment else "not by this service yet"


def _why(explained: Explained) -> str:
    """All that agrees; what made the match may have been enough without the rest."""
    match = explained.match
    judged = (each for _, each in explained.judgements if each.candidates == match.candidates)
    agreeing = {point for each in judged for point in each.evidence}
    known = f"Known by {_points({*match.evidence, *agreeing})}."
    return f"{known} But {plain(match.contradiction)}." if match.contradiction else known


def _points(points: Iterable[Point]) -> str:
    agreeing = set(points)
    return _listed(words for point, words in _POINTS.items() if point in agreeing)


def _in_line(differing: Iterable[str]) -> str:
    names = _listed(_FIELDS.get(name, name) for name in differing)
    if names:
        return f"The contact in Intercom is not in line with it yet: {names}."
    return "The contact in Intercom is in line with it."


# ---- no member


def _doubt(explained: Explained) -> Iterable[AnyComponent]:
    match = explained.match
    yield Text(text="No member found" if match.outcome == "unmatched" else "Not sure who this is", style="header")
    yield Text(text=_sentence(match.reason))
    for member, judged in explained.judgements[:MAX_CANDIDATES]:
        yield Text(text=_candidate(member, judged, match), style="muted")
    more = len(explained.judgements) - MAX_CANDIDATES
    if more > 0:
        yield Text(text=f"{more} more are possible.", style="muted")


def _candidate(member: Member, judged: Match, match: Match) -> str:
    """A member that it may be, what speaks for it, and what does not unless that is said already."""
    known = f"Perhaps **{plain(member.number)}**, {_called(member)}, by {_points(judged.evidence)}"
    against = judged.outcome == "ambiguous" and judged.reason != match.reason
    return f"{known}, but {plain(judged.reason)}." if against else f"{known}."


def _number(entered: str) -> Input:
    return Input(
        id=NUMBER,
        label="Member number",
        placeholder="12345",
        value=entered[:MAX_TEXT],
        save_state="failed" if entered else "unsaved",
    )


def _button(component: str, label: str, style: Literal["primary", "secondary"] = "primary") -> Button:
    return Button(id=component, label=label, style=style)


def _sentence(reason: str) -> str:
    text = plain(reason)
    return f"{text[:1].upper()}{text[1:]}."


def _listed(words: Iterable[str]) -> str:
    """As in a sentence: a, b and c."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last

"""Reading a list of Intercom's to its end, and knowing whether that was all of it."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


Row = TypeVar("Row", bound=_Identified)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page: its rows, how many rows there are in all, and the cursor of the next page."""

    rows: Sequence[Row]
    total_count: int
    cursor: str | None


def missing(read: int, counted: int) -> bool:
    """Whether more is missing than may have gone while the pages were read: 0.1 %, at least 5."""
    return read < counted - max(5, counted // 1000)


async def listed_whole(
    what: str,
    page: Callable[[str | None], Awaitable[Page[Row]]],
    listed: Callable[[int, int], None] = lambda _read, _counted: None,
) -> tuple[dict[str, Row], int]:
    """All rows by id, and how many there are by Intercom's own count; read once more when some are missing."""
    for _ in range(2):
        rows, counted = await _listed_once(page, listed)
        if not missing(len(rows), counted):
            break
        log.warning("%s are missing in the listing: %d of %d", what, len(rows), counted)
    return rows, counted


async def _listed_once(
    page: Callable[[str | None], Awaitable[Page[Row]]], listed: Callable[[int, int], None]
) -> tuple[dict[str, Row], int]:
    """One pass over the cursors, which ends where a cursor is missing or comes a second time."""
    rows: dict[str, Row] = {}
    totals: list[int] = []
    cursor: str | None = None
    seen: set[str | None] = set()
    while cursor not in seen:
        seen.add(cursor)
        answer = await page(cursor)
        rows.update((row.id, row) for row in answer.rows)
        totals.append(answer.total_count)
        listed(len(rows), answer.total_count)
        cursor = answer.cursor
        if not cursor:
            break
    return rows, min(totals[0], totals[-1])

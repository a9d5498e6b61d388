"""Paging (Intercom REST: Pagination): page sizes, opaque cursors, and the `pages` object."""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import orjson

from mynatca_sandbox.intercom.errors import invalid, invalid_cursor

MAX_PER_PAGE = 150
# Encodes to "+/+/": who forgets to encode a cursor in an URL, where "+" means a space, gets an invalid one.
_MARK = b"\xfb\xff\xbf"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PageRequest:
    """The page that a client asks for, numbered from 1; `after` is the key of the item before it."""

    per_page: int
    number: int = 1
    after: Any = None

    def describe(self, list_name: str, total: int, last_key: Any) -> dict[str, Any]:
        """Return the `pages` object; `last_key` is that of the page's last item, None on the last page."""
        described: dict[str, Any] = {
            "type": "pages",
            "page": self.number,
            "per_page": self.per_page,
            "total_pages": -(-total // self.per_page),
        }
        if last_key is not None:
            cursor = _encode(list_name, last_key, self.number + 1)
            described["next"] = {"per_page": self.per_page, "starting_after": cursor}
        return described


def read_page(list_name: str, parameters: Mapping[str, Any], default_per_page: int) -> PageRequest:
    """Read `per_page` and `starting_after`.

    Raises:
        ApiError: 400; the size is not in 1..150 (status and message assumed), or no answer of this list gave
            the cursor.
    """
    per_page = _per_page(parameters.get("per_page", default_per_page))
    cursor = parameters.get("starting_after")
    if cursor is None:
        return PageRequest(per_page)
    number, after = _decode(list_name, cursor)
    return PageRequest(per_page, number, after)


def sorted_page(
    list_name: str, items: list[T], key: Callable[[T], Any], request: PageRequest, *, descending: bool
) -> tuple[list[T], dict[str, Any]]:
    """Cut a page out of `items` by the order of `key`, which is unique and a JSON value.

    The cursor holds the last item's key and not a count, so that inserts and deletes before it move nothing.
    """
    ordered = sorted(items, key=key, reverse=descending)
    if request.after is None:
        rest = iter(ordered)
    elif descending:
        rest = (item for item in ordered if key(item) < request.after)
    else:
        rest = (item for item in ordered if key(item) > request.after)
    page = list(islice(rest, request.per_page))
    has_more = next(rest, None) is not None
    return page, request.describe(list_name, len(items), key(page[-1]) if has_more else None)


def _per_page(value: Any) -> int:
    if not str(value).isdecimal() or int(value) < 1:
        raise invalid("Per Page is invalid")
    if int(value) > MAX_PER_PAGE:
        raise invalid("Per Page is too big")
    return int(value)


def _encode(list_name: str, key: Any, number: int) -> str:
    return base64.encodebytes(_MARK + orjson.dumps([list_name, key, number])).decode()


def _decode(list_name: str, cursor: Any) -> tuple[int, Any]:
    try:
        raw = base64.b64decode(str(cursor).replace("\n", ""), validate=True)
        name, key, number = orjson.loads(raw.removeprefix(_MARK))
    except (binascii.Error, orjson.JSONDecodeError, ValueError, TypeError):
        raise invalid_cursor() from None
    if name != list_name or not raw.startswith(_MARK):
        raise invalid_cursor()
    return number, key

"""What whoever watches a sandbox from outside is told: each call on Intercom, before it takes effect and after."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Exchange:
    """A call and its answer; header names are lower case, `target` is the path with its query as sent.

    `route` is "METHOD /route/{parameter}", or "METHOD unknown" where the sandbox has no such route.
    """

    method: str
    target: str
    route: str
    request_headers: Mapping[str, str]
    request_body: bytes
    status: int
    answer_body: bytes


Observer = Callable[[Exchange], None]
"""Told of each call and its answer, as both went over the wire."""
Before = Callable[[str, str], None]
"""Told of the method and path ("POST", "/contacts/5f/archive") of each call that is about to take effect."""

"""One call on Intercom with its answer, as both went over the wire: for whoever watches a sandbox from outside."""

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

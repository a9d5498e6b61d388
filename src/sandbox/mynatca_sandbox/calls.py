"""Counts the calls that a sandbox received: the measure of "minimal" and "dry run writes nothing"."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

# These read although they are sent by POST.
_SEARCHES = frozenset({"POST /contacts/search", "POST /conversations/search", "POST /tickets/search"})


@dataclass(slots=True)
class Calls:
    """Calls on Intercom and Supabase; the control API is not counted.

    `by_route` counts arrivals by "METHOD /route/{pattern}" ("METHOD unknown" where no route matches).
    `by_status` counts answers by status; a connection cut on purpose counts as status 0.
    """

    by_route: Counter[str] = field(default_factory=Counter)
    by_status: Counter[int] = field(default_factory=Counter)

    def __getitem__(self, route: str) -> int:
        return self.by_route[route]

    @property
    def total(self) -> int:
        """All calls that arrived."""
        return self.by_route.total()

    @property
    def writes(self) -> int:
        """Calls on Intercom that could change something, refused ones included."""
        return sum(count for route, count in self.by_route.items() if is_write(route))

    def clear(self) -> None:
        """Start again from zero."""
        self.by_route.clear()
        self.by_status.clear()

    def as_json(self) -> dict[str, Any]:
        """Return all counts as JSON values."""
        return {
            "total": self.total,
            "writes": self.writes,
            "by_route": dict(sorted(self.by_route.items())),
            "by_status": {str(status): count for status, count in sorted(self.by_status.items())},
        }


def is_write(route: str) -> bool:
    """Tell whether "METHOD /route" changes Intercom."""
    method, _, path = route.partition(" ")
    return method in {"POST", "PUT", "DELETE"} and route not in _SEARCHES and not path.startswith("/rest/")

"""Which members play in which case of the quality suite: those of whom a contact can show one thing and no other."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from mynatca_sandbox.world.mapping import full_name
from mynatca_sandbox.world.names import folded
from mynatca_sandbox.world.population import Row, is_eligible
from mynatca_sandbox.world.reachability import e164
from mynatca_sandbox.world.trouble import email_of

Pair = tuple[Row, Row]


class Cast:
    """Hands out eligible members, each for one case at most; where they run out, fewer than asked for.

    Attributes:
        households: Pairs that share an email address. A quarter of all such pairs is left to others.
        twins: Up to so many pairs that share a name and no email address.
    """

    def __init__(self, members: list[Row], twins: int) -> None:
        self._members = members
        self._taken: set[str] = set()
        eligible = [member for member in members if is_eligible(member)]
        emails = Counter(map(email_of, eligible))
        households = _pairs(eligible, email_of)
        self.households = self._take_pairs(households[: len(households) * 3 // 4])
        by_themselves = [member for member in eligible if emails[email_of(member)] == 1]
        self.twins = self._take_pairs(_pairs(by_themselves, _name)[:twins])
        self._singles = self._take_singles(by_themselves)

    def singles(self, count: int) -> Iterator[Row]:
        """So many members with an email and a phone of their own, and a name of their own while such are left."""
        return islice(self._singles, count)

    def strangers_to_each_other(self, count: int) -> Iterator[Pair]:
        """So many pairs of `singles`."""
        return islice(zip(self._singles, self._singles, strict=False), count)

    def others(self) -> list[Row]:
        """All members who were not handed out, eligible or not."""
        return [member for member in self._members if member["membernumber"] not in self._taken]

    def _take_pairs(self, pairs: list[Pair]) -> list[Pair]:
        self._taken.update(member["membernumber"] for pair in pairs for member in pair)
        return pairs

    def _take_singles(self, candidates: list[Row]) -> Iterator[Row]:
        phones = Counter(e164(member["phone"]) for member in self._members)
        names = Counter(map(_name, self._members))
        reachable = [member for member in candidates if phones[e164(member["phone"])] == 1 and e164(member["phone"])]
        for member in sorted(reachable, key=lambda member: names[_name(member)] > 1):
            if member["membernumber"] not in self._taken:
                self._taken.add(member["membernumber"])
                yield member


def _name(member: Row) -> str:
    return folded(full_name(member))


def _pairs(members: Iterable[Row], key: Callable[[Row], str]) -> list[Pair]:
    """The first two of each group with the same key."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for member in members:
        groups[key(member)].append(member)
    return [(group[0], group[1]) for group in groups.values() if len(group) > 1]

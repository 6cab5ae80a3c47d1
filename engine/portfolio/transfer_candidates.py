"""Transfers without a counterpart: why nothing was linked, and what may belong together.

Owns: the reason for a non-match, and which rows of the other side are near in quantity and time. Never: a
link. A candidate is shown to the operator and decides nothing.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import islice
from typing import NamedTuple

from engine.domain.instants import DAY_US
from engine.domain.transactions import Action
from engine.portfolio.transfers import Leg, Links

WITHIN_US = 7 * DAY_US
WITHIN_PART = 50  # 1/50: quantities that differ by up to 2 % of the larger are near
MOST = 5  # candidates of one row
LOOKS_MOST = 256  # rows looked at for one; a hint need not be complete where thousands are alike
CLASS_BITS = 9  # quantities that agree in their first nine bits are of one class: 0.2 to 0.4 % wide

WHYS = {
    "NO_HASH_NO_ID": "it has neither tx_hash nor external_id, so nothing can link it by itself",
    "HASH_NOT_SEEN": "no row of the other side has its tx_hash",
    "ID_NOT_SEEN": "no row of the other side has its external_id",
    "HASHES_DIFFER": "a row of the other side has its external_id, but both have a tx_hash and they differ",
    "OTHER_ASSET": "the other side of its tx_hash or external_id is of another asset",
    "SAME_ACCOUNT": "its other side is in the same account and less than it, so this much has no counterpart",
    "QUANTITY_LEFT": "its other side is less than it, so this much has no counterpart",
}


class Loose(NamedTuple):
    """A transfer with a quantity left over; quantities scaled. fee: what it paid in its own asset, or 0."""

    position: int
    is_out: bool
    asset: str
    account: str
    ts: int
    left: int
    fee: int


type _Apart = tuple[int, int, Loose]  # us apart, a tie-breaker, the row


class Candidate(NamedTuple):
    """A row that may be the other side. more: its quantity above the row's own; later_us: its time after it.

    near: EQUAL, FEE (less by the fee of the OUT) or NEAR.
    """

    position: int
    more: int
    later_us: int
    same_account: bool
    near: str


class Nearby:
    """Finds the nearest rows of the other side. Built once over all that is left over."""

    def __init__(self, loose: Iterable[Loose]) -> None:
        self._classes: dict[tuple[bool, str, int], _InTime] = {}
        self._after_fee: dict[tuple[str, int], _InTime] = {}  # OUTs, by what should arrive
        for one in sorted(loose, key=lambda one: (one.ts, one.position)):
            self._classes.setdefault((one.is_out, one.asset, _class(one.left)), _InTime()).add(one)
            if one.fee:
                self._after_fee.setdefault((one.asset, _class(_net(one))), _InTime()).add(one)

    def of(self, one: Loose) -> list[Candidate]:
        """At most MOST candidates, the nearest in time first, then in quantity."""
        found: dict[int, Candidate] = {}
        last_us = WITHIN_US
        for apart_us, _, other in islice(merge(*self._streams(one)), LOOKS_MOST):
            if apart_us > last_us:
                break
            near = _near(one, other)
            if near is not None:
                same = one.account == other.account
                found[other.position] = Candidate(
                    other.position, other.left - one.left, other.ts - one.ts, same, near
                )
                last_us = apart_us if len(found) == MOST else last_us
        return sorted(found.values(), key=lambda found: (abs(found.later_us), abs(found.more), found))[:MOST]

    def _streams(self, one: Loose) -> Iterator[Iterator[_Apart]]:
        """Rows of the other side that may be near, each stream the nearest in time first."""
        low, high = one.left - one.left // WITHIN_PART, one.left + one.left // (WITHIN_PART - 1)
        numbers = {*range(_class(low), _class(high) + 1), _class(_net(one))}
        found = [self._classes.get((not one.is_out, one.asset, number)) for number in sorted(numbers)]
        if not one.is_out:
            found.append(self._after_fee.get((one.asset, _class(one.left))))
        for rows in found:
            if rows is not None:
                yield from rows.around(one.ts)


class _InTime:
    """Rows in order of time."""

    def __init__(self) -> None:
        self._rows: list[Loose] = []
        self._instants: list[int] = []

    def add(self, one: Loose) -> None:
        self._rows.append(one)
        self._instants.append(one.ts)

    def around(self, ts: int) -> Iterator[Iterator[_Apart]]:
        """Those from an instant on, and those before it, the nearest first; none where all are too far."""
        middle = bisect_left(self._instants, ts)
        for places in (range(middle, len(self._rows)), range(middle - 1, -1, -1)):
            if places and abs(self._instants[places[0]] - ts) <= WITHIN_US:
                yield ((abs(self._instants[place] - ts), place, self._rows[place]) for place in places)


def _class(quantity: int) -> int:
    """A number that grows with the quantity, the same for quantities of nearly one size."""
    bits = quantity.bit_length()
    head = quantity >> (bits - CLASS_BITS) if bits > CLASS_BITS else quantity << (CLASS_BITS - bits)
    return (bits << CLASS_BITS - 1) + head - (1 << CLASS_BITS - 1)


def _net(one: Loose) -> int:
    """What should arrive: of an OUT, less the fee that it paid in its own asset."""
    return one.left - one.fee if one.is_out else one.left


def _near(one: Loose, other: Loose) -> str | None:
    if one.left == other.left:
        return "EQUAL"
    out, into = (one, other) if one.is_out else (other, one)
    if out.fee and _net(out) == into.left:
        return "FEE"
    return "NEAR" if abs(one.left - other.left) * WITHIN_PART <= max(one.left, other.left) else None


# -- why ----------------------------------------------------------------------------------------------


class Whys:
    """Why transfers with something left over have no counterpart for it: a code of WHYS."""

    def __init__(self, legs: Iterable[Leg], links: Links) -> None:
        self._hashes: dict[tuple[int, str], set[str]] = {}
        self._ids: dict[tuple[int, str], set[str]] = {}
        self._accounts: dict[int, set[str]] = {}
        by_position = {leg.position: leg for leg in legs}
        for leg in by_position.values():
            for seen, name in ((self._hashes, leg.tx_hash), (self._ids, leg.external_id)):
                if name:
                    seen.setdefault((leg.action, name), set()).add(leg.asset)
        for group in links.sets:
            members = [by_position[position] for position in group]
            for one in members:
                others = {other.account for other in members if other.action != one.action}
                self._accounts[one.position] = others

    def of(self, leg: Leg) -> str:
        accounts = self._accounts.get(leg.position)
        if accounts is not None:
            return "SAME_ACCOUNT" if accounts == {leg.account} else "QUANTITY_LEFT"
        if not leg.tx_hash and not leg.external_id:
            return "NO_HASH_NO_ID"
        side = Action.TRANSFER_IN if leg.action == Action.TRANSFER_OUT else Action.TRANSFER_OUT
        by_hash = self._hashes.get((int(side), leg.tx_hash or ""), set())
        by_id = self._ids.get((int(side), leg.external_id or ""), set())
        if leg.asset in by_id:
            return "HASHES_DIFFER"
        if by_hash or by_id:
            return "OTHER_ASSET"
        return "HASH_NOT_SEEN" if leg.tx_hash else "ID_NOT_SEEN"

"""Which TRANSFER_OUT feeds which TRANSFER_IN (CONTRACT §4).

Owns: linking into sets, cancelling within an account, cutting what leaves to what arrives, and when an
IN arrives, and which of what stays unmatched the operator settled. Never: lots, prices, time of day, what a
settlement does to the books. What stays unmatched is told, never guessed.

Positions are places in the ledger order; `Links.rows` turns them into row numbers of the store.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from engine.domain.money import share
from engine.domain.transactions import UNIT_SEPARATOR, Action, content_digest
from engine.portfolio.ledger_order import Positions, contents, ledger_order

_OUT, _IN = int(Action.TRANSFER_OUT), int(Action.TRANSFER_IN)

OUT_KINDS = ("fee", "withdrawal", "gift", "payment", "lost")
IN_KINDS = ("deposit", "gift", "opening")


class Settlement(NamedTuple):
    """What the operator says an unlinked transfer was: an OUT one of OUT_KINDS, an IN one of IN_KINDS.

    value: scaled USD of `of`, in `Links` of what is left over; None if not given.
    of: how much of the row (scaled) the value was said for, None for the whole; None in `Links`.
    """

    kind: str
    value: int | None
    of: int | None = None


class Piece(NamedTuple):
    """A quantity (scaled) that OUT `out` hands to IN `into`; both are positions."""

    out: int
    into: int
    quantity: int


class Leg(NamedTuple):
    """One TRANSFER_OUT or TRANSFER_IN of the ledger; `row` is its number in the store."""

    position: int
    row: int
    ts: int
    action: int
    asset: str
    account: str
    quantity: int
    tx_hash: str | None
    external_id: str | None


@dataclass(frozen=True)
class Links:
    """Every transfer of a ledger, in positions; quantities are scaled, instants microseconds UTC.

    order: frame index by position. rows: row number by position. sets: linked sets with both an OUT and
    an IN. cancelled, drawn: pieces in (time, key) order. rest, excess: what an OUT or an IN has left over
    (> 0 only). arrival: for every IN, the later of its own time and of the last OUT it draws from.
    settlements: by position, only of what is in rest or excess.
    """

    order: Positions
    rows: Positions
    sets: list[tuple[int, ...]]
    cancelled: list[Piece]
    drawn: list[Piece]
    rest: dict[int, int]
    excess: dict[int, int]
    arrival: dict[int, int]
    settlements: dict[int, Settlement] = field(default_factory=dict)


def link(
    ledger: pl.DataFrame,
    matches: Iterable[tuple[int, int]] = (),
    settlements: Mapping[int, Settlement] | None = None,
) -> Links:
    """Links the transfers of a ledger; `matches` are the operator's pairs of row numbers (OUT, IN).

    settlements: by row number; one on a row that is not in the ledger, or that has nothing left over, or of
    the other side's kind, does nothing.
    """
    order = ledger_order(ledger)
    legs = legs_of(ledger, order)
    links = Links(order, ledger["row"].to_numpy()[order], [], [], [], {}, {}, {})
    for group in _linked(legs, matches):
        if len(group) > 1:
            links.sets.append(tuple(leg.position for leg in group))
        _share(group, links)
    links.cancelled.sort()
    links.drawn.sort()
    links.settlements.update(_standing(legs, links, settlements or {}))
    return links


def pairing_marks(ledger: pl.DataFrame, links: Links) -> dict[int, str]:
    """Row number -> mark of its linked set: SHA-256 hex over the sorted contents of the set's rows.

    Rows without a counterpart are absent. `ledger` is the frame that was linked.
    """
    paired = [position for group in links.sets for position in group]
    frame = ledger[links.order[paired]] if paired else ledger.clear()
    texts = (
        content_digest(UNIT_SEPARATOR.join(content), k).hex()
        for content, k in zip(contents(frame), frame["k"].to_list(), strict=True)
    )
    digests = dict(zip(paired, texts, strict=True))
    marks: dict[int, str] = {}
    for group in links.sets:
        mark = hashlib.sha256("".join(sorted(digests[position] for position in group)).encode()).hexdigest()
        marks.update((int(links.rows[position]), mark) for position in group)
    return marks


def legs_of(ledger: pl.DataFrame, order: Positions) -> list[Leg]:
    """The transfers of a ledger, in ledger order."""
    codes = ledger["action"].to_numpy()[order]
    positions = np.flatnonzero((codes == _IN) | (codes == _OUT))
    names = ("row", "ts", "action", "asset", "account", "quantity", "tx_hash", "external_id")
    frame = ledger.select(names)[order[positions]].with_columns(pl.col("quantity").to_physical())
    columns = [positions.tolist(), *(frame[name].to_list() for name in names)]
    return [Leg(*fields) for fields in zip(*columns, strict=True)]


class _Sets:
    """Disjoint sets of leg numbers."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def find(self, number: int) -> int:
        parent = self._parent
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    def join(self, numbers: Sequence[int]) -> None:
        first = self.find(numbers[0])
        for number in numbers[1:]:
            self._parent[self.find(number)] = first


def _linked(legs: list[Leg], matches: Iterable[tuple[int, int]]) -> list[list[Leg]]:
    """Connected sets of legs, each in ledger order; a leg without a counterpart is a set of its own."""
    sets = _Sets(len(legs))
    _join_hashes(legs, sets)
    _join_external_ids(legs, sets)
    _join_matches(legs, matches, sets)
    groups: dict[int, list[Leg]] = {}
    for number, leg in enumerate(legs):
        groups.setdefault(sets.find(number), []).append(leg)
    return list(groups.values())


def _join_hashes(legs: list[Leg], sets: _Sets) -> None:
    by_hash: dict[tuple[str, str], list[int]] = {}
    for number, leg in enumerate(legs):
        if leg.tx_hash:
            by_hash.setdefault((leg.asset, leg.tx_hash), []).append(number)
    for numbers in by_hash.values():
        _join_sides(numbers, numbers, legs, sets)


def _join_external_ids(legs: list[Leg], sets: _Sets) -> None:
    """Equal external ids link unless both rows have a hash, so one side is always a row without one."""
    by_id: dict[tuple[str, str], list[int]] = {}
    for number, leg in enumerate(legs):
        if leg.external_id:
            by_id.setdefault((leg.asset, leg.external_id), []).append(number)
    for numbers in by_id.values():
        bare = [number for number in numbers if not legs[number].tx_hash]
        _join_sides(bare, numbers, legs, sets)
        _join_sides(numbers, bare, legs, sets)


def _join_sides(outs: list[int], ins: list[int], legs: list[Leg], sets: _Sets) -> None:
    """Joins every OUT of the first list with every IN of the second."""
    leaving = [number for number in outs if legs[number].action == _OUT]
    coming = [number for number in ins if legs[number].action == _IN]
    if leaving and coming:
        sets.join(leaving + coming)


def _join_matches(legs: list[Leg], matches: Iterable[tuple[int, int]], sets: _Sets) -> None:
    """A match that names a row that is no longer in the ledger, or two assets, links nothing."""
    pairs = list(matches)
    if not pairs:
        return
    by_row = {leg.row: number for number, leg in enumerate(legs)}
    for out_row, in_row in pairs:
        out, into = by_row.get(out_row), by_row.get(in_row)
        if out is not None and into is not None and legs[out].asset == legs[into].asset:
            _join_sides([out], [into], legs, sets)


def _standing(legs: list[Leg], links: Links, settlements: Mapping[int, Settlement]) -> dict[int, Settlement]:
    """The settlements of what is left over, by position."""
    standing = {}
    for leg in legs if settlements else ():
        settled = settlements.get(leg.row)
        unmatched, kinds = (links.rest, OUT_KINDS) if leg.action == _OUT else (links.excess, IN_KINDS)
        if settled is not None and settled.kind in kinds and leg.position in unmatched:
            standing[leg.position] = _of_left(settled, unmatched[leg.position], leg.quantity)
    return standing


def _of_left(settled: Settlement, left: int, whole: int) -> Settlement:
    """With the value of what is left over now: its share of what was said, rounded once."""
    if settled.value is None:
        return Settlement(settled.kind, None)
    return Settlement(settled.kind, share(settled.value, left, settled.of or whole))


def _share(group: list[Leg], links: Links) -> None:
    """Cancels within accounts, cuts the rest of the OUTs to the rest of the INs, and dates the arrivals."""
    left = {leg.position: leg.quantity for leg in group}
    ts = {leg.position: leg.ts for leg in group}
    outs = [leg for leg in group if leg.action == _OUT]
    ins = [leg for leg in group if leg.action == _IN]
    for leg in ins:
        links.arrival[leg.position] = leg.ts
    if outs and ins:
        for account in {leg.account for leg in outs}.intersection([leg.account for leg in ins]):
            leaving = [leg for leg in outs if leg.account == account]
            coming = [leg for leg in ins if leg.account == account]
            links.cancelled.extend(_cut(leaving, coming, left))
        for piece in _cut(outs, ins, left):
            links.drawn.append(piece)
            links.arrival[piece.into] = max(links.arrival[piece.into], ts[piece.out])
    for leg in group:
        if left[leg.position]:
            unmatched = links.rest if leg.action == _OUT else links.excess
            unmatched[leg.position] = left[leg.position]


def _cut(outs: list[Leg], ins: list[Leg], left: dict[int, int]) -> list[Piece]:
    """Hands what is left of the OUTs to what is left of the INs, first to first."""
    pieces: list[Piece] = []
    coming = iter(ins)
    into = next(coming, None)
    for out in outs:
        while into is not None and left[out.position]:
            quantity = min(left[out.position], left[into.position])
            if quantity:
                pieces.append(Piece(out.position, into.position, quantity))
                left[out.position] -= quantity
                left[into.position] -= quantity
            if not left[into.position]:
                into = next(coming, None)
    return pieces

"""In which order events are booked: the ledger order with its three moves, each at one instant (CONTRACT §5).

Owns: where a matched IN, an OUT that waits for an IN, and the FEE of a third asset stand.
Never: lots, quantities, values. Most instants need no move and pass through untouched.

A slot is one (account, asset). Example, all at noon: `OUT btc a->b`, `OUT btc b->c`, and the two INs. In
ledger order b would move coins that it does not hold yet. So b's OUT waits for a's: OUT a, IN b, OUT b,
IN c. Where OUTs wait for each other in a ring, the first one in ledger order goes ahead.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

import numpy as np

from engine.domain.transactions import RANK, Action
from engine.portfolio.ledger_order import RANK_SLOTS, Positions
from engine.portfolio.transfers import Links

_ACQUISITION_RANK = RANK[Action.BUY]
_Block = tuple[range, dict[int, list[int]]]  # the positions of one timestamp and rank, and who waits for whom


@dataclass(frozen=True)
class Instants:
    """The ordered ledger as booking sees it: sort key (timestamp, rank) and slot of each position."""

    moments: Positions
    slots: Positions
    third_fees: Mapping[int, int]  # position -> slot of its fee in a third asset

    def block(self, position: int) -> range:
        """The positions that share timestamp and rank with `position`."""
        moment = self.moments[position]
        return range(
            int(np.searchsorted(self.moments, moment, "left")),
            int(np.searchsorted(self.moments, moment, "right")),
        )


def booking_order(events: Positions, instants: Instants, links: Links) -> Positions:
    """`events` in the order in which they are booked, and `~i` right before i where i has a third-asset fee.

    `events` are in ledger order, FEE rows made in the own asset among them, and may end before the ledger
    does; an IN whose last OUT is not among them is left out.
    """
    sources = _late_sources(links)
    feeds: dict[int, list[int]] = {}
    for into, outs in sources.items():
        for out in outs:
            feeds.setdefault(out, []).append(into)
    if not feeds and not instants.third_fees:
        return events
    booked: list[int] = events.tolist()
    blocks = _acquisition_blocks(instants) + _out_blocks(instants, sources)
    if blocks:
        places = {event: place for place, event in enumerate(booked)}
        for block, waits in blocks:
            if block.start in places:
                first = places[block.start]
                booked[first : first + len(block)] = untangle(block, waits)
    return np.array(_emit(booked, instants.third_fees, sources, feeds), dtype=np.int64)


def _late_sources(links: Links) -> dict[int, set[int]]:
    """The OUTs of each IN that comes before the last OUT that it draws lots from."""
    late = {piece.into for piece in links.drawn if piece.out > piece.into}
    sources: dict[int, set[int]] = {into: set() for into in sorted(late)}
    if late:
        for piece in links.drawn:
            if piece.into in late:
                sources[piece.into].add(piece.out)
    return sources


def _emit(
    events: Sequence[int],
    third_fees: Mapping[int, int],
    sources: Mapping[int, set[int]],
    feeds: Mapping[int, list[int]],
) -> list[int]:
    booked: list[int] = []
    open_sources = {into: len(outs) for into, outs in sources.items()}
    for event in events:
        if event in third_fees:
            booked.append(~event)
        if event in open_sources:
            continue
        booked.append(event)
        for into in feeds.get(event, ()):
            open_sources[into] -= 1
            if not open_sources[into]:
                booked.append(into)
    return booked


def _acquisition_blocks(instants: Instants) -> list[_Block]:
    """An acquisition with a third-asset fee waits for the acquisitions of that asset in its account."""
    blocks = {
        block.start: block
        for position in instants.third_fees
        if instants.moments[position] % RANK_SLOTS == _ACQUISITION_RANK
        and len(block := instants.block(position)) > 1
    }
    tangled: list[_Block] = []
    for block in blocks.values():
        makers: dict[int, list[int]] = {}
        for position in block:
            makers.setdefault(int(instants.slots[position]), []).append(position)
        needs = {p: [instants.third_fees[p]] for p in block if p in instants.third_fees}
        tangled += _tangled(block, needs, makers)
    return tangled


def _out_blocks(instants: Instants, sources: Mapping[int, set[int]]) -> list[_Block]:
    """An OUT waits for the OUTs of its instant that feed INs into a slot that it, or its fee, needs."""
    fed: dict[range, dict[int, set[int]]] = {}
    for into, outs in sources.items():
        block = instants.block(max(outs))
        makers = fed.setdefault(block, {})
        makers.setdefault(int(instants.slots[into]), set()).update(out for out in outs if out in block)
    tangled: list[_Block] = []
    for block, sets in fed.items():
        needs = {position: _slots_needed(position, instants) for position in block}
        tangled += _tangled(block, needs, {slot: sorted(outs) for slot, outs in sets.items()})
    return tangled


def _slots_needed(position: int, instants: Instants) -> list[int]:
    own = int(instants.slots[position])
    return [own, instants.third_fees[position]] if position in instants.third_fees else [own]


def _tangled(
    block: range, needs: Mapping[int, Sequence[int]], makers: Mapping[int, Sequence[int]]
) -> list[_Block]:
    """The block with its waits, or nothing if none of its positions waits for another."""
    waits = {p: relays for p in block if (relays := [~slot for slot in needs.get(p, ()) if slot in makers])}
    if not waits:
        return []
    waits.update((~slot, list(positions)) for slot, positions in makers.items())
    return [(block, waits)]


def untangle(members: Sequence[int], waits: Mapping[int, Sequence[int]]) -> list[int]:
    """Again and again the first member that waits for none left, or only for ones that wait for it.

    Members are >= 0. Negative nodes of `waits` are relays: they stand for "whatever these wait for".
    """
    return _Untangling(members, waits).run()


class _Untangling:
    """Groups are sets of nodes that wait for each other; a group is free when it waits for no other group."""

    def __init__(self, members: Sequence[int], waits: Mapping[int, Sequence[int]]) -> None:
        self.waits = waits
        self.waiters: dict[int, list[int]] = {}
        for node, others in waits.items():
            for other in others:
                self.waiters.setdefault(other, []).append(node)
        self.group_of: dict[int, int] = {}
        self.groups: list[list[int]] = []
        self.pending: list[int] = []
        self.ready: list[tuple[int, int]] = []
        self.booked: list[int] = []
        self._split([*members, *(node for node in waits if node < 0)])

    def run(self) -> list[int]:
        heapify(self.ready)
        while self.ready:
            first, group = heappop(self.ready)
            self.booked.append(first)
            rest = [node for node in self.groups[group] if node != first]
            self._release(first, group)
            self._split(rest)
        return self.booked

    def _split(self, nodes: list[int]) -> None:
        """Makes groups of nodes that wait, if at all, for each other only."""
        start = len(self.groups)
        inside = set(nodes)
        for component in components(nodes, self.waits):
            for node in component:
                self.group_of[node] = len(self.groups)
            self.groups.append(component)
            self.pending.append(0)
        for node in nodes:
            group = self.group_of[node]
            self.pending[group] += sum(
                other in inside and self.group_of[other] != group for other in self.waits.get(node, ())
            )
        for group in [g for g in range(start, len(self.groups)) if not self.pending[g]]:
            self._free(group)

    def _free(self, group: int) -> None:
        members = [node for node in self.groups[group] if node >= 0]
        if members:
            heappush(self.ready, (min(members), group))
        else:
            self._release(self.groups[group][0], group)

    def _release(self, node: int, group: int) -> None:
        for waiter in self.waiters.get(node, ()):
            other = self.group_of[waiter]
            if other != group:
                self.pending[other] -= 1
                if not self.pending[other]:
                    self._free(other)


def components(nodes: Sequence[int], waits: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """Strongly connected sets of the graph on `nodes`, each sorted."""
    inside = set(nodes)
    forward = {node: [other for other in waits.get(node, ()) if other in inside] for node in nodes}
    backward: dict[int, list[int]] = {node: [] for node in nodes}
    for node, others in forward.items():
        for other in others:
            backward[other].append(node)
    found: list[list[int]] = []
    seen: set[int] = set()
    for node in reversed(_finishing_order(nodes, forward)):
        if node not in seen:
            found.append(sorted(_reach(node, backward, seen)))
    return found


def _finishing_order(nodes: Sequence[int], forward: Mapping[int, Sequence[int]]) -> list[int]:
    """Nodes in the order in which a depth-first walk leaves them."""
    finished: list[int] = []
    seen: set[int] = set()
    for root in nodes:
        if root in seen:
            continue
        seen.add(root)
        walk = [(root, iter(forward[root]))]
        while walk:
            node, others = walk[-1]
            step = next((other for other in others if other not in seen), None)
            if step is None:
                finished.append(node)
                walk.pop()
            else:
                seen.add(step)
                walk.append((step, iter(forward[step])))
    return finished


def _reach(root: int, backward: Mapping[int, Sequence[int]], seen: set[int]) -> list[int]:
    seen.add(root)
    reached, stack = [root], [root]
    while stack:
        for other in backward[stack.pop()]:
            if other not in seen:
                seen.add(other)
                reached.append(other)
                stack.append(other)
    return reached


class BookedOrder:
    """The booking order, looked up by event."""

    def __init__(self, events: Positions) -> None:
        top = int(np.max(np.where(events < 0, ~events, events), initial=-1)) + 1
        self._index = np.zeros(2 * top, dtype=np.int64)  # made fees, which are negative, count from the end
        self._index[events] = np.arange(len(events))

    def arrange[T](self, records: list[T], events: Iterable[int]) -> list[T]:
        """The records, one for each event given, in booking order."""
        found = self._index[np.fromiter(events, dtype=np.int64)]
        if (found[1:] >= found[:-1]).all():
            return records
        return [records[place] for place in np.argsort(found, kind="stable").tolist()]

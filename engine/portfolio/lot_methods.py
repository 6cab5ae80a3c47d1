"""Which lots a disposal takes: FIFO, LIFO and HIFO, one function each with one signature.

Owns: the queues of lots of one (account, asset), what stands next in them, and how a lot is parted.
Never: rows, values, what becomes of the lots that were taken.

A lot is a tuple, never changed: a queue can be kept by keeping references. FIFO and LIFO keep lots in order
of place, and a lot that arrives by transfer is put where its acquisition belongs; HIFO keeps a heap.
"""

from bisect import insort
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush, heapreplace
from typing import Any, NamedTuple

from engine.domain.money import div_half_even

Lot = tuple[int, int, int, int]  # place, quantity, basis, flags; quantity and basis scaled
# FIFO: the index of the first lot that is left, then lots. LIFO: lots. HIFO: a heap of (key, lot).
Queue = list[Any]
Take = Callable[[Queue, int, list[Lot]], int]
# Quantities are below 10**38, so two ratios that differ do so by more than 10**-76: 256 bits tell them apart.
_RATIO_BITS = 256
_SLACK = 64  # lots gone from the head of a queue before it is worth moving the others up


def fifo(lots: Queue, wanted: int, taken: list[Lot]) -> int:
    """First acquired, first out; then first arrived. Adds the lots to `taken`, returns what is missing."""
    head, count = lots[0], len(lots)
    while wanted and head < count:
        lot = lots[head]
        if lot[1] > wanted:
            part, lots[head] = split(lot, wanted)
            taken.append(part)
            wanted = 0
        else:
            taken.append(lot)
            wanted -= lot[1]
            head += 1
    if head > _SLACK and head * 2 > count:
        del lots[1:head]
        head = 1
    lots[0] = head
    return wanted


def lifo(lots: Queue, wanted: int, taken: list[Lot]) -> int:
    """Last acquired, first out; then last arrived. Adds the lots to `taken`, returns what is missing."""
    while wanted and lots:
        lot = lots[-1]
        if lot[1] > wanted:
            part, lots[-1] = split(lot, wanted)
            taken.append(part)
            return 0
        taken.append(lots.pop())
        wanted -= lot[1]
    return wanted


def hifo(lots: Queue, wanted: int, taken: list[Lot]) -> int:
    """Highest basis per unit first, compared exactly; ties like FIFO. Adds and returns like the others.

    Rounding moves the basis per unit of the rest of a parted lot a little, so it is put in anew.
    """
    while wanted and lots:
        lot = lots[0][1]
        if lot[1] > wanted:
            part, rest = split(lot, wanted)
            taken.append(part)
            heapreplace(lots, _by_basis(rest))
            return 0
        taken.append(heappop(lots)[1])
        wanted -= lot[1]
    return wanted


def split(lot: Lot, quantity: int) -> tuple[Lot, Lot]:
    """A part of a lot and the rest: basis by what the lot still holds, the rest stays."""
    place, held, basis, flags = lot
    part = div_half_even(basis * quantity, held)
    return (place, quantity, part, flags), (place, held - quantity, basis - part, flags)


class Method(NamedTuple):
    """How lots are taken, and the queue that this needs.

    queue: of the lots given, which are in order of place. add: the newest lot. put: any lot. lots: in order
    of place.
    """

    take: Take
    queue: Callable[[Iterable[Lot]], Queue]
    add: Callable[[Queue, Lot], None]
    put: Callable[[Queue, Lot], None]
    lots: Callable[[Queue], list[Lot]]


def _behind_head(lots: Iterable[Lot]) -> Queue:
    return [1, *lots]


def _put_behind_head(queue: Queue, lot: Lot) -> None:
    insort(queue, lot, lo=queue[0])


def _after_head(queue: Queue) -> list[Lot]:
    return queue[queue[0] :]


def _by_basis(lot: Lot) -> tuple[int, Lot]:
    return -((lot[2] << _RATIO_BITS) // lot[1]), lot


def _heap(lots: Iterable[Lot]) -> Queue:
    heap = [_by_basis(lot) for lot in lots]
    heapify(heap)
    return heap


def _push(heap: Queue, lot: Lot) -> None:
    heappush(heap, _by_basis(lot))


def _of_heap(heap: Queue) -> list[Lot]:
    return sorted(lot for _, lot in heap)


METHODS: dict[str, Method] = {
    "FIFO": Method(fifo, _behind_head, list.append, _put_behind_head, _after_head),
    "LIFO": Method(lifo, list, list.append, insort, list),
    "HIFO": Method(hifo, _heap, _push, _push, _of_heap),
}

"""A slow, separate calculation of lots, straight from the rules: fractions, plain lists, no cleverness.

It shares nothing with the engine but the rows of `ledgers.Tx`; it exists to disagree when one of the two
is wrong.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction

from engine.portfolio.transfers import IN_KINDS, OUT_KINDS, Settlement
from tests.portfolio.ledgers import CASH, Tx

RANK = {"TRANSFER_IN": 1, "TRANSFER_OUT": 2, "SELL": 3, "FEE": 4}
UNIT = 10**18


def rounded(value: Fraction) -> Fraction:
    return Fraction(round(value * UNIT), UNIT)


def canonical(text: str | None) -> str:
    if text is None:
        return ""
    whole, _, decimals = text.partition(".")
    decimals = decimals.rstrip("0")
    return f"{whole}.{decimals}" if decimals else whole


def instant(ts: int) -> str:
    moment = datetime.fromtimestamp(ts // 10**6, UTC)
    assert ts % 10**6 == 0
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def content(tx: Tx) -> tuple[str, ...]:
    return (
        instant(tx.ts), tx.action, tx.asset, canonical(tx.quantity), canonical(tx.price), tx.fee_asset or "",
        canonical(tx.fee_amount), tx.account, tx.tx_hash or "", tx.external_id or "",
    )  # fmt: skip


def key(tx: Tx) -> tuple[object, ...]:
    if tx.tx_hash:
        return 0, tx.account, tx.tx_hash, ""
    if tx.external_id:
        return 1, tx.account, tx.external_id, tx.action if tx.action.startswith("TRANSFER") else ""
    if tx.id_given:
        return 2, tx.id, "", ""
    return 3, "", "", ""


@dataclass(eq=False)
class Event:
    tx: Tx
    is_fee: bool = False
    rank: tuple[object, ...] = ()

    def __post_init__(self) -> None:
        tx = self.tx
        if self.is_fee:
            own = (
                instant(tx.ts), "FEE", tx.fee_asset or "", canonical(tx.fee_amount), "", "", "",
                tx.account, tx.tx_hash or "", "",
            )  # fmt: skip
            rank, parent = 4, content(tx)
        else:
            rank, own, parent = RANK.get(tx.action, 0), content(tx), ()
        if key(tx)[0] == 3:  # the key is the (parent's) content and k
            self.rank = (tx.ts, rank, key(tx), content(tx), tx.k, own, tx.id)
        else:
            self.rank = (tx.ts, rank, key(tx), own, parent, tx.k, tx.id)


@dataclass(eq=False)
class NaiveLot:
    quantity: Fraction
    basis: Fraction
    acquired: int | None
    origin: tuple[object, ...]
    arrival: int = 0
    flags: frozenset[str] = frozenset()


@dataclass
class Naive:
    txs: list[Tx]
    method: str
    cash_fee_usd: dict[int, int | None]
    matches: set[tuple[int, int]]
    as_of: int | None = None
    settlements: Mapping[int, Settlement] = field(default_factory=dict)  # by row
    settled: list[tuple[object, ...]] = field(default_factory=list)
    held: dict[tuple[str, str], list[NaiveLot]] = field(default_factory=dict)
    realized: list[tuple[object, ...]] = field(default_factory=list)
    deficits: list[tuple[object, ...]] = field(default_factory=list)
    moving: list[tuple[int, int, NaiveLot]] = field(default_factory=list)  # row of OUT, row of IN or 0, lot
    third_value: dict[int, Fraction] = field(default_factory=dict)
    arrivals: int = 0

    # Linking

    def linked(self, out: Tx, into: Tx) -> bool:
        if out.asset != into.asset:
            return False
        if (out.row, into.row) in self.matches:
            return True
        if out.tx_hash and into.tx_hash:
            return out.tx_hash == into.tx_hash
        return bool(out.external_id) and out.external_id == into.external_id

    def connect(self) -> None:
        order = sorted(self.txs, key=lambda tx: Event(tx).rank)
        outs = [tx for tx in order if tx.action == "TRANSFER_OUT"]
        ins = [tx for tx in order if tx.action == "TRANSFER_IN"]
        left = {tx.row: Fraction(tx.quantity) for tx in outs + ins}
        colour = {tx.row: tx.row for tx in outs + ins}
        for _ in colour:
            for out in outs:
                for into in ins:
                    if self.linked(out, into):
                        colour[out.row] = colour[into.row] = min(colour[out.row], colour[into.row])
        self.pieces: list[tuple[Tx, Tx, Fraction]] = []
        for same_account in (True, False):
            for out in outs:
                for into in ins:
                    if colour[out.row] != colour[into.row]:
                        continue
                    if same_account and out.account != into.account:
                        continue
                    part = min(left[out.row], left[into.row])
                    left[out.row] -= part
                    left[into.row] -= part
                    if part and not same_account:
                        self.pieces.append((out, into, part))
        self.left = left

    # Booking order

    def third(self, tx: Tx) -> bool:
        return self.has_fee(tx) and tx.fee_asset not in CASH and tx.fee_asset != tx.asset

    def has_fee(self, tx: Tx) -> bool:
        return tx.action != "FEE" and tx.fee_amount is not None and Fraction(tx.fee_amount) > 0

    def booked(self) -> list[Event]:
        events = [Event(tx) for tx in self.txs]
        events += [
            Event(tx, True) for tx in self.txs if self.has_fee(tx) and tx.fee_asset == tx.asset not in CASH
        ]
        events.sort(key=lambda event: event.rank)
        place = {event.tx.row: n for n, event in enumerate(events) if not event.is_fee}
        self.sources: dict[int, set[int]] = {}
        for out, into, _ in self.pieces:
            self.sources.setdefault(into.row, set()).add(out.row)
        late = {into for into, outs in self.sources.items() if max(place[out] for out in outs) > place[into]}
        result: list[Event] = []
        done: set[int] = set()
        for ts in sorted({tx.ts for tx in self.txs}):
            if self.as_of is not None and ts > self.as_of:
                break
            group = [event for event in events if event.tx.ts == ts]
            for event in self.rearranged(group, late):
                if not event.is_fee and self.third(event.tx):
                    result.append(Event(event.tx, True))
                if not event.is_fee and event.tx.row in late:
                    continue
                result.append(event)
                if event.is_fee:
                    continue
                done.add(event.tx.row)
                for other in events:
                    row = other.tx.row
                    if not other.is_fee and row in late and row not in done and self.sources[row] <= done:
                        done.add(row)
                        result.append(other)
        return result

    def rearranged(self, group: list[Event], late: set[int]) -> list[Event]:
        acquisitions = [e for e in group if e.rank[1] == 0]
        outs = [e for e in group if e.rank[1] == 2]
        rows = {tx.row: tx for tx in self.txs}

        def acquisition_waits(a: Event, b: Event) -> bool:
            same = a.tx.account == b.tx.account
            return self.third(a.tx) and same and b.tx.asset == a.tx.fee_asset

        def out_waits(a: Event, b: Event) -> bool:
            needed = {a.tx.asset} | ({a.tx.fee_asset} if self.third(a.tx) else set())
            fed = [rows[into] for into in late if b.tx.row in self.sources[into] and self.lands(into, group)]
            return any(into.account == a.tx.account and into.asset in needed for into in fed)

        ordered = again_and_again(acquisitions, acquisition_waits)
        ordered += [e for e in group if e.rank[1] == 1]
        ordered += again_and_again(outs, out_waits)
        return ordered + [e for e in group if e.rank[1] in (3, 4)]

    def lands(self, into: int, group: list[Event]) -> bool:
        rows = {tx.row: tx for tx in self.txs}
        return max(rows[out].ts for out in self.sources[into]) == group[0].tx.ts

    # Lots

    def choose(self, lots: list[NaiveLot]) -> NaiveLot:
        ordered = sorted(lots, key=lambda lot: (lot.origin, lot.arrival))
        if self.method == "LIFO":
            return ordered[-1]
        if self.method == "HIFO":
            return max(ordered, key=lambda lot: lot.basis / lot.quantity)
        return ordered[0]

    def take(self, event: Event, asset: str, quantity: Fraction) -> list[NaiveLot]:
        account = event.tx.account
        lots = self.held.setdefault((account, asset), [])
        taken = []
        while quantity:
            if not lots:
                self.deficits.append((account, asset, event.tx.ts, quantity))
                nothing = frozenset({"INSUFFICIENT_LOTS"})
                taken.append(NaiveLot(quantity, Fraction(0), None, event.rank, flags=nothing))
                break
            lot = self.choose(lots)
            part = part_of(lot, min(quantity, lot.quantity))
            quantity -= part.quantity
            if not lot.quantity:
                lots.remove(lot)
            taken.append(part)
        return taken

    def enter(self, account: str, asset: str, lot: NaiveLot) -> None:
        self.arrivals += 1
        lot.arrival = self.arrivals
        self.held.setdefault((account, asset), []).append(lot)

    def realize(
        self, event: Event, asset: str, lots: list[NaiveLot], proceeds: Fraction | None, flags: set[str]
    ) -> None:
        whole = sum((lot.quantity for lot in lots), Fraction(0))
        rest = proceeds
        for n, lot in enumerate(lots):
            if proceeds is None:
                got = lot.basis
            else:
                assert rest is not None
                got = rest if n == len(lots) - 1 else rounded(proceeds * lot.quantity / whole)
                rest -= got
            self.realized.append(
                (
                    event.tx.account, asset, event.tx.ts, lot.acquired, lot.quantity, got, lot.basis,
                    tuple(sorted(lot.flags | flags)),
                )
            )  # fmt: skip

    def fee_value(self, tx: Tx) -> tuple[Fraction, set[str]]:
        if not self.has_fee(tx):
            return Fraction(0), set()
        amount = Fraction(tx.fee_amount or 0)
        if tx.fee_asset == "USD":
            return amount, set()
        if tx.fee_asset in CASH:
            known = self.cash_fee_usd.get(tx.row)
            return (Fraction(0), {"FEE_UNVALUED"}) if known is None else (Fraction(known, UNIT), set())
        if tx.fee_asset == tx.asset:
            if tx.price is None:
                return Fraction(0), {"FEE_UNVALUED"}
            return rounded(amount * Fraction(tx.price)), set()
        return self.third_value[tx.row], {"FEE_AT_BASIS"}

    def run(self) -> "Naive":
        self.connect()
        for event in self.booked():
            if event.is_fee:
                self.pay_made_fee(event)
            elif event.tx.asset not in CASH:
                self.book(event)
        return self

    def pay_made_fee(self, event: Event) -> None:
        tx = event.tx
        assert tx.fee_asset
        lots = self.take(event, tx.fee_asset, Fraction(tx.fee_amount or 0))
        if tx.fee_asset == tx.asset and tx.price is not None:
            self.realize(event, tx.asset, lots, self.fee_value(tx)[0], set())
        else:
            self.third_value[tx.row] = sum((lot.basis for lot in lots), Fraction(0))
            self.realize(event, tx.fee_asset, lots, None, {"FEE_AT_BASIS"})

    def book(self, event: Event) -> None:
        tx = event.tx
        quantity = Fraction(tx.quantity)
        value = None if tx.price is None else rounded(quantity * Fraction(tx.price))
        if tx.action == "SELL":
            fee, flags = self.fee_value(tx)
            self.realize(event, tx.asset, self.take(event, tx.asset, quantity), (value or 0) - fee, flags)
        elif tx.action == "FEE":
            flags = {"FEE_AT_BASIS"} if value is None else set()
            self.realize(event, tx.asset, self.take(event, tx.asset, quantity), value, flags)
        elif tx.action == "TRANSFER_OUT":
            self.leave(event)
        elif tx.action == "TRANSFER_IN":
            self.arrive(event)
        else:
            self.acquire(event, quantity, Fraction(1), set())

    def acquire(self, event: Event, quantity: Fraction, part: Fraction, flags: set[str]) -> None:
        tx = event.tx
        fee, fee_flags = self.fee_value(tx)
        basis = rounded(fee * part)
        if tx.price is None:
            flags = flags | {"NO_BASIS"}
        else:
            basis += rounded(quantity * Fraction(tx.price))
            if tx.action == "BUY" and Fraction(tx.price) == 0:
                flags = flags | {"ZERO_PRICE"}
        lot = NaiveLot(quantity, basis, tx.ts, event.rank, flags=frozenset(flags | fee_flags))
        self.enter(tx.account, tx.asset, lot)

    def leave(self, event: Event) -> None:
        tx = event.tx
        bound = [(into.row, part) for out, into, part in self.pieces if out.row == tx.row]
        if self.left[tx.row]:
            bound.append((-1 if self.settlement(tx) else 0, self.left[tx.row]))
        lots = self.take(event, tx.asset, sum((part for _, part in bound), Fraction(0)))
        for into, part in bound:
            pieces = []
            while part:
                pieces.append(part_of(lots[0], min(part, lots[0].quantity)))
                part -= pieces[-1].quantity
                if not lots[0].quantity:
                    lots.pop(0)
            if into < 0:
                self.settle(event, pieces)
            else:
                self.moving += [(tx.row, into, piece) for piece in pieces]

    def settlement(self, tx: Tx) -> Settlement | None:
        """What the operator said of what is left over; a kind of the other side says nothing."""
        found = self.settlements.get(tx.row)
        kinds = OUT_KINDS if tx.action == "TRANSFER_OUT" else IN_KINDS
        return found if found and found.kind in kinds else None

    def settled_value(self, tx: Tx) -> Fraction | None:
        """The part of the settled value that what is left over takes."""
        found = self.settlement(tx)
        if found is None or found.value is None:
            return None
        said_of = Fraction(tx.quantity) if found.of is None else Fraction(found.of, UNIT)
        return rounded(Fraction(found.value, UNIT) * self.left[tx.row] / said_of)

    def settle(self, event: Event, lots: list[NaiveLot]) -> None:
        tx, settlement = event.tx, self.settlement(event.tx)
        assert settlement is not None
        if settlement.kind in ("payment", "fee"):
            value = self.settled_value(tx)
            self.realize(event, tx.asset, lots, value, {"FEE_AT_BASIS"} if value is None else set())
            return
        for lot in lots:
            flags = tuple(sorted(lot.flags))
            values = (str(lot.acquired), tx.ts, lot.quantity, lot.basis, flags)
            self.settled.append((tx.account, tx.asset, *values))

    def arrive(self, event: Event) -> None:
        tx = event.tx
        rank = {other.row: Event(other).rank for other in self.txs}
        mine = [moving for moving in self.moving if moving[1] == tx.row]
        self.moving = [moving for moving in self.moving if moving[1] != tx.row]
        for _, _, lot in sorted(mine, key=lambda moving: rank[moving[0]]):
            self.enter(tx.account, tx.asset, lot)
        excess = self.left[tx.row]
        value = self.settled_value(tx)
        if excess and value is not None:
            self.enter(tx.account, tx.asset, NaiveLot(excess, value, tx.ts, event.rank))
        elif excess:
            flags = set() if self.settlement(tx) else {"UNMATCHED_TRANSFER"}
            self.acquire(event, excess, excess / Fraction(tx.quantity), flags)

    # What came out, as plain comparable values

    def open_lots(self) -> list[tuple[object, ...]]:
        return sorted(
            (account, asset, str(lot.acquired), lot.quantity, lot.basis, tuple(sorted(lot.flags)))
            for (account, asset), lots in self.held.items()
            for lot in lots
        )

    def in_transit(self) -> list[tuple[object, ...]]:
        rows = {tx.row: tx for tx in self.txs}
        result: list[tuple[object, ...]] = []
        for out, into, lot in self.moving:
            tx, flags = rows[out], lot.flags | (set() if into else {"UNMATCHED_TRANSFER"})
            values = (str(lot.acquired), tx.ts, lot.quantity, lot.basis, tuple(sorted(flags)))
            result.append((tx.account, tx.asset, *values))
        return sorted(result)  # type: ignore[type-var]


def part_of(lot: NaiveLot, quantity: Fraction) -> NaiveLot:
    """Takes a quantity off a lot; the last part takes what is left."""
    basis = lot.basis if quantity == lot.quantity else rounded(lot.basis * quantity / lot.quantity)
    lot.quantity -= quantity
    lot.basis -= basis
    return NaiveLot(quantity, basis, lot.acquired, lot.origin, lot.arrival, lot.flags)


def again_and_again(events: list[Event], waits: Callable[[Event, Event], bool]) -> list[Event]:
    """The first that waits for none left, or only for ones that wait for it; again, until none is left."""
    unbooked, booked = list(events), []
    while unbooked:
        reach = {id(e): closure(e, unbooked, waits) for e in unbooked}
        first = next(e for e in unbooked if all(id(e) in reach[other] for other in reach[id(e)]))
        unbooked.remove(first)
        booked.append(first)
    return booked


def closure(event: Event, events: Iterable[Event], waits: Callable[[Event, Event], bool]) -> set[int]:
    found: set[int] = set()
    walk = [event]
    while walk:
        current = walk.pop()
        for other in events:
            if other is not current and waits(current, other) and id(other) not in found:
                found.add(id(other))
                walk.append(other)
    return found

"""Holdings and daily NAV told a second time, slowly and plainly, to check the engine's figures against.

It is written from the contract alone, with fractions and datetimes, and shares no code with the engine. It
reads sound files only: no bad rows, no duplicates, no decisions, cash outside NAV, daily closes. The fee of
a third asset is booked like any other, which is the same unless that asset arrives in the same instant.
"""

import csv
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from tests.oracle.naive_fx import COARSE, Converted, Fx, Rate, every_day

CASH = {
    "USD", "EUR", "GBP", "CHF", "JPY", "CAD", "AUD", "NZD", "SEK",
    "NOK", "DKK", "PLN", "CZK", "HUF", "CNY", "HKD", "SGD",
}  # fmt: skip
OUTGOING = frozenset({"SELL", "FEE"})
SPOT_TOLERANCE = timedelta(minutes=5)
PEG_TOLERANCE = Fraction(50, 10_000)
PEG_WATCH = timedelta(hours=1)

Holding = tuple[str, str]  # account, asset
Point = dict[str, Any]


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def canonical(value: Fraction) -> str:
    """Rounded half-even at the 18th place, without exponent or trailing zeros."""
    units = round(value * 10**18)
    text = f"{abs(units) // 10**18}.{abs(units) % 10**18:018}".rstrip("0").rstrip(".")
    return f"-{text}" if units < 0 else text


# Ledger


@dataclass(eq=False)
class Leg:
    """A TRANSFER row: what of it is not yet paired, and for an IN the pieces that OUTs sent."""

    ts: datetime
    row: dict[str, str]
    left: Fraction
    pieces: list[tuple[datetime, Fraction]] = field(default_factory=list)

    @property
    def order(self) -> tuple[object, ...]:
        kind = next(kind for kind in ("tx_hash", "external_id", "id", "timestamp") if self.row[kind])
        rank = ("tx_hash", "external_id", "id", "timestamp").index(kind)
        quantity = canonical(Fraction(self.row["quantity"]))
        return (self.ts, rank, self.row["account"], self.row[kind], quantity, self.row["external_id"])


@dataclass
class Ledger:
    """Movements (time, holding, signed amount), what was under way (left, arrived, holding, amount)."""

    first: datetime
    moves: list[tuple[datetime, Holding, Fraction]]
    under_way: list[tuple[datetime, datetime, Holding, Fraction]]
    unmatched_out: dict[Holding, Fraction]


@dataclass
class Books:
    """What is held by rows and by lots, and where more has left than was there."""

    rows: dict[Holding, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    lots: dict[Holding, Fraction] = field(default_factory=lambda: defaultdict(Fraction))
    broken: set[Holding] = field(default_factory=set)

    def book(self, moves: Sequence[tuple[datetime, Holding, Fraction]]) -> None:
        """Moves in order of time; of one instant what comes in is booked before what goes out."""
        for _, holding, amount in sorted(moves, key=lambda move: (move[0], move[2] < 0)):
            self.rows[holding] += amount
            self.lots[holding] += amount
            if self.lots[holding] < 0:
                self.lots[holding] = Fraction(0)
                self.broken.add(holding)


def read_ledger(tx_paths: Iterable[Path]) -> Ledger:
    """The movements of all files; cash has no part in them."""
    records = [record for path in tx_paths for record in _records(path)]
    moves: list[tuple[datetime, Holding, Fraction]] = []
    outs: dict[str, list[Leg]] = defaultdict(list)
    ins: dict[str, list[Leg]] = defaultdict(list)
    for row in records:
        ts, quantity = instant(row["timestamp"]), abs(Fraction(row["quantity"]))
        holding = (row["account"], row["asset_id"])
        if row["action"].startswith("TRANSFER"):
            legs = ins if row["action"] == "TRANSFER_IN" else outs
            legs[row["asset_id"]].append(Leg(ts, row, quantity))
        else:
            moves.append((ts, holding, -quantity if row["action"] in OUTGOING else quantity))
        if row["fee_amount"]:
            moves.append((ts, (row["account"], row["fee_asset"]), -Fraction(row["fee_amount"])))
    ledger = Ledger(min(instant(row["timestamp"]) for row in records), moves, [], defaultdict(Fraction))
    for asset in sorted(outs.keys() | ins.keys()):
        _book_transfers(ledger, asset, outs[asset], ins[asset])
    ledger.moves = sorted(move for move in ledger.moves if move[1][1] not in CASH and move[2])
    return ledger


def _book_transfers(ledger: Ledger, asset: str, outs: list[Leg], ins: list[Leg]) -> None:
    outs.sort(key=lambda leg: leg.order)
    ins.sort(key=lambda leg: leg.order)
    groups = _transfers(outs, ins)
    _pair(groups, lambda out, into: out.row["account"] == into.row["account"])
    for out in outs:
        ledger.moves.append((out.ts, (out.row["account"], asset), -out.left))
    for into in ins:  # what was cancelled within one account has moved nothing
        into.pieces.clear()
    _pair(groups, lambda out, into: True)
    for into in ins:
        holding = (into.row["account"], asset)
        arrival = max([into.ts, *(left for left, _ in into.pieces)])
        ledger.moves.append((into.ts, holding, into.left))
        for left, amount in into.pieces:
            ledger.moves.append((arrival, holding, amount))
            ledger.under_way.append((left, arrival, holding, amount))
    for out in outs:
        ledger.unmatched_out[out.row["account"], asset] += out.left


def _transfers(outs: list[Leg], ins: list[Leg]) -> list[tuple[list[Leg], list[Leg]]]:
    """Connected sets of linked OUTs and INs, each in order."""
    groups: list[tuple[list[Leg], list[Leg]]] = []
    for out in outs:
        linked = [into for into in ins if _linked(out.row, into.row)]
        touched = [group for group in groups if any(into in group[1] for into in linked)]
        groups = [group for group in groups if group not in touched]
        members = {id(leg) for group in touched for side in group for leg in side}
        members |= {id(leg) for leg in [out, *linked]}
        groups.append(([o for o in outs if id(o) in members], [i for i in ins if id(i) in members]))
    return groups


def _linked(out: dict[str, str], into: dict[str, str]) -> bool:
    if out["tx_hash"] and into["tx_hash"]:
        return out["tx_hash"] == into["tx_hash"]
    return bool(out["external_id"]) and out["external_id"] == into["external_id"]


def _pair(groups: list[tuple[list[Leg], list[Leg]]], allowed: Callable[[Leg, Leg], bool]) -> None:
    """Cuts what OUTs sent to the INs, both in order, where `allowed`."""
    for outs, ins in groups:
        for into in ins:
            for out in outs:
                amount = min(out.left, into.left) if allowed(out, into) else Fraction(0)
                if amount:
                    out.left -= amount
                    into.left -= amount
                    into.pieces.append((out.ts, amount))


def naive_books(tx_paths: Iterable[Path], at: datetime) -> tuple[Ledger, Books]:
    """The ledger, and what is held by rows and by lots at `at`."""
    ledger, books = read_ledger(tx_paths), Books()
    books.book([move for move in ledger.moves if move[0] <= at])
    return ledger, books


def naive_holdings(tx_paths: Iterable[Path], at: datetime) -> dict[Holding, Fraction]:
    """What is owned by rows at `at`; what is under way belongs to its destination."""
    ledger, books = naive_books(tx_paths, at)
    return {holding: amount for holding, amount in _owned(ledger, books, at).items() if amount}


def _owned(ledger: Ledger, books: Books, at: datetime) -> dict[Holding, Fraction]:
    owned = defaultdict(Fraction, books.rows)
    for left, arrived, holding, amount in ledger.under_way:
        if left <= at < arrived:
            owned[holding] += amount
    return owned


# Observations


@dataclass(frozen=True)
class Price:
    asset: str
    resolution: str
    asof: datetime
    close: Fraction
    quote: str
    source: str


def read_prices(paths: Iterable[Path], closes: Sequence[datetime], pegs: dict[str, str]) -> list[Price]:
    """The observations that may price one of the closes or tell of a peg."""
    wanted, watched = frozenset(closes), [{token, target} for token, target in pegs.items()]
    found = []
    for path in paths:
        for row in _parquet_records(path, closes) if path.suffix == ".parquet" else _records(path):
            asof, quote = instant(str(row["bucket_close"])), row["quote_currency"]
            if asof in wanted or row["resolution"] == "spot" or {row["asset_id"], quote} in watched:
                close, source = Fraction(row["close"]), row["price_source"]
                found.append(Price(row["asset_id"], row["resolution"], asof, close, quote, source))
    return found


def read_rates(paths: Iterable[Path]) -> dict[frozenset[str], list[Rate]]:
    """All rates by pair, whichever way round they are told."""
    pairs: dict[frozenset[str], list[Rate]] = defaultdict(list)
    for row in (row for path in paths for row in _records(path)):
        asof, rate = instant(row["asof"]), Fraction(row["rate"])
        found = Rate(row["base"], row["quote"], rate, row["resolution"], asof, row["fx_source"])
        pairs[frozenset({found.base, found.quote})].append(found)
    return pairs


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        yield from csv.DictReader(lines)


def _parquet_records(path: Path, closes: Sequence[datetime]) -> Iterator[dict[str, Any]]:
    names = ["asset_id", "resolution", "bucket_close", "close", "quote_currency", "price_source"]
    bars = pl.scan_parquet(path).select(names).filter(pl.col("bucket_close").is_in(closes))
    yield from bars.collect().to_dicts()


def daily_closes(zone: str) -> list[datetime]:
    """The instants at which local dates of the zone begin."""
    return [datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC) for day in every_day()]


# Valuation


@dataclass(frozen=True)
class Valuer:
    """What may price an asset at a close, rates, and what the configuration says."""

    prices: dict[tuple[str, datetime], list[Price]]
    watched: list[Price]
    fx: Fx
    pegs: dict[str, str]
    base: str

    def price(self, asset: str, close: datetime) -> tuple[Fraction, str] | None:
        """The price of one `asset` at `close` and its quote currency."""
        if asset in self.pegs:
            return Fraction(1), self.pegs[asset]
        best = min(self.prices.get((asset, close), []), key=self._preference, default=None)
        return (best.close, best.quote) if best else None

    def _preference(self, price: Price) -> tuple[object, ...]:
        latest = -price.asof.timestamp() if price.resolution == "spot" else 0
        pegged = self.pegs.get(price.quote) == self.base
        quote = 0 if price.quote == self.base else 1 if pegged else 2
        return (COARSE[price.resolution], latest, quote, price.quote, price.source)

    def value(self, quantity: Fraction, asset: str, close: datetime) -> Converted:
        """The value in base currency rounded once; else a reason, and what is held."""
        found = self.price(asset, close)
        if found is None:
            return None, "NO_PRICE", ""
        price, quote = found
        for token in (asset, quote):
            if token in self.pegs and self._peg_broken(token, close):
                return None, "PEG_BROKEN", token
        rate, reason, held = self.fx.convert(close, self.pegs.get(quote, quote), self.base)
        if rate is None:
            return None, reason, held
        return Fraction(round(quantity * price * rate * 10**18), 10**18), "", ""

    def _peg_broken(self, token: str, close: datetime) -> bool:
        target = self.pegs[token]
        pair = frozenset({token, target})
        seen = [(r.asof, r.rate) for r in self.fx.pairs.get(pair, [])]
        seen += [(p.asof, p.close) for p in self.watched if {p.asset, p.quote} == pair]
        hour = [(asof, rate) for asof, rate in seen if close - PEG_WATCH < asof <= close]
        latest = max((asof for asof, _ in hour), default=None)
        return any(asof == latest and abs(rate - 1) > PEG_TOLERANCE for asof, rate in hour)


def _by_close(prices: Iterable[Price], closes: Sequence[datetime]) -> dict[tuple[str, datetime], list[Price]]:
    """What prices which asset at which close; a spot serves the closes shortly after it."""
    found: dict[tuple[str, datetime], list[Price]] = defaultdict(list)
    for price in prices:
        reach = SPOT_TOLERANCE if price.resolution == "spot" else timedelta(microseconds=1)
        at = bisect_left(closes, price.asof)
        if at < len(closes) and closes[at] < price.asof + reach:
            found[price.asset, closes[at]].append(price)
    return found


def naive_daily_nav(
    tx_paths: Sequence[Path],
    price_paths: Sequence[Path],
    fx_paths: Sequence[Path],
    *,
    pegs: dict[str, str] | None = None,
    base: str = "USD",
    zone: str = "UTC",
    primary: Sequence[str] = ("histdata_h1",),
    fallback: Sequence[str] = ("ecb_eurofxref",),
) -> list[Point]:
    """One point per daily close: bucket_close, nav, coverage, priced_value, missing, held, reasons."""
    ledger, closes = read_ledger(tx_paths), daily_closes(zone)
    pegs = {"USDT": "USD"} if pegs is None else pegs
    observed = read_prices(price_paths, closes, pegs)
    prices = _by_close(observed, closes)
    watched = [p for p in observed if pegs.get(p.asset) == p.quote or pegs.get(p.quote) == p.asset]
    valuer = Valuer(prices, watched, Fx(read_rates(fx_paths), primary, fallback), pegs, base)
    last = max(close for _, close in prices)
    return list(_points(ledger, valuer, [close for close in closes if ledger.first <= close <= last]))


def _points(ledger: Ledger, valuer: Valuer, closes: Sequence[datetime]) -> Iterator[Point]:
    books, before = Books(), datetime.min.replace(tzinfo=UTC)
    for close in closes:
        books.book([move for move in ledger.moves if before < move[0] <= close])
        before = close
        yield _point(_owned(ledger, books, close), books, valuer, close)


def _point(owned: dict[Holding, Fraction], books: Books, valuer: Valuer, close: datetime) -> Point:
    total, valued, count = Fraction(0), 0, 0
    missing: set[str] = set()
    held: set[str] = set()
    reasons: set[str] = set()
    for holding in sorted(owned):
        broken = holding in books.broken and (books.rows[holding] or books.lots[holding])
        if not owned[holding] and not broken:
            continue
        count += 1
        value, reason, pair = valuer.value(owned[holding], holding[1], close)
        if broken:
            value, reason, pair = None, "POSITION_BREAK", ""
        if value is not None:
            total, valued = total + value, valued + 1
            continue
        reasons.add(reason)
        (held if pair else missing).add(pair or holding[1])
    return {
        "bucket_close": close.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "nav": canonical(total) if valued == count else None,
        "coverage": valued / count if count else 1.0,
        "priced_value": canonical(total),
        "missing": sorted(missing),
        "held": sorted(held),
        "reasons": sorted(reasons),
    }

"""Lots kept up to date: a change replays only the assets it reaches, from the month of its first instant.

The problem. A back-dated row among a million changes the lots of one asset from one instant on. A full run
books everything anew; here the lots of each asset are remembered month by month (lot_parts.py), and a change
runs the same engine over the rows of the assets it reaches, beginning with what was remembered.

What a change reaches. The assets of the rows that came or went, of their fees, and of the rows whose links,
settlements or fee values changed; from there every asset whose rows paid fees in a reached one, for the
basis of the lots taken is the fee's value; and the assets in which OUTs of a reached one paid fees at an
instant with several OUTs, for these are booked in an order that one can change for the other.

The first touched instant. The earliest of the rows that came, went or were revalued, and of the transfers
that now stand otherwise: a new IN changes its OUT of last year.

The law. After any chain of changes, `outcome` is that of a full run over the ledger as it is then: the same
lots, pieces, deficits and flags in the same order, to the last digit. A change that raises leaves the book
unusable. Nothing here reads a store or a clock.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from engine.domain.transactions import LEDGER_SCHEMA, TRANSFERS, Action
from engine.portfolio.booking import BookedOrder
from engine.portfolio.ledger_order import Positions
from engine.portfolio.lot_methods import METHODS, Lot, Method
from engine.portfolio.lot_parts import (
    END,
    BoundLots,
    Fact,
    Part,
    State,
    facts,
    first_difference,
    month_of,
)
from engine.portfolio.lot_rows import read_entries, read_rows
from engine.portfolio.lot_walk import booked_events
from engine.portfolio.lots_engine import NOWHERE, Book, collector_paused
from engine.portfolio.lots_gather import gather
from engine.portfolio.lots_outcome import LotsOutcome
from engine.portfolio.transfers import Settlement, link

_NEVER = 1 << 62
_TOUCHED = ("row", "ts", "action", "asset", "fee_asset", "fee_amount")
_TRANSFERS = [int(action) for action in TRANSFERS]


class Replayed(NamedTuple):
    """What a change reached: the assets, and the first instant (us) from which they differ, if they may."""

    assets: frozenset[str]
    since: int | None


class LotsBook:
    """The lots of a whole ledger under one method, kept by asset and month."""

    def __init__(
        self,
        ledger: pl.DataFrame,
        method: str,
        cash_assets: frozenset[str],
        cash_fee_usd: Mapping[int, int | None],
        matches: Iterable[tuple[int, int]] = (),
        settlements: Mapping[int, Settlement] | None = None,
    ) -> None:
        """Books the ledger; the arguments are those of `link` and `run`."""
        self._method, self._cash_assets = METHODS[method], cash_assets
        self._cash_fee_usd: dict[int, int | None] = {}
        self._matches: frozenset[tuple[int, int]] = frozenset()
        self._settlements: dict[int, Settlement] = {}
        self._parts: dict[str, Part] = {}
        self._assets: list[str] = []  # by code
        self._asset_of = np.zeros(0, dtype=np.int32)  # by row number
        self._outs: Counter[int] = Counter()  # OUTs by instant
        self.change(ledger, (), cash_fee_usd, matches, settlements)

    def change(
        self,
        added: pl.DataFrame | None = None,
        removed: Sequence[int] = (),
        revalued: Mapping[int, int | None] | None = None,
        matches: Iterable[tuple[int, int]] | None = None,
        settlements: Mapping[int, Settlement] | None = None,
    ) -> Replayed:
        """Takes ledger rows in, and rows out by number, and replays what that reaches.

        A superseded row is one out and one in. revalued: row -> value of its fee in cash, of rows for which
        it is new or another. matches, settlements: all of them as they are now, None if they are as before.
        """
        with collector_paused():
            reached, since = self._edit(added, removed)
            decided = self._decided(matches, settlements)
            reached |= {self._assets[self._asset_of[row]] for row in decided if row < len(self._asset_of)}
            priced, first = self._revalue(revalued or {})
            names = self._closure(reached | priced)
            return self._replay(names, min(since, first)) if names else Replayed(frozenset(), None)

    def _edit(self, added: pl.DataFrame | None, removed: Sequence[int]) -> tuple[set[str], int]:
        """Takes rows in and out; the assets of these rows and of their fees, and the first instant."""
        going: dict[str, list[int]] = {}
        for row in removed:  # before those that come are numbered: one may come back as another
            going.setdefault(self._assets[self._asset_of[row]], []).append(row)
        coming: dict[str, pl.DataFrame] = {}
        if added is not None and added.height:
            self._number(added)
            coming = {str(name): part for (name,), part in added.partition_by("asset", as_dict=True).items()}
        touched = [part.select(_TOUCHED) for part in coming.values()]
        for name in sorted(coming.keys() | going.keys()):
            part = self._part(name)
            if name in going:
                touched.append(part.ledger.filter(pl.col("row").is_in(going[name])).select(_TOUCHED))
            part.edit(coming.get(name), going.get(name, ()), self._cash_assets)
            for asset in part.pays_in:
                self._part(asset)
        if not touched:
            return set(), _NEVER
        rows = pl.concat(touched)
        self._outs.update(rows.filter(pl.col("action") == Action.TRANSFER_OUT)["ts"].to_list())
        fees = rows.filter((pl.col("fee_amount") > 0) & (pl.col("action") != Action.FEE))["fee_asset"]
        names = {*rows["asset"].unique(), *fees.unique()} - self._cash_assets
        return names | coming.keys() | going.keys(), int(np.min(rows["ts"].to_numpy()))

    def outcome(self, assets: Iterable[str] | None = None) -> LotsOutcome:
        """What a full run finds, in its order; of all assets, or only the lots of some."""
        names = self._parts.keys() if assets is None else self._parts.keys() & set(assets)
        with collector_paused():
            return gather(self._parts, frozenset(names), self._cash_assets, len(self._asset_of))

    @property
    def ledger(self) -> pl.DataFrame:
        """All rows, in no particular order."""
        frames = [part.ledger for part in self._parts.values()]
        return pl.concat(frames) if frames else pl.DataFrame(schema=LEDGER_SCHEMA)

    def rows_of(self, assets: frozenset[str]) -> pl.DataFrame:
        """The rows of some assets, and of all whose rows paid fees in them; none of these is cash."""
        found = [part.ledger for name, part in self._parts.items() if name in assets or part.pays_in & assets]
        return pl.concat(found) if found else pl.DataFrame(schema=LEDGER_SCHEMA)

    def deficits(self, assets: Iterable[str]) -> list[tuple[int, int]]:
        """What was taken of some assets beyond what was held: row (~row: the FEE made from it), scaled."""
        parts = (self._parts[name] for name in assets if name in self._parts)
        return [deficit for part in parts for deficit in part.deficits]

    def _part(self, name: str) -> Part:
        if name not in self._parts:
            self._parts[name] = Part(pl.DataFrame(schema=LEDGER_SCHEMA))
            self._assets.append(name)
        return self._parts[name]

    def _number(self, added: pl.DataFrame) -> None:
        """Notes the asset of every row that came."""
        for name in added["asset"].unique(maintain_order=True).to_list():
            self._part(name)
        numbers = added["row"].to_numpy()
        missing = int(numbers.max()) + 1 - len(self._asset_of)
        if missing > 0:
            room = np.zeros(missing + len(self._asset_of) // 8, dtype=np.int32)
            self._asset_of = np.concatenate([self._asset_of, room])
        codes = {name: code for code, name in enumerate(self._assets)}
        self._asset_of[numbers] = added["asset"].replace_strict(codes, return_dtype=pl.Int32).to_numpy()

    def _decided(
        self, matches: Iterable[tuple[int, int]] | None, settlements: Mapping[int, Settlement] | None
    ) -> set[int]:
        """Takes the operator's decisions as they are now; the rows of which another one is in force."""
        rows: set[int] = set()
        if matches is not None:
            now = frozenset(matches)
            rows.update(row for pair in now ^ self._matches for row in pair)
            self._matches = now
        if settlements is not None:
            rows.update(row for row, _ in settlements.items() ^ self._settlements.items())
            self._settlements = dict(settlements)
        return rows

    def _revalue(self, revalued: Mapping[int, int | None]) -> tuple[set[str], int]:
        """Takes values of fees in cash; the assets of their rows, and the first instant."""
        self._cash_fee_usd.update(revalued)
        names = {self._assets[self._asset_of[row]] for row in revalued if row < len(self._asset_of)}
        found = [self._parts[name].ledger.filter(pl.col("row").is_in(list(revalued)))["ts"] for name in names]
        instants = [int(np.min(ts.to_numpy())) for ts in found if len(ts)]
        return names, min(instants, default=_NEVER)

    def _closure(self, reached: set[str]) -> set[str]:
        """With every asset whose lots or values depend on a reached one."""
        payers: dict[str, list[str]] = {}
        for name, part in self._parts.items():
            for asset in part.pays_in:
                payers.setdefault(asset, []).append(name)
        found, walk = set(reached), list(reached)
        while walk:
            name = walk.pop()
            crowded = [asset for ts, asset in self._parts[name].moves_paid if self._outs[ts] > 1]
            for other in [*payers.get(name, ()), *crowded]:
                if other not in found:
                    found.add(other)
                    walk.append(other)
        return found

    def _replay(self, names: set[str], since: int) -> Replayed:
        parts = {name: self._parts[name] for name in sorted(names)}
        pass_ = _Pass(parts, self._matches, self._settlements)
        since = min(since, pass_.restate())
        if since == _NEVER:
            return Replayed(frozenset(names), None)
        pass_.run(int(month_of(np.array([since]))[0]), self._method, self._cash_assets, self._cash_fee_usd)
        return Replayed(frozenset(names), since)


class _Pass:
    """One run of the engine over all rows of some assets, of which the events before a month are left out."""

    def __init__(
        self,
        parts: dict[str, Part],
        matches: Iterable[tuple[int, int]],
        settlements: Mapping[int, Settlement],
    ) -> None:
        self.parts = parts
        frames = [part.ledger for part in parts.values()]
        self.ledger = pl.concat(frames) if frames else pl.DataFrame(schema=LEDGER_SCHEMA)
        self.links = link(self.ledger, matches, settlements)
        self.rows = read_rows(self.ledger, self.links.order)
        self.numbers: list[int] = self.links.rows.tolist()
        ranks = [np.arange(frame.height, dtype=np.int64) for frame in frames]
        self.ranks = np.concatenate([*ranks, np.zeros(0, dtype=np.int64)])[self.links.order]
        self.count = max(1, len(self.rows.assets))
        self.noted = 0, 0, 0

    def restate(self) -> int:
        """Notes how every transfer stands now; the first instant of one that stands otherwise than before."""
        by_asset: dict[str, dict[int, Fact]] = {name: {} for name in self.parts}
        stand = facts(self.links, self.numbers, self.rows.frame)
        moved = self.rows.frame.filter(pl.col("action").is_in(_TRANSFERS))
        for name, (row, fact) in zip(moved["asset"].to_list(), stand.items(), strict=True):
            by_asset[name][row] = fact
        first = _NEVER
        for name, part in self.parts.items():
            first = min(first, first_difference(part.facts, by_asset[name], _NEVER))
            part.facts = by_asset[name]
        return first

    def run(
        self,
        month: int,
        method: Method,
        cash_assets: frozenset[str],
        cash_fee_usd: Mapping[int, int | None],
    ) -> None:
        """Books every event from `month` on, and remembers the lots before each month."""
        entries = read_entries(self.rows, cash_assets, cash_fee_usd, self.ranks, np.arange(len(self.ranks)))
        book = Book(self.rows, entries, self.links, method)
        self.slots = self._slots_by_asset()
        for name, part in self.parts.items():
            self._restore(book, name, part.cut(month))
        self._preset_third_values(book)
        booked = self._events(cash_assets)
        months = self._months(booked)
        first = int(np.searchsorted(months, month))
        starts = [first, *(np.flatnonzero(np.diff(months[first:])) + first + 1).tolist(), len(booked)]
        for start, stop in pairwise(starts):
            if start < stop:
                self._keep(book, int(months[start]), booked[start:stop])
                book.book(booked[start:stop].tolist())
                self._note(book)
        self._keep(book, END, None)
        for position, value in book.third_value.items():
            name = self.rows.assets[book.slots[position] % self.count]
            self.parts[name].third_value[self.numbers[position]] = value
        outcome = book.outcome(len(self.rows.ts), BookedOrder(booked[first:]))
        book.assert_conserved(outcome, booked[first:].tolist())

    def _events(self, cash_assets: frozenset[str]) -> Positions:
        """In booking order, without the fees that take lots of an asset that is not reached."""
        booked = booked_events(self.ledger, self.rows, cash_assets, self.links, len(self.rows.ts))
        here = np.array([name in self.parts for name in self.rows.assets], dtype=bool)
        return booked[here[self._codes(booked)]] if len(booked) else booked

    def _codes(self, events: Positions) -> Positions:
        """Codes of the assets whose lots the events move."""
        own, fees = self.rows.slot_codes, self.rows.fee_codes
        codes: Positions = np.where(events < 0, fees[~events], own[events]) % self.count
        return codes

    def _months(self, booked: Positions) -> Positions:
        """The month in which each event is booked: an IN that waits for an OUT, with the OUT."""
        if not len(booked):
            return booked
        ts = self.rows.ts[np.where(booked < 0, ~booked, booked)]
        return month_of(np.maximum.accumulate(ts))

    def _slots_by_asset(self) -> dict[str, list[tuple[int, str]]]:
        """The slots that lots of an asset can be in, with their accounts."""
        pays = self.rows.frame["fee_asset"].is_not_null().to_numpy()
        slots = np.unique(np.concatenate([self.rows.slot_codes, self.rows.fee_codes[pays]]))
        found: dict[str, list[tuple[int, str]]] = {name: [] for name in self.parts}
        for slot in slots.tolist():
            account, asset = divmod(slot, self.count)
            if self.rows.assets[asset] in found:
                found[self.rows.assets[asset]].append((slot, self.rows.accounts[account]))
        return found

    def _restore(self, book: Book, name: str, state: State) -> None:
        """Puts the lots of an asset back as they were."""
        for slot, account in self.slots[name]:
            if account in state.held:
                book.held[slot] = book.method.queue(state.held[account])
                self._count(book, state.held[account])
        if state.bound:
            places = {row: place for place, row in enumerate(self.numbers)}
            for into, out, lots in state.bound:
                book.bound[into if into == NOWHERE else places[into]].append((places[out], list(lots)))
                self._count(book, lots)
        book.arrivals = max(book.arrivals, state.arrivals)

    def _count(self, book: Book, lots: Iterable[Lot]) -> None:
        """What was there already entered the books before."""
        for _, quantity, basis, _ in lots:
            book.quantity_entered += quantity
            book.basis_entered += basis

    def _preset_third_values(self, book: Book) -> None:
        """Fees in an asset that is not reached are worth what they were."""
        for position, fee in book.fees.items():
            if fee.third:
                name = self.rows.assets[self.rows.slot_codes[position] % self.count]
                value = self.parts[name].third_value.get(self.numbers[position])
                if value is not None:
                    book.third_value[position] = value

    def _keep(self, book: Book, month: int, events: Positions | None) -> None:
        """Remembers the lots of the assets that these events move (None: of all)."""
        names = set(self.parts)
        if events is not None:
            names = {self.rows.assets[code] for code in np.unique(self._codes(events)).tolist()}
        bound: dict[str, list[BoundLots]] = {name: [] for name in self.parts}
        for into, leaving in book.bound.items():
            row = into if into == NOWHERE else self.numbers[into]
            for out, lots in leaving:
                name = self.rows.assets[book.slots[out] % self.count]
                bound[name].append((row, self.numbers[out], tuple(lots)))
        for name in names:
            held = {}
            for slot, account in self.slots[name]:
                if slot in book.held and (lots := book.method.lots(book.held[slot])):
                    held[account] = tuple(lots)
            self.parts[name].keep(month, held, bound[name], book.arrivals)

    def _note(self, book: Book) -> None:
        """Hands what was booked since the last time to the assets whose lots it moved."""
        realized, settled, deficits = self.noted
        for event, place, quantity, proceeds, basis, flags in book.realized[realized:]:
            piece = self._name(event), place, quantity, proceeds, basis, flags
            self._of(book, event).realized.append(piece)
        for out, place, quantity, basis, flags in book.settled[settled:]:
            self._of(book, out).settled.append((self._name(out), place, quantity, basis, flags))
        for event, quantity in book.deficits[deficits:]:
            self._of(book, event).deficits.append((self._name(event), quantity))
        self.noted = len(book.realized), len(book.settled), len(book.deficits)

    def _name(self, event: int) -> int:
        return self.numbers[event] if event >= 0 else ~self.numbers[~event]

    def _of(self, book: Book, event: int) -> Part:
        slot = book.slots[event] if event >= 0 else book.fees[~event].slot
        return self.parts[self.rows.assets[slot % self.count]]

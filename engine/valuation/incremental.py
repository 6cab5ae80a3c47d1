"""NAV that stands, and is put right change by change: a row, a bar, a rate, a decision, a new close.

The problem. A row dated a month ago arrives while 50 accounts x 200 assets x 8,640 closes stand valued. All
that it changes is one holding, from its first close on: those values are taken out of the sums, its quantity
is put right, and they are added again. Nothing else is looked at, and the sums are those of a full run, to
the last digit: every value is still rounded by itself, once.

Held here: each holding's quantity as steps, each asset's unit value as a dense vector, and per account and
close the sum of what is valued, how many holdings there are and how many of them are valued. It chooses no
price, finds no rate, stores nothing and reads no clock; what changed is told to it as values.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.domain.money import in_range
from engine.valuation.exact import Sums, Words, decimals, from_words, items, pairs, zeroed_words
from engine.valuation.price_engine import Inputs, products, with_wide_values
from engine.valuation.quotation import Marks, Quotation, Rates, quote

SPARE_CLOSES = 288  # room for a day of 5m closes before anything is moved
Factors = Callable[[list[int]], list[tuple[int | None, int | None]]]  # (price, rate) of entries


class Changes(NamedTuple):
    """Which points changed: account `accounts[i]` at close `closes[i]` (its number in the span)."""

    accounts: list[str]
    closes: list[int]


class Slot(NamedTuple):
    """One account at one close. `priced`: the scaled sum of what is valued."""

    priced: int
    holdings: int
    valued: int

    @property
    def nav(self) -> int | None:
        """Scaled NAV; None unless every holding is valued and the sum is in range."""
        return self.priced if self.holdings == self.valued and in_range(self.priced) else None


class _Holding:
    """What an account has of an asset: owned[i], and deficit[i] beyond that, from close b[i] on."""

    __slots__ = ("account", "asset", "b", "deficit", "owned")

    def __init__(self, asset: int, account: int) -> None:
        self.asset, self.account = asset, account
        self.b: list[int] = []
        self.owned: list[int] = []
        self.deficit: list[int] = []

    def move(self, b: int, owned: int, deficit: int) -> None:
        """Adds to the quantities from close b on."""
        at = bisect_left(self.b, b)
        if at == len(self.b) or self.b[at] != b:
            self.b.insert(at, b)
            self.owned.insert(at, self.owned[at - 1] if at else 0)
            self.deficit.insert(at, self.deficit[at - 1] if at else 0)
        if owned:
            self.owned[at:] = [amount + owned for amount in self.owned[at:]]
        if deficit:
            self.deficit[at:] = [amount + deficit for amount in self.deficit[at:]]

    def steps(self, first: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """(length, owned, deficit) of each step, over all closes of [first, stop)."""
        at, reached = bisect_right(self.b, first) - 1, first
        owned, deficit = (self.owned[at], self.deficit[at]) if at >= 0 else (0, 0)
        for following in range(at + 1, bisect_left(self.b, stop)):
            yield self.b[following] - reached, owned, deficit
            reached, owned, deficit = self.b[following], self.owned[following], self.deficit[following]
        yield stop - reached, owned, deficit


class _Values(NamedTuple):
    """Of some holdings over some closes: (holdings x closes) values as bits, is it held, is it valued."""

    value: Words
    held: Marks
    valued: Marks


class StandingNav:
    """What a full run over a span of closes makes, and the acts that keep it equal to one."""

    def __init__(self, inputs: Inputs, movements: pl.DataFrame) -> None:
        """`movements`: all of them, as positions() takes them; inputs.positions are not looked at."""
        self.closes = inputs.closes
        self.accounts: list[str] = []
        self._policy = inputs.policy
        self._account: dict[str, int] = {}
        self._asset: dict[str, int] = {}
        self._holding: dict[tuple[int, int], int] = {}
        self._holdings: list[_Holding] = []
        self._of_asset: list[list[int]] = []
        self._is_cash: list[bool] = []
        self._quotes: list[frozenset[str]] = []  # what each asset is priced in, at any close
        self._quoted_from: list[int] = []
        self._factors: dict[tuple[int, int], tuple[int | None, int | None]] = {}
        self._width, self._rows, self._assets = len(inputs.closes) + SPARE_CLOSES, 0, 0
        self._sums = Sums(0)
        self._counts = np.zeros((2, 0, self._width), np.int32)  # holdings, valued
        self._unit = np.zeros((0, self._width), "V16")
        self._marks = np.zeros((3, 0, self._width), bool)  # priced, wide, excluded
        self._last = np.zeros(0, "V16")  # each holding's quantity at the last close
        self._last_marks = np.zeros((2, 0), bool)  # held, without a value whatever the price
        self._place = np.zeros((2, 0), np.int64)  # each holding's asset and account
        self._fill(inputs, movements)

    def _fill(self, inputs: Inputs, movements: pl.DataFrame) -> None:
        for asset, account, b, owned, deficit in self._moves(movements):
            self._at(asset, account).move(b, owned, deficit)
        self._place_all()
        self._requote(self._asset, inputs)
        for holdings in self._of_asset:
            self._count(holdings, 0, len(self.closes))

    # -- what stands --

    def slot(self, account: str, b: int) -> Slot:
        """One account at close b."""
        row = self._account[account]
        holdings, valued = self._counts[:, row, b].tolist()
        return Slot(self._sums.scaled(row * self._width + b), holdings, valued)

    def whole(self, b: int) -> Slot:
        """All accounts together at close b."""
        slots = [self.slot(account, b) for account in self.accounts]
        return Slot(*(sum(column) for column in zip(*slots, strict=True))) if slots else Slot(0, 0, 0)

    def assets_in(self, quotes: Iterable[str]) -> list[str]:
        """The assets that are priced, at some close, in one of these currencies or tokens."""
        wanted = frozenset(quotes)
        return [asset for asset, place in self._asset.items() if self._quotes[place] & wanted]

    # -- changes --

    def move(self, added: pl.DataFrame, removed: pl.DataFrame | None, market: Inputs) -> Changes:
        """Movements that came, and such as count no more. `market`: prices of assets that are new to this."""
        by_holding: dict[int, list[tuple[int, int, int]]] = {}
        for movements, sign in ((added, 1), (removed, -1)):
            for asset, account, b, owned, deficit in self._moves(movements) if movements is not None else ():
                by_holding.setdefault(self._number(asset, account), []).append(
                    (b, sign * owned, sign * deficit)
                )
        self._place_all()
        first = min((move[0] for part in by_holding.values() for move in part), default=len(self.closes))
        self._quote_new(by_holding, first, market)
        before = self._look([self._holdings[number].account for number in by_holding], first)
        for number, part in by_holding.items():
            start = min(move[0] for move in part)
            self._count([number], start, len(self.closes), back=True)
            for one in part:
                self._holdings[number].move(*one)
            self._count([number], start, len(self.closes))
        self._note([*by_holding])
        return self._changed(before, first)

    def requote(self, assets: Iterable[str], market: Inputs) -> Changes:
        """Other prices, rates, pegs or statuses of some assets; `market` is over all closes.

        Only closes at which an asset's unit value or its reason to have none differs are valued anew.
        """
        everyone = list(range(len(self.accounts)))
        before = self._look(everyone, 0)
        self._requote([asset for asset in assets if asset in self._asset], market, counted=True)
        return self._changed(before, 0)

    def append(self, market: Inputs, movements: pl.DataFrame) -> Changes:
        """A new close for everything. `market` is of that close alone, `movements` count first at it."""
        b = len(self.closes)
        self._grow(b + 1)
        self.closes = np.append(self.closes, market.closes[-1])
        moved = set()
        for asset, account, _, owned, deficit in self._moves(movements):
            number = self._number(asset, account)
            self._holdings[number].move(b, owned, deficit)
            moved.add(number)
        self._place_all()
        self._note([*moved])
        self._quote_close(market, b)
        self._count_close(b)
        held = np.flatnonzero(self._counts[0, :, b]).tolist()
        return Changes([self.accounts[row] for row in held], [b] * len(held))

    # -- movements --

    def _moves(self, movements: pl.DataFrame) -> Iterator[tuple[str, str, int, int, int]]:
        """(asset, account, first close, owned, deficit) of all movements that NAV knows of, in one order."""
        b = np.searchsorted(self.closes, movements["ts"].to_numpy(), side="left").tolist()
        names = (movements[name].to_list() for name in ("asset", "account"))
        amounts = movements["delta"].to_physical().to_list(), movements["series"].to_list()
        outside, size = self._policy.outside, len(self.closes)
        for asset, account, at, delta, series in sorted(zip(*names, b, *amounts, strict=True)):
            if at < size and series != "unmatched" and asset not in outside:
                yield (
                    (asset, account, at, 0, delta) if series == "deficit" else (asset, account, at, delta, 0)
                )

    def _at(self, asset: str, account: str) -> _Holding:
        return self._holdings[self._number(asset, account)]

    def _number(self, asset: str, account: str) -> int:
        """The number of a holding; a new one is empty, and has a place once `_place_all` was called."""
        place = self._asset.setdefault(asset, len(self._asset))
        row = self._account.setdefault(account, len(self._account))
        if row == len(self.accounts):
            self.accounts.append(account)
        if place == len(self._of_asset):
            self._of_asset.append([])
            self._is_cash.append(asset in self._policy.cash_assets)
            self._quotes.append(frozenset())
            self._quoted_from.append(len(self.closes))
        number = self._holding.setdefault((place, row), len(self._holdings))
        if number == len(self._holdings):
            self._holdings.append(_Holding(place, row))
            self._of_asset[place].append(number)
        return number

    def _place_all(self) -> None:
        """Makes room for holdings, accounts and assets that are new."""
        known = self._place.shape[1]
        if known == len(self._holdings):
            return
        new = self._holdings[known:]
        places = np.array([[one.asset for one in new], [one.account for one in new]], np.int64)
        self._place = np.concatenate([self._place, places], axis=1)
        self._last = np.concatenate([self._last, np.zeros(len(new), "V16")])
        self._last_marks = np.concatenate([self._last_marks, np.zeros((2, len(new)), bool)], axis=1)
        self._grow(len(self.closes))
        self._note(range(known, len(self._holdings)))

    def _note(self, numbers: Sequence[int]) -> None:
        """Keeps what these holdings have at the last close."""
        if not numbers:
            return
        holdings = [self._holdings[number] for number in numbers]
        last = [(1, one.owned[-1], one.deficit[-1]) if one.b else (1, 0, 0) for one in holdings]
        at = np.array(numbers, np.int64)
        self._last[at], self._last_marks[0, at], self._last_marks[1, at] = self._quantities(
            last, [self._is_cash[one.asset] for one in holdings]
        )

    def _grow(self, closes: int) -> None:
        """Rows for every account and asset, and room for so many closes."""
        rows, assets, width = len(self.accounts), len(self._asset), self._width
        if closes > width:
            width = closes + SPARE_CLOSES
        if (rows, assets, width) == (self._rows, self._assets, self._width):
            return
        self._sums = self._sums.spread(self._width, rows, width)
        self._counts = _padded(self._counts, (2, rows, width))
        self._unit = _padded(self._unit, (assets, width))
        self._marks = _padded(self._marks, (3, assets, width))
        self._rows, self._assets, self._width = rows, assets, width

    # -- quotations --

    def _quote_new(self, numbers: Iterable[int], first: int, market: Inputs) -> None:
        places = {self._holdings[number].asset for number in numbers}
        new = [asset for asset, place in self._asset.items() if place in places]
        late = [asset for asset in new if self._quoted_from[self._asset[asset]] > first]
        if late:
            self._requote(late, market)

    def _requote(self, assets: Iterable[str], market: Inputs, counted: bool = False) -> None:
        """Puts the unit vectors of assets right; `counted`: their holdings are in the sums already."""
        rates = Rates(market.rates)
        asked = list(assets)
        kept = market.chosen.filter(pl.col("asset").is_in(asked))
        observed, nothing = kept.partition_by("asset", as_dict=True), kept.clear()
        for asset in asked:
            quotation = quote([asset], market, observed.get((asset,), nothing), rates)
            self._replace(self._asset[asset], quotation, counted)

    def _replace(self, place: int, quotation: Quotation, counted: bool) -> None:
        size = len(self.closes)
        unit, marks = items(quotation.unit), _marks(quotation)
        wide = np.flatnonzero(quotation.wide)
        factors = dict(zip(((place, b) for b in wide.tolist()), quotation.factors(wide), strict=True))
        differs = (unit != self._unit[place, :size]) | (marks != self._marks[:, place, :size]).any(axis=0)
        for key, pair in factors.items():
            differs[key[1]] |= self._factors.get(key) != pair
        self._quotes[place] = frozenset(quotation.prices["quote"].drop_nulls())
        self._quoted_from[place] = 0
        if not differs.any():
            return
        at = np.flatnonzero(differs)
        first, stop = int(at[0]), int(at[-1]) + 1
        if counted:
            self._count(self._of_asset[place], first, stop, back=True)
        self._unit[place, :size], self._marks[:, place, :size] = unit, marks
        self._factors.update(factors)
        if counted:
            self._count(self._of_asset[place], first, stop)

    def _quote_close(self, market: Inputs, b: int) -> None:
        """The unit values of all assets at one close, at once."""
        assets = list(self._asset)
        observed = market.chosen
        if not self._asset.keys() >= set(observed["asset"].to_list()):
            observed = observed.filter(pl.col("asset").is_in(assets))
        quotation = quote(assets, market, observed, Rates(market.rates))
        self._unit[:, b], self._marks[:, :, b] = items(quotation.unit), _marks(quotation)
        wide = np.flatnonzero(quotation.wide)
        self._factors.update(
            zip(((place, b) for place in wide.tolist()), quotation.factors(wide), strict=True)
        )
        quotes = quotation.prices["quote"].to_list()
        for place, row in enumerate(quotation.price_row.tolist()):
            if quotes[row] is not None and quotes[row] not in self._quotes[place]:
                self._quotes[place] |= {quotes[row]}

    # -- values --

    def _count(self, holdings: Sequence[int], first: int, stop: int, back: bool = False) -> None:
        """Adds (or takes `back`) one asset's holdings over [first, stop) to (from) the sums and counts."""
        if not holdings or first >= stop:
            return
        values, size = self._valued(holdings, first, stop), stop - first
        act, sign = (self._sums.subtract, -1) if back else (self._sums.add, 1)
        for nth, number in enumerate(holdings):
            row, part = self._holdings[number].account, slice(nth * size, (nth + 1) * size)
            act(row * self._width + first, values.value[part])
            self._counts[0, row, first:stop] += sign * values.held[part].astype(np.int32)
            self._counts[1, row, first:stop] += sign * values.valued[part].astype(np.int32)

    def _valued(self, holdings: Sequence[int], first: int, stop: int) -> _Values:
        steps = [step for number in holdings for step in self._holdings[number].steps(first, stop)]
        place = self._holdings[holdings[0]].asset
        bits, held, lost = self._quantities(steps, [self._is_cash[place]] * len(steps))
        lengths = [step[0] for step in steps]
        times = len(holdings)
        return self._priced(
            np.repeat(bits, lengths), np.repeat(held, lengths), np.repeat(lost, lengths),
            unit=np.tile(self._unit[place, first:stop], times),
            marks=np.tile(self._marks[:, place, first:stop], times),
            factors=lambda at: [self._factors[place, first + one % (stop - first)] for one in at],
        )  # fmt: skip

    def _count_close(self, b: int) -> None:
        """All holdings at the last close, at once."""
        asset, account = self._place
        values = self._priced(
            self._last, *self._last_marks, unit=self._unit[asset, b], marks=self._marks[:, asset, b],
            factors=lambda at: [self._factors[int(asset[one]), b] for one in at],
        )  # fmt: skip
        slots = np.arange(len(self.accounts)) * self._width + b
        self._sums.add_grouped(slots, account, values.value)
        for counted, marks in zip(self._counts, (values.held, values.valued), strict=True):
            counted[:, b] = np.bincount(account[marks], minlength=len(self.accounts))

    def _quantities(
        self, steps: Sequence[tuple[int, int, int]], is_cash: Sequence[bool]
    ) -> tuple[NDArray[np.void], Marks, Marks]:
        """Of (length, owned, deficit): the quantity's bits, is it a holding, has it no value in any case."""
        known, bits = zeroed_words(decimals([owned for _, owned, _ in steps]))
        cash = np.array(is_cash, dtype=bool)
        short = np.array([deficit != 0 for _, _, deficit in steps], dtype=bool) & ~cash
        negative = cash & (bits[:, 1].view(np.int64) < 0) & self._policy.cash_in_nav
        return items(bits), bits.any(axis=1) | ~known | short, short | negative | ~known

    def _priced(
        self, bits: NDArray[np.void], held: Marks, lost: Marks, *, unit: NDArray[np.void], marks: Marks,
        factors: Factors,
    ) -> _Values:  # fmt: skip
        priced, wide, excluded = marks
        value, known = products(pairs(bits), pairs(unit))
        if wide.any():
            value, places = value.copy(), np.flatnonzero(wide)
            quantity = from_words(pairs(bits[places]))
            known = with_wide_values(value, known, places, quantity, factors(places.tolist()))
        held = held & ~excluded
        valued = held & priced & ~lost if known is None else held & priced & ~lost & known
        return _Values(value * valued[:, None], held, valued)

    # -- what changed --

    def _look(self, rows: Iterable[int], first: int) -> dict[int, tuple[Words, NDArray[np.int32]]]:
        """The points of some accounts from a close on, as they are now."""
        size = len(self.closes)
        return {
            row: (
                self._sums.bits(slice(row * self._width + first, row * self._width + size)),
                self._counts[:, row, first:size].copy(),
            )
            for row in dict.fromkeys(rows)
        }

    def _changed(self, before: dict[int, tuple[Words, NDArray[np.int32]]], first: int) -> Changes:
        changes = Changes([], [])
        for row, (bits, counts) in self._look(before, first).items():
            old_bits, old_counts = before[row]
            differs = (bits != old_bits).any(axis=1) | (counts != old_counts).any(axis=0)
            closes = (np.flatnonzero(differs) + first).tolist()
            changes.accounts.extend([self.accounts[row]] * len(closes))
            changes.closes.extend(closes)
        return changes


def _marks(quotation: Quotation) -> Marks:
    return np.stack([quotation.priced, quotation.wide, quotation.excluded])


def _padded[T: np.generic](array: NDArray[T], shape: tuple[int, ...]) -> NDArray[T]:
    """The array in the corner of a larger one of zeros."""
    larger = np.zeros(shape, array.dtype)
    larger[tuple(slice(length) for length in array.shape)] = array
    return larger

"""External flows of a home, of some accounts or of all (CONTRACT §10): what came and went, and when.

Owns: which rows are flows, and what each is worth in base currency. Never: returns, which metrics.py makes.
Amounts are exact, positive into the portfolio; None where one is not known. A flow is told in three ways:

- cost: BUY and SELL while cash is outside, quantity x price with cash fees, in USD, and turned into base
  currency at the rate in force at the close of its bucket, by the rules of valuation, holds included;
- market: unmatched and settled transfers, and matched ones that cross the border of the accounts looked at,
  at the price by which the close of their bucket is valued;
- status: an asset that enters or leaves `excluded`, at market, at the close at which it does.

Rows of an asset that was excluded when their bucket opened are no flows: NAV did not hold it.
"""

from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.domain.money import in_range, mul
from engine.domain.transactions import Action
from engine.portfolio.holdings import one_of_each
from engine.runtime.books import LOTS_CURRENCY, Books
from engine.runtime.value import inputs_of
from engine.valuation import buckets, price_engine
from engine.valuation.exact import wide_value

RETURN_KINDS = ("fee", "lost")  # settlements that are return; all others stay flows
_BUY, _SELL = int(Action.BUY), int(Action.SELL)
_OWNED = ("holding", "transit")

Instants = NDArray[np.int64]


class Flow(NamedTuple):
    """amount: scaled, base currency; None where it is not known."""

    ts: int
    amount: int | None


class Moved(NamedTuple):
    """A quantity (scaled, positive into the portfolio) that counts at market."""

    ts: int
    asset: str
    quantity: int
    is_status: bool = False


def flows(
    books: Books, resolution: str, first: int, last: int, accounts: Collection[str] | None
) -> list[Flow]:
    """All flows in (first, last], both closes of the resolution; of these accounts, None: of all."""
    return _Flows(books, resolution, first, last, accounts).found()


class _Flows:
    """The flows of one question."""

    def __init__(
        self, books: Books, resolution: str, first: int, last: int, accounts: Collection[str] | None
    ) -> None:
        self._books = books
        self._resolution = resolution
        self._span = (first, last)
        self._accounts = None if accounts is None else frozenset(accounts)
        self._outside = frozenset() if books.cash_in_nav else books.cash_assets
        self._closes = buckets.closes(resolution, books.config["timezone"], first, last)

    def found(self) -> list[Flow]:
        moved = [*self._transfers(), *self._status_changes()]
        costs = [] if self._books.cash_in_nav else self._costs()
        return sorted([*costs, *self._at_market(moved)], key=lambda flow: (flow.ts, flow.amount or 0))

    def _close(self, ts: int) -> int:
        """The place of the close of an instant's bucket; its open is the close before."""
        return int(np.searchsorted(self._closes, ts, side="left"))

    def _within(self, ts: int) -> bool:
        return self._span[0] < ts <= self._span[1]

    def _counts(self, account: str) -> bool:
        return self._accounts is None or account in self._accounts

    # -- cost --

    def _costs(self) -> list[Flow]:
        trades = self._trades()
        paid = [(ts, cost) for ts, asset, cost in self._priced(trades) if self._in_nav(asset, ts)]
        if self._books.config["base_currency"] == LOTS_CURRENCY or not paid:
            return [Flow(ts, cost) for ts, cost in paid]
        rates = self._rates([ts for ts, _ in paid])
        return [Flow(ts, _times(cost, rate)) for (ts, cost), rate in zip(paid, rates, strict=True)]

    def _trades(self) -> pl.DataFrame:
        ts = pl.col("ts")
        wanted = (
            pl.col("action").is_in([_BUY, _SELL])
            & ~pl.col("asset").is_in(list(self._books.cash_assets))
            & (ts > self._span[0])
            & (ts <= self._span[1])
        )
        if self._accounts is not None:
            wanted &= pl.col("account").is_in(list(self._accounts))
        return self._books.ledger.filter(wanted)

    def _priced(self, trades: pl.DataFrame) -> Iterator[tuple[int, str, int]]:
        """(ts, asset, cost in USD) of each trade; a fee in kind, or of unknown value, adds nothing."""
        cash, fees = self._books.cash_assets, self._books.cash_fee_usd
        columns = [trades[name].to_list() for name in ("row", "ts", "action", "asset", "fee_asset")]
        amounts = [trades[name].to_physical().to_list() for name in ("quantity", "price", "fee_amount")]
        for row, ts, action, asset, fee_asset, quantity, price, fee in zip(*columns, *amounts, strict=True):
            in_cash = fee if fee_asset == LOTS_CURRENCY else fees.get(row) if fee_asset in cash else 0
            value = mul(quantity, price)
            yield ts, asset, (value if action == _BUY else -value) + (in_cash or 0)

    def _rates(self, instants: list[int]) -> list[int | None]:
        """The rate from USD at the close of each instant's bucket."""
        closes, place = np.unique(
            self._closes[[self._close(ts) for ts in instants]], return_inverse=True
        )  # fmt: skip
        vector = self._books.rate_book.convert(LOTS_CURRENCY, self._books.config["base_currency"], closes)
        rates = [vector.table[entry].rate for entry in vector.idx.tolist()]
        return [rates[entry] for entry in place.tolist()]

    # -- transfers --

    def _transfers(self) -> Iterator[Moved]:
        for moved in self._lone_transfers():
            if moved.asset not in self._outside and self._in_nav(moved.asset, moved.ts):
                yield moved

    @cached_property
    def _transferred(self) -> tuple[list[int], list[str], list[str]]:
        """ts, account and asset by position."""
        ordered = self._books.ledger[self._books.links.order].select("ts", "account", "asset")
        return ordered["ts"].to_list(), ordered["account"].to_list(), ordered["asset"].to_list()

    def _lone_transfers(self) -> Iterator[Moved]:
        """What has no counterpart, from when it counts; and pieces that cross the border, at the OUT's time.

        What is under way counts in the destination, so a piece changes hands when it leaves.
        """
        links = self._books.links
        if not (links.rest or links.excess or links.drawn):
            return
        ts, account, asset = self._transferred
        for sign, left in ((-1, links.rest), (1, links.excess)):
            for place, quantity in left.items():
                settled = links.settlements.get(place)
                at = links.arrival.get(place, ts[place])
                is_return = settled is not None and settled.kind in RETURN_KINDS
                if self._within(at) and self._counts(account[place]) and not is_return:
                    yield Moved(at, asset[place], sign * quantity)
        for piece in links.drawn:
            leaves, enters = self._counts(account[piece.out]), self._counts(account[piece.into])
            if self._within(ts[piece.out]) and leaves != enters:
                yield Moved(ts[piece.out], asset[piece.out], piece.quantity if enters else -piece.quantity)

    # -- excluded assets --

    @cached_property
    def _excluded(self) -> dict[str, NDArray[np.bool_]]:
        """For each asset that was ever excluded: at which closes it is."""
        found = {}
        for asset, statuses in self._books.statuses().items():
            marks = np.zeros(len(self._closes), np.bool_)
            for status in sorted(statuses, key=lambda status: status.since):
                marks[self._closes >= status.since] = status.status == "excluded"
            if marks.any():
                found[asset] = marks
        return found

    def _in_nav(self, asset: str, ts: int) -> bool:
        """Whether NAV held the asset when the bucket of the instant opened."""
        marks = self._excluded.get(asset)
        return marks is None or not marks[self._close(ts) - 1]

    def _status_changes(self) -> Iterator[Moved]:
        for asset, marks in self._excluded.items():
            if asset in self._outside:
                continue
            for place in (np.flatnonzero(marks[1:] != marks[:-1]) + 1).tolist():
                close = int(self._closes[place])
                held = self._held(asset, close)
                if held:
                    yield Moved(close, asset, -held if marks[place] else held, is_status=True)

    def _held(self, asset: str, close: int) -> int:
        """The quantity owned at a close (scaled)."""
        moves = self._books.movements().filter(
            (pl.col("asset") == asset) & (pl.col("ts") <= close) & pl.col("series").is_in(_OWNED)
        )
        if self._accounts is not None:
            moves = moves.filter(pl.col("account").is_in(list(self._accounts)))
        return sum(moves["delta"].to_physical().to_list())

    # -- market value --

    def _at_market(self, moved: Iterable[Moved]) -> list[Flow]:
        """The flows with the value of each at the close of its bucket."""
        pending = list(moved)
        if not pending:
            return []
        closes = np.unique(self._closes[[self._close(move.ts) for move in pending]])
        market = _Market(self._books, self._resolution, closes, {move.asset for move in pending})
        made = []
        for move in pending:
            close = int(self._closes[self._close(move.ts)])
            value = market.value(move.asset, close, move.quantity)
            if value is None and move.is_status and not self._ever_priced(move.asset, close):
                value = 0
            made.append(Flow(move.ts, value))
        return made

    def _ever_priced(self, asset: str, close: int) -> bool:
        """Whether the asset had any price by a close: observed, by its peg, as cash, or by decision."""
        books = self._books
        if asset in books.cash_assets or asset in books.price_policy.pegs:
            return True
        if any(status.price is not None and status.since <= close for status in books.statuses()[asset]):
            return True
        return books.is_priced_by(asset, close)


class _Market:
    """What assets are worth at closes: the price engine's own answer for one of each."""

    def __init__(self, books: Books, resolution: str, closes: Instants, assets: Collection[str]) -> None:
        self._place = {close: place for place, close in enumerate(closes.tolist())}
        inputs = inputs_of(books, resolution, closes, one_of_each(assets, int(closes[0])))
        self._quotations = {values.asset: values.quotation for values in price_engine.run(inputs)}

    def value(self, asset: str, close: int, quantity: int) -> int | None:
        """quantity x price x rate, rounded once; None where that is not known at the close."""
        quotation, place = self._quotations[asset], self._place[close]
        if not quotation.priced[place]:
            return None
        price = quotation.prices["price"].to_physical()[int(quotation.price_row[place])]
        rate = quotation.rates["factor"].to_physical()[int(quotation.rate_row[place])]
        return wide_value(quantity, price, rate)


def _times(amount: int, rate: int | None) -> int | None:
    value = None if rate is None else mul(amount, rate)
    return value if value is not None and in_range(value) else None

"""What one unit of an asset is worth in USD at bucket closes: what the valuation chose, times the rate.

Gains are told in USD whatever the base currency. The price is the one that values a holding at that close
(status, manual price, peg and order of sources included); only its conversion leads to USD. It never guesses:
without a price or a rate there is a reason instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.config import Config
from engine.domain.money import SCALE
from engine.portfolio.holdings import one_of_each
from engine.runtime.books import LOTS_CURRENCY, Books
from engine.runtime.value import inputs_of
from engine.store.reader import Reader
from engine.valuation import price_engine
from engine.valuation.exact import scaled_ints, wide_value
from engine.valuation.quotation import Quotation
from engine.valuation.rates import RateVector

NO_PRICE, EXCLUDED, OUT_OF_RANGE = "NO_PRICE", "EXCLUDED", "VALUE_OUT_OF_RANGE"


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """Scaled price in its quote currency and scaled rate of that into USD, or the reason for neither."""

    price: int | None = None
    rate: int | None = None
    reason: str | None = NO_PRICE

    def value(self, quantity: int) -> int | None:
        """Scaled USD value of a scaled quantity, rounded once."""
        return wide_value(quantity, self.price, self.rate)


def unit_prices(
    reader: Reader, config: Config, resolution: str, closes: np.ndarray, assets: Sequence[str]
) -> dict[tuple[str, int], UnitPrice]:
    """By (asset, close). `closes`: ascending closes of the resolution, in microseconds."""
    if not len(closes) or not assets:
        return {}
    books = Books(reader, config)
    inputs = inputs_of(books, resolution, closes, one_of_each(assets, int(closes[0])))
    rates: dict[str, RateVector] = {}
    found: dict[tuple[str, int], UnitPrice] = {}
    for values in price_engine.run(inputs):
        units = _units(values.quotation, books, closes, rates)
        found |= {(values.asset, close): unit for close, unit in zip(closes.tolist(), units, strict=True)}
    return found


def _units(
    quotation: Quotation, books: Books, closes: np.ndarray, rates: dict[str, RateVector]
) -> list[UnitPrice]:
    prices = quotation.prices
    columns = zip(scaled_ints(prices["price"]), prices["quote"].to_list(), prices["reason"].to_list(),
                  strict=True)  # fmt: skip
    observed = list(columns)
    pegs = dict(books.config["fx.pegs"])
    made = []
    for b, row in enumerate(quotation.price_row.tolist()):
        price, quote, reason = observed[row]
        if quotation.excluded[b]:
            made.append(UnitPrice(reason=EXCLUDED))
        elif price is None:
            made.append(UnitPrice(reason=reason or NO_PRICE))
        elif quotation.broken[b]:
            made.append(UnitPrice(reason="PEG_BROKEN"))
        else:
            made.append(_converted(price, pegs.get(quote, quote), b, books, closes, rates))
    return made


def _converted(
    price: int, currency: str, b: int, books: Books, closes: np.ndarray, rates: dict[str, RateVector]
) -> UnitPrice:
    if currency == LOTS_CURRENCY:
        return UnitPrice(price, SCALE, None)
    if currency not in rates:
        rates[currency] = books.rate_book.convert(currency, LOTS_CURRENCY, closes)
    vector = rates[currency]
    use = vector.table[int(vector.idx[b])]
    return UnitPrice(price, use.rate, use.reason if use.rate is None else None)

"""Books of only those assets that can change each other's lots: the same figures, from fewer rows.

Lots of one asset hang on another only where a fee is paid in it: the basis of what pays the fee enters the
basis of what was bought. Transfers, sales and the order of bookings tie an asset to nothing else.
"""

from collections.abc import Iterable
from functools import cached_property

import polars as pl

from engine.config import Config
from engine.runtime.books import Books
from engine.store.reader import Reader


class BoundBooks(Books):
    """Books of some assets, and of all that are bound to them by fees."""

    def __init__(self, reader: Reader, config: Config, assets: Iterable[str]) -> None:
        super().__init__(reader, config)
        self._assets = set(assets)

    @cached_property
    def ledger(self) -> pl.DataFrame:
        return self.real_rows()

    def real_rows(self) -> pl.DataFrame:
        """The ledger's rows in the bound assets."""
        whole = self._reader.ledger()
        bound = bound_assets(whole, self._assets, self.cash_assets)
        return whole.filter(pl.col("asset").is_in(bound) | pl.col("fee_asset").is_in(bound).fill_null(False))


def bound_assets(ledger: pl.DataFrame, assets: set[str], cash_assets: frozenset[str]) -> list[str]:
    """The assets and those whose lots can change theirs: they are tied by fees in one another."""
    paid = pl.col("fee_asset").is_not_null() & ~pl.col("fee_asset").is_in(list(cash_assets))
    ties = ledger.filter(paid).select("asset", "fee_asset").unique()
    bound, more = set(assets), set(assets)
    while more:
        near = ties.filter(pl.col("asset").is_in(list(more)) | pl.col("fee_asset").is_in(list(more)))
        more = {*near["asset"], *near["fee_asset"]} - bound
        bound |= more
    return sorted(bound)

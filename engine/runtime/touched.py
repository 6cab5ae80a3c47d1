"""Which assets' values may change because of what was stored. In doubt all of them: None."""

from collections.abc import Iterable

import polars as pl

from engine.config import Config
from engine.runtime.home import Home
from engine.store.reader import Reader

PIVOT = "EUR"  # conversions may cross it
_QUOTES = "SELECT DISTINCT quote FROM price_series"


def touched_assets(accepted: pl.DataFrame, reader: Reader, home: Home) -> frozenset[str]:
    """The assets that accepted rows of one kind have a say in, as far as the store knows by now."""
    if "base" in accepted.columns:
        return _by_rates(accepted, reader, home.config_by(reader))
    if "asof" in accepted.columns:
        return _by_prices(accepted, reader, dict(home.config_by(reader)["fx.pegs"]))
    return frozenset(accepted["asset"]) | frozenset(accepted["fee_asset"].drop_nulls())


def joined(one: Iterable[str] | None, other: Iterable[str] | None) -> list[str] | None:
    """Both together; None means all."""
    return None if one is None or other is None else sorted({*one, *other})


def _by_prices(accepted: pl.DataFrame, reader: Reader, pegs: dict[str, str]) -> frozenset[str]:
    """The price of a pegged token is watched by all that it prices."""
    pairs = accepted.select("asset", "quote").unique().rows()
    tokens = {asset for asset, _ in pairs if asset in pegs}
    tokens |= {quote for asset, quote in pairs if pegs.get(quote) == asset}
    return frozenset({asset for asset, _ in pairs} | _quoted_in(reader, tokens))


def _by_rates(accepted: pl.DataFrame, reader: Reader, config: Config) -> frozenset[str]:
    base, pegs = config["base_currency"], dict(config["fx.pegs"])
    pairs = {frozenset(pair) for pair in accepted.select("base", "quote").unique().rows()}
    names = _of(pairs)
    if base != PIVOT and frozenset((PIVOT, base)) in pairs:  # a leg of every cross
        names |= set(config["cash_assets"]) | {quote for (quote,) in reader.rows(_QUOTES)}
    by_peg = {token for token, currency in pegs.items() if currency == base} - _of(pairs)
    names -= {base} | by_peg  # no rate is asked for them
    tokens = {token for token, currency in pegs.items() if token in names or currency in names}
    return frozenset(_quoted_in(reader, names | tokens))


def _of(pairs: Iterable[frozenset[str]]) -> set[str]:
    return {name for pair in pairs for name in pair}


def _quoted_in(reader: Reader, quotes: Iterable[str]) -> set[str]:
    """These themselves, and every asset that has a price in one of them."""
    found = set(quotes)
    marks = ", ".join("?" * len(found))
    rows = reader.rows(f"SELECT DISTINCT asset FROM price_series WHERE quote IN ({marks})", sorted(found))
    return found | {asset for (asset,) in rows}

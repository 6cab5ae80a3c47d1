"""Whose values may change because of what was stored, and when. In doubt all of them, at any time: None.

Prices and rates serve for so long after their `asof` and no longer; a ledger row counts for ever.
"""

from collections.abc import Iterable

import numpy as np
import polars as pl

from engine.config import Config
from engine.domain.resolutions import SPOT_TOLERANCE_US
from engine.domain.transactions import TRANSFERS
from engine.runtime.home import Home
from engine.runtime.spans import Span
from engine.store.reader import Reader
from engine.valuation.fx_quotes import CHECK_US
from engine.valuation.market_hours import expiry, reference_expiry
from engine.valuation.price_choice import PEG_WINDOW_US

PIVOT = "EUR"  # conversions may cross it
_QUOTES = "SELECT DISTINCT quote FROM price_series"


def touched_assets(accepted: pl.DataFrame, reader: Reader, home: Home) -> frozenset[str]:
    """The assets that accepted rows of one kind have a say in, as far as the store knows by now."""
    if "base" in accepted.columns:
        pairs = accepted.select("base", "quote").unique().rows()
        return assets_by_rates(pairs, reader, home.config_by(reader))
    if "asof" in accepted.columns:
        return _by_prices(accepted, reader, dict(home.config_by(reader)["fx.pegs"]))
    return frozenset(accepted["asset"].unique()) | frozenset(accepted["fee_asset"].drop_nulls().unique())


def touched_span(accepted: pl.DataFrame, reader: Reader, home: Home) -> Span:
    """From when until when values may change by accepted rows of one kind, of which there are some."""
    if "asof" not in accepted.columns:
        return _first_row(accepted), None
    asofs = accepted["asof"].to_numpy()
    first, last = int(asofs.min()), asofs.max(keepdims=True)
    if "base" in accepted.columns:
        return first, int(np.maximum(expiry(last, CHECK_US), reference_expiry(last))[0]) - 1
    pegs = dict(home.config_by(reader)["fx.pegs"])
    serves_us = 1
    if pegs.keys() & {*accepted["asset"].unique(), *accepted["quote"].unique()}:
        serves_us = PEG_WINDOW_US
    elif (accepted["resolution"] == "spot").any():
        serves_us = max(SPOT_TOLERANCE_US.values())
    return first, int(last[0]) + serves_us - 1


def _first_row(accepted: pl.DataFrame) -> int | None:
    """A transfer reaches back to its other side, whenever that was."""
    if accepted["action"].is_in(list(TRANSFERS)).any():
        return None
    return int(accepted["ts"].to_numpy().min())


def joined(one: Iterable[str] | None, other: Iterable[str] | None) -> list[str] | None:
    """Both together; None means all."""
    return None if one is None or other is None else sorted({*one, *other})


def _by_prices(accepted: pl.DataFrame, reader: Reader, pegs: dict[str, str]) -> frozenset[str]:
    """The price of a pegged token is watched by all that it prices."""
    pairs = accepted.select("asset", "quote").unique().rows()
    tokens = {asset for asset, _ in pairs if asset in pegs}
    tokens |= {quote for asset, quote in pairs if pegs.get(quote) == asset}
    return frozenset({asset for asset, _ in pairs} | _quoted_in(reader, tokens))


def assets_by_rates(named: Iterable[Iterable[str]], reader: Reader, config: Config) -> frozenset[str]:
    """The assets that rates of these pairs have a say in."""
    base, pegs = config["base_currency"], dict(config["fx.pegs"])
    pairs = {frozenset(pair) for pair in named}
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

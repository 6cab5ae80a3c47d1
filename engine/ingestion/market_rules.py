"""Price and FX files: the rules of their columns and the normalised frames of their good rows."""

import polars as pl

from engine.domain.resolutions import OBSERVED
from engine.domain.transactions import DECIMAL
from engine.ingestion.rules import (
    Rule,
    blank_rule,
    canonical_decimals,
    empty,
    empty_to_null,
    id_rule,
    instant_rules,
    is_negative,
    is_zero,
    long_rules,
    modest,
    plain,
    sure_id,
    sure_instant,
    sure_name,
    text_rules,
    with_instant,
)

PRICE_COLUMNS = (
    "asset_id", "resolution", "bucket_close", "open", "high", "low", "close", "volume",
    "quote_currency", "price_source",
)  # fmt: skip
FX_COLUMNS = ("base", "quote", "rate", "resolution", "asof", "fx_source")
PRICE_NAMES = {"asset_id": "asset", "quote_currency": "quote", "price_source": "source", "ts": "asof"}
FX_NAMES = {"fx_source": "source", "ts": "asof"}
BAR = ("open", "high", "low", "close")
NUMBERS = (*BAR, "volume")
DIGITS_MAX = 20  # before the point of a plain decimal


def canonical_prices(frame: pl.DataFrame) -> pl.DataFrame:
    """Puts decimals into canonical text; adds `ts`, marks of modest ones, high, low and close exact."""
    exact = [pl.col(name).cast(DECIMAL, strict=False).alias(f"exact_{name}") for name in BAR[1:]]
    frame = canonical_decimals(frame, dict.fromkeys(NUMBERS, DIGITS_MAX))
    return with_instant(frame, "bucket_close").with_columns(exact)


def sure_price(now_us: int) -> pl.Expr:
    """Whether a canonical price is surely good."""
    high, low, close = (pl.col(f"exact_{name}") for name in BAR[1:])
    return pl.all_horizontal(
        sure_id("asset_id"),
        pl.col("resolution").is_in(OBSERVED),
        sure_instant(now_us),
        *(pl.col(modest(name)) for name in NUMBERS),
        *(pl.col(name) != "0" for name in BAR),
        ~empty("close"),
        (low <= close).fill_null(True),
        (close <= high).fill_null(True),
        sure_id("quote_currency"),
        sure_name("price_source"),
    )


def prepare_prices(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `ts`, and high, low and close as exact decimals, null where they are not plain."""
    exact = [pl.when(plain(name)).then(pl.col(name)).cast(DECIMAL, strict=False) for name in BAR[1:]]
    named = [number.alias(f"exact_{name}") for number, name in zip(exact, BAR[1:], strict=True)]
    return with_instant(frame, "bucket_close").with_columns(named)


def price_rules(now_us: int) -> list[Rule]:
    """Every rule of a price, in the order in which reasons are told."""
    texts = ("asset_id", "quote_currency", "price_source")
    return [
        id_rule("ASSET_ID_INVALID", "asset_id"),
        _resolution_rule(),
        *instant_rules("bucket_close", now_us),
        *(Rule("PRICE_INVALID", name, ~empty(name) & ~plain(name)) for name in BAR),
        Rule("PRICE_MISSING", "close", empty("close")),
        *_bar_rules(),
        Rule("QUANTITY_INVALID", "volume", ~empty("volume") & (~plain("volume") | is_negative("volume"))),
        id_rule("CURRENCY_INVALID", "quote_currency"),
        blank_rule("SOURCE_MISSING", "price_source"),
        *text_rules(texts),
        *long_rules(("price_source",)),
    ]


def _bar_rules() -> list[Rule]:
    high, low, close = (pl.col(f"exact_{name}") for name in BAR[1:])
    outside = (close > high).fill_null(False) | (close < low).fill_null(False)
    return [
        *(Rule("BAR_INVALID", name, plain(name) & (is_zero(name) | is_negative(name))) for name in BAR),
        Rule("BAR_INVALID", "high", (high < low).fill_null(False)),
        Rule("BAR_INVALID", "close", outside),
    ]


def _resolution_rule() -> Rule:
    return Rule("RESOLUTION_UNKNOWN", "resolution", ~pl.col("resolution").is_in(OBSERVED))


def normalise_prices(good: pl.DataFrame) -> pl.DataFrame:
    """record, line, asset, quote, source, resolution, asof, open, high, low, close, volume."""
    keys = ("record", "line", "asset_id", "quote_currency", "price_source", "resolution", "ts")
    return empty_to_null(good, NUMBERS).select(*keys, *NUMBERS).rename(PRICE_NAMES)


def canonical_fx(frame: pl.DataFrame) -> pl.DataFrame:
    """Puts rates into canonical text; adds `ts` and marks of modest rates."""
    return canonical_decimals(with_instant(frame, "asof"), {"rate": DIGITS_MAX})


def sure_fx(now_us: int) -> pl.Expr:
    """Whether a canonical rate is surely good."""
    return pl.all_horizontal(
        sure_id("base"),
        sure_id("quote"),
        pl.col("base") != pl.col("quote"),
        pl.col(modest("rate")) & ~pl.col("rate").is_in(("", "0")),
        pl.col("resolution").is_in(OBSERVED),
        sure_instant(now_us),
        sure_name("fx_source"),
    )


def prepare_fx(frame: pl.DataFrame) -> pl.DataFrame:
    """Adds `ts`."""
    return with_instant(frame, "asof")


def fx_rules(now_us: int) -> list[Rule]:
    """Every rule of a rate, in the order in which reasons are told."""
    wrong = ~plain("rate") | is_zero("rate") | is_negative("rate")
    return [
        id_rule("CURRENCY_INVALID", "base"),
        id_rule("CURRENCY_INVALID", "quote"),
        Rule("CURRENCY_INVALID", "quote", pl.col("base") == pl.col("quote")),
        Rule("RATE_INVALID", "rate", wrong),
        _resolution_rule(),
        *instant_rules("asof", now_us),
        blank_rule("SOURCE_MISSING", "fx_source"),
        *text_rules(("base", "quote", "fx_source")),
        *long_rules(("fx_source",)),
    ]


def normalise_fx(good: pl.DataFrame) -> pl.DataFrame:
    """record, line, base, quote, source, resolution, asof, rate."""
    keys = ("record", "line", "base", "quote", "fx_source", "resolution", "ts")
    return good.select(*keys, "rate").rename(FX_NAMES)

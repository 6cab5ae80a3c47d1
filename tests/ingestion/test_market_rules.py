"""Price and FX files: every reason, the normal form, CSV and Parquet alike."""

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from engine.domain.instants import parse_instant
from engine.domain.reasons import ROW_REASONS
from engine.ingestion.csv_processor import BadFile, Parsed, parse_csv, parse_parquet
from engine.ingestion.market_rules import FX_COLUMNS, PRICE_COLUMNS

from .helpers import NOW, codes, parsed

BAR = {
    "asset_id": "BTC", "resolution": "1h", "bucket_close": "2025-01-01T01:00:00Z", "open": "10", "high": "12",
    "low": "9", "close": "11", "volume": "5", "quote_currency": "USD", "price_source": "binance",
}  # fmt: skip
RATE = {
    "base": "EUR", "quote": "USD", "rate": "1.1", "resolution": "1h", "asof": "2025-01-01T01:00:00Z",
    "fx_source": "s",
}  # fmt: skip
SHARED = Path(__file__).resolve().parents[2] / ".." / "shared"


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({"asset_id": "a b"}, ["ASSET_ID_INVALID asset_id"]),
        ({"asset_id": "=a"}, ["ASSET_ID_INVALID asset_id", "FORMULA_PREFIX asset_id"]),
        ({"resolution": "4h"}, ["RESOLUTION_UNKNOWN resolution"]),
        ({"bucket_close": "2025-01-01"}, ["TIMESTAMP_INVALID bucket_close"]),
        ({"bucket_close": "2026-01-02T00:00:01Z"}, ["TIMESTAMP_FUTURE bucket_close"]),
        ({"close": ""}, ["PRICE_MISSING close"]),
        ({"close": "1e1"}, ["PRICE_INVALID close"]),
        ({"open": "x", "high": "+12"}, ["PRICE_INVALID open", "PRICE_INVALID high"]),
        ({"open": "0"}, ["BAR_INVALID open"]),
        ({"low": "-1"}, ["BAR_INVALID low"]),
        ({"high": "8", "low": "9", "close": "8.5"}, ["BAR_INVALID high", "BAR_INVALID close"]),
        ({"close": "12.000000000000000001"}, ["BAR_INVALID close"]),
        ({"close": "8", "high": ""}, ["BAR_INVALID close"]),
        ({"volume": "-1"}, ["QUANTITY_INVALID volume"]),
        ({"volume": "many"}, ["QUANTITY_INVALID volume"]),
        ({"quote_currency": ""}, ["CURRENCY_INVALID quote_currency"]),
        ({"price_source": " "}, ["SOURCE_MISSING price_source"]),
        ({"price_source": "s\x07"}, ["CONTROL_CHARACTER price_source"]),
        ({"price_source": "s" * 129}, ["FIELD_TOO_LONG price_source"]),
    ],
)
def test_bad_price__names_each_reason(fields: dict[str, str], reasons: list[str]) -> None:
    check(BAR, BAR | fields, PRICE_COLUMNS, reasons)


@pytest.mark.parametrize(
    ("fields", "reasons"),
    [
        ({"base": "$"}, ["CURRENCY_INVALID base"]),
        ({"quote": "EUR"}, ["CURRENCY_INVALID quote"]),
        ({"quote": ""}, ["CURRENCY_INVALID quote"]),
        ({"rate": ""}, ["RATE_INVALID rate"]),
        ({"rate": "0"}, ["RATE_INVALID rate"]),
        ({"rate": "-1"}, ["RATE_INVALID rate"]),
        ({"rate": "1/2"}, ["RATE_INVALID rate"]),
        ({"resolution": ""}, ["RESOLUTION_UNKNOWN resolution"]),
        ({"asof": "now"}, ["TIMESTAMP_INVALID asof"]),
        ({"asof": "2027-01-01T00:00:00Z"}, ["TIMESTAMP_FUTURE asof"]),
        ({"fx_source": ""}, ["SOURCE_MISSING fx_source"]),
        ({"fx_source": "@s"}, ["FORMULA_PREFIX fx_source"]),
    ],
)
def test_bad_rate__names_each_reason(fields: dict[str, str], reasons: list[str]) -> None:
    check(RATE, RATE | fields, FX_COLUMNS, reasons)


def check(good: dict[str, str], bad: dict[str, str], header: tuple[str, ...], reasons: list[str]) -> None:
    found = codes(parsed([good, bad, good], header))
    assert found == [[(*reason.split(), bad[reason.split()[1]]) for reason in reasons]]
    assert {reason.split()[0] for reason in reasons} <= set(ROW_REASONS)


def test_normal_price__is_canonical_and_empty_is_null() -> None:
    row = BAR | {"open": "", "high": "012.50", "low": "", "volume": "-0", "close": "11.0"}
    frame = parsed([row], PRICE_COLUMNS).frame
    assert frame.row(0, named=True) == {
        "record": 1, "line": 2, "asset": "BTC", "quote": "USD", "source": "binance", "resolution": "1h",
        "asof": parse_instant("2025-01-01T01:00:00Z"), "open": None, "high": "12.5", "low": None,
        "close": "11", "volume": "0",
    }  # fmt: skip


def test_normal_rate__is_canonical() -> None:
    frame = parsed([RATE | {"rate": "1.10"}], FX_COLUMNS).frame
    assert frame.row(0, named=True) == {
        "record": 1, "line": 2, "base": "EUR", "quote": "USD", "source": "s", "resolution": "1h",
        "asof": parse_instant("2025-01-01T01:00:00Z"), "rate": "1.1",
    }  # fmt: skip


def bars() -> pl.DataFrame:
    rows = [
        BAR,
        BAR | {"close": "13"},
        BAR | {"asset_id": "ETH", "open": None, "volume": "1.000000000000000001"},
    ]
    frame = pl.DataFrame(rows, schema=dict.fromkeys(PRICE_COLUMNS, pl.String))
    numbers = [pl.col(name).cast(pl.Decimal(38, 18)) for name in ("open", "high", "low", "close", "volume")]
    instant = pl.lit(datetime(2025, 1, 1, 1, tzinfo=UTC)).cast(pl.Datetime("ns", "UTC")).alias("bucket_close")
    return frame.with_columns(*numbers, instant, pl.col("asset_id").cast(pl.Categorical))


def test_parquet__goes_through_the_same_rules_as_csv(tmp_path: Path) -> None:
    path = tmp_path / "b[1]*.parquet"
    bars().select(reversed(PRICE_COLUMNS)).write_parquet(path)
    result = parse_parquet(path, NOW)
    rows = [
        BAR,
        BAR | {"close": "13"},
        BAR | {"asset_id": "ETH", "open": "", "volume": "1.000000000000000001"},
    ]
    as_csv = parsed(rows, PRICE_COLUMNS)
    assert isinstance(result, Parsed)
    assert result.frame.drop("line").equals(as_csv.frame.drop("line"))
    assert codes(result) == codes(as_csv) == [[("BAR_INVALID", "close", "13")]]
    assert result.rows == 3


def test_parquet__is_read_window_by_window(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    bars().write_parquet(path)
    windows = [parse_parquet(path, NOW, offset=offset, rows_max=2) for offset in (0, 2, 4)]
    assert [window.rows for window in windows if isinstance(window, Parsed)] == [2, 1, 0]
    assert [r for window in windows if isinstance(window, Parsed) for r in window.frame["record"]] == [1, 3]


@pytest.mark.parametrize(
    "change",
    [
        pl.col("close").cast(pl.Float64),
        pl.col("volume").cast(pl.Int64, strict=False),
        pl.col("bucket_close").dt.replace_time_zone(None),
        pl.col("bucket_close").dt.convert_time_zone("Europe/Berlin"),
        pl.col("close").alias("more"),
    ],
)
def test_parquet__with_inexact_or_other_columns_is_refused(tmp_path: Path, change: pl.Expr) -> None:
    path = tmp_path / "b.parquet"
    bars().with_columns(change).write_parquet(path)
    result = parse_parquet(path, NOW)
    assert isinstance(result, BadFile)
    assert result.reason == "FILE_HEADER"


@pytest.mark.parametrize(
    ("data", "reason"), [(b"", "FILE_EMPTY"), (b"PAR1junkPAR1", "FILE_HEADER"), (b"x" * 99, "FILE_TOO_LARGE")]
)
def test_parquet__that_cannot_be_read_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "b.parquet"
    path.write_bytes(data)
    result = parse_parquet(path, NOW, bytes_max=50)
    assert isinstance(result, BadFile)
    assert result.reason == reason


def test_real_files__have_no_bad_row() -> None:
    files = sorted((SHARED / "data").glob("*/*.csv")) + sorted((SHARED / "data").glob("*/*_1h_*.parquet"))
    if not files:
        pytest.skip("the shared data is not here")
    for path in files:
        far = NOW * 2
        result = parse_parquet(path, far) if path.suffix == ".parquet" else parse_csv(path.read_bytes(), far)
        assert isinstance(result, Parsed), (path.name, result)
        assert result.rejects == []
        assert result.frame.height == result.rows > 0

"""Prices and rates that are odd, as CSV and as Parquet."""

import io
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.domain.instants import HOUR_US, format_instant
from tests.hostile.cases import DUPLICATE, NOW, Case, Verdict, each, market_case, refused, taken
from tests.hostile.row_cases import CONTROLS, NOT_PLAIN
from tests.runtime.deck import PRICE_COLUMNS, bar

BOMB_ROWS = 100_000


def prices() -> list[Case]:
    ahead = format_instant(NOW + 25 * HOUR_US)
    full = {"open": "100", "high": "110", "low": "90", "close": "101"}
    plain = [value for value in NOT_PLAIN if value]
    return [
        market_case("prices-bar", "prices",
                    (full, ""), (full | {"high": "80"}, "BAR_INVALID:high BAR_INVALID:close"),
                    (full | {"close": "111"}, "BAR_INVALID:close"),
                    (full | {"close": "89"}, "BAR_INVALID:close"),
                    (full | {"close": "110"}, ""), (full | {"low": ""}, ""), (full | {"open": "1000"}, ""),
                    *((full | {name: "0"}, told) for name, told in (
                        ("open", "BAR_INVALID:open"), ("high", "BAR_INVALID:high BAR_INVALID:close"),
                        ("low", "BAR_INVALID:low"), ("close", "BAR_INVALID:close"))),
                    (full | {"open": "-1"}, "BAR_INVALID:open")),
        market_case("prices-resolution", "prices",
                    *each("resolution", "RESOLUTION_UNKNOWN:resolution",
                          "", "1D", "1m", "60", "1h ", "SPOT", "1d\n")),
        market_case("prices-close", "prices", *each("close", "PRICE_INVALID:close", *plain),
                    ({"close": ""}, "PRICE_MISSING:close")),
        market_case("prices-volume", "prices", *each("volume", "QUANTITY_INVALID:volume", *plain, "-1"),
                    ({"volume": "0"}, "")),
        market_case("prices-text", "prices",
                    *each("quote_currency", "CURRENCY_INVALID:quote_currency", "", "U D", "€", "../x"),
                    *each("price_source", "SOURCE_MISSING:price_source", "", "  ", "\u00a0"),
                    *each("price_source", "FORMULA_PREFIX:price_source", "=x", "@x"),
                    *each("price_source", "CONTROL_CHARACTER:price_source", *CONTROLS.values()),
                    *each("price_source", "FIELD_TOO_LONG:price_source", "s" * 129),
                    *each("asset_id", "ASSET_ID_INVALID:asset_id", "", "../../x", "x" * 65)),
        market_case("prices-lower-case-currency-is-another", "prices",
                    ({}, ""), ({"quote_currency": "usd"}, ""), ({"quote_currency": "Usd"}, "")),
        market_case("prices-instant", "prices",
                    *each("bucket_close", "TIMESTAMP_INVALID:bucket_close",
                          "", "2025-03-02", "2023-02-29T00:00:00Z"),
                    *each("bucket_close", "TIMESTAMP_FUTURE:bucket_close", ahead)),
        market_case("prices-again-and-corrected", "prices",
                    ({}, ""), ({}, DUPLICATE), ({"close": "101.000"}, DUPLICATE), ({"close": "102"}, ""),
                    ({"close": "101"}, DUPLICATE)),
        market_case("prices-as-large-as-may-be", "prices",
                    *each("close", "", "9" * 20, "0.000000000000000001")),
    ]  # fmt: skip


def rates() -> list[Case]:
    plain = [value for value in NOT_PLAIN if value]
    return [
        market_case("fx-rate", "fx", *each("rate", "RATE_INVALID:rate", *plain, "", "0", "-0", "0.0", "-1")),
        market_case("fx-rate-as-odd-as-may-be", "fx",
                    *(({"base": f"C{n}", "rate": value}, "")
                      for n, value in enumerate(("9" * 20, "0.000000000000000001", "007", "1.0")))),
        market_case("fx-pair", "fx",
                    ({"base": "USD"}, "CURRENCY_INVALID:quote"),
                    *each("base", "CURRENCY_INVALID:base", "", "€", "E R", "../x"),
                    ({"base": "eur"}, ""), ({"base": "usd"}, "")),
        market_case("fx-source", "fx", *each("fx_source", "SOURCE_MISSING:fx_source", "", " "),
                    *each("fx_source", "FORMULA_PREFIX:fx_source", "=x"),
                    *each("fx_source", "CONTROL_CHARACTER:fx_source", "\x1b]52;c;eA==\x07", "a\u202eb")),
        market_case("fx-resolution", "fx",
                    *each("resolution", "RESOLUTION_UNKNOWN:resolution", "", "1D", "1w")),
        market_case("fx-again-and-corrected", "fx",
                    ({}, ""), ({}, DUPLICATE), ({"rate": "1.10"}, DUPLICATE), ({"rate": "1.2"}, "")),
    ]  # fmt: skip


def parquet() -> list[Case]:
    name = "parquet-good"
    good = _parquet(_columns(name))
    return [
        _case(name, good, taken(2, "prices")),
        _case("parquet-exact-and-null", _parquet(_exact("parquet-exact-and-null")), taken(2, "prices")),
        _case("parquet-columns-in-another-order",
              _parquet(dict(reversed(_columns("parquet-order").items()))), taken(2, "prices")),
        _case("parquet-no-rows", _parquet(_columns("parquet-no-rows", 0)), taken(0, "prices")),
        _case("parquet-bad-texts", _parquet(_columns("parquet-bad", 4) | {
            "price_source": ["", "\x1b[31m", "=x", "nul\0"], "asset_id": ["BTC", "BTC", "BTC", "B\0"]}),
            taken(0, "prices", r1="SOURCE_MISSING:price_source", r2="CONTROL_CHARACTER:price_source",
                  r3="FORMULA_PREFIX:price_source", r4="CONTROL_CHARACTER:price_source"
                  " ASSET_ID_INVALID:asset_id CONTROL_CHARACTER:asset_id")),
        _case("parquet-bomb", _parquet(_repeated("parquet-bomb", BOMB_ROWS)),
              Verdict(None, "prices", accepted=1, duplicates=BOMB_ROWS - 1)),
        *(_case(f"parquet-{kind}", data, refused(reason)) for kind, (data, reason) in _bad(good).items()),
        Case("parquet-under-a-csv-name", _parquet(_columns("parquet-named-csv")), refused("FILE_BINARY")),
    ]  # fmt: skip


def _bad(good: bytes) -> dict[str, tuple[bytes, str]]:
    """Parquet files, or what says it is one, that are refused whole."""
    usual = _columns("parquet-odd")
    instants = [datetime(2025, 3, 2, tzinfo=UTC), datetime(2025, 3, 3, tzinfo=UTC)]
    odd: dict[str, Any] = {
        "float": {"close": [1.5, float("nan")]},
        "integer": {"close": [1, 2]},
        "binary": {"price_source": [b"a", b"\xff"]},
        "boolean": {"close": [True, False]},
        "nested": {"close": [{"a": "1"}, {"a": "2"}]},
        "list": {"close": [["1"], ["2"]]},
        "date": {"bucket_close": [moment.date() for moment in instants]},
        "no-zone": {"bucket_close": pa.array(instants, pa.timestamp("us"))},
        "other-zone": {"bucket_close": pa.array(instants, pa.timestamp("us", "Europe/Berlin"))},
        "extra-column": {"more": ["1", "2"]},
        "not-utf-8": {"price_source": _not_utf_8()},
    }
    made = {kind: (_parquet(usual | column), "FILE_HEADER") for kind, column in odd.items()}
    less = {name: values for name, values in usual.items() if name != "close"}
    return made | {
        "missing-column": (_parquet(less), "FILE_HEADER"),
        "magic-only": (b"PAR1", "FILE_HEADER"),
        "magic-twice": (b"PAR1PAR1", "FILE_HEADER"),
        "garbage": (b"PAR1" + bytes(range(256)) * 4 + b"\xff\xff\xff\x7fPAR1", "FILE_HEADER"),
        "garbage-footer": (_with_footer(b"\x15" * 1000), "FILE_HEADER"),
        "deep-footer": (_with_footer(b"\x1c" * 200_000), "FILE_HEADER"),
        "truncated": (good[: len(good) // 2], "FILE_HEADER"),
        "headless": (good[-len(good) // 2 :], "FILE_HEADER"),
        "encrypted": (good[:-4] + b"PARE", "FILE_HEADER"),
        "pages-overwritten": (good[:4] + b"\xff" * 300 + good[304:], "FILE_HEADER"),
    }  # fmt: skip


def _with_footer(footer: bytes) -> bytes:
    return b"PAR1" + footer + len(footer).to_bytes(4, "little") + b"PAR1"


def _case(name: str, data: bytes, verdict: Verdict) -> Case:
    return Case(name, data, verdict, file=f"{name}.parquet")


def _columns(source: str, rows: int = 2) -> dict[str, Any]:
    """Columns of text, one bar a day."""
    closes = [f"2025-03-{day:02d}T00:00:00Z" for day in range(2, rows + 2)]
    made = [bar(price_source=source, bucket_close=close) for close in closes]
    return {name: pa.array([row.get(name, "") for row in made], pa.string()) for name in PRICE_COLUMNS}


def _exact(source: str) -> dict[str, Any]:
    """Columns of decimals and instants, with nulls where a field may be empty."""
    instants = [datetime(2025, 3, 2, tzinfo=UTC), datetime(2025, 3, 3, tzinfo=UTC)]
    return _columns(source) | {
        "bucket_close": pa.array(instants, pa.timestamp("ns", "UTC")),
        "close": pa.array([Decimal("1.50"), Decimal("0.000000000000000001")], pa.decimal128(38, 18)),
        "volume": pa.nulls(2, pa.string()),
        "open": pa.nulls(2),
    }


def _repeated(source: str, rows: int) -> dict[str, Any]:
    """Many equal rows in few bytes: each column is one word and a count."""
    row = bar(price_source=source)
    zeros = pa.array([0] * rows, pa.int32())
    return {name: pa.DictionaryArray.from_arrays(zeros, [row.get(name, "")]) for name in PRICE_COLUMNS}


def _not_utf_8() -> pa.Array:
    offsets, data = pa.py_buffer(b"\0\0\0\0\x01\0\0\0\x02\0\0\0"), pa.py_buffer(b"\xff\xfe")
    return pa.StringArray.from_buffers(2, offsets, data)


def _parquet(columns: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression="zstd")
    return out.getvalue()


def market_cases() -> list[Case]:
    return [*prices(), *rates(), *parquet()]

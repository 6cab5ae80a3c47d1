"""The shortcut for rows that are surely good changes nothing: with it and without, verdicts are equal."""

from dataclasses import replace
from itertools import product

import polars as pl
import pytest

from engine.domain.transactions import ACTIONS, COLUMNS
from engine.ingestion import csv_processor
from engine.ingestion.csv_processor import Parsed, Reject
from engine.ingestion.market_rules import FX_COLUMNS, PRICE_COLUMNS

from .helpers import ID_A, parsed, tx
from .test_market_rules import BAR, RATE

Row = dict[str, str]

TEXTS = (
    "", " ", " a", "a ", "\u3000", "\u00a0a", "=", "=a", "+1", "-a", "@a", "\ta", "\ra", "a\tb", "a\nb",
    "a\rb", "'=", "\x07", "a\x1fb", "a\x7f", "a\x85", "a\u200c", "a\u202e", "a\u2028b", "a\u2029", "a\ue000",
    "\ufeffa", "é", "Börse", "x" * 64, "x" * 65, "x" * 128, "x" * 129, "ü" * 128, "ü" * 129, "n" * 2000,
    "n" * 2001, "é" * 2000, "é" * 2001, "../x", "a b", "a:b.c_d-e", "BTC", "ETH", "USD", "EUR", '"', 'a"b',
    "a,b", "buy", "5m", "4h", "spot", *ACTIONS,
)  # fmt: skip
NUMBERS = (
    "0", "-0", "0.0", "-0.000", "00", "1", "-1", "01", "-01.50", "1.50", "0.1", "0100.10", ".1", "1.",
    "1.0.0", "+1", "1e5", "NaN", "Infinity", "0x1", "1_0", "1,000", "$1", " 1", "1 ", "1\n", "１", "١", "1.٥",
    "8", "9", "10", "11", "12", "13", "9999999", "10000000", "999999999999", "1000000000000",
    "9" * 18, "9" * 19, "9" * 20, "9" * 21, "0" * 20 + "1", "0" * 19 + "1", "1" + "0" * 19,
    "9" * 19 + "." + "9" * 18, "0." + "0" * 17 + "1", "0." + "0" * 18, "0." + "0" * 19,
    "1." + "1" * 19, "1." + "1" * 17 + "0",
)  # fmt: skip
INSTANTS = (
    "1969-12-31T23:59:59.9Z", "1970-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "2024-02-29T00:00:00Z",
    "2025-02-29T00:00:00Z", "2025-02-30T00:00:00.10Z", "2025-13-01T00:00:00Z", "2025-01-00T00:00:00Z",
    "2025-01-01T24:00:00Z", "2025-01-01T00:60:00Z", "2025-01-01T00:00:60Z", "2025-1-1T0:0:0Z",
    "2025-01-01 00:00:00Z", "2025-01-01T00:00:00", "2025-01-01T00:00:00z", "2025-01-01T00:00:00.Z",
    "2025-01-01T00:00:00+01:00", "2025-01-01T00:00:00-00:00", "2025-01-01T00:00:00.100+00:00",
    "2025-01-01T00:00:00.123456789Z", "2025-01-01T00:00:00.1234567890Z", "2025-01-01T00:00:00ZZ",
    "2026-01-02T00:00:00Z", "2026-01-02T00:00:00.0000009Z", "2026-01-02T00:00:00.000001Z",
)  # fmt: skip
IDS = (
    ID_A, ID_A.upper(), ID_A.replace("-7f", "-4f"), ID_A.replace("-b3", "-c3"), ID_A.replace("-", ""),
    ID_A[1:],
)  # fmt: skip
VALUES = TEXTS + NUMBERS + INSTANTS + IDS


def changed(good: Row, header: tuple[str, ...]) -> list[Row]:
    """The good row, then that row with each odd value in each column."""
    return [good, *(good | {name: value} for name in header for value in VALUES)]


def crossed(good: Row, **values: tuple[str, ...]) -> list[Row]:
    """The good row with every combination of these values."""
    return [good | dict(zip(values, each, strict=True)) for each in product(*values.values())]


SIZES = ("", "-1", "1", *("9" * digits for digits in (7, 8, 12, 13, 19, 20)))
FULL = tx(
    id=ID_A, fee_asset="USD", fee_amount="1", wallet="w", venue="v", tx_hash="h", external_id="e", notes="n",
)  # fmt: skip
SIGNS = ("", "-1", "0", "1.0")
TRADES = [
    *changed(tx(), COLUMNS),
    *changed(FULL, COLUMNS),
    *changed(tx(action="FEE", unit_price_usd=""), COLUMNS),
    *crossed(tx(), action=(*ACTIONS, "x"), quantity=SIGNS, unit_price_usd=SIGNS),
    *crossed(tx(), quantity=SIZES, unit_price_usd=SIZES),
    *crossed(tx(), fee_asset=("", "BTC", "ETH", "?"), fee_amount=SIZES, unit_price_usd=SIZES),
]
PRICES = [
    *changed(BAR, PRICE_COLUMNS),
    *crossed(BAR, **dict.fromkeys(("open", "high", "low", "close"), ("", "x", "0", "9", "10.0", "11"))),
]
RATES = [*changed(RATE, FX_COLUMNS), *crossed(RATE, base=("EUR", "USD", ""), quote=("EUR", "USD", ""))]
FILES = [(TRADES, COLUMNS), (PRICES, PRICE_COLUMNS), (RATES, FX_COLUMNS)]


@pytest.fixture
def no_row_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = [replace(kind, sure=lambda now_us: pl.col("record") < 0) for kind in csv_processor._KINDS]
    monkeypatch.setattr(csv_processor, "_KINDS", tuple(kinds))


@pytest.fixture(scope="module")
def with_shortcut() -> list[Parsed]:
    return [parsed(rows, header) for rows, header in FILES]


@pytest.mark.parametrize("at", range(len(FILES)))
@pytest.mark.usefixtures("no_row_is_sure")
def test_shortcut__changes_no_verdict(with_shortcut: list[Parsed], at: int) -> None:
    short, full = with_shortcut[at], parsed(*FILES[at])
    assert short.rejects == full.rejects
    assert short.frame.equals(full.frame)
    assert min(short.frame.height, len(short.rejects)) > 100


@pytest.mark.parametrize(("row", "header"), [(FULL, COLUMNS), (BAR, PRICE_COLUMNS), (RATE, FX_COLUMNS)])
def test_shortcut__takes_an_ordinary_row(
    row: Row, header: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge_none(frame: pl.DataFrame, *_: object) -> list[Reject]:
        assert frame.is_empty()
        return []

    monkeypatch.setattr(csv_processor, "judge_rows", judge_none)
    assert parsed([row, row], header).frame.height == 2

"""Proposals for bad values: one safe reading, or none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.instants import format_instant, parse_instant
from engine.domain.money import is_plain, to_scaled
from engine.domain.transactions import COLUMNS
from engine.ingestion.csv_processor import parse_records
from engine.ingestion.suggestions import has_decimal_comma, suggest

from .helpers import NOW, tx


def proposed(column: str, value: str, **others: str) -> str | None:
    found = suggest(others | {column: value}, [column])
    assert all(one.why for one in found)
    return found[0].value if found else None


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("1E3", "1000"),
        ("1.5e-3", "0.0015"),
        ("-2.50E1", "-25"),
        ("0e5", "0"),
        ("+5", "5"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("5.", "5"),
        (" 5 ", "5"),
        ("2,000", "2000"),
        ("1,234,567.25", "1234567.25"),
        ("+1,000", "1000"),
    ],
)
def test_number__written_otherwise__the_same_number(value: str, meant: str) -> None:
    assert proposed("quantity", value) == meant


@pytest.mark.parametrize(
    "value",
    [
        "0,250", "1,5", "1.000,00", "12,34,567", "1,0000", "1e-19", "1e25", "1 000", "1'000", "$5", "5 BTC",
        "+-5", "--5", "NaN", "0x10", "٣", "", "e3", ".", "1_000",
    ],
)  # fmt: skip
def test_number__another_reading_is_possible_or_none_is__nothing(value: str) -> None:
    assert proposed("quantity", value) is None


def test_thousands__somewhere_a_comma_is_a_decimal_comma__nothing() -> None:
    assert proposed("quantity", "2,000", unit_price_usd="1,5") is None
    assert suggest({"quantity": "2,000"}, ["quantity"], decimal_comma=True) == []
    assert proposed("quantity", "2,000", unit_price_usd="1,500") == "2000"


def test_decimal_comma__told_from_thousands() -> None:
    assert has_decimal_comma({"quantity": "0,5"})
    assert not has_decimal_comma({"quantity": "1,500", "notes": "1,5", "account": "a,b"})


@given(st.integers(0, 10**9), st.integers(0, 6), st.sampled_from(["", "-"]))
def test_exponent__is_written_out_exactly(digits: int, power: int, sign: str) -> None:
    text = f"{sign}{digits}E-{power}"
    found = proposed("quantity", text)
    assert found is not None
    assert is_plain(found)
    assert to_scaled(found) * 10**power == to_scaled(f"{sign}{digits}")


@given(st.text(alphabet="0123456789.,+-eE ", max_size=12))
def test_number__whatever_is_typed__a_proposal_is_plain_and_another_text(text: str) -> None:
    found = proposed("fee_amount", text)
    assert found is None or (is_plain(found) and found != text)


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("2025-01-01 10:00:00Z", "2025-01-01T10:00:00Z"),
        ("2025-01-01t10:00:00.50z", "2025-01-01T10:00:00.5Z"),
        ("2025-01-01 10:00:00 UTC", "2025-01-01T10:00:00Z"),
        (" 2025-01-01T10:00:00Z", "2025-01-01T10:00:00Z"),
        ("2025-01-01T10:00:00+02:00", "2025-01-01T08:00:00Z"),
        ("2025-01-01T00:00:00-0530", "2025-01-01T05:30:00Z"),
        ("2024-12-31T23:30:00.000001-01:00", "2025-01-01T00:30:00.000001Z"),
    ],
)
def test_instant__its_zone_was_told__the_same_instant(value: str, meant: str) -> None:
    assert proposed("timestamp", value) == meant


@pytest.mark.parametrize(
    "value",
    [
        "2025-01-01T10:00:00", "2025-01-01 10:00", "01/02/2025", "2025-02-30 10:00:00Z",
        "2025-01-01T24:00:00+01:00", "2025-01-01T10:00:00 CET", "1970-01-01T00:00:00+02:00",
        "2025-01-01T10:00:00+25:00", "2025-01-01T10:00:00+01:75", "1735725600",
    ],
)  # fmt: skip
def test_instant__no_zone_or_no_such_time__nothing(value: str) -> None:
    assert proposed("timestamp", value) is None


@given(st.integers(10**14, 4 * 10**15), st.integers(0, 14 * 60), st.sampled_from("+-"))
def test_instant__any_offset__is_the_same_instant(us: int, minutes: int, sign: str) -> None:
    local = format_instant(us).removesuffix("Z")
    found = proposed("asof", f"{local}{sign}{minutes // 60:02d}:{minutes % 60:02d}")
    assert found is not None
    assert parse_instant(found) == us - (1 if sign == "+" else -1) * minutes * 60_000_000


@pytest.mark.parametrize(
    ("column", "value", "meant"),
    [
        ("action", "buy", "BUY"),
        ("action", " Staking_reward ", "STAKING_REWARD"),
        ("asset_id", " BTC", "BTC"),
        ("fee_asset", "USD\t", "USD"),
        ("account", "\tmain", "main"),
        ("resolution", "1d ", "1d"),
        ("id", "f47ac10b-58cc-4372-a567-0e02b2c3d479", ""),
    ],
)
def test_text__only_blanks_or_case_are_off__mended(column: str, value: str, meant: str) -> None:
    assert proposed(column, value) == meant


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("action", "GIFT"), ("asset_id", "B TC"), ("asset_id", "=BTC"), ("account", "=1+1"),
        ("account", "  "), ("account", "'=1"), ("account", "a\x1b[31mb"), ("id", "7"), ("id", ""),
        ("unit_price_usd", ""),
        ("notes", " x "), ("column_15", " x "),
    ],
)  # fmt: skip
def test_text__what_was_meant_cannot_be_known__nothing(column: str, value: str) -> None:
    assert proposed(column, value) is None


def test_columns_that_do_not_fail__are_left_alone() -> None:
    assert suggest({"account": " main ", "quantity": "1E3"}, ["quantity"])[0].column == "quantity"
    assert suggest({"account": " main "}, []) == []


def test_every_proposal_together__passes_the_rules() -> None:
    bad = tx(
        timestamp="2025-03-01 10:00:00+01:00", action="buy", asset_id="BTC ", quantity="1,000",
        fee_amount=".5", unit_price_usd="1e2", fee_asset=" USD", account="main\t",
        id="f47ac10b-58cc-4372-a567-0e02b2c3d479",
    )  # fmt: skip
    fields = {name: bad.get(name, "") for name in COLUMNS}
    (reject,) = parse_records("transactions", [(1, 2, tuple(fields.values()))], NOW).rejects
    for one in suggest(fields, (reason.column for reason in reject.reasons)):
        fields[one.column] = one.value
    mended = parse_records("transactions", [(1, 2, tuple(fields.values()))], NOW)
    assert mended.rejects == []
    assert mended.frame["content"][0].split("\x1f")[:7] == [
        "2025-03-01T09:00:00Z", "BUY", "BTC", "1000", "100", "USD", "0.5",
    ]  # fmt: skip

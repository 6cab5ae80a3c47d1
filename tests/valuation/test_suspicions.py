"""Prices that look wrong are told with evidence; the order in which they came changes nothing."""

from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.valuation.suspicions import suspicions

HOUR = 3_600_000_000


def prices(*rows: tuple[int, str, str, str | None]) -> pl.DataFrame:
    """Hourly BTC in USD: (hour, source, price, volume)."""
    schema = {
        "asof": pl.Int64,
        "source": pl.String,
        "price": pl.Decimal(38, 18),
        "volume": pl.Decimal(38, 18),
    }
    made = [
        (hour * HOUR, source, Decimal(price), volume and Decimal(volume))
        for hour, source, price, volume in rows
    ]
    return pl.DataFrame(made, schema=schema, orient="row").with_columns(
        asset=pl.lit("BTC"), quote=pl.lit("USD"), resolution=pl.lit("1h")
    )


def found(frame: pl.DataFrame) -> list[tuple[Any, ...]]:
    told = suspicions(frame)
    return [
        (row["code"], row["asof"] // HOUR, row["source"], row["other"], row["bps"])
        for row in told.iter_rows(named=True)
    ]


def test_jump__ten_times_up_and_back__both_are_told() -> None:
    frame = prices((1, "a", "100", "1"), (2, "a", "1000", "1"), (3, "a", "100", "1"), (4, "a", "999", "1"))
    assert found(frame) == [
        ("JUMP", 2, "a", "the bar before", "90000"), ("JUMP", 3, "a", "the bar before", "9000"),
    ]  # fmt: skip


def test_jump__of_another_source__is_no_jump() -> None:
    assert found(prices((1, "a", "100", "1"), (2, "b", "1000", "1"))) == []


def test_sources__exactly_100_bps_apart__pass__a_hair_more_does_not() -> None:
    assert found(prices((1, "a", "100", None), (1, "b", "101", None))) == []
    (one,) = found(prices((1, "a", "100", None), (1, "b", "101.000000000000000001", None)))
    assert one == ("SOURCES_APART", 1, "b", "a", "100.0000000000000001")


def test_no_trades__a_volume_of_zero__and_only_that() -> None:
    frame = prices((1, "a", "100", "0"), (2, "a", "100", None), (3, "a", "100", "0.000000000000000001"))
    assert found(frame) == [("NO_TRADES", 1, "a", "", None)]


def test_the_largest_prices_there_are__no_overflow() -> None:
    big = "9" * 19
    frame = prices((1, "a", big, "1"), (1, "b", "1", "1"), (2, "a", "1", "1"))
    assert [code for code, *_ in found(frame)] == ["SOURCES_APART", "JUMP"]


def test_nothing__nothing() -> None:
    assert found(prices()) == []


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_any_order__the_same(data: st.DataObject) -> None:
    rows = st.tuples(
        st.integers(1, 4), st.sampled_from("ab"), st.sampled_from(["1", "9", "10", "100", "101", "102"]),
        st.sampled_from(["0", "1", None]),
    )  # fmt: skip
    made = data.draw(st.lists(rows, unique_by=lambda row: row[:2], max_size=8))
    assert found(prices(*made)) == found(prices(*data.draw(st.permutations(made))))

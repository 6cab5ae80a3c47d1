"""Observations: duplicates, corrections and their versions."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.ingestion.market_rules import FX_COLUMNS, PRICE_COLUMNS
from engine.ingestion.observations import judge_observations
from tests.effort import examples

from .helpers import parsed
from .test_market_rules import BAR, RATE


def prices(*rows: dict[str, str]) -> pl.DataFrame:
    return parsed([BAR | row for row in rows], PRICE_COLUMNS).frame


def rates(*values: str) -> pl.DataFrame:
    return parsed([RATE | {"rate": value} for value in values], FX_COLUMNS).frame


def nothing(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.clear().with_columns(version=pl.lit(0, pl.Int64))


def test_new_keys__are_version_zero() -> None:
    frame = prices(
        {}, {"asset_id": "ETH"}, {"quote_currency": "EUR"}, {"price_source": "x"}, {"resolution": "5m"}
    )
    judged = judge_observations(frame, nothing(frame))
    assert judged.new["version"].to_list() == [0] * 5
    assert (judged.duplicates, judged.corrections) == ([], 0)


def test_equal_decimals__are_a_duplicate_however_they_are_written() -> None:
    frame = prices({"open": "10.0", "volume": ""}, {"open": "010", "volume": ""})
    judged = judge_observations(frame, nothing(frame))
    assert (judged.new["record"].to_list(), judged.duplicates) == ([1], [2])


def test_another_value__is_a_further_version_and_an_older_value_again_is_a_duplicate() -> None:
    frame = rates("1.1", "1.2", "1.1", "1.3", "1.20")
    judged = judge_observations(frame, nothing(frame))
    assert judged.new.select("record", "rate", "version").rows() == [
        (1, "1.1", 0),
        (2, "1.2", 1),
        (4, "1.3", 2),
    ]
    assert (judged.duplicates, judged.corrections) == ([3, 5], 2)


def test_stored_versions__are_compared_all_and_counted_on() -> None:
    first = judge_observations(rates("1.1", "1.2"), nothing(rates())).new
    judged = judge_observations(rates("1.1", "1.4", "1.2"), first)
    assert judged.new.select("record", "rate", "version").rows() == [(2, "1.4", 2)]
    assert judged.duplicates == [1, 3]


def test_empty_against_given_volume__is_a_correction() -> None:
    frame = prices({"volume": ""})
    judged = judge_observations(prices({"volume": "0"}), judge_observations(frame, nothing(frame)).new)
    assert judged.new["version"].to_list() == [1]


VALUES = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["1.1", "1.2", "1.3"])), max_size=12)


@settings(max_examples=examples(60), deadline=None)
@given(VALUES, st.integers(0, 12))
def test_one_file_or_two__give_the_same_versions(values: list[tuple[str, str]], cut: int) -> None:
    rows = [RATE | {"fx_source": source, "rate": rate} for source, rate in values]
    whole = parsed(rows, FX_COLUMNS).frame
    at_once = judge_observations(whole, nothing(whole)).new
    first = judge_observations(parsed(rows[:cut], FX_COLUMNS).frame, nothing(whole)).new
    second = judge_observations(parsed(rows[cut:], FX_COLUMNS).frame, first).new
    names = ["source", "rate", "version"]
    assert sorted(at_once.select(names).rows()) == sorted(pl.concat([first, second]).select(names).rows())
    seen: dict[str, list[str]] = {}
    for source, rate in values:
        if rate not in seen.setdefault(source, []):
            seen[source].append(rate)
    expected = [(source, rate, at) for source, found in seen.items() for at, rate in enumerate(found)]
    assert sorted(at_once.select(names).rows()) == sorted(expected)

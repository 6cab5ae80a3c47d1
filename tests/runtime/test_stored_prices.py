"""Prices read back from the store: in spans, the last of each asset, whether there was any by then."""

import shutil
from collections.abc import Iterator
from itertools import batched
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.instants import parse_instant
from engine.store.reader import Reader
from tests.runtime.deck import PRICE_COLUMNS, Deck, bar, to_csv

START = parse_instant("2025-03-04T00:00:00Z") or 0
MINUTE = 60_000_000


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory, blank_home: Path) -> Iterator[Reader]:
    """Two assets, a bar every five minutes of two hours; some of BTC's were corrected; ETH in two quotes."""
    path = tmp_path_factory.mktemp("stored") / "home"
    shutil.copytree(blank_home, path)
    deck = Deck(path)
    closes = [f"2025-03-04T{n // 12:02}:{n % 12 * 5:02}:00Z" for n in range(1, 25)]
    rows = [bar(asset_id="BTC", bucket_close=close, close=str(100 + n)) for n, close in enumerate(closes)]
    rows += [
        bar(asset_id="ETH", bucket_close=close, close="7", quote_currency=quote)
        for close in closes[:20]
        for quote in ("EUR", "USD")
    ]
    deck.ingest(deck.file("bars.csv", to_csv(rows, PRICE_COLUMNS)))
    mended = [bar(asset_id="BTC", bucket_close=close, close="5") for close in closes[::3]]
    deck.ingest(deck.file("mended.csv", to_csv(mended, PRICE_COLUMNS)))
    with Reader(deck.home.state) as stored:
        yield stored


def rows_of(frame: pl.DataFrame) -> list[tuple[object, ...]]:
    return sorted(frame.select("asset", "quote", "asof", "text").rows())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    st.lists(st.integers(-10, 140), unique=True, max_size=8).map(sorted),
    st.sampled_from([None, ["BTC"], ["BTC", "ETH"], ["DOGE"], []]),
)
def test_prices__in_spans__are_those_of_all_that_lie_in_one(
    reader: Reader, edges: list[int], assets: list[str] | None
) -> None:
    spans = [(START + a * MINUTE, START + b * MINUTE) for a, b in batched(edges[: len(edges) // 2 * 2], 2)]
    whole = reader.prices()
    assert len(whole) == 24 + 40
    within = pl.any_horizontal(pl.lit(False), *(pl.col("asof").is_between(a, b) for a, b in spans))
    named = pl.lit(True) if assets is None else pl.col("asset").is_in(assets)
    assert rows_of(reader.prices(assets, spans)) == rows_of(whole.filter(within & named))


def test_prices__corrected__the_last_version_counts_in_every_span(reader: Reader) -> None:
    several = [(START, START + 6 * MINUTE), (START + 10 * MINUTE, START + 16 * MINUTE)]
    found = reader.prices(["BTC"], several)
    assert found.sort("asof")["text"].to_list() == ["5", "101", "102"]


def test_last_prices__of_each_asset__the_last_by_name_where_several_are_of_one_instant(
    reader: Reader,
) -> None:
    last = reader.last_prices()
    assert {asset: (asof - START) // MINUTE for asset, (asof, *_) in last.items()} == {"BTC": 120, "ETH": 100}
    assert last["ETH"][2] == "USD"


def test_is_priced_by__from_the_first_price_on__in_any_quote(reader: Reader) -> None:
    first = START + 5 * MINUTE
    assert [reader.is_priced_by("ETH", at) for at in (first - 1, first, first + 10**12)] == [
        False,
        True,
        True,
    ]
    assert not reader.is_priced_by("DOGE", first + 10**12)

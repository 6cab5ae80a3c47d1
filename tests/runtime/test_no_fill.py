"""No forward fill, no back fill, no interpolation: without an observation no price, no value and no NAV."""

import json
import shutil
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.cli import main
from engine.domain.instants import HOUR_US, MINUTE_US, format_instant, parse_instant
from tests.runtime.deck import PRICE_COLUMNS, Deck, Row, bar, buy, to_csv

START = parse_instant("2025-03-01T20:00:00Z") or 0
CLOSES = [START + step * 5 * MINUTE_US for step in range(49)]  # up to midnight
ASSETS = {"BTC": 90_000, "ETH": 3_000}
HELD = {"BTC": 2, "ETH": 3}
Bars = dict[tuple[str, int], int]

HOLES = st.fixed_dictionaries({
    asset: st.one_of(
        st.sets(st.sampled_from(CLOSES)),  # here and there
        st.tuples(st.integers(0, 48), st.integers(1, 30)).map(lambda run: set(CLOSES[run[0] : sum(run)])),
        st.just(set(CLOSES[12::12])),  # whole hours, midnight too
    )
    for asset in ASSETS
})  # fmt: skip


def walk(holes: dict[str, set[int]]) -> Bars:
    """A price a close that has no hole; no two are alike, so that a copied one would show."""
    return {
        (asset, close): first + 7 * nth
        for asset, first in ASSETS.items()
        for nth, close in enumerate(CLOSES)
        if close not in holes[asset]
    }


def rows(bars: Bars) -> list[Row]:
    return [
        bar(asset_id=asset, resolution="5m", bucket_close=format_instant(close), close=str(price))
        for (asset, close), price in bars.items()
    ]


def priced(deck: Deck, resolution: str) -> dict[tuple[str, int], tuple[int | None, int | None]]:
    """(asset, close) -> price and asof of its snapshot."""
    paths = deck.sql("SELECT path FROM lake_files WHERE dead_at IS NULL AND resolution = ?", resolution)
    found = {}
    for (path,) in paths:
        frame = pl.read_parquet(deck.home.lake / path, hive_partitioning=False)
        columns = frame.select("asset_id", pl.col("bucket_close", "asof").to_physical(), "price", "value")
        for asset, close, asof, price, value in columns.iter_rows():
            assert (price is None) == (value is None)
            found[asset, close] = (None if price is None else int(price), asof)
    return found


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HOLES, st.randoms(use_true_random=False))
def test_holes__nothing_appears_in_them__in_snapshots_points_and_json(
    blank_home: Path, capsys: pytest.CaptureFixture[str], holes: dict[str, set[int]], random: object
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        deck = Deck(
            Path(shutil.copytree(blank_home, Path(folder) / "home")), clock=lambda: CLOSES[-1] + HOUR_US
        )
        bars = walk(holes)
        trades = [
            buy(asset_id=name, quantity=str(held), timestamp="2025-03-01T19:58:00Z")
            for name, held in HELD.items()
        ]
        order = rows(bars)
        random.shuffle(order)  # type: ignore[attr-defined]
        deck.ingest(deck.file("trades.csv", trades), deck.file("bars.csv", to_csv(order, PRICE_COLUMNS)))
        deck.value()
        for resolution, step in (("5m", 5 * MINUTE_US), ("1h", HOUR_US)):
            last = max((close for _, close in bars if close % step == 0), default=0)
            closes = [close for close in CLOSES if close % step == 0 and close <= last]
            known = {(asset, close): (bars[asset, close], close) if (asset, close) in bars else (None, None)
                     for asset in ASSETS for close in closes}  # fmt: skip
            found = priced(deck, resolution)
            assert {key: found[key] for key in known} == known
            assert all(price is None for key, (price, _) in found.items() if key not in known)
            assert navs(deck, resolution, closes, capsys) == {
                close: str(sum(HELD[asset] * bars[asset, close] for asset in ASSETS))
                if all((asset, close) in bars for asset in ASSETS)
                else None
                for close in closes
            }


def navs(
    deck: Deck, resolution: str, closes: list[int], capsys: pytest.CaptureFixture[str]
) -> dict[int, str | None]:
    """What `nav --json` prints; the same as the points asked for, and none outside `closes` has a NAV."""
    capsys.readouterr()
    assert main(["nav", "--home", str(deck.path), "--resolution", resolution, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["points"]
    assert told == deck.ask("nav", resolution=resolution)["points"]
    points = {parse_instant(point["bucket_close"]): point["nav"] for point in told}
    assert all(nav is None for close, nav in points.items() if close not in closes)
    return {close: points[close] for close in closes}

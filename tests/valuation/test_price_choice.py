"""Which observation prices a close: scenarios that a trader can read."""

from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.instants import HOUR_US
from engine.domain.money import SCALE, to_text
from engine.domain.resolutions import SPOT_TOLERANCE_US, STEP_US
from engine.valuation.price_choice import HARDLY_APART_US, PricePolicy, choose, peg_broken, pricing, windows
from tests.valuation.price_tables import at, prices

PEGS = {"USDT": "USD", "EURT": "EUR"}


def chosen(table: str, close: str, resolution: str = "5m", sources: tuple[str, ...] = ()) -> str | None:
    """The price that counts at one close, whatever the order of the rows."""
    policy = PricePolicy("USD", PEGS, sources, frozenset({"USD"}), cash_in_nav=False)
    closes = np.array([at(close)], dtype=np.int64)
    found = []
    for frame in (prices(table), prices(table).reverse()):
        rows = choose(frame, resolution, closes, policy)
        assert rows.height <= 1
        found.append(to_text(rows["price"].to_physical()[0]) if rows.height else None)
    assert found[0] == found[1]
    return found[0]


def test_bar__prices_the_bucket_that_closes_at_its_asof_and_no_other() -> None:
    bar = "12:05 ETH/USD 5m venue 10"
    assert [chosen(bar, close) for close in ("12:00", "12:05", "12:10")] == [None, "10", None]


def test_bar__ends_on_no_boundary__prices_nothing() -> None:
    assert chosen("12:04:59 ETH/USD 5m venue 10", "12:05") is None
    assert chosen("12:05:01 ETH/USD 5m venue 10", "12:05") is None


def test_finer_bar__prices_a_coarser_bucket_that_closes_there() -> None:
    assert chosen("13:00 ETH/USD 5m venue 10", "13:00", "1h") == "10"
    assert chosen("+00:00 ETH/USD 1h venue 10", "+00:00", "1d") == "10"


@pytest.mark.parametrize(("bar", "bucket"), [("1h", "5m"), ("1d", "5m"), ("1d", "1h")])
def test_coarser_bar__never_prices_a_finer_bucket(bar: str, bucket: str) -> None:
    assert chosen(f"+00:00 ETH/USD {bar} venue 10", "+00:00", bucket) is None


def test_own_resolution__then_coarsest_finer_bar__then_spot() -> None:
    rows = [
        "+00:00 ETH/USD 1d   venue 4",
        "+00:00 ETH/USD 1h   venue 3",
        "+00:00 ETH/USD 5m   venue 2",
        "+00:00 ETH/USD spot venue 1",
    ]
    assert [chosen("\n".join(rows[first:]), "+00:00", "1d") for first in range(4)] == ["4", "3", "2", "1"]


@pytest.mark.parametrize(("bucket", "too_old", "fresh"), [
    ("5m", "12:58", "12:58:01"), ("1h", "12:55", "12:55:01"), ("1d", "23:55", "23:55:01"),
])  # fmt: skip
def test_spot__prices_within_its_tolerance__start_excluded(bucket: str, too_old: str, fresh: str) -> None:
    close = "+00:00" if bucket == "1d" else "13:00"
    assert chosen(f"{too_old} ETH/USD spot venue 10", close, bucket) is None
    assert chosen(f"{fresh} ETH/USD spot venue 10", close, bucket) == "10"
    assert chosen(f"{close} ETH/USD spot venue 10", close, bucket) == "10"
    assert chosen(f"{close}:01 ETH/USD spot venue 10", close, bucket) is None


def test_spots__the_latest_counts__before_quote_and_source() -> None:
    rows = """
        12:04:10 ETH/USD spot best  1
        12:04:50 ETH/XYZ spot other 2
    """
    assert chosen(rows, "12:05", sources=("best",)) == "2"


def test_spot__prices_every_close_in_its_reach() -> None:
    closes = np.array([at("12:00"), at("12:00:30"), at("12:01:59"), at("12:02")], dtype=np.int64)
    found = pricing(prices("12:00 ETH/USD spot venue 10"), "5m", closes)
    assert found["b"].to_list() == [0, 1, 2]


def test_quotes__base_then_pegged_to_it_then_by_code__before_sources() -> None:
    rows = [
        "12:05 ETH/USD  5m z 1",
        "12:05 ETH/USDT 5m z 2",
        "12:05 ETH/EUR  5m z 3",
        "12:05 ETH/EURT 5m a 4",
    ]
    found = [chosen("\n".join(rows[first:]), "12:05", sources=("a",)) for first in range(4)]
    assert found == ["1", "2", "3", "4"]


def test_sources__configured_order__then_by_name() -> None:
    rows = [
        "12:05 ETH/USD 5m zeta 1",
        "12:05 ETH/USD 5m yps 2",
        "12:05 ETH/USD 5m alfa 3",
        "12:05 ETH/USD 5m beta 4",
    ]
    found = [chosen("\n".join(rows[first:]), "12:05", sources=("zeta", "yps")) for first in range(4)]
    assert found == ["1", "2", "3", "4"]


def test_no_closes_or_no_prices__nothing_is_chosen() -> None:
    policy = PricePolicy("USD", PEGS, (), frozenset(), cash_in_nav=False)
    none, some = np.zeros(0, dtype=np.int64), np.array([at("12:05")], dtype=np.int64)
    assert choose(prices("12:05 ETH/USD 5m venue 1"), "5m", none, policy).height == 0
    empty = choose(prices(""), "5m", some, policy)
    assert empty.height == 0
    assert empty.columns == choose(prices("12:05 ETH/USD 5m venue 1"), "5m", some, policy).columns


# Pegs


def broken(observed: str, close: str, rates: str = "") -> bool:
    """Whether USDT is off its peg of one USD; `rates` are rows of `asof base/quote rate`."""
    rows = [line.split() for line in rates.splitlines() if line.strip()]
    seen = prices("\n".join(f"{asof} {pair} spot feed {rate}" for asof, pair, rate in rows))
    frame = seen.select("asof", base="asset", quote="quote", rate="price")
    closes = np.array([at(close)], dtype=np.int64)
    told = [
        bool(peg_broken("USDT", "USD", prices(observed), one, closes)[0]) for one in (frame, frame.reverse())
    ]
    assert told[0] == told[1]
    return told[0]


def test_peg__50_bps_off_is_not_broken__more_is() -> None:
    assert not broken("12:00 USDT/USD spot venue 0.995", "12:00")
    assert broken("12:00 USDT/USD spot venue 0.994999999999999999", "12:00")
    assert not broken("12:00 USDT/USD spot venue 1.005", "12:00")
    assert broken("12:00 USDT/USD spot venue 1.005000000000000001", "12:00")


def test_peg__the_other_way_round__is_the_value_of_the_token() -> None:
    exactly = SCALE * SCALE // (SCALE * 995 // 1000)  # 1 / 0.995, cut at 18 places
    assert not broken(f"12:00 USD/USDT spot venue {to_text(exactly)}", "12:00")
    assert broken(f"12:00 USD/USDT spot venue {to_text(exactly + 1)}", "12:00")


def test_peg__rates_are_watched_like_prices() -> None:
    assert broken("", "12:00", "11:59 USDT/USD 0.9")
    assert broken("", "12:00", "11:59 USD/USDT 1.2")


def test_peg__the_latest_asof_alone_counts__and_one_of_several_there_is_enough() -> None:
    assert not broken("11:30 USDT/USD spot a 0.9\n11:40 USDT/USD spot a 1", "12:00")
    assert broken("11:40 USDT/USD spot a 1\n11:40 USDT/USD spot b 0.9", "12:00")
    assert broken("11:40 USDT/USD spot a 1", "12:00", "11:40 USD/USDT 1.1")


def test_peg__is_watched_for_an_hour__start_excluded() -> None:
    off = "11:00 USDT/USD spot venue 0.9"
    assert [broken(off, close) for close in ("10:59:59", "11:00", "11:59:59", "12:00")] == [
        False,
        True,
        True,
        False,
    ]


def test_peg__other_pairs_do_not_count() -> None:
    assert not broken("12:00 USDT/EUR spot venue 0.5\n12:00 USDC/USD spot venue 0.5", "12:00")


def test_choice__keeps_what_the_provenance_needs() -> None:
    policy = PricePolicy("USD", PEGS, (), frozenset(), cash_in_nav=False)
    row = choose(prices("12:04 ETH/USDT spot venue 1.50"), "5m", np.array([at("12:05")]), policy).row(
        0, named=True
    )
    assert (row["quote"], row["source"], row["resolution"], row["asof"]) == (
        "USDT",
        "venue",
        "spot",
        at("12:04"),
    )
    assert pl.Series([row["price"]]).to_list() == [row["price"]]


# Which instants are looked at


@given(
    st.lists(st.integers(0, 10 * HOUR_US), unique=True, max_size=20).map(sorted),
    st.sampled_from([*SPOT_TOLERANCE_US.values(), HOUR_US]),
    st.lists(st.integers(-HOUR_US, 11 * HOUR_US), max_size=20),
)
def test_windows__hold_what_may_price_a_close__in_order__and_little_else(
    closes: list[int], reach: int, others: list[int]
) -> None:
    spans = windows(np.array(closes, dtype=np.int64), reach)
    assert all(first <= last for first, last in spans)
    assert all(after[0] - before[1] > HARDLY_APART_US for before, after in pairwise(spans))
    edges = [close - reach + offset for close in closes for offset in (0, 1, reach, reach + 1)]
    for instant in [*edges, *others]:
        wanted = any(close - reach < instant <= close for close in closes)
        seen = any(first <= instant <= last for first, last in spans)
        near = any(close - reach - HARDLY_APART_US <= instant <= close for close in closes)
        assert wanted <= seen <= near


def test_windows__of_an_hour__are_apart__of_five_minutes__one() -> None:
    for resolution, several in (("5m", 1), ("1h", 12)):
        closes = np.arange(1, 13, dtype=np.int64) * STEP_US[resolution]
        assert len(windows(closes, SPOT_TOLERANCE_US[resolution])) == several

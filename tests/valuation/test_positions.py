"""Quantities over the closes as segments."""

from fractions import Fraction

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.valuation.exact import decimals
from engine.valuation.positions import Positions, positions
from tests.effort import examples
from tests.valuation.price_tables import CASH, at, moves, text

CLOSES = np.array([at(close) for close in ("12:00", "12:05", "12:10", "12:15")], dtype=np.int64)


def held(table: str, closes: np.ndarray = CLOSES, *, cash_in_nav: bool = False) -> Positions:
    return positions(moves(table), closes, CASH, cash_in_nav)


def told(found: Positions) -> list[str]:
    rows = zip(found.segments.iter_rows(named=True), found.owned, strict=True)
    return [
        f"{row['asset']} {row['account']} {row['kind']} {row['b_from']}-{row['b_to']} {text(owned)}"
        + (" transit" if row["transit"] else "")
        + (f" {row['reason']}" if row["reason"] else "")
        for row, owned in rows
    ]


def test_steps__one_segment_a_quantity__several_moves_before_a_close_are_one_step() -> None:
    found = held("11:00 main ETH 1\n11:30 main ETH 2\n12:06 main ETH 4\n12:07 main ETH -1")
    assert told(found) == ["ETH main holding 0-2 3", "ETH main holding 2-4 6"]


def test_a_move_at_a_close__counts_there__one_behind_the_last_close_never() -> None:
    assert told(held("12:05 main ETH 1\n12:15:01 main ETH 1")) == ["ETH main holding 1-4 1"]


def test_nothing_held__is_no_segment() -> None:
    found = held("11:00 main ETH 1\n12:01 main ETH -1\n12:06 main ETH 2\n12:07 main BTC 1\n12:08 main BTC -1")
    assert told(found) == ["ETH main holding 0-1 1", "ETH main holding 2-4 2"]


def test_transit__is_owned_by_the_account_it_goes_to() -> None:
    found = held("11:00 cold ETH 2 transit\n12:06 cold ETH -2 transit\n12:06 cold ETH 2")
    assert told(found) == ["ETH cold holding 0-2 2 transit", "ETH cold holding 2-4 2"]


def test_unmatched__stands_beside_the_holding() -> None:
    found = held("11:00 main ETH 2\n12:01 main ETH 1 unmatched")
    assert told(found) == ["ETH main holding 0-4 2", "ETH main unmatched 1-4 1"]
    assert found.is_holding.tolist() == [True, False]


def test_deficit__breaks_the_position_for_ever__at_zero_by_rows_too() -> None:
    found = held("11:00 main ETH -1\n11:00 main ETH 1 deficit\n12:06 main ETH 1")
    assert told(found) == ["ETH main holding 0-2 -1 POSITION_BREAK", "ETH main holding 2-4 0 POSITION_BREAK"]
    assert found.unvalued.tolist() == [True, True]


def test_deficit__later_rows_of_another_asset_and_account_are_sound() -> None:
    found = held("11:00 main AAA 1 deficit\n11:00 main BBB 1\n11:00 other AAA 1")
    assert told(found)[1:] == ["AAA other holding 0-4 1", "BBB main holding 0-4 1"]


def test_cash__negative__has_a_reason_only_inside_nav() -> None:
    table = "11:00 main EUR -1\n12:06 main EUR 2"
    inside, outside = held(table, cash_in_nav=True), held(table)
    assert told(inside) == ["EUR main holding 0-2 -1 CASH_NEGATIVE", "EUR main holding 2-4 1"]
    assert told(outside) == ["EUR main holding 0-2 -1", "EUR main holding 2-4 1"]
    assert inside.is_holding.all()
    assert not outside.is_holding.any()


def test_quantity_out_of_range__is_null_and_comes_back() -> None:
    most = "99999999999999999999"
    found = held(f"11:00 main ETH {most}\n12:01 main ETH {most}\n12:06 main ETH -{most}")
    assert told(found) == [
        f"ETH main holding {b} {owned}" for b, owned in [("0-1", most), ("1-2", None), ("2-4", most)]
    ]


def test_no_moves_or_no_closes__no_segments() -> None:
    for found in (held(""), held("11:00 main ETH 1", CLOSES[:0]), held("13:00 main ETH 1")):
        assert (found.segments.height, found.accounts, list(found.by_asset())) == (0, [], [])


def test_holding_runs__are_unbroken_stretches_of_one_account() -> None:
    found = held("""
        11:00 a ETH 1
        12:01 a ETH 1
        12:06 a ETH -2
        12:11 a ETH 3
        11:00 b ETH 1 unmatched
        12:06 c ETH 5
    """)
    segment, b = found.expand(slice(0, found.segments.height))
    assert b.tolist() == [0, 1, 3, 0, 1, 2, 3, 2, 3]
    assert segment.tolist() == [0, 1, 2, 3, 3, 3, 3, 4, 4]
    assert list(found.holding_runs(slice(0, 5))) == [(0, 0, 2, 0), (0, 3, 4, 2), (2, 2, 4, 7)]


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["11:00", "12:00", "12:00:01", "12:07", "12:10", "12:14", "12:16"]),
        st.sampled_from(["one", "two"]), st.sampled_from(["AAA", "BBB", "EUR"]), st.integers(-3, 3),
        st.sampled_from(["holding", "transit", "unmatched", "deficit"]),
    ), max_size=15,
)  # fmt: skip


@settings(max_examples=examples(100), deadline=None)
@given(MOVES, st.integers(0, 4), st.booleans())
def test_segments__are_the_sums_of_the_moves_at_every_close(
    rows: list[tuple[str, str, str, int, str]], first: int, cash_in_nav: bool
) -> None:
    closes = CLOSES[first:]
    found = held("\n".join(" ".join(map(str, row)) for row in rows), closes, cash_in_nav=cash_in_nav)
    segment, b = found.expand(slice(0, found.segments.height))
    columns = found.segments.select("asset", "account", "kind", "transit", "reason").rows()
    engine = {
        (*columns[row][:3], place): (Fraction(found.owned[int(row)]), *columns[row][3:])
        for row, place in zip(segment.tolist(), b.tolist(), strict=True)
    }
    naive = {}
    for place, close in enumerate(closes.tolist()):
        for asset, account in {(row[2], row[1]) for row in rows}:
            sums = {
                series: sum(
                    row[3]
                    for row in rows
                    if row[1:3] == (account, asset) and row[4] == series and at(row[0]) <= close
                )
                for series in ("holding", "transit", "unmatched", "deficit")
            }  # fmt: skip
            owned, cash = sums["holding"] + sums["transit"], asset in CASH
            broken = sums["deficit"] != 0 and not cash
            negative = cash and cash_in_nav and owned < 0
            reason = "POSITION_BREAK" if broken else "CASH_NEGATIVE" if negative else None
            if owned or broken:
                naive[asset, account, "holding", place] = (owned, sums["transit"] != 0, reason)
            if sums["unmatched"]:
                negative = cash and cash_in_nav and sums["unmatched"] < 0
                naive[asset, account, "unmatched", place] = (
                    sums["unmatched"],
                    False,
                    "CASH_NEGATIVE" if negative else None,
                )
    assert engine == naive
    assert decimals([]).len() == 0
    assert (
        found.segments["account"].to_list()
        == pl.Series(found.accounts, dtype=pl.String)[found.account_index].to_list()
    )

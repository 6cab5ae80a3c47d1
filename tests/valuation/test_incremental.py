"""What stands after any changes is what a full run makes: close by close, account by account, to a digit."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.valuation import incremental, price_engine
from engine.valuation.incremental import Changes, StandingNav
from engine.valuation.price_engine import NavTotals
from tests.effort import examples
from tests.valuation.price_tables import Case, at, moves
from tests.valuation.test_price_naive import ASSETS, PEGS, amounts, cases, instants

Point = tuple[int, int, int]
Points = dict[tuple[str, int], Point]


def full(case: Case) -> Points:
    """(account, close) -> the scaled sum, holdings and valued, by a full run; none where there is nothing."""
    inputs = case.inputs()
    totals = NavTotals(inputs)
    for values in price_engine.run(inputs):
        totals.add(values)
    size = len(inputs.closes)
    found = {}
    for row, account in enumerate(totals.accounts):
        for b in range(size):
            slot = row * size + b
            held, valued = int(totals.holdings[slot]), int(totals.valued[slot])
            found[account, b] = (totals._sums.scaled(slot), held, valued)
    return {key: point for key, point in found.items() if point != (0, 0, 0)}


def standing(nav: StandingNav) -> Points:
    slots = {
        (account, b): tuple(nav.slot(account, b)) for account in nav.accounts for b in range(len(nav.closes))
    }
    return {key: (slot[0], slot[1], slot[2]) for key, slot in slots.items() if slot != (0, 0, 0)}


def stood(case: Case) -> StandingNav:
    return StandingNav(case.inputs(), moves(case.moves))


def differing(one: Points, other: Points) -> set[tuple[str, int]]:
    return {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}


def table(lines: Iterable[str]) -> str:
    return "\n".join(lines)


# Changes of a case, and what is told of them


@st.composite
def moved(draw: st.DrawFn, case: Case) -> str:
    fields = (
        draw(instants(case.closes.split())), draw(st.sampled_from(["one", "two", "three"])),
        draw(st.sampled_from(ASSETS)), draw(amounts(positive=True)),
        draw(st.sampled_from(["holding", "holding", "transit", "unmatched", "deficit"])),
    )  # fmt: skip
    return " ".join(fields)


def change_moves(data: st.DataObject, nav: StandingNav, case: Case) -> tuple[Case, Changes]:
    lines = case.moves.splitlines()
    gone = data.draw(st.lists(st.sampled_from(lines), max_size=2, unique=True)) if lines else []
    come = data.draw(st.lists(moved(case), max_size=2))
    for line in gone:
        lines.remove(line)
    after = replace(case, moves=table([*lines, *come]))
    return after, nav.move(moves(table(come)), moves(table(gone)), after.inputs())


def change_prices(data: st.DataObject, nav: StandingNav, case: Case) -> tuple[Case, Changes]:
    lines = case.prices.splitlines()
    gone = data.draw(st.sets(st.sampled_from(lines), max_size=3)) if lines else set()
    pair = data.draw(st.sampled_from(["AAA/USD", "AAA/USDT", "AAA/EUR", "BBB/EURT", "USDT/USD"]))
    when, price = data.draw(instants(case.closes.split())), data.draw(amounts(positive=True))
    come = f"{when} {pair} {case.resolution} z {price}"
    after = replace(case, prices=table([*(line for line in lines if line not in gone), come]))
    touched = {line.split()[1].split("/")[0] for line in [*gone, come]}
    priced_in = nav.assets_in(touched & PEGS.keys())  # a price of a token is watched by all that it prices
    return after, nav.requote(touched | set(priced_in), after.inputs())


def change_rates(data: st.DataObject, nav: StandingNav, case: Case) -> tuple[Case, Changes]:
    currency = data.draw(st.sampled_from(["EUR", "GBP", "USD"]))
    close = data.draw(st.sampled_from(case.closes.split()))
    kept = [line for line in case.rates.splitlines() if line.split()[:2] != [close, currency]]
    come = data.draw(
        st.sampled_from([[], [f"{close} {currency} 1.25"], [f"{close} {currency} 1.000000000000000001"]])
    )
    after = replace(case, rates=table([*kept, *come]))
    tokens = {token for token, to in PEGS.items() if to == currency}
    return after, nav.requote(nav.assets_in({currency} | tokens), after.inputs())


def change_status(data: st.DataObject, nav: StandingNav, case: Case) -> tuple[Case, Changes]:
    asset, since = data.draw(st.sampled_from(["AAA", "BBB"])), data.draw(instants(case.closes.split()))
    status = data.draw(st.sampled_from(["normal", "excluded", f"manual 2.5 {case.closes.split()[-1]}"]))
    after = replace(case, statuses=table([*case.statuses.splitlines(), f"{since} {asset} {status}"]))
    return after, nav.requote([asset], after.inputs())


CHANGES = (change_moves, change_moves, change_prices, change_rates, change_status)


@settings(max_examples=examples(40), deadline=None)
@given(cases(), st.data())
def test_changes__leave_what_a_full_run_makes__and_name_every_point_that_changed(
    case: Case, data: st.DataObject
) -> None:
    nav, before = stood(case), full(case)
    assert standing(nav) == before
    for _ in range(data.draw(st.integers(1, 4))):
        case, changes = data.draw(st.sampled_from(CHANGES))(data, nav, case)
        after = full(case)
        assert standing(nav) == after
        assert set(zip(changes.accounts, changes.closes, strict=True)) == differing(before, after)
        before = after


@settings(max_examples=25, deadline=None)
@given(cases(), st.data())
def test_append__close_by_close__is_the_full_run_over_all_of_them(case: Case, data: st.DataObject) -> None:
    closes = case.closes.split()
    known = data.draw(st.integers(1, len(closes) - 1))

    def over(first: int, stop: int, **fields: Any) -> Case:
        """The case at some of its closes."""
        rates = table(line for line in case.rates.splitlines() if line.split()[0] in closes[first:stop])
        return replace(case, closes=" ".join(closes[first:stop]), rates=rates, **fields)

    instants_of = [at(close) for close in closes]
    rows = [(at(line.split()[0]), line) for line in case.moves.splitlines()]

    def between(first: int, last: int) -> str:
        return table(line for ts, line in rows if first < ts <= last)

    nav = stood(over(0, known, moves=between(-1, instants_of[known - 1])))
    for b in range(known, len(closes)):
        alone = over(b, b + 1)
        changes = nav.append(alone.inputs(), moves(between(instants_of[b - 1], instants_of[b])))
        seen = over(0, b + 1, moves=between(-1, instants_of[b]))
        after = full(seen)
        assert standing(nav) == after
        assert set(zip(changes.accounts, changes.closes, strict=True)) >= {
            key for key in after if key[1] == b
        }
        if data.draw(st.booleans()):
            late = data.draw(moved(seen))
            if at(late.split()[0]) <= instants_of[b]:
                rows.append((at(late.split()[0]), late))
                nav.move(moves(late), None, replace(seen, moves=between(-1, instants_of[b])).inputs())
                assert standing(nav) == full(replace(seen, moves=between(-1, instants_of[b])))


def test_whole__is_the_sum_over_accounts__and_null_while_one_holding_has_no_value() -> None:
    case = Case(
        moves="11:00 one AAA 2\n11:00 two AAA 3\n12:04 two BBB 1",
        prices="12:00 AAA/USD 5m x 10\n12:05 AAA/USD 5m x 11",
    )
    nav = stood(case)
    assert nav.whole(0).nav == 50 * 10**18
    assert (nav.whole(1).nav, nav.whole(1).priced) == (None, 55 * 10**18)
    assert nav.slot("one", 1).nav == 22 * 10**18


def test_append__beyond_the_room_that_was_left__moves_everything_in_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closes = [f"{hour:02}:{minute:02}" for hour in range(12, 24) for minute in range(0, 60, 5)]
    case = Case(moves="11:00 one AAA 2\n11:30 two AAA 1", prices="12:00 AAA/USD 5m x 10", closes=closes[0])
    monkeypatch.setattr(incremental, "SPARE_CLOSES", 5)
    short = StandingNav(case.inputs(), moves(case.moves))
    for nth, close in enumerate(closes[1:], 1):
        short.append(replace(case, closes=close, prices=f"{close} AAA/USD 5m x {nth}").inputs(), moves(""))
    assert [short.slot("one", b).nav for b in range(len(closes))] == [20 * 10**18] + [
        2 * nth * 10**18 for nth in range(1, len(closes))
    ]
    assert np.array_equal(short.closes, [at(close) for close in closes])

"""Laws that hold for every ledger and every method."""

from collections import Counter
from dataclasses import replace
from random import Random

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.money import mul, to_scaled
from engine.portfolio.lots_engine import METHODS, run
from engine.portfolio.lots_outcome import LotsOutcome
from engine.portfolio.transfers import link, pairing_marks
from tests.effort import examples
from tests.portfolio.ledgers import CASH, Tx, frame, numbered
from tests.portfolio.strategies import ledgers, settled_rows

METHOD = st.sampled_from(sorted(METHODS))


def book(rows: list[Tx], method: str, as_of: int | None = None) -> LotsOutcome:
    ledger = frame(rows)
    return run(ledger, link(ledger), method, CASH, {}, as_of)


def frames(outcome: LotsOutcome) -> list[object]:
    income = outcome.income_frame().drop("row")
    found = (
        outcome.open_lots_frame(), outcome.in_transit_frame(), outcome.realized_frame(),
        outcome.deficits_frame(), income,
    )  # fmt: skip
    return [part.to_dicts() for part in found]


@settings(max_examples=examples(100), deadline=None)
@given(ledgers(), METHOD, st.randoms(use_true_random=False))
def test_any_order_and_numbering__gives_the_same(rows: list[Tx], method: str, random: Random) -> None:
    numbers = list(range(100, 100 + len(rows)))
    random.shuffle(numbers)
    shuffled = [replace(tx, row=number) for tx, number in zip(rows, numbers, strict=True)]
    random.shuffle(shuffled)
    assert frames(book(rows, method)) == frames(book(shuffled, method))


@settings(max_examples=examples(100), deadline=None)
@given(st.data(), METHOD)
def test_basis_and_quantity__are_conserved_to_the_last_digit(data: st.DataObject, method: str) -> None:
    """By asset; the run itself asserts the same of basis and quantity over all assets."""
    rows = data.draw(ledgers())
    ledger = frame(rows)
    links = link(ledger, (), data.draw(settled_rows(rows)))
    outcome = run(ledger, links, method, CASH, {})
    ordered = [rows[index] for index in links.order]
    left: Counter[str] = Counter()
    for place, tx in enumerate(ordered):
        if tx.asset not in CASH and tx.action not in ("SELL", "FEE", "TRANSFER_OUT"):
            came = links.excess.get(place, 0) if tx.action == "TRANSFER_IN" else to_scaled(tx.quantity)
            left[tx.asset] += came
    left.update(_by_asset(outcome.deficits_frame()))
    for part in (outcome.open_lots_frame(), outcome.in_transit_frame(), outcome.settled_frame()):
        left.subtract(_by_asset(part))
    left.subtract(_by_asset(outcome.realized_frame()))
    assert not any(left.values())


def _by_asset(part: pl.DataFrame) -> Counter[str]:
    found: Counter[str] = Counter()
    for asset, quantity in zip(part["asset"], part["quantity"].to_physical().to_list(), strict=True):
        found[asset] += quantity
    return found


@settings(max_examples=examples(60), deadline=None)
@given(ledgers(), METHOD)
def test_transfers__never_make_a_gain(rows: list[Tx], method: str) -> None:
    """Only sells and fees realize anything, and each realizes its whole quantity at its whole proceeds."""
    outcome = book(rows, method)
    actions = {place: rows[index].action for place, index in enumerate(link(frame(rows)).order)}
    assert all(event < 0 or actions[event] in ("SELL", "FEE") for event, *_ in outcome.realized)
    assert outcome.settled == []


@settings(max_examples=examples(60), deadline=None)
@given(ledgers())
def test_methods__differ_in_which_lots_never_in_how_much(rows: list[Tx]) -> None:
    def sums(method: str) -> tuple[int, list[tuple[int, int]]]:
        outcome = book(rows, method)
        return sum(piece[2] for piece in outcome.realized), outcome.deficits

    assert sums("FIFO") == sums("LIFO") == sums("HIFO")


@settings(max_examples=examples(60), deadline=None)
@given(ledgers(), METHOD)
def test_as_of_the_end__is_the_whole_run(rows: list[Tx], method: str) -> None:
    assert frames(book(rows, method, max(tx.ts for tx in rows))) == frames(book(rows, method))


@settings(max_examples=examples(60), deadline=None)
@given(ledgers(), st.randoms(use_true_random=False))
def test_pairing_marks__depend_on_contents_only(rows: list[Tx], random: Random) -> None:
    ledger, renumbered = frame(rows), [replace(tx, row=tx.row + 50) for tx in rows]
    random.shuffle(renumbered)
    marks = pairing_marks(ledger, link(ledger))
    other = frame(renumbered)
    assert {row + 50: mark for row, mark in marks.items()} == pairing_marks(other, link(other))


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 10**19), st.integers(0, 10**18))
def test_value_of_a_row__is_rounded_half_even_like_money(quantity: int, price: int) -> None:
    def text(scaled: int) -> str:
        return f"{scaled // 10**18}.{scaled % 10**18:018}"

    rows = numbered([Tx(0, "a", "BUY", text(quantity + 1), "X", text(price))])
    assert book(rows, "FIFO").open[0][3] == mul(quantity + 1, price)

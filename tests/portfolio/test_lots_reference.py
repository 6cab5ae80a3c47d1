"""The engine against a slow, separately written calculation, over ledgers made by chance."""

from collections import Counter
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import HOUR_US
from engine.portfolio.lots_engine import METHODS, run
from engine.portfolio.lots_outcome import LotsOutcome
from engine.portfolio.transfers import Settlement, link
from tests.effort import examples
from tests.portfolio.ledgers import CASH, DAY, Tx, frame
from tests.portfolio.naive import Naive
from tests.portfolio.strategies import cash_values, ledgers, moves_at_one_instant, settled_rows

UNIT = 10**18
METHOD = st.sampled_from(sorted(METHODS))
MOMENT = st.one_of(st.none(), st.integers(0, 3).map(lambda hour: DAY + hour * HOUR_US))
Lines = list[tuple[object, ...]]


def lots_of(records: list[dict[str, object]], *names: str) -> Lines:
    return [
        (r["account"], r["asset"], str(r["acquired_at"]), *(r[name] for name in names), *_exact(r))
        for r in records
    ]


def _exact(record: dict[str, object]) -> tuple[object, ...]:
    flags = record["flags"]
    assert isinstance(flags, list)
    return Fraction(record["quantity"]), Fraction(record["basis"]), tuple(flags)  # type: ignore[arg-type]


def pieces(outcome: LotsOutcome) -> Lines:
    return [
        (
            r["account"], r["asset"], r["disposed_at"], r["acquired_at"], Fraction(r["quantity"]),
            Fraction(r["proceeds"]), Fraction(r["basis"]), tuple(r["flags"]),
        )
        for r in outcome.realized_frame().iter_rows(named=True)
    ]  # fmt: skip


def shortages(outcome: LotsOutcome) -> Lines:
    records = outcome.deficits_frame().iter_rows(named=True)
    return [(r["account"], r["asset"], r["ts"], Fraction(r["quantity"])) for r in records]


def check(
    rows: list[Tx],
    method: str,
    values: dict[int, int | None],
    matches: set[tuple[int, int]],
    as_of: int | None,
    settlements: dict[int, Settlement] | None = None,
) -> None:
    ledger = frame(rows)
    outcome = run(ledger, link(ledger, matches, settlements), method, CASH, values, as_of)
    naive = Naive(rows, method, values, matches, as_of, settlements or {}).run()
    assert pieces(outcome) == naive.realized
    assert lots_of(outcome.settled_frame().to_dicts(), "left_at") == naive.settled
    assert shortages(outcome) == naive.deficits
    assert Counter(lots_of(outcome.open_lots_frame().to_dicts())) == Counter(naive.open_lots())
    assert Counter(lots_of(outcome.in_transit_frame().to_dicts(), "left_at")) == Counter(naive.in_transit())


@settings(max_examples=examples(250), deadline=None)
@given(st.data(), METHOD, MOMENT)
def test_run__any_ledger__equals_naive(data: st.DataObject, method: str, as_of: int | None) -> None:
    rows = data.draw(ledgers())
    numbers = st.integers(1, len(rows))
    matches = data.draw(st.sets(st.tuples(numbers, numbers), max_size=2))
    by_row = {tx.row: tx.action for tx in rows}
    matches = {m for m in matches if (by_row[m[0]], by_row[m[1]]) == ("TRANSFER_OUT", "TRANSFER_IN")}
    check(rows, method, data.draw(cash_values(rows)), matches, as_of, data.draw(settled_rows(rows)))


@settings(max_examples=examples(150), deadline=None)
@given(moves_at_one_instant(), METHOD)
def test_run__rings_and_chains_at_one_instant__equal_naive(rows: list[Tx], method: str) -> None:
    check(rows, method, {}, set(), None)

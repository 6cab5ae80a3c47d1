"""Order does not matter: however true rows are cut into files and runs, the truth is the same."""

import csv
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.transactions import COLUMNS, CONTENT_COLUMNS
from tests.runtime.deck import DATA, FX_COLUMNS, PRICE_COLUMNS, Deck, Row, bar, rate, to_csv

CONSTRUCTED = DATA / "transactions" / "constructed_3_accounts_2024.csv"
Unit = list[Row]
NewDeck = Callable[[str], Deck]

needs_data = pytest.mark.skipif(
    not CONSTRUCTED.is_file(), reason="the shared data set is not beside the repository"
)


@cache
def real_rows() -> list[Row]:
    with CONSTRUCTED.open(newline="") as file:
        return list(csv.DictReader(file))


def units(rows: list[Row]) -> list[Unit]:
    """Rows that must stay in one file: legs of one chain transaction, and rows of equal content."""

    def together(row: Row) -> tuple[str, ...]:
        if row["tx_hash"]:
            return row["account"], row["tx_hash"]
        return tuple(row[name] for name in CONTENT_COLUMNS)

    return [list(group) for _, group in groupby(sorted(rows, key=together), key=together)]


@dataclass(frozen=True)
class Plan:
    """How the units are spread: a seed, so many files and runs, and how much they overlap."""

    seed: int
    files: int
    runs: int
    overlap: float


PLANS = st.builds(
    Plan, st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 3), st.sampled_from([0.0, 0.3, 1.0])
)


def spread(rows: list[Unit], columns: tuple[str, ...], plan: Plan) -> list[list[bytes]]:
    """The files of each run: every unit in one of them or more, some files repeated, all in any order."""
    rng = random.Random(plan.seed)
    contents: list[list[Row]] = [[] for _ in range(plan.files)]
    for unit in rows:
        homes = {rng.randrange(plan.files)} | {
            n for n in range(plan.files) if rng.random() < plan.overlap / 3
        }
        for number in homes:
            contents[number] += unit
    for content in contents:
        rng.shuffle(content)
    files = [to_csv(content, columns) for content in contents]
    files += [file.replace(b"\n", b"\r\n") for file in files if rng.random() < plan.overlap]
    files += [file for file in files if rng.random() < plan.overlap]
    rng.shuffle(files)
    runs: list[list[bytes]] = [[] for _ in range(plan.runs)]
    for file in files:
        rng.choice(runs).append(file)
    return runs


def truth_of(deck: Deck, runs: list[list[bytes]]) -> tuple[dict[str, str], int]:
    """The digest's parts (but what is materialised) and the rows that were set aside."""
    aside = 0
    for number, files in enumerate(runs):
        paths = [deck.file(f"{number}-{place}.csv", data) for place, data in enumerate(files)]
        if paths:
            aside += deck.ingest(*paths)["totals"]["quarantined"]
    told = deck.digest()
    return told["parts"] | {"whole": told["digest"]}, aside


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("orders")


def deck_in(folder: Path, blank_home: Path) -> Deck:
    path = folder / f"home-{len(list(folder.iterdir()))}"
    shutil.copytree(blank_home, path)
    return Deck(path)


def same_truth(
    rows: list[Unit], columns: tuple[str, ...], plan: Plan, folder: Path, blank_home: Path
) -> None:
    whole = [row for unit in rows for row in unit]
    straight = truth_of(deck_in(folder, blank_home), [[to_csv(whole, columns)]])
    assert truth_of(deck_in(folder, blank_home), spread(rows, columns, plan)) == straight
    assert straight[1] == 0


fast = settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
long = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@needs_data
@given(plan=PLANS, start=st.integers(0, 650))
@fast
def test_transactions__any_files_in_any_order_and_runs__one_digest(
    plan: Plan, start: int, folder: Path, blank_home: Path
) -> None:
    same_truth(units(real_rows()[start : start + 120]), COLUMNS, plan, folder, blank_home)


@needs_data
@pytest.mark.slow
@given(plan=PLANS)
@long
def test_transactions__all_of_the_year__one_digest(plan: Plan, folder: Path, blank_home: Path) -> None:
    same_truth(units(real_rows()), COLUMNS, plan, folder, blank_home)


BARS = [
    [
        bar(
            asset_id=asset,
            bucket_close=f"2025-03-{day:02d}T00:00:00Z",
            close=str(100 + day),
            price_source=source,
        )
    ]
    for asset in ("BTC", "ETH")
    for day in range(1, 13)
    for source in ("exchange", "other")
]
RATES = [
    [rate(quote=quote, asof=f"2025-03-{day:02d}T13:15:00Z", rate=f"1.{day:02d}")]
    for quote in ("USD", "PLN")
    for day in range(1, 13)
]


@given(plan=PLANS)
@fast
def test_prices__any_files_in_any_order__one_digest(plan: Plan, folder: Path, blank_home: Path) -> None:
    same_truth(BARS, PRICE_COLUMNS, plan, folder, blank_home)


@given(plan=PLANS)
@fast
def test_rates__any_files_in_any_order__one_digest(plan: Plan, folder: Path, blank_home: Path) -> None:
    same_truth(RATES, FX_COLUMNS, plan, folder, blank_home)


def test_out_before_in_or_after_it__the_transfer_is_put_right(new_deck: NewDeck) -> None:
    """A sender's file and a receiver's file, either way round: one transfer, no gain."""
    opening = Row(
        timestamp="2025-03-01T09:00:00Z",
        action="BUY",
        asset_id="BTC",
        quantity="3",
        unit_price_usd="10",
        account="a",
    )
    out = opening | {
        "timestamp": "2025-03-01T10:00:00Z",
        "action": "TRANSFER_OUT",
        "quantity": "2",
        "tx_hash": "h",
    }
    into = out | {"timestamp": "2025-03-01T10:05:00Z", "action": "TRANSFER_IN", "account": "b"}
    files = [to_csv([opening]), to_csv([out]), to_csv([into])]
    orders = [files, files[::-1], [files[2], files[0], files[1]]]
    truths = [
        truth_of(new_deck(str(number)), [[one] for one in order]) for number, order in enumerate(orders)
    ]
    assert truths[0] == truths[1] == truths[2]
    lots = Deck(new_deck("last").path)
    lots.ingest(*(lots.file(f"{n}.csv", data) for n, data in enumerate(files)))
    told = lots.ask("lots")
    assert (told["realized"], told["in_transit"]) == ([], [])
    assert {lot["account"]: lot["quantity"] for lot in told["open_lots"]} == {"a": "1", "b": "2"}

"""The digest depends on what is true and on nothing else; `verify` finds what was changed behind our back."""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.messages import Command, Query
from engine.runtime.engine import Engine
from engine.runtime.executors import WorkerExecutor
from tests.runtime.deck import FX_COLUMNS, NOW, PRICE_COLUMNS, Deck, Row, bar, buy, rate, to_csv

NewDeck = Callable[[str], Deck]
PARTS = {"ledger", "observations", "decisions", "open_lots", "realized", "snapshots", "quarantine"}
TRADES = [
    buy(quantity="2", fee_asset="USD", fee_amount="1"),
    buy(quantity="2", fee_asset="USD", fee_amount="1"),
    buy(action="SELL", quantity="1.25", unit_price_usd="150", timestamp="2025-03-02T10:00:00Z"),
    buy(action="TRANSFER_OUT", quantity="0.5", tx_hash="h", timestamp="2025-03-02T11:00:00Z"),
    buy(account=""),
]
BARS = [
    bar(bucket_close=f"2025-03-{day:02d}T00:00:00Z", close=f"10{day}", asset_id=asset)
    for day in range(2, 6)
    for asset in ("BTC", "ETH")
]


def fill(deck: Deck) -> Deck:
    deck.ingest(deck.file("trades.csv", TRADES), deck.file("bars.csv", to_csv(BARS, PRICE_COLUMNS)))
    return deck


def test_digest__whole_and_seven_parts_each_a_sha_256(deck: Deck) -> None:
    told = fill(deck).digest()
    assert set(told["parts"]) == PARTS
    assert all(len(text) == 64 and int(text, 16) >= 0 for text in [told["digest"], *told["parts"].values()])


def test_digest__batches_of_any_size__the_same(new_deck: NewDeck, monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    for size in ("1", "7", "1000"):
        monkeypatch.setenv("NAVDECK_INGEST_BATCH_ROWS", size)
        told.append(fill(new_deck(f"by-{size}")).digest())
    assert told[0] == told[1] == told[2]


@pytest.mark.slow
def test_digest__worker_process_or_thread__the_same(new_deck: NewDeck) -> None:
    plain, other = fill(new_deck("plain")), new_deck("other")
    paths = [str(other.file("trades.csv", TRADES)), str(other.file("bars.csv", to_csv(BARS, PRICE_COLUMNS)))]

    async def run() -> dict[str, object]:
        engine = await Engine.open(other.home, WorkerExecutor(), lambda: NOW, writing=True)
        try:
            await engine.do(Command("ingest", {"paths": paths}))
            return (await engine.ask(Query("digest"))).value
        finally:
            await engine.close()

    assert asyncio.run(run()) == plain.digest()


def test_digest__another_clock__the_same(new_deck: NewDeck) -> None:
    late = new_deck("late")
    late.clock = lambda: NOW + 86_400_000_000 * 400
    assert fill(late).digest() == fill(new_deck("now")).digest()


def test_digest__a_home_that_moved__the_same(deck: Deck, tmp_path: Path) -> None:
    before = fill(deck).digest()
    shutil.move(deck.path, tmp_path / "elsewhere" / "deep")
    assert Deck(tmp_path / "elsewhere" / "deep").digest() == before


def test_digest__written_otherwise_but_the_same_fact__the_same(new_deck: NewDeck) -> None:
    plain, other = new_deck("plain"), new_deck("other")
    plain.take(buy(quantity="1.5"))
    other.take(
        buy(
            quantity="01.500",
            unit_price_usd="100.00",
            timestamp="2025-03-01T10:00:00.000+00:00",
            wallet="w",
            venue="v",
            notes="a word",
            id="01955110-0d00-7f6a-b3ba-693f725a9a5b",
        )
    )
    assert other.fingerprint() == plain.fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": "1.500000000000000001"},
        {"unit_price_usd": "100.000000000000000001"},
        {"account": "other"},
        {"timestamp": "2025-03-01T10:00:00.000001Z"},
        {"external_id": "x"},
        {"fee_asset": "USD", "fee_amount": "0.1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_digest__the_smallest_other_fact__another(new_deck: NewDeck, change: dict[str, str]) -> None:
    one, other = new_deck("one"), new_deck("other")
    one.take(buy())
    other.take(buy(**change))
    assert one.digest()["parts"]["ledger"] != other.digest()["parts"]["ledger"]
    assert one.fingerprint() != other.fingerprint()


@pytest.mark.parametrize(
    ("columns", "one", "other"),
    [
        (PRICE_COLUMNS, bar(), bar(close="101.000000000000000001")),
        (PRICE_COLUMNS, bar(), bar(volume="1")),
        (FX_COLUMNS, rate(), rate(rate="1.100000000000000001")),
    ],
)
def test_digest__another_price_or_rate__another(
    new_deck: NewDeck, columns: tuple[str, ...], one: Row, other: Row
) -> None:
    told = []
    for name, row in (("one", one), ("other", other)):
        deck = new_deck(name)
        deck.ingest(deck.file("seen.csv", to_csv([row], columns)))
        told.append(deck.digest())
    assert told[0]["parts"]["observations"] != told[1]["parts"]["observations"]
    assert told[0]["digest"] != told[1]["digest"]


def test_digest__quarantine_and_snapshots_stand_beside_the_whole(deck: Deck) -> None:
    before = fill(deck).digest()
    deck.take(buy(account="", quantity="99"))
    deck.value(resolution="1d")
    after = deck.digest()
    assert after["digest"] == before["digest"]
    changed = {name for name in PARTS if before["parts"][name] != after["parts"][name]}
    assert changed == {"quarantine", "snapshots"}


def test_digest__a_price_more__only_the_observations_differ(deck: Deck) -> None:
    before = fill(deck).digest()
    deck.ingest(deck.file("more.csv", to_csv([bar(close="7")], PRICE_COLUMNS)))
    after = deck.digest()
    assert {name for name in PARTS if before["parts"][name] != after["parts"][name]} == {"observations"}
    assert after["digest"] != before["digest"]


# -- verify -------------------------------------------------------------------------------------------


@pytest.fixture
def valued(deck: Deck) -> Deck:
    fill(deck).value(resolution="1d")
    return deck


def failed(deck: Deck) -> dict[str, list[str]]:
    """The checks that did not pass, and what they found."""
    told = deck.ask("verify")
    found = {check["check"]: check["problems"] for check in told["checks"] if not check["ok"]}
    assert told["ok"] is not bool(found)
    assert all(found.values())
    return found


def lake_file(deck: Deck) -> Path:
    return min(deck.home.lake.rglob("*.parquet"))


def test_verify__untouched__everything_agrees(valued: Deck) -> None:
    assert failed(valued) == {}
    looked_at = {check["check"]: check["looked_at"] for check in valued.ask("verify")["checks"]}
    assert min(looked_at.values()) > 0


def test_verify__flipped_byte_in_the_lake__named(valued: Deck) -> None:
    path = lake_file(valued)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    found = failed(valued)
    assert list(found) == ["1d snapshots are what was written"]
    assert path.name in found["1d snapshots are what was written"][0]


def test_verify__deleted_lake_file__named(valued: Deck) -> None:
    path = lake_file(valued)
    path.unlink()
    found = failed(valued)
    assert path.name in found["1d snapshots are what was written"][0]


def test_verify__quantity_changed_under_it__snapshots_no_longer_follow(valued: Deck) -> None:
    valued.sql("UPDATE tx SET quantity = '2.000000000000000001' WHERE row = 1")
    assert "1d snapshots follow from the inputs" in failed(valued)


def test_verify__price_changed_under_it__snapshots_no_longer_follow(valued: Deck) -> None:
    valued.sql("UPDATE prices SET close = '1' WHERE asof = (SELECT max(asof) FROM prices)")
    assert "1d snapshots follow from the inputs" in failed(valued)


@pytest.mark.parametrize("table", ["tx", "prices", "quarantine"])
def test_verify__row_taken_away__the_count_is_missed(valued: Deck, table: str) -> None:
    valued.sql(f"DELETE FROM {table} WHERE record = 1 OR record = 5")
    assert "every file's rows are accounted for" in failed(valued)


def test_verify__source_file_gone_from_the_archive__named(valued: Deck) -> None:
    next(iter((valued.path / "archive").rglob("*.csv"))).unlink()
    found = failed(valued)
    assert list(found) == ["every source file is in the archive, byte for byte"]


def test_verify__values_older_than_the_inputs__says_what_to_do(valued: Deck) -> None:
    valued.take(buy(timestamp="2025-03-01T12:00:00Z", quantity="5"))
    (problems,) = failed(valued).values()
    assert "navdeck value" in problems[0]
    valued.value(resolution="1d")
    assert failed(valued) == {}


def test_verify__an_archived_file_with_a_flipped_byte__is_named(deck: Deck) -> None:
    deck.take(buy())
    (archived,) = (deck.path / "archive").rglob("*.csv")
    data = bytearray(archived.read_bytes())
    data[-3] ^= 1
    archived.write_bytes(data)
    told = deck.ask("verify")
    assert not told["ok"]
    assert any("bytes differ" in problem for check in told["checks"] for problem in check["problems"])

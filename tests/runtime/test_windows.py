"""Parquet files larger than a window: taken piece by piece, resumed where they stopped."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from engine.runtime import take
from tests.runtime.deck import PRICE_COLUMNS, Deck, Row, bar

NewDeck = Callable[[str], Deck]
ROWS, WINDOW = 95, 20


def rows() -> list[Row]:
    """Some days come twice, some with another price, one is bad; all of it across windows."""
    days = [
        bar(bucket_close=f"20{number // 28:02d}-03-{number % 28 + 1:02d}T00:00:00Z", close=f"{number + 1}.5")
        for number in range(ROWS - 3)
    ]
    return [*days, days[0], days[5] | {"close": "77"}, days[1] | {"close": "-1"}]


@pytest.fixture(autouse=True)
def _small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAVDECK_INGEST_WINDOW_ROWS", str(WINDOW))


def parquet(deck: Deck) -> Path:
    path = deck.file("prices.parquet", b"")
    pl.DataFrame(rows()).select(pl.col(name) if name in rows()[0] else pl.lit("").alias(name)
                                for name in PRICE_COLUMNS).write_parquet(path)  # fmt: skip
    return path


def whole(new_deck: NewDeck) -> Deck:
    """The same rows in one piece."""
    deck = new_deck("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAVDECK_INGEST_WINDOW_ROWS", "10000")
        deck.ingest(parquet(deck))
    return deck


def test_in_windows__the_same_as_in_one_piece(new_deck: NewDeck) -> None:
    deck, other = new_deck("windows"), whole(new_deck)
    (entry,) = deck.ingest(parquet(deck))["files"]
    counts = {name: entry[name] for name in ("rows", "accepted", "duplicates", "quarantined")}
    assert counts == {"rows": ROWS, "accepted": ROWS - 2, "duplicates": 1, "quarantined": 1}
    assert entry["reasons"] == {"BAR_INVALID": 1} or "PRICE_INVALID" in entry["reasons"]
    assert deck.digest() == other.digest()
    assert deck.ask("verify")["ok"]


def test_dry_run__tells_what_the_real_one_does(new_deck: NewDeck) -> None:
    deck = new_deck("windows")
    path = parquet(deck)
    told = deck.ingest(path, dry_run=True)["files"][0]
    assert deck.counts()["prices"] == 0
    assert told == deck.ingest(path)["files"][0]


@pytest.mark.parametrize("windows_done", range(5))
def test_stopped_after_some_windows__goes_on_from_there(new_deck: NewDeck, windows_done: int) -> None:
    deck, other = new_deck("windows"), whole(new_deck)
    path, done = parquet(deck), 0
    transactions = take.transaction

    def cut(*arguments: object, **options: object) -> object:
        nonlocal done
        done += 1
        if done > windows_done:
            raise OSError("the power is gone")
        return transactions(*arguments, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(take, "transaction", cut)
        with pytest.raises(OSError, match="power"):
            deck.ingest(path)
    stored = deck.sql("SELECT status, rows FROM files")
    assert stored == ([("partial", windows_done * WINDOW)] if windows_done else [])
    path.unlink()  # the archive has it
    if windows_done:
        (entry,) = deck.ingest()["files"]
    else:
        (entry,) = deck.ingest(parquet(deck))["files"]
    assert (entry["status"], entry["rows"]) == ("ingested", ROWS)
    assert deck.digest() == other.digest()
    assert deck.ask("verify")["ok"]


def test_damaged_behind_the_first_window__refused_before_anything_is_stored(new_deck: NewDeck) -> None:
    deck = new_deck("windows")
    path = deck.file("prices.parquet", b"")
    frame = pl.read_parquet(parquet(deck))
    frame.write_parquet(path, row_group_size=WINDOW, compression="zstd")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 400] = bytes(400)
    path.write_bytes(data)
    (entry,) = deck.ingest(path)["files"]
    assert entry["status"] == "rejected"
    assert deck.counts()["prices"] == 0

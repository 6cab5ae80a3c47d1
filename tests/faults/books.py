"""What is taken in while things go wrong, and what must hold of a home once they are right again."""

import hashlib
import os
from typing import Any

from engine.store import journal, journal_audit
from engine.store.reader import Reader
from tests.runtime.deck import LONG_AGO_S, PRICE_COLUMNS, Deck, Row, bar, buy, to_csv

FILES, ROWS, DAYS = 6, 300, 400
Sources = dict[str, bytes]
_KEPT = {"transactions": "tx", "prices": "prices", "fx": "fx_rates"}


def fills(number: int, rows: int) -> list[Row]:
    """A third of each file's rows are in the next one too; some are bad, some are equal."""
    taken = [
        buy(
            timestamp=f"2025-03-{1 + n // 1000:02d}T10:{n // 60 % 60:02d}:{n % 60:02d}Z",
            quantity=f"{n + 1}.5",
            external_id=f"t-{n}",
            account=f"account-{n % 5}",
            fee_asset="USD",
            fee_amount="0.25",
        )
        for n in range(number * rows * 2 // 3, number * rows * 2 // 3 + rows)
    ]
    return [
        *taken,
        buy(account=f"twin-{number}"),
        buy(account=f"twin-{number}"),
        buy(account="", notes=str(number)),
    ]


def contents(files: int = FILES, rows: int = ROWS, days: int = DAYS) -> Sources:
    """Transactions, overlapping prices and a file that is refused, by name."""
    found = {f"tx-{number}.csv": to_csv(fills(number, rows)) for number in range(files)}
    for part in range(2):
        bars = [
            bar(bucket_close=f"20{n // 28:02d}-05-{n % 28 + 1:02d}T00:00:00Z", close=f"{n + 1}.25")
            for n in range(part * days // 2, part * days // 2 + days)
        ]
        found[f"prices-{part}.csv"] = to_csv(bars, PRICE_COLUMNS)
    return found | {"broken.csv": b"not,a,header,we,know\n"}


def few() -> Sources:
    """A little of everything."""
    sources = contents(files=2, rows=12, days=10)
    return {name: sources[name] for name in ("broken.csv", "prices-0.csv", "tx-0.csv", "tx-1.csv")}


def fill_inbox(deck: Deck, sources: Sources) -> None:
    for name, data in sources.items():
        os.utime(deck.drop(name, data), (LONG_AGO_S, LONG_AGO_S))


def files_of(deck: Deck, sources: Sources) -> list[Any]:
    """The same files beside the home, to be named."""
    return [deck.file(name, data) for name, data in sources.items()]


def marked(deck: Deck) -> int:
    """The last journal record that state.db has; read without changing anything."""
    with Reader(deck.home.state) as reader:
        text = reader.meta().get("journal")
    return journal.Mark.from_json(text).seq if text else 0


def ahead(deck: Deck) -> int:
    """How many records the journal has that state.db lacks."""
    if not deck.home.journal.is_dir():
        return 0
    return journal_audit.verify(deck.home.journal).head.seq - marked(deck)


def check_whole(deck: Deck) -> None:
    """Nothing is there in part: what is said of each file is what is stored of it."""
    with Reader(deck.home.state) as reader:
        check_files(reader)


def check_files(reader: Reader) -> None:
    """As `check_whole`, by an open reader."""
    assert reader.rows("PRAGMA integrity_check") == [("ok",)]
    for file in reader.records("SELECT * FROM files WHERE status = 'ingested'"):
        of_file = f"WHERE file = {file['file']}"
        assert file["rows"] == file["accepted"] + file["duplicates"] + file["quarantined"]
        kept = reader.value(f"SELECT count(*) FROM {_KEPT[file['kind']]} {of_file}")
        assert kept == file["accepted"], file
        held = reader.value(f"SELECT count(*) FROM quarantine {of_file} AND status <> 'released'")
        assert held == file["quarantined"], file


def check(deck: Deck, digest: dict[str, Any], sources: Sources) -> None:
    """The truth is that of a home left in peace, every row is accounted for, nothing lies about."""
    mine = deck.digest()
    assert mine["digest"] == digest["digest"]
    assert mine["parts"]["quarantine"] == digest["parts"]["quarantine"]
    check_whole(deck)
    assert not deck.home.claimed.exists() or list(deck.home.claimed.iterdir()) == []
    kept = {hashlib.sha256(data).hexdigest() + ".csv": data for data in sources.values()}
    taken = {name for (name,) in deck.sql("SELECT sha256 || '.csv' FROM files WHERE status = 'ingested'")}
    assert len(taken) == len(sources) - 1
    archive = {name: data for name, data in deck.archive().items() if not name.startswith(".")}
    assert archive == {name: kept[name] for name in taken}
    refused, reason = [name for name in deck.rejected() if not name.startswith(".")]
    assert (deck.home.rejected / refused).read_bytes() == sources["broken.csv"]
    assert reason == refused + ".reason.json"
    assert deck.ask("verify")["ok"]
    assert journal_audit.verify(deck.home.journal).problems == []

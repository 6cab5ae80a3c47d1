"""Files of every kind through the whole path: what is stored, what is set aside, what is told."""

import hashlib
import json
from collections.abc import Callable

import polars as pl
import pytest

from console.cli import main
from engine.config import CONFIG_NAME
from engine.domain.instants import parse_instant
from engine.domain.transactions import COLUMNS
from tests.runtime.deck import FX_COLUMNS, PRICE_COLUMNS, Deck, bar, buy, rate, to_csv

ENTRY = {
    "path",
    "sha256",
    "kind",
    "status",
    "rows",
    "accepted",
    "duplicates",
    "quarantined",
    "fees_created",
    "reason",
}
COUNTS = ("rows", "accepted", "duplicates", "quarantined", "fees_created")
TRADES = [
    buy(quantity="2"),
    buy(action="SELL", quantity="0.5", timestamp="2025-03-01T11:00:00Z", fee_asset="USD", fee_amount="3"),
]


def counted(entry: dict[str, int]) -> tuple[int, ...]:
    return tuple(entry[name] for name in COUNTS)


def test_transactions__two_good_rows__two_rows_and_a_fee(deck: Deck) -> None:
    entry = deck.take(*TRADES)
    assert (entry["kind"], entry["status"], entry["reason"]) == ("transactions", "ingested", None)
    assert counted(entry) == (2, 2, 0, 0, 1)
    assert deck.counts()["transactions"] == 2


def test_answer__has_the_contracts_shape(deck: Deck) -> None:
    data = to_csv(TRADES)
    path = deck.file("trades.csv", data)
    answer = deck.ingest(path)
    (entry,) = answer["files"]
    assert set(entry) >= ENTRY
    assert entry["path"] == str(path)
    assert entry["sha256"] == hashlib.sha256(data).hexdigest()
    assert {name: answer["totals"][name] for name in COUNTS} == {name: entry[name] for name in COUNTS}
    assert json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize("suffix", ["csv", "parquet", "CSV", "Parquet"])
def test_prices__csv_or_parquet__the_same_observations(new_deck: Callable[[str], Deck], suffix: str) -> None:
    rows = [bar(), bar(asset_id="ETH", close="7.50", open="7", high="8", low="6", volume="12.5")]
    plain, other = new_deck("plain"), new_deck("other")
    plain.ingest(plain.file("prices.csv", to_csv(rows, PRICE_COLUMNS)))
    path = other.file(f"prices.{suffix}", to_csv(rows, PRICE_COLUMNS))
    if suffix.lower() == "parquet":
        full = [{name: row.get(name, "") for name in PRICE_COLUMNS} for row in rows]
        pl.DataFrame(full).write_parquet(path)
    (entry,) = other.ingest(path)["files"]
    assert (entry["kind"], *counted(entry)) == ("prices", 2, 2, 0, 0, 0)
    assert other.fingerprint() == plain.fingerprint()


def test_fx__csv_and_parquet_of_the_same_rates__the_second_adds_none(deck: Deck) -> None:
    rows = [rate(), rate(quote="PLN", rate="4.25")]
    first = deck.ingest(deck.file("fx.csv", to_csv(rows, FX_COLUMNS)))["files"][0]
    path = deck.file("fx.parquet", b"")
    pl.DataFrame(rows).select(FX_COLUMNS).write_parquet(path)
    second = deck.ingest(path)["files"][0]
    assert (first["kind"], *counted(first)) == ("fx", 2, 2, 0, 0, 0)
    assert (second["kind"], *counted(second)) == ("fx", 2, 0, 2, 0, 0)


def test_price__another_value_for_a_known_key__a_further_version_that_counts(deck: Deck) -> None:
    for number, close in enumerate(("101", "102", "101.0")):
        deck.ingest(deck.file(f"{number}.csv", to_csv([bar(close=close)], PRICE_COLUMNS)))
    assert deck.sql("SELECT version, close FROM prices ORDER BY version") == [(0, "101"), (1, "102")]


def test_bad_row__told_with_every_reason__good_rows_go_on(deck: Deck) -> None:
    bad = buy(
        timestamp="yesterday", action="GIFT", quantity="-1", unit_price_usd="1e5", fee_asset="USD", account=""
    )
    entry = deck.take(buy(), bad)
    assert counted(entry) == (2, 1, 0, 1, 0)
    (row,) = deck.ask("quarantine")["rows"]
    codes = [reason["code"] for reason in row["reasons"]]
    assert set(codes) == {
        "TIMESTAMP_INVALID",
        "ACTION_UNKNOWN",
        "QUANTITY_SIGN",
        "PRICE_INVALID",
        "FEE_INCOMPLETE",
        "ACCOUNT_MISSING",
    }
    assert {"code": "TIMESTAMP_INVALID", "column": "timestamp", "value": "yesterday"} in row["reasons"]
    assert (row["record"], row["line"], row["status"], row["sha256"]) == (2, 3, "open", entry["sha256"])
    assert row["row"] == dict.fromkeys(COLUMNS, "") | bad


def test_quarantine__ids_tell_file_and_record(deck: Deck) -> None:
    deck.take(buy(account=""), buy(), buy(account="", quantity="2"))
    deck.take(buy(account="", quantity="3"))
    ids = [row["id"] for row in deck.ask("quarantine")["rows"]]
    assert len(set(ids)) == 3
    assert [one.rsplit("-", 1)[1] for one in ids] == ["1", "3", "1"]


def test_record_of_too_many_fields__kept_whole_by_place(deck: Deck) -> None:
    deck.ingest(deck.file("long.csv", to_csv([buy()]) + b"a,b,c,d,e,f,g,h,i,j,k,l,m,n,one too many\n"))
    (row,) = deck.ask("quarantine")["rows"]
    assert row["reasons"] == [{"code": "COLUMN_COUNT", "column": "", "value": "15"}]
    assert row["row"]["column_15"] == "one too many"


def test_same_bytes_again__a_duplicate_file_of_no_rows(deck: Deck) -> None:
    deck.ingest(deck.file("one.csv", TRADES))
    before = deck.truth()
    entry = deck.ingest(deck.file("other-name.csv", TRADES))["files"][0]
    assert (entry["status"], entry["kind"], *counted(entry)) == ("duplicate", "transactions", 0, 0, 0, 0, 0)
    assert deck.truth() == before


def test_same_file_named_twice_in_one_run__taken_once(deck: Deck) -> None:
    path = deck.file("one.csv", TRADES)
    assert [entry["status"] for entry in deck.ingest(path, path)["files"]] == ["ingested", "duplicate"]


def test_overlapping_export__only_what_is_new_is_stored(deck: Deck) -> None:
    deck.take(*TRADES)
    entry = deck.take(*TRADES, buy(quantity="9"))
    assert counted(entry) == (3, 1, 2, 0, 0)


def test_two_equal_fills_in_one_file__two_transactions__again_in_another__none(deck: Deck) -> None:
    deck.take(buy(), buy())
    entry = deck.take(buy(), buy(), buy(quantity="7"))
    assert counted(entry) == (3, 1, 2, 0, 0)
    assert deck.counts()["transactions"] == 3


def test_known_key_with_other_content__a_conflict_in_quarantine(deck: Deck) -> None:
    deck.take(buy(external_id="t-1"))
    before = deck.fingerprint()
    entry = deck.take(buy(external_id="t-1", quantity="8"))
    assert counted(entry) == (1, 0, 0, 1, 0)
    (row,) = deck.ask("quarantine")["rows"]
    assert [reason["code"] for reason in row["reasons"]] == ["IDEMPOTENCY_CONFLICT"]
    assert deck.fingerprint() == before


def test_header_alone__ingested_with_no_rows(deck: Deck) -> None:
    entry = deck.take()
    assert (entry["status"], *counted(entry)) == ("ingested", 0, 0, 0, 0, 0)


def test_archive__keeps_every_file_taken_byte_for_byte(deck: Deck) -> None:
    rows = [row | {"notes": "first\r\nsecond"} for row in TRADES]
    data = to_csv(rows)
    deck.ingest(deck.file("a.csv", data))
    deck.ingest(deck.file("b.csv", b"nothing known\n1\n"))
    assert deck.archive() == {hashlib.sha256(data).hexdigest() + ".csv": data}


def test_dry_run__tells_the_same_and_stores_nothing(deck: Deck) -> None:
    deck.take(*TRADES)
    paths = [
        deck.file("good.csv", [buy(quantity="4"), buy(account="")]),
        deck.file("known.csv", [*TRADES, buy(quantity="5")]),
        deck.file("bad.csv", b"what,is,this\n"),
    ]
    before = deck.truth(), deck.archive(), deck.rejected(), deck.fingerprint()
    dry = deck.ingest(*paths, dry_run=True)
    assert (deck.truth(), deck.archive(), deck.rejected(), deck.fingerprint()) == before
    assert deck.ingest(*paths) == dry


def test_dry_run_of_the_inbox__leaves_it_as_it_is(deck: Deck) -> None:
    path = deck.drop("trades.csv", TRADES)
    assert deck.ingest(dry_run=True)["totals"]["accepted"] == 2
    assert path.read_bytes() == to_csv(TRADES)
    assert deck.ingest()["totals"]["accepted"] == 2


def test_rejected_before_and_now_good__taken(deck: Deck) -> None:
    future = [buy(timestamp="2026-01-03T00:00:00Z")]
    big = deck.file("big.csv", to_csv(future))
    sha256 = hashlib.sha256(big.read_bytes()).hexdigest()
    deck.sql(
        "INSERT INTO files(sha256, name, status, bytes, rows, accepted, duplicates, quarantined,"
        " fees_created, reason, committed_at)"
        " VALUES (?, 'big.csv', 'rejected', 9, 0, 0, 0, 0, 0, 'FILE_TOO_LARGE', 1)",
        sha256,
    )
    entry = deck.ingest(big)["files"][0]
    assert (entry["status"], entry["rows"]) == ("ingested", 1)
    assert deck.sql("SELECT status, reason FROM files") == [("ingested", None)]


def test_file_that_is_not_there__nothing_of_the_others_is_taken(deck: Deck) -> None:
    good = deck.file("good.csv", TRADES)
    assert main(["ingest", str(good), str(good) + ".not", "--home", str(deck.path)]) == 2
    assert deck.counts()["files"] == 0


def test_row_bound_up_with_the_file__rows_are_accepted_duplicates_or_quarantined(deck: Deck) -> None:
    deck.take(*TRADES)
    entry = deck.take(*TRADES, buy(account=""), buy(quantity="11"), buy(quantity="=1"))
    assert counted(entry) == (5, 1, 2, 2, 0)
    assert deck.sql("SELECT count(*) FROM files WHERE rows <> accepted + duplicates + quarantined") == [(0,)]


def test_events__one_count_up_for_each_file__done_only_after_it_is_stored(deck: Deck) -> None:
    stored = []

    def look(kind: str, _data: object) -> None:
        if kind == "file_done":
            stored.append(deck.sql("SELECT count(*) FROM files")[0][0])

    deck.on_event = look
    deck.ingest(deck.file("a.csv", TRADES), deck.file("b.csv", [buy(quantity="3")]))
    assert stored == [1, 2]
    told = [kind for kind, _ in deck.events if kind in ("file_started", "file_done")]
    assert told == ["file_started", "file_done"] * 2


def test_file_done__says_how_long_the_file_took__one_after_the_other(deck: Deck) -> None:
    deck.ingest(deck.file("a.csv", TRADES), deck.file("b.csv", [buy(quantity="3")]))
    done = [data for kind, data in deck.events if kind == "file_done"]
    assert all(data["seconds"] > 0 for data in done)
    ends = [parse_instant(data["done_at"]) or 0 for data in done]
    assert (parse_instant(done[0]["at"]) or 0) < ends[0] < ends[1]


def test_batches_of_one__the_same_rows(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.runtime.take.REPORT_EVERY_S", 0)
    with deck.home.config_path.open("a") as settings:
        settings.write("\n[ingest]\nbatch_rows = 1\n")
    assert (deck.path / CONFIG_NAME).is_file()
    deck.take(*TRADES, buy(account=""))
    progress = [data["done"] for kind, data in deck.events if kind == "file_progress"]
    assert progress == [1, 2, 3]

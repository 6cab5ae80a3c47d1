"""Which files of the inbox are ready, how they are claimed, and what a crash or a slow sender does to it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.instants import SECOND_US
from engine.runtime.home import Home
from engine.runtime.inbox import Look, claim, left_claims, ready, scan, takes
from tests.runtime.deck import NOW, Deck, buy, ticking, to_csv

FRESH = Look(at=NOW, size=100, mtime=NOW - SECOND_US, inode=7, regular=True, ends_line=True)


def later(look: Look, seconds: float, **changes: object) -> Look:
    return replace(look, at=look.at + int(seconds * SECOND_US), **changes)  # type: ignore[arg-type]


@pytest.fixture
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks follow each other at once, and the machine's clock moves on a second with each."""
    monkeypatch.setattr("engine.runtime.intake.LOOK_EVERY_S", 0)
    monkeypatch.setattr("engine.runtime.intake.system_clock", ticking())


def test_ready__fresh_file_seen_once__not_yet() -> None:
    assert not ready(None, FRESH)


def test_ready__two_equal_looks_two_seconds_apart() -> None:
    assert not ready(FRESH, later(FRESH, 1.9))
    assert ready(FRESH, later(FRESH, 2))


@pytest.mark.parametrize("change", [{"size": 101}, {"mtime": NOW}, {"inode": 8}])
def test_ready__changed_between_the_looks__not_yet(change: dict[str, int]) -> None:
    assert not ready(FRESH, later(FRESH, 5, **change))


def test_ready__no_final_newline__only_after_ten_quiet_seconds() -> None:
    cut = replace(FRESH, ends_line=False)
    assert not ready(cut, later(cut, 8))
    assert ready(cut, later(cut, 9))


def test_ready__no_final_newline_and_a_time_in_the_future__after_ten_seconds_of_looking() -> None:
    ahead = replace(FRESH, ends_line=False, mtime=NOW + 10**15)
    assert not ready(ahead, later(ahead, 9.9))
    assert ready(ahead, later(ahead, 10))


def test_ready__old_file__at_once() -> None:
    assert ready(None, later(FRESH, 9))


def test_ready__what_is_no_regular_file__needs_no_waiting() -> None:
    assert ready(None, replace(FRESH, regular=False))


@given(st.integers(0, 1_999_999), st.booleans())
@settings(deadline=None, max_examples=50)
def test_ready__fresh_file_within_two_seconds__never(gap_us: int, ends_line: bool) -> None:
    first = replace(FRESH, ends_line=ends_line)
    assert not ready(first, replace(first, at=first.at + gap_us))


@pytest.mark.parametrize(
    "name", ["a.csv", "A.CSV", "b.parquet", "B.Parquet", "x.tmp.csv", "-.csv", "a b.csv"]
)
def test_names__csv_and_parquet_in_any_case__taken(name: str) -> None:
    assert takes(name)


@pytest.mark.parametrize(
    "name",
    ["a.txt", "csv", "a.csv.part", "a.csv.tmp", "a.csv~", "a.csv.filepart", ".a.csv", "a.csv.gz", "a.xlsx"],
)
def test_names__others__not_taken(name: str) -> None:
    assert not takes(name)


def test_ingest__other_names_wait_and_are_told(deck: Deck) -> None:
    deck.drop("notes.txt", b"hello")
    deck.drop("trades.csv", [buy()])
    answer = deck.ingest()
    assert answer["waiting"] == ["notes.txt"]
    assert os.listdir(deck.home.inbox) == ["notes.txt"]
    assert [alert["code"] for alert in deck.ask("status")["alerts"]][:1] == ["INBOX_NAME"]


def test_ingest__empty_inbox__nothing_to_do(deck: Deck) -> None:
    answer = deck.ingest()
    assert (answer["files"], answer["waiting"], answer["totals"]["files"]) == ([], [], 0)


def test_ingest__inbox__by_name_in_order_and_emptied(deck: Deck) -> None:
    for name in ("c.csv", "a.csv", "b.CSV"):
        deck.drop(name, [buy(account=name)])
    answer = deck.ingest()
    assert [Path(entry["path"]).name for entry in answer["files"]] == ["a.csv", "b.CSV", "c.csv"]
    assert os.listdir(deck.home.inbox) == os.listdir(deck.home.claimed) == []


@pytest.mark.usefixtures("_no_waiting")
def test_half_written_file_that_grows__taken_whole(deck: Deck) -> None:
    whole = to_csv([buy(quantity=str(n)) for n in range(1, 5)])
    lines = whole.splitlines(keepends=True)
    path = deck.drop("slow.csv", b"".join(lines[:2]), settled=False)
    rest = lines[2:]

    def send(kind: str, _data: object) -> None:
        if kind == "settling" and rest:
            with path.open("ab") as file:
                file.write(rest.pop(0))

    deck.on_event = send
    (entry,) = deck.ingest()["files"]
    assert (entry["rows"], entry["accepted"]) == (4, 4)
    assert list(deck.archive().values()) == [whole]


@pytest.mark.usefixtures("_no_waiting")
def test_settled_files_are_taken_while_another_still_grows(deck: Deck) -> None:
    deck.drop("b-settled.csv", [buy()])
    deck.drop("a-fresh.csv", [buy(quantity="2")], settled=False)
    assert [Path(entry["path"]).name for entry in deck.ingest()["files"]] == ["b-settled.csv", "a-fresh.csv"]


@pytest.mark.usefixtures("_no_waiting")
def test_file_that_vanishes_while_it_settles__no_error(deck: Deck) -> None:
    path = deck.drop("gone.csv", [buy()], settled=False)
    deck.on_event = lambda kind, _data: path.unlink(missing_ok=True) if kind == "settling" else None
    assert deck.ingest()["files"] == []
    assert not deck.home.claimed.exists() or os.listdir(deck.home.claimed) == []


def test_claim__file_that_vanished__none_and_no_trace(deck: Deck) -> None:
    assert claim(deck.home, "never.csv") is None
    assert os.listdir(deck.home.claimed) == []


def test_claim__takes_the_file_out_of_the_inbox_under_its_name(deck: Deck) -> None:
    deck.drop("trades.csv", [buy()])
    claimed = claim(deck.home, "trades.csv")
    assert claimed is not None
    assert (claimed.name, claimed.path.name, claimed.path.read_bytes()) == (
        "trades.csv",
        "trades.csv",
        to_csv([buy()]),
    )
    assert os.listdir(deck.home.inbox) == []
    assert left_claims(deck.home) == [claimed]


def test_claims_of_a_crash__taken_first_oldest_first(deck: Deck) -> None:
    for name in ("y.csv", "x.csv"):
        deck.drop(name, [buy(account=name)])
        claim(deck.home, name)
    deck.drop("a.csv", [buy(account="a")])
    assert [Path(entry["path"]).name for entry in deck.ingest()["files"]] == ["y.csv", "x.csv", "a.csv"]
    assert os.listdir(deck.home.claimed) == []


def test_claim_committed_before_the_crash__a_duplicate_and_cleared(deck: Deck) -> None:
    deck.ingest(deck.file("trades.csv", [buy()]))
    deck.drop("trades.csv", [buy()])
    claim(deck.home, "trades.csv")
    assert [entry["status"] for entry in deck.ingest()["files"]] == ["duplicate"]
    assert deck.counts()["transactions"] == 1
    assert os.listdir(deck.home.claimed) == []


def test_scan__hidden_names_and_unfinished_downloads__left_alone(tmp_path: Path) -> None:
    for name in (".hidden.csv", "a.csv", "b.csv.part"):
        (tmp_path / name).write_bytes(b"x")
    looks, others = scan(tmp_path, NOW)
    assert (list(looks), others) == (["a.csv"], ["b.csv.part"])


def test_burst_of_a_hundred_files__each_row_once(deck: Deck) -> None:
    for number in range(100):
        deck.drop(
            f"burst-{number:03d}.csv", [buy(external_id=f"t-{number}"), buy(external_id=f"t-{number - 1}")]
        )
    totals = deck.ingest()["totals"]
    assert (totals["files"], totals["rows"], totals["accepted"], totals["duplicates"]) == (100, 200, 101, 99)
    assert os.listdir(deck.home.inbox) == os.listdir(deck.home.claimed) == []
    assert len(deck.archive()) == 100


def test_names_that_reach_elsewhere__stay_in_rejected(deck: Deck) -> None:
    for name in ("..csv.csv", "--help.csv", "$(touch x).csv", "a;b|c.csv", "n" * 251 + ".csv"):
        deck.drop(name, b"no header\n")
    deck.ingest()
    allowed = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert all(set(name) <= allowed for name in deck.rejected())
    assert len(deck.rejected()) >= 2
    assert Home(deck.path).rejected.is_dir()

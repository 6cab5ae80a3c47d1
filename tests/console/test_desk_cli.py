"""A trader's day at the desk, from the command line to the books and back, on a real home."""

import csv
import io
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console.cli import main
from engine.store.files import HomeLock
from tests.console.test_hostile import ATTACKS, hostile_rows
from tests.runtime.deck import FX_COLUMNS, PRICE_COLUMNS, Deck, Row, bar, buy, rate, to_csv

Capture = pytest.CaptureFixture[str]
UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heavy verbs without a worker process: the same work, without its start."""
    from engine.runtime.executors import ThreadExecutor

    monkeypatch.setattr("engine.runtime.executors.WorkerExecutor", lambda *_limits: ThreadExecutor())


class Desk:
    """The command line on one home."""

    def __init__(self, deck: Deck, capsys: Capture) -> None:
        self.deck, self.capsys = deck, capsys

    def run(self, *words: str | Path, code: int = 0) -> str:
        """Standard output; the exit code is as it must be and stderr has no traceback."""
        self.capsys.readouterr()
        given = main([*map(str, words), "--home", str(self.deck.path)])
        output = self.capsys.readouterr()
        assert given == code, output.err + output.out
        assert "Traceback" not in output.err
        return output.out

    def json(self, *words: str | Path, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code))

    def ids(self, *words: str) -> list[str]:
        return [row["id"] for row in self.json("quarantine", "list", *words)]

    def parts(self) -> dict[str, str]:
        """What the books hold, whatever was decided on the way."""
        parts = self.json("digest")["parts"]
        return {name: parts[name] for name in ("ledger", "open_lots", "realized")}


@pytest.fixture
def desk(deck: Deck, capsys: Capture) -> Desk:
    return Desk(deck, capsys)


def test_day__fixed_and_released__books_as_if_the_file_had_been_right(
    desk: Desk, new_deck: Callable[[str], Deck], capsys: Capture
) -> None:
    right = [buy(external_id=f"T-{number}", quantity=str(number)) for number in range(1, 6)]
    wrong = [row | ({"action": "buy"} if number < 3 else {}) for number, row in enumerate(right)]
    wrong[4]["quantity"] = "1e3"
    desk.run("ingest", desk.deck.file("wrong.csv", wrong), code=3)
    other = Desk(new_deck("other"), capsys)
    other.run("ingest", other.deck.file("right.csv", [*right[:4], right[4] | {"quantity": "5"}]))

    preview = desk.json("quarantine", "fix", "--all", "--code", "ACTION_UNKNOWN", "--suggested", "--dry-run")
    assert (preview["would_pass"], preview["still_fail"]) == (3, 0)
    assert desk.json("decisions")["rows"] == []
    desk.run("quarantine", "fix", "--all", "--code", "ACTION_UNKNOWN", "--suggested")
    (last,) = desk.ids("--reason", "QUANTITY_INVALID")
    desk.run("quarantine", "fix", "quantity=5", last, "--reason", "as the exchange says")
    assert "4 rows would be released" in desk.run("quarantine", "release", "--all", "--dry-run")
    released = desk.json("quarantine", "release", "--all", "--file", "wrong")

    assert (released["released"], released["accepted"], released["refused"]) == (4, 4, [])
    assert desk.parts() == other.parts()
    assert desk.ids() == []
    assert "nothing is in quarantine" in desk.run("quarantine", "list")
    assert len(desk.ids("--status", "released")) == 4
    assert desk.json("verify")["ok"]
    assert desk.json("journal", "verify")["ok"]
    again = desk.json("quarantine", "release", last)
    assert (again["released"], again["already"]) == (0, [last])


def test_correction__supersedes__can_be_explained_and_undone(desk: Desk) -> None:
    desk.run("ingest", desk.deck.file("first.csv", [buy(external_id="T-1", quantity="2.5")]))
    before = desk.json("lots")
    desk.run("ingest", desk.deck.file("second.csv", [buy(external_id="T-1", quantity="2")]), code=3)
    (row,) = desk.ids("--reason", "IDEMPOTENCY_CONFLICT")

    shown = desk.json("quarantine", "show", row)
    (stored,) = shown["conflicts"]
    assert desk.run("quarantine", "show", row).count("2.5") == 1
    assert "1 row refused" in desk.run("quarantine", "release", row, code=1)
    desk.run("quarantine", "release", row, "--supersede", stored["tx"], "--reason", "cut by the exchange")
    old = desk.json("explain", stored["tx"])
    new = desk.json("explain", old["superseded_by"])
    assert (old["lots"], new["lots"][0]["quantity"]) == ([], "2")
    assert "superseded by" in desk.run("explain", stored["tx"])
    assert "cut by the exchange" in desk.run("decisions")
    (made,) = desk.json("decisions")["rows"]
    desk.run("undo", str(made["decision"]))
    assert desk.json("lots") == before
    desk.run("undo", code=2)
    desk.run("quarantine", "reject", row, "--reason", "the first was right")
    assert desk.ids() == []
    assert desk.ids("--status", "rejected") == desk.ids("--status", "all") == [row]
    desk.run("undo")
    assert desk.ids() == [row]


def test_leg__released_beside_its_transaction(desk: Desk) -> None:
    desk.run("ingest", desk.deck.file("first.csv", [buy(tx_hash="0xab")]))
    desk.run("ingest", desk.deck.file("second.csv", [buy(tx_hash="0xab", quantity="7")]), code=3)
    (row,) = desk.ids()

    assert f"navdeck quarantine release {row} --as-leg" in desk.run("quarantine", "show", row)
    assert desk.json("quarantine", "release", "--as-leg", row)["accepted"] == 1
    assert len(desk.json("lots")["open_lots"]) == 2


def test_list__page_by_page__every_row_once(desk: Desk) -> None:
    rows = [buy(quantity=str(number), account="") for number in range(1, 451)]
    desk.run("ingest", desk.deck.file("many.csv", rows), code=3)

    listed = desk.json("quarantine", "list")
    assert [row["record"] for row in listed] == [*range(1, 451)]
    assert [row["record"] for row in desk.json("quarantine", "list", "--limit", "7", "--offset", "300")] == [
        *range(301, 308)
    ]
    assert "250 more: --offset 200" in desk.run("quarantine", "list")
    assert desk.ids("--text", "2025-03-01", "--file", "many", "--older-than", "0s") == desk.ids()
    desk.run("quarantine", "list", "--account", "nobody", code=2)


def test_export__ingested_elsewhere__same_verdict_on_every_row(
    desk: Desk, new_deck: Callable[[str], Deck], capsys: Capture, tmp_path: Path
) -> None:
    rows = [
        buy(action="buy", notes='says "so", twice\nand again'),
        buy(quantity="-1"),
        buy(action="FEE", quantity="-1", unit_price_usd="x"),
        buy(timestamp="2025-03-01 10:00:00Z", id="abc"),
        buy(account=""),
        buy(fee_asset="USD"),
        buy(quantity="2", asset_id="E TH", unit_price_usd=""),
    ]
    data = to_csv(rows).replace(b",main,", b',"main",') + b",only,three\n"
    desk.run("ingest", desk.deck.file("wrong.csv", data), code=3)
    target = tmp_path / "export.csv"
    assert "8 rows" in desk.run("quarantine", "export", "--to", target)

    other = Desk(new_deck("other"), capsys)
    other.run("ingest", target, code=3)

    def verdicts(at: Desk) -> list[Any]:
        return [(row["reasons"], row["row"]) for row in at.json("quarantine", "list")]

    assert verdicts(other) == verdicts(desk)
    again = desk.json("ingest", target, code=3)
    assert (again["totals"]["accepted"], again["totals"]["quarantined"]) == (0, 8)


def test_export__mended_and_ingested__comes_in(desk: Desk, tmp_path: Path) -> None:
    desk.run("ingest", desk.deck.file("wrong.csv", [buy(action="buy"), buy(action="sell")]), code=3)
    target = tmp_path / "mended.csv"
    target.write_text(desk.run("quarantine", "export").replace(",buy,", ",BUY,").replace(",sell,", ",SELL,"))

    assert desk.json("ingest", target)["totals"]["accepted"] == 2


def test_export__prices_beside_transactions__a_file_each(desk: Desk) -> None:
    desk.run("ingest", desk.deck.file("wrong.csv", [buy(account="")]), code=3)
    desk.run("ingest", desk.deck.file("bars.csv", to_csv([bar(close="-1")], PRICE_COLUMNS)), code=3)

    desk.run("quarantine", "export", code=2)
    (row,) = csv.DictReader(io.StringIO(desk.run("quarantine", "export", "--kind", "prices")))
    assert row["close"] == "-1"


@pytest.mark.parametrize("terminal", [False, True])
def test_hostile__no_verb_of_the_desk_shows_it_raw(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, terminal: bool
) -> None:
    desk.run("ingest", desk.deck.file("evil.csv", hostile_rows()), code=3)
    row, *_ = desk.ids("--reason", "CONTROL_CHARACTER")
    typed = [row, f"account={ATTACKS[0]}", "--reason", ATTACKS[1]]
    texts = [
        desk.run("quarantine", "list"),
        desk.run("quarantine", "show", row),
        desk.run("quarantine", "fix", *typed),
        desk.run("quarantine", "release", "--all", code=1),
        desk.run("quarantine", "reject", row, "--reason", ATTACKS[0]),
        desk.run("decisions"),
        desk.run("quarantine", "show", row),
    ]
    assert {repr(mark) for text in texts for mark in text if _is_raw(mark)} == set()

    if terminal:
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    exported = desk.run("quarantine", "export", "--status", "rejected")
    kept = set() if terminal else set("\t\r\u200c\u200d")
    assert {repr(mark) for mark in exported if _is_raw(mark) and mark not in kept} == set()


def _is_raw(mark: str) -> bool:
    return mark != "\n" and unicodedata.category(mark) in UNPRINTABLE


def test_refused__says_what_and_what_to_do(desk: Desk) -> None:
    desk.run("ingest", desk.deck.file("wrong.csv", [buy(account="")]), code=3)
    (row,) = desk.ids()

    for words in (
        ["quarantine", "show", "000000000000-1"],
        ["quarantine", "fix", "000000000000-1", "action=BUY"],
        ["quarantine", "fix", row, "base=EUR"],
        ["quarantine", "release", row, "--as-leg"],
        ["quarantine", "release", row, "--supersede", "00000000"],
        ["explain", "00000000"],
        ["undo", "77"],
    ):
        assert desk.json(*words, code=2)["error"]["hint"], words


def test_home_in_use__acts_end_with_4_and_questions_go_on(desk: Desk) -> None:
    desk.run("ingest", desk.deck.file("wrong.csv", [buy(account="")]), code=3)
    (row,) = desk.ids()
    lock = HomeLock(desk.deck.home.lock)
    try:
        assert desk.ids() == [row]
        desk.run("quarantine", "show", row)
        desk.run("quarantine", "export")
        desk.run("quarantine", "fix", row, "account=main", code=4)
        desk.run("undo", code=4)
    finally:
        lock.release()


def test_ingest_dry_run__what_is_new_seen_conflicting_and_bad(desk: Desk) -> None:
    def trade(number: int, **given: str) -> Row:
        return buy(external_id=f"T-{number}", quantity=str(number)) | given

    desk.run("ingest", desk.deck.file("first.csv", [trade(1), trade(2)]))
    rows = [trade(1), trade(2, quantity="9"), trade(3), trade(4), trade(5, account="")]

    told = desk.run("ingest", "--dry-run", desk.deck.file("second.csv", rows), code=3)

    (line,) = [line for line in told.splitlines() if line.startswith("second.csv")]
    assert line.split()[2:] == ["✓", "taken", "5", "2", "1", "1", "1", "ACCOUNT_MISSING"]
    assert "Nothing was stored" in told
    assert desk.ids() == []


def test_json__of_whatever_changes_figures__instants_are_text(desk: Desk) -> None:
    good = buy(timestamp="2024-03-01T09:00:00Z", asset_id="BTC", external_id="T-1")
    wrong = good | {"timestamp": "2024-03-02T09:00:00Z", "action": "buy", "external_id": "T-2"}
    bars = to_csv([bar(resolution="1d", bucket_close="2024-03-04T00:00:00Z")], PRICE_COLUMNS)
    files = desk.deck.file("trades.csv", [good, wrong]), desk.deck.file("bars.csv", bars)
    taken = desk.json("ingest", *files, code=3)["files"]
    (row,) = desk.ids()
    desk.run("quarantine", "fix", row, "action=BUY")
    released = desk.json("quarantine", "release", row)
    undone = desk.json("undo")
    desk.run("assets", "set", "BTC", "manual", "--price", "1", "--since", "2024-03-05",
             "--expires", "2030-01-01", "--reason", "a letter")  # fmt: skip
    day = "--from", "2024-03-03", "--to", "2024-03-04"
    desk.run("ingest", desk.deck.file("rates.csv", to_csv([rate(asof="2024-03-01T14:00:00Z")], FX_COLUMNS)))
    desk.run("fx", "use-eod-once", "EUR/USD", *day, "--reason", "feed is down")

    told = [(one["touched_from"], one["touched_until"]) for one in (*taken, released, undone)]
    assert told == [
        ("2024-03-01T09:00:00Z", None), ("2024-03-04T00:00:00Z", "2024-03-04T00:00:00Z"),
        ("2024-03-02T09:00:00Z", None), ("2024-03-02T09:00:00Z", None),
    ]  # fmt: skip
    override, manual, *_ = (one["detail"] for one in desk.json("decisions")["rows"])
    assert (override["from"], override["to"]) == ("2024-03-03T00:00:00Z", "2024-03-04T00:00:00Z")
    assert override["granted"].endswith("Z")
    assert (manual["since"], manual["expires"]) == ("2024-03-05T00:00:00Z", "2030-01-01T00:00:00Z")

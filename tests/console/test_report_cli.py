"""Reports, traces, values and imagined sales from the command line, and reports as files."""

import csv
import io
import json
import os
import stat
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from console.cli import main
from console.commands import report_files
from engine.api import UsageError
from tests.runtime.deck import Deck, Row, buy

Run = Callable[..., str]


def row(at: str, action: str, quantity: str, price: str = "", **fields: str) -> Row:
    return buy(timestamp=at, action=action, quantity=quantity, unit_price_usd=price, **fields)


TRADES = (
    row("2023-01-01T00:00:00Z", "BUY", "3", "10", account="main, own", fee_asset="USD", fee_amount="3"),
    row("2023-01-02T00:00:00Z", "TRANSFER_OUT", "2", account="main, own", tx_hash="h"),
    row("2023-01-03T00:00:00.5Z", "TRANSFER_IN", "2", account="cold", tx_hash="h"),
    row("2024-06-01T00:00:00Z", "SELL", "1.5", "7", account="cold"),
    row("2024-06-02T00:00:00Z", "SELL", "9", "1", account="cold"),
    row("2024-07-01T00:00:00Z", "STAKING_REWARD", "1", account="cold"),
)


@pytest.fixture
def run(deck: Deck, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a verb on a home with a few trades; its standard output."""
    deck.ingest(deck.file("trades.csv", list(TRADES)))

    def verb(*words: str | Path, code: int = 0) -> str:
        capsys.readouterr()
        try:
            given = main([*map(str, words), "--home", str(deck.path)])
        except SystemExit as wrong:
            given = int(str(wrong.code))
        output = capsys.readouterr()
        assert given == code, output.err + output.out
        return output.out + (output.err if code else "")

    return verb


def test_gains__table__sums_and_the_rules_they_go_by(run: Run) -> None:
    told = run("report", "gains")
    assert "2024" in told
    assert "Long term: held longer than 1y." in told
    assert "INSUFFICIENT_LOTS" in run("report", "gains", "--by", "row")
    assert "none" in run("report", "gains", "--year", "1999")


def test_gains__json_csv_and_parquet__tell_the_same_to_the_last_digit(run: Run, tmp_path: Path) -> None:
    as_json = json.loads(run("report", "gains", "--by", "row", "--json"))
    table = list(csv.DictReader(io.StringIO(run("report", "gains", "--by", "row", "--format", "csv"))))
    path = tmp_path / "gains.parquet"
    assert "wrote 3 rows" in run("report", "gains", "--by", "row", "--format", "parquet", "--to", path)
    frame = pl.read_parquet(path)
    assert frame.schema["gain_usd"] == pl.Decimal(38, 18)
    assert frame.schema["disposed_at"] == pl.Datetime("us", "UTC")
    for name in ("quantity", "proceeds_usd", "cost_basis_usd", "gain_usd"):
        exact = [Decimal(one[name]) for one in as_json["rows"]]
        assert [Decimal(one[name]) for one in table] == exact == frame[name].to_list()
    assert [one["account"] for one in table] == ["cold"] * 3
    assert table[2]["acquired_at"] == ""
    assert frame["acquired_at"].null_count() == 1
    assert frame["flags"].to_list()[-1] == ["INSUFFICIENT_LOTS"]


def test_to__a_new_private_file__never_over_another(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "income.csv"
    run("report", "income", "--to", path)
    assert path.read_text().startswith(
        "kind,count,unvalued,income_usd,reasons\nSTAKING_REWARD,1,1,,NO_BASIS\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert "there already" in run("report", "gains", "--to", path, code=2)
    assert path.read_bytes() == before
    told = json.loads(run("report", "gains", "--format", "json", "--to", tmp_path / "g.json", "--json"))
    assert told["rows"] == 1
    assert json.loads((tmp_path / "g.json").read_text())["total"]["pieces"] == 3


@pytest.mark.parametrize(
    "words",
    [
        ("report", "gains", "--format", "parquet"),
        ("report", "gains", "--format", "table", "--to", "x"),
        ("report", "gains", "--format", "csv", "--json"),
        ("report", "gains", "--by", "kind"),
        ("report", "gains", "--year", "24"),
        ("report",),
        ("lots", "--explain", "abcdef0123", "--asset", "BTC"),
        ("lots", "--explain", "ffffffff"),
        ("lots", "--at", "2024-01-01", "--as-of", "2024-01-01"),
        ("lots", "--at", "someday"),
        ("lots", "--resolution", "1h"),
        ("what-if", "--asset", "BTC", "--account", "cold", "--quantity", "1"),
        ("what-if", "--asset", "BTC", "--account", "cold", "--quantity", "1e2", "--price", "1"),
    ],
)
def test_nonsense__exit_2__says_what_to_do(run: Run, words: tuple[str, ...]) -> None:
    assert "hint:" in run(*words, code=2)
    assert not os.path.lexists("x")


def test_explain__from_a_sale_to_the_line_of_its_purchase(run: Run) -> None:
    rows = json.loads(run("report", "gains", "--by", "row", "--json"))["rows"]
    told = run("lots", "--explain", rows[0]["disposal_tx"])
    assert "Lots it took" in told
    assert "trades.csv" in told
    assert "main, own" in told
    made = run("lots", "--explain", rows[0]["acquisition_tx"])
    assert "What became of it: 3 for 33.00 USD, 3.00 of it fees" in made
    as_json = json.loads(run("lots", "--explain", rows[0]["disposal_tx"], "--json"))
    assert as_json["taken"][0]["lot"]["line"] == 2


def test_lots_at__says_what_cannot_be_valued(run: Run) -> None:
    told = run("lots", "--at", "2024-07-05")
    assert "cannot be valued" in told
    assert "NO_PRICE" in told
    assert json.loads(run("lots", "--at", "now", "--resolution", "1h", "--json"))["resolution"] == "1h"


def test_what_if__methods_side_by_side(run: Run) -> None:
    sale = ("--asset", "BTC", "--account", "main, own", "--quantity", "0.5", "--price", "30")
    told = run("what-if", *sale, "--at", "2024-01-01")
    assert all(word in told for word in ("FIFO", "LIFO", "HIFO", "Nothing is stored"))
    found = json.loads(run("what-if", *sale, "--at", "2024-01-01", "--json"))
    assert {one["gain_long_usd"] for one in found["methods"]} == {"0"}
    assert {one["gain_short_usd"] for one in found["methods"]} == {"9.5"}


def test_what_if__more_than_is_held__says_first_how_much_is_missing(run: Run) -> None:
    sale = ("--asset", "BTC", "--account", "main, own", "--price", "30", "--at", "2024-01-01")
    told = run("what-if", *sale, "--quantity", "5000")
    missing = json.loads(run("what-if", *sale, "--quantity", "5000", "--json"))["methods"][0]["insufficient"]
    first = told.lstrip().splitlines()[0]
    assert first.startswith(f"! {Decimal(missing):,f} BTC more than is held")
    assert "more than is held" not in run("what-if", *sale, "--quantity", "0.5")


# -- files of any document ----------------------------------------------------------------------------


def document(**fields: Any) -> dict[str, Any]:
    return {"columns": list(fields), "rows": [fields]}


@pytest.mark.parametrize("attack", ["=1+1", "+1", "@x", "\tx", "-1+1", "=cmd|' /C calc'!A0"])
def test_csv__formula__gets_an_apostrophe__numbers_stay(attack: str) -> None:
    text = report_files.as_csv(document(account=attack, gain_usd="-5.25", flags=["A", "B"])).decode()
    (found,) = csv.DictReader(io.StringIO(text))
    assert found["account"].startswith(("'", "\\x"))
    assert (found["gain_usd"], found["flags"]) == ("-5.25", "A B")


def test_csv__control_characters__are_told_not_sent() -> None:
    text = report_files.as_csv(document(account="a\x1b]52;c;x\x07\u202e")).decode()
    assert text.replace("\n", "").isprintable()
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_json__canonical__same_document_same_bytes() -> None:
    one = report_files.as_json({"b": "1", "a": ["é"]})
    assert one == report_files.as_json({"a": ["é"], "b": "1"}) == b'{"a":["\\u00e9"],"b":"1"}\n'


def test_write__that_fails__leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        report_files.write_new(tmp_path / "a.csv", b"x")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    report_files.write_new(tmp_path / "a.csv", b"x")
    with pytest.raises(UsageError):
        report_files.write_new(tmp_path / "a.csv", b"y")
    assert (tmp_path / "a.csv").read_bytes() == b"x"

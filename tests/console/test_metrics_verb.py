"""`navdeck metrics`: the words it takes, what it prints for people and for programs."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from console import cli
from console.commands import grid, metrics_tables
from console.fake import nav_points
from console.fake_metrics import metrics
from tests.runtime.deck import PRICE_COLUMNS, Deck, bar, buy, to_csv

SERIES = {
    "valuations": [{"t": "2024-01-01", "nav": 100}, {"t": "2024-01-02", "nav": "165"},
                   {"t": "2024-01-03", "nav": 150}],
    "flows": [{"t": "2024-01-01T12:00:00Z", "amount": 50}], "flow_timing": "in bucket",
}  # fmt: skip
HOSTILE = "[/nope]\x1b[31m\u202eevil"
CONTROLS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


@pytest.fixture
def series(tmp_path: Path) -> str:
    path = tmp_path / "nav.json"
    path.write_text(json.dumps(SERIES), encoding="utf-8")
    return str(path)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


def test_series__needs_no_home(
    series: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NAVDECK_HOME", str(tmp_path / "nowhere"))
    code, out, _ = told(capsys, "metrics", "--series", series, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["twr"] == pytest.approx(0.0)
    assert found["max_drawdown"] == pytest.approx(150 / 165 - 1)
    assert found["reason"] is None
    assert "points" not in found
    _, out, _ = told(capsys, "metrics", "--series", series, "--points", "--json")
    assert len(json.loads(out)["points"]) == 3


def test_series__malformed__is_wrong_usage_with_a_hint(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.json"
    path.write_text("[]")
    code, out, err = told(capsys, "metrics", "--series", str(path))
    assert (code, out) == (2, "")
    assert "hint: " in err


@pytest.mark.parametrize("words", [
    ("--account", "a", "--group", "b"), ("--account", "a", "--series", "x"), ("--resolution", "2d"),
])  # fmt: skip
def test_words_that_do_not_go_together__are_wrong_usage(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["metrics", *words])
    assert left.value.code == 2
    assert "navdeck: " in capsys.readouterr().err


def test_home__json_has_plain_numbers_where_the_contract_has_them(
    deck: Deck, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = [bar(bucket_close=f"2025-03-0{day}T00:00:00Z", close=str(100 + day)) for day in (2, 3, 4)]
    deck.ingest(deck.file("tx.csv", [buy()]), deck.file("prices.csv", to_csv(bars, PRICE_COLUMNS)))
    deck.value(resolution="1d")
    code, out, _ = told(capsys, "metrics", "--home", str(deck.path), "--json")
    found = json.loads(out)
    assert code == 0
    assert found["twr"] == pytest.approx(104 / 102 - 1)
    assert all(isinstance(found[name], float) for name in ("twr", "max_drawdown", "volatility", "coverage"))
    assert found["drawdown"]["depth"] == found["max_drawdown"]
    code, out, _ = told(capsys, "metrics", "--home", str(deck.path), "--account", "main")
    assert "Returns of main at 1d closes" in out
    assert "1.96 %" in out


def printed(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr(grid, "PIPED_WIDTH", width)
    metrics_tables.metrics(document)
    return out.getvalue()


def document(**given: Any) -> dict[str, Any]:
    found = metrics(nav_points("1d"), "1d")
    return found | given


@pytest.mark.parametrize("width", [60, 80, 120])
def test_table__fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = printed(document(), monkeypatch, width).splitlines()
    assert max(cell_len(line) for line in lines) <= width
    assert any(line.startswith("TWR") for line in lines)


def test_table__unknown_is_a_dash_with_its_reason__and_the_longest_stretch_is_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
    broken = document(
        twr=None, max_drawdown=None, drawdown=None, reason="NO_CAPITAL", stale=True,
        breaks=[{"at": "2026-02-02T00:00:00Z", "code": "NO_CAPITAL", **span}],
        longest_unbroken={**span, "twr": 0.125},
    )  # fmt: skip
    text = printed(broken, monkeypatch, 120)
    assert re.search(r"TWR +– +a gain without capital", text)
    assert "Longest unbroken stretch: 12.50 %, 2026-01-01" in text
    assert "navdeck value" in text


def test_table__nothing_valued(monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(metrics([], "1d"), monkeypatch, 100)
    assert "nothing is valued" in text
    assert re.search("TWR +– ", text)
    assert re.search("coverage +0.00 %", text)


def test_table__hostile_names__are_shown_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    found = document(account=HOSTILE)
    found["allocation"]["by_asset"][0]["asset_id"] = HOSTILE
    text = printed(found, monkeypatch, 100)
    assert not CONTROLS.search(text.replace("\n", ""))
    assert "[/nope]" in text

"""Data that attacks whoever looks at it: nothing of it reaches the terminal as anything but text."""

import unicodedata

import pytest

from console.cli import main
from console.text import safe_text
from tests.runtime.deck import Deck, Row, buy

ATTACKS = [
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil\x1b\\link",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066x",
    "\u200bzero",
    "\x7f",
    "\x00"[:0] + "\x08\x08\x08",
    "[/nope]",
    "[red]x[/red]",
    "[bold",
    "\\[",
    "[link=x]",
    "=cmd|'/c calc'!A1",
    "@SUM(1)",
    "\ue000",
    "\u2028line",
    "%s%n",
    "{0.__class__}",
    "$(reboot)",
    "\U000e0041tag",
]
UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def hostile_rows() -> list[Row]:
    names = (
        "timestamp",
        "action",
        "asset_id",
        "quantity",
        "account",
        "wallet",
        "tx_hash",
        "notes",
        "fee_asset",
    )
    rows = [buy(quantity=str(n + 1)) | {names[n % len(names)]: attack} for n, attack in enumerate(ATTACKS)]
    return [*rows, *(dict.fromkeys(buy(), attack) for attack in ATTACKS)]


def unprintable(text: str) -> set[str]:
    return {repr(one) for one in text if one != "\n" and unicodedata.category(one) in UNPRINTABLE}


@pytest.fixture
def attacked(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> Deck:
    from engine.runtime.executors import ThreadExecutor

    monkeypatch.setattr("engine.runtime.executors.WorkerExecutor", lambda *_limits: ThreadExecutor())
    for number, attack in enumerate(ATTACKS):
        deck.drop(f"{attack.replace('/', '|')}{number}.csv", hostile_rows()[number : number + 1])
        deck.drop(f"bad {attack.replace('/', '|')}{number}.csv", attack.encode())
        deck.drop(f"{attack.replace('/', '|')}{number}.txt", b"waits")
    return deck


@pytest.mark.parametrize("width", ["20", "160"])
def test_every_table__no_control_character_and_no_crash(
    attacked: Deck, width: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    home = ["--home", str(attacked.path)]
    assert main(["status", *home]) == 0
    assert main(["ingest", "--dry-run", *home]) == 3
    assert main(["ingest", *home]) == 3
    named = attacked.file("\x1b[31m[nope]\u202e.csv", hostile_rows())
    assert main(["ingest", str(named), *home]) == 3
    for verb in (["quarantine", "list"], ["status"], ["lots"], ["nav"], ["verify"], ["config"], ["digest"]):
        assert main([*verb, *home]) == 0
    told = capsys.readouterr()
    assert unprintable(told.out) == set()
    assert unprintable(told.err) == set()


def test_accepted_markup__shown_as_it_is(attacked: Deck, capsys: pytest.CaptureFixture[str]) -> None:
    attacked.take(buy(account="[/nope]", venue="[red]"))
    capsys.readouterr()
    assert main(["lots", "--home", str(attacked.path)]) == 0
    assert "[/nope]" in capsys.readouterr().out


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["text", "json"])
def test_error_that_quotes_a_hostile_name__no_control_character(
    deck: Deck, capsys: pytest.CaptureFixture[str], as_json: list[str]
) -> None:
    assert main(["ingest", "/no\x1b]0;x\x07/\u202e.csv", "--home", str(deck.path), *as_json]) == 2
    told = capsys.readouterr()
    assert unprintable(told.out) | unprintable(told.err) == set()


def test_json__ascii_only(attacked: Deck, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["ingest"], ["quarantine", "list"], ["status"], ["lots"]):
        main([*verb, "--json", "--home", str(attacked.path)])
    out = capsys.readouterr().out
    assert out.isascii()
    assert out.count("\n") == 4
    assert unprintable(out) == set()


@pytest.mark.parametrize("attack", ATTACKS)
def test_safe_text__printable_and_told_apart(attack: str) -> None:
    shown = safe_text(f"a{attack}b")
    assert unprintable(shown) == set()
    assert shown.startswith("a")
    assert shown.endswith("b")

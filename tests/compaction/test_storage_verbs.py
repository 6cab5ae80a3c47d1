"""`navdeck compact` and `navdeck retention`: their words, their documents, what they print."""

import json

import pytest

from console import cli
from tests.compaction.lake import ASSETS, DAYS, check_lake
from tests.runtime.deck import Deck

FILES = DAYS * len(ASSETS)
Capture = pytest.CaptureFixture[str]


def told(capsys: Capture, deck: Deck, *words: str) -> tuple[int, str]:
    code = cli.main([*words, "--home", str(deck.path)])
    return code, capsys.readouterr().out


def test_compact__plan_then_work_then_nothing_left(lake: Deck, capsys: Capture) -> None:
    code, plan = told(capsys, lake, "compact", "--dry-run", "--json")
    assert (code, json.loads(plan)["steps"][0]["files"]) == (0, FILES)
    code, out = told(capsys, lake, "compact", "--profile", "LOW_RAM")
    assert code == 0
    assert "re-encode" in out
    assert "LOW_RAM" in out
    assert f"before   {FILES} files" in out
    assert "Nothing is to be compacted." in told(capsys, lake, "compact", "--dry-run")[1]
    check_lake(lake)


def test_retention__of_a_wall_clock_long_after__drops_and_nav_says_what_is_not_here(
    lake: Deck, capsys: Capture
) -> None:
    code, plan = told(capsys, lake, "retention", "--dry-run")
    assert code == 0
    assert "Nothing was changed." in plan
    code, out = told(capsys, lake, "retention", "--json")
    document = json.loads(out)
    assert (code, document["before"]["files"], document["after"]["files"]) == (0, FILES, 0)
    code, out = told(capsys, lake, "nav", "--resolution", "5m")
    assert code == 0
    assert "3 days from" in out
    assert "dropped by retention" in out


def test_compact__an_unknown_profile__is_wrong_usage(lake: Deck, capsys: Capture) -> None:
    with pytest.raises(SystemExit, match="2"):
        told(capsys, lake, "compact", "--profile", "HUGE")

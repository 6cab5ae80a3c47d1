"""Homes: where they are, how they are made, and what is fixed when they are."""

import asyncio
import stat
from pathlib import Path

import pytest
from platformdirs import user_data_path

from engine.api import home_path
from engine.config import FIXED
from engine.errors import ConfigInvalid, HomeMissing, UsageError
from engine.runtime.engine import make_home
from engine.runtime.home import FOLDERS, Home, safe_name
from tests.runtime.deck import NOW, Deck


def test_locate__named_before_variable_before_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert home_path(None) == user_data_path("navdeck")
    monkeypatch.setenv("NAVDECK_HOME", str(tmp_path / "by-variable"))
    assert home_path(None) == tmp_path / "by-variable"
    assert home_path(str(tmp_path / "named")) == tmp_path / "named"


def test_locate__relative_and_tilde__absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert home_path("books") == tmp_path / "books"
    assert home_path("~/books") == tmp_path / "me" / "books"


def test_new_home__folders_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "home"
    asyncio.run(make_home(Home(path), "EUR", "Europe/Berlin", "HIFO"))
    for folder in (path, *(path / name for name in FOLDERS)):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for file in (path / "navdeck.toml", path / "state.db"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    config = Home(path).config()
    assert [config[key] for key in FIXED] == ["EUR", "Europe/Berlin", "HIFO"]


def test_files_written_while_at_work__closed_to_others(deck: Deck) -> None:
    deck.ingest(deck.file("good.csv", []), deck.file("bad.csv", b"?\n"))
    files = [path for path in deck.path.rglob("*") if path.is_file()]
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in files} == {"0o600"}
    folders = [path for path in deck.path.rglob("*") if path.is_dir()]
    assert {oct(stat.S_IMODE(path.stat().st_mode)) for path in folders} == {"0o700"}


def test_home_that_stands__not_made_again(deck: Deck) -> None:
    before = deck.truth()
    with pytest.raises(UsageError, match="is a navdeck home already"):
        asyncio.run(make_home(deck.home, "EUR", "UTC", "LIFO", lambda: NOW))
    assert deck.truth() == before


@pytest.mark.parametrize(
    "fixed", [("not a currency!", "UTC", "FIFO"), ("USD", "Mars/Base", "FIFO"), ("USD", "UTC", "fifo")]
)
def test_new_home__settings_without_sense__refused_and_can_be_tried_again(
    tmp_path: Path, fixed: tuple[str, str, str]
) -> None:
    with pytest.raises(ConfigInvalid):
        asyncio.run(make_home(Home(tmp_path), *fixed))
    asyncio.run(make_home(Home(tmp_path), "USD", "UTC", "FIFO"))
    assert Home(tmp_path).config()["base_currency"] == "USD"


@pytest.mark.parametrize(
    ("key", "value", "made_with"),
    [("base_currency", "EUR", "USD"), ("timezone", "Europe/Berlin", "UTC"), ("lot_method", "LIFO", "FIFO")],
)
def test_fixed_setting_changed_later__refused_with_both_values(
    deck: Deck, key: str, value: str, made_with: str
) -> None:
    toml = deck.home.config_path
    toml.write_text(toml.read_text().replace(f'{key} = "{made_with}"', f'{key} = "{value}"'))
    with pytest.raises(ConfigInvalid) as caught:
        deck.ask("status")
    assert caught.value.problems == [
        f"navdeck.toml: {key} is {value}, but this home was made with {made_with}"
    ]


def test_fixed_setting_changed_by_a_variable__refused_naming_it(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAVDECK_LOT_METHOD", "HIFO")
    monkeypatch.setenv("NAVDECK_TIMEZONE", "Asia/Tokyo")
    with pytest.raises(ConfigInvalid) as caught:
        deck.ask("status")
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "NAVDECK_TIMEZONE",
        "NAVDECK_LOT_METHOD",
    ]


def test_no_home__missing_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HomeMissing) as caught:
        Deck(tmp_path / "nowhere").ask("status")
    assert "navdeck init" in caught.value.hint
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("trades.csv", "trades.csv"),
        ("../../etc/x", "_.._etc_x"),
        ("..", "file"),
        ("a b\n\x1b[2J.csv", "a_b___2J.csv"),
    ],
)
def test_safe_name__only_harmless_characters(name: str, safe: str) -> None:
    assert safe_name(name) == safe

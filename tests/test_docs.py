"""The README is true: verbs, options, settings, exit codes and keys are in it; its sample and picture too."""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from console import actions, cli
from engine.config import SETTINGS, Setting, show
from engine.errors import EngineError
from snapshots_tests import picture

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ALWAYS = {"--help", "--home", "--json"}


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, without their fences."""
    return re.findall(rf"```{language}\n(.*?)\n?```", README, re.DOTALL)


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found is not None, title
    return found[1]


def table_row(text: str, first: str) -> str:
    """The table row whose first cell holds `first`."""
    rows = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    assert len(rows) == 1, first
    return rows[0]


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Every verb that does something by itself: `quarantine list`, not `quarantine`."""
    found: dict[str, argparse.ArgumentParser] = {}

    def visit(parser: argparse.ArgumentParser, above: str) -> None:
        below = [each.choices for each in parser._actions if isinstance(each.choices, dict)]
        if not below:
            found[above.strip()] = parser
        for choices in below:
            for name, child in choices.items():
                visit(child, f"{above} {name}")

    visit(cli.parser(), "")
    return found


def subclasses(kind: type[EngineError]) -> Iterator[type[EngineError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from subclasses(child)


@pytest.mark.parametrize("command", ["navdeck demo", "pytest"])
def test_readme__first_commands__are_there(command: str) -> None:
    assert f"pip install uv && uv run {command}" in blocks("sh")


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_readme__verb__has_a_row_with_all_its_options(verb: str) -> None:
    row = table_row(section("Commands"), f"`{verb}`")

    strings = (option for action in verbs()[verb]._actions for option in action.option_strings)
    options = {option for option in strings if option.startswith("--")}
    assert [option for option in sorted(options - ALWAYS) if f"`{option}`" not in row] == []
    told = set(re.findall(r"`(--[a-z-]+)`", row.split("|")[2]))
    assert told <= options


def test_readme__common_options__are_told() -> None:
    text = section("Commands")

    assert [option for option in ("--home", "--json", "--version", "--help") if option not in text] == []


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_readme__setting__has_its_variable_and_default(setting: Setting) -> None:
    cells = [cell.strip() for cell in table_row(section("Settings"), f"`{setting.key}`").split("|")[1:-1]]

    default = show(setting.key, setting.default) or "none"
    if setting.key == "cash_assets":
        default = f"{len(setting.default)} currencies"
    assert cells[1] == f"`{setting.variable}`"
    assert cells[2] == default


def test_readme__no_setting__that_does_not_exist() -> None:
    told = re.findall(r"^\| `([a-z0-9_.]+)` \| `NAVDECK_", section("Settings"), re.MULTILINE)

    assert told == [setting.key for setting in SETTINGS]


def test_readme__exit_codes__are_all_told() -> None:
    own = {value for name, value in vars(cli).items() if name.startswith("EXIT_")}
    codes = own | {kind.exit_code for kind in subclasses(EngineError)}

    told = {int(code) for code in re.findall(r"^\| ([0-9]+) \|", section("Commands"), re.MULTILINE)}
    assert told == codes


def test_readme__address_or_machine_path__is_not_in_it() -> None:
    assert not re.search(r"https?://|/(?:root|home|work|tmp)/", README)


def test_readme__sample_files__give_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in zip(("trades.csv", "prices.csv"), blocks("csv"), strict=True):
        (tmp_path / name).write_text(text + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NAVDECK_HOME", str(tmp_path / "home"))

    def told(*words: str, code: int = 0) -> str:
        assert cli.main(words) == code, capsys.readouterr().err
        return capsys.readouterr().out.strip()

    ingested, nav, lots = blocks("text")
    told("init")
    assert told("ingest", "trades.csv", "prices.csv", code=3) == ingested.strip()
    assert "ACTION_UNKNOWN  action  buy" in told("quarantine", "list")
    told("value", "--resolution", "1d")
    assert told("nav") == nav.strip()
    assert told("lots") == lots.strip()
    again = told("ingest", "trades.csv", "prices.csv")
    assert again.count("= duplicate") == 2
    (session,) = blocks("console")
    for act in session.split("$ navdeck ")[1:]:
        words, _, shown = act.partition("\n")
        assert told(*shlex.split(words)) == shown.strip()


def test_readme__keys__are_those_of_the_registry() -> None:
    rows = [f"| {' | '.join(row)} |" for row in actions.key_table()]

    table = re.search(r"\| key \| where \| what it does \|\n\| --- \| --- \| --- \|\n((?:\|.*\n)*)", README)
    assert table is not None
    assert table[1].splitlines() == rows


def test_readme__screens__are_those_of_the_registry() -> None:
    told = re.findall(r"^\| ([0-9] \w+) \|", section("The console"), re.MULTILINE)

    assert told == [f"{key} {actions.BY_ID[screen].label}" for screen, key in actions.SCREENS.items()]


def test_readme__options_before_a_verb__are_told() -> None:
    own = {option for action in cli.parser()._actions for option in action.option_strings}

    assert [option for option in sorted(own) if option.startswith("--") and option not in README] == []


@pytest.mark.parametrize("name", picture.PICTURES)
def test_readme__picture__is_what_its_command_draws(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for wish in picture.COLOUR_WISHES:
        monkeypatch.delenv(wish, raising=False)

    assert f"]({picture.file(name).relative_to(ROOT).as_posix()})" in README
    assert "uv run python -m snapshots_tests.picture" in "\n".join(blocks("sh"))
    assert picture.file(name).read_text(encoding="utf-8") == picture.drawn(name)

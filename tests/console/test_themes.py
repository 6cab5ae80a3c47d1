"""Themes: what is shipped can be read by people, what is broken is told in one line."""

from pathlib import Path

import pytest
from rich.color import Color, ColorSystem

from console import themes
from console.terminal import PLAIN, decide

SHIPPED, PROBLEMS = themes.load(themes.folder())
GROUNDS = ("background", "surface", "panel")
TEXTS = ("foreground", "muted", "primary", "ok", "warn", "bad", "held", "mark")
CONTRAST_LEAST = 4.5

GOOD = 'name = "mine"\ndark = true\n[colours]\n' + "".join(
    f'{meaning} = "#102030"\n' for meaning in themes.MEANINGS
)


def colour(theme: object, name: str) -> str:
    found = getattr(theme, name, None) or theme.variables[name]  # type: ignore[attr-defined]
    return str(found)


def luminance(value: str) -> float:
    parts = [int(value[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_shipped__all_load() -> None:
    assert PROBLEMS == []
    names = ["navdeck-contrast", "navdeck-dark", "navdeck-light", "navdeck-production"]
    assert [theme.name for theme in SHIPPED] == names


@pytest.mark.parametrize("theme", SHIPPED, ids=lambda theme: theme.name)
def test_shipped__every_meaning_can_be_read_on_every_ground(theme: object) -> None:
    for text in TEXTS:
        for ground in GROUNDS:
            high, low = sorted(
                (luminance(colour(theme, text)), luminance(colour(theme, ground))), reverse=True
            )
            assert (high + 0.05) / (low + 0.05) >= CONTRAST_LEAST, (text, ground)


@pytest.mark.parametrize("theme", SHIPPED, ids=lambda theme: theme.name)
def test_shipped__grounds_stay_apart_in_256_colours(theme: object) -> None:
    found = {Color.parse(colour(theme, ground)).downgrade(ColorSystem.EIGHT_BIT).number for ground in GROUNDS}
    assert len(found) == len(GROUNDS)


@pytest.mark.parametrize("theme", SHIPPED, ids=lambda theme: theme.name)
def test_shipped__states_stay_apart_in_256_colours(theme: object) -> None:
    names = ("ok", "warn", "bad", "held", "mark")
    found = {Color.parse(colour(theme, name)).downgrade(ColorSystem.EIGHT_BIT).number for name in names}
    assert len(found) == len(names)


def test_sixteen_colours__states_are_the_terminal_s_own_and_stay_apart() -> None:
    names = ("ok", "warn", "bad", "held", "mark")
    assert decide({"TERM": "xterm"}, is_tty=True, encoding="utf-8").theme == PLAIN
    assert len({themes.FALLBACK[name] for name in names}) == len(names)


def test_production__does_not_look_like_another() -> None:
    bars = {theme.name: colour(theme, "surface") for theme in SHIPPED}
    red, green, blue = (int(bars["navdeck-production"][start : start + 2], 16) for start in (1, 3, 5))
    assert red > 2 * max(green, blue)
    assert list(bars.values()).count(bars["navdeck-production"]) == 1


def test_read__good_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(GOOD)
    found, problems = themes.load(tmp_path)
    assert [theme.name for theme in found] == ["mine"]
    assert problems == []


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("name = ", ""),
        (GOOD.replace('name = "mine"', "name = 3"), "name"),
        (GOOD.replace("dark = true", 'dark = "yes"'), "dark"),
        (GOOD.replace("[colours]", "[colors]"), "colours"),
        (GOOD.replace('warn = "#102030"\n', ""), "colours.warn"),
        (GOOD + 'loud = "#102030"\n', "colours.loud"),
        (GOOD.replace('bad = "#102030"', 'bad = "red"'), "colours.bad"),
    ],
)
def test_read__broken_file__names_file_key_and_reason(tmp_path: Path, text: str, key: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    found, (problem,) = themes.load(tmp_path)
    assert found == []
    assert (problem.file, problem.key) == ("mine.toml", key)
    assert problem.reason

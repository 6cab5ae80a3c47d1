"""Themes: colours by meaning, read from TOML files. A file that fails is told, never half used.

Shipped files lie in `themes/` beside the packages in a checkout, in `console/_themes/` once installed; a
user's own lie in `themes/` of the user's settings folder, and are taken again whenever they change.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_config_path
from textual.theme import Theme

MEANINGS = (
    "background", "surface", "panel", "text", "muted", "accent", "ok", "warn", "bad", "held", "mark",
)  # fmt: skip
# The terminal's own colours, for themes that do not say these meanings.
FALLBACK = {
    "muted": "ansi_default", "ok": "ansi_green", "warn": "ansi_yellow", "bad": "ansi_red",
    "held": "ansi_magenta", "mark": "ansi_cyan",
}  # fmt: skip
_COLOUR = re.compile(r"#[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a theme file was not taken."""

    file: str
    key: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.key}: {self.reason}" if self.key else f"{self.file}: {self.reason}"


def folder() -> Path:
    """Where the shipped themes are."""
    installed = Path(__file__).parent / "_themes"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "themes"


def own_folder() -> Path:
    """Where the user's own themes are, if there are any."""
    return user_config_path("navdeck") / "themes"


def load(where: Path) -> tuple[list[Theme], list[Problem]]:
    """Every theme in the folder, by name, and what is wrong with the files that gave none."""
    themes: list[Theme] = []
    problems: list[Problem] = []
    for path in sorted(where.glob("*.toml")):
        found = read(path)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            themes.append(found)
    return themes, problems


def read(path: Path) -> Theme | Problem:
    """The theme in one file, or the first thing wrong with it."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        return Problem(path.name, "", str(error))
    wrong = _wrong(document)
    return Problem(path.name, *wrong) if wrong else _theme(document)


def _wrong(document: dict[str, Any]) -> tuple[str, str] | None:
    name = document.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9-]{0,40}", name):
        return "name", "a name has a-z, 0-9 and hyphens"
    if not isinstance(document.get("dark"), bool):
        return "dark", "say true or false"
    colours = document.get("colours")
    if not isinstance(colours, dict):
        return "colours", "the table is missing"
    for key in (*MEANINGS, *colours):
        if key not in colours:
            return f"colours.{key}", "is missing"
        if key not in MEANINGS:
            return f"colours.{key}", "is no meaning; there are " + ", ".join(MEANINGS)
        if not isinstance(colours[key], str) or not _COLOUR.fullmatch(colours[key]):
            return f"colours.{key}", "a colour is written like #1c9ad6"
    return None


def _theme(document: dict[str, Any]) -> Theme:
    colours: dict[str, str] = document["colours"]
    return Theme(
        name=document["name"],
        dark=document["dark"],
        primary=colours["accent"],
        secondary=colours["mark"],
        accent=colours["accent"],
        foreground=colours["text"],
        background=colours["background"],
        surface=colours["surface"],
        panel=colours["panel"],
        success=colours["ok"],
        warning=colours["warn"],
        error=colours["bad"],
        variables={meaning: colours[meaning] for meaning in FALLBACK},
    )

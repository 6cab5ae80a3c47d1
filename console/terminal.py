"""What this terminal can do and what follows: decided once, from plain values, before Textual starts.

It never writes to the terminal and never changes the environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass

WIDTH_LEAST, HEIGHT_LEAST = 60, 16  # cells; below this one line says so
DARK, PLAIN = "navdeck-dark", "ansi-dark"
TRUE_COLOUR = ("truecolor", "24bit")  # in COLORTERM, which SSH does not pass on
PYTHONS_OWN = ("C.UTF-8", "C.utf8", "UTF-8")  # what Python puts into LC_CTYPE where the locale is C
MANY_COLOURS = ("256color", "direct", "kitty", "ghostty", "alacritty", "foot", "wezterm")  # last part of TERM


@dataclass(frozen=True, slots=True)
class Terminal:
    """The decisions. `refusal`: why there can be no console here; empty if there can."""

    refusal: str
    theme: str
    mouse: bool
    ascii: bool

    @property
    def ansi(self) -> bool:
        """Whether only the terminal's own colours are used."""
        return self.theme.startswith("ansi-")


def decide(environ: Mapping[str, str], *, is_tty: bool, encoding: str) -> Terminal:
    """What to do on this terminal. `encoding`: of its output, as Python names it."""
    term = environ.get("TERM", "")
    many = environ.get("COLORTERM") in TRUE_COLOUR or term.rpartition("-")[2] in MANY_COLOURS
    return Terminal(
        refusal=_refusal(term, is_tty),
        theme=DARK if many and not environ.get("NO_COLOR") else PLAIN,
        mouse="SSH_CONNECTION" not in environ,  # over SSH the terminal's own selection matters more
        ascii=lacks_signs(environ, encoding) or term == "linux",
    )


def lacks_signs(environ: Mapping[str, str], encoding: str) -> bool:
    """Whether only ASCII can be counted on: the locale that is asked for, or the output, is not UTF-8.

    Python makes UTF-8 of a locale C: it says so in LC_CTYPE, and the output's encoding tells nothing then.
    """
    plain = environ.get("LANG") in ("C", "POSIX")
    made = "" if plain and environ.get("LC_CTYPE") in PYTHONS_OWN else environ.get("LC_CTYPE")
    asked = environ.get("LC_ALL") or made or environ.get("LANG") or "utf"
    return "utf" not in asked.lower() or "utf" not in encoding.lower()


def _refusal(term: str, is_tty: bool) -> str:
    if not is_tty:
        return "the output is no terminal"
    if term in ("", "dumb"):
        return f"TERM is {term or 'not set'}: this terminal cannot place a cursor"
    return ""


def too_small(width: int, height: int) -> str:
    """The one line that is shown below the least size; empty where there is room."""
    if width >= WIDTH_LEAST and height >= HEIGHT_LEAST:
        return ""
    return f"navdeck needs {WIDTH_LEAST}x{HEIGHT_LEAST}, this is {width}x{height}"

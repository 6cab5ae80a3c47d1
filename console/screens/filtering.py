"""The filter that is typed after `/`: plain text, `!` for its opposite, `~` for a regular expression."""

import re
from collections.abc import Callable
from dataclasses import dataclass


def _all(_text: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Filter:
    """What was typed, whether a text passes, and what is wrong with it (then everything passes)."""

    typed: str = ""
    passes: Callable[[str], bool] = _all
    problem: str = ""


def plain(typed: str) -> Filter:
    """The filter of a list that the engine searches: it knows plain text only."""
    if typed.startswith(("!", "~")):
        return Filter(typed, problem="this list is searched by the engine: plain text only")
    return Filter(typed)


def parse(typed: str) -> Filter:
    """The filter meant by what was typed. Case does not matter."""
    inverse = typed.startswith("!")
    wanted = typed[1:] if inverse else typed
    if wanted.startswith("~"):
        try:
            finds = re.compile(wanted[1:], re.IGNORECASE).search
        except re.error as error:
            return Filter(typed, problem=f"no regular expression: {error}")
        return Filter(typed, lambda text: bool(finds(text)) != inverse)
    folded = wanted.casefold()
    return Filter(typed, lambda text: (folded in text.casefold()) != inverse) if folded else Filter(typed)

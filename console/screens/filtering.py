"""The filter that is typed after `/`: plain text, `!` for its opposite, `~` for a regular expression.

The quarantine is searched by the engine, which knows no regular expressions, but fields by name.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

STATUSES = ("open", "released", "rejected", "all")
_TERM = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_OLDER = re.compile(r">([0-9]{1,6})(s|m|min|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}


def _all(_text: str) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Filter:
    """What was typed, whether a text passes, and what is wrong with it (then everything passes).

    `asked`: for a list that the engine searches, the arguments of its question.
    """

    typed: str = ""
    passes: Callable[[str], bool] = _all
    problem: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)


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


def asked(typed: str) -> Filter:
    """The filter of the quarantine: `text`, `!text`, and reason: file: account: status: age:>2h."""
    wanted: dict[str, Any] = {}
    words: list[str] = []
    problems: list[str] = []
    for term in _TERM.findall(typed):
        name, colon, value = term.partition(":")
        known = _FIELDS.get(name.lower()) if colon else None
        if known is None:
            words.append(term)
        else:
            problems += [problem for problem in [known(wanted, value.strip('"'))] if problem]
    text = " ".join(words)
    if text.startswith(("~", "!~")):
        problems.append("no regular expressions: the engine searches")
    elif text.removeprefix("!"):
        wanted["not_text" if text.startswith("!") else "text"] = text.removeprefix("!")
    return Filter(typed, problem="; ".join(problems), asked={} if problems else wanted)


def contradicts(wanted: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> bool:
    """Whether rows have the text that they were to be without: the engine did not understand."""
    unwanted = wanted.get("not_text")
    return unwanted is not None and any(
        unwanted in text for row in rows for text in (row["file"], *row["row"].values())
    )


def _named(key: str) -> Callable[[dict[str, Any], str], str]:
    def take(wanted: dict[str, Any], value: str) -> str:
        wanted[key] = value.upper() if key == "reason" else value
        return "" if value else f"{key}: of what?"

    return take


def _status(wanted: dict[str, Any], value: str) -> str:
    wanted["status"] = value.lower()
    return "" if value.lower() in STATUSES else f"status: is one of {', '.join(STATUSES)}"


def _age(wanted: dict[str, Any], value: str) -> str:
    older = _OLDER.fullmatch(value)
    if older is None:
        return "age: takes >30m, >2h or >3d"
    wanted["older_than_s"] = int(older[1]) * _SECONDS[older[2]]
    return ""


_FIELDS = {
    "reason": _named("reason"), "file": _named("file"), "account": _named("account"), "status": _status,
    "age": _age,
}  # fmt: skip

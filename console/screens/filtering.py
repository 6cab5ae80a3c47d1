"""The filter that is typed after `/`, the same on every list: text, !text, ~expression, field:value.

Lists that are here whole are filtered here. Those of which the engine sends a page at a time are searched by
it; what it cannot do is told as a problem, and never left out in silence.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.api import matching

STATUSES = ("open", "released", "rejected", "all")
_WORD = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_OLDER = re.compile(r">([0-9]{1,6})(s|m|min|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}

NEAR_NAMED = 2  # reasons, where what was typed is in several: more have no room in 80 columns

type Texts = Mapping[str, str]  # of a row: what each field says, a line for each way to say it
type Take = Callable[[dict[str, Any], str], str]  # puts a value into a question; what is wrong with it


@dataclass(frozen=True, slots=True)
class Term:
    """One condition: a text or an expression, in one field or (no name) in any, or not there."""

    field: str
    wanted: str
    is_expression: bool
    inverse: bool

    def passing(self, rows: Sequence[Texts]) -> list[bool]:
        """Whether each row passes."""
        texts = [row.get(self.field, "") if self.field else "\n".join(row.values()) for row in rows]
        found = matching(self.wanted, texts) if self.is_expression else _having(self.wanted, texts)
        return [one != self.inverse for one in found]


@dataclass(frozen=True, slots=True)
class Filter:
    """What was typed, its conditions, and what is wrong with it (then everything passes).

    `asked`: for a list that the engine searches, the arguments of its question.
    """

    typed: str = ""
    terms: tuple[Term, ...] = ()
    problem: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)

    def passing[Row](self, rows: Sequence[Row], texts: Callable[[Row], Texts]) -> list[Row]:
        """The rows that meet every condition, in their order."""
        if not self.terms:
            return list(rows)
        told = [texts(row) for row in rows]
        verdicts = zip(*(term.passing(told) for term in self.terms), strict=True)
        return [row for row, verdict in zip(rows, verdicts, strict=True) if all(verdict)]


def ready() -> None:
    """Brings in what matches expressions; it takes a moment, the first time."""
    import polars  # noqa: F401


def parse(typed: str, fields: Collection[str] = ()) -> Filter:
    """The filter meant by what was typed, in any case; `fields`: the names that can stand before a colon."""
    terms: list[Term] = []
    rest: list[str] = []
    problems: list[str] = []
    for word in _WORD.findall(typed):
        name, colon, value = word.removeprefix("!").partition(":")
        if not colon or name.lower() not in fields:
            rest.append(word)
            continue
        if not value.strip('!~"'):
            problems.append(f"{name}: of what?")
        terms.append(_term(name.lower(), value, word.startswith("!")))
    terms.append(_term("", " ".join(rest) if terms else typed))
    problems += [wrong for term in terms if term.is_expression for wrong in [_wrong(term.wanted)] if wrong]
    if problems:
        return Filter(typed, problem="; ".join(problems))
    return Filter(typed, tuple(term for term in terms if term.wanted))


def _term(name: str, typed: str, inverse: bool = False) -> Term:
    value = typed.removeprefix("!")
    is_expression = value.startswith("~")
    wanted = value.removeprefix("~")
    if name:
        wanted = wanted.strip('"')
    turned = inverse != typed.startswith("!")
    return Term(name, wanted, is_expression, turned)


def _having(wanted: str, texts: Sequence[str]) -> list[bool]:
    return [wanted.casefold() in text.casefold() for text in texts]


def _wrong(expression: str) -> str:
    """What is wrong with an expression; empty if nothing."""
    try:
        matching(expression, [""])
    except ValueError as error:
        return str(error)
    return ""


# -- what the engine is asked ---------------------------------------------------------------------------


def asked(typed: str, takes: Mapping[str, Take]) -> Filter:
    """The filter of a list that the engine searches: text, !text, ~expression, fields that it knows."""
    wanted: dict[str, Any] = {}
    rest: list[str] = []
    problems: list[str] = []
    for word in _WORD.findall(typed):
        name, colon, value = word.removeprefix("!").partition(":")
        take = takes.get(name.lower()) if colon else None
        if take is None:
            rest.append(word)
        elif word.startswith("!") or value.startswith(("!", "~")):
            problems.append(f"{name}: takes no ! and no ~ here: the engine searches")
        else:
            problems += [problem for problem in [take(wanted, value.strip('"'))] if problem]
    term = _term("", " ".join(rest))
    if term.wanted:
        name = "matching" if term.is_expression else "text"
        wanted[f"not_{name}" if term.inverse else name] = term.wanted
    if term.is_expression and (wrong := _wrong(term.wanted)):
        problems.append(wrong)
    return Filter(typed, problem="; ".join(problems), asked={} if problems else wanted)


def with_whole_reason(found: Filter, codes: Collection[str]) -> Filter:
    """The filter with the one reason that was begun; a problem where several have what was typed."""
    begun = found.asked.get("reason", "")
    near = sorted(code for code in codes if begun and begun in code)
    if begun in codes or not near:
        return found
    if len(near) > NEAR_NAMED:
        return Filter(found.typed, problem=f"reason: {len(near)} have {begun}, {near[0]} …: type more of it")
    if len(near) > 1:
        return Filter(found.typed, problem=f"reason: which of {', '.join(near)}")
    return replace(found, asked={**found.asked, "reason": near[0]})


def named(key: str) -> Take:
    """A field whose value goes into the question as it is."""

    def take(wanted: dict[str, Any], value: str) -> str:
        wanted[key] = value
        return "" if value else f"{key}: of what?"

    return take


def _reason(wanted: dict[str, Any], value: str) -> str:
    return named("reason")(wanted, value.upper())


def _status(wanted: dict[str, Any], value: str) -> str:
    wanted["status"] = value.lower()
    return "" if value.lower() in STATUSES else f"status: is one of {', '.join(STATUSES)}"


def _age(wanted: dict[str, Any], value: str) -> str:
    older = _OLDER.fullmatch(value)
    if older is None:
        return "age: takes >30m, >2h or >3d"
    wanted["older_than_s"] = int(older[1]) * _SECONDS[older[2]]
    return ""


QUARANTINE: Mapping[str, Take] = {
    "reason": _reason, "file": named("file"), "account": named("account"), "status": _status, "age": _age,
}  # fmt: skip
LOTS: Mapping[str, Take] = {"asset": named("asset"), "account": named("account")}

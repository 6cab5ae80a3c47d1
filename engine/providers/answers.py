"""What adapters share: JSON with its numbers as text, and the harvest of a request over several calls.

No float is ever made: a number stays the text that came. An exponent is written out, exactly, or the value
is refused; nothing is rounded.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, NoReturn

from engine.domain.instants import to_us
from engine.domain.money import is_plain
from engine.errors import AnswerUnreadable, ProviderError
from engine.providers.protocol import (
    UNREACHED,
    Answer,
    FxRow,
    Gap,
    Kind,
    Page,
    PriceRow,
    Series,
    name_gaps,
)
from engine.providers.wire import Reply

_NUMBER = re.compile(r"-?[0-9]{1,40}(?:\.[0-9]{1,40})?(?:[eE][+-]?[0-9]{1,2})?")
_WHOLE = re.compile(r"[0-9]{1,15}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def read_json(reply: Reply) -> Any:
    """The body as JSON, every number as its text. AnswerUnreadable for anything else."""
    try:
        return json.loads(reply.body, parse_float=str, parse_int=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise unreadable(reply, "no JSON") from None


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def unreadable(reply: Reply, what: str) -> AnswerUnreadable:
    """The error for a reply that is not what its request asks for."""
    return AnswerUnreadable(f"{reply.url} answered with {what}")


def plain_text(raw: Any) -> str:
    """A number's text as a plain decimal; "" for what is none, or has more than 18 places."""
    if not isinstance(raw, str) or _NUMBER.fullmatch(raw) is None:
        return ""
    text = raw if is_plain(raw) else format(Decimal(raw), "f")
    if "." in text and not is_plain(text):
        text = text.rstrip("0").rstrip(".")
    return text if is_plain(text) else ""


def whole(raw: Any) -> int | None:
    """A count or an instant in its provider's unit; None for what is none."""
    return int(raw) if isinstance(raw, str) and _WHOLE.fullmatch(raw) else None


def read_day(raw: Any) -> date | None:
    """A date YYYY-MM-DD; None for anything else."""
    if not isinstance(raw, str) or _DAY.fullmatch(raw) is None:
        return None
    try:
        return date.fromisoformat(raw)
    except ValueError:
        return None


def day_us(day: date) -> int:
    """The first instant of a day, UTC."""
    return to_us(datetime(day.year, day.month, day.day, tzinfo=UTC))


@dataclass(slots=True)
class Harvest[Row: (PriceRow, FxRow)]:
    """What the calls of one request brought so far."""

    rows: list[Row] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    trouble: ProviderError | None = None

    def page(self, reply: Reply) -> None:
        """Keeps a reply as it came."""
        self.pages.append(Page(reply.url, reply.body))

    def unreached[K](self, rest: Iterable[K]) -> dict[K, tuple[str, str]]:
        """The reason for what the trouble left unasked; empty without trouble."""
        return {} if self.trouble is None else dict.fromkeys(rest, (UNREACHED, self.trouble.code))

    def answer(self, kind: Kind) -> Answer:
        """All of it."""
        return Answer(kind, tuple(self.rows), tuple(self.pages), tuple(self.gaps), self.trouble)


def name_day_gaps(
    pair: str, expected: Sequence[date], got: Collection[date], why: Mapping[date, tuple[str, str]]
) -> list[Gap]:
    """Days of `expected` without a rate, as whole UTC days; neighbours with one reason are one gap."""
    by_instant = {day_us(day): day for day in expected}
    gaps = name_gaps(
        Series("rate", pair, "1d"),
        list(by_instant),
        {instant for instant, day in by_instant.items() if day in got},
        {day_us(day): reason for day, reason in why.items()},
    )
    instants = sorted(by_instant)
    firsts = [instants[bisect_right(instants, gap.start)] for gap in gaps]
    ends = [day_us(by_instant[gap.end] + timedelta(days=1)) for gap in gaps]
    return [gap._replace(start=a, end=b) for gap, a, b in zip(gaps, firsts, ends, strict=True)]

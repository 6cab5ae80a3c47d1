"""Metrics over a series of one's own: a JSON file of valuations and flows, without a home.

Owns: what such a file may say. Figures in it become floats here, as all of metrics are.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from engine.config import PERIODS_PER_YEAR
from engine.domain.instants import parse_instant
from engine.domain.money import is_plain
from engine.errors import UsageError
from engine.portfolio import metrics, sub_periods
from engine.runtime.asking import instant

SERIES_BYTES_MAX = 50_000_000  # a year of 5m closes is 6 MB; what is larger is hardly meant
SHAPE = '{"valuations":[{"t":"2024-01-01T00:00:00Z","nav":"100"}],"flows":[{"t":…,"amount":…}]}'
_PARTS = ("valuations", "flows", "flow_timing")


def series_metrics(path: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """`metrics --series FILE --json`; arguments: resolution (what one period is), from, to, points.

    UsageError, saying where, for a file that is not what it should be.
    """
    series = _cut(read_series(path), instant(arguments, "from"), instant(arguments, "to"))
    resolution = arguments.get("resolution") or "1d"
    found = metrics.measure(series, dict(PERIODS_PER_YEAR)[resolution], resolution)
    answer = {"series": str(path), "resolution": resolution, "flow_timing": series.timing}
    points = {"points": found.points()} if arguments.get("points") else {}
    return answer | found.document() | points


def read_series(path: Path) -> sub_periods.Series:
    """The series in a file. UsageError for a file that is not what it should be."""
    document = _parsed(path)
    if not isinstance(document, dict) or "valuations" not in document:
        _refuse("The file holds no valuations.")
    unknown = sorted(set(document) - set(_PARTS))
    if unknown:
        _refuse(f"The file has {unknown[0]!r:.40}, which means nothing here.", f"Parts: {', '.join(_PARTS)}.")
    timing = document.get("flow_timing", sub_periods.IN_BUCKET)
    if timing not in sub_periods.FLOW_TIMINGS:
        choices = ", ".join(sub_periods.FLOW_TIMINGS)
        _refuse(f"There is no flow_timing {timing!r:.40}.", f"Choose one of: {choices}.")
    valuations = _entries(document, "valuations", "nav")
    flows = _entries(document, "flows", "amount")
    for place, (before, entry) in enumerate(pairwise(valuations), 1):
        if entry[0] <= before[0]:
            _refuse(f"valuations[{place}] is not later than the one before it.", "Sort them; each t once.")
    return sub_periods.made(
        [ts for ts, _ in valuations], [value for _, value in valuations],
        [ts for ts, _ in flows], [value for _, value in flows], timing,
    )  # fmt: skip


def _cut(series: sub_periods.Series, after: int | None, until: int | None) -> sub_periods.Series:
    """The valuations in (after, until], and the last one before them; flows outside do not count."""
    start = 0 if after is None else max(0, int(np.searchsorted(series.ts, after, side="right")) - 1)
    stop = len(series.ts) if until is None else int(np.searchsorted(series.ts, until, side="right"))
    return sub_periods.Series(
        series.ts[start:stop], series.nav[start:stop], series.flow_ts, series.flow, series.timing
    )


def _refuse(problem: str, hint: str = f"It looks like {SHAPE}") -> NoReturn:
    raise UsageError(problem, hint)


def _parsed(path: Path) -> Any:
    if not path.is_file():
        _refuse(f"There is no file {path}.", "Name a JSON file.")
    with path.open("rb") as file:
        data = file.read(SERIES_BYTES_MAX + 1)
    if len(data) > SERIES_BYTES_MAX:
        _refuse(f"{path} is larger than {SERIES_BYTES_MAX:,} bytes.", "Cut it, or use a coarser series.")
    try:
        return json.loads(data, parse_constant=_no_number, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is no JSON: {error}", f"It looks like {SHAPE}") from None


def _no_number(name: str) -> NoReturn:
    _refuse(f"{name} is no value.", "Write null where a value is not known.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name that comes twice would hide one of its values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        _refuse("An object of the file names something twice.", "Name each thing once.")
    return found


def _entries(document: dict[str, Any], part: str, name: str) -> list[tuple[int, float | None]]:
    """(instant, value) of each entry of a list."""
    entries = document.get(part, [])
    if not isinstance(entries, list):
        _refuse(f"{part} is not a list.")
    return [_entry(entry, f"{part}[{place}]", name) for place, entry in enumerate(entries)]


def _entry(entry: Any, where: str, name: str) -> tuple[int, float | None]:
    if not isinstance(entry, dict) or set(entry) != {"t", name}:
        _refuse(f'{where} is not {{"t": …, "{name}": …}}.')
    moment = entry["t"]
    text = moment if isinstance(moment, str) else ""
    ts = parse_instant(text if "T" in text else f"{text}T00:00:00Z")
    if ts is None:
        _refuse(f"{where}: t {moment!r:.40} is no instant.", "Write 2024-05-01T12:30:00Z or 2024-05-01.")
    return ts, _value(entry[name], where, name)


def _value(given: Any, where: str, name: str) -> float | None:
    """A number, a plain decimal as text, or None where it is not known."""
    if given is None:
        return None
    number = isinstance(given, int | float) and not isinstance(given, bool)
    if number or (isinstance(given, str) and is_plain(given)):
        try:
            value = float(given)
        except OverflowError:
            value = float("inf")
        if np.isfinite(value):
            return value
    _refuse(f"{where}: {name} {given!r:.40} is no amount.", "Write a number, a plain decimal, or null.")

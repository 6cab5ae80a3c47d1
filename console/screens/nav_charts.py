"""The charts of the NAV screen and their twins in words, from what the engine says of a range.

Every figure comes from the engine (`metrics` with points); here they are drawn, and nothing is worked out
but what a line of text needs. A chart has gaps where nothing is known.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Any

from console.screens import panels
from console.screens.fx_lines import held_lines
from console.text import UNKNOWN, count, instant, money, quantity, shorten, words
from console.widgets.chart import Course
from console.widgets.figures import bar, day_clock, percent, to_us
from console.widgets.pieces import BLANK, Column, Line, Piece, as_fits, cut, line, wrapped
from console.widgets.series import drawdown, samples

Document = dict[str, Any]

NAV, INDEX, DRAWDOWN, ALLOCATION = CHARTS = ("NAV", "TWR index", "drawdown", "allocation")
NOTHING: Document = {"points": [], "resolution": "1d"}  # before the engine has answered
NAME_CELLS, SHARE_CELLS, VALUE_CELLS = 16, 9, 18  # of a row of the allocation
BAR_LEAST = 10


# -- charts -------------------------------------------------------------------------------------------


def course(found: Document, which: str, currency: str) -> Course:
    """One of CHARTS, to be drawn, told and looked at point by point."""
    words = partial(twin, found, which, currency)
    if which == ALLOCATION:
        return Course(which, (), _share, words=words, picture=partial(allocation, found))
    if which == NAV:
        return replace(nav_course(found["points"], found["resolution"]), words=words, unit=currency)
    key, figure, mark = _LINKED[which]
    points = found["points"]
    return Course(
        which, samples(points, found["resolution"], key), figure, mark, words=words, stops=stops(points),
        columns=(AT, replace(EXACT, head=which), WHY), cells=lambda stop: linked_cells(points[stop], key),
    )  # fmt: skip


def nav_course(points: Sequence[Document], resolution: str) -> Course:
    """The course of NAV; its words are left to whoever shows it."""
    return Course(
        NAV, samples(points, resolution), _amount, stops=stops(points), columns=NAV_COLUMNS,
        cells=lambda stop: nav_cells(points[stop]),
    )  # fmt: skip


def drawdown_course(points: Sequence[Document], resolution: str) -> Course:
    """How far NAV was below its highest complete point, flows not taken out: where there is no index."""
    return replace(
        nav_course(points, resolution),
        samples=drawdown(samples(points, resolution)), figure=_share, mark="bad",
    )  # fmt: skip


def stops(points: Sequence[Document]) -> list[int]:
    """The instants at which a crosshair can stand."""
    return [to_us(point["bucket_close"]) for point in points]


# -- one point exactly --------------------------------------------------------------------------------

AT = Column("close", 17)
EXACT = Column("NAV", 14, right=True)
WHY = Column("state", 18, grows=1)
NAV_COLUMNS = (
    AT, EXACT, WHY, Column("priced", 14, right=True, rank=2), Column("covered", 8, right=True, rank=1),
)  # fmt: skip


def nav_cells(point: Document) -> list[Piece]:
    """A close: its NAV with every digit that the engine gave, or why there is none."""
    known = point["nav"] is not None
    return [
        (instant(point["bucket_close"]), "text"), (quantity(point["nav"]), "strong" if known else "muted"),
        state(point), ("" if known else quantity(point["priced_value"]), "muted"),
        ("" if known else f"{point['coverage']:.0%}", "muted"),
    ]  # fmt: skip


def linked_cells(point: Document, key: str) -> list[Piece]:
    """A close: the ratio as the engine gave it, or why there is none."""
    value = point[key]
    told = UNKNOWN if value is None else str(value).replace("-", "−")
    broken = (f"! chain broken: {point['break']}", "bad") if point["break"] else None
    unlinked = ("× no return here", "warn") if value is None and point["nav"] is not None else None
    return [
        (instant(point["bucket_close"]), "text"), (told, "muted" if value is None else "strong"),
        broken or unlinked or state(point),
    ]  # fmt: skip


def state(point: Document) -> Piece:
    """Why a point has no NAV, with codes and names; or that it may still change."""
    if point["nav"] is not None:
        return ("~ provisional", "warn") if "PROVISIONAL" in point["flags"] else ("", "text")
    codes, names = " ".join(point["reasons"]), ", ".join([*point["held"], *point["missing"]])
    sign, mark = ("‖ held", "held") if point["held"] else ("× not known", "warn")
    return f"{sign}: {names} {codes}".rstrip(": "), mark


def close_lines(point: Document, evidence: Sequence[Document], width: int) -> list[Line]:
    """All that is known of one close; `evidence`: `fx_status` of each pair that is held at it."""
    pairs: list[tuple[str, Line]] = [
        ("close", line((instant(point["bucket_close"]), "strong"))),
        ("NAV", line((quantity(point["nav"]), "strong"), ("  ", "text"), state(point))),
    ]
    if point["nav"] is None:
        told = f"{quantity(point['priced_value'])}, {point['coverage']:.2%} of the holdings"
        pairs.append(("priced", line(told)))
    pairs += [(name, line(", ".join(point[key]))) for key, name in NAMED if point.get(key)]
    pairs += [(name, line(str(point[key]).replace("-", "−"))) for key, name in FIGURES if point.get(key)]
    made = panels.details(pairs, width)
    broken = [point["break"]] if point.get("break") else []
    for code in [*point["reasons"], *point["flags"], *broken]:
        made += [BLANK, line((code, "warn"))]
        made += [line("  ", (part, "muted")) for part in wrapped(words(code), width - 2)]
    for found in evidence:
        made += [BLANK, *held_lines(found, width)]
    return made


NAMED = (("held", "held"), ("missing", "missing"))
FIGURES = (
    ("index", "TWR index"), ("drawdown", "drawdown"), ("flow", "came and went"),
    ("excluded", "excluded"), ("unmatched_value", "unmatched"),
)  # fmt: skip


# -- scales -------------------------------------------------------------------------------------------


def _amount(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.2f}"


def _level(value: float) -> str:
    return f"{value:,.3f}"


def _share(ratio: float) -> str:
    return f"{ratio * 100:.1f}%".replace("-0.0%", "0.0%").replace("-", "−")


_LINKED: dict[str, tuple[str, Callable[[float], str], str]] = {
    INDEX: ("index", _level, "accent"),
    DRAWDOWN: ("drawdown", _share, "bad"),
}


def allocation(found: Document, width: int, height: int) -> list[Line]:
    """Shares of NAV at the last complete close, by asset and by account, as bars."""
    told = found.get("allocation")
    if not told:
        return []
    assets, accounts = told["by_asset"], told["by_account"]
    room = max(0, height - 3)  # two heads and a line between them
    below = min(len(accounts), max(1, room // 3))
    made = [panels.head("By asset", f"at {instant(told['bucket_close'])}")]
    made += _bars(assets, "asset_id", width, room - below)
    made += [BLANK, panels.head("By account"), *_bars(accounts, "account", width, below)]
    return [cut(row, width) for row in made][:height]


def _bars(shares: Sequence[Document], name: str, width: int, height: int) -> list[Line]:
    """The largest shares, one a line; the last line says how many are left out."""
    shown = shares if len(shares) <= height else shares[: max(0, height - 1)]
    made = [_bar(one, name, width) for one in shown]
    if len(shown) < len(shares):
        made.append(line((f"and {count(len(shares) - len(shown))} more", "muted")))
    return made[: max(0, height)]


def _bar(one: Document, name: str, width: int) -> Line:
    share = one["share"]
    room = width - NAME_CELLS - SHARE_CELLS - VALUE_CELLS - 2
    drawn: Piece = (bar(share or 0.0, room), "accent") if room >= BAR_LEAST else ("", "text")
    value = money(one["value"]) if room >= BAR_LEAST else ""
    return line(
        (f"{shorten(one[name], NAME_CELLS - 1):<{NAME_CELLS}}", "text"), drawn,
        (f"{percent(share):>{SHARE_CELLS}}", "strong"), (f"{value:>{VALUE_CELLS}}", "muted"),
    )  # fmt: skip


# -- twins --------------------------------------------------------------------------------------------


def twin(found: Document, which: str, currency: str, width: int) -> Line:
    """A chart in words, as much as fits."""
    if which == NAV:
        return nav_twin(found["points"], currency, width)
    if "twr" not in found:
        return line((UNKNOWN, "muted"))
    return as_fits(_TWINS[which](found), width)


def nav_twin(points: Sequence[Document], currency: str, width: int) -> Line:
    """The course of NAV: last, change, unknown closes, most, least."""
    known = [Decimal(point["nav"]) for point in points if point["nav"] is not None]
    if not known:
        return line(("no close with a known NAV in this range", "muted"))
    last = points[-1]
    told: Line = (
        line((f"{money(last['nav'])} {currency}", "strong")) if last["nav"] else line(panels.gap_piece(last))
    )
    change = known[-1] - known[0]
    ratio = percent(float(change / known[0]), signed=True) if known[0] else UNKNOWN
    sign = "+" if change > 0 else ""
    unknown = len(points) - len(known)
    at = next(point["bucket_close"] for point in reversed(points) if point["nav"] is not None)
    latest = [] if last["nav"] else [(f"last {money(str(known[-1]))} {currency} at {instant(at)}", "strong")]
    parts = (
        *latest,
        (f"change {sign}{money(str(change))} ({ratio}), flows included".replace("-", "−"), "text"),
        (f"{count(unknown)} of {count(len(points))} closes not known", "warn" if unknown else "muted"),
        (f"most {money(str(max(known)))}", "muted"),
        (f"least {money(str(min(known)))}", "muted"),
    )
    return as_fits([told, *(line(part) for part in parts)], width)


def _index_twin(found: Document) -> list[Line]:
    worst, best = found["worst"], found["best"]
    parts: list[Line] = [line(("TWR ", "muted"), (percent(found["twr"], signed=True), "strong"))]
    if found["twr"] is None:
        parts += _broken(found)
    parts.append(line((f"known for {percent(found['coverage'])} of the time", "muted")))
    if best and worst:
        parts.append(line((_extreme("best", best), "ok")))
        parts.append(line((_extreme("worst", worst), "bad")))
    spread = percent(found["volatility"])
    return [*parts, line((f"volatility {spread} a year", "muted"))]


def _extreme(name: str, period: Document) -> str:
    return f"{name} {period['period']} {percent(period['return'], signed=True)} {instant(period['to'])}"


def _broken(found: Document) -> list[Line]:
    """Why there is no return over the whole range, and the longest stretch that has one."""
    best = found["longest_unbroken"]
    told = [line((f"! {words(found['reason'])}", "warn"))]
    if best and found["breaks"]:
        span = _span(best["from"], best["to"])
        told.append(line((f"longest unbroken {percent(best['twr'], signed=True)}, {span}", "text")))
    return told


def _span(first: str, last: str) -> str:
    """From when to when, with their year; told once where it is one."""
    return f"{instant(first)} to {day_clock(last, to_us(first))}"


def _drawdown_twin(found: Document) -> list[Line]:
    fall = found["drawdown"]
    head = line(("Drawdown of the TWR index, worst ", "muted"), (percent(found["max_drawdown"]), "strong"))
    if fall is None:
        return [head, *_broken(found)]
    if fall["peak"] is None:
        return [head, line(("never below its peak", "ok"))]
    after = f"recovered {instant(fall['recovery'])}" if fall["recovery"] else "not recovered"
    now = next((p["drawdown"] for p in reversed(found["points"]) if p["drawdown"] is not None), None)
    return [
        head,
        line((f"{_span(fall['peak'], fall['trough'])}, {after}", "text")),
        line((f"now {percent(now)}", "muted")),
        line(("flows taken out", "muted")),
    ]


def _allocation_twin(found: Document) -> list[Line]:
    told = found["allocation"]
    if not told:
        return [line(("no close with a known NAV in this range", "muted"))]
    largest = [f"{shorten(one['asset_id'], NAME_CELLS)} {percent(one['share'])}" for one in told["by_asset"]]
    return [line((part, "text" if place else "strong")) for place, part in enumerate(largest)] or [
        line(("nothing is held", "muted"))
    ]


_TWINS = {INDEX: _index_twin, DRAWDOWN: _drawdown_twin, ALLOCATION: _allocation_twin}


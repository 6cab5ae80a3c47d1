"""The charts of the NAV screen and their twins in words, from what the engine says of a range.

Every figure comes from the engine (`metrics` with points); here they are drawn, and nothing is worked out
but what a line of text needs. A chart has gaps where nothing is known.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from console.screens import panels
from console.text import UNKNOWN, count, money, shorten, words
from console.widgets.chart import chart
from console.widgets.figures import bar, day_clock, percent, spark
from console.widgets.pieces import BLANK, Line, Piece, as_fits, cut, line
from console.widgets.series import drawdown, samples

Document = dict[str, Any]

NAV, INDEX, DRAWDOWN, ALLOCATION = CHARTS = ("NAV", "TWR index", "drawdown", "allocation")
NOTHING: Document = {"points": [], "resolution": "1d"}  # before the engine has answered
LEVELS_CELLS = 24
NAME_CELLS, SHARE_CELLS, VALUE_CELLS = 16, 9, 18  # of a row of the allocation
BAR_LEAST = 10


# -- charts -------------------------------------------------------------------------------------------


def nav_chart(
    points: Sequence[Document], resolution: str, width: int, height: int, ascii_only: bool
) -> list[Line]:
    """The course of NAV."""
    return chart(samples(points, resolution), width, height, _amount, "accent", ascii_only)


def drawdown_chart(
    points: Sequence[Document], resolution: str, width: int, height: int, ascii_only: bool
) -> list[Line]:
    """How far NAV was below its highest complete point, flows not taken out: where there is no index."""
    return chart(drawdown(samples(points, resolution)), width, height, _share, "bad", ascii_only)


def drawn(found: Document, which: str, width: int, height: int, ascii_only: bool) -> list[Line]:
    """One of CHARTS in `width` x `height` cells."""
    if which == ALLOCATION:
        return allocation(found, width, height)
    if which == NAV:
        return nav_chart(found["points"], found["resolution"], width, height, ascii_only)
    key, figure, mark = _LINKED[which]
    course = samples(found["points"], found["resolution"], key)
    return chart(course, width, height, figure, mark, ascii_only)


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
    made = [panels.head("By asset", f"at {day_clock(told['bucket_close'])}Z")]
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
    parts = (
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
    return f"{name} {period['period']} {percent(period['return'], signed=True)} {day_clock(period['to'])}Z"


def _broken(found: Document) -> list[Line]:
    """Why there is no return over the whole range, and the longest stretch that has one."""
    best = found["longest_unbroken"]
    told = [line((f"! {words(found['reason'])}", "warn"))]
    if best and found["breaks"]:
        span = f"{day_clock(best['from'])}Z to {day_clock(best['to'])}Z"
        told.append(line((f"longest unbroken {percent(best['twr'], signed=True)}, {span}", "text")))
    return told


def _drawdown_twin(found: Document) -> list[Line]:
    fall = found["drawdown"]
    head = line(("Drawdown of the TWR index, worst ", "muted"), (percent(found["max_drawdown"]), "strong"))
    if fall is None:
        return [head, *_broken(found)]
    if fall["peak"] is None:
        return [head, line(("never below its peak", "ok"))]
    after = f"recovered {day_clock(fall['recovery'])}Z" if fall["recovery"] else "not recovered"
    now = next((p["drawdown"] for p in reversed(found["points"]) if p["drawdown"] is not None), None)
    return [
        head,
        line((f"{day_clock(fall['peak'])}Z to {day_clock(fall['trough'])}Z, {after}", "text")),
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


def levels(found: Document, which: str) -> Line:
    """A line of levels of a course, where there is no room for its chart."""
    key = "nav" if which == NAV else _LINKED[which][0]
    course = [sample.value for sample in samples(found["points"], found["resolution"], key)]
    return line((spark(course, LEVELS_CELLS), "bad" if which == DRAWDOWN else "accent"))

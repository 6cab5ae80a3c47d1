"""The NAV screen's charts and their twins: what is drawn is what the engine said, and a gap stays a gap."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from console.fake import nav_points
from console.fake_metrics import metrics
from console.screens import nav_charts
from console.screens.nav_charts import ALLOCATION, CHARTS, DRAWDOWN, INDEX, NAV
from console.widgets.chart import chart
from console.widgets.pieces import cells
from console.widgets.series import gap_rail, samples
from tests.console.deck_driver import Console, console

FOUND = metrics(nav_points("1h")[-720:], "1h")
BROKEN = {
    "twr": None, "max_drawdown": None, "drawdown": None, "reason": "FLOW_UNPRICED",
    "breaks": [{"at": "2026-03-01T00:00:00Z", "code": "FLOW_UNPRICED"}],
    "longest_unbroken": {"from": "2026-02-03T00:00:00Z", "to": "2026-02-28T23:00:00Z", "twr": 0.0731},
}  # fmt: skip


def told(found: dict[str, Any], which: str, width: int = 160) -> str:
    return "".join(text for text, _ in nav_charts.twin(found, which, "USD", width))


def picture(found: dict[str, Any], which: str, width: int, height: int) -> list[Any]:
    course = nav_charts.course(found, which, "USD")
    return course.picture(width, height) if course.picture else chart(course, width, height)


def text(lines: list[Any]) -> str:
    return "\n".join("".join(piece for piece, _ in line) for line in lines)


def scenario(act: Callable[[Console], Awaitable[None]], **how: Any) -> None:
    async def run() -> None:
        async with console(screen="nav", **how) as deck:
            await act(deck)

    asyncio.run(run())


@pytest.mark.parametrize("which", CHARTS)
@pytest.mark.parametrize(("width", "height"), [(78, 10), (158, 20)])
def test_chart__fits_its_room(which: str, width: int, height: int) -> None:
    drawn = picture(FOUND, which, width, height)
    assert 0 < len(drawn) <= height
    assert all(cells(line) <= width for line in drawn)


@pytest.mark.parametrize("which", CHARTS)
def test_twin__fits_a_line_of_any_width(which: str) -> None:
    for width in (20, 78, 160):
        assert cells(nav_charts.twin(FOUND, which, "USD", width)) <= width


def test_twin__nav__where_the_newest_is_held__tells_the_last_that_was_known() -> None:
    known = {"bucket_close": "2026-03-03T00:00:00Z", "nav": "1100.5", "held": []}
    held = {"bucket_close": "2026-03-04T00:00:00Z", "nav": None, "held": ["EUR/USD"], "reasons": ["FX_HELD"]}

    line = "".join(text for text, _ in nav_charts.nav_twin([known, held], "USD", 80))

    assert line.startswith("‖ held: EUR/USD  last 1,100.50 USD at 2026-03-03 00:00Z")


def test_index__takes_the_engine_s_figures__and_has_nav_s_gaps() -> None:
    course = samples(FOUND["points"], "1h", "index")
    assert [sample.value for sample in course] == [point["index"] for point in FOUND["points"]]
    assert [s.why for s in course] == [s.why for s in samples(FOUND["points"], "1h")]


def test_break__is_a_gap_of_its_own_and_marked() -> None:
    points = [dict(point) for point in FOUND["points"][:40]]
    points[20]["break"] = "NO_CAPITAL"
    course = samples(points, "1h", "index")
    (gap,) = [sample for sample in course if sample.value is None]
    assert gap.why == "broken"
    assert points[19]["bucket_close"] < points[20]["bucket_close"]
    assert "broken" in gap_rail(course, 60)
    assert all(sample.why == "" for sample in samples(points, "1h"))


def test_rail__of_a_hold_and_a_break_in_one_column__the_break_is_seen() -> None:
    points = [dict(point) for point in FOUND["points"][:3]]
    points[1] |= {"nav": None, "index": None, "held": ["EUR/USD"]}
    points[2]["break"] = "FLOW_UNPRICED"
    assert gap_rail(samples(points, "1h", "index"), 1) == ["broken"]


def test_twin__index__tells_return_coverage_best_and_worst() -> None:
    line = told(FOUND, INDEX)
    assert line.startswith("TWR ")
    assert f"known for {FOUND['coverage'] * 100:.2f} % of the time" in line
    assert "best 1h +" in line
    assert "worst 1h −" in line


def test_twin__broken_chain__says_why_and_offers_the_longest_stretch__and_no_figure() -> None:
    broken = FOUND | BROKEN
    for which in (INDEX, DRAWDOWN):
        line = told(broken, which)
        assert "longest unbroken +7.31 %, 2026-02-03 00:00Z to 02-28 23:00Z" in line
        assert "no return" in line
    assert told(broken, INDEX).startswith("TWR –")


def test_twin__drawdown__names_peak_trough_and_recovery() -> None:
    fall = {"depth": -0.25, "peak": "2026-02-03T00:00:00Z", "trough": "2026-02-10T06:00:00Z",
            "recovery": None, "duration_s": 1}  # fmt: skip
    line = told(FOUND | {"drawdown": fall, "max_drawdown": -0.25}, DRAWDOWN)
    assert "worst −25.00 %  2026-02-03 00:00Z to 02-10 06:00Z, not recovered" in line
    healed = fall | {"recovery": "2026-02-20T00:00:00Z"}
    assert "recovered 2026-02-20 00:00Z" in told(FOUND | {"drawdown": healed}, DRAWDOWN)


def test_allocation__largest_first__what_is_left_out_is_counted() -> None:
    drawn = text(picture(FOUND, ALLOCATION, 100, 8))
    assert drawn.index("BTC") < drawn.index("ETH")
    assert "and 3 more" in drawn
    assert "41.20 %" in drawn


def test_allocation__nothing_complete__draws_nothing_and_says_so() -> None:
    nothing = FOUND | {"allocation": None}
    assert picture(nothing, ALLOCATION, 100, 8) == []
    assert "no close with a known NAV" in told(nothing, ALLOCATION)


def test_before_the_first_answer__no_chart_and_no_figure() -> None:
    for which in CHARTS:
        assert picture(nav_charts.NOTHING, which, 80, 12) == []
        assert "%" not in told(nav_charts.NOTHING, which)


def test_key__goes_through_the_charts__and_asks_nothing_anew() -> None:
    async def act(deck: Console) -> None:
        asked = len(deck.client.queries)
        for name in (INDEX, DRAWDOWN, ALLOCATION, NAV):
            await deck.press("v")
            assert f"[{name}]" in deck.text()
        assert len(deck.client.queries) == asked

    scenario(act)


def test_drawdown_chosen__nav_stands_below__else_drawdown() -> None:
    async def act(deck: Console) -> None:
        assert "Drawdown of the TWR index" in deck.text()
        await deck.press("v", "v")
        assert "flows included" in deck.text()

    scenario(act, size=(160, 45))


def test_copy__takes_the_twin_of_the_chosen_chart() -> None:
    async def act(deck: Console) -> None:
        await deck.press("v", "v", "v")
        copied = deck.app.screen.copied()  # type: ignore[attr-defined]
        assert copied.startswith("BTC 41.20 %")

    scenario(act)

"""Charts: every extreme is drawn, no hole is bridged, a crosshair tells each point as the engine gave it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.fake import FakeClient, nav_points, overview
from console.fake_metrics import metrics
from console.screens import nav_charts
from console.screens.fx_lines import drift_course
from console.screens.inbox import throughput_course
from console.screens.nav_charts import INDEX, NAV
from console.screens.storage_lines import memory_course
from console.terminal import Terminal
from console.widgets import canvas
from console.widgets.canvas import ASCII, BLOCK, BRAILLE, Pen, curve, level
from console.widgets.chart import Chart, chart
from console.widgets.crosshair import moved, standing
from console.widgets.figures import HOUR_US
from console.widgets.pieces import cells
from console.widgets.series import Sample, gap_rail, place
from engine.api import EngineError
from tests.console.deck_driver import TERMINAL, Console, console

PENS = [BRAILLE, BLOCK, ASCII]
REACH = (0.0, 100.0)
known = st.floats(0, 100)
found = st.lists(st.one_of(st.none(), known), min_size=1, max_size=120)


def series(values: list[float | None]) -> list[Sample]:
    return [
        Sample(n * HOUR_US, value, "" if value is not None else "missing") for n, value in enumerate(values)
    ]


def dots(drawn: Sequence[str], by: Pen) -> set[tuple[int, int]]:
    """The dots of a drawing, as (x, y) from the top left."""
    return {
        (x * by.wide + dot % by.wide, y * by.high + dot // by.wide)
        for y, row in enumerate(drawn)
        for x, sign in enumerate(row)
        for dot in SIGNS[by.marker](sign)
    }


def of_braille(sign: str) -> list[int]:
    bits = 0 if sign == " " else ord(sign) - 0x2800
    return [dot for dot, bit in enumerate((0, 3, 1, 4, 2, 5, 6, 7)) if bits >> bit & 1]


def of_block(sign: str) -> list[int]:
    bits = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█".index(sign)
    return [dot for dot in range(4) if bits >> dot & 1]


SIGNS: dict[str, Callable[[str], list[int]]] = {
    "braille": of_braille,
    "hd": of_block,
    "*": lambda sign: [0] if sign == "*" else [],
}


def text(lines: list[Any]) -> list[str]:
    return ["".join(piece for piece, _ in line) for line in lines]


def scenario(act: Callable[[Console], Awaitable[None]], **how: Any) -> None:
    async def run() -> None:
        async with console(**how) as deck:
            await act(deck)

    asyncio.run(run())


# -- what is drawn ------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(found, st.integers(10, 60), st.integers(3, 20), st.sampled_from(PENS))
def test_curve__its_range_is_that_of_the_data__whatever_samples_and_columns(
    values: list[float | None], columns: int, rows: int, by: Pen
) -> None:
    drawn = curve(series(values), columns, rows, REACH, by)
    assert [len(row) for row in drawn] == [columns] * rows
    rows_of = [level(value, rows * by.high, REACH) for value in values if value is not None]
    seen = [y for _, y in dots(drawn, by)]
    assert (min(seen, default=None), max(seen, default=None)) == (
        min(rows_of, default=None),
        max(rows_of, default=None),
    )


@settings(deadline=None, max_examples=80)
@given(found, st.integers(10, 60), st.sampled_from(PENS))
def test_curve__no_dot_where_nothing_is_known(values: list[float | None], columns: int, by: Pen) -> None:
    whole, wide = series(values), columns * by.wide
    seen = {x for x, _ in dots(curve(whole, columns, 8, REACH, by), by)}
    at = [place(sample.ts, whole[0].ts, whole[-1].ts, wide) for sample in whole]
    for number in range(1, len(whole) - 1):
        if whole[number].value is None:
            assert seen.isdisjoint(range(at[number - 1] + 1, at[number + 1]))


@settings(deadline=None, max_examples=60)
@given(found, st.sampled_from(PENS))
def test_curve__every_value_of_a_wide_chart_has_its_dot(values: list[float | None], by: Pen) -> None:
    whole = series(values)
    columns, rows = max(10, len(values)), 10
    seen = dots(curve(whole, columns, rows, REACH, by), by)
    for sample in whole:
        if sample.value is not None:
            x = place(sample.ts, whole[0].ts, whole[-1].ts, columns * by.wide)
            assert (x, level(sample.value, rows * by.high, REACH)) in seen


def test_bars__each_stands_by_itself_on_the_ground() -> None:
    drawn = curve(series([100.0, None, 50.0, 50.0]), 4, 2, REACH, BLOCK, bars=True)
    bars = {0: range(4), 5: range(1, 4), 7: range(1, 4)}
    assert dots(drawn, BLOCK) == {(x, y) for x, rows in bars.items() for y in rows}


def test_rail__a_value_that_is_held__is_marked_over_its_stretch_and_no_further() -> None:
    held = [Sample(0, 1.0), Sample(40, 9.0, "held"), Sample(60, 9.0, "held"), Sample(100, 1.0)]
    assert gap_rail(held, 10) == [""] * 4 + ["held"] * 3 + [""] * 3


@pytest.mark.parametrize(
    ("setting", "ascii_only", "by"),
    [("auto", False, BRAILLE), ("auto", True, ASCII), ("block", False, BLOCK), ("braille", True, ASCII)],
)
def test_pen__the_setting__as_far_as_the_terminal_can(setting: str, ascii_only: bool, by: Pen) -> None:
    assert canvas.pen(setting, ascii_only) is by


def test_ascii_terminal__charts_have_no_other_sign() -> None:
    async def act(deck: Console) -> None:
        await deck.press("5", "x", "left")
        assert deck.text().isascii()
        assert "*" in deck.text()

    scenario(act, terminal=Terminal("", TERMINAL.theme, True, ascii=True), size=(160, 45))


def test_setting__of_the_home__draws_blocks() -> None:
    async def act(deck: Console) -> None:
        assert "▀" in deck.text()
        assert not any("\u2800" <= sign <= "\u28ff" for sign in deck.text())

    scenario(act, client=FakeClient(overview() | {"graphs": "block"}), screen="nav")


def test_rules__are_seen_at_their_values__also_where_all_values_are_below() -> None:
    doc = {"memory": {"history": [[0, 0.10], [HOUR_US, 0.12]]}}
    drawn = chart(memory_course(doc, HOUR_US), 60, 22)
    ruled = {mark: y for y, row in enumerate(drawn) for piece, mark in row if "╌" in piece}
    reach = (-4.0, 104.0)
    assert ruled == {"bad": level(90.0, 20, reach), "warn": level(65.0, 20, reach)}


# -- the crosshair ------------------------------------------------------------------------------------

moves = st.lists(
    st.tuples(st.sampled_from(["point", "column", "page", "edge"]), st.sampled_from([-1, 1])), max_size=12
)


@settings(deadline=None, max_examples=80)
@given(st.lists(st.integers(0, 500), min_size=1, max_size=80, unique=True), st.integers(1, 60), moves)
def test_moves__stay_on_points__and_go_where_they_say(
    instants: list[int], columns: int, steps: list[tuple[str, int]]
) -> None:
    stops = sorted(instants)
    here = len(stops) - 1
    for unit, by in steps:
        there = moved(stops, here, unit, by, columns)
        assert 0 <= there < len(stops)
        assert (there - here) * by >= 0
        ends = {0, len(stops) - 1}
        if unit == "point":
            assert abs(there - here) == 1 or here in ends
        if unit == "column" and there not in ends:
            at = [place(stops[stop], stops[0], stops[-1], columns) for stop in (here, there)]
            assert at[0] != at[1]
        number, many = standing(stops, there, columns)
        assert 1 <= number <= many
        here = there


def test_crosshair__tells_the_close_and_the_figure_as_the_engine_gave_it() -> None:
    async def act(deck: Console) -> None:
        last = nav_points("1h")[-1]
        await deck.press("x")
        assert f"▸ {last['bucket_close'][:10]} 14:00Z" in deck.text()
        assert f"{int(last['nav'].split('.')[0]):,}.{last['nav'].split('.')[1]} USD" in deck.text()
        await deck.press("up")
        assert "▸ 2026-03-04 13:00Z" in deck.text()
        await deck.press("home")
        assert "▸ 2026-02-02 15:00Z (1 of" in deck.text()
        await deck.press("escape")
        assert "▸ 20" not in deck.text()

    scenario(act, screen="nav")


def test_crosshair__exact__no_digit_is_rounded_away() -> None:
    point = nav_points("1h")[0] | {"nav": "12345678.000000000000000001"}
    told = [piece for piece, _ in nav_charts.nav_cells(point)]
    assert told[1] == "12,345,678.000000000000000001"
    ratio = point | {"index": 1.0731284419283, "break": None}
    assert nav_charts.linked_cells(ratio, "index")[1][0] == "1.0731284419283"


def test_crosshair__on_a_held_close__says_why__and_enter_shows_the_evidence() -> None:
    async def act(deck: Console) -> None:
        chosen = deck.app.screen.query(Chart).first()
        await deck.press("x")
        for _ in range(200):
            if "‖ held: EUR/USD FX_HELD" in deck.text():
                break
            await deck.press("left")
        assert chosen.place is not None
        close = nav_points("1h")[-720:][chosen.place]
        assert close["nav"] is None
        await deck.press("enter")
        asked = [query for query in deck.client.queries if query.name == "fx_status"]
        assert [query.arguments["at"] for query in asked] == [close["bucket_close"]]
        assert "the fallback rate is not trusted" in deck.text()
        assert "41.2 bps" in deck.text()
        await deck.press("escape")
        assert chosen.place is not None
        assert nav_points("1h")[-720:][chosen.place] == close

    scenario(act, screen="nav", size=(160, 45))


def test_crosshair__missing_assets_and_a_broken_chain__are_named() -> None:
    point = nav_points("1h")[0] | {"break": None, "index": None}
    missing = point | {"nav": None, "missing": ["SOL", "XYZ"], "reasons": ["NO_PRICE"]}
    assert nav_charts.state(missing) == ("× not known: SOL, XYZ NO_PRICE", "warn")
    broken = point | {"break": "FLOW_UNPRICED", "index": 1.0}
    assert nav_charts.linked_cells(broken, "index")[2] == ("! chain broken: FLOW_UNPRICED", "bad")
    page = "\n".join(text(nav_charts.close_lines(broken, [], 70)))
    assert "something came or went without a price" in page


def test_evidence_that_cannot_be_had__the_close_is_shown_without_it() -> None:
    async def act(deck: Console) -> None:
        await deck.press("x")
        chosen = deck.app.screen.query(Chart).first()
        while (chosen.place or 0) > 0 and "‖ held" not in text(chosen._painted)[0]:
            await deck.press("left")
        deck.client.failing = EngineError("The engine is busy.", "Try again.")
        await deck.press("enter")
        assert any("busy" in toast for toast in deck.toasts())
        assert "the fallback rate is not trusted" in deck.text()

    scenario(act, screen="nav")


def test_crosshair__where_no_chart_is_in_sight__says_so() -> None:
    async def act(deck: Console) -> None:
        await deck.press("x")
        assert any("no chart" in toast for toast in deck.toasts())

    scenario(act, screen="overview")


@pytest.mark.parametrize(("screen", "told"), [("overview", "USD"), ("inbox", "rows/s"), ("storage", "%")])
def test_crosshair__on_every_chart_over_time(screen: str, told: str) -> None:
    async def act(deck: Console) -> None:
        await deck.press("x", "left")
        (line,) = [line for line in deck.text().splitlines() if "▸ 2026" in line]
        assert told in line

    scenario(act, screen=screen, size=(160, 45))


def test_crosshair__a_click__puts_it_there() -> None:
    async def act(deck: Console) -> None:
        await deck._pilot.click("#nav", offset=(40, 6))
        await deck.settle()
        chosen = deck.app.screen.query_one("#nav", Chart)
        assert chosen.has_focus
        assert 0 < (chosen.place or 0) < 719

    scenario(act, screen="nav")


def test_crosshair__in_80_columns__the_chart_takes_the_list_s_place_and_gives_it_back() -> None:
    async def act(deck: Console) -> None:
        await deck.press("x")
        assert not deck.rows.display
        assert "bps" in deck.text()
        await deck.press("escape")
        assert deck.rows.display
        assert deck.rows.has_focus

    scenario(act, screen="fx")


def test_crosshair__where_the_chart_stands_above_the_list__both_stay() -> None:
    async def act(deck: Console) -> None:
        await deck.press("x")
        assert deck.rows.display
        assert "▸ 2026" in deck.text()

    scenario(act, screen="storage")


# -- twins --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("screen", ["overview", "inbox", "fx", "nav", "storage"])
def test_table__has_every_point_of_the_chart__and_is_copied_whole(screen: str) -> None:
    async def act(deck: Console) -> None:
        course = deck.app.screen.query(Chart).first().course()
        await deck.press("w")
        assert f"{len(course.stops)} point" in deck.text()
        copied = deck.app.screen.copied()  # type: ignore[attr-defined]
        rows = copied.split("\n")
        assert len(rows) == len(course.stops) + 1
        assert rows[0] == "\t".join(column.head for column in course.columns)
        assert rows[1] == "\t".join(piece for piece, _ in course.cells(len(course.stops) - 1))
        await deck.press("c")
        assert any("copied" in toast for toast in deck.toasts())

    scenario(act, screen=screen, size=(160, 45))


def test_table__a_figure_is_never_cut() -> None:
    async def act(deck: Console) -> None:
        await deck.press("w")
        assert nav_points("1h")[-1]["nav"].replace(".", ".") in deck.text().replace(",", "")

    scenario(act, screen="nav")


# -- courses ------------------------------------------------------------------------------------------

FIXING = {"pair": "EUR/USD", "fallback_asof": "2026-03-02T13:15:00Z", "fallback": "1.08", "primary": "1.0803",
          "primary_asof": "2026-03-02T13:00:00Z", "primary_age_s": 900, "feed_bps": "2.777"}  # fmt: skip
RUN = {"from": "2026-03-02T20:00:00Z", "to": "2026-03-03T02:00:00Z", "closes": 7, "state": "held",
       "drift_bps": "31.25", "fallback": "1.08"}  # fmt: skip


def drift(fixings: list[Any], runs: list[Any]) -> Any:
    pairs = [{"pair": "EUR/USD"}]
    return drift_course({"pairs": pairs, "drift_bps_max": "25", "fixings": fixings, "without_market": runs})


def test_drift__a_hold_stands_apart_from_the_fixings__marked_on_the_rail() -> None:
    later = FIXING | {"fallback_asof": "2026-03-03T13:15:00Z", "feed_bps": "3.5"}
    course = drift([FIXING, later], [RUN])
    assert [sample.value for sample in course.samples] == [2.777, None, 31.25, 31.25, None, 3.5]
    assert [sample.why for sample in course.samples] == ["", "", "held", "held", "", ""]
    assert course.rules == ((25.0, "held"),)
    assert [cells[1][0] for cells in map(course.cells, range(4))] == ["2.777", "31.25", "31.25", "3.5"]


def test_drift__a_hold_without_a_market_rate__has_no_figure_and_is_marked() -> None:
    course = drift([FIXING], [RUN | {"drift_bps": None}])
    assert [(sample.value, sample.why) for sample in course.samples][2:] == [(None, "held"), (None, "held")]
    assert course.cells(1)[1][0] == "–"


def test_drift__nothing_known_but_a_hold__the_band_and_the_rail_are_drawn() -> None:
    drawn = text(chart(drift([], [RUN | {"drift_bps": None}]), 60, 12))
    assert "╌╌╌" in "".join(drawn)
    assert "‖‖‖" in drawn[-2]


def test_drift__fixings_that_did_not_come__are_a_gap() -> None:
    course = drift([FIXING, FIXING | {"fallback_asof": "2026-03-12T13:15:00Z"}], [])
    assert [sample.why for sample in course.samples] == ["", "missing", ""]


def test_memory__a_value_holds_until_the_next_one__and_up_to_now() -> None:
    doc = {"memory": {"history": [[0, 0.5], [100, 0.7]]}}
    course = memory_course(doc, 150)
    assert [(sample.ts, sample.value) for sample in course.samples] == [
        (0, 50.0), (99, 50.0), (100, 70.0), (149, 70.0), (150, 70.0),
    ]  # fmt: skip
    assert course.stops == [0, 100, 150]
    assert [piece for piece, _ in course.cells(1)][1:] == ["70.00 %", "alert"]


def test_throughput__files_with_rows_only__oldest_first() -> None:
    file = {"name": "a.csv", "rows": 1_000, "seconds": 0.5, "done_at": "2026-03-04T14:00:01Z"}
    empty, older = file | {"rows": 0}, file | {"name": "b.csv", "rows": 30, "done_at": "2026-03-04T13:00:00Z"}
    course = throughput_course([empty, file, {"name": "c", "rows": 5}, older])
    assert [sample.value for sample in course.samples] == [60.0, 2_000.0]
    assert [piece for piece, _ in course.cells(1)][1:] == ["2,000", "1,000", "0.500 s", "a.csv"]


def test_courses__of_nothing__draw_nothing_and_have_no_stop() -> None:
    nothing = metrics([], "1h")
    courses = [
        *(nav_charts.course(nothing, which, "USD") for which in (NAV, INDEX)), drift([], []),
        throughput_course([]), memory_course({"memory": {"history": []}}, 5),
    ]  # fmt: skip
    for course in courses:
        assert list(course.stops) == []
        assert chart(course, 80, 12) == []
        assert cells(course.words(60)) <= 60

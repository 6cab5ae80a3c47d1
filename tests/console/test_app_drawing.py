"""The parts that screens are drawn with: lines, columns, series, charts. Pure."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from console.fake import nav_points
from console.screens import backup_lines, fx_lines, inbox, lot_lines, panels, transfer_lines
from console.screens.filtering import parse
from console.text import ascii_text
from console.widgets import figures
from console.widgets.chart import Course, chart
from console.widgets.figures import DAY_US, HOUR_US, MINUTE_US, day_clock, moment, span, to_us
from console.widgets.lines import changed_runs
from console.widgets.pieces import Column, as_fits, cells, cut, fitted, line, spread, widest, wrapped
from console.widgets.series import Sample, drawdown, gap_rail, place, samples, strokes

texts = st.text(alphabet="ab é漢字…‖▁ ", max_size=30)
values = st.lists(st.one_of(st.none(), st.floats(1, 1e6)), min_size=1, max_size=80)


def series(found: list[float | None]) -> list[Sample]:
    return [
        Sample(place * HOUR_US, value, "" if value is not None else "held")
        for place, value in enumerate(found)
    ]


@settings(deadline=None, max_examples=60)
@given(st.lists(texts, max_size=4), st.integers(-3, 40))
def test_cut__is_never_wider_than_asked(parts: list[str], width: int) -> None:
    made = line(*parts)
    shown = cut(made, width)
    assert cells(shown) <= max(0, width)
    if cells(made) <= width:
        assert shown == made


@settings(deadline=None, max_examples=60)
@given(texts, texts, st.integers(0, 40))
def test_spread__fills_the_width_exactly(left: str, right: str, width: int) -> None:
    assert cells(spread(line(left), line(right), width)) == width


@settings(deadline=None, max_examples=60)
@given(texts)
def test_ascii_text__is_as_wide_as_before(text: str) -> None:
    assert cell_len(ascii_text(text)) == cell_len(text)
    assert ascii_text(text).isascii()


@settings(deadline=None, max_examples=60)
@given(texts, st.integers(2, 20))
def test_wrapped__keeps_every_character_but_blanks(text: str, width: int) -> None:
    parts = wrapped(text, width)
    assert all(cell_len(part) <= width for part in parts)
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")


@settings(deadline=None, max_examples=60)
@given(texts, texts)
def test_changed_runs__cover_every_cell_that_differs_and_no_equal_lines(before: str, after: str) -> None:
    runs = changed_runs(line(before), line(after))
    if before.rstrip() == after.rstrip():
        assert runs == []
    assert all(end <= start for (_, end), (start, _) in pairwise(runs))


def test_changed_runs__one_figure__is_one_short_run() -> None:
    before, after = (
        line("inbox ", ("3", "text"), "  quarantine 214"),
        line("inbox ", ("4", "text"), "  quarantine 214"),
    )
    assert changed_runs(before, after) == [(6, 7)]


def test_changed_runs__another_meaning_of_the_same_text__is_a_change() -> None:
    assert changed_runs(line(("ok", "ok")), line(("ok", "bad"))) == [(0, 2)]


def test_columns__too_narrow__drops_the_least_important_and_aligns_the_rest() -> None:
    columns = (Column("name", 8, grows=1), Column("rows", 6, right=True), Column("age", 6, rank=1))
    wide, narrow = fitted(columns, 40), fitted(columns, 18)
    assert cells(wide.head()) == 40
    assert [text for text, _ in narrow.head()] == ["name      ", "  ", "  rows"]
    cells_of = [("a_long_file_name.csv", "text"), ("12", "text"), ("1 h", "text")]
    assert "".join(text for text, _ in narrow.row(cells_of)).endswith("  " + "    12")


def test_columns__room_that_is_left__goes_first_where_something_would_be_cut() -> None:
    columns = (Column("name", 8, grows=1), Column("age", 7), Column("why", 6, grows=3, prose=True))
    assert fitted(columns, 45, (12, 6, 20)).widths == {0: 12, 1: 7, 2: 21}
    assert fitted(columns, 35, (12, 6, 20)).widths == {0: 12, 1: 7, 2: 12}  # too little: the short ones first
    assert fitted(columns, 45, (1, 1, 1)).widths == fitted(columns, 45).widths == {0: 13, 1: 7, 2: 21}
    giving = (Column("why", 9, grows=1), Column("age", 7), Column("to", 9, grows=1))
    assert fitted(giving, 27, (4, 3, 12)).widths == {0: 4, 1: 7, 2: 12}  # what grows gives; an age does not


def test_columns__widest__is_the_widest_cell_of_each() -> None:
    assert widest([[("ab", "text"), ("c", "text")], [("a", "text"), ("日本", "text")]]) == [2, 4]
    assert widest([]) == []


@pytest.mark.parametrize("columns", [
    transfer_lines.COLUMNS, backup_lines.COLUMNS, inbox.COLUMNS, fx_lines.COLUMNS, lot_lines.COLUMNS["open"],
])  # fmt: skip
def test_columns__an_age__is_never_cut(columns: Sequence[Column]) -> None:
    ages = [span(us) for us in (0, 59 * MINUTE_US, 47 * HOUR_US, 99_999 * DAY_US)]
    (column,) = [column for column in columns if column.head == "age"]
    assert column.least >= max(map(len, ages))


NOW_IN_2026 = to_us("2026-03-04T14:07:00Z")


@pytest.mark.parametrize(("told", "short"), [
    ("2026-03-04T00:05:59Z", "00:05Z"), ("2026-01-01T00:00:00Z", "01-01 00:00Z"),
    ("2025-12-31T23:59:00Z", "2025-12-31 23:59Z"), ("2027-03-04T14:05:00Z", "2027-03-04 14:05Z"),
])  # fmt: skip
def test_moment__as_short_as_it_can_be_without_being_taken_for_another(told: str, short: str) -> None:
    assert moment(told, NOW_IN_2026) == short
    assert day_clock(told, NOW_IN_2026).endswith(short)


def test_as_fits__drops_whole_parts_from_the_right() -> None:
    parts = [line("one"), line("two"), line("three")]
    assert "".join(text for text, _ in as_fits(parts, 9)) == "one  two"


@pytest.mark.parametrize(
    ("us", "told"),
    [(0, "< 1 min"), (59_999_999, "< 1 min"), (MINUTE_US, "1 min"), (HOUR_US, "1 h"), (47 * HOUR_US, "47 h"),
     (2 * DAY_US, "2 d")],
)  # fmt: skip
def test_span__in_its_largest_unit(us: int, told: str) -> None:
    assert figures.span(us) == told


@pytest.mark.parametrize(
    ("seconds", "done", "told"),
    [(10, 25, "30 s left"), (0.5, 50, ""), (300, 50, "5 min left"), (9, 0, ""), (9, 100, "")],
)
def test_left__as_it_went_so_far__unknown_at_the_very_beginning(seconds: float, done: int, told: str) -> None:
    begun = "2026-03-04T14:00:00Z"
    assert figures.left(begun, figures.to_us(begun) + int(seconds * 1_000_000), done, 100) == told


def test_progress__a_bar_a_share_and_the_time_left() -> None:
    far = panels.work(25, 100, "2026-03-04T14:00:00Z", figures.to_us("2026-03-04T14:00:10Z"))
    assert "".join(text for text, _ in far) == "  ███░░░░░░░░░  25%  30 s left"


def test_active_file__its_speed_and_the_time_left__dropped_where_there_is_no_room() -> None:
    file = {"stage": "storing", "name": "okx.csv", "done": 45_000, "rows": 100_000}
    begun = file | {"started_at": "2026-03-04T14:00:00Z"}
    now = figures.to_us("2026-03-04T14:00:09Z")
    wide, narrow = ("".join(text for text, _ in panels.active_line(begun, now, width)) for width in (80, 46))
    assert wide == "storing okx.csv  █████░░░░░░░  45%  11 s left  5,000 rows/s"
    assert "rows/s" not in narrow
    assert len(narrow) <= 46


@pytest.mark.parametrize(
    ("ratio", "word"), [(0.0, "ok"), (0.6499, "ok"), (0.65, "alert"), (0.8999, "alert"), (0.9, "critical")]
)
def test_memory_state__changes_at_the_contract_s_marks(ratio: float, word: str) -> None:
    assert figures.memory_state(ratio)[0] == word


@pytest.mark.parametrize("ratio", [0.0, 0.3, 0.7, 1.0, 1.4])
def test_gauge__shows_both_marks_whatever_the_ratio(ratio: float) -> None:
    drawn = figures.gauge(ratio, 40)
    assert cells(drawn) == 40
    assert [place for place, (sign, _) in enumerate(drawn) if sign == "│"] == [26, 36]


def test_spark__unknown_values__are_gaps() -> None:
    assert figures.spark([1.0, None, 3.0], 3) == "▁ █"
    assert figures.spark([None, None], 3) == ""
    assert len(figures.spark([float(n) for n in range(1000)], 24)) == 24


def test_samples__stretch_without_buckets__is_a_gap() -> None:
    points = nav_points("1h")[:6]
    found = samples([points[0], points[1], points[5]], "1h")
    assert [sample.value is None for sample in found] == [False, False, True, False]


@settings(deadline=None, max_examples=60)
@given(values)
def test_drawdown__is_never_above_0__and_unknown_where_nav_is(found: list[float | None]) -> None:
    made = drawdown(series(found))
    assert [sample.value is None for sample in made] == [value is None for value in found]
    peak = 0.0
    for sample, value in zip(made, found, strict=True):
        if value is not None and sample.value is not None:
            peak = max(peak, value)
            assert sample.value == pytest.approx(value / peak - 1)
            assert sample.value <= 0


def test_drawdown__nothing_above_0_yet__is_unknown() -> None:
    assert [sample.value for sample in drawdown(series([0.0, -5.0, 10.0, 5.0]))] == [None, None, 0.0, -0.5]


@settings(deadline=None, max_examples=60)
@given(values, st.integers(2, 30))
def test_strokes__at_most_two_points_a_column__extremes_kept__no_line_over_a_gap(
    found: list[float | None], columns: int
) -> None:
    whole = series(found)
    made = strokes(whole, columns)
    known = [value for value in found if value is not None]
    drawn = [sample for stroke in made for sample in stroke]
    if known:
        assert max(sample.value or 0.0 for sample in drawn) == max(known)
        assert min(sample.value or 0.0 for sample in drawn) == min(known)
    for stroke in made:
        assert [sample.ts for sample in stroke] == sorted(sample.ts for sample in stroke)
        unknown = [s.ts for s in whole if s.value is None and stroke[0].ts < s.ts < stroke[-1].ts]
        assert unknown == []
        places = [place(sample.ts, whole[0].ts, whole[-1].ts, columns) for sample in stroke]
        assert all(places.count(column) <= 2 for column in places)


@settings(deadline=None, max_examples=60)
@given(values, st.integers(2, 30))
def test_gap_rail__every_unknown_close_is_marked(found: list[float | None], columns: int) -> None:
    whole = series(found)
    rail = gap_rail(whole, columns)
    for sample in whole:
        if sample.value is None:
            assert rail[place(sample.ts, whole[0].ts, whole[-1].ts, columns)] == "held"
    if None not in found:
        assert set(rail) == {""}


@pytest.mark.parametrize(("width", "height"), [(40, 8), (78, 12), (150, 30), (230, 60)])
def test_chart__fills_its_room_exactly(width: int, height: int) -> None:
    drawn = chart(Course("", samples(nav_points("1h"), "1h"), lambda value: f"{value:,.0f}"), width, height)
    assert len(drawn) == height
    assert all(cells(row) <= width for row in drawn)
    curve = ["".join(text for text, mark in row if mark == "accent") for row in drawn]
    assert any(row.rstrip() and len(row.rstrip()) > (width - 14) * 0.95 for row in curve)


def test_chart__gap__has_no_curve_and_is_marked_below() -> None:
    found = series([1.0] * 20 + [None] * 20 + [2.0] * 20)
    drawn = chart(Course("", found, str), 66, 10)
    rail = "".join(text for text, _ in drawn[-2])
    gap = [column for column, sign in enumerate(rail) if sign == "‖"]
    rows = ["".join(text for text, _ in row) for row in drawn[:-2]]
    inner = range(gap[2], gap[-3])
    assert len(gap) > 15
    assert all(row[column].strip("\u2800 ") == "" for row in rows for column in inner)


def test_chart__no_known_value_or_no_room__draws_nothing() -> None:
    assert chart(Course("", series([None, None]), str), 60, 10) == []
    assert chart(Course("", series([1.0, 2.0]), str), 60, 4) == []


@pytest.mark.parametrize(
    "found", [[5.0], [5.0, 5.0], [0.0, 0.0], [-1.0, 1.0], [1e-9, 2e-9], [1e15, 1e15 + 1]]
)
def test_chart__odd_scales__are_drawn(found: list[float | None]) -> None:
    assert len(chart(Course("", series(found), str), 60, 12)) == 12


@pytest.mark.parametrize(
    ("typed", "passing", "failing"),
    [
        ("btc", "a BTC b", "eth"),
        ("!btc", "eth", "btc"),
        ("~^a.c$", "ABC", "abcd"),
        ("!~^a", "b", "a"),
        ("", "x", None),
    ],
)
def test_filter(typed: str, passing: str, failing: str | None) -> None:
    found = parse(typed)
    rows = [passing] if failing is None else [failing, passing]
    assert found.passing(rows, lambda text: {"text": text}) == [passing]
    assert found.problem == ""
    assert parse("~(").problem

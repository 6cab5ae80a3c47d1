"""What the desk says, as lines, and what its filter asks for. Pure."""

from typing import Any

import pytest

from console.acting import newest_decision
from console.desk import UNDOABLE
from console.modals.bulk import cells_of, preview_rows
from console.modals.preview import preview_lines
from console.screens.filtering import QUARANTINE, asked, with_whole_reason
from console.screens.pages import PAGES_KEPT, Marks, Pages
from console.screens.panels import chips
from console.screens.rows import (
    HEADERS,
    MARKED,
    by_code,
    header_of,
    release_outcome,
    row_cells,
    row_lines,
    short,
)
from console.widgets.figures import in_force
from console.widgets.pieces import Line, cells
from engine.domain.transactions import COLUMNS
from engine.ingestion.market_rules import FX_COLUMNS, PRICE_COLUMNS

S = 1_000_000


def told(lines: list[Line]) -> str:
    return "\n".join("".join(text for text, _ in line) for line in lines)


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("", {}),
        ("btc eth", {"text": "btc eth"}),
        ("!btc", {"not_text": "btc"}),
        ("!", {}),
        ("~^btc$ file:a", {"matching": "^btc$", "file": "a"}),
        ("!~b|c", {"not_matching": "b|c"}),
        ("~", {}),
        ("REASON:price_missing x", {"reason": "PRICE_MISSING", "text": "x"}),
        ('file:"my file.csv" account:main', {"file": "my file.csv", "account": "main"}),
        ("status:released", {"status": "released"}),
        ("age:>90m", {"older_than_s": 5400}),
        ("age:>3d", {"older_than_s": 259_200}),
        ("eth:0xabc", {"text": "eth:0xabc"}),
    ],
)
def test_asked__what_was_typed_becomes_the_question(typed: str, wanted: dict[str, Any]) -> None:
    found = asked(typed, QUARANTINE)
    assert (found.asked, found.problem) == (wanted, "")


@pytest.mark.parametrize(
    "typed",
    [
        "~[a",
        "!~(a",
        "age:2h",
        "age:>2y",
        "status:lost",
        "file:",
        "x reason:",
        "!reason:PRICE_MISSING",
        "file:~a",
        "account:!main",
    ],
)
def test_asked__not_understood__asks_for_nothing_and_says_so(typed: str) -> None:
    found = asked(typed, QUARANTINE)
    assert found.problem
    assert found.asked == {}


@pytest.mark.parametrize(
    ("typed", "meant", "told"),
    [
        ("reason:qu", "QUANTITY_SIGN", ""),
        ("reason:price_missing", "PRICE_MISSING", ""),
        ("reason:PRICE", None, "reason: which of PRICE_MISSING, PRICE_NOT_POSITIVE"),
        ("reason:_", None, "reason: 3 have _, PRICE_MISSING …: type more of it"),
        ("reason:ZEBRA", "ZEBRA", ""),  # none has it, and so no row is shown
    ],
)
def test_reason__begun__is_the_one_that_has_it__or_those_are_told(
    typed: str, meant: str | None, told: str
) -> None:
    codes = ["PRICE_MISSING", "PRICE_NOT_POSITIVE", "QUANTITY_SIGN"]
    found = with_whole_reason(asked(typed, QUARANTINE), codes)
    assert (found.asked.get("reason"), found.problem) == (meant, told)


def test_headers__are_the_engine_s() -> None:
    assert (tuple(COLUMNS), tuple(PRICE_COLUMNS), tuple(FX_COLUMNS)) == HEADERS
    assert header_of({"base": "EUR", "quote": "USD"}) == HEADERS[2]
    assert header_of({"other": ""}) == ("other",)


def test_row__that_collides__tells_where_the_two_differ() -> None:
    fields = {"action": "BUY", "quantity": "3.7385", "fee_asset": "", "venue": "desk"}
    where = {"tx": "019c2f3a-5b00-7d41-9c3e-0242ac120002", "file": "a.csv", "line": 501, "same": ["action"]}
    stored = fields | where | {"quantity": "3.738", "fee_asset": "SOL"}
    row = {
        "id": "a-2", "file": "b.csv", "line": 3, "record": 2, "status": "open", "edited": False,
        "reasons": [], "taken_at": "2026-03-04T00:00:00Z", "row": fields, "conflicts": [stored],
    }  # fmt: skip
    lines = " ".join(told(row_lines(row, 60)).split())
    assert "quantity is 3.738 there, 3.7385 here, fee_asset is SOL there, empty here" in lines
    assert "venue is" not in lines


def test_pages__another_total__forgets_the_other_pages() -> None:
    pages = Pages()
    for page in range(PAGES_KEPT + 1):
        pages.take(page, {"total": 9_000, "rows": [{"id": f"{page}-{n}"} for n in range(200)]})
    assert pages.row(0) is None
    assert pages.rows(399, 401) == [{"id": "1-199"}, {"id": "2-0"}, {"id": "2-1"}]
    assert pages.rows(199, 201) is None
    pages.take(1, {"total": 8_999, "rows": []})
    assert pages.row(400) is None


def test_marks__in_the_order_of_marking__what_is_known_stays() -> None:
    marks = Marks()
    marks.turn({"id": "b"})
    marks.add_ids(["a", "b"])
    marks.turn({"id": "c"})
    marks.turn({"id": "c"})
    assert marks.ids() == ["b", "a"]
    assert marks.known(["a", "b"]) == [{"id": "b"}]
    marks.forget(["b", "z"])
    assert marks.ids() == ["a"]


def test_chips__chosen_one_in_sight__without_a_count_where_none_is_known() -> None:
    parts: list[tuple[str, int | None]] = [("all", None), *((f"REASON_{n}", n) for n in range(20))]
    assert told([chips(parts, 0, 60)]).startswith("[all]")
    assert "[REASON_19 19]" in told([chips(parts, 20, 60)])
    assert cells(chips(parts, 20, 60)) <= 60


def test_newest_decision__of_these_kinds__without_undone_ones_and_undos() -> None:
    def decision(number: int, kind: str, at: str, undone_by: int | None = None) -> dict[str, Any]:
        return {"decision": number, "kind": kind, "at": at, "actor": "ada", "undone_by": undone_by}

    rows = [
        decision(6, "undo", "t3"), decision(5, "release", "t2", 6), decision(3, "release", "t2"),
        decision(4, "release", "t2"), decision(2, "fix", "t2"), decision(1, "fix", "t1"),
    ]  # fmt: skip
    newest = newest_decision(rows, UNDOABLE)
    assert newest is not None
    assert newest["decision"] == 4
    assert newest_decision(rows[:2], UNDOABLE) is None


def test_release_outcome__nothing_released_is_no_success() -> None:
    refused = [{"id": "a", "reasons": [{"code": "X", "hint": "h"}, {"code": "X", "hint": "h"}]}]
    line = release_outcome({"released": 0, "accepted": 0, "duplicates": 0, "refused": refused, "already": []})
    assert told([line]).startswith("! released 0 rows")
    assert by_code(refused) == {"X": (1, "h")}
    again = release_outcome({"released": 0, "accepted": 0, "duplicates": 0, "refused": [], "already": ["a"]})
    assert "✓ released 0 rows: 0 new, 0 there already, 1 released before" in told([again])


def test_preview_rows__those_that_fail_come_first__five_at_most() -> None:
    rows = [{"id": str(n), "passes": n != 7} for n in range(9)]
    assert [row["id"] for row in preview_rows(rows)] == ["7", "0", "1", "2", "3"]
    row = {"id": "a-1", "before": {}, "after": {}, "passes": False, "reasons": []}
    assert [text for text, _ in cells_of(row)] == ["a-1", "nothing changes", "", "", "! fails"]


def test_inbox_preview__one_file__no_sum__conflicts_are_not_counted_as_bad() -> None:
    entry = {"path": "/x/a.csv", "status": "ingested", "accepted": 3, "duplicates": 1, "quarantined": 2,
             "reasons": {"IDEMPOTENCY_CONFLICT": 1, "PRICE_MISSING": 1}}  # fmt: skip
    text = told(preview_lines({"files": [entry], "waiting": []}, 80))
    assert text.splitlines()[1].split() == ["a.csv", "3", "1", "1", "1"]
    assert "all " not in text
    assert text.splitlines()[2].strip() == "PRICE_MISSING 1"


def test_row_lines__decisions_and_changes_in_words() -> None:
    release = {"outcome": "accepted", "mode": "supersede", "tx": "t2", "superseded": "t1"}
    fix = {"before": {"quantity": ""}, "after": {"quantity": "5"}}
    history = [
        {"decision": 3, "kind": "release", "actor": "ada", "reason": "ok", "at": "2026-03-04T14:07:00Z",
         "detail": release, "undone_by": 4},
        {"decision": 2, "kind": "fix", "actor": "ada", "reason": "", "at": "2026-03-04T14:06:00Z",
         "detail": fix, "undone_by": None},
    ]  # fmt: skip
    row = {"file": "a.csv", "line": 2, "record": 1, "id": "a-1", "status": "open", "edited": True,
           "reasons": [], "row": {"quantity": "5"}, "original": {"quantity": ""}, "history": history,
           "raw": None}  # fmt: skip
    text = told(row_lines(row, 80))
    assert "~ quantity  5  was empty" in text
    assert "accepted: t2, in place of t1" in text
    assert "undone by 4" in text
    assert "quantity empty → 5" in text
    assert "Its line in the file" not in text


@pytest.mark.parametrize(
    ("status", "codes", "told"),
    [
        ("open", ["PRICE_MISSING", "FEE_INVALID"], "PRICE_MISSING +1"),
        ("open", [], "✓ passes now"),
        ("rejected", ["PRICE_MISSING"], "✗ rejected"),
        ("released", [], "✓ released"),
    ],
)
def test_row_cells__the_reason__or_what_became_of_the_row(status: str, codes: list[str], told: str) -> None:
    reasons = [{"code": code, "column": "x", "value": "", "hint": ""} for code in codes]
    row = {"file": "a.csv", "line": 2, "status": status, "reasons": reasons, "row": {"x": ""}}
    assert row_cells(row, MARKED)[:2] == [MARKED, (told, row_cells(row, MARKED)[1][1])]


def test_short__ids_of_one_instant_stay_apart() -> None:
    one, other = "019c2f3a-5b07-7d41-9c3e-0242ac120002", "019c2f3a-5b07-7d41-9c3e-0242ac120003"
    assert short(one) == "019c2f3a…ac120002"
    assert short(one) != short(other)


def test_in_force__holds_each_value_until_the_next__nothing_before_the_first() -> None:
    points = [(10 * S, 0.5), (13 * S, 0.7)]
    assert in_force(points, 16 * S, 2 * S, 5) == [None, 0.5, 0.5, 0.7, 0.7]
    assert in_force([], 16 * S, 2 * S, 2) == [None, None]

"""What the console is told: live state follows from events, holds from withheld points."""

from engine.runtime.memory import RSS_STEP_BYTES, moved
from engine.runtime.overview import Overview, holds_of, nav_resolution
from engine.runtime.service import Due


def point(close: str, *held: str, reason: str = "FX_HELD") -> dict[str, object]:
    return {"bucket_close": close, "held": list(held), "reasons": [reason] if held else []}


def test_holds__withheld_closes_in_a_row__are_one_hold() -> None:
    points = [point("10:00"), point("11:00", "EUR/USD"), point("12:00", "EUR/USD"), point("13:00")]
    assert holds_of(points) == [
        {"pair": "EUR/USD", "reason": "FX_HELD", "from": "11:00", "to": "12:00", "closes": 2}
    ]


def test_holds__a_good_close_between__makes_two_newest_first() -> None:
    points = [point("10:00", "EUR/USD"), point("11:00"), point("12:00", "EUR/USD")]
    assert [hold["from"] for hold in holds_of(points)] == ["12:00", "10:00"]


def test_holds__a_missing_price__is_no_hold() -> None:
    missing = {"bucket_close": "10:00", "held": [], "reasons": ["NO_PRICE"]}
    assert holds_of([missing]) == []


def test_overview__a_file_under_way__is_shown_until_it_is_done() -> None:
    overview = Overview()
    overview.note(1, 0, "file_started", {"name": "a.csv"})
    overview.note(2, 0, "file_progress", {"name": "a.csv", "done": 5, "rows": 9})
    active = overview.document()["inbox"]["active"]
    assert (active["stage"], active["done"], active["rows"]) == ("storing", 5, 9)
    overview.note(3, 0, "file_done", {"name": "a.csv", "status": "ingested"})
    inbox = overview.document()["inbox"]
    assert inbox["active"] is None
    assert [entry["name"] for entry in inbox["recent"]] == ["a.csv"]


def test_overview__what_waits__is_told_with_its_age() -> None:
    overview = Overview()
    overview.status = {
        "counts": {"quarantine_open": 2}, "quarantine_reasons": {"ACTION_UNKNOWN": 2},
        "facts": {"quarantine_oldest": 1_000_000, "unsettled": [3, 2_000_000]},
        "backup": {"id": "b", "age_s": 7, "verified": True},
    }  # fmt: skip
    told = overview.document()
    assert told["quarantine"] == {
        "open": 2, "by_reason": {"ACTION_UNKNOWN": 2}, "oldest": "1970-01-01T00:00:01Z",
    }  # fmt: skip
    assert told["transfers"] == {"unmatched": 3, "oldest": "1970-01-01T00:00:02Z"}
    assert told["backup"] == {"id": "b", "verified": True}  # its age moves by itself: nothing to tell


def test_overview__nothing_waits__has_no_ages() -> None:
    told = Overview().document()
    assert told["quarantine"] == {"open": 0, "by_reason": {}, "oldest": None}
    assert told["transfers"] == {"unmatched": 0, "oldest": None}


def test_resolution__is_the_finest_that_has_prices() -> None:
    def status(*resolutions: str) -> dict[str, object]:
        return {"watermarks": {"prices_last": dict.fromkeys(resolutions, "x")}}

    assert nav_resolution(status("1d", "1h")) == "1h"
    assert nav_resolution(status("1d", "spot")) == "5m"
    assert nav_resolution(status()) == "1d"


def test_due__several_changes__are_valued_once_from_the_earliest() -> None:
    due = Due()
    due.touch(30)
    due.touch(10)
    taken = due.take()
    assert taken == Due(10, False)
    assert due.take() is None


def test_due__a_change_of_unknown_reach__means_all_of_it() -> None:
    due = Due()
    due.touch(30)
    due.touch(None)
    assert due.take() == Due(30, True)


def test_memory__what_nobody_could_see__is_not_told() -> None:
    before = {"ratio": 0.081, "rss_bytes": 500_000_000}
    assert moved(None, before)
    assert not moved(before, {"ratio": 0.084, "rss_bytes": 500_100_000})
    assert moved(before, {"ratio": 0.091, "rss_bytes": 500_000_000})
    assert moved(before, {"ratio": 0.081, "rss_bytes": 500_000_000 + RSS_STEP_BYTES})

"""What the console is told: live state follows from events, holds from withheld points."""

from console.mirror import Mirror
from engine.messages import Event
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
    overview.note(Event(1, "file_started", {"name": "a.csv"}), 0)
    overview.note(Event(2, "file_progress", {"name": "a.csv", "done": 5, "rows": 9}), 0)
    active = overview.document()["inbox"]["active"]
    assert (active["stage"], active["done"], active["rows"]) == ("storing", 5, 9)
    overview.note(Event(3, "file_done", {"name": "a.csv", "status": "ingested"}), 0)
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


def test_overview__valuing__how_far_it_is_until_it_is_done() -> None:
    overview = Overview()
    overview.note(Event(1, "value_started", {"resolution": "5m"}), 0)
    overview.note(Event(2, "value_progress", {"resolution": "5m", "done": 3, "days": 9}), 0)
    assert overview.document()["valuing"] == {
        "resolution": "5m", "started_at": "1970-01-01T00:00:00Z", "done": 3, "days": 9,
    }  # fmt: skip
    overview.note(Event(3, "value_done", {"resolution": "5m"}), 0)
    assert overview.document()["valuing"] is None


def test_overview__upkeep__keeps_when_it_began__gone_when_it_ended() -> None:
    overview = Overview()
    far = {"job": "compact", "things": "files", "done": 0, "of": 9}
    overview.note(Event(1, "lake_progress", far), 0)
    overview.note(Event(2, "lake_progress", far | {"done": 4}), 7_000_000)
    assert overview.document()["upkeep"] == far | {"done": 4, "started_at": "1970-01-01T00:00:00Z"}
    overview.note(Event(3, "lake_done", {"job": "compact"}), 8_000_000)
    assert overview.document()["upkeep"] is None


def test_overview__a_job_with_backups__who_attaches_in_the_middle_sees_all_its_steps() -> None:
    overview = Overview()
    for number, step in enumerate(("copy the database", "lake files"), 1):
        overview.note(Event(number, "backup_step", {"step": step}), number * 1_000_000)
    job = {"steps": ["copy the database", "lake files"], "started_at": "1970-01-01T00:00:01Z"}
    assert overview.document()["job"] == job
    mirror = Mirror()
    mirror.reset(overview.document() | {"seq": 2, "now": "1970-01-01T00:00:03Z"}, 0.0)
    assert mirror.doc["job"]["steps"] == job["steps"]
    overview.note(Event(3, "backup_done", {"name": "backup_create"}), 4_000_000)
    assert overview.document()["job"] is None


def test_overview__a_line_for_people__keeps_the_trace_of_its_work() -> None:
    overview = Overview()
    told = {"at": "2026-03-04T14:00:00Z", "level": "info", "kind": "file", "text": "a.csv taken"}
    overview.note(Event(7, "log", told, "4bf92f3577b34da6a3ce929d0e0e4736"), 0)
    assert overview.document()["events"] == [
        told | {"seq": 7, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
    ]


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

"""Retention: what is old and can be made again goes, its digests stay, and a change makes it anew."""

import os
from collections.abc import Callable

import pytest

from engine.runtime import retaining, upkeep
from tests.compaction.lake import ASSETS, DAYS, act, cancelled, check_lake, copied, correct, later, live
from tests.faults.calls import PowerCut
from tests.runtime.deck import Deck

NewLake = Callable[[str], Deck]
FILES = DAYS * len(ASSETS)


@pytest.fixture
def old(lake: Deck) -> Deck:
    """Everything at 5m is past its time."""
    return later(lake)


def dropped(deck: Deck) -> list[str]:
    return [dt for (dt,) in deck.sql("SELECT dt FROM valued WHERE dropped_at IS NOT NULL ORDER BY dt")]


def test_retention__drops_what_is_past_its_time__and_nav_says_so(old: Deck) -> None:
    digest = old.digest()["digest"]
    plan = old.ask("retention_plan")
    told = act(old, "retention")
    assert (told["before"]["files"], told["after"]["files"]) == (FILES, 0)
    assert (plan["after"], plan["resolutions"]) == (told["after"], told["resolutions"])
    nav = old.ask("nav", resolution="5m")
    assert nav["points"] == []
    assert nav["dropped"] == {"days": DAYS, "from": "2025-03-01T00:05:00Z", "to": "2025-03-04T00:00:00Z"}
    assert old.ask("nav", resolution="5m", **{"from": "2025-03-03T00:00:00Z"})["dropped"]["days"] == 1
    assert old.digest()["digest"] == digest
    check_lake(old)


def test_retention__what_is_young_or_kept_always__stays(lake: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAVDECK_RETENTION_DAYS_5M", "400")
    assert act(lake, "retention")["after"]["files"] == FILES
    monkeypatch.setenv("NAVDECK_RETENTION_DAYS_5M", "0")
    told = act(later(lake), "retention")
    assert told["after"]["files"] == FILES
    assert [one["resolution"] for one in told["resolutions"]] == ["1h"]


def test_retention__values_older_than_the_books__nothing_goes_and_it_says_why(old: Deck) -> None:
    correct(old)
    told = act(old, "retention")
    assert told["after"]["files"] == FILES
    assert "navdeck value" in told["resolutions"][0]["kept_because"]


def test_retention__a_day_that_comes_out_otherwise__stays_and_is_told(old: Deck) -> None:
    old.sql("UPDATE lake_files SET content = 'other' WHERE dt = '2025-03-02' AND asset = 'BTC'")
    told = act(old, "retention")
    assert dropped(old) == ["2025-03-01", "2025-03-03"]
    assert len(told["problems"]) == 1
    assert "2025-03-02" in told["problems"][0]


def test_valued_again__dropped_days_stay_dropped_while_nothing_changes_them(old: Deck) -> None:
    act(old, "retention")
    told = old.value(resolution="5m")
    assert (told["buckets"], live(old)) == (0, [])
    assert len(dropped(old)) == DAYS
    assert not old.ask("nav", resolution="5m")["stale"]
    check_lake(old)


@pytest.mark.parametrize("swept", [False, True])
def test_a_change__makes_its_dropped_day_anew__whole_and_no_other(old: Deck, swept: bool) -> None:
    act(old, "retention")
    if swept:
        clock = old.clock()
        old.clock = lambda: clock + 2 * 3_600_000_000
        act(old, "compact")
        assert not list(old.home.lake.rglob("*.parquet"))
        check_lake(old)
    correct(old)
    old.value(resolution="5m")
    assert dropped(old) == ["2025-03-01", "2025-03-03"]
    points = old.ask("nav", resolution="5m")["points"]
    assert len(points) == 288
    assert all(point["nav"] is not None for point in points)
    check_lake(old)
    assert act(old, "retention")["after"]["files"] == 0
    assert len(dropped(old)) == DAYS
    check_lake(old)


def test_dropped_and_made_anew__what_a_home_that_never_dropped_has(new_lake: NewLake) -> None:
    plain, old = new_lake("plain"), later(new_lake("old"))
    act(old, "retention")
    for deck in (plain, old):
        correct(deck, "7")
        deck.value(resolution="5m")
    day = {"from": "2025-03-02T00:00:00Z", "to": "2025-03-03T00:00:00Z"}
    told = [deck.ask("nav", resolution="5m", **day)["points"] for deck in (plain, old)]
    assert told[0] == told[1]


def test_retention__removes_old_logs_and_no_other_file(old: Deck) -> None:
    fresh, stale = old.path / "logs" / "today.log", old.path / "logs" / "old.log"
    for path in (fresh, stale):
        path.write_text("a line\n")
    now_s = old.clock() / 1_000_000
    os.utime(fresh, (now_s, now_s - 6 * 86_400))
    os.utime(stale, (now_s, now_s - 8 * 86_400))
    assert act(old, "retention")["logs"] == {"files": 1, "bytes": 7}
    assert (fresh.exists(), stale.exists()) == (True, False)


def test_retention__ended_between_any_two_of_its_commits__goes_on_where_it_was(old: Deck) -> None:
    quiet = copied(old, "quiet")
    act(quiet, "retention")
    for commits in range(DAYS):
        deck = copied(old, f"cut-{commits}")
        with pytest.MonkeyPatch.context() as patch:
            _cut_after(patch, commits)
            with pytest.raises(PowerCut):
                act(deck, "retention")
        assert len(dropped(deck)) == commits
        check_lake(deck)
        act(deck, "retention")
        assert deck.digest() == quiet.digest()
        check_lake(deck)


def test_retention__cancelled__what_is_gone_stays_gone__and_a_later_run_goes_on(
    old: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = copied(old, "quiet")
    act(quiet, "retention")
    monkeypatch.setattr(upkeep, "DAYS_AT_ONCE", 1)
    stale = old.path / "logs" / "old.log"
    stale.write_text("a line\n")
    os.utime(stale, (0, 0))
    told = cancelled(old, "retention", 1)
    assert (told["cancelled"], told["logs"]["files"], stale.exists()) == (True, 0, True)
    assert 1 <= len(dropped(old)) < DAYS
    check_lake(old)
    assert not act(old, "retention")["cancelled"]
    assert not stale.exists()
    assert old.digest() == quiet.digest()


def _cut_after(patch: pytest.MonkeyPatch, commits: int) -> None:
    """Everything ends when so many days are dropped, one a commit."""
    real, done = retaining.can_be_made_again, iter(range(DAYS))

    def cut(home_path: str, resolution: str, days: list[str]) -> set[str]:
        if next(done) >= commits:
            raise PowerCut
        return real(home_path, resolution, days)

    patch.setattr(upkeep, "DAYS_AT_ONCE", 1)
    patch.setattr(retaining, "can_be_made_again", cut)

"""The open day: its rows lie in state.db, are sealed once when it is over, and are read like any other."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, format_instant, parse_instant
from engine.runtime import backups, sql
from engine.runtime.open_day import GRACE_US
from engine.runtime.value import value_resolution
from engine.snapshots import views
from engine.snapshots.selects import read_select
from tests.compaction.lake import (
    ASSETS,
    DAYS,
    FIRST_US,
    act,
    check_lake,
    copied,
    correct,
    fill,
    later,
    orphans,
)
from tests.runtime.deck import PRICE_COLUMNS, Deck, bar, to_csv

THIRD = "2025-03-03"
NOON = FIRST_US + 2 * DAY_US + DAY_US // 2
OVER = FIRST_US + 3 * DAY_US + GRACE_US  # when the third day may be sealed


@pytest.fixture(scope="module")
def open_home(blank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two days that are over and one that is not."""
    path = tmp_path_factory.mktemp("open") / "home"
    shutil.copytree(blank_home, path)
    fill(Deck(path, lambda: NOON))
    return path


@pytest.fixture
def half(open_home: Path, tmp_path: Path) -> Deck:
    shutil.copytree(open_home, tmp_path / "half")
    return Deck(tmp_path / "half", lambda: NOON)


def at(deck: Deck, now: int) -> Deck:
    deck.clock = lambda: now
    return deck


def value(deck: Deck, **arguments: Any) -> dict[str, Any]:
    return deck.value(resolution="5m", **arguments)


def sealed(deck: Deck) -> set[tuple[str, str]]:
    """(dt, asset) of the live files."""
    return set(deck.sql("SELECT dt, asset FROM lake_files WHERE dead_at IS NULL"))


def opened(deck: Deck) -> set[tuple[str, str]]:
    """(dt, asset) of the open rows."""
    return set(deck.sql("SELECT DISTINCT dt, asset_id FROM open_snapshots"))


def third(*assets: str) -> set[tuple[str, str]]:
    return {(THIRD, asset) for asset in assets or ASSETS}


def told(deck: Deck) -> dict[str, Any]:
    """All that readers say of it."""
    query = "SELECT * FROM snapshots_5m WHERE dt = '2025-03-03' ORDER BY bucket_close, asset_id"
    with views.connect(500_000_000, 1) as connection:
        sql.lay_out(connection, read_select(query, views.VIEWS), deck.home, NOON)
        rows = connection.execute(query).fetchall()
    return {
        "digest": deck.digest(),
        "nav": deck.ask("nav", resolution="5m"),
        "account": deck.ask("nav", resolution="5m", account="main")["points"],
        "metrics": deck.ask("metrics", resolution="5m", points=True),
        "sql": rows,
    }


def test_a_day_that_is_not_over__lies_in_the_store__and_the_others_in_files(half: Deck) -> None:
    assert opened(half) == third()
    assert {dt for dt, _ in sealed(half)} == {"2025-03-01", "2025-03-02"}
    assert len(told(half)["sql"]) == 288 * len(ASSETS)
    check_lake(half)


def test_sealed_once_after_its_grace__what_a_home_that_never_had_it_open_says(half: Deck, deck: Deck) -> None:
    never_open = at(deck, OVER)
    fill(never_open)
    assert (opened(never_open), sealed(never_open) >= third()) == (set(), True)
    expected = told(never_open)
    assert told(half) == expected
    value(at(half, OVER - 1))
    assert opened(half) == third()
    value(at(half, OVER), **{"from": "2025-03-01T00:00:00Z", "to": "2025-03-01T12:00:00Z"})
    assert (opened(half), sealed(half)) == (set(), sealed(never_open))
    assert told(half) == expected
    assert [data["text"] for _, data in half.events if data.get("kind") == "sealed"] == [
        "5m of 2025-03-03 is 2 files now"
    ]
    files = half.sql("SELECT path, live_at FROM lake_files")
    value(at(half, OVER + HOUR_US))
    assert half.sql("SELECT path, live_at FROM lake_files") == files
    check_lake(half)


def test_the_same_values_again__no_row_is_written__and_a_correction_writes_its_closes(half: Deck) -> None:
    def changed() -> tuple[int, int, int]:
        done = value_resolution(str(half.path), NOON, "5m", None, None)
        return len(done.closed), len(done.opened), done.restated.count

    assert changed() == (0, 0, 0)
    row = bar(resolution="5m", bucket_close=f"{THIRD}T10:00:00Z", close="7")
    half.ingest(half.file("fix.csv", to_csv([row], PRICE_COLUMNS)))
    assert changed() == (1, 1, 1)
    value(half)
    assert changed() == (0, 0, 0)
    check_lake(half)


def test_a_new_close__appends_its_rows_alone(half: Deck) -> None:
    bars = [
        bar(asset_id=asset, resolution="5m", bucket_close="2025-03-04T00:05:00Z", close="3")
        for asset in ASSETS
    ]
    half.ingest(half.file("next.csv", to_csv(bars, PRICE_COLUMNS)))
    done = value_resolution(str(half.path), NOON, "5m", parse_instant("2025-03-04T00:00:00Z"), None)
    assert len(done.opened) == len(ASSETS)
    value(half)
    assert opened(half) == third() | {("2025-03-04", asset) for asset in ASSETS}
    check_lake(half)


def test_a_correction_of_a_sealed_day__replaces_its_file_and_opens_no_row(half: Deck) -> None:
    before = half.sql("SELECT path FROM lake_files WHERE dead_at IS NULL")
    correct(half)  # of the second day
    value(half)
    after = half.sql("SELECT path FROM lake_files WHERE dead_at IS NULL")
    assert (len(before), len(set(before) - set(after)), len(set(after) - set(before))) == (4, 1, 1)
    assert opened(half) == third()
    check_lake(half)


def test_a_sealed_day__stays_sealed_when_the_clock_goes_back(half: Deck) -> None:
    value(at(half, OVER))
    value(at(half, NOON))
    assert (opened(half), sealed(half) >= third()) == (set(), True)
    check_lake(half)


def test_some_assets_of_a_day_that_is_over__become_files__the_rest_waits_for_its_sealing(half: Deck) -> None:
    alone = at(copied(half, "alone"), OVER)
    row = bar(resolution="5m", bucket_close=f"{THIRD}T10:00:00Z", close="7")
    for deck in (half, alone):
        deck.ingest(deck.file("fix.csv", to_csv([row], PRICE_COLUMNS)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engine.runtime.open_day.over", lambda *_: [])
        some: dict[str, Any] = {"from": format_instant(OVER), "touched": {"BTC": (None, None)}}
        value(at(half, OVER), **some)
    assert (opened(half), third("BTC") <= sealed(half)) == (third("ETH"), True)
    value(alone)
    assert told(half)["nav"]["points"] == told(alone)["nav"]["points"]
    assert half.digest() == alone.digest()
    value(half, **{"from": "2025-03-01T00:00:00Z", "to": "2025-03-01T12:00:00Z"})
    assert (opened(half), sealed(half)) == (set(), sealed(alone))
    check_lake(half)


def test_a_day_that_is_too_large_to_lie_open__goes_to_files(
    half: Deck, deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.runtime.value.ROWS_MAX", 287 * len(ASSETS))
    before = half.digest()
    value(half)
    assert (opened(half), sealed(half) >= third()) == (set(), True)
    assert half.digest() == before
    check_lake(half)
    fill(at(deck, NOON))
    assert (opened(deck), deck.digest()) == (set(), before)


def test_rows_that_the_series_no_longer_has__go(half: Deck) -> None:
    half.sql("UPDATE open_snapshots SET dt = '2025-03-09' WHERE asset_id = 'ETH'")
    value(half)
    assert opened(half) == third()
    check_lake(half)


def test_retention_and_compaction__leave_what_lies_open(half: Deck) -> None:
    before = half.digest()
    told = act(later(half), "retention")
    assert sum(one["days"] for one in told["resolutions"]) == DAYS - 1
    act(half, "compact")
    assert opened(half) == third()
    assert half.digest()["digest"] == before["digest"]
    assert len(half.ask("nav", resolution="5m")["points"]) == 288
    assert orphans(half) == set()


def test_the_day_of_another_zone__ends_at_its_own_midnight(deck: Deck) -> None:
    settings = deck.path / "navdeck.toml"
    settings.write_text(settings.read_text().replace('"UTC"', '"America/New_York"'))
    deck.sql("UPDATE meta SET value = 'America/New_York' WHERE key = 'timezone'")
    midnight = parse_instant("2025-03-03T05:00:00Z") or 0
    fill(at(deck, midnight + GRACE_US - MINUTE_US))
    assert {dt for dt, _ in opened(deck)} == {"2025-03-02", "2025-03-03"}
    value(at(deck, midnight + GRACE_US))
    assert {dt for dt, _ in opened(deck)} == {"2025-03-03"}
    check_lake(deck)


def test_backup_and_restore__bring_the_open_day_back(half: Deck, tmp_path: Path) -> None:
    now = NOON + HOUR_US
    made = backups.ACTS["backup_create"](str(half.path), now, {})
    into = {"to": str(tmp_path / "restored"), "id": made["id"]}
    backups.ACTS["backup_restore"](str(half.path), now, into)
    restored = Deck(tmp_path / "restored", lambda: now)
    assert (restored.digest(), opened(restored)) == (half.digest(), third())
    check_lake(restored)
    correct(half)  # comes after the backup; what it changes is not brought back
    into = {"to": str(tmp_path / "second"), "at": format_instant(now)}
    backups.ACTS["backup_restore"](str(half.path), now, into)
    second = Deck(tmp_path / "second", lambda: now)
    assert opened(second) == set()
    value(second)
    value(half)
    assert second.digest() == half.digest()

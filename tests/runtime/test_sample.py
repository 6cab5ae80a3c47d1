"""The sample of a new home: taken like any file, one row set aside, and a NAV that is held."""

from datetime import time
from zoneinfo import ZoneInfo

import pytest

from engine.domain.instants import DAY_US, HOUR_US, from_us, parse_instant
from engine.errors import UsageError
from engine.messages import Command
from engine.runtime.sample import sample_files
from tests.runtime.deck import NOW, Deck

SUNDAY = (parse_instant("2026-03-01T00:00:00Z") or 0) + 9 * HOUR_US


def put(deck: Deck) -> list[str]:
    done = deck.with_engine(lambda engine: engine.do(Command("sample", {}, actor="ana")), writing=True)
    return list(done["files"])


@pytest.mark.parametrize("day", range(7))
def test_sample__on_any_day_of_the_week__one_row_waits_and_the_newest_nav_is_held(
    deck: Deck, day: int
) -> None:
    now = SUNDAY + day * DAY_US
    deck.clock = lambda: now

    totals = deck.ingest(*(deck.file(name, data) for name, data in sample_files("UTC", now)))["totals"]

    assert (totals["quarantined"], totals["rejected"]) == (1, 0)
    (row,) = deck.ask("quarantine_page")["rows"]
    assert [reason["code"] for reason in row["reasons"]] == ["ACTION_UNKNOWN"]
    deck.value(resolution="1d")
    *first, _, newest = deck.ask("nav", resolution="1d")["points"]
    assert len(first) == 3
    assert all(point["nav"] for point in first)
    assert (newest["reasons"], newest["held"]) == (["FX_HELD"], ["EUR/USD"])


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("hours", [-9, 13, 13 + 24, 15 + 48, 12 + 4 * 24, 13 + 5 * 24])
def test_sample__on_any_day_and_hour__the_pair_is_held_now_by_its_drift__and_was_at_the_newest_close(
    deck: Deck, hours: int, zone: str
) -> None:
    now = SUNDAY + hours * HOUR_US
    deck.clock = lambda: now
    files = sample_files(zone, now)
    newest = dict(files)["sample-prices.csv"].decode().splitlines()[-1].split(",")[2]

    deck.ingest(*(deck.file(name, data) for name, data in files))

    (row,) = deck.ask("fx_status", pair="EUR/USD")["pairs"]
    assert row["held"]
    assert row["held_since"] <= newest
    assert (row["evidence"]["cause"], row["evidence"]["drift_bps"][:5]) == ("DRIFT", "50.69")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
def test_sample__days_end_by_the_clock_of_the_home(zone: str) -> None:
    lines = dict(sample_files(zone, NOW))["sample-prices.csv"].decode().splitlines()[1:]

    closes = sorted({parse_instant(line.split(",")[2]) or 0 for line in lines})
    assert {from_us(close).astimezone(ZoneInfo(zone)).time() for close in closes} == {time(0)}
    assert len(closes) == 5
    assert 0 <= NOW - closes[-1] < DAY_US


def test_sample__is_put_into_the_inbox_of_a_new_home_only(deck: Deck) -> None:
    names = ["sample-prices.csv", "sample-rates.csv", "sample-trades.csv"]
    assert put(deck) == names
    assert sorted(path.name for path in deck.home.inbox.iterdir()) == names
    deck.ingest(deck.home.inbox / names[0])

    with pytest.raises(UsageError, match="files of its own"):
        put(deck)

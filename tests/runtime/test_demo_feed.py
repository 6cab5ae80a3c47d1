"""The demo's feed gives every row once: what is history first, then what the clock has reached."""

import csv
import io
from functools import cache

from engine.domain.instants import DAY_US, HOUR_US, parse_instant
from engine.runtime.demo import demo_files
from engine.runtime.demo_feed import SPEED, DemoFeed, demo_clock

END = parse_instant("2024-05-01T00:00:00Z") or 0


@cache
def files() -> list[tuple[str, bytes]]:
    return demo_files(3, END)


def rows(some: list[tuple[str, bytes]]) -> list[tuple[str, ...]]:
    found = []
    for _, data in some:
        found += [tuple(row) for row in list(csv.reader(io.StringIO(data.decode())))[1:]]
    return sorted(found)


def test_feed__history_and_all_that_comes_due__are_the_files_rows_each_once() -> None:
    feed = DemoFeed(files(), END - DAY_US)
    fed = feed.history()
    for hour in range(1, 25):
        fed += feed.due(END - DAY_US + hour * HOUR_US)
    assert rows(fed) == rows(files())


def test_feed__nothing_comes_before_its_time() -> None:
    feed = DemoFeed(files(), END - DAY_US)
    assert not [row for row in rows(feed.history()) if "2024-04-30T01" in ",".join(row)]
    first_hour = feed.due(END - DAY_US + HOUR_US)
    assert rows(first_hour)
    assert not [row for row in rows(first_hour) if "2024-04-30T02" in ",".join(row)]


def test_feed__no_name_comes_twice() -> None:
    feed = DemoFeed(files(), END - DAY_US)
    names = [name for name, _ in feed.history()]
    names += [name for hour in (1, 2, 3) for name, _ in feed.due(END - DAY_US + hour * HOUR_US)]
    assert len(set(names)) == len(names)


def test_clock__runs_faster_than_time() -> None:
    moments = iter([100.0, 101.0])
    clock = demo_clock(END, lambda: next(moments))
    assert clock() == END + SPEED * 1_000_000

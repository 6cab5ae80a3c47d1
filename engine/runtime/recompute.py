"""Whether a home's values follow from its inputs, over a sample of its days: what a drill looks at."""

import random
from pathlib import Path
from typing import Any

import numpy as np

from engine.runtime.asking import is_stale, materialised
from engine.runtime.books import Books
from engine.runtime.home import Home
from engine.runtime.open_day import contents
from engine.runtime.series import Series
from engine.runtime.value import asset_files, inputs_of
from engine.store.reader import Reader
from engine.valuation import buckets

DAYS = 5  # of each resolution; one drill a week comes to every part of a year in time


def follows(home_path: Path) -> dict[str, Any]:
    """Books are made anew, and some days valued anew: {"ok", "told"}."""
    home = Home(home_path)
    with Reader(home.state) as reader:
        config = home.config()
        books = Books(reader, config)
        books.lots()  # its own paired checks raise
        told = [f"lots of {books.ledger.height} rows"]
        differing: list[str] = []
        for (resolution,) in reader.rows("SELECT DISTINCT resolution FROM valued ORDER BY 1"):
            if is_stale(reader, resolution, config):
                told.append(f"{resolution} values are older than the inputs: not compared")
                continue
            days, found = _sampled(reader, books, resolution)
            differing += found
            told.append(f"{days} days of {resolution} values")
    return {"ok": not differing, "told": "; ".join(differing[:5] or told)}


def _sampled(reader: Reader, books: Books, resolution: str) -> tuple[int, list[str]]:
    """How many days were valued anew, and what differs from the catalogue."""
    zone = books.config["timezone"]
    closes = materialised(reader, resolution, zone)
    days = buckets.local_dates(buckets.opens(closes, resolution, zone), zone)
    names = sorted(set(days))
    chosen = set(random.Random(f"{resolution} {len(closes)}").sample(names, min(DAYS, len(names))))
    made: dict[tuple[str, str], str] = {}
    for day in sorted(chosen):
        places = np.array([each == day for each in days], dtype=bool)
        series = Series(closes[places], [day] * int(places.sum()))
        for values, files in asset_files(series, inputs_of(books, resolution, series.closes)):
            made |= {(dt, values.asset): content for dt, content in files.contents()}
    live = {key: content for key, content in contents(reader, resolution).items() if key[0] in chosen}
    differing = sorted(key for key in made.keys() | live.keys() if made.get(key) != live.get(key))
    return len(chosen), [f"{asset} on {dt} differs at {resolution}" for dt, asset in differing]

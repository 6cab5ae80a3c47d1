"""Prices that look wrong, with evidence: for `prices check`, and counted for the alert in `status`."""

from pathlib import Path
from typing import Any

import polars as pl

from engine.domain.instants import DAY_US, format_instant
from engine.domain.money import to_text
from engine.domain.transactions import DECIMAL
from engine.runtime.asking import instant
from engine.runtime.home import Home
from engine.runtime.known_names import require_known
from engine.store.reader import LAST, Reader
from engine.valuation.suspicions import suspicions

ALERT_US = 7 * DAY_US  # of the newest prices, looked at for the alert


def prices_check(home_path: str, _now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`prices check --json`. Arguments: `asset`, `from`, `to` (of asof); all prices without."""
    after, until = instant(arguments, "from"), instant(arguments, "to")
    asset = arguments.get("asset")
    with Reader(Home(Path(home_path)).state) as reader:
        require_known(reader, arguments, priced=True)
        found = _found(reader, 0 if after is None else after + 1, LAST if until is None else until)
    if asset is not None:
        found = found.filter(pl.col("asset") == asset)
    counts = dict(found.group_by("code").len().sort("code").iter_rows())
    return {"suspicious": [_told(row) for row in found.iter_rows(named=True)], "counts": counts}


def _found(reader: Reader, first: int, last: int) -> pl.DataFrame:
    versions = reader.stored_observations("prices", first, last)
    newest = versions.filter(pl.col("version") == pl.col("version").max().over("series", "asof"))
    return suspicions(
        newest.with_columns(price=pl.col("close").cast(DECIMAL), volume=pl.col("volume").cast(DECIMAL))
    )


def _told(row: dict[str, Any]) -> dict[str, Any]:
    names = ("price", "other_price")
    amounts = {name: None if row[name] is None else to_text(row[name]) for name in names}
    named = {"asset_id": row["asset"], "asof": format_instant(row["asof"]), "other": row["other"] or None}
    return {name: row[name] for name in ("code", "quote", "resolution", "source", "bps")} | named | amounts


def suspicious(reader: Reader, newest: int) -> dict[str, int]:
    """How many prices of the days up to `newest` look wrong, by sign. NO_TRADES is no alarm."""
    found = _found(reader, newest - ALERT_US, newest).filter(pl.col("code") != "NO_TRADES")
    return dict(found.group_by("code").len().iter_rows())

"""Every asset with its status, and what keeps NAV from being complete: oldest and largest first."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.domain.instants import format_instant
from engine.domain.money import to_text
from engine.runtime.books import Books
from engine.runtime.home import Home
from engine.runtime.kept_books import open_books
from engine.runtime.known_names import require_known
from engine.runtime.series import last_priced
from engine.runtime.value import inputs_of
from engine.store.reader import Reader
from engine.valuation import buckets, price_engine
from engine.valuation.price_engine import Status

RESOLUTION = "1d"  # what is missing is counted in daily closes
ACTS = {  # what would settle it, by reason
    "NO_PRICE": "ingest prices of it, or set it excluded (spam) or manual",
    "MANUAL_EXPIRED": "set it manual with a later expiry, or ingest prices",
    "POSITION_BREAK": "more left the account than it held: ingest the missing rows (`transfers list`)",
    "CASH_NEGATIVE": "ingest the missing deposits of {}",
    "NO_FX": "ingest rates of its quote currency",
    "FX_HELD": "`fx status` shows the hold; rates, or `fx use-eod-once`",
    "PEG_BROKEN": "wait for the peg, or take it out of fx.pegs",
    "VALUE_OUT_OF_RANGE": "correct its quantity or price",
}


def assets(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`assets list --json`. Arguments: `asset`, `status`, and `blocking` for those that withhold NAV."""
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        require_known(reader, arguments)
        books = open_books(home, reader)
        rows = _rows(books, reader, now)
    wanted, status = arguments.get("asset"), arguments.get("status")
    rows = [row for row in rows if wanted in (None, row["asset_id"]) and status in (None, row["status"])]
    if arguments.get("blocking"):
        rows = [row for row in rows if row["blocking"] is not None]
    return {"base_currency": books.config["base_currency"], "resolution": RESOLUTION,
            "blocking": bool(arguments.get("blocking")), "assets": rows}  # fmt: skip


def _rows(books: Books, reader: Reader, now: int) -> list[dict[str, Any]]:
    ledger = books.ledger
    if ledger.is_empty():
        return []
    owned = ledger.group_by("asset").agg(rows=pl.len(), first=pl.col("ts").min())
    held, prices = _held(books, now), _last_prices(books)
    blocking = _blocking(books, _closes(books, reader, now))
    statuses = books.statuses()
    rows = [
        _row(asset, count, first, _status_at(statuses.get(asset, []), now), held.get(asset, (0, 0)),
             prices.get(asset), blocking.get(asset))
        for asset, count, first in owned.iter_rows()
    ]  # fmt: skip
    return sorted(rows, key=_urgency)


def _urgency(row: dict[str, Any]) -> tuple[bool, str, int, str]:
    """What blocks comes first, the oldest of it before, then the largest, then by name."""
    blocking = row["blocking"]
    if blocking is None:
        return True, "", 0, row["asset_id"]
    return False, blocking["first"], -blocking["closes"], row["asset_id"]


def _row(
    asset: str, count: int, first: int, status: Status | None, held: tuple[int, int],
    price: dict[str, Any] | None, blocking: dict[str, Any] | None,
) -> dict[str, Any]:  # fmt: skip
    quantity, accounts = held
    manual = status is not None and status.status == "manual"
    act = ACTS.get(blocking["reasons"][0], "").format(asset) if blocking else None
    return {
        "asset_id": asset,
        "status": "normal" if status is None else status.status,
        "since": None if status is None else format_instant(status.since),
        "price": status.price if status is not None and manual else None,
        "expires": format_instant(status.expires or 0) if status is not None and manual else None,
        "rows": count,
        "first_row": format_instant(first),
        "quantity": to_text(quantity),
        "accounts": accounts,
        "last_price": price,
        "blocking": blocking,
        "act": act,
    }


def _status_at(statuses: list[Status], now: int) -> Status | None:
    """The one in force: the latest `since` by now, of equals the last decided."""
    begun = [status for status in statuses if status.since <= now]
    return max(reversed(begun), key=lambda status: status.since) if begun else None


def _held(books: Books, now: int) -> dict[str, tuple[int, int]]:
    """By asset: the scaled quantity owned now, in transit included, and in how many accounts."""
    moves = books.movements().filter((pl.col("ts") <= now) & pl.col("series").is_in(["holding", "transit"]))
    sums: dict[tuple[str, str], int] = {}
    columns = (moves["asset"], moves["account"], moves["delta"].to_physical())
    for asset, account, delta in zip(*(column.to_list() for column in columns), strict=True):
        sums[asset, account] = sums.get((asset, account), 0) + delta
    held: dict[str, tuple[int, int]] = {}
    for (asset, _), quantity in sums.items():
        before, accounts = held.get(asset, (0, 0))
        held[asset] = before + quantity, accounts + (quantity != 0)
    return held


def _last_prices(books: Books) -> dict[str, dict[str, Any]]:
    return {
        asset: {"asof": format_instant(asof), "source": source, "quote": quote}
        for asset, (asof, source, quote) in books.last_prices().items()
    }


def _closes(books: Books, reader: Reader, now: int) -> np.ndarray:
    """The daily closes at which NAV is told: up to the last that is priced or was valued, else by now."""
    first = books.first_ts()
    assert first is not None, "there are rows"
    valued = reader.value("SELECT max(close_last) FROM valued WHERE resolution = ?", (RESOLUTION,))
    last = max(last_priced(books, RESOLUTION) or 0, valued or 0)
    return buckets.closes(RESOLUTION, books.config["timezone"], first, last if last > first else now)


def _blocking(books: Books, closes: np.ndarray) -> dict[str, dict[str, Any]]:
    """By asset: the daily closes at which a holding of it has no value, and why."""
    if not len(closes):
        return {}
    inputs = inputs_of(books, RESOLUTION, closes)
    found = {}
    for values in price_engine.run(inputs):
        if not values.valued.all():
            rows = price_engine.snapshots([values], inputs)
            rows = rows.filter((pl.col("kind") == "holding") & pl.col("value").is_null())
            if rows.height:
                found[values.asset] = _told(rows)
    return found


def _told(rows: pl.DataFrame) -> dict[str, Any]:
    at = np.unique(rows["bucket_close"].to_physical().to_numpy())
    reasons = rows["reason"].value_counts(sort=True).sort("count", "reason", descending=[True, False])
    return {
        "reasons": reasons["reason"].to_list(),
        "held": sorted({pair for text in rows["held"].drop_nulls().unique() for pair in text.split("|")}),
        "closes": len(at),
        "first": format_instant(int(at[0])),
        "last": format_instant(int(at[-1])),
    }

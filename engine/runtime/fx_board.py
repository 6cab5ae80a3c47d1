"""What is known of exchange rates: the rate in force, drift against the band, holds with their evidence."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.config import Config
from engine.domain.instants import DAY_US, SECOND_US, format_instant
from engine.domain.money import to_text
from engine.domain.resolutions import FINEST, RESOLUTIONS
from engine.runtime.asking import instant
from engine.runtime.books import FX_OVERRIDE, OVERRIDE_SERVES_US, Books
from engine.runtime.desk.fx import held_closes, hold_begins, known_pair
from engine.runtime.desk.rows import decisions
from engine.runtime.home import Home
from engine.runtime.value import inputs_of
from engine.store.reader import Reader
from engine.valuation import price_engine
from engine.valuation.buckets import Instants, closes
from engine.valuation.fx_handler import RateBook, Span
from engine.valuation.market_hours import open_between
from engine.valuation.rates import Fixing, HoldEvidence, RateUse

UNSERVED = ("held", "none", "overridden", "fallback")  # states of a close without a market rate
RECENT_US = 30 * DAY_US  # looked back where no bound is given


def fx_status(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`fx status --json`: every pair with its fixings, or one with what a hold of it touches too.

    Arguments: `pair`; `at` (an instant, else now); `from` and `to` bound the fixings' asofs: with neither a
    pair nor `from`, those of the last 30 days. Of one pair also its holds in these bounds, by default of the
    last 30 days; with `closes`, a resolution, also the runs of its closes that no market rate served.
    """
    home = Home(Path(home_path))
    config = home.config()
    at = instant(arguments, "at")
    at = now if at is None else at
    with Reader(home.state) as reader:
        books = Books(reader, config)
        book = books.rate_book
        given = arguments.get("pair")
        pairs = book.pairs if given is None else [known_pair(book, given)]
        grants = _grants(reader, at)
        rows = [_pair(book, config, pair, at, grants.get(pair)) for pair in pairs]
        answer: dict[str, Any] = {
            "at": format_instant(at),
            "drift_bps_max": to_text(config["fx.drift_bps_max"]),
            "pairs": rows,
            "fixings": [fixing for pair in pairs for fixing in _fixings(book, pair, at, arguments)],
        }
        if given is not None:
            if arguments.get("closes"):
                answer["without_market"] = _without_market(book, config["timezone"], pairs[0], at, arguments)
            answer["holds"] = _holds(book, config["timezone"], pairs[0], at, arguments)
            answer["touched"] = _touched(books, pairs[0], at) if rows[0]["held"] else None
    return answer


def _pair(book: RateBook, config: Config, pair: str, at: int, grant: dict[str, Any] | None) -> dict[str, Any]:
    """One pair at an instant, in the direction of its name."""
    vector = book.direct(pair, np.array([at], np.int64))
    use = vector.table[int(vector.idx[0])]
    held = use.reason == "FX_HELD"
    begins = hold_begins(book, config["timezone"], pair, at) if held else None
    return {
        "pair": pair,
        "state": _state(use),
        "rate": _text(use.rate),
        "source": use.source,
        "asof": None if use.asof is None else format_instant(use.asof),
        "age_s": None if use.asof is None else open_between(use.asof, at) // SECOND_US,
        "drift_bps": _text(use.drift_bps),
        "flags": list(use.flags),
        "held": held,
        "held_since": None if begins is None else format_instant(begins),
        "evidence": _evidence(use.evidence[0], at) if held else None,
        "fallback_rate": _text(use.held_rate) if held else None,
        "override": grant,
    }


def _state(use: RateUse) -> str:
    """In one word: held, none, overridden, eod only, closed, fallback or primary."""
    if use.reason is not None:
        return "held" if use.reason == "FX_HELD" else "none"
    for flag, word in (("EOD_OVERRIDE", "overridden"), ("EOD_ONLY", "eod only"), ("FX_CLOSED", "closed")):
        if flag in use.flags:
            return word
    return "primary" if use.drift_bps is None else "fallback"


def _evidence(evidence: HoldEvidence, at: int) -> dict[str, Any]:
    return {
        "cause": evidence.cause,
        "fallback_rate": to_text(evidence.fallback_rate),
        "fallback_source": evidence.fallback_source,
        "fallback_asof": format_instant(evidence.fallback_asof),
        "fallback_age_s": evidence.fallback_age_s(at),
        "primary_rate": _text(evidence.primary_rate),
        "primary_source": evidence.primary_source,
        "primary_asof": None if evidence.primary_asof is None else format_instant(evidence.primary_asof),
        "primary_age_s": evidence.primary_age_s(at),
        "drift_bps": _text(evidence.drift_bps),
        "feed_bps": _text(evidence.feed_bps),
        "moved_bps": _text(evidence.moved_bps),
    }


def _grants(reader: Reader, at: int) -> dict[str, dict[str, Any]]:
    """By pair: the newest override that stands, with the seconds that it goes on at an instant."""
    found = {}
    for one in decisions(reader, "kind = ? ORDER BY decision", (FX_OVERRIDE,)):
        if one["undone_by"] is not None:
            continue
        detail = one["detail"]
        until = detail["granted"] + OVERRIDE_SERVES_US
        found[one["subject"]["pair"]] = {
            "decision": one["decision"],
            "actor": one["actor"],
            "reason": one["reason"],
            "from": format_instant(detail["from"]),
            "to": format_instant(detail["to"]),
            "granted": format_instant(detail["granted"]),
            "until": format_instant(until),
            "left_s": max(0, until - at) // SECOND_US if at >= detail["granted"] else 0,
        }
    return found


def _fixings(book: RateBook, pair: str, at: int, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    after, until = instant(arguments, "from"), instant(arguments, "to")
    if after is None:
        after = -1 if arguments.get("pair") else at - RECENT_US
    found = book.fixings(pair, after, at if until is None else until)
    return [_fixing(pair, fixing) for fixing in found]


def _fixing(pair: str, fixing: Fixing) -> dict[str, Any]:
    asof = fixing.primary_asof
    return {
        "pair": pair,
        "fallback_asof": format_instant(fixing.fallback_asof),
        "fallback": to_text(fixing.fallback),
        "primary_asof": None if asof is None else format_instant(asof),
        "primary": _text(fixing.primary),
        "primary_age_s": None if asof is None else open_between(asof, fixing.fallback_asof) // SECOND_US,
        "feed_bps": _text(fixing.feed_bps),
    }


def _without_market(
    book: RateBook, zone: str, pair: str, at: int, arguments: dict[str, Any]
) -> list[dict[str, Any]]:
    """Runs of closes that no market rate served, each with the one thing that all its closes come to."""
    found = _closes_within(arguments["closes"], zone, at, arguments)
    vector = book.direct(pair, found)
    runs = _runs(vector.idx)
    return [
        {
            "from": format_instant(int(found[start])),
            "to": format_instant(int(found[end - 1])),
            "closes": end - start,
            "state": _state(use),
            "drift_bps": _text(use.drift_bps),
            "fallback": _text(use.held_rate if use.rate is None else use.rate),
        }
        for start, end in runs
        if _state(use := vector.table[int(vector.idx[start])]) in UNSERVED
    ]


def _holds(
    book: RateBook, zone: str, pair: str, at: int, arguments: dict[str, Any]
) -> list[dict[str, Any]]:  # fmt: skip
    """Closes of 5m that are held, one after the other; `to` alone makes `use EOD once` cover all of one."""
    found = _closes_within(FINEST, zone, at, arguments)
    held = np.isin(found, held_closes(book, pair, found))
    return [
        {"from": format_instant(int(found[start])), "to": format_instant(int(found[end - 1])),
         "closes": end - start}
        for start, end in _runs(held)
        if held[start]
    ]  # fmt: skip


def _closes_within(resolution: str, zone: str, at: int, arguments: dict[str, Any]) -> Instants:
    """The closes in the bounds asked for; without them those of the last 30 days."""
    after, until = instant(arguments, "from"), instant(arguments, "to")
    after = at - RECENT_US if after is None else after
    return closes(resolution, zone, max(0, after + 1), at if until is None else until)


def _runs(told: NDArray[Any]) -> list[tuple[int, int]]:
    """Where something begins to be the same, and where it no longer is."""
    edges = [0, *(np.flatnonzero(np.diff(told)) + 1).tolist(), len(told)]
    return [(start, end) for start, end in pairwise(edges) if end > start]


def _touched(books: Books, pair: str, at: int) -> dict[str, Any] | None:
    """What the hold withholds: holdings, their value and NAV under the fallback.

    At the last close of the finest resolution at which a holding has a price and waits for the pair.
    """
    for resolution in RESOLUTIONS:
        close = _last_close(books, resolution, at)
        held = None if close is None else _held(books, resolution, close, pair)
        if held is not None and close is not None and held.height:
            under = _holdings(books.supposing(pair, Span(close - 1, close)), resolution, close)
            own = under.join(held, on=["account", "asset_id"], how="semi")
            return {
                "resolution": resolution,
                "close": format_instant(close),
                "accounts": sorted(set(own["account"])),
                "assets": sorted(set(own["asset_id"])),
                "base_currency": books.config["base_currency"],
                "value_under_fallback": _sum(own),
                "nav_under_fallback": _sum(under),
            }
    return None


def _last_close(books: Books, resolution: str, at: int) -> int | None:
    first = books.first_ts()
    found = closes(resolution, books.config["timezone"], max(0, at - 2 * DAY_US), at)
    return int(found[-1]) if len(found) and first is not None and first <= found[-1] else None


def _held(books: Books, resolution: str, close: int, pair: str) -> pl.DataFrame:
    rows = _holdings(books, resolution, close)
    return rows.filter(pl.col("held").str.split("|").list.contains(pair))


def _holdings(books: Books, resolution: str, close: int) -> pl.DataFrame:
    """All holdings at one close, valued or not."""
    inputs = inputs_of(books, resolution, np.array([close], np.int64))
    rows = price_engine.snapshots(list(price_engine.run(inputs)), inputs)
    return rows.filter(pl.col("kind") == "holding").select("account", "asset_id", "value", "held")


def _sum(rows: pl.DataFrame) -> str | None:
    """None unless every one of them is valued."""
    values = rows["value"].to_physical().to_list()
    return None if None in values else to_text(sum(values))


def _text(scaled: int | None) -> str | None:
    return None if scaled is None else to_text(scaled)

"""The operator's act on a held pair: use the end-of-day rate once, in spite of the hold (CONTRACT §9)."""

from pathlib import Path
from typing import Any

import numpy as np

from engine.config import Config
from engine.domain.instants import MINUTE_US, format_instant
from engine.domain.resolutions import FINEST
from engine.errors import UsageError
from engine.runtime.asking import instant
from engine.runtime.books import FX_OVERRIDE, OVERRIDE_SERVES_US, Books
from engine.runtime.desk.minutes import Minutes
from engine.runtime.home import Home
from engine.runtime.telemetry.spans import committing
from engine.runtime.touched import assets_by_rates
from engine.store.commit import transaction
from engine.store.reader import Reader
from engine.valuation.buckets import Instants, closes
from engine.valuation.fx_handler import RateBook

SUBJECT = '{{"pair": "{}"}}'
LOOK_BACK_US = 3 * 24 * 60 * MINUTE_US  # how far to look for the beginning of a hold; then eight times that


def use_eod_once(
    home_path: str, now_us: int, arguments: dict[str, Any], actor: str, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Lets a pair's fallback pass where it is held, in (from, to] and for 30 minutes from now.

    Arguments: `pair`, and `from` and `to` as instants; without them from just before the current hold to
    now. UsageError for an unknown pair, one that is not held then, a span that is none, or no reason.
    """
    if not reason.strip():
        raise UsageError("An override needs a reason.", "Say why with --reason; nothing was done.")
    home = Home(Path(home_path))
    config = home.config()
    with transaction(home.state, home.journal, now_us, "fx_use_eod_once", around=committing) as work:
        book = Books(work.reader, config).rate_book
        pair = known_pair(book, arguments.get("pair"))
        granted = work.now
        after, until = _span(book, config, pair, granted, arguments)
        minutes = Minutes(work, actor, reason)
        minutes.note(FX_OVERRIDE, SUBJECT.format(pair), {"from": after, "to": until, "granted": granted})
        minutes.put()
        held = len(held_closes(book, pair, closes(FINEST, config["timezone"], after + 1, until)))
        touched = override_touches(pair, after, until, granted, work.reader, config)
        if dry_run:
            work.cancel()
    return {
        "pair": pair,
        "from": format_instant(after),
        "to": format_instant(until),
        "granted": format_instant(granted),
        "until": format_instant(granted + OVERRIDE_SERVES_US),
        "held_closes": held,
        "decisions": minutes.numbers,
        **touched,
    }


def override_touches(
    pair: str, after: int, until: int, granted: int, reader: Reader, config: Config
) -> dict[str, Any]:
    """What an override changes: closes in (after, until] and those that it goes on to serve."""
    return {
        "touched_from": min(after, granted) + 1,
        "touched_until": max(until, granted + OVERRIDE_SERVES_US),
        "touched_assets": sorted(assets_by_rates([pair.split("/")], reader, config)),
    }


def known_pair(book: RateBook, given: object) -> str:
    """The pair as it is named here, whichever way round it was given. UsageError if it has no rates."""
    sides = str(given).split("/")
    found = [pair for pair in book.pairs if sorted(pair.split("/")) == sorted(sides)]
    if not found:
        named = ", ".join(book.pairs[:8]) or "none"
        raise UsageError(f"There are no rates of a pair {given!r:.40}.", f"Known pairs: {named}.")
    return found[0]


def held_closes(book: RateBook, pair: str, at: Instants) -> Instants:
    """Those of the closes at which a pair is held."""
    vector = book.direct(pair, at)
    held = np.array([use.reason == "FX_HELD" for use in vector.table], np.bool_)
    return at[held[vector.idx]]


def hold_begins(book: RateBook, zone: str, pair: str, now: int) -> int | None:
    """The first close of the hold that the last close by `now` is in; None if that is not held."""
    span = LOOK_BACK_US
    while True:
        at = closes(FINEST, zone, max(0, now - span), now)
        held = np.isin(at, held_closes(book, pair, at))
        if not len(held) or not held[-1]:
            return None
        free = np.flatnonzero(~held)
        if len(free) or at[0] <= span:
            return int(at[free[-1] + 1]) if len(free) else int(at[0])
        span *= 8


def _span(
    book: RateBook, config: Config, pair: str, granted: int, arguments: dict[str, Any]
) -> tuple[int, int]:
    after, until = (instant(arguments, name) for name in ("from", "to"))
    if after is None:
        begins = hold_begins(book, config["timezone"], pair, until if until is not None else granted)
        if begins is None:
            at = format_instant(until if until is not None else granted)
            raise UsageError(
                f"{pair} is not held at the last close by {at}.",
                "Name the closes with --from and --to; `navdeck fx status` shows what is held.",
            )
        after = begins - 1
    until = granted if until is None else until
    if after >= until:
        raise UsageError("The span is empty: --from is not before --to.", "Closes in (from, to] are covered.")
    return after, until

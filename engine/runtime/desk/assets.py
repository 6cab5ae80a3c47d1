"""The operator's act on assets: normal, excluded from NAV, or valued by hand (CONTRACT §8)."""

import json
from pathlib import Path
from typing import Any

from engine.domain.instants import format_instant
from engine.domain.money import SCALE, is_plain, to_scaled, to_text
from engine.errors import UsageError
from engine.runtime.asking import instant
from engine.runtime.books import ASSET_STATUS
from engine.runtime.desk.minutes import Minutes
from engine.runtime.home import Home
from engine.runtime.telemetry.spans import committing
from engine.store.commit import transaction
from engine.store.reader import Reader

STATUSES = ("normal", "excluded", "manual")
START = "start"  # `since`: from the asset's first row on
ASSETS_MAX = 10_000
PRICE_MAX = 10**19


def set_status(
    home_path: str, now_us: int, arguments: dict[str, Any], actor: str, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Gives assets a status from an instant on; one decision an asset.

    Arguments: `assets`, `status`, `since` (an instant, `start`, or now), and for `manual` a `price` in base
    currency and `expires`. UsageError for what makes no sense, an asset that is in no row, or no reason.
    """
    if not reason.strip():
        raise UsageError("A status needs a reason.", "Say why with --reason; nothing was done.")
    status = arguments.get("status")
    if status not in STATUSES:
        raise UsageError(f"There is no status {status!r:.40}.", f"Choose one of {', '.join(STATUSES)}.")
    home = Home(Path(home_path))
    with transaction(home.state, home.journal, now_us, "asset_set", around=committing) as work:
        first = _first_rows(work.reader, arguments.get("assets"))
        minutes = Minutes(work, actor, reason)
        told = []
        for asset, begins in first.items():
            detail = _detail(status, begins, work.now, arguments)
            minutes.note(ASSET_STATUS, json.dumps({"asset": asset}), detail)
            told.append({"asset_id": asset, "status": status, "since": format_instant(detail["since"])})
        minutes.put()
        if dry_run:
            work.cancel()
    since = min(_since(begins, work.now, arguments) for begins in first.values())
    touched = {"touched_from": since, "touched_assets": sorted(first)}
    return {"assets": told, "decisions": minutes.numbers, **touched}


def _first_rows(reader: Reader, given: object) -> dict[str, int]:
    """The assets named, each with the instant of its first row."""
    if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
        raise UsageError("No assets were named.", "`navdeck assets list` shows their ids.")
    if len(given) > ASSETS_MAX:
        raise UsageError(f"{len(given):,} assets are too many at once.", f"Name {ASSETS_MAX:,} at most.")
    wanted = json.dumps(given)
    found = dict(
        reader.rows(
            "SELECT name, min(ts) FROM (SELECT asset AS n, ts FROM tx WHERE superseded_by IS NULL"
            " UNION ALL SELECT fee_asset, ts FROM tx WHERE superseded_by IS NULL AND fee_asset IS NOT NULL)"
            " JOIN names USING (n) WHERE name IN (SELECT value FROM json_each(?)) GROUP BY name",
            (wanted,),
        )
    )
    missing = [one for one in given if one not in found]
    if missing:
        named = ", ".join(f"{one!r:.80}" for one in missing[:5])
        raise UsageError(
            f"No transaction is about {named}.", "`navdeck assets list` shows the ids; nothing was done."
        )
    return {asset: int(found[asset]) for asset in dict.fromkeys(given)}


def _since(begins: int, now: int, arguments: dict[str, Any]) -> int:
    if arguments.get("since") == START:
        return begins
    since = instant(arguments, "since")
    return now if since is None else since


def _detail(status: str, begins: int, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    since, price = _since(begins, now, arguments), arguments.get("price")
    expires = instant(arguments, "expires")
    if status != "manual":
        if price is not None or expires is not None:
            raise UsageError(f"A price and an expiry belong to manual, not to {status}.", "Leave them out.")
        return {"since": since, "status": status}
    if price is None or expires is None:
        raise UsageError(
            "A manual price needs a price and an expiry.", "Give both: --price 12.50 --expires 2027-01-31."
        )
    if expires <= since:
        raise UsageError("The manual price expires before it begins.", "Give a later --expires.")
    return {"since": since, "status": status, "price": _price(price), "expires": expires}


def _price(given: object) -> str:
    text = str(given)
    scaled = to_scaled(text) if is_plain(text) else -1
    if not 0 <= scaled < PRICE_MAX * SCALE:
        raise UsageError(
            f"{text!r:.40} is no price.", "A plain decimal of 0 or more in base currency; 0 writes it off."
        )
    return to_text(scaled)

"""What keeps a home from having any value: assets that never had a price, and a series without an end.

A series ends at the last close that a price can price (CONTRACT §8): without one there is nothing to value,
and asking for it again changes nothing. It reads counts and names only, so that light questions may ask.
"""

from collections.abc import Mapping
from typing import Any

from engine.config import Config
from engine.store.reader import Reader

NO_TRANSACTIONS, NO_PRICES = "NO_TRANSACTIONS", "NO_PRICES"
_COUNTS = "superseded_by IS NULL"
_STANDING = (  # the newest decision on each asset that was not taken back
    "SELECT subject ->> 'asset', detail ->> 'status', max(decision) FROM decisions"
    " WHERE kind = 'asset_status' AND decision NOT IN"
    " (SELECT subject ->> 'decision' FROM decisions WHERE kind = 'undo') GROUP BY 1"
)


def unvalued(reader: Reader, config: Config, reckoned: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """As JSON: why nothing can be valued (`reason`, null where something can), and what was never priced.

    `reckoned`: what reckoned_alerts.py knows of these inputs. `never_priced` leaves out cash and pegged
    tokens: they need no price.
    """
    free = {*config["cash_assets"], *dict(config["fx.pegs"])}
    bare, first = (
        (without_price(reader), reader.value(f"SELECT min(ts) FROM tx WHERE {_COUNTS}"))
        if reckoned is None
        else (reckoned["without_price"], reckoned["ledger"][-1])
    )
    return {"reason": _reason(reader, first), "never_priced": [name for name in bare if name not in free]}


def without_price(reader: Reader) -> list[str]:
    """The ledger's assets without any price, but for those excluded or priced by hand; by name."""
    settled = {asset for asset, status, _ in reader.rows(_STANDING) if status != "normal"}
    found = reader.rows(
        "SELECT name FROM names WHERE name NOT IN (SELECT asset FROM price_series)"
        f" AND n IN (SELECT asset FROM tx WHERE {_COUNTS}) ORDER BY name"
    )
    return [name for (name,) in found if name not in settled]


def _reason(reader: Reader, first: int | None) -> str | None:
    """Why a series has no close; None if some were valued, or a price came after the first ledger row."""
    if reader.value("SELECT 1 FROM valued LIMIT 1"):
        return None
    if first is None:
        return NO_TRANSACTIONS
    span = reader.price_span()
    return NO_PRICES if span is None or span[1] < first else None

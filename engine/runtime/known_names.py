"""The one check that an account, an asset or a group that a question names is there.

A mistyped name would be answered by nothing, which reads like a truth. It never narrows an answer, and
filters that are typed letter by letter do not come here.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from engine.errors import UsageError
from engine.store.reader import Reader

SHOWN = 8
NOTHING_YET = "No transaction was taken in yet: `navdeck ingest FILE…`."
_LEDGER = {
    "account": "SELECT name FROM tx JOIN names ON n = account WHERE superseded_by IS NULL",
    "asset": "SELECT name FROM tx JOIN names ON n IN (asset, fee_asset) WHERE superseded_by IS NULL",
}
_PRICED = "SELECT asset FROM price_series"


def require_known(reader: Reader, arguments: Mapping[str, Any], priced: bool = False) -> None:
    """UsageError if a question's `account` or `asset` is in no ledger row (`priced`: nor has a price)."""
    for what, query in _LEDGER.items():
        name = arguments.get(what)
        if name is None:
            continue
        also = f" UNION ALL {_PRICED}" if priced and what == "asset" else ""
        if reader.value(f"SELECT 1 FROM ({query}{also}) WHERE name = ? LIMIT 1", (name,)) is None:
            known = reader.rows(f"SELECT DISTINCT name FROM ({query}{also})")
            raise unknown(what, name, [one for (one,) in known])


def unknown(what: str, name: object, known: Collection[str], nothing: str = NOTHING_YET) -> UsageError:
    """The error for a name that is not among the known ones; it tells those, or the nearest of many."""
    return UsageError(f"There is no {what} {name!r:.80}.", _choices(what, str(name), known) or nothing)


def _choices(what: str, name: str, known: Collection[str]) -> str:
    """All of a few; of many the nearest, letters' case being nothing, else the first."""
    if not known:
        return ""
    lower = {one.lower(): one for one in sorted(known, reverse=True)}
    near = [lower[one] for one in get_close_matches(name.lower(), lower, SHOWN)]
    if len(known) > SHOWN and near:
        return f"Near it: {', '.join(near)}."
    return f"{what.capitalize()}s: {', '.join(sorted(known)[:SHOWN])}{' …' if len(known) > SHOWN else ''}."

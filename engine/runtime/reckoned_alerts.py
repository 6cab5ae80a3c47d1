"""Facts that take a look at every row: how many there are, transfers without another side, odd prices.

What is reckoned hangs on the committed inputs alone. So it is paid for once a commit, and kept in run/ under
the journal's mark, which no other inputs have: whoever asks next counts nothing and imports nothing.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

from engine.runtime.home import Home
from engine.runtime.unpriced import without_price
from engine.store.files import publish
from engine.store.reader import Reader

RULES = 3  # another number forgets what was reckoned by older rules

# unsettled: how many transfers, the oldest instant, or None; suspicious: by sign; without_price: assets;
# counts: rows by table; ledger: the first and the last instant, and the first that counts, or None.
Reckoned = dict[str, Any]


def reckoned(reader: Reader, home: Home) -> Reckoned:
    """What the alerts are made of, for the inputs that the reader sees."""
    mark = reader.meta().get("journal")
    if mark is None:
        return {"unsettled": None, "suspicious": {}, "without_price": []} | _counted(reader)
    key = [RULES, mark]
    kept = _kept(home.reckoned)
    if kept.get("key") != key:
        kept = {"key": key, "unsettled": _unsettled(reader), "suspicious": _suspicious(reader),
                "without_price": without_price(reader)} | _counted(reader)  # fmt: skip
        with contextlib.suppress(OSError):  # a disk that is full or read-only: it is reckoned again
            publish(home.reckoned, json.dumps(kept).encode())
    return kept


def _counted(reader: Reader) -> Reckoned:
    counts = "superseded_by IS NULL"
    ((rows, *ledger),) = reader.rows(
        f"SELECT count(*) FILTER (WHERE {counts}), min(ts), max(ts), min(ts) FILTER (WHERE {counts}) FROM tx"
    )
    observed = {name: reader.count(name) for name in ("prices", "fx_rates")}
    return {"counts": {"transactions": rows, **observed}, "ledger": ledger}


def _unsettled(reader: Reader) -> list[int] | None:
    if not reader.value("SELECT 1 FROM tx LIMIT 1"):
        return None
    from engine.runtime.desk.transfer_rows import unsettled

    return unsettled(reader)


def _suspicious(reader: Reader) -> dict[str, int]:
    span = reader.price_span()
    if span is None:
        return {}
    from engine.runtime.price_board import suspicious

    return suspicious(reader, span[1])


def _kept(path: Path) -> Reckoned:
    try:
        kept = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}

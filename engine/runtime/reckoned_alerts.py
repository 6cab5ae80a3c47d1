"""Facts of alerts that take reckoning with frames: transfers without another side, prices that look wrong.

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

RULES = 2  # another number forgets what was reckoned by older rules

# unsettled: how many transfers, the oldest instant, or None; suspicious: by sign; without_price: assets.
Reckoned = dict[str, Any]


def reckoned(reader: Reader, home: Home) -> Reckoned:
    """What the alerts are made of, for the inputs that the reader sees."""
    mark = reader.meta().get("journal")
    if mark is None:
        return {"unsettled": None, "suspicious": {}, "without_price": []}
    key = [RULES, mark]
    kept = _kept(home.reckoned)
    if kept.get("key") != key:
        kept = {"key": key, "unsettled": _unsettled(reader), "suspicious": _suspicious(reader),
                "without_price": without_price(reader)}  # fmt: skip
        with contextlib.suppress(OSError):  # a disk that is full or read-only: it is reckoned again
            publish(home.reckoned, json.dumps(kept).encode())
    return kept


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

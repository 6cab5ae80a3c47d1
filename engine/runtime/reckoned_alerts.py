"""Alerts that take reckoning with frames: transfers without another side, prices that look wrong.

What is reckoned hangs on the committed inputs alone. So it is paid for once a commit, and kept in run/ under
the journal's mark, which no other inputs have: whoever asks next counts nothing and imports nothing.
"""

import contextlib
import json
from pathlib import Path
from typing import Any

from engine.domain.instants import DAY_US
from engine.runtime.home import Home
from engine.store.files import publish
from engine.store.reader import Reader

RULES = 1  # another number forgets what was reckoned by older rules

Reckoned = dict[str, Any]  # unsettled: how many transfers, the oldest instant, or None; suspicious: by sign


def reckoned(reader: Reader, home: Home) -> Reckoned:
    """What the alerts are made of, for the inputs that the reader sees."""
    mark = reader.meta().get("journal")
    if mark is None:
        return {"unsettled": None, "suspicious": {}}
    key = [RULES, mark]
    kept = _kept(home.reckoned)
    if kept.get("key") != key:
        kept = {"key": key, "unsettled": _unsettled(reader), "suspicious": _suspicious(reader)}
        with contextlib.suppress(OSError):  # a disk that is full or read-only: it is reckoned again
            publish(home.reckoned, json.dumps(kept).encode())
    return kept


def alerts(found: Reckoned, now: int) -> list[dict[str, str]]:
    """The alerts, or none."""
    told = []
    if found["unsettled"] is not None:
        number, oldest = found["unsettled"]
        days = max(0, now - oldest) // DAY_US
        words = "1 transfer has" if number == 1 else f"{number:,} transfers have"
        text = f"{words} no other side, the oldest for {'1 day' if days == 1 else f'{days:,} days'}"
        hint = "navdeck transfers list --state unmatched"
        told.append({"code": "TRANSFERS_UNMATCHED", "text": text, "hint": hint})
    if found["suspicious"]:
        signs = sorted(found["suspicious"].items())
        words = ", ".join(f"{count:,} {code.lower().replace('_', ' ')}" for code, count in signs)
        text = f"prices of the newest 7 days look wrong: {words}"
        told.append({"code": "PRICES_SUSPICIOUS", "text": text, "hint": "navdeck prices check"})
    return told


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

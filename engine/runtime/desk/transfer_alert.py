"""The alert of transfers that lack a counterpart, for `status`; transfer_list.py tells of each."""

from pathlib import Path

from engine.domain.instants import DAY_US
from engine.runtime.desk.transfer_rows import Transfers
from engine.store.reader import Reader

Unsettled = tuple[int, int]  # how many, and the instant of the oldest
_known: dict[tuple[str, str | None], Unsettled | None] = {}  # of the last home and commit asked about


def unsettled(reader: Reader, state: Path) -> Unsettled | None:
    """The transfers that nobody matched or settled; None if there are none.

    Linking is paid for once a commit, and not at all without transfers.
    """
    key = (str(state), reader.meta().get("committed_at"))
    if key not in _known:
        _known.clear()
        _known[key] = _counted(Transfers(reader))
    return _known[key]


def _counted(transfers: Transfers) -> Unsettled | None:
    if transfers.rows.is_empty():
        return None
    settled = transfers.links.settlements
    waiting = [leg.ts for leg in transfers.legs if transfers.left(leg) and leg.position not in settled]
    return (len(waiting), min(waiting)) if waiting else None


def alerts(found: Unsettled | None, now: int) -> list[dict[str, str]]:
    """The alert, or none."""
    if found is None:
        return []
    number, oldest = found
    days = max(0, now - oldest) // DAY_US
    told = "1 transfer has" if number == 1 else f"{number:,} transfers have"
    text = f"{told} no other side, the oldest for {'1 day' if days == 1 else f'{days:,} days'}"
    return [{"code": "TRANSFERS_UNMATCHED", "text": text, "hint": "navdeck transfers list --state unmatched"}]

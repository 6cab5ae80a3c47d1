"""What questions share: instants as they were asked for, and the closes that are there to be told."""

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from engine.config import Config
from engine.domain.expressions import matching
from engine.domain.instants import format_instant, parse_instant
from engine.errors import UsageError
from engine.store.reader import LAST, Reader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from engine.snapshots.nav_reader import NavPoint

# The last commit that may change a figure: of a file that brought something, of a decision that put rows into
# the books or says how they count, or of taking one back.
LAST_INPUT = (
    "SELECT max(at) FROM (SELECT max(committed_at) AS at FROM files WHERE accepted > 0 UNION ALL"
    " SELECT max(made.committed_at) FROM decisions made JOIN decisions about ON about.decision ="
    " CASE made.kind WHEN 'undo' THEN made.subject ->> 'decision' ELSE made.decision END"
    " WHERE about.kind NOT IN ('fix', 'reject', 'alert_ack')"
    " AND NOT (about.kind = 'release' AND about.detail ->> 'outcome' = 'duplicate'))"
)
# The settings that values hang on, beside those that are fixed at init.
SHAPING = (
    "cash", "cash_assets", "prices.sources",
    "fx.primary", "fx.fallback", "fx.eod_only", "fx.drift_bps_max", "fx.pegs",
)  # fmt: skip
VALUED_BY = "valued_"  # of meta, before a resolution: what its values follow from


def instant(arguments: dict[str, Any], name: str) -> int | None:
    """An instant given as text; a date means its first instant in UTC. UsageError if it is neither."""
    text = arguments.get(name)
    if text is None:
        return None
    us = parse_instant(text if "T" in text else f"{text}T00:00:00Z")
    if us is None:
        raise UsageError(
            f"--{name.replace('_', '-')} {text!r} is no instant.",
            "Write it like 2024-05-01T12:30:00Z or 2024-05-01.",
        )
    return us


def expressions(arguments: dict[str, Any]) -> list[tuple[str, bool]]:
    """Those asked for as `matching` and `not_matching`, and whether texts are to match them.

    UsageError for what is no expression.
    """
    names = (("matching", True), ("not_matching", False))
    asked = [(str(arguments[name]), wanted) for name, wanted in names if arguments.get(name)]
    for expression, _ in asked:
        try:
            matching(expression, [""])
        except ValueError as error:
            told = f"{expression!r:.80} is {error}."
            raise UsageError(told, "Mend it, or look for a plain text.") from None
    return asked


def materialised(reader: Reader, resolution: str, zone: str, dropped: bool = False) -> "NDArray[np.int64]":
    """All closes of the days that were valued and are there; with `dropped`, of those dropped since too."""
    import numpy as np  # not for those who only ask for an instant

    from engine.valuation import buckets

    spans = reader.rows(
        "SELECT close_first, close_last FROM valued WHERE resolution = ? AND (dropped_at IS NULL OR ?)"
        " ORDER BY close_first",
        (resolution, dropped),
    )
    if not spans:
        return np.zeros(0, dtype=np.int64)
    closes = buckets.closes(resolution, zone, spans[0][0], spans[-1][1])
    first = np.array([span[0] for span in spans])
    last = np.array([span[1] for span in spans])
    day = np.searchsorted(first, closes, side="right") - 1
    return np.asarray(closes[closes <= last[day]])


def dropped_told(
    reader: Reader, resolution: str, after: int | None, until: int | None
) -> dict[str, Any] | None:
    """How many days of a range retention dropped, and their first and last close; None if it dropped none."""
    days, first, last = reader.rows(
        "SELECT count(*), min(close_first), max(close_last) FROM valued WHERE resolution = ?"
        " AND dropped_at IS NOT NULL AND close_last > ? AND close_first <= ?",
        (resolution, -1 if after is None else after, LAST if until is None else until),
    )[0]
    return {"days": days, "from": format_instant(first), "to": format_instant(last)} if days else None


def inputs_told(reader: Reader, config: Config) -> str | None:
    """What values follow from, as a mark: the last input, and the settings. None if there is no input."""
    last = reader.value(LAST_INPUT)
    settings = json.dumps([config[key] for key in SHAPING], default=str)
    return None if last is None else f"{last} {sha256(settings.encode()).hexdigest()}"


def is_stale(reader: Reader, resolution: str, config: Config) -> bool:
    """Whether inputs or settings are others than when all of the resolution was last valued by them."""
    told = inputs_told(reader, config)
    return told is not None and told != reader.meta().get(f"{VALUED_BY}{resolution}")


def point_told(point: "NavPoint") -> dict[str, Any]:
    """One point of `nav --json`."""
    return {
        "bucket_close": format_instant(point.close),
        "nav": point.nav,
        "priced_value": point.priced_value,
        "coverage": point.coverage,
        "missing": list(point.missing),
        "held": list(point.held),
        "reasons": list(point.reasons),
        "flags": list(point.flags),
        "excluded": point.excluded,
        "unmatched_value": point.unmatched_value,
    }

"""The total order of the ledger (CONTRACT §5), the one that transfers, lots and holdings share.

Owns: what comes before what, for rows and for FEE rows made from `fee_amount`, and the canonical
content of a row. Never: how the bookings at one instant are moved against that order (booking.py).

Events are integers: `i` is row i of the frame, `~i` the FEE row made from row i.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from engine.domain.instants import format_instant
from engine.domain.money import to_text
from engine.domain.transactions import ACTIONS, RANK, TRANSFERS, Action, KeyKind

Positions = npt.NDArray[np.int64]
Content = tuple[str, ...]

FEE_RANK = RANK[Action.FEE]
_RANKS = np.array(RANK, dtype=np.int64)
RANK_SLOTS = 8  # ts * 8 + rank is one sortable integer: five ranks fit, and years up to 9999 fit in 63 bits
_FIELDS = (
    "ts", "action", "asset", "quantity", "price", "fee_asset", "fee_amount",
    "account", "tx_hash", "external_id", "kind", "k", "id",
)  # fmt: skip
_instant_text = lru_cache(maxsize=4096)(format_instant)


class _Row(NamedTuple):
    ts: int
    action: int
    asset: str
    quantity: int
    price: int | None
    fee_asset: str | None
    fee_amount: int | None
    account: str
    tx_hash: str | None
    external_id: str | None
    kind: int
    k: int
    id: str


def ledger_order(ledger: pl.DataFrame) -> Positions:
    """Indices of the frame's rows in ledger order, whatever order the frame is in."""
    moments = moment_keys(ledger)
    order = np.argsort(moments, kind="stable").astype(np.int64)
    rows = np.arange(ledger.height, dtype=np.int64)
    return _refine(ledger, rows, order, moments[order], fees_only=False)


def with_fees(ledger: pl.DataFrame, order: Positions, parents: Positions) -> Positions:
    """Events of the rows at `order` (in ledger order) and of the FEE rows made from its places `parents`.

    The events speak of places in `order`, not of rows of the frame.
    """
    events = np.arange(len(order), dtype=np.int64)
    if not len(parents):
        return events
    fee_moments = ledger["ts"].to_numpy()[order[parents]] * RANK_SLOTS + FEE_RANK
    moments = np.concatenate([moment_keys(ledger)[order], fee_moments])
    by_moment = np.argsort(moments, kind="stable")
    events = np.concatenate([events, ~parents])[by_moment]
    return _refine(ledger, order, events, moments[by_moment], fees_only=True)


def moment_keys(ledger: pl.DataFrame) -> Positions:
    """One integer per row that sorts by timestamp, then rank."""
    keys: Positions = ledger["ts"].to_numpy() * RANK_SLOTS + _RANKS[ledger["action"].to_numpy()]
    return keys


def contents(ledger: pl.DataFrame) -> list[Content]:
    """The ten canonical content fields of every row, empty as empty text."""
    return [_content(row) for row in _rows(ledger)]


def _refine(
    ledger: pl.DataFrame, order: Positions, events: Positions, moments: Positions, fees_only: bool
) -> Positions:
    """Sorts each run of events that share a moment; with `fees_only`, only runs that hold a made FEE row."""
    same = np.flatnonzero(moments[1:] == moments[:-1])
    if not len(same):
        return events
    firsts = same[np.concatenate([[True], np.diff(same) > 1])]
    lasts = same[np.concatenate([np.diff(same) > 1, [True]])] + 1
    runs = [(int(a), int(b) + 1) for a, b in zip(firsts, lasts, strict=True)]
    if fees_only:
        runs = [(a, b) for a, b in runs if (events[a:b] < 0).any()]
    if not runs:
        return events
    events = events.copy()
    touched = np.unique(np.concatenate([_row_of(events[a:b]) for a, b in runs]))
    rows = dict(zip(touched.tolist(), _rows(ledger[order[touched]]), strict=True))
    for a, b in runs:
        events[a:b] = _sorted_run(events[a:b].tolist(), rows)
    return events


def _row_of(events: Positions) -> Positions:
    return np.where(events < 0, ~events, events)


def _sorted_run(events: list[int], rows: dict[int, _Row]) -> list[int]:
    """One run by key; only events that share a key are worth the text of their content."""
    by_key: dict[tuple[int, str, str, str], list[int]] = {}
    for event in events:
        by_key.setdefault(_key(rows[event if event >= 0 else ~event]), []).append(event)
    ordered: list[int] = []
    for key in sorted(by_key):
        ordered += _by_content(by_key[key], rows)
    return ordered


def _by_content(events: list[int], rows: dict[int, _Row]) -> list[int]:
    if len(events) == 1:
        return events
    return sorted(events, key=lambda event: _content_key(event, rows))


def _key(row: _Row) -> tuple[int, str, str, str]:
    if row.kind == KeyKind.TX_HASH:
        return row.kind, row.account, row.tx_hash or "", ""
    if row.kind == KeyKind.EXTERNAL_ID:
        action = ACTIONS[row.action] if row.action in TRANSFERS else ""
        return row.kind, row.account, row.external_id or "", action
    return row.kind, row.id if row.kind == KeyKind.ID else "", "", ""


def _content_key(event: int, rows: dict[int, _Row]) -> tuple[Content | int | str, ...]:
    """Content and *k* behind a key. A made FEE uses its parent's: where that is content and *k*, these first.

    Ids come last: legs alike in all else differ in the ids they were given.
    """
    row = rows[event if event >= 0 else ~event]
    own = _content(row) if event >= 0 else _fee_content(row)
    if row.kind == KeyKind.CONTENT:
        return _content(row), row.k, own, row.id
    return own, () if event >= 0 else _content(row), row.k, row.id


def _content(row: _Row) -> Content:
    return (
        _instant_text(row.ts), ACTIONS[row.action], row.asset, to_text(row.quantity), _text(row.price),
        row.fee_asset or "", _text(row.fee_amount), row.account, row.tx_hash or "", row.external_id or "",
    )  # fmt: skip


def _fee_content(row: _Row) -> Content:
    return (
        _instant_text(row.ts), ACTIONS[Action.FEE], row.fee_asset or "", _text(row.fee_amount), "",
        "", "", row.account, row.tx_hash or "", "",
    )  # fmt: skip


def _text(scaled: int | None) -> str:
    return "" if scaled is None else to_text(scaled)


def _rows(ledger: pl.DataFrame) -> Sequence[_Row]:
    decimals = [pl.col(name).to_physical() for name in ("quantity", "price", "fee_amount")]
    frame = ledger.select(_FIELDS).with_columns(decimals)
    return [_Row(*fields) for fields in zip(*(column.to_list() for column in frame), strict=True)]

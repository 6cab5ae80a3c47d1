"""What lies in state.db, as Arrow tables with the columns of the SQL views. Reads only; only what is named.

Prices are the counting versions of bars; the ledger has every accepted row, also superseded ones, which say
so, and the FEE row of each fee. Nothing is filled in between two observations.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from engine.domain.instants import format_instant
from engine.domain.resolutions import RESOLUTIONS
from engine.domain.transactions import ACTIONS, DECIMAL, OUTGOING, Action, id_text
from engine.runtime.books import Books
from engine.runtime.desk.rows import row_id
from engine.runtime.home import Home
from engine.snapshots.selects import LAST, Wanted
from engine.snapshots.views import VIEWS, resolution_of
from engine.store.reader import Reader

Rows = Iterable[Sequence[Any]]
_INSTANT = pl.Datetime("us", "UTC")
_KINDS: dict[str, Any] = {
    "VARCHAR": pl.String, "DECIMAL(38,18)": DECIMAL, "TIMESTAMP WITH TIME ZONE": _INSTANT, "BIGINT": pl.Int64,
    "DOUBLE": pl.Float64, "BOOLEAN": pl.Boolean, "VARCHAR[]": pl.List(pl.String),
}  # fmt: skip
# How values arrive: decimals as canonical text, instants as microseconds.
_RAW: dict[str, Any] = _KINDS | {"DECIMAL(38,18)": pl.String, "TIMESTAMP WITH TIME ZONE": pl.Int64}


def arrow(view: str, frame: pl.DataFrame) -> Any:
    """A frame of raw values or the view's own types as its Arrow table."""
    columns = VIEWS[view]
    typed = frame.select(pl.col(name).cast(_KINDS[kind]) for name, kind in columns.items())
    return typed.to_arrow(compat_level=pl.CompatLevel.oldest())


def _raw(view: str, rows: Rows) -> pl.DataFrame:
    schema = {name: _RAW[kind] for name, kind in VIEWS[view].items()}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def table(view: str, wanted: Sequence[Wanted], home: Home, reader: Reader, books: Books, now: int) -> Any:
    """The Arrow table of a view that is not of snapshot files."""
    if view.startswith("prices_"):
        return arrow(view, _prices(view, wanted, reader))
    if view == "nav":
        return arrow(view, _nav(wanted, home.path, now))
    makers: dict[str, Callable[[], pl.DataFrame]] = {
        "ledger": lambda: _ledger(reader),
        "lots": lambda: _lots(books),
        "realized": lambda: _realized(books),
        "quarantine": lambda: _quarantine(reader),
    }
    return arrow(view, makers[view]())


def _hull(wanted: Sequence[Wanted]) -> tuple[int, int]:
    return min(want.closes[0] for want in wanted), max(want.closes[1] for want in wanted)


def _prices(view: str, wanted: Sequence[Wanted], reader: Reader) -> pl.DataFrame:
    """Bars of one resolution: one row a key, its last version."""
    series = reader.rows(
        "SELECT series, asset, quote, source FROM price_series WHERE resolution = ?"
        " ORDER BY asset, quote, source",
        (resolution_of(view),),
    )
    parts = [_raw(view, ())]
    for number, asset, quote, source in series:
        if any(want.allows("asset_id", asset) for want in wanted):
            found = reader.rows(
                "SELECT asof, ?, open, high, low, close, volume, ?, ? FROM prices"
                " WHERE series = ? AND asof BETWEEN ? AND ? ORDER BY asof, version",
                (asset, quote, source, number, *_hull(wanted)),
            )
            frame = _raw(view, found)
            parts.append(frame.unique("bucket_close", keep="last", maintain_order=True))
    return pl.concat(parts)


def _nav(wanted: Sequence[Wanted], home: Path, now: int) -> pl.DataFrame:
    """The points that `navdeck nav` tells, of every resolution that is asked for."""
    from engine.runtime.queries import nav  # it knows all queries, and so also this one

    first, last = _hull(wanted)
    span: dict[str, Any] = {
        "from": None if first <= 0 else format_instant(first - 1),
        "to": None if last == LAST or last < 0 else format_instant(last),
    }
    rows: list[tuple[Any, ...]] = []
    for resolution in RESOLUTIONS:
        if any(want.allows("resolution", resolution) for want in wanted):
            points = nav(str(home), now, span | {"resolution": resolution})["points"]
            rows += [
                (resolution, *(point[name] for name in VIEWS["nav"] if name != "resolution"))
                for point in points
            ]
    schema = {name: _RAW[kind] for name, kind in VIEWS["nav"].items()} | {"bucket_close": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(
        pl.col("bucket_close")
        .str.to_datetime("%Y-%m-%dT%H:%M:%S%.fZ", time_unit="us")
        .dt.replace_time_zone("UTC")
    )


_TX = (
    "SELECT t.row, t.id, t.ts, t.action, t.asset, t.quantity, t.price, t.fee_asset, t.fee_amount, t.account,"
    " t.wallet, t.venue, t.tx_hash, t.external_id, t.notes, t.superseded_by, f.sha256, t.record, t.line,"
    " (SELECT id FROM tx n WHERE n.row = t.superseded_by) FROM tx t JOIN files f USING (file)"
    " ORDER BY t.ts, t.row"
)


def _ledger(reader: Reader) -> pl.DataFrame:
    named = {n: name for name, n in reader.names().items()}
    return _raw("ledger", (line for row in reader.rows(_TX) for line in _normalised(row, named)))


def _normalised(row: tuple[Any, ...], named: dict[int, str]) -> Iterable[tuple[Any, ...]]:
    """A stored row with its sign, and the FEE row that its fee makes."""
    (_, raw, ts, action, asset, quantity, price, fee_asset, fee_amount, account, wallet, venue, tx_hash,
     external_id, notes, superseded_by, sha256, record, line, by) = row  # fmt: skip
    told, at = id_text(raw), named[account]
    signed = f"-{quantity}" if action in OUTGOING else quantity
    marks = (superseded_by is not None, None if by is None else id_text(by), sha256, record, line)
    yield (
        told, None, ts, ACTIONS[action], named[asset], signed, price, named.get(fee_asset), fee_amount, at,
        named.get(wallet), named.get(venue), tx_hash, external_id, notes, *marks,
    )  # fmt: skip
    if fee_amount is not None and fee_amount.strip("0.") and action != Action.FEE:
        nothing = (None, None, None)
        yield (
            None, told, ts, ACTIONS[Action.FEE], named[fee_asset], f"-{fee_amount}", *nothing, at, None, None,
            tx_hash, None, None, *marks,
        )  # fmt: skip


def _lots(books: Books) -> pl.DataFrame:
    """Open lots, and those under way, which say when they left."""
    outcome = books.outcome()
    held = outcome.open_lots_frame().with_columns(left_at=pl.lit(None, pl.Int64))
    frame = pl.concat([held, outcome.in_transit_frame()], how="diagonal")
    return _named(frame)


def _realized(books: Books) -> pl.DataFrame:
    return _named(books.outcome().realized_frame())


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """By the names of `lots --json`."""
    told = {"asset": "asset_id", "proceeds": "proceeds_usd", "basis": "cost_basis_usd", "gain": "gain_usd"}
    return frame.rename(told, strict=False)


def _quarantine(reader: Reader) -> pl.DataFrame:
    rows = reader.rows(
        "SELECT f.sha256, f.name, q.record, q.line, q.status, q.codes, q.reasons,"
        " coalesce(q.edited, q.fields) FROM quarantine q JOIN files f USING (file)"
        " ORDER BY f.committed_at, f.file, q.record"
    )
    return _raw(
        "quarantine",
        (
            (row_id(sha256, record), name, sha256, record, line, status, codes.split(",") if codes else [],
             reasons, json.loads(fields))
            for sha256, name, record, line, status, codes, reasons, fields in rows
        ),
    )  # fmt: skip

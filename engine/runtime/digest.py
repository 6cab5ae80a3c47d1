"""The digest of a home: SHA-256 over what is true, whatever way it came in (CONTRACT §13).

Each part is a set of lines in canonical text, sorted; a part's digest is over its lines, the whole over the
five parts ledger, observations, decisions, open lots, realized. Snapshots and quarantine stand beside it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from engine.domain.resolutions import RESOLUTIONS
from engine.domain.transactions import content_column
from engine.portfolio import transfers
from engine.runtime.books import Books, lot_texts
from engine.runtime.desk.rows import tx_content, tx_rows
from engine.runtime.open_day import contents
from engine.runtime.standing import MATCH, SETTLE, stored_rows
from engine.store.reader import OBSERVATIONS, Reader

WHOLE = ("ledger", "observations", "decisions", "open_lots", "realized")
SEPARATOR = "\x1f"
_TX = {
    "ts": pl.Int64, "action": pl.Int64, "asset": pl.Int64, "quantity": pl.String, "price": pl.String,
    "fee_asset": pl.Int64, "fee_amount": pl.String, "account": pl.Int64, "tx_hash": pl.String,
    "external_id": pl.String, "k": pl.Int64, "row": pl.Int64,
}  # fmt: skip


def digest(reader: Reader, books: Books) -> dict[str, Any]:
    """`digest --json`."""
    lots = books.lot_frames()
    parts = {
        "ledger": _over(_ledger(reader, books)),
        "observations": _over(_observations(reader)),
        "decisions": _over(_decisions(reader)),
        "open_lots": _over(_lots(lots)),
        "realized": _over(_realized(lots)),
    }
    whole = hashlib.sha256("\n".join(f"{name} {parts[name]}" for name in WHOLE).encode()).hexdigest()
    parts["snapshots"] = _over(_snapshots(reader))
    parts["quarantine"] = _over(_quarantine(reader))
    return {"digest": whole, "parts": parts}


def _over(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _line(*fields: object) -> str:
    return SEPARATOR.join("" if field is None else str(field) for field in fields)


def _ledger(reader: Reader, books: Books) -> Iterable[str]:
    marks = transfers.pairing_marks(books.ledger, books.links)
    named = {n: name for name, n in reader.names().items()}
    rows = reader.rows(f"SELECT {', '.join(_TX)}, superseded_by IS NOT NULL FROM tx")
    columns = zip(*rows, strict=True) if rows else [()] * (len(_TX) + 1)
    frame = pl.DataFrame(
        [pl.Series(name, list(values), dtype=kind)
         for (name, kind), values in zip([*_TX.items(), ("superseded", pl.Int64)], columns, strict=True)]
    ).with_columns(
        pl.col("asset", "fee_asset", "account").replace_strict(named, return_dtype=pl.String, default=None),
        mark=pl.Series([marks.get(row, "") for *_, row, _ in rows], dtype=pl.String),
    )  # fmt: skip
    return _joined(frame.select(content_column().alias("content"), "k", "superseded", "mark"))


def _joined(frame: pl.DataFrame) -> list[str]:
    """A line a row: its fields joined, an empty one as empty."""
    fields = pl.all().cast(pl.String).fill_null("")
    return frame.select(pl.concat_str(fields, separator=SEPARATOR)).to_series().to_list()


def _observations(reader: Reader) -> Iterable[str]:
    for kind, ((prefix, *keys), table, values) in OBSERVATIONS.items():
        rows = reader.rows(
            f"SELECT {', '.join(keys)}, asof, version, {', '.join(values)}"
            f" FROM {table} JOIN {prefix}_series USING (series)"
        )
        for row in rows:
            yield _line(kind, *row)


def _decisions(reader: Reader) -> Iterable[str]:
    rows = reader.rows("SELECT kind, subject, detail, actor, reason, committed_at FROM decisions")
    about = _transfers(reader, [json.loads(row[1]) for row in rows if row[0] in (MATCH, SETTLE)])
    for kind, subject, *rest in rows:
        yield _line(kind, about.get(subject, subject), *rest)


def _transfers(reader: Reader, subjects: list[dict[str, str]]) -> dict[str, str]:
    """Subjects of decisions on transfers by content: which id a row has may hang on the order of files."""
    ids = {one for each in subjects for one in each.values()}
    rows = {id_: row for id_, row, _ in stored_rows(reader, ids)}
    texts = {tx["row"]: _line(*tx_content(tx), tx["k"]) for tx in tx_rows(reader, rows.values())}
    return {
        json.dumps(each): _line(*(word for side, id_ in each.items() for word in (side, texts[rows[id_]])))
        for each in subjects
    }


def _lots(lots: Mapping[str, pl.DataFrame]) -> list[str]:
    parts = (("open", lots["open_lots"]), ("in_transit", lots["in_transit"]))
    frames = [(kind, _told(frame)) for kind, frame in parts]
    return [line for kind, frame in frames for line in _joined(frame.select(pl.lit(kind), pl.all()))]


def _realized(lots: Mapping[str, pl.DataFrame]) -> list[str]:
    return _joined(_told(lots["realized"]))


def _told(lots: pl.DataFrame) -> pl.DataFrame:
    """Lots as text, their flags as `['ONE', 'TWO']`."""
    flags = pl.concat_str(pl.lit("['"), pl.col("flags").list.join("', '"), pl.lit("']"))
    none = pl.col("flags").list.len() == 0
    return lot_texts(lots).with_columns(flags=pl.when(none).then(pl.lit("[]")).otherwise(flags))


def _snapshots(reader: Reader) -> Iterable[str]:
    for resolution in RESOLUTIONS:
        for (dt, asset), content in contents(reader, resolution).items():
            yield _line(resolution, dt, asset, content)


def _quarantine(reader: Reader) -> Iterable[str]:
    rows = reader.rows(
        "SELECT sha256, record, q.status, fields, reasons FROM quarantine q JOIN files USING (file)"
    )
    for row in rows:
        yield _line(*row)

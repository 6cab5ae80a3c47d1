"""One source file, from its bytes to rows ready for the store. Runs in a worker; commits nothing.

A file is opened once, without following links and without waiting for a writer, judged whole (a bad file
is refused before anything of it is stored), then row by row against a snapshot of the store. What comes
back is plain: counts, and batches of tuples, pickled so that the loop unpacks a little at a time.
"""

import hashlib
import json
import os
import pickle
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import Any

import polars as pl

from engine.domain.transactions import TRANSFERS, Action, content_text
from engine.errors import StoreIntegrity
from engine.ingestion.csv_processor import BadFile, Parsed, Reject, parse_csv, parse_parquet
from engine.ingestion.keys import Judged, Known, KnownRow, judge, prepare, wanted
from engine.ingestion.observations import judge_observations
from engine.runtime.home import Home
from engine.store.files import FILE_MODE, FOLDER_MODE, fsync_folder, publish
from engine.store.models import MARK_ID_GIVEN, MARK_SANITIZED
from engine.store.reader import OBSERVATIONS, Reader

CSV_BYTES_MAX = 10_000_000  # bytes; a CSV larger than this is to be split
PARQUET_BYTES_MAX = 1_000_000_000  # bytes
CHUNK_BYTES = 1 << 20  # bytes copied at a time
CONTENT_FIELDS = (
    "ts", "action", "asset", "quantity", "price", "fee_asset", "fee_amount", "account", "tx_hash",
    "external_id",
)  # fmt: skip
INSERTS = {
    "names": "INSERT INTO names(n, name) VALUES (?, ?)",
    "tx": "INSERT INTO tx(row, file, id, record, line, ts, action, asset, quantity, price, fee_asset,"
    " fee_amount, account, wallet, venue, tx_hash, external_id, notes, kind, k, marks)"
    " VALUES (?, {file}, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "id_aliases": "INSERT OR IGNORE INTO id_aliases(id, row) VALUES (?, ?)",
    "quarantine": "INSERT INTO quarantine(file, record, line, status, fields, reasons)"
    " VALUES ({file}, ?, ?, 'open', ?, ?)",
    "price_series": "INSERT INTO price_series(series, asset, quote, source, resolution)"
    " VALUES (?, ?, ?, ?, ?)",
    "prices": "INSERT INTO prices(series, asof, version, open, high, low, close, volume, record, file)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {file})",
    "fx_series": "INSERT INTO fx_series(series, base, quote, source, resolution) VALUES (?, ?, ?, ?, ?)",
    "fx_rates": "INSERT INTO fx_rates(series, asof, version, rate, record, file)"
    " VALUES (?, ?, ?, ?, ?, {file})",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file's verdict. `batches`: (key of INSERTS, pickled list of tuples), in the order to store them."""

    path: str
    name: str
    sha256: str | None
    size_bytes: int
    status: str  # ingested | duplicate | rejected
    kind: str | None = None
    rows: int = 0
    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    fees_created: int = 0
    reason: str | None = None
    detail: str | None = None
    touched_from: int | None = None  # no figure before this instant changes; None: nobody can tell
    reasons: dict[str, int] = field(default_factory=dict)  # rows by quarantine reason
    batches: list[tuple[str, bytes]] = field(default_factory=list)

    def answer(self) -> dict[str, Any]:
        """The file's entry in `ingest --json`."""
        return {
            "path": self.path, "sha256": self.sha256, "kind": self.kind, "status": self.status,
            "rows": self.rows, "accepted": self.accepted, "duplicates": self.duplicates,
            "quarantined": self.quarantined, "fees_created": self.fees_created, "reason": self.reason,
            "detail": self.detail, "reasons": self.reasons,
        }  # fmt: skip


def prepare_file(home_path: str, path: str, name: str, now_us: int, batch_rows: int, keep: bool) -> Prepared:
    """Reads, judges and (if `keep`) archives one file. OSError if the disk will not."""
    home = Home(Path(home_path))
    shown, name = _told(path), _told(name)
    mode = os.lstat(path).st_mode
    if not stat.S_ISREG(mode):  # nothing but a regular file is ever opened
        detail = "a symbolic link" if stat.S_ISLNK(mode) else "a folder, pipe, socket or device"
        return _refused(shown, name, None, 0, BadFile("FILE_NOT_REGULAR", detail))
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        parquet = name.lower().endswith(".parquet")
        limit = PARQUET_BYTES_MAX if parquet else CSV_BYTES_MAX
        if size > limit:
            return _too_large(file, Prepared(shown, name, None, size, "ingested"), limit, home)
        prepare_open = _parquet if parquet else _csv
        return prepare_open(file, shown, name, now_us, batch_rows, home, keep)


def _told(text: str) -> str:
    r"""A path or name as text that can be stored: bytes that are not UTF-8 as visible `\xNN`."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _too_large(file: BufferedReader, about: Prepared, limit: int, home: Home) -> Prepared:
    empty = replace(about, sha256=hashlib.file_digest(file, "sha256").hexdigest())
    with Reader(home.state) as reader:
        if (seen := _seen(empty, reader)) is not None:  # taken before, under a name with a higher limit
            return seen
    detail = f"{about.size_bytes:,} bytes; at most {limit:,}"
    return _refused(about.path, about.name, empty.sha256, about.size_bytes, BadFile("FILE_TOO_LARGE", detail))


def _csv(
    file: BufferedReader, path: str, name: str, now_us: int, batch_rows: int, home: Home, keep: bool
) -> Prepared:
    data = file.read()  # once: what is hashed, judged and archived are the same bytes
    empty = Prepared(path, name, hashlib.sha256(data).hexdigest(), len(data), "ingested")
    with Reader(home.state) as reader:
        if (seen := _seen(empty, reader)) is not None:
            return seen
        parsed = parse_csv(data, now_us)
        if isinstance(parsed, BadFile):
            return _refused(path, name, empty.sha256, len(data), parsed)
        prepared = _judged(parsed, reader, empty, batch_rows)
    target = home.archived(str(empty.sha256), ".csv")
    if keep and not target.exists():
        publish(target, data)
    return prepared


def _parquet(
    file: BufferedReader, path: str, name: str, now_us: int, batch_rows: int, home: Home, keep: bool
) -> Prepared:
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    empty = Prepared(path, name, sha256, file.tell(), "ingested")
    with Reader(home.state) as reader:
        if (seen := _seen(empty, reader)) is not None:
            return seen
        parsed = parse_parquet(Path(f"/dev/fd/{file.fileno()}"), now_us)  # what was hashed, whatever its name
        if isinstance(parsed, BadFile):
            return _refused(path, name, sha256, empty.size_bytes, parsed)
        prepared = _judged(parsed, reader, empty, batch_rows)
    if keep:
        _archive(file, home.archived(sha256, ".parquet"), sha256)
    return prepared


def _seen(empty: Prepared, reader: Reader) -> Prepared | None:
    known = reader.file_by_digest(str(empty.sha256))
    if known is None or known["status"] != "ingested":
        return None
    return replace(empty, status="duplicate", kind=known["kind"])


def _refused(path: str, name: str, sha256: str | None, size: int, bad: BadFile) -> Prepared:
    return Prepared(path, name, sha256, size, "rejected", reason=bad.reason, detail=bad.detail)


def _archive(file: BufferedReader, target: Path, sha256: str) -> None:
    """Copies an open file into the archive, durably; a copy that is there already stays."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    temporary = target.with_name(f".{target.name}.tmp")
    digest = hashlib.sha256()
    file.seek(0)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE), "wb") as copy:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    if digest.hexdigest() != sha256:
        temporary.unlink()
        raise StoreIntegrity(
            f"{target.name} changed while it was read.", "Drop it again once it is complete."
        )
    temporary.rename(target)
    fsync_folder(target.parent)


def _judged(parsed: Parsed, reader: Reader, empty: Prepared, batch_rows: int) -> Prepared:
    if parsed.kind == "transactions":
        accepted, duplicates, rejects, batches = _transactions(parsed, reader, batch_rows)
        charged = (pl.col("fee_amount") != "0") & (pl.col("action") != Action.FEE)
        fees = accepted.filter(charged.fill_null(False)).height
    else:
        accepted, duplicates, batches = _observations(parsed, reader, batch_rows)
        rejects, fees = parsed.rejects, 0
    batches += _batches("quarantine", map(_quarantined, rejects), batch_rows)
    counts: dict[str, int] = {}
    for reject in rejects:
        for code in {reason.code for reason in reject.reasons}:
            counts[code] = counts.get(code, 0) + 1
    assert parsed.rows == accepted.height + duplicates + len(rejects), "no row is lost"
    return replace(
        empty,
        touched_from=_touched_from(accepted),
        kind=parsed.kind,
        rows=parsed.rows,
        accepted=accepted.height,
        duplicates=duplicates,
        quarantined=len(rejects),
        fees_created=fees,
        reasons=dict(sorted(counts.items())),
        batches=batches,
    )


def _touched_from(accepted: pl.DataFrame) -> int | None:
    """The first instant of accepted rows. A transfer reaches back to its other side, whenever that was."""
    if "asof" in accepted.columns:
        return _first(accepted["asof"])
    if accepted["action"].is_in(list(TRANSFERS)).any():
        return None
    return _first(accepted["ts"])


def _first(instants: pl.Series) -> int | None:
    return None if instants.is_empty() else int(instants.min())  # type: ignore[arg-type]


def _quarantined(reject: Reject) -> tuple[Any, ...]:
    reasons = [{"code": r.code, "column": r.column, "value": r.value} for r in reject.reasons]
    return reject.record, reject.line, json.dumps(reject.fields), json.dumps(reasons)


def _batches(table: str, rows: Iterator[tuple[Any, ...]] | Any, size: int) -> list[tuple[str, bytes]]:
    made, batch = [], []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            made.append((table, pickle.dumps(batch)))
            batch = []
    if batch:
        made.append((table, pickle.dumps(batch)))
    return made


def _frame_batches(table: str, frame: pl.DataFrame, size: int) -> list[tuple[str, bytes]]:
    return [(table, pickle.dumps(part.rows())) for part in frame.iter_slices(size)]


# -- transactions -------------------------------------------------------------------------------------


def _transactions(
    parsed: Parsed, reader: Reader, batch_rows: int
) -> tuple[pl.DataFrame, int, list[Reject], list[tuple[str, bytes]]]:
    keyed = prepare(parsed.frame)
    judged = judge(keyed, _known(keyed, reader))
    accepted = judged.accepted
    first_row = int(reader.value("SELECT coalesce(max(row), 0) + 1 FROM tx"))
    accepted = accepted.with_row_index("row", offset=first_row)
    numbers, fresh = _numbered(accepted, reader)

    def number(column: str) -> pl.Expr:
        return pl.col(column).replace_strict(numbers, return_dtype=pl.Int64, default=None)

    narrow = accepted.select(
        "row", "uid", "record", "line", "ts", "action",
        number("asset"), "quantity", "price",
        number("fee_asset"), "fee_amount",
        *map(number, ("account", "wallet", "venue")),
        "tx_hash", "external_id", "notes", "kind", "k",
        pl.col("sanitized") * MARK_SANITIZED + pl.col("id_given") * MARK_ID_GIVEN,
    )  # fmt: skip
    batches = _batches("names", fresh, batch_rows)
    batches += _frame_batches("tx", narrow, batch_rows)
    batches += _batches("id_aliases", _aliases(judged, accepted), batch_rows)
    rejects = sorted([*parsed.rejects, *judged.conflicts], key=lambda reject: reject.record)
    return accepted, len(judged.duplicates), rejects, batches


def _known(keyed: Any, reader: Reader) -> Known:
    """What the store has under the keys and ids of this file."""
    if not reader.value("SELECT 1 FROM tx LIMIT 1"):
        return Known([], {})
    want = wanted(keyed)
    hashes = sorted({tx_hash for _, tx_hash in want.tx_keys})
    external_ids = sorted({external_id for _, external_id in want.external_keys})
    rows = reader.known_rows(want.ids, hashes, external_ids)
    return Known([_known_row(row) for row in rows], reader.aliases(want.ids))


def _known_row(row: dict[str, Any]) -> KnownRow:
    same = ("row", "id", "kind", "k", "action", "asset", "account", "tx_hash", "external_id")
    content = content_text(*(row[name] for name in CONTENT_FIELDS))
    known = {name: row[name] for name in same}
    return KnownRow(**known, id_given=bool(row["id_given"]), same_file=False, content=content)


def _numbered(accepted: pl.DataFrame, reader: Reader) -> tuple[dict[str, int], list[tuple[int, str]]]:
    """Numbers of all repeated texts, and those that are new to the store."""
    columns = ("asset", "fee_asset", "account", "wallet", "venue")
    texts = pl.concat([accepted[name].drop_nulls().unique().rename("text") for name in columns])
    numbers = reader.names()
    following = max(numbers.values(), default=0) + 1
    missing = [text for text in texts.unique().sort() if text not in numbers]
    fresh = list(enumerate(missing, start=following))
    return numbers | {text: n for n, text in fresh}, fresh


def _aliases(judged: Judged, accepted: pl.DataFrame) -> Iterator[tuple[bytes, int]]:
    """Remembered ids of duplicates, each with the ledger row it stands for."""
    rows = dict(accepted.select("record", "row").iter_rows())
    for duplicate in judged.duplicates:
        if duplicate.remembered is not None:
            row = duplicate.row if duplicate.row is not None else rows[duplicate.accepted_record]
            yield duplicate.remembered, row


# -- prices and rates ---------------------------------------------------------------------------------


def _observations(
    parsed: Parsed, reader: Reader, batch_rows: int
) -> tuple[pl.DataFrame, int, list[tuple[str, bytes]]]:
    (prefix, *keys), table, values = OBSERVATIONS[parsed.kind]
    frame = parsed.frame
    if frame.is_empty():
        return frame, 0, []
    first, last = frame["asof"].min(), frame["asof"].max()
    judged = judge_observations(frame, reader.stored_observations(parsed.kind, first, last))  # type: ignore[arg-type]
    new = judged.new
    series_table = f"{prefix}_series"
    rows = reader.rows(f"SELECT series, {', '.join(keys)} FROM {series_table}")
    numbers = {tuple(row[1:]): row[0] for row in rows}
    following = max(numbers.values(), default=0) + 1
    missing = [key for key in new.select(keys).unique().sort(keys).iter_rows() if key not in numbers]
    fresh = [(n, *key) for n, key in enumerate(missing, start=following)]
    numbers |= {row[1:]: row[0] for row in fresh}
    index = pl.DataFrame(
        [(*key, n) for key, n in numbers.items()],
        schema=dict.fromkeys(keys, pl.String) | {"series": pl.Int64}, orient="row",
    )  # fmt: skip
    narrow = (
        new.join(index, on=keys)
        .select("series", "asof", "version", *values, "record")
        .sort("series", "asof", "version")
    )
    batches = _batches(series_table, fresh, batch_rows) + _frame_batches(table, narrow, batch_rows)
    return new, len(judged.duplicates), batches

"""Reads listed lake files again, oldest check first, and makes anew what is not what was written.

A file is made from the ledger and the observations, and counts only if its rows have the digest that the
catalogue has. The damaged one is kept in lake/.bad/; its place is taken at one stroke: no reader misses it.
It commits nothing.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np

from engine.errors import LakeError
from engine.runtime.asking import materialised
from engine.runtime.books import Books
from engine.runtime.executors import idle
from engine.runtime.home import Home
from engine.runtime.lake_told import Checked
from engine.runtime.series import Series, dated, movements_by
from engine.runtime.value import asset_files, inputs_of
from engine.snapshots.parquet_writer import (
    COLD_ZSTD_LEVEL,
    ZSTD_LEVEL,
    check_file,
    encode,
    path_of,
    put,
)
from engine.snapshots.schemas import FileRecord
from engine.store.files import FOLDER_MODE
from engine.store.reader import Reader

ROUNDS = 30 * 24  # in a month, one an hour
FILES_MIN = 8  # a round; a small lake is through sooner


def check_idle(home_path: str) -> Checked:
    """As much of the lake as makes it all within a month, when nobody else wants the machine. Only alone."""
    idle()
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        files = reader.count("lake_files", "dead_at IS NULL")
    return check(home_path, max(FILES_MIN, -(-files // ROUNDS)))


def check(home_path: str, files_max: int) -> Checked:
    """So many files, those first whose last check is longest ago."""
    home = Home(Path(home_path))
    done = Checked()
    with Reader(home.state) as reader:
        bad: list[tuple[FileRecord, str]] = []
        for record in _oldest(reader, files_max):
            try:
                check_file(home.lake, record)
                done.sound.append(record.path)
            except LakeError as error:
                bad.append((record, error.tried))
        if bad:
            books = Books(reader, home.config())
            for record, told in bad:
                _mend(home, reader, books, record, told, done)
            os.sync()
    return done


def _oldest(reader: Reader, files_max: int) -> list[FileRecord]:
    rows = reader.records(
        "SELECT path, resolution, dt, asset, rows, bytes, close_min, close_max, sha256, content, schema_id"
        " FROM lake_files WHERE dead_at IS NULL ORDER BY coalesce(checked_at, live_at), path LIMIT ?",
        (files_max,),
    )
    return [FileRecord(**row) for row in rows]


def _mend(
    home: Home, reader: Reader, books: Books, record: FileRecord, told: str, done: Checked
) -> None:
    made = next(_made_again(reader, books, record), None)
    if made is None:
        done.problems.append(f"{told} It comes out otherwise when made anew: the inputs changed since.")
        return
    data, fresh = made
    aside = home.lake_bad
    aside.mkdir(mode=FOLDER_MODE, exist_ok=True)
    kept = aside / record.path.replace("/", "__")
    kept.unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        os.link(home.lake / record.path, kept)
    put(home.lake / fresh.path, data)
    check_file(home.lake, fresh)
    done.remade.append((record.path, fresh))


def _made_again(reader: Reader, books: Books, record: FileRecord) -> Iterator[tuple[bytes, FileRecord]]:
    """The partition's bytes from the inputs, under its old name where they come out as they were."""
    zone = books.config["timezone"]
    series = dated(materialised(reader, record.resolution, zone), record.resolution, zone)
    chosen = np.array(series.days) == record.dt
    if not chosen.any():
        return
    day = Series(series.closes[chosen], [record.dt] * int(chosen.sum()))
    moves = movements_by(books.movements(), int(day.closes[-1]), frozenset({record.asset}))
    for values, files in asset_files(day, inputs_of(books, record.resolution, day.closes, moves)):
        if values.asset != record.asset or files.contents() != [(record.dt, record.content)]:
            continue
        each = {sha256(data).hexdigest(): data for level in (ZSTD_LEVEL, COLD_ZSTD_LEVEL)
                if (data := encode(files.frame, level))}  # fmt: skip
        name = record.sha256 if record.sha256 in each else next(iter(each))
        path = path_of(record.resolution, record.dt, record.asset, name)
        about = asdict(record) | {"path": path, "sha256": name, "bytes": len(each[name])}
        yield each[name], FileRecord(**about)

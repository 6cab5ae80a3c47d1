"""Ingest of one file after another: prepare in the executor, commit through the writer, then tell.

One file is one transaction: its row in `files`, its rows, its quarantine and its names appear together or
not at all, so a crash leaves a file either done or untouched, and untouched files are simply taken again.
"""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from engine.domain.instants import format_instant
from engine.runtime.executors import Executor
from engine.runtime.home import Home, safe_name
from engine.runtime.inbox import Claim, finish
from engine.runtime.prepare import INSERTS, Prepared, prepare_file
from engine.store.files import FILE_MODE, fsync_folder, publish
from engine.store.writer import Writer

Tell = Callable[[str, dict[str, Any]], None]
COUNTS = ("rows", "accepted", "duplicates", "quarantined", "fees_created")


class Ingest:
    """Takes files into one home."""

    def __init__(
        self, home: Home, writer: Writer | None, executor: Executor, clock: Callable[[], int],
        batch_rows: int, tell: Tell,
    ) -> None:  # fmt: skip
        self._home = home
        self._writer = writer
        self._executor = executor
        self._clock = clock
        self._batch_rows = batch_rows
        self._tell = tell

    async def file(self, path: Path, name: str, claimed: Claim | None = None) -> dict[str, Any]:
        """Ingests one file; its entry of `ingest --json`. Without a writer it is a dry run."""
        self._tell("file_started", {"name": name})
        prepared = await self._executor.run(
            prepare_file, str(self._home.path), str(path), name, self._clock(), self._batch_rows,
            self._writer is not None,
        )  # fmt: skip
        if self._writer is not None:
            if prepared.status == "rejected":
                self._set_aside(prepared, path, claimed is not None)
            if prepared.sha256 is not None and prepared.status != "duplicate":
                await self._commit(self._writer, prepared)
            if claimed is not None:
                finish(claimed)
        dropped = {} if claimed is None else {"path": str(self._home.inbox / prepared.name)}
        answer = prepared.answer() | dropped  # where the file came from, not where its claim was
        self._tell("file_done", {"name": prepared.name, "at": format_instant(self._clock()), **answer})
        return answer | {"touched_from": prepared.touched_from}

    async def _commit(self, writer: Writer, prepared: Prepared) -> None:
        done = 0
        async with writer.transaction() as (connection, now):
            file = await self._insert_file(connection, prepared, now)
            for table, packed in prepared.batches:
                rows = pickle.loads(packed)
                await connection.exec_driver_sql(INSERTS[table].format(file=file), rows)
                if table in ("tx", "prices", "fx_rates", "quarantine"):
                    done += len(rows)
                    self._tell("file_progress", {"name": prepared.name, "done": done, "rows": prepared.rows})

    async def _insert_file(self, connection: AsyncConnection, prepared: Prepared, now: int) -> int:
        # A file refused before may be taken now (under other limits): its new verdict replaces the old.
        await connection.exec_driver_sql(
            "DELETE FROM files WHERE sha256 = ? AND status = 'rejected'", (prepared.sha256,)
        )
        values = {
            "sha256": prepared.sha256, "name": prepared.name, "kind": prepared.kind,
            "status": prepared.status, "bytes": prepared.size_bytes, "reason": prepared.reason,
            "detail": prepared.detail, "committed_at": now,
        } | {name: getattr(prepared, name) for name in COUNTS}  # fmt: skip
        columns, marks = ", ".join(values), ", ".join("?" * len(values))
        inserted = await connection.exec_driver_sql(
            f"INSERT INTO files({columns}) VALUES ({marks}) RETURNING file", tuple(values.values())
        )
        return int(inserted.scalar_one())

    def _set_aside(self, prepared: Prepared, path: Path, claimed: bool) -> None:
        """Puts a refused file into rejected/, beside its reason; a named file is copied, not taken away.

        The reason comes first, and a claim stays until the verdict is committed: a crash in between
        leaves nothing in rejected/ unexplained, and the file is simply judged again.
        """
        target = _target(self._home.rejected, prepared)
        reason = {key: prepared.answer()[key] for key in ("sha256", "reason", "detail")}
        record = {"name": prepared.name, **reason}
        publish(target.with_name(f"{target.name}.reason.json"), json.dumps(record, indent=2).encode() + b"\n")
        if prepared.sha256 is not None:
            _copy(path, target)
        elif claimed:
            os.rename(path, target)
        fsync_folder(self._home.rejected)


def _target(folder: Path, prepared: Prepared) -> Path:
    """Where a refused file goes. Equal bytes share a place; what has no bytes gets one of its own."""
    name = safe_name(prepared.name)
    if prepared.sha256 is not None:
        return folder / f"{prepared.sha256[:12]}-{name}"
    places = (folder / f"no-content-{number}-{name}" for number in count(1))
    return next(place for place in places if not os.path.lexists(place))


def _copy(path: Path, target: Path) -> None:
    """Copies a file whole or not at all."""
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(path, temporary, follow_symlinks=False)
    temporary.chmod(FILE_MODE)
    with temporary.open("rb") as copy:
        os.fsync(copy.fileno())
    temporary.rename(target)


def totals(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The `totals` of `ingest --json`."""
    sums: dict[str, Any] = {name: sum(entry[name] for entry in entries) for name in COUNTS}
    by_status = [entry["status"] for entry in entries]
    sums["files"] = len(entries)
    return sums | {status: by_status.count(status) for status in ("ingested", "duplicate", "rejected")}

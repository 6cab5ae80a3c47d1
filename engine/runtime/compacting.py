"""The lake as it lies on the disk: what to compact in it, and the work on its files. It commits nothing.

Module-level functions of plain values, for an executor. Files are named by their content; what is written is
listed by nobody until the engine commits it, and what goes is listed by nobody any more.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from engine.compaction.file_compactor import (
    Codec,
    Listed,
    Plan,
    Remade,
    Source,
    batches,
    plan,
    remake,
)
from engine.runtime.home import Home
from engine.runtime.lake_told import Rewritten, compact_told, rules
from engine.snapshots import parquet_writer
from engine.snapshots.parquet_writer import COLD_ZSTD_LEVEL, content_digest, path_of, put
from engine.snapshots.schemas import SCHEMA_ID, FileRecord
from engine.store.reader import Reader

_CODEC = Codec(
    read=parquet_writer.read_each,
    join=parquet_writer.join,
    content=content_digest,
    encode=lambda frame: parquet_writer.encode(frame, COLD_ZSTD_LEVEL),
)


def planned(home_path: str, now: int, profile: str | None) -> tuple[Plan, dict[str, int]]:
    """The plan, and files and bytes below lake/, live ones also apart. UsageError for an unknown profile."""
    home = Home(Path(home_path))
    config = home.config()
    with Reader(home.state) as reader:
        listed = [Listed(**row) for row in reader.records(_LISTED)]
        found = dict(files_below(home.lake))  # after the snapshot: what it lists and dies later is found
    known = {file.path for file in listed}
    orphans = [(path, size) for path, size in found.items() if path not in known]
    made = plan((file for file in listed if file.generation >= 0), orphans, rules(config, now, profile))
    live = [file.bytes for file in listed if file.dead_at is None]
    sizes = {"files": len(found), "bytes": sum(found.values())}
    return made, sizes | {"live_files": len(live), "live_bytes": sum(live)}


_LISTED = "SELECT path, resolution, dt, asset, rows, bytes, generation, dead_at FROM lake_files"


def files_below(lake: Path) -> Iterator[tuple[str, int]]:
    """(path below lake/, bytes) of every file there; what was set aside is not looked at."""
    root = len(os.path.join(lake, ""))
    for folder, names, files in os.walk(lake):
        names[:] = [name for name in names if not name.startswith(".")]
        for path in (os.path.join(folder, name) for name in files):
            with suppress(FileNotFoundError):
                yield path[root:], os.stat(path).st_size


def compact_plan(home_path: str, now: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """`compact --dry-run --json`; what rewriting saves is known only once it is done."""
    made, before = planned(home_path, now, arguments.get("profile"))
    going = [step for step in made.steps if step.what.startswith("sweep")]
    merged = sum(len(group) - 1 for step in made.steps for group in step.groups)
    after = {
        "files": before["files"] - sum(step.files for step in going),
        "bytes": before["bytes"] - sum(step.bytes for step in going),
        "live_files": before["live_files"] - merged,
        "live_bytes": before["live_bytes"],
    }
    return compact_told(made, before, after, dry_run=True)


def rewrite(home_path: str, groups: list[list[str]]) -> list[Rewritten]:
    """Writes each group's rows as one file, durably. What is not smaller, or not sound, stays as it is."""
    home = Home(Path(home_path))
    done: list[Rewritten] = []
    with Reader(home.state) as reader:
        listed = [files for group in groups if (files := _still_live(reader, group))]
    for some in batches(listed):
        done += _rewritten(home.lake, some)
    if any(one.record for one in done):
        os.sync()  # one flush for all of them, before anyone lists them
    return done


def _still_live(reader: Reader, group: list[str]) -> list[FileRecord]:
    """The files of a group; none if one of them was replaced since it was planned."""
    marks = ", ".join("?" * len(group))
    rows = reader.records(
        "SELECT path, resolution, dt, asset, rows, bytes, close_min, close_max, sha256, content,"
        f" schema_id FROM lake_files WHERE dead_at IS NULL AND path IN ({marks}) ORDER BY path",
        group,
    )
    return [FileRecord(**row) for row in rows] if len(rows) == len(group) else []


def _rewritten(lake: Path, groups: Sequence[Sequence[FileRecord]]) -> list[Rewritten]:
    done: list[Rewritten] = []
    sound: list[tuple[Sequence[FileRecord], list[Source]]] = []
    for files in groups:
        paths = [file.path for file in files]
        if {file.schema_id for file in files} != {SCHEMA_ID}:
            done.append(Rewritten(paths))  # of an older schema: valuing makes it anew, nothing may cast it
        elif (sources := _sources(lake, files)) is None:
            done.append(Rewritten(paths, problem=f"{paths[0]} is not what was written, or not there"))
        else:
            sound.append((files, sources))
    remade = remake([sources for _, sources in sound], _CODEC)
    return done + [_put(lake, files, made) for (files, _), made in zip(sound, remade, strict=True)]


def _sources(lake: Path, files: Sequence[FileRecord]) -> list[Source] | None:
    """The bytes of some files, if they are those of the catalogue."""
    try:
        datas = [(lake / file.path).read_bytes() for file in files]
    except OSError:
        return None
    if [sha256(data).hexdigest() for data in datas] != [file.sha256 for file in files]:
        return None
    return [Source(data, file.rows, file.content) for data, file in zip(datas, files, strict=True)]


def _put(lake: Path, files: Sequence[FileRecord], made: Remade | None) -> Rewritten:
    """Writes what became of some files; what is not smaller than it was stays."""
    paths = [file.path for file in files]
    if made is None:
        return Rewritten(paths, problem=f"{paths[0]} has not the rows that were written")
    if len(files) == 1 and len(made.data) >= files[0].bytes:
        return Rewritten(paths)
    about = asdict(files[0]) | {
        "rows": made.rows, "bytes": len(made.data), "sha256": sha256(made.data).hexdigest(),
        "content": made.content, "close_min": min(file.close_min for file in files),
        "close_max": max(file.close_max for file in files),
    }  # fmt: skip
    record = FileRecord(**about | {
        "path": path_of(about["resolution"], about["dt"], about["asset"], about["sha256"])
    })  # fmt: skip
    put(lake / record.path, made.data)
    return Rewritten(paths, record)


def remove(home_path: str, paths: list[str], orphans: bool) -> int:
    """Removes files, and folders that are empty then; how many went. Orphans only if nobody lists them."""
    home = Home(Path(home_path))
    if orphans:
        with Reader(home.state) as reader:
            known = {path for (path,) in reader.rows("SELECT path FROM lake_files")}
        paths = [path for path in paths if path not in known]
    gone = 0
    for path in paths:
        with suppress(FileNotFoundError):
            (home.lake / path).unlink()
            gone += 1
        for folder in list(Path(path).parents)[:-2]:  # never the dataset's own folder, nor lake/
            with suppress(OSError):
                (home.lake / folder).rmdir()
    return gone

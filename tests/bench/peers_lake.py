"""How others write the same rows as one file for each day and asset. None of them syncs to the disk."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

KEYS = ("dt", "part")  # `part` is the asset once more: files keep the column asset_id, as ours do
ZSTD_LEVEL = 3


def parted(frame: pl.DataFrame) -> pa.Table:
    return frame.with_columns(part="asset_id").to_arrow(compat_level=pl.CompatLevel.oldest())


def pyarrow(rows: pa.Table, root: Path) -> None:
    form = ds.ParquetFileFormat()
    keys = ds.partitioning(pa.schema([(key, pa.string()) for key in KEYS]), flavor="hive")
    ds.write_dataset(
        rows, root, format=form, partitioning=keys, max_partitions=1 << 20, max_open_files=900,
        file_options=form.make_write_options(compression="zstd", compression_level=ZSTD_LEVEL),
        existing_data_behavior="overwrite_or_ignore", basename_template=f"{uuid.uuid4().hex}-{{i}}.parquet",
    )  # fmt: skip


def polars(rows: pa.Table, root: Path) -> None:
    frame = pl.from_arrow(rows)
    assert isinstance(frame, pl.DataFrame)
    frame.lazy().sink_parquet(
        pl.PartitionBy(root, key=list(KEYS), include_key=False), compression="zstd",
        compression_level=ZSTD_LEVEL, mkdir=True,
    )  # fmt: skip


def duck(rows: pa.Table, root: Path) -> None:
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.register("bars", rows)
        connection.execute(
            f"COPY (FROM bars) TO '{root}' (FORMAT parquet, PARTITION_BY ({', '.join(KEYS)}), COMPRESSION"
            f" zstd, COMPRESSION_LEVEL {ZSTD_LEVEL}, OVERWRITE_OR_IGNORE, FILENAME_PATTERN '{{uuid}}')"
        )


def delta(rows: pa.Table, root: Path) -> None:
    from deltalake import WriterProperties, write_deltalake

    zstd = WriterProperties(compression="ZSTD", compression_level=ZSTD_LEVEL)
    write_deltalake(root, rows, partition_by=list(KEYS), mode="append", writer_properties=zstd)


WRITERS: dict[str, Callable[[pa.Table, Path], None]] = {
    "pyarrow": pyarrow, "polars": polars, "duckdb": duck, "delta": delta,
}  # fmt: skip


def groups(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Each partition's folder and its files."""
    for folder in sorted(root.glob("dt=*/*")):
        yield folder, [str(path) for path in sorted(folder.glob("*.parquet"))]


def compact_polars(root: Path) -> None:
    for folder, files in list(groups(root)):
        scan = pl.scan_parquet(files, hive_partitioning=False, glob=False).sort("bucket_close")
        scan.sink_parquet(folder / "whole.parquet", compression="zstd", compression_level=ZSTD_LEVEL)
        _remove(files)


def compact_duckdb(root: Path) -> None:
    with duckdb.connect(config={"threads": 2}) as connection:
        for folder, files in list(groups(root)):
            connection.execute(
                f"COPY (FROM read_parquet({files}, hive_partitioning = false) ORDER BY bucket_close)"
                f" TO '{folder}/whole.parquet'"
                f" (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {ZSTD_LEVEL})"
            )
            _remove(files)


def compact_pyarrow(root: Path) -> None:
    for folder, files in list(groups(root)):
        rows = pa.concat_tables([pq.read_table(file, partitioning=None) for file in files])
        pq.write_table(
            rows.sort_by("bucket_close"), folder / "whole.parquet", compression="zstd",
            compression_level=ZSTD_LEVEL,
        )  # fmt: skip
        _remove(files)


def compact_delta(root: Path) -> None:
    from deltalake import DeltaTable

    lake = DeltaTable(root)
    lake.optimize.compact()
    lake.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)


COMPACTORS: dict[str, Callable[[Path], None]] = {
    "polars": compact_polars, "duckdb": compact_duckdb, "pyarrow": compact_pyarrow, "delta": compact_delta,
}  # fmt: skip


def _remove(files: list[str]) -> None:
    for file in files:
        Path(file).unlink()


def there(names: dict[str, Any]) -> list[str]:
    """Of these peers, those that are installed."""
    try:
        import deltalake  # noqa: F401
    except ModuleNotFoundError:
        return [each for each in names if each != "delta"]
    return list(names)


def fresh(root: Path) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    return root

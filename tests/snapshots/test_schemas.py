"""Files of earlier schemas with today's columns: widened, renamed and new ones, nothing cast in silence."""

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.domain.instants import HOUR_US
from engine.errors import LakeError
from engine.snapshots import schemas, views
from engine.snapshots.nav_reader import read_holdings, read_points, read_sums
from engine.snapshots.parquet_writer import encode
from engine.snapshots.schemas import COLUMNS, SCHEMA_ID, SCHEMAS, LakeFile, Schema
from engine.valuation.exact import decimals
from engine.valuation.price_engine import SNAPSHOT_SCHEMA
from tests.snapshots.test_nav_reader import NOON, row

OLD = 0  # narrower amounts, another name for the asset, no drift, the reason as a number
OLD_HELD = {
    name: kind for name, kind in COLUMNS.items() if name not in ("asset_id", "drift_bps", "reason")
} | {"asset": "VARCHAR", "value": "DECIMAL(18,6)", "reason_code": "INTEGER"}
OLD_SCHEMA = Schema(
    OLD_HELD,
    {"asset_id": "asset", "value": "value", "reason": "CASE reason_code WHEN 1 THEN 'NO_PRICE' END"},
)


@pytest.fixture(autouse=True)
def _an_old_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(schemas.SCHEMAS, OLD, OLD_SCHEMA)


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    values = decimals([one["value"] for one in rows])
    lines = [dict.fromkeys(SNAPSHOT_SCHEMA) | one | {"value": None} for one in rows]
    instants = {"bucket_close": pl.Int64}
    made = pl.DataFrame(lines, schema=SNAPSHOT_SCHEMA | instants)
    return made.with_columns(pl.col("bucket_close").cast(SNAPSHOT_SCHEMA["bucket_close"]), value=values)


def today(path: Path, *rows: dict[str, Any]) -> LakeFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(frame(*rows)))
    return LakeFile(str(path), SCHEMA_ID, len(rows))


def old(path: Path, *rows: dict[str, Any]) -> LakeFile:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = frame(*rows).select(
        *(name for name in OLD_HELD if name in COLUMNS and name != "value"),
        asset="asset_id",
        value=pl.col("value").cast(pl.Decimal(18, 6)),
        reason_code=pl.when(pl.col("reason") == "NO_PRICE").then(1).cast(pl.Int32),
    )
    pq.write_table(made.to_arrow(compat_level=pl.CompatLevel.oldest()), path, store_schema=False)
    return LakeFile(str(path), OLD, len(rows))


def both(tmp_path: Path) -> list[LakeFile]:
    folder = tmp_path / "dt=2025-01-01" / "asset_id=x"
    return [
        old(folder / "a.parquet", row("AAA", 10 * 10**18, NOON), row("BBB", None, NOON, reason="NO_PRICE")),
        today(folder / "b.parquet", row("CCC", 10**17 + 1, NOON), row("CCC", 5 * 10**18, NOON + HOUR_US)),
    ]


def test_nav__over_files_of_two_schemas__is_one_sum(tmp_path: Path) -> None:
    found = read_points(both(tmp_path), NOON, NOON + HOUR_US)
    assert (found[NOON].nav, found[NOON].priced_value) == (None, "10.100000000000000001")
    assert (found[NOON].missing, found[NOON].reasons) == (("BBB",), ("NO_PRICE",))
    assert found[NOON + HOUR_US].nav == "5"
    assert read_sums(both(tmp_path))[NOON] == (3, 2, 10 * 10**18 + 10**17 + 1)
    held = {(asset, value) for _, asset, value in read_holdings(both(tmp_path), NOON)}
    assert held == {("AAA", 10 * 10**18), ("BBB", None), ("CCC", 10**17 + 1)}


AT_ONCE = pytest.mark.parametrize("rows_at_once", [views.ROWS_AT_ONCE, 0])


@AT_ONCE
@pytest.mark.parametrize("backwards", [False, True])
def test_view__over_files_of_two_schemas__has_todays_types(
    tmp_path: Path, backwards: bool, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "ROWS_AT_ONCE", rows_at_once)
    files = both(tmp_path)[:: -1 if backwards else 1]
    with views.connect(500_000_000, 1) as connection:
        views.add_snapshots(connection, "snapshots_5m", files)
        views.shut(connection, files)
        told = connection.execute("DESCRIBE snapshots_5m").fetchall()
        assert {name: kind for name, kind, *_ in told} == {"dt": "DATE", **COLUMNS}
        rows = connection.execute(
            "SELECT asset_id, CAST(value AS VARCHAR), reason, drift_bps, CAST(dt AS VARCHAR)"
            " FROM snapshots_5m WHERE epoch_us(bucket_close) = $1 ORDER BY asset_id",
            [NOON],
        ).fetchall()
    assert rows == [
        ("AAA", "10.000000000000000000", None, None, "2025-01-01"),
        ("BBB", None, "NO_PRICE", None, "2025-01-01"),
        ("CCC", "0.100000000000000001", None, None, "2025-01-01"),
    ]


def test_schema__another_type_without_an_expression__refused() -> None:
    with pytest.raises(ValueError, match="value"):
        Schema({**COLUMNS, "value": "DOUBLE"})


@AT_ONCE
def test_view__file_that_is_not_of_its_schema__refused_not_cast(
    tmp_path: Path, rows_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "ROWS_AT_ONCE", rows_at_once)
    path = tmp_path / "dt=2025-01-01" / "asset_id=x" / "a.parquet"
    path.parent.mkdir(parents=True)
    table = frame(row("AAA", 10**18, NOON)).with_columns(pl.col("value").cast(pl.Float64)).to_arrow()
    pq.write_table(table, path)
    with views.connect(500_000_000, 1) as connection, pytest.raises(LakeError):
        views.add_snapshots(connection, "snapshots_5m", [LakeFile(str(path), SCHEMA_ID, 1)])


def test_todays_schema__is_what_the_writer_writes(tmp_path: Path) -> None:
    """Another column or type needs a schema of its own: old files are read by theirs."""
    table = pq.read_table(pa.BufferReader(encode(frame(row("AAA", 10**18, NOON)))))
    kinds = {"string": "VARCHAR", "decimal128(38, 18)": "DECIMAL(38,18)",
             "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE"}  # fmt: skip
    assert {field.name: kinds[str(field.type)] for field in table.schema} == dict(COLUMNS)
    assert SCHEMAS[SCHEMA_ID].held == COLUMNS
    assert list(SNAPSHOT_SCHEMA) == list(COLUMNS)

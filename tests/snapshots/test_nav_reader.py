"""NAV points read back from real Parquet files."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.money import SCALED_MAX, to_text
from engine.snapshots import nav_reader
from engine.snapshots.nav_reader import NavPoint, empty_point, read_points
from engine.snapshots.parquet_writer import encode
from engine.valuation.exact import decimals
from engine.valuation.price_engine import SNAPSHOT_SCHEMA

NOON = 1_709_553_600_000_000
FIVE_MINUTES = 300_000_000


def row(asset: str, value: int | None, close: int = NOON, **other: Any) -> dict[str, Any]:
    """One snapshot row; `value` is scaled."""
    reason = None if value is not None else "NO_PRICE"
    plain = {"kind": "holding", "account": "main", "asset_id": asset, "flags": "", "reason": reason}
    return plain | {"bucket_close": close, "value": value} | other


def write(path: Path, *rows: dict[str, Any]) -> str:
    values = decimals([line["value"] for line in rows])
    lines = [line | {"value": None} for line in rows]
    frame = pl.DataFrame(lines, schema=SNAPSHOT_SCHEMA | {"bucket_close": pl.Int64}).with_columns(
        pl.col("bucket_close").cast(SNAPSHOT_SCHEMA["bucket_close"]), value=values
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(frame))
    return str(path)


def point(files: Sequence[str], account: str | None = None) -> NavPoint:
    return read_points(files, NOON, NOON, account)[NOON]


def test_sum__over_files_and_accounts__or_of_one_account(tmp_path: Path) -> None:
    files = [
        write(tmp_path / "a.parquet", row("AAA", 1), row("AAA", 10**19, account="cold")),
        write(tmp_path / "b.parquet", row("BBB", -3)),
    ]
    assert point(files).nav == "9.999999999999999998"
    assert point(files, "main").nav == "-0.000000000000000002"
    assert point(files, "cold").nav == "10"
    assert read_points(files, NOON, NOON, "nobody") == {}


def test_closes__both_ends_are_included_and_no_more(tmp_path: Path) -> None:
    rows = [row("AAA", n * 10**18, NOON + n * FIVE_MINUTES) for n in range(5)]
    found = read_points([write(tmp_path / "a.parquet", *rows)], NOON + FIVE_MINUTES, NOON + 3 * FIVE_MINUTES)
    assert {close: told.nav for close, told in found.items()} == {
        NOON + n * FIVE_MINUTES: str(n) for n in (1, 2, 3)
    }


def test_incomplete__tells_share_missing_held_and_reasons_sorted_and_once(tmp_path: Path) -> None:
    held = {"reason": "FX_HELD", "flags": "DELAYED_FX"}
    file = write(
        tmp_path / "a.parquet",
        row("ZZZ", None), row("ZZZ", None, account="cold"), row("AAA", 5 * 10**18, flags="FX_CLOSED|PEGGED"),
        row("BBB", None, held="GBP/USD|EUR/USD", **held), row("CCC", None, held="EUR/USD", **held),
    )  # fmt: skip
    told = point([file])
    assert told == NavPoint(
        NOON, None, "5", 0.2, ("ZZZ",), ("EUR/USD", "GBP/USD"), ("FX_HELD", "NO_PRICE"),
        ("DELAYED_FX", "FX_CLOSED", "PEGGED"), 0, "0",
    )  # fmt: skip


def test_cash_excluded_and_unmatched__are_no_holdings(tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.parquet",
        row("USD", 7, kind="cash"), row("SPAM", None, kind="excluded"),
        row("SPAM", 1, kind="excluded", account="b"),
        row("AAA", 3 * 10**18, kind="unmatched"), row("BBB", 4 * 10**18, kind="unmatched"),
    )  # fmt: skip
    assert point([file]) == replace(
        empty_point(NOON), flags=("PROVISIONAL",), excluded=2, unmatched_value="7"
    )


def test_unmatched__one_without_value__the_amount_is_not_known(tmp_path: Path) -> None:
    file = write(tmp_path / "a.parquet", row("AAA", 3, kind="unmatched"), row("BBB", None, kind="unmatched"))
    told = point([file])
    assert (told.unmatched_value, told.nav, told.missing, told.reasons) == (None, "0", (), ())


LARGE = [
    [SCALED_MAX, 1],
    [SCALED_MAX, SCALED_MAX],
    [-SCALED_MAX, -1],
    [SCALED_MAX, SCALED_MAX, -SCALED_MAX],
    [SCALED_MAX, 2 * 10**37],
    [SCALED_MAX],
]


@pytest.mark.parametrize("values", LARGE)
@pytest.mark.parametrize("kind", ["holding", "unmatched"])
def test_out_of_range__is_null_never_wrapped__and_other_closes_stand(
    tmp_path: Path, kind: str, values: list[int]
) -> None:
    rows = [row(f"A{n}", value, kind=kind) for n, value in enumerate(values)]
    file = write(tmp_path / "a.parquet", *rows, row("A0", 10**18, NOON + FIVE_MINUTES))
    found = read_points([file], NOON, NOON + FIVE_MINUTES)
    total = sum(values)
    expected = to_text(total) if abs(total) <= SCALED_MAX else None
    told = found[NOON]
    assert (told.priced_value if kind == "holding" else told.unmatched_value) == expected
    if kind == "holding":
        assert (told.nav, told.coverage) == (expected, 1.0)
        assert told.reasons == (() if expected else ("VALUE_OUT_OF_RANGE",))
    assert found[NOON + FIVE_MINUTES].nav == "1"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.integers(-SCALED_MAX, SCALED_MAX), min_size=1, max_size=4), min_size=1, max_size=3)
)
def test_sums__are_those_of_integers(tmp_path: Path, values: list[list[int]]) -> None:
    files = [
        write(
            tmp_path / f"{n}.parquet", *(row(f"A{n}", value, account=str(k)) for k, value in enumerate(part))
        )
        for n, part in enumerate(values)
    ]
    total = sum(map(sum, values))
    assert point(files).priced_value == (to_text(total) if abs(total) <= SCALED_MAX else None)


@pytest.mark.parametrize(
    "name", ["plain", "bra[ck]et", "st*r", "qu?stion", "o'clock", "$files", "br{a,c}e", "**"]
)
def test_files__are_those_of_the_list_and_no_others(tmp_path: Path, name: str) -> None:
    """A name that looks like a pattern means itself."""
    listed = write(tmp_path / name / "dt=2024-03-04" / "one.parquet", row("AAA", 10**18))
    write(tmp_path / name / "dt=2024-03-04" / "two.parquet", row("AAA", 10**18))
    for other in ("brace", "bracet", "star", "stair", "question", "plain2", "brcet"):
        write(tmp_path / other / "dt=2024-03-04" / "one.parquet", row("AAA", 10**18))
    assert point([listed]).nav == "1"


def test_reads_at_once__each_has_its_own_files_and_its_own_rows(tmp_path: Path) -> None:
    files = [[write(tmp_path / f"{n}.parquet", row("AAA", n * 10**18))] for n in range(8)]
    with ThreadPoolExecutor(8) as readers:
        found = list(readers.map(point, files * 4))
    assert [told.nav for told in found] == [str(n) for n in range(8)] * 4


def test_file_written_anew__is_read_as_it_is_now(tmp_path: Path) -> None:
    for value in (1, 2):
        assert point([write(tmp_path / "a.parquet", row("AAA", value * 10**18))]).nav == str(value)


def test_database_that_answers_nothing_any_more__the_next_read_starts_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def cursor(self) -> None:
            raise duckdb.FatalException("invalidated")

    files = [write(tmp_path / "a.parquet", row("AAA", 10**18))]
    nav_reader._database.cache_clear()
    monkeypatch.setattr(duckdb, "connect", lambda config: Broken())
    with pytest.raises(duckdb.FatalException):
        point(files)
    monkeypatch.undo()
    assert point(files).nav == "1"


def test_files__more_than_one_query_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nav_reader, "FILES_A_QUERY", 2)
    files = [write(tmp_path / f"{n}.parquet", row(f"A{n}", 10**18)) for n in range(5)]
    assert point(files).nav == "5"


def test_no_files__no_points() -> None:
    assert read_points([], NOON, NOON) == {}

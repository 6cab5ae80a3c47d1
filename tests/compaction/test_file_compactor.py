"""What is planned for the lake's files, and that rewriting keeps their rows."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compaction.file_compactor import (
    DEAD,
    FILES_AT_ONCE,
    MERGE,
    ORPHANS,
    REENCODE,
    ROWS_AT_ONCE,
    Codec,
    Listed,
    Remade,
    Rules,
    Source,
    batches,
    chunks,
    plan,
    remake,
)

RULES = Rules(dead_before=1_000, cold_before="2025-03-13", profile="DEFAULT")
_number = count()


def listed(dt: str = "2025-03-10", asset: str = "BTC", **about: int | None) -> Listed:
    usual: dict[str, int | None] = {"rows": 288, "bytes": 5_000, "generation": 0, "dead_at": None}
    return Listed(f"{next(_number):06d}.parquet", "5m", dt, asset, **(usual | about))  # type: ignore[arg-type]


def test_plan__each_kind_of_file_has_its_step_or_none() -> None:
    cold, done, warm = listed(), listed(asset="ETH", generation=1), listed("2025-03-13")
    small, dead, fresh = listed(asset="SOL", rows=31), listed(dead_at=1_000), listed(dead_at=1_001)
    twins = [listed(asset="TWIN"), listed(asset="TWIN")]
    made = plan([cold, done, warm, small, dead, fresh, *twins], [("lost.parquet", 7)], RULES)
    assert {step.what: (step.files, step.bytes) for step in made.steps} == {
        MERGE: (2, 10_000), REENCODE: (1, 5_000), DEAD: (1, 5_000), ORPHANS: (1, 7)
    }  # fmt: skip
    assert made.step(MERGE) == (tuple(file.path for file in twins),)
    assert made.step(REENCODE) == ((cold.path,),)
    assert made.step(DEAD) == ((dead.path,),)


def test_plan__of_nothing__has_no_step_and_takes_no_memory() -> None:
    made = plan([], [], RULES)
    assert (made.steps, made.peak_bytes, list(chunks(made))) == ((), 0, [])


def test_peak__is_that_of_the_largest_partition() -> None:
    small, large = plan([listed()], [], RULES), plan([listed(), listed(asset="X", rows=10_000)], [], RULES)
    assert 0 < small.peak_bytes < large.peak_bytes < 64 << 20


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.integers(1, 28), st.integers(0, 400)), max_size=40),
    st.randoms(),
)
def test_plan__does_not_depend_on_the_order_of_the_catalogue(
    kinds: list[tuple[str, int, int]], random: object
) -> None:
    files = [listed(f"2025-03-{day:02d}", asset, rows=rows) for asset, day, rows in kinds]
    other = list(files)
    random.shuffle(other)  # type: ignore[attr-defined]
    assert plan(files, [], RULES) == plan(other, [], RULES)


def test_chunks__hold_what_one_commit_may__and_all_of_the_plan() -> None:
    files = [listed(asset=f"A{n}") for n in range(FILES_AT_ONCE["LOW_RAM"] + 1)]
    made = plan(files, [], Rules(0, "2025-03-13", "LOW_RAM"))
    parts = list(chunks(made))
    assert [len(part) for part in parts] == [FILES_AT_ONCE["LOW_RAM"], 1]
    assert {path for part in parts for (path,) in part} == {file.path for file in files}


def content(rows: list[str]) -> str:
    return "|".join(rows)


def read(datas: Sequence[bytes], _rows: Sequence[int]) -> list[tuple[list[str], str]]:
    each = [data.decode().split() for data in datas]
    return [(rows, content(rows)) for rows in each]


LINES = Codec(
    read, join=lambda frames: sorted(row for part in frames for row in part), content=content,
    encode=lambda rows: " ".join(rows).encode(),
)  # fmt: skip


def test_remake__joins_the_rows_of_all_sources_of_each_group() -> None:
    two, one = [Source(b"b c", 2, "b|c"), Source(b"a", 1, "a")], [Source(b"d", 1, "d")]
    made = remake([two, one], LINES)
    assert made == [Remade(b"a b c", "a|b|c", 3), Remade(b"d", "d", 1)]


def test_remake__a_source_that_is_not_what_the_catalogue_says__is_left_alone() -> None:
    good, bad = [Source(b"d", 1, "d")], [Source(b"a b", 2, "a|c")]
    assert remake([bad, good], LINES) == [None, Remade(b"d", "d", 1)]


def test_remake__an_encoder_that_loses_a_row__is_caught_before_anything_is_written() -> None:
    lossy = replace(LINES, encode=lambda rows: " ".join(rows[1:]).encode())
    with pytest.raises(AssertionError):
        remake([[Source(b"a b", 2, "a|b")]], lossy)


def test_batches__of_so_many_rows_together__and_a_larger_partition_alone() -> None:
    sizes = [ROWS_AT_ONCE // 2, ROWS_AT_ONCE // 2, 1, ROWS_AT_ONCE + 1, 2]
    found = [[group[0].rows for group in batch] for batch in batches([[listed(rows=n)] for n in sizes])]
    assert found == [sizes[:2], [1], [sizes[3]], [2]]

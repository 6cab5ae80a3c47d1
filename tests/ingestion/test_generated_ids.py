"""Ids made for many rows at once are those made one by one, and are recognised when a row brings them."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.transactions import content_digest, generated_id
from engine.ingestion.generated_ids import generated_ids, generated_places
from tests.effort import examples

INSTANTS = st.integers(0, 253_402_300_799_999_999)  # to the end of the year 9999
ROWS = st.lists(  # a content holds its timestamp, so one content is never at two instants
    st.tuples(INSTANTS, st.text("ab\x1fé", max_size=200), st.integers(1, 5)),
    max_size=6, unique_by=lambda row: row[1],
)  # fmt: skip
Rows = list[tuple[int, str, int]]


def one_by_one(ts: int, content: str, k: int) -> bytes:
    return generated_id(ts, content_digest(content, k))


@settings(max_examples=examples(200), deadline=None)
@given(ROWS)
def test_generated_ids__of_a_frame__are_those_of_each_row(rows: Rows) -> None:
    frame = pl.DataFrame(rows, schema={"ts": pl.Int64, "content": pl.String, "k": pl.Int32}, orient="row")
    assert generated_ids(frame).to_list() == [one_by_one(*row) for row in rows]


@settings(max_examples=examples(200), deadline=None)
@given(ROWS, st.data())
def test_generated_places__find_the_k_among_the_copies(rows: Rows, data: st.DataObject) -> None:
    bit = st.sampled_from([0, *(1 << at for at in range(128))])
    given_ids, expected = [], []
    for ts, content, copies in rows:
        k, flipped = data.draw(st.integers(1, 6)), data.draw(bit)
        uid = int.from_bytes(one_by_one(ts, content, k), "big") ^ flipped
        given_ids.append(uid.to_bytes(16, "big"))
        expected.append(k if k <= copies and not flipped else 0)
    frame = pl.DataFrame(
        [(uid, *row) for uid, row in zip(given_ids, rows, strict=True)],
        schema={"uid": pl.Binary, "ts": pl.Int64, "content": pl.String, "copies": pl.Int64},
        orient="row",
    )
    assert generated_places(frame).tolist() == expected

"""Laws of idempotency over made-up files: no shortcut, order or overlap changes the ledger."""

from collections import Counter
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.domain.transactions import COLUMNS
from engine.ingestion.keys import Known, judge, judge_one_by_one, prepare
from engine.ingestion.split import split_csv
from tests.effort import examples

from .helpers import ID_A, ID_B, ID_C, Book, parsed, to_csv, tx

Row = dict[str, str]

ROWS = st.builds(
    tx,
    id=st.sampled_from(["", "", "", ID_A, ID_B]),
    action=st.sampled_from(["BUY", "SELL", "TRANSFER_IN", "TRANSFER_OUT"]),
    asset_id=st.sampled_from(["BTC", "ETH"]),
    quantity=st.sampled_from(["1", "1.0", "2"]),
    account=st.sampled_from(["a", "b"]),
    tx_hash=st.sampled_from(["", "", "h1", "h2"]),
    external_id=st.sampled_from(["", "", "e1", "e2"]),
    notes=st.sampled_from(["", "n"]),
)
FILES = st.lists(ROWS, min_size=1, max_size=10)


NUMBERS = st.integers(0, 9)
ACTS = st.one_of(
    st.tuples(st.just("file"), FILES),
    st.tuples(st.just("correct"), ROWS, NUMBERS, NUMBERS),
    st.tuples(st.just("leg"), ROWS, NUMBERS),
    st.tuples(st.just("undo"), NUMBERS),
)


def stored(acts: list[tuple[Any, ...]]) -> tuple[Book, list[Row]]:
    """What files, corrections, legs and undone releases leave behind, and all rows that were seen."""
    book, seen = Book(), [tx()]
    for name, *arguments in acts:
        if name == "file":
            book.ingest(*arguments[0])
            seen += arguments[0]
        elif name == "undo":
            counting = [row["row"] for row in book.rows if row["superseded_by"] is None]
            if counting:
                book.take_back(counting[arguments[0] % len(counting)])
        elif book.rows:
            row, file, *replaced = arguments
            supersede = replaced[0] % len(book.rows) + 1 if replaced else 0
            book.release(file % book.files + 1, row, as_leg=name == "leg", supersede=supersede)
            seen.append(row)
    return book, seen


@settings(max_examples=examples(80), deadline=None)
@given(st.lists(ACTS, max_size=5), FILES, st.data())
def test_shortcuts__give_the_verdicts_of_one_by_one(
    acts: list[tuple[Any, ...]], fresh: list[Row], data: st.DataObject
) -> None:
    book, seen = stored(acts)
    again = data.draw(st.lists(st.sampled_from(seen), max_size=8))
    exported = st.sampled_from([{}, {}, {"id": ""}, {"id": ID_C}, {"notes": "again"}])
    rows = data.draw(st.permutations(fresh + [row | data.draw(exported) for row in again]))
    keyed = prepare(parsed(rows).frame)
    file = data.draw(st.integers(1, book.files)) if book.files else None
    as_leg = data.draw(st.sets(st.sampled_from(keyed["record"].to_list()), max_size=3))
    known = book.known(keyed, file)
    fast = judge(keyed, known, as_leg)
    for slow in (
        judge_one_by_one(keyed, known, as_leg),
        judge_one_by_one(keyed, book.everything(file), as_leg),
        judge(keyed, Known(known.rows.reverse(), known.aliases), as_leg),
    ):
        assert fast.accepted.equals(slow.accepted)
        assert (fast.duplicates, fast.conflicts) == (slow.duplicates, slow.conflicts)
        assert fast.clashes == slow.clashes


@settings(max_examples=examples(50), deadline=None)
@given(st.lists(ACTS, max_size=6), ROWS, NUMBERS, NUMBERS)
def test_whatever_was_released__ids_stay_unique_and_what_is_stored_stays_known(
    acts: list[tuple[Any, ...]], row: Row, file: int, replaced: int
) -> None:
    book, _ = stored(acts)
    assume(book.rows)
    number, replaced = file % book.files + 1, replaced % len(book.rows) + 1
    book.release(number, row, supersede=replaced)
    ids = [row["id"] for row in book.rows] + list(book.aliases)
    assert len(set(ids)) == len(ids)
    again = book.release(number, row, supersede=replaced)
    assert again.accepted.is_empty()


@settings(max_examples=examples(40), deadline=None)
@given(FILES)
def test_an_accepted_file_again__has_only_duplicates(rows: list[Row]) -> None:
    book = Book()
    first = book.ingest(*rows)
    assume(not first.conflicts)
    again = book.ingest(*rows)
    assert (again.accepted.height, again.conflicts, len(again.duplicates)) == (0, [], len(rows))


def group(row: Row) -> tuple[str, ...]:
    """Legs, rows of equal content and rows of one external_id lie together in every export."""
    if row["tx_hash"]:
        return row["account"], row["tx_hash"]
    return (
        row["action"],
        row["asset_id"],
        row["quantity"].removesuffix(".0"),
        row["account"],
        row["external_id"],
    )


@settings(max_examples=examples(40), deadline=None)
@given(FILES, st.data())
def test_overlapping_exports__in_any_order_are_one(rows: list[Row], data: st.DataObject) -> None:
    whole = Book()
    assume(not whole.ingest(*rows).conflicts)
    groups = sorted({group(row) for row in rows})
    picks = data.draw(st.lists(st.sets(st.sampled_from(groups)), max_size=3))
    picks.append(set(groups) - set().union(*picks))
    order = data.draw(st.permutations(picks))
    book = Book()
    for pick in order:
        judged = book.ingest(*(row for row in rows if group(row) in pick))
        assert judged.conflicts == []
    assert book.facts() == whole.facts()


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.one_of(ROWS, st.just(tx(quantity="bad"))), min_size=1, max_size=14), st.data())
def test_parts_of_a_split__in_any_order_are_one(rows: list[Row], data: st.DataObject) -> None:
    content = to_csv(COLUMNS, rows)
    whole = Book()
    assume(not whole.ingest_bytes(content).conflicts)
    sizes = Counter(bundle(row) for row in rows)
    parts = split_csv(content, rows_max=max(sizes.values()))
    assert len(parts) > 1 or len(sizes) == 1
    book = Book()
    for part in data.draw(st.permutations(parts)):
        judged = book.ingest_bytes(part)
        assert judged.conflicts == []
    assert book.facts() == whole.facts()


def bundle(row: Row) -> tuple[str, str]:
    """Something that rows which must stay together surely share."""
    return (row["account"], row["tx_hash"]) if row.get("tx_hash") else (row["action"], row["asset_id"])

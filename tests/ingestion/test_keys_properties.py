"""Laws of idempotency over made-up files: no shortcut, order or overlap changes the ledger."""

from collections import Counter

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.domain.transactions import COLUMNS
from engine.ingestion.keys import judge, judge_one_by_one, prepare
from engine.ingestion.split import split_csv

from .helpers import ID_A, ID_B, Book, parsed, to_csv, tx

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


@settings(max_examples=80, deadline=None)
@given(FILES, FILES)
def test_shortcut__gives_the_verdicts_of_one_by_one(first: list[Row], second: list[Row]) -> None:
    book = Book()
    for rows in (first, second):
        keyed = prepare(parsed(rows).frame)
        known = book.known(keyed)
        fast, slow = judge(keyed, known), judge_one_by_one(keyed, known)
        assert fast.accepted.equals(slow.accepted)
        assert (fast.duplicates, fast.conflicts) == (slow.duplicates, slow.conflicts)
        book.take(keyed)
        ids = [row.id for row in book.rows] + list(book.aliases)
        assert len(set(ids)) == len(ids)


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=40, deadline=None)
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

"""Idempotency: which rows are accepted, which are there already, which contradict what is stored."""

from engine.domain.transactions import KeyKind, content_digest, generated_id, id_text
from engine.ingestion.keys import Duplicate, Judged, Known, judge, judge_one_by_one, prepare
from engine.ingestion.rules import Reason

from .helpers import ID_A, ID_B, Book, parsed, tx

TX = {"tx_hash": "0x1"}
EXT = {"external_id": "e1"}


def counts(judged: Judged) -> tuple[int, int, int]:
    return judged.accepted.height, len(judged.duplicates), len(judged.conflicts)


def generated(k: int = 1, **fields: str) -> str:
    frame = parsed([tx(**fields)]).frame
    return id_text(generated_id(frame["ts"][0], content_digest(frame["content"][0], k)))


def test_key__is_the_first_of_tx_hash_external_id_id_content() -> None:
    rows = [tx(id=ID_A, **TX, **EXT), tx(id=ID_A, **EXT), tx(id=ID_A), tx(), tx()]
    keyed = prepare(parsed(rows).frame)
    kinds = [KeyKind.TX_HASH, KeyKind.EXTERNAL_ID, KeyKind.ID, KeyKind.CONTENT, KeyKind.CONTENT]
    assert keyed["kind"].to_list() == kinds
    assert keyed["k"].to_list() == [1, 1, 1, 2, 3]
    assert keyed["id_given"].to_list() == [True, True, True, False, False]
    assert id_text(keyed["uid"][3]) == generated(2)


def test_two_equal_fills_in_one_file__are_two_and_the_file_again_adds_none() -> None:
    book = Book()
    assert counts(book.ingest(tx(), tx())) == (2, 0, 0)
    assert counts(book.ingest(tx(), tx())) == (0, 2, 0)
    assert counts(book.ingest(tx(quantity="1.50", notes="n"), tx(), tx())) == (1, 2, 0)
    assert [k for _, k in book.facts()] == [1, 2, 3]


def test_generated_id_given__is_the_row_of_that_content_in_either_order() -> None:
    for first, second in (({}, {"id": generated()}), ({"id": generated()}, {})):
        book = Book()
        assert counts(book.ingest(tx(**first))) == (1, 0, 0)
        assert counts(book.ingest(tx(**second))) == (0, 1, 0)
    one, two = Book(), Book()
    exported = [tx(id=generated(1)), tx(id=generated(2))]
    assert counts(one.ingest(tx(), tx())) == counts(two.ingest(*exported)) == (2, 0, 0)
    assert counts(one.ingest(*exported)) == counts(two.ingest(tx(), tx())) == (0, 2, 0)
    assert one.facts() == two.facts()


def test_generated_id__that_another_content_took_is_a_conflict() -> None:
    book = Book()
    book.ingest(tx(id=generated(), quantity="9"))
    judged = book.ingest(tx())
    assert counts(judged) == (0, 0, 1)
    assert [(r.column, r.value) for r in judged.conflicts[0].reasons] == [("id", generated())]


def test_known_id__under_other_content_or_key_is_a_conflict_before_anything_else() -> None:
    book = Book()
    book.ingest(tx(id=ID_A, **EXT))
    for other in (tx(id=ID_A), tx(id=ID_A, **TX, **EXT), tx(id=ID_A, quantity="2", **EXT)):
        judged = book.ingest(other)
        assert counts(judged) == (0, 0, 1)
        assert judged.conflicts[0].reasons[0].column == "id"
    assert counts(Book().ingest(tx(id=ID_A), tx(id=ID_A, quantity="2"))) == (1, 0, 1)
    assert counts(Book().ingest(tx(id=ID_A), tx(id=ID_A, wallet="w"))) == (1, 1, 0)


def test_ids_of_duplicates__are_remembered() -> None:
    book = Book()
    book.ingest(tx(id=ID_A, **EXT))
    judged = book.ingest(tx(id=ID_B, **EXT), tx(id=ID_B, quantity="7"))
    assert counts(judged) == (0, 1, 1)
    assert judged.duplicates[0].row == 1
    assert book.aliases == {judged.duplicates[0].remembered: 1}
    assert counts(book.ingest(tx(id=ID_B, quantity="7"))) == (0, 0, 1)
    again = book.ingest(tx(id=ID_B, **EXT))
    assert (counts(again), again.duplicates[0].remembered) == ((0, 1, 0), None)


def test_external_id__same_content_is_a_duplicate_other_content_a_conflict() -> None:
    book = Book()
    book.ingest(tx(**EXT))
    assert counts(book.ingest(tx(**EXT, notes="again"))) == (0, 1, 0)
    judged = book.ingest(tx(**EXT, quantity="2"), tx(**EXT, action="SELL"), tx(**EXT, account="other"))
    assert counts(judged) == (1, 0, 2)
    reject = judged.conflicts[0]
    assert reject.reasons == (Reason("IDEMPOTENCY_CONFLICT", "external_id", "e1"),)
    assert reject.fields[1:6] == ("2025-03-01T10:00:00Z", "BUY", "BTC", "2", "100")


def test_external_id__of_transfers_counts_with_the_action() -> None:
    out, into = tx(action="TRANSFER_OUT", **EXT), tx(action="TRANSFER_IN", **EXT)
    assert counts(Book().ingest(out, into, tx(**EXT))) == (3, 0, 0)
    assert counts(Book().ingest(out, out | {"quantity": "2"})) == (1, 0, 1)


def test_external_id__of_a_row_with_tx_hash_is_not_its_key() -> None:
    assert counts(Book().ingest(tx(**TX, **EXT), tx(**EXT, quantity="2"))) == (2, 0, 0)


def test_legs_in_one_file__differ_in_action_asset_quantity_external_id_or_id() -> None:
    legs = [
        tx(**TX), tx(**TX, action="SELL"), tx(**TX, asset_id="ETH"), tx(**TX, quantity="2"),
        tx(**TX, **EXT), tx(**TX, id=ID_A), tx(tx_hash="0x1", account="other"),
    ]  # fmt: skip
    book = Book()
    assert counts(book.ingest(*legs)) == (7, 0, 0)
    assert counts(book.ingest(*legs)) == (0, 7, 0)


def test_legs_alike_in_one_file__are_duplicates_if_named_else_conflicts() -> None:
    assert counts(Book().ingest(tx(**TX, **EXT), tx(**TX, **EXT, notes="n"))) == (1, 1, 0)
    assert counts(Book().ingest(tx(**TX, id=ID_A), tx(**TX, id=ID_A))) == (1, 1, 0)
    judged = Book().ingest(tx(**TX), tx(**TX))
    assert counts(judged) == (1, 0, 1)
    assert [(r.column, r.value) for r in judged.conflicts[0].reasons] == [("tx_hash", "0x1")]
    assert counts(Book().ingest(tx(**TX), tx(**TX, unit_price_usd="7"))) == (1, 0, 1)
    assert counts(Book().ingest(tx(**TX, **EXT), tx(**TX, **EXT, unit_price_usd="7"))) == (1, 0, 1)


def test_legs_in_another_file__are_duplicates_further_legs_or_conflicts() -> None:
    book = Book()
    book.ingest(tx(**TX), tx(**TX, action="SELL"))
    judged = book.ingest(
        tx(**TX), tx(**TX, asset_id="ETH"), tx(**TX, asset_id="ETH", quantity="3"), tx(**TX, quantity="2")
    )
    assert counts(judged) == (2, 1, 1)
    assert judged.accepted["record"].to_list() == [2, 3]
    assert judged.duplicates[0].record == 1
    assert judged.conflicts[0].record == 4


def test_leg_with_the_generated_id_of_its_equal__is_its_duplicate_in_either_order() -> None:
    plain, named = tx(**TX), tx(**TX, id=generated(**TX))
    assert counts(Book().ingest(plain, named)) == counts(Book().ingest(named, plain)) == (1, 1, 0)


def test_row_fixed_in_quarantine__counts_as_of_its_first_file() -> None:
    book, other = Book(), Book()
    for each in (book, other):
        each.ingest(tx(**TX), tx())
    leg = tx(**TX, quantity="2")
    assert counts(book.release(1, leg)) == (1, 0, 0)
    assert counts(other.ingest(leg)) == (0, 0, 1)
    frame = parsed([tx()]).frame
    fixed = prepare(frame, {frame["content"][0]: 1})
    assert fixed["k"].to_list() == [2]
    assert counts(book.take(fixed, file=1)) == (1, 0, 0)


def test_duplicate_within_a_file__names_the_record_it_repeats() -> None:
    judged = Book().ingest(tx(quantity="5"), tx(**EXT), tx(**EXT, id=ID_A))
    duplicate = judged.duplicates[0]
    assert (duplicate.record, duplicate.row, duplicate.accepted_record) == (3, None, 2)
    assert duplicate.remembered is not None
    assert id_text(duplicate.remembered) == ID_A


def test_no_rows__are_judged_as_no_rows() -> None:
    assert counts(Book().ingest()) == (0, 0, 0)


def row(book: Book, number: int) -> tuple[object, ...]:
    found = book.rows[number - 1]
    return found["kind"], found["id_given"], found["superseded_by"]


def twins(judged: Judged) -> list[tuple[int | None, bytes | None]]:
    """The stored rows that are repeated, and the ids to remember."""
    assert (judged.accepted.height, judged.conflicts) == (0, [])
    return [(duplicate.row, duplicate.remembered) for duplicate in judged.duplicates]


def prices(book: Book) -> list[str]:
    return sorted(content.split("\x1f")[4] for content, _ in book.facts())


def test_trade_corrected_by_the_exchange__both_exports_are_known_ever_after() -> None:
    book = Book()
    first, corrected = tx(id=ID_A, unit_price_usd="100"), tx(id=ID_A, unit_price_usd="101")
    book.ingest(first)
    refused = book.ingest(corrected)
    assert (counts(refused), refused.clashes) == ((0, 0, 1), {1: [1]})
    released = book.release(2, corrected, supersede=1)
    assert counts(released) == (1, 0, 0)
    assert prices(book) == ["101"]
    assert (row(book, 1), row(book, 2)) == ((KeyKind.ID, True, 2), (KeyKind.CONTENT, False, None))
    assert released.accepted["id"].to_list() == [None]
    assert id_text(book.rows[1]["id"]) == generated(unit_price_usd="101")
    assert twins(book.ingest(corrected, first)) == [(2, None), (1, None)]
    third = book.ingest(tx(id=ID_A, unit_price_usd="102"))
    assert (counts(third), third.clashes) == ((0, 0, 1), {1: [1, 2]})


def test_trade_corrected_twice__is_known_by_each_of_its_versions() -> None:
    exports = [tx(id=ID_A, **EXT, unit_price_usd=price) for price in ("100", "101", "102")]
    for replaced in (1, 2):  # the row that was corrected first, or the one that counts
        book = Book()
        book.ingest(exports[0])
        book.release(2, exports[1], supersede=1)
        assert counts(book.release(3, exports[2], supersede=replaced)) == (1, 0, 0)
        assert prices(book) == ["102"]
        for number, export in enumerate(exports, start=1):
            assert twins(book.ingest(export)) == [(number, None)]
            assert twins(book.ingest(export | {"id": ""})) == [(number, None)]
        assert twins(book.ingest(exports[1] | {"id": ID_B}))[0][0] == 2
        assert book.ingest(tx(**EXT, unit_price_usd="103")).clashes == {1: [1, 2, 3]}


def test_correction_under_an_id_of_its_own__keeps_it() -> None:
    book = Book()
    book.ingest(tx(id=ID_A, **EXT))
    corrected = tx(id=ID_B, **EXT, quantity="2")
    assert counts(book.release(2, corrected, supersede=1)) == (1, 0, 0)
    assert row(book, 2) == (KeyKind.EXTERNAL_ID, True, None)
    assert twins(book.ingest(corrected, tx(id=ID_A, **EXT))) == [(2, None), (1, None)]
    assert counts(book.ingest(tx(id=ID_B, **EXT))) == (0, 0, 1)


def test_correction_under_a_remembered_id__leaves_it_to_the_corrected_row() -> None:
    book = Book()
    book.ingest(tx(id=ID_A, **EXT))
    book.ingest(tx(id=ID_B, **EXT))
    corrected = tx(id=ID_B, **EXT, quantity="2")
    assert counts(book.release(3, corrected, supersede=1)) == (1, 0, 0)
    assert row(book, 2) == (KeyKind.EXTERNAL_ID, False, None)
    assert twins(book.ingest(corrected, tx(id=ID_B, **EXT))) == [(2, None), (1, None)]


def test_correction__clashes_still_with_every_other_row() -> None:
    book = Book()
    book.ingest(tx(id=ID_A, **EXT), tx(id=ID_B, quantity="3"), tx(**TX))
    for other, clash in (
        (tx(id=ID_B, **EXT, quantity="2"), ("id", [2])),
        (tx(id=ID_A, **TX, quantity="2"), ("tx_hash", [3])),
    ):
        judged = book.release(2, other, supersede=1)
        assert (counts(judged), judged.clashes) == ((0, 0, 1), {1: clash[1]})
        assert judged.conflicts[0].reasons[0].column == clash[0]
    assert counts(book.release(2, tx(id=ID_A, **EXT, quantity="2"), supersede=2)) == (0, 0, 1)


def test_correction_whose_generated_id_another_row_has__is_refused() -> None:
    book = Book()
    book.ingest(tx(id=ID_A), tx(quantity="2"))
    judged = book.release(1, tx(id=ID_A, quantity="2"), supersede=1)
    assert (counts(judged), judged.clashes) == ((0, 0, 1), {1: [2]})
    assert judged.conflicts[0].reasons == (Reason("IDEMPOTENCY_CONFLICT", "id", generated(quantity="2")),)


def test_correction_to_what_the_row_says_already__is_its_duplicate() -> None:
    book = Book()
    book.ingest(tx(id=ID_A, **EXT))
    book.release(1, tx(id=ID_A, **EXT, quantity="2"), supersede=1)
    assert twins(book.release(1, tx(id=ID_A, **EXT, quantity="2"), supersede=1)) == [(2, None)]
    assert twins(book.release(1, tx(id=ID_A, **EXT), supersede=2)) == [(1, None)]


def test_correction_of_a_leg__its_siblings_stay() -> None:
    book = Book()
    legs = [tx(**TX), tx(**TX, asset_id="ETH")]
    book.ingest(*legs)
    corrected = tx(**TX, quantity="2")
    assert book.ingest(corrected, legs[1]).clashes == {1: [1]}
    assert counts(book.release(2, corrected, supersede=1)) == (1, 0, 0)
    assert twins(book.ingest(corrected, *legs)) == [(3, None), (1, None), (2, None)]
    assert book.ingest(tx(**TX, quantity="7")).clashes == {1: [1, 3]}


def test_released_as_leg__is_accepted_where_only_the_hash_clashes() -> None:
    book = Book()
    book.ingest(tx(**TX), tx(id=ID_A, quantity="9"), tx(**EXT, account="other"))
    second = tx(**TX, quantity="2")
    assert counts(book.ingest(second)) == (0, 0, 1)
    assert counts(book.release(2, second, as_leg=True)) == (1, 0, 0)
    assert twins(book.ingest(second, tx(**TX))) == [(4, None), (1, None)]
    assert twins(book.release(2, tx(**TX), as_leg=True)) == [(1, None)]
    for refused in (tx(id=ID_A, **TX, quantity="3"), tx(**EXT, account="other", quantity="3")):
        assert counts(book.release(2, refused, as_leg=True)) == (0, 0, 1)


def test_released_as_leg__a_copied_line_needs_something_that_tells_it_apart() -> None:
    book = Book()
    assert book.ingest(tx(**TX), tx(**TX)).clashes == {2: []}
    assert twins(book.release(1, tx(**TX), as_leg=True)) == [(1, None)]
    assert counts(book.release(1, tx(**TX, unit_price_usd="7"), as_leg=True)) == (1, 0, 0)
    assert counts(book.release(1, tx(**TX, **EXT))) == (1, 0, 0)


def test_release_that_was_undone__keeps_its_keys() -> None:
    book = Book()
    book.ingest(tx(quantity="9"))
    book.release(1, tx(id=ID_A, **EXT))
    book.take_back(2)
    assert twins(book.ingest(tx(id=ID_A, **EXT), tx(**EXT))) == [(2, None), (2, None)]
    assert book.ingest(tx(id=ID_A, **EXT, quantity="2")).clashes == {1: [2]}


def test_correction_that_was_undone__both_rows_stay_known() -> None:
    book = Book()
    first, corrected = tx(id=ID_A, **EXT), tx(id=ID_B, **EXT, quantity="2")
    book.ingest(first)
    book.release(1, corrected, supersede=1)
    book.take_back(2)
    assert book.facts() == [(book.rows[0]["content"], 1)]
    assert twins(book.ingest(first, corrected)) == [(1, None), (2, None)]
    assert book.ingest(tx(**EXT, quantity="3")).clashes == {1: [1, 2]}


def test_conflicts__name_the_rows_they_collide_with() -> None:
    book = Book()
    book.ingest(tx(id=ID_A), tx(**TX), tx(**TX, quantity="2"), tx(**TX, asset_id="ETH"))
    judged = book.ingest(tx(id=ID_A, quantity="2"), tx(**TX, quantity="3"), tx(id=ID_B), tx(id=ID_B, **EXT))
    assert judged.clashes == {1: [1], 2: [2, 3], 4: []}


def test_correction_twice_in_one_release__is_the_duplicate_of_the_first() -> None:
    book = Book()
    book.ingest(tx(id=ID_A))
    keyed = prepare(parsed([tx(id=ID_A, quantity="2"), tx(id=ID_A, quantity="2", notes="n")]).frame)
    judged = book.take(keyed, file=1, supersedes={1: 1})
    assert counts(judged) == (1, 1, 0)
    assert judged.duplicates == [Duplicate(record=2, row=None, accepted_record=1, remembered=None)]


def test_several_equal_legs__the_first_stored_is_repeated() -> None:
    book = Book()
    book.ingest(tx(**TX, id=ID_A), tx(**TX, id=ID_B))
    keyed = prepare(parsed([tx(**TX)]).frame)
    known = book.known(keyed)
    for rows in (known.rows, known.rows.reverse()):
        for verdicts in (judge, judge_one_by_one):
            assert twins(verdicts(keyed, Known(rows, known.aliases))) == [(1, None)]

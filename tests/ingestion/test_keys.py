"""Idempotency: which rows are accepted, which are there already, which contradict what is stored."""

from engine.domain.transactions import KeyKind, content_digest, generated_id, id_text
from engine.ingestion.keys import Judged, prepare
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
    book = Book()
    book.ingest(tx(**TX), tx())
    leg = prepare(parsed([tx(**TX, quantity="2")]).frame)
    assert counts(book.take(leg, from_file=frozenset({1, 2}))) == (1, 0, 0)
    assert counts(Book(book.rows[:2]).take(leg)) == (0, 0, 1)
    frame = parsed([tx()]).frame
    fixed = prepare(frame, {frame["content"][0]: 1})
    assert fixed["k"].to_list() == [2]
    assert counts(book.take(fixed, from_file=frozenset({1, 2}))) == (1, 0, 0)


def test_duplicate_within_a_file__names_the_record_it_repeats() -> None:
    judged = Book().ingest(tx(quantity="5"), tx(**EXT), tx(**EXT, id=ID_A))
    duplicate = judged.duplicates[0]
    assert (duplicate.record, duplicate.row, duplicate.accepted_record) == (3, None, 2)
    assert duplicate.remembered is not None
    assert id_text(duplicate.remembered) == ID_A


def test_no_rows__are_judged_as_no_rows() -> None:
    assert counts(Book().ingest()) == (0, 0, 0)

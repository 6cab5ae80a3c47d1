"""One transaction explained: its source, versions and decisions, its lots and gains to the last digit."""

from typing import Any

import pytest

from engine.domain.money import to_scaled
from engine.errors import UsageError
from tests.runtime.deck import Deck, Row, buy
from tests.runtime.desk import ACTOR, fix, held, release, take, undo

GIVEN = "01955126-0100-7dcc-a345-da6afcf9215e"
OTHER = "01955126-0100-7dcc-a345-da6afcf9215f"


def ids(deck: Deck, where: str = "1") -> list[str]:
    return [raw for (raw,) in deck.sql(f"SELECT lower(hex(id)) FROM tx WHERE {where} ORDER BY row")]


def explained(deck: Deck, tx: Any) -> dict[str, Any]:
    return deck.ask("explain", tx=tx)


def total(pieces: list[dict[str, Any]], name: str) -> int:
    return sum(to_scaled(piece[name]) for piece in pieces)


def out(day: int, action: str, quantity: str, **fields: str) -> Row:
    return buy(timestamp=f"2025-04-{day:02d}T00:00:00Z", action=action, quantity=quantity, **fields)


def test_purchase__its_lots_open_moving_and_sold__add_up_to_it(deck: Deck) -> None:
    take(
        deck,
        buy(quantity="3", fee_asset="USD", fee_amount="2"),
        out(1, "SELL", "1", unit_price_usd="150"),
        out(2, "TRANSFER_OUT", "0.5", unit_price_usd="", tx_hash="h"),
        buy(asset_id="ETH"),
    )
    told = explained(deck, ids(deck)[0])
    assert {lot["status"]: lot["quantity"] for lot in told["lots"]} == {
        "open": "1.5",
        "in_transit": "0.5",
        "realized": "1",
    }
    assert total(told["lots"], "cost_basis_usd") == to_scaled("302")
    assert {lot["acquired_at"] for lot in told["lots"]} == {"2025-03-01T10:00:00Z"}
    (piece,) = told["gains"]
    assert (piece["role"], piece["quantity"], piece["proceeds_usd"]) == ("lot", "1", "150")
    assert told["fee_row"] == {"asset_id": "USD", "quantity": "-2"}


def test_sale__its_pieces_from_every_lot_it_took(deck: Deck) -> None:
    cheap, dear = buy(quantity="1"), buy(quantity="1", unit_price_usd="110")
    take(deck, cheap, dear, out(1, "SELL", "2", unit_price_usd="150"))
    told = explained(deck, ids(deck)[2])
    assert told["tx"]["quantity"] == "-2"
    assert told["lots"] == []
    assert [piece["role"] for piece in told["gains"]] == ["disposal", "disposal"]
    assert total(told["gains"], "gain_usd") == to_scaled("90")


def test_sale__of_more_than_was_held__no_lot_is_made_up(deck: Deck) -> None:
    take(deck, out(1, "SELL", "2"))
    told = explained(deck, ids(deck)[0])
    assert told["lots"] == []
    assert [(piece["role"], piece["acquired_at"]) for piece in told["gains"]] == [("disposal", None)]
    assert told["gains"][0]["flags"] == ["INSUFFICIENT_LOTS"]


def test_fee_in_kind__taken_from_the_lot_of_its_own_row(deck: Deck) -> None:
    take(deck, buy(quantity="2", fee_asset="BTC", fee_amount="0.25"))
    told = explained(deck, ids(deck)[0])
    assert told["fee_row"] == {"asset_id": "BTC", "quantity": "-0.25"}
    assert [(piece["role"], piece["quantity"]) for piece in told["gains"]] == [("fee", "0.25")]
    assert {lot["status"]: lot["quantity"] for lot in told["lots"]} == {"open": "1.75", "realized": "0.25"}


def test_source__file_record_line_and_the_text_itself(deck: Deck) -> None:
    take(deck, buy(notes="first"), buy(quantity="2", notes="two\nlines"), buy(quantity="3"))
    told = explained(deck, ids(deck)[2])
    assert (told["file"]["name"], told["file"]["record"], told["file"]["line"]) == ("take-0.csv", 3, 5)
    assert told["raw"].startswith(",2025-03-01T10:00:00Z,BUY,BTC,3,100")
    assert told["file"]["taken_at"] == "2026-01-01T00:00:00Z"
    assert told["tx"]["timestamp"] == "2025-03-01T10:00:00Z"
    assert (told["tx"]["quantity"], told["tx"]["tx_hash"], told["tx"]["k"]) == ("3", "", "1")


def test_versions__oldest_first_whichever_is_asked(deck: Deck) -> None:
    take(deck, buy(external_id="t"))
    rows = []
    for quantity in ("2", "3"):
        (row,) = held(deck, buy(external_id="t", quantity=quantity))
        release(deck, [row], supersede=ids(deck, "superseded_by IS NULL")[0])
        rows.append(row)
    first, second, third = (explained(deck, one) for one in ids(deck))
    assert first["versions"] == second["versions"] == third["versions"]
    assert first["versions"] == [one["tx"]["id"] for one in (first, second, third)]
    assert first["superseded_by"] == second["tx"]["id"]
    assert (third["superseded_by"], first["lots"], second["gains"]) == (None, [], [])
    assert [lot["quantity"] for lot in third["lots"]] == ["3"]
    (decision,) = third["decisions"]
    assert (decision["kind"], decision["actor"]) == ("release", ACTOR)
    assert decision["detail"]["superseded"] == second["tx"]["id"]


def test_taken_back__said_so_and_without_lots(deck: Deck) -> None:
    (row,) = held(deck, buy(account=""))
    fix(deck, [row], account="main")
    release(deck, [row])
    assert not explained(deck, ids(deck)[0])["taken_back"]
    undo(deck)
    told = explained(deck, ids(deck)[0])
    assert (told["taken_back"], told["superseded_by"], told["lots"]) == (True, None, [])
    assert [one["kind"] for one in told["decisions"]] == ["fix", "release", "undo"]


def test_known_again__how_often_it_came_under_another_id_and_found_by_it(deck: Deck) -> None:
    take(deck, buy(id=GIVEN, external_id="t"))
    take(deck, buy(id=OTHER, external_id="t"))
    told = explained(deck, OTHER)
    assert (told["tx"]["id"], told["duplicates_known"]) == (GIVEN, 1)
    assert explained(deck, GIVEN.upper())["tx"]["id"] == explained(deck, GIVEN[:35])["tx"]["id"] == GIVEN


def test_no_such_transaction_or_several__refused(deck: Deck) -> None:
    take(deck, buy(id=GIVEN), buy(id=OTHER, quantity="2"))
    for name in (None, "", "0195512", "nonsense", "01955126", "ffffffff", 7, GIVEN + "0"):
        with pytest.raises(UsageError):
            explained(deck, name)

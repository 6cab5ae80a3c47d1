"""Transfers at the desk: what is listed, matched, settled, refused and undone, and what the books say."""

from collections.abc import Callable
from typing import Any

import pytest

from engine.domain.instants import parse_instant
from engine.errors import UsageError
from tests.runtime.deck import Deck, Row, buy
from tests.runtime.desk import act, assert_sound, held, release, take, undo

NewDeck = Callable[[str], Deck]

BOUGHT = buy(timestamp="2025-03-01T10:00:00Z", quantity="10", unit_price_usd="100")


def out(**fields: str) -> Row:
    """A withdrawal from main without a hash, told by what differs."""
    usual = {
        "timestamp": "2025-03-02T10:00:00Z", "action": "TRANSFER_OUT", "quantity": "5", "unit_price_usd": "",
    }  # fmt: skip
    return buy(**(usual | fields))


def into(**fields: str) -> Row:
    """A deposit to cold without a hash, told by what differs."""
    usual = {"timestamp": "2025-03-02T11:00:00Z", "action": "TRANSFER_IN", "account": "cold"}
    return out(**(usual | fields))


def match(deck: Deck, one: str, other: str, **how: Any) -> dict[str, Any]:
    return act(deck, "transfer_match", **({"out": one, "in": other, "reason": "the same coins"} | how))


def settle(deck: Deck, ids: list[str], kind: str, **how: Any) -> dict[str, Any]:
    return act(deck, "transfer_settle", **({"ids": ids, "as": kind, "reason": "as told"} | how))


def listed(deck: Deck, **filters: Any) -> dict[str, Any]:
    return deck.ask("transfers", **filters)


def ids(deck: Deck) -> dict[str, str]:
    """Id of each row with something left over, by `SIDE quantity asset`."""
    rows = listed(deck)["unmatched"]
    return {f"{row['side']} {row['quantity']} {row['asset_id']}": row["id"] for row in rows}


def pair(deck: Deck) -> tuple[str, str]:
    """Ten bought, five sent and five got without a hash: the ids of the OUT and the IN."""
    take(deck, BOUGHT, out(), into())
    found = ids(deck)
    return found["OUT 5 BTC"], found["IN 5 BTC"]


def us(text: str) -> int:
    found = parse_instant(text)
    assert found is not None
    return found


def books(deck: Deck) -> tuple[list[tuple[str, str, str]], list[str], int]:
    """Open lots as (account, quantity, basis), the gains, and how many lots are in transit."""
    lots = deck.ask("lots")
    opened = sorted((lot["account"], lot["quantity"], lot["cost_basis_usd"]) for lot in lots["open_lots"])
    return opened, [piece["gain_usd"] for piece in lots["realized"]], len(lots["in_transit"])


# -- match --------------------------------------------------------------------------------------------


def test_match__moves_lots_with_their_basis__and_undo_takes_it_back(deck: Deck) -> None:
    one, other = pair(deck)
    before = books(deck)
    told = match(deck, one, other)
    assert (told["moved"], told["out"]["quantity"], told["in"]["quantity"]) == ("5", "0", "0")
    assert told["touched_from"] == us("2025-03-02T10:00:00Z")
    assert books(deck) == ([("cold", "5", "500"), ("main", "5", "500")], [], 0)
    assert listed(deck)["counts"] == {"matched": 1, "in_transit": 0, "unmatched": 0, "settled": 0}
    assert listed(deck)["matched"][0]["decisions"] == told["decisions"]
    assert undo(deck)["touched_from"] == us("2025-03-02T10:00:00Z")
    assert books(deck) == before
    assert_sound(deck)


def test_match__dry_run__tells_the_same_and_keeps_nothing(deck: Deck) -> None:
    one, other = pair(deck)
    before = deck.truth()
    told = match(deck, one, other, dry_run=True)
    assert deck.truth() == before
    assert {**match(deck, one, other)} == told


def test_match__by_the_beginning_of_ids(deck: Deck) -> None:
    one, other = pair(deck)
    assert match(deck, one[:23], other[:23])["moved"] == "5"


def test_match__more_left_than_came__the_rest_stays_unmatched(deck: Deck) -> None:
    take(deck, BOUGHT, out(), into(quantity="4.9"))
    found = ids(deck)
    told = match(deck, found["OUT 5 BTC"], found["IN 4.9 BTC"])
    assert (told["moved"], told["out"]["quantity"], told["in"]["quantity"]) == ("4.9", "0.1", "0")
    (row,) = listed(deck)["unmatched"]
    assert (row["quantity"], row["whole"], row["why"]["code"]) == ("0.1", "5", "QUANTITY_LEFT")


def test_match__joins_a_set_that_is_linked_in_part(deck: Deck) -> None:
    take(deck, BOUGHT, out(tx_hash="h"), into(quantity="3", tx_hash="h"), into(quantity="2"))
    found = ids(deck)
    assert match(deck, found["OUT 2 BTC"], found["IN 2 BTC"])["moved"] == "2"
    (group,) = listed(deck)["matched"]
    assert (len(group["outs"]), len(group["ins"]), group["quantity"]) == (1, 2, "5")


def test_match__refused__with_what_to_do(deck: Deck) -> None:
    one, other = pair(deck)
    take(deck, into(asset_id="ETH"), out(tx_hash="h"), into(tx_hash="h"))
    foreign = ids(deck)["IN 5 ETH"]
    linked = listed(deck, state="matched")["matched"][0]
    (bought,) = deck.sql("SELECT lower(hex(id)) FROM tx WHERE action = 0")[0]
    before = deck.truth()
    for pairs, problem in (
        ((one, "018df903-a3c0-7b1e"), "There is no transaction"),
        ((one, 7), "is no id"),
        ((bought, other), "is no transfer"),
        ((other, one), "is a TRANSFER_IN"),
        ((one, one), "is a TRANSFER_OUT"),
        ((one, foreign), "One side is BTC, the other ETH"),
        ((one, linked["ins"][0]["id"]), "linked already, with all it has"),
        ((linked["id"], linked["ins"][0]["id"]), "linked already"),
    ):
        with pytest.raises(UsageError, match=problem) as caught:
            match(deck, *pairs)
        assert caught.value.hint
    with pytest.raises(UsageError, match="needs a reason"):
        match(deck, one, other, reason=" ")
    assert deck.truth() == before


def test_match__twice__refused(deck: Deck) -> None:
    one, other = pair(deck)
    match(deck, one, other)
    with pytest.raises(UsageError, match="linked already"):
        match(deck, one, other)


# -- settle -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "value", "gains"),
    [
        ("payment", "700", ["200"]), ("payment", "0", ["-500"]), ("fee", "450", ["-50"]),
        ("fee", None, ["0"]), ("withdrawal", None, []), ("gift", None, []), ("lost", None, []),
    ],
)  # fmt: skip
def test_settle__an_out__the_lots_leave(deck: Deck, kind: str, value: str | None, gains: list[str]) -> None:
    take(deck, BOUGHT, out())
    told = settle(deck, [ids(deck)["OUT 5 BTC"]], kind, value=value)
    assert told["totals"] == [{"asset_id": "BTC", "transfers": 1, "quantity": "5"}]
    assert books(deck) == ([("main", "5", "500")], gains, 0)
    assert_sound(deck)


@pytest.mark.parametrize("kind", ["deposit", "gift", "opening"])
@pytest.mark.parametrize(("value", "basis"), [("700", "700"), (None, "0")])
def test_settle__an_in__a_lot_with_the_value_told(
    deck: Deck, kind: str, value: str | None, basis: str
) -> None:
    take(deck, into())
    settle(deck, [ids(deck)["IN 5 BTC"]], kind, value=value)
    assert books(deck) == ([("cold", "5", basis)], [], 0)


def test_settle__the_other_side_arrives_later__it_goes_first_by_itself(deck: Deck) -> None:
    take(deck, BOUGHT, out(tx_hash="h"))
    settle(deck, [ids(deck)["OUT 5 BTC"]], "payment", value="1000")
    assert books(deck) == ([("main", "5", "500")], ["500"], 0)
    take(deck, into(quantity="3", tx_hash="h"))
    assert books(deck) == ([("cold", "3", "300"), ("main", "5", "500")], ["200"], 0)
    take(deck, into(quantity="2", tx_hash="h", account="vault"))
    assert books(deck)[1:] == ([], 0)
    assert listed(deck)["counts"]["settled"] == 0


def test_settle__part_that_is_left_over__the_value_is_that_parts(deck: Deck) -> None:
    take(deck, BOUGHT, out(tx_hash="h"), into(quantity="3", tx_hash="h"))
    settle(deck, [ids(deck)["OUT 2 BTC"]], "payment", value="333.333333333333333333")
    (piece,) = deck.ask("lots")["realized"]
    assert (piece["quantity"], piece["proceeds_usd"]) == ("2", "333.333333333333333333")


def test_settle__many_in_one_act__one_decision_each__some_settled_so_before(deck: Deck) -> None:
    take(deck, BOUGHT, out(quantity="1"), out(quantity="2"), out(quantity="3", asset_id="ETH"))
    found = list(ids(deck).values())
    assert settle(deck, found[:1], "fee")["decisions"] == [1]
    told = settle(deck, found, "fee")
    assert (told["settled"], told["already"], told["decisions"]) == (2, found[:1], [2, 3])
    assert deck.sql("SELECT count(DISTINCT committed_at) FROM decisions WHERE decision > 1") == [(1,)]
    assert "touched_from" not in settle(deck, found, "fee")


def test_settle__again_as_something_else__the_last_counts__undo_by_undo(deck: Deck) -> None:
    take(deck, BOUGHT, out())
    one = ids(deck)["OUT 5 BTC"]
    settle(deck, [one], "lost")
    settle(deck, [one], "payment", value="600")
    assert books(deck)[1] == ["100"]
    with pytest.raises(UsageError, match="not the last"):
        undo(deck, 1)
    undo(deck)
    assert listed(deck)["unmatched"][0]["settled"]["as"] == "lost"
    undo(deck)
    assert listed(deck)["unmatched"][0]["settled"] is None
    assert len(deck.ask("lots")["in_transit"]) == 1


def test_settle__refused__with_what_to_do(deck: Deck) -> None:
    one, other = pair(deck)
    take(deck, out(tx_hash="h"), into(tx_hash="h"))
    linked = listed(deck, state="matched")["matched"][0]["id"]
    before = deck.truth()
    for rows, kind, how, problem in (
        ([], "fee", {}, "No transfer was named"),
        ([one], "rent", {}, "not settled as 'rent'"),
        ([one], "deposit", {}, "not settled as deposit"),
        ([other], "lost", {}, "not settled as lost"),
        ([one, other], "fee", {}, "not settled as fee"),
        ([linked], "fee", {}, "nothing left over"),
        ([one], "payment", {}, "needs its value"),
        ([one], "payment", {"value": "-1"}, "never negative"),
        ([one], "payment", {"value": "1e3"}, "no value in USD"),
        ([one], "payment", {"value": 700}, "no value in USD"),
        ([one], "payment", {"value": "10000000000000000000"}, "out of range"),
        ([one], "withdrawal", {"value": "5"}, "has no value"),
        ([one, other], "gift", {"value": "5"}, "One value"),
        ([one], "fee", {"reason": ""}, "needs a reason"),
        ([one], "fee", {"residuals_below": "1"}, "Say what to settle"),
        (None, "fee", {}, "Say what to settle"),
        (None, "fee", {"residuals_below": "1"}, "asset by asset"),
        (None, "gift", {"residuals_below": "1", "asset": "BTC"}, "either side"),
        (None, "fee", {"residuals_below": "0", "asset": "BTC"}, "no limit"),
        (None, "fee", {"residuals_below": "101%", "asset": "BTC"}, "no limit"),
        (None, "fee", {"residuals_below": "-1%", "asset": "BTC"}, "no limit"),
    ):
        with pytest.raises(UsageError, match=problem) as caught:
            settle(deck, rows, kind, **how)  # type: ignore[arg-type]
        assert caught.value.hint
    assert deck.truth() == before


def test_settle__value_just_in_range(deck: Deck) -> None:
    take(deck, into())
    settle(deck, [ids(deck)["IN 5 BTC"]], "opening", value="9999999999999999999.999999999999999999")
    assert books(deck)[0] == [("cold", "5", "9999999999999999999.999999999999999999")]


# -- residuals ----------------------------------------------------------------------------------------


def residuals(deck: Deck, below: str, asset: str = "BTC", kind: str = "fee", **how: Any) -> list[str]:
    asked = {"residuals_below": below, "asset": asset, "as": kind, "reason": "gas"} | how
    return [row["quantity"] for row in act(deck, "transfer_settle", **asked)["rows"]]


@pytest.mark.parametrize(
    ("below", "found"),
    [
        ("0.01", []), ("0.010000000000000001", ["0.01"]), ("0.3", ["0.01", "0.2"]), ("0.2%", []),
        ("0.21%", ["0.01"]), ("4%", ["0.01"]), ("4.1%", ["0.01", "0.2"]),
    ],
)  # fmt: skip
def test_residuals__strictly_below__of_linked_transfers_of_the_asset(
    deck: Deck, below: str, found: list[str]
) -> None:
    take(
        deck, out(tx_hash="h"), into(tx_hash="h", quantity="4.99"),
        out(external_id="e"), into(external_id="e", quantity="4.8"), out(quantity="0.001"),
        out(asset_id="ETH", tx_hash="g"), into(asset_id="ETH", tx_hash="g", quantity="4.999"),
    )  # fmt: skip
    assert sorted(residuals(deck, below, dry_run=True)) == found


def test_residuals__settled_ones_are_left_alone__and_the_other_side_too(deck: Deck) -> None:
    sent, got = out(tx_hash="h"), into(tx_hash="h", quantity="4.99")
    take(deck, sent, got, out(tx_hash="g"), into(tx_hash="g", quantity="5.1"))
    assert residuals(deck, "1") == ["0.01"]
    assert residuals(deck, "1") == []
    assert residuals(deck, "1", kind="deposit") == ["0.1"]


# -- supersession, order, digest ------------------------------------------------------------------------


def test_decision__follows_to_the_row_that_superseded_its_own(deck: Deck) -> None:
    take(deck, BOUGHT, out(external_id="e"), into())
    found = ids(deck)
    match(deck, found["OUT 5 BTC"], found["IN 5 BTC"])
    (row,) = held(deck, out(external_id="e", quantity="6"))
    release(deck, [row], supersede=found["OUT 5 BTC"])
    assert [one["quantity"] for one in listed(deck)["matched"]] == ["5"]
    (left,) = listed(deck)["unmatched"]
    assert (left["quantity"], left["whole"]) == ("1", "6")
    with pytest.raises(UsageError, match="is superseded, by"):
        settle(deck, [found["OUT 5 BTC"]], "lost")
    undo(deck)
    assert listed(deck)["unmatched"] == []


def test_decision__its_row_was_taken_back__does_nothing_until_it_counts_again(deck: Deck) -> None:
    take(deck, BOUGHT, into())
    (row,) = held(deck, out(external_id="e", account=""))
    act(deck, "quarantine_fix", ids=[row], set={"account": "main"})
    release(deck, [row])
    found = ids(deck)
    number = match(deck, found["OUT 5 BTC"], found["IN 5 BTC"])["decisions"][0]
    released = number - 1
    undo(deck, released)
    assert listed(deck)["counts"] == {"matched": 0, "in_transit": 0, "unmatched": 1, "settled": 0}
    with pytest.raises(UsageError, match="was taken back"):
        match(deck, found["OUT 5 BTC"], found["IN 5 BTC"])
    release(deck, [row])
    assert listed(deck)["counts"]["matched"] == 1


def test_match_in_two_homes__files_in_another_order__the_same_digest(new_deck: NewDeck) -> None:
    """The OUT has no id of its own in one file and a given one in another: whichever comes first names it."""
    given = "018df903-a3c0-7b1e-8c55-0242ac120002"
    files = [
        [BOUGHT, out(external_id="e", tx_hash="h")],
        [out(external_id="e", tx_hash="h", id=given)],
        [into(), into(quantity="7", asset_id="ETH")],
    ]
    digests = []
    for name, order in (("one", (0, 1, 2)), ("two", (2, 1, 0))):
        deck = new_deck(name)
        for place in order:
            take(deck, *files[place])
        found = ids(deck)
        match(deck, given, found["IN 5 BTC"])
        settle(deck, [found["IN 7 ETH"]], "opening", value="70.0")
        digests.append(deck.digest())
    assert digests[0] == digests[1]


# -- list ---------------------------------------------------------------------------------------------


def test_list__states_counts_and_ages(deck: Deck) -> None:
    """The deck's clock stands at 2026-01-01."""
    take(
        deck, out(tx_hash="h"), into(tx_hash="h"), out(asset_id="ETH", quantity="2"),
        out(tx_hash="late", timestamp="2025-12-31T23:00:00Z"),
        into(tx_hash="late", timestamp="2026-01-01T05:00:00Z"),
    )  # fmt: skip
    told = listed(deck)
    assert told["counts"] == {"matched": 1, "in_transit": 1, "unmatched": 1, "settled": 0}
    assert told["in_transit"][0]["in_at"] == "2026-01-01T05:00:00Z"
    assert told["unmatched"][0]["age_s"] == told["oldest_s"] == 304 * 86_400 + 14 * 3_600
    assert listed(deck, state="matched")["unmatched"] == []
    assert [len(listed(deck, asset="ETH")[name]) for name in ("matched", "unmatched")] == [0, 1]
    assert len(listed(deck, account="cold")["matched"]) == 1
    with pytest.raises(UsageError, match="no account 'nobody'"):
        listed(deck, account="nobody")
    assert listed(deck, limit=0)["matched"] == []


def test_list__page_by_page__every_row_once_then_no_next(deck: Deck) -> None:
    take(deck, *(out(quantity=str(number)) for number in range(1, 6)))
    whole = listed(deck)
    assert (len(whole["unmatched"]), whole["next"]) == (5, None)
    pages, offset = [], 0
    while offset is not None:
        pages.append(listed(deck, limit=2, offset=offset))
        offset = pages[-1]["next"]
    assert [row for page in pages for row in page["unmatched"]] == whole["unmatched"]
    assert {page["counts"]["unmatched"] for page in pages} == {5}
    assert listed(deck, limit=0)["next"] is None


def test_list__as_many_as_a_page_has__unless_another_limit_is_asked_for(
    deck: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    take(deck, *(out(quantity=str(number)) for number in range(1, 4)))
    monkeypatch.setattr("engine.runtime.desk.transfer_list.ROWS_MOST", 2)
    assert [len(listed(deck, **filters)["unmatched"]) for filters in ({}, {"limit": 9})] == [2, 3]
    assert listed(deck)["next"] == 2


def test_list__candidate__told_with_its_distance(deck: Deck) -> None:
    one, other = pair(deck)
    row = next(row for row in listed(deck)["unmatched"] if row["id"] == one)
    assert row["candidates"] == [
        {
            "id": other, "account": "cold", "at": "2025-03-02T11:00:00Z", "quantity": "5",
            "quantity_diff": "0", "hours_apart": 1.0, "settled": False, "score_reason": "the same quantity",
        }
    ]  # fmt: skip


def test_list__within_one_account__cancelled(deck: Deck) -> None:
    take(deck, out(tx_hash="h"), into(tx_hash="h", account="main"))
    (group,) = listed(deck)["matched"]
    assert (group["quantity"], group["cancelled"]) == ("0", "5")


@pytest.mark.parametrize("filters", [{"state": "lost"}, {"limit": -1}, {"limit": True}, {"offset": -1}])
def test_list__what_makes_no_sense__refused(deck: Deck, filters: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        listed(deck, **filters)


# -- the alert ----------------------------------------------------------------------------------------


def test_alert__count_and_oldest__gone_once_all_are_matched_or_settled(deck: Deck) -> None:
    def alerts() -> list[str]:
        return [one["text"] for one in deck.ask("status")["alerts"] if one["code"] == "TRANSFERS_UNMATCHED"]

    assert alerts() == []
    one, other = pair(deck)
    assert alerts() == ["2 transfers have no other side, the oldest for 304 days"]
    match(deck, one, other)
    assert alerts() == []
    undo(deck)
    settle(deck, [other], "deposit")
    assert alerts() == ["1 transfer has no other side, the oldest for 304 days"]

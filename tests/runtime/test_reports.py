"""Reports, traces, values and imagined sales over small homes: figures a tax adviser can redo by hand."""

from decimal import Decimal
from typing import Any

import pytest

from engine.domain.money import to_scaled, to_text
from engine.errors import UsageError
from engine.runtime.lot_pages import SORTS
from engine.runtime.tasks import ACTS
from tests.runtime.deck import FX_COLUMNS, PRICE_COLUMNS, Deck, Row, bar, buy, rate, to_csv
from tests.runtime.desk import ACTOR, take


def row(at: str, action: str, quantity: str, price: str = "", **fields: str) -> Row:
    return buy(timestamp=at, action=action, quantity=quantity, unit_price_usd=price, **fields)


def setting(deck: Deck, text: str) -> None:
    path = deck.path / "navdeck.toml"
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def prices(deck: Deck, *bars: Row) -> None:
    number = len(list(deck.path.parent.glob("*-files/prices-*")))
    deck.ingest(deck.file(f"prices-{number}.csv", to_csv(list(bars), PRICE_COLUMNS)))


def rates(deck: Deck, *rows: Row) -> None:
    deck.ingest(deck.file("fx.csv", to_csv(list(rows), FX_COLUMNS)))


def gains(deck: Deck, by: str, *names: str, **which: Any) -> list[tuple[Any, ...]]:
    """Chosen columns of `report gains`."""
    return [tuple(one[name] for name in names) for one in deck.ask("report_gains", by=by, **which)["rows"]]


# -- gains --------------------------------------------------------------------------------------------

HISTORY = (
    row("2023-03-01T10:00:00Z", "BUY", "2", "100"),
    row("2023-09-01T10:00:00Z", "BUY", "1", "130", account="cold"),
    row("2024-03-01T10:00:00Z", "SELL", "0.5", "300"),  # exactly a year: short, 100
    row("2024-03-02T10:00:00Z", "SELL", "0.5", "300"),  # long, 100
    row("2025-01-05T10:00:00Z", "SELL", "0.5", "50", account="cold"),  # long, -40
    row("2025-01-06T10:00:00Z", "SELL", "1", "10", asset_id="ETH"),  # never bought: unknown, 10
)


def test_gains__by_year_and_term__sums_and_counts(deck: Deck) -> None:
    take(deck, *HISTORY)
    names = ("year", "pieces", "flagged", "proceeds_usd", "cost_basis_usd", "gain_usd", "gain_short_usd",
             "gain_long_usd", "gain_unknown_usd")  # fmt: skip
    assert gains(deck, "year", *names) == [
        (2024, 2, 0, "300", "100", "200", "100", "100", "0"),
        (2025, 2, 1, "35", "65", "-30", "0", "-40", "10"),
    ]
    total = deck.ask("report_gains")["total"]
    assert (total["pieces"], total["gain_usd"], total["reasons"]) == (4, "170", [])
    assert gains(deck, "term", "term", "gain_usd") == [
        ("long", "60"), ("short", "100"), ("unknown", "10"),
    ]  # fmt: skip
    assert gains(deck, "account", "account", "gain_usd") == [("cold", "-40"), ("main", "210")]
    assert gains(deck, "asset", "asset_id", "gain_usd") == [("BTC", "160"), ("ETH", "10")]


def test_gains__narrowed__to_year_account_and_asset(deck: Deck) -> None:
    take(deck, *HISTORY)
    assert gains(deck, "row", "gain_usd", year=2024) == [("100",), ("100",)]
    assert gains(deck, "row", "gain_usd", account="cold") == [("-40",)]
    assert gains(deck, "row", "gain_usd", asset="ETH", year=2025) == [("10",)]
    empty = deck.ask("report_gains", by="row", year=1999)
    assert (empty["rows"], empty["total"]["gain_usd"]) == ([], "0")
    assert "gain_usd" in empty["columns"]


def test_gains__rows__name_both_ends_by_their_ids(deck: Deck) -> None:
    take(deck, *HISTORY)
    ids = dict(deck.sql("SELECT ts, lower(hex(id)) FROM tx"))
    sold, none = (deck.ask("report_gains", by="row", asset=asset)["rows"][0] for asset in ("BTC", "ETH"))
    assert sold["acquisition_tx"].replace("-", "") == ids[min(ids)]
    assert sold["disposal_tx"].replace("-", "") == ids[sorted(ids)[2]]
    assert (sold["kind"], sold["term"], sold["fee"]) == ("SELL", "short", None)
    assert (none["acquired_at"], none["acquisition_tx"], none["flags"]) == (None, None, ["INSUFFICIENT_LOTS"])


def test_gains__thirds__add_up_to_the_last_digit(deck: Deck) -> None:
    """A basis of 1 over three sales: rounded parts, exact sums."""
    take(deck, row("2024-01-01T00:00:00Z", "BUY", "3", "0.333333333333333333", fee_asset="USD",
                   fee_amount="0.000000000000000002"),
         *(row(f"2024-02-0{n}T00:00:00Z", "SELL", "1", "0.1") for n in (1, 2, 3)))  # fmt: skip
    pieces = deck.ask("report_gains", by="row")["rows"]
    total = deck.ask("report_gains")["total"]
    assert total["cost_basis_usd"] == "1.000000000000000001"
    assert to_text(sum(to_scaled(piece["gain_usd"]) for piece in pieces)) == total["gain_usd"]


def test_year__by_the_tax_zone_s_dates__over_midnight(deck: Deck) -> None:
    take(deck, row("2024-01-01T12:00:00Z", "BUY", "1", "10"),
         row("2024-12-31T23:30:00Z", "SELL", "1", "20"))  # fmt: skip
    assert gains(deck, "year", "year") == [(2024,)]
    setting(deck, '\n[tax]\ntimezone = "Europe/Berlin"\n')
    assert gains(deck, "year", "year") == [(2025,)]
    assert gains(deck, "row", "gain_usd", year=2024) == []
    assert deck.ask("report_gains")["timezone"] == "Europe/Berlin"


def test_term__by_the_tax_zone_s_dates__a_day_more_or_less(deck: Deck) -> None:
    """In New York it was bought on 1 March and sold on 1 March; in Tokyo on the 2nd of both: always short;
    but where the purchase falls before midnight and the sale after it, a day more has passed."""
    take(deck, row("2023-03-01T20:00:00Z", "BUY", "1", "10"),
         row("2024-03-02T03:00:00Z", "SELL", "1", "20"))  # fmt: skip
    told = {}
    for zone in ("UTC", "America/New_York", "Asia/Tokyo"):
        (deck.path / "navdeck.toml").write_text(f'[tax]\ntimezone = "{zone}"\n', encoding="utf-8")
        told[zone] = gains(deck, "row", "term")[0][0]
    assert told == {"UTC": "long", "America/New_York": "short", "Asia/Tokyo": "short"}


def test_holding_period__as_configured(deck: Deck) -> None:
    take(deck, *HISTORY)
    setting(deck, '\n[tax]\nholding = "366d"\n')
    assert gains(deck, "row", "term", year=2024) == [("short",), ("long",)]
    (deck.path / "navdeck.toml").write_text('[tax]\nholding = "6m"\n', encoding="utf-8")
    assert gains(deck, "row", "term", year=2024) == [("long",), ("long",)]


@pytest.mark.parametrize("arguments", [{"by": "month"}, {"year": 12}, {"year": "2024"}])
def test_report__that_makes_no_sense__refused(deck: Deck, arguments: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        deck.ask("report_gains", **arguments)


# -- a fee in kind ------------------------------------------------------------------------------------

FEE = (
    row("2024-05-01T10:00:00Z", "BUY", "10", "2", asset_id="BNB"),
    row("2024-05-02T10:01:00Z", "BUY", "1", "100", fee_asset="BNB", fee_amount="1"),
)
BNB = bar(asset_id="BNB", resolution="5m", bucket_close="2024-05-02T10:05:00Z", close="3")


def test_fee_in_kind__at_basis__at_market_if_configured__books_unchanged(deck: Deck) -> None:
    take(deck, *FEE)
    prices(deck, BNB)
    names = ("proceeds_usd", "cost_basis_usd", "gain_usd", "fee")
    assert gains(deck, "row", *names) == [("2", "2", "0", "basis")]
    before = deck.fingerprint()
    setting(deck, '\n[lots]\nfee_in_kind = "market"\n')
    assert gains(deck, "row", *names) == [("3", "2", "1", "market")]
    assert deck.ask("report_gains")["total"]["unpriced"] == 0
    assert deck.fingerprint() == before
    assert deck.ask("lots")["realized"][0]["proceeds_usd"] == "2"


@pytest.mark.parametrize(
    "other",
    [
        {"bucket_close": "2024-05-02T10:00:00Z"},  # the bucket before
        {"bucket_close": "2024-05-02T10:10:00Z"},  # the bucket after
        {"bucket_close": "2024-05-03T00:00:00Z", "resolution": "1d"},  # a coarser bar prices no finer bucket
        {"quote_currency": "EUR"},  # no rate
    ],
)
def test_fee_in_kind__no_price_of_its_bucket__stays_at_basis_and_is_counted(
    deck: Deck, other: dict[str, str]
) -> None:
    take(deck, *FEE)
    prices(deck, BNB | other)
    setting(deck, '\n[lots]\nfee_in_kind = "market"\n')
    assert gains(deck, "row", "proceeds_usd", "fee") == [("2", "unpriced")]
    assert deck.ask("report_gains")["total"]["unpriced"] == 1


def test_fee_in_kind__quoted_in_another_currency__converted(deck: Deck) -> None:
    take(deck, *FEE)
    prices(deck, BNB | {"quote_currency": "EUR"})
    rates(deck, rate(asof="2024-05-02T10:00:00Z", resolution="5m", fx_source="feed", rate="1.5"))
    setting(deck, '\n[lots]\nfee_in_kind = "market"\n')
    assert gains(deck, "row", "proceeds_usd", "fee") == [("4.5", "market")]


def test_fee_with_a_value_of_its_own__is_none_at_basis(deck: Deck) -> None:
    """Paid in the coin that is sold, at its price; from a lot whose own purchase paid a fee in a third."""
    take(deck, *FEE, row("2024-05-03T10:01:00Z", "SELL", "0.5", "100", fee_asset="BTC", fee_amount="0.1"),
         row("2024-05-03T11:00:00Z", "FEE", "0.1", "100"),
         row("2024-05-03T12:00:00Z", "FEE", "0.1"))  # fmt: skip
    fees = [
        (kind, fee) for kind, asset, fee in gains(deck, "row", "kind", "asset_id", "fee") if asset == "BTC"
    ]
    assert fees == [("SELL", None), ("FEE", None), ("FEE", None), ("FEE", "basis")]


# -- income -------------------------------------------------------------------------------------------


def test_income__by_kind__unvalued_apart_and_never_zero(deck: Deck) -> None:
    take(deck, row("2024-01-01T00:00:00Z", "STAKING_REWARD", "2", "3"),
         row("2024-01-02T00:00:00Z", "STAKING_REWARD", "5"),
         row("2024-01-03T00:00:00Z", "AIRDROP", "7"),
         row("2025-01-03T00:00:00Z", "INCOME", "1", "0"),
         row("2025-01-04T00:00:00Z", "INCOME", "12.5", asset_id="USD"))  # fmt: skip
    found = deck.ask("report_income")
    names = ("kind", "count", "unvalued", "income_usd", "reasons")
    assert [tuple(one[name] for name in names) for one in found["rows"]] == [
        ("AIRDROP", 1, 1, None, ["NO_BASIS"]),
        ("INCOME", 2, 0, "12.5", []),
        ("STAKING_REWARD", 2, 1, "6", []),
    ]
    assert (found["total"]["unvalued"], found["total"]["income_usd"]) == (2, "18.5")
    assert [one["income_usd"] for one in deck.ask("report_income", by="year")["rows"]] == ["6", "12.5"]
    assert deck.ask("report_income", by="row", asset="USD")["rows"][0]["kind"] == "INCOME"


# -- a trace ------------------------------------------------------------------------------------------


def tx_of(deck: Deck, at: str) -> str:
    """The id of the row of an instant."""
    pieces = deck.sql("SELECT lower(hex(id)) FROM tx ORDER BY ts")
    order = sorted({one["timestamp"] for one in MOVED})
    return str(pieces[order.index(at)][0])


MOVED = (
    row("2024-01-01T00:00:00Z", "BUY", "3", "10", fee_asset="USD", fee_amount="3"),
    row("2024-01-02T00:00:00Z", "TRANSFER_OUT", "2", tx_hash="h1"),
    row("2024-01-03T00:00:00Z", "TRANSFER_IN", "2", tx_hash="h1", account="cold"),
    row("2024-01-04T00:00:00Z", "SELL", "1.5", "20", account="cold"),
    row("2024-01-05T00:00:00Z", "SELL", "0.25", "30"),
    row("2024-01-06T00:00:00Z", "TRANSFER_OUT", "0.5", account="cold"),
)


def test_trace__from_a_sale_to_its_lot_its_fee_its_transfer_and_its_line(deck: Deck) -> None:
    take(deck, *MOVED)
    told = deck.ask("lots_explain", tx=tx_of(deck, "2024-01-04T00:00:00Z"))
    (piece,) = told["taken"]
    assert (piece["quantity"], piece["cost_basis_usd"], piece["gain_usd"]) == ("1.5", "16.5", "13.5")
    lot = piece["lot"]
    assert (lot["action"], lot["file"], lot["line"], lot["account"]) == ("BUY", "take-0.csv", 2, "main")
    assert (lot["whole_quantity"], lot["whole_basis_usd"], lot["fee_in_basis_usd"]) == ("3", "33", "3")
    (hop,) = piece["via"]
    assert (hop["out"]["line"], hop["in"]["line"]) == (3, 4)
    assert (told["made"], told["parts"], told["transfers"]) == (None, [], [])


def test_trace__from_a_purchase_to_all_that_became_of_it__adds_up(deck: Deck) -> None:
    take(deck, *MOVED)
    told = deck.ask("lots_explain", tx=tx_of(deck, "2024-01-01T00:00:00Z"))
    assert told["taken"] == []
    parts = [(p["status"], p["account"], p["quantity"], (p["by"] or {}).get("line")) for p in told["parts"]]
    assert parts == [
        ("open", "main", "0.75", None),
        ("in_transit", "cold", "0.5", 7),
        ("realized", "cold", "1.5", 5),
        ("realized", "main", "0.25", 6),
    ]
    for name, whole in (("quantity", "3"), ("cost_basis_usd", "33")):
        assert to_text(sum(to_scaled(part[name]) for part in told["parts"])) == whole
    assert [len(part["via"]) for part in told["parts"]] == [0, 1, 1, 0]


def test_trace__each_lot_by_the_transfers_that_carried_it(deck: Deck) -> None:
    """Two purchases; the first goes to cold and on to a safe, then comes the second by another way."""

    def move(day: int, source: str, to: str, tx_hash: str) -> list[Row]:
        at = f"2024-02-{day:02d}T00:00:00Z"
        return [
            row(at, "TRANSFER_OUT", "1", account=source, tx_hash=tx_hash),
            row(at, "TRANSFER_IN", "1", account=to, tx_hash=tx_hash),
        ]

    take(
        deck,
        row("2024-01-01T00:00:00Z", "BUY", "1", "10"),
        row("2024-01-02T00:00:00Z", "BUY", "1", "20"),
        *move(1, "main", "cold", "h1"),
        *move(2, "cold", "safe", "h2"),
        *move(3, "main", "safe", "h3"),
        row("2024-03-01T00:00:00Z", "SELL", "2", "30", account="safe"),
    )
    sale = str(deck.sql("SELECT lower(hex(id)) FROM tx ORDER BY ts DESC")[0][0])
    ways = {
        piece["cost_basis_usd"]: [(hop["out"]["account"], hop["in"]["account"]) for hop in piece["via"]]
        for piece in deck.ask("lots_explain", tx=sale)["taken"]
    }
    assert ways == {"10": [("main", "cold"), ("cold", "safe")], "20": [("main", "safe")]}


def test_trace__of_some_assets_only__has_the_figures_of_the_whole_books(deck: Deck) -> None:
    """BTC paid its fee in BNB, BNB its own in ETH: the basis of all three hangs together; DOGE is apart."""
    take(
        deck,
        row("2024-04-01T10:00:00Z", "BUY", "7", "11", asset_id="ETH"),
        *(row("2024-04-02T10:00:00Z", "BUY", "9", "1", asset_id="DOGE"),) * 2,
        row("2024-05-01T10:00:00Z", "BUY", "3", "2", asset_id="BNB", fee_asset="ETH", fee_amount="0.7"),
        row("2024-05-02T10:01:00Z", "BUY", "1", "100", fee_asset="BNB", fee_amount="1"),
        row("2024-05-03T10:01:00Z", "SELL", "0.3", "200", fee_asset="DOGE", fee_amount="0.1"),
    )
    whole = {
        (piece["asset_id"], piece["disposed_at"]): piece["cost_basis_usd"]
        for piece in deck.ask("lots")["realized"]
    }
    sale = str(deck.sql("SELECT lower(hex(id)) FROM tx ORDER BY ts DESC")[0][0])
    taken = deck.ask("lots_explain", tx=sale)["taken"]
    assert {piece["asset_id"] for piece in taken} == {"BTC", "DOGE"}
    assert all(whole[one["asset_id"], one["at"]] == one["cost_basis_usd"] for one in taken)


def test_trace__what_an_operator_settled__is_told_by_the_row_it_left_with(deck: Deck) -> None:
    take(deck, *MOVED)
    sent = str(deck.sql("SELECT lower(hex(id)) FROM tx ORDER BY ts DESC")[0][0])
    told = {"ids": [sent], "as": "gift", "value": None}
    ACTS["transfer_settle"](str(deck.path), deck.clock(), told, ACTOR, "for a friend", False)
    found = deck.ask("lots_explain", tx=tx_of(deck, "2024-01-01T00:00:00Z"))
    parts = {part["status"]: part for part in found["parts"]}
    assert (parts["settled"]["quantity"], parts["settled"]["by"]["line"]) == ("0.5", 7)
    assert found["made"]["whole_basis_usd"] == "33"
    assert deck.ask("lots_page")["total"] == 1


def test_trace__of_a_transfer__names_its_other_side(deck: Deck) -> None:
    take(deck, *MOVED)
    told = deck.ask("lots_explain", tx=tx_of(deck, "2024-01-03T00:00:00Z"))
    (hop,) = told["transfers"]
    assert (hop["out"]["account"], hop["in"]["account"]) == ("main", "cold")
    with pytest.raises(UsageError):
        deck.ask("lots_explain", tx="ffffffff")


# -- lots at a bucket ---------------------------------------------------------------------------------


def test_lots_at__age_value_and_gain_at_the_close(deck: Deck) -> None:
    take(deck, row("2024-01-01T12:00:00Z", "BUY", "2", "10"),
         row("2024-01-02T12:00:00Z", "BUY", "1", "30", asset_id="ETH"),
         row("2024-01-04T00:00:00Z", "BUY", "1", "10"))  # fmt: skip
    prices(deck, bar(bucket_close="2024-01-03T00:00:00Z", close="15"))
    found = deck.ask("lots_at", at="2024-01-03T18:00:00Z")
    assert (found["at"], found["resolution"]) == ("2024-01-03T00:00:00Z", "1d")
    btc, eth = found["open_lots"]
    assert (btc["value_usd"], btc["unrealized_gain_usd"], btc["age_s"]) == ("30", "10", 36 * 3600)
    assert (eth["value_usd"], eth["unrealized_gain_usd"], eth["reason"]) == (None, None, "NO_PRICE")
    assert found["total"] == {
        "lots": 2, "unvalued": 1, "cost_basis_usd": "50", "value_usd": None, "unrealized_gain_usd": None,
        "priced_value_usd": "30", "priced_gain_usd": "10",
    }  # fmt: skip


def test_lots_at__other_base_currency__still_in_usd__no_rate_says_so(deck: Deck) -> None:
    (deck.path / "navdeck.toml").write_text('base_currency = "EUR"\n', encoding="utf-8")
    deck.sql("UPDATE meta SET value = 'EUR' WHERE key = 'base_currency'")
    take(deck, row("2024-01-01T12:00:00Z", "BUY", "2", "10"),
         row("2024-01-01T12:00:00Z", "BUY", "1", "30", asset_id="ETH"))  # fmt: skip
    close = bar(bucket_close="2024-01-03T00:00:00Z", close="15")
    prices(deck, close, close | {"asset_id": "ETH", "quote_currency": "EUR"})
    btc, eth = deck.ask("lots_at", at="2024-01-03")["open_lots"]
    assert (btc["value_usd"], eth["value_usd"], eth["reason"]) == ("30", None, "NO_FX")
    rates(deck, rate(asof="2024-01-02T23:50:00Z", resolution="5m", fx_source="feed", rate="1.2"))
    btc, eth = deck.ask("lots_at", at="2024-01-03")["open_lots"]
    assert (eth["value_usd"], eth["unrealized_gain_usd"]) == ("18", "-12")


def test_lots_at__more_left_than_came__position_break(deck: Deck) -> None:
    take(deck, row("2024-01-01T12:00:00Z", "SELL", "2", "10"), row("2024-01-01T13:00:00Z", "BUY", "1", "10"))
    prices(deck, bar(bucket_close="2024-01-03T00:00:00Z", close="15"))
    (lot,) = deck.ask("lots_at", at="2024-01-03")["open_lots"]
    assert (lot["value_usd"], lot["reason"]) == (None, "POSITION_BREAK")


# -- an imagined sale ---------------------------------------------------------------------------------


def imagine(deck: Deck, **sale: str) -> dict[str, dict[str, Any]]:
    usual = {"asset": "BTC", "account": "main", "quantity": "1.5", "price": "40", "at": "2025-02-01"}
    return {one["method"]: one for one in deck.ask("what_if", **usual | sale)["methods"]}


BOUGHT = (
    row("2023-01-01T00:00:00Z", "BUY", "1", "20"),
    row("2023-06-01T00:00:00Z", "BUY", "1", "50"),
    row("2024-12-01T00:00:00Z", "BUY", "1", "30"),
)


def test_what_if__each_method_takes_its_own_lots__nothing_is_stored(deck: Deck) -> None:
    take(deck, *BOUGHT)
    before = deck.truth()
    found = imagine(deck)
    names = ("proceeds_usd", "cost_basis_usd", "gain_short_usd", "gain_long_usd")
    assert {method: tuple(one[name] for name in names) for method, one in found.items()} == {
        "FIFO": ("60", "45", "0", "15"),
        "LIFO": ("60", "55", "10", "-5"),
        "HIFO": ("60", "65", "5", "-10"),
    }
    assert [lot["quantity"] for lot in found["HIFO"]["lots"]] == ["1", "0.5"]
    assert {one["left"]["quantity"] for one in found.values()} == {"1.5"}
    assert found["LIFO"]["left"] == {"lots": 2, "quantity": "1.5", "cost_basis_usd": "45"}
    assert deck.truth() == before


def test_what_if__before_the_last_purchase__takes_only_what_was_there(deck: Deck) -> None:
    take(deck, *BOUGHT)
    assert {one["left"]["lots"] for one in imagine(deck, at="2024-01-01").values()} == {1}


def test_what_if__more_than_is_held__says_how_much(deck: Deck) -> None:
    take(deck, *BOUGHT)
    assert {one["insufficient"] for one in imagine(deck, quantity="5").values()} == {"2"}


def test_what_if__basis_that_hangs_on_a_fee_in_another_asset__is_as_in_the_books(deck: Deck) -> None:
    take(deck, *FEE)
    assert imagine(deck, quantity="1", at="2024-06-01")["FIFO"]["cost_basis_usd"] == "102"


@pytest.mark.parametrize(
    "sale",
    [{"quantity": "0"}, {"quantity": "-1"}, {"quantity": "1e5"}, {"price": "x"}, {"asset": "USD"},
     {"asset": "DOGE"}, {"account": "none"}, {"at": "soon"}, {"quantity": "9" * 20}],
)  # fmt: skip
def test_what_if__that_no_file_could_bring__refused(deck: Deck, sale: dict[str, str]) -> None:
    take(deck, *BOUGHT)
    with pytest.raises(UsageError):
        imagine(deck, **sale)


# -- pages --------------------------------------------------------------------------------------------


def test_pages__filtered_newest_first__sums_of_all_rows(deck: Deck) -> None:
    take(deck, *HISTORY)
    page = deck.ask("lots_page", state="realized", limit=1)
    assert (page["total"], [one["asset_id"] for one in page["rows"]]) == (4, ["ETH"])
    assert page["sums"] == {"proceeds_usd": "335", "cost_basis_usd": "165", "gain_usd": "170"}
    rest = deck.ask("lots_page", state="realized", offset=1, text="btc")
    assert [one["gain_usd"] for one in rest["rows"]] == ["100", "100"]
    assert deck.ask("lots_page", state="realized", not_text="short", asset="btc")["total"] == 2
    assert deck.ask("lots_page", state="realized", text="2024-03-02 BTC")["total"] == 1
    assert deck.ask("lots_page", state="realized", matching="^(eth|short)$", not_matching="btc")["total"] == 1
    assert deck.ask("lots_page", state="open", account="COLD")["rows"][0]["quantity"] == "0.5"


def test_pages__sorted__by_value_both_ways(deck: Deck) -> None:
    take(deck, *HISTORY)
    for state, names in SORTS.items():
        own = deck.ask("lots_page", state=state)["rows"]
        for name in names:
            for down in (False, True):
                rows = deck.ask("lots_page", state=state, sort=name, descending=down)["rows"]
                is_number = name.endswith("usd") or name == "quantity"
                known = [
                    Decimal(row[name]) if is_number else row[name] for row in rows if row[name] is not None
                ]
                assert known == sorted(known, reverse=down)
                assert sorted(map(str, rows)) == sorted(map(str, own))
    with pytest.raises(UsageError):
        deck.ask("lots_page", sort="gain_usd")


def test_pages__after_more_was_taken_in__are_of_the_new_books(deck: Deck) -> None:
    ticks = iter(range(deck.clock(), 2 * deck.clock(), 1_000_000))
    deck.clock = lambda: next(ticks)
    take(deck, HISTORY[0])
    assert deck.ask("lots_page")["total"] == 1
    take(deck, HISTORY[1])
    assert deck.ask("lots_page")["total"] == 2
    for wrong in ({"state": "sold"}, {"offset": -1}, {"limit": True}):
        with pytest.raises(UsageError):
            deck.ask("lots_page", **wrong)


# -- beyond the range ---------------------------------------------------------------------------------


def test_basis_beyond_38_digits__null_with_the_reason__never_zero(deck: Deck) -> None:
    """A fee of 9 x 10^18 EUR at 100 USD each is a basis that no decimal holds."""
    rates(deck, rate(rate="100", asof="2024-04-30T14:00:00Z"))
    take(deck, row("2024-05-01T00:00:00Z", "BUY", "2", "10", fee_asset="EUR", fee_amount="9" + "0" * 18),
         row("2024-05-02T00:00:00Z", "SELL", "1", "30"))  # fmt: skip
    prices(deck, bar(bucket_close="2024-05-03T00:00:00Z", close="15"))
    lots = deck.ask("lots")
    (lot,), (piece,) = lots["open_lots"], lots["realized"]
    assert (lot["cost_basis_usd"], lot["flags"]) == (None, ["VALUE_OUT_OF_RANGE"])
    assert (piece["proceeds_usd"], piece["cost_basis_usd"], piece["gain_usd"]) == ("30", None, None)
    assert piece["flags"] == ["VALUE_OUT_OF_RANGE"]

    found = deck.ask("lots_at", at="2024-05-03T00:00:00Z")
    (lot,) = found["open_lots"]
    assert (lot["value_usd"], lot["unrealized_gain_usd"], lot["reason"]) == ("15", None, "VALUE_OUT_OF_RANGE")
    assert (found["total"]["cost_basis_usd"], found["total"]["unvalued"]) == (None, 1)

    bought = deck.sql("SELECT lower(hex(id)) FROM tx ORDER BY ts")[0][0]
    made = deck.ask("lots_explain", tx=bought)["made"]
    assert made == {"whole_quantity": "2", "whole_basis_usd": None, "fee_in_basis_usd": None}
    imagined = imagine(deck, quantity="0.5")["FIFO"]
    assert (imagined["left"]["quantity"], imagined["left"]["cost_basis_usd"]) == ("0.5", None)

"""A name that nobody has is told as a mistake, with those that there are; never answered by nothing."""

from typing import Any

import pytest

from engine.errors import UsageError
from engine.messages import Command
from tests.runtime.deck import PRICE_COLUMNS, Deck, bar, buy, to_csv

BY_ACCOUNT: list[tuple[str, dict[str, Any]]] = [
    ("nav", {}),
    ("metrics", {}),
    ("lots", {}),
    ("lots_at", {"at": "now"}),
    ("report_gains", {}),
    ("report_income", {}),
    ("transfers", {}),
    ("quarantine_page", {"named": True}),
    ("quarantine_ids", {"named": True}),
    ("what_if", {"asset": "BTC", "quantity": "1", "price": "1"}),
]
BY_ASSET: list[tuple[str, dict[str, Any]]] = [
    ("lots", {}),
    ("lots_at", {"at": "now"}),
    ("report_gains", {}),
    ("report_income", {}),
    ("transfers", {}),
    ("assets", {}),
    ("prices_check", {}),
    ("what_if", {"account": "main", "quantity": "1", "price": "1"}),
]


@pytest.fixture
def held(deck: Deck) -> Deck:
    """Two accounts, three assets (one in fees alone), prices of a fourth."""
    deck.take(buy(fee_asset="BNB", fee_amount="1"), buy(asset_id="ETH", account="cold"))
    deck.ingest(deck.file("p.csv", to_csv([bar(asset_id="SOL")], PRICE_COLUMNS)))
    return deck


def test_unknown_account__is_refused__with_the_accounts(held: Deck) -> None:
    for name, arguments in BY_ACCOUNT:
        with pytest.raises(UsageError, match="There is no account 'nope'") as refused:
            held.ask(name, **arguments, account="nope")
        assert refused.value.hint == "Accounts: cold, main.", name
        assert held.ask(name, **arguments, account="main"), name


def test_unknown_asset__is_refused__with_the_assets(held: Deck) -> None:
    for name, arguments in BY_ASSET:
        with pytest.raises(UsageError, match="There is no asset 'btc'") as refused:
            held.ask(name, **arguments, asset="btc")
        assert refused.value.hint.startswith("Assets: BNB, BTC, ETH"), name
        assert held.ask(name, **arguments, asset="BTC"), name


def test_asset_known_by_its_prices_alone__is_known_to_what_looks_at_prices(held: Deck) -> None:
    assert held.ask("prices_check", asset="SOL")["suspicious"] == []
    assert held.ask("gaps", series="SOL")["gaps"] == []
    with pytest.raises(UsageError, match="There is no asset 'SOL'"):
        held.ask("lots", asset="SOL")


def test_gaps_of_an_unknown_series__are_no_all_clear(held: Deck) -> None:
    with pytest.raises(UsageError, match="There is no asset 'nope'"):
        held.ask("gaps", series="nope")
    assert held.ask("gaps", series="EUR/USD")["gaps"] == []


def test_unknown_group__is_refused__with_the_groups(held: Deck) -> None:
    with pytest.raises(UsageError, match="There is no group 'nope'") as refused:
        held.ask("metrics", group="nope")
    assert "[groups]" in refused.value.hint


def test_group_with_an_account_of_no_row__is_refused__not_counted_as_nothing(held: Deck) -> None:
    with held.home.config_path.open("a", encoding="utf-8") as settings:
        settings.write('[groups]\nboth = ["main", "mian"]\n')
    with pytest.raises(UsageError, match="There is no account 'mian'") as refused:
        held.ask("metrics", group="both")
    assert "main" in refused.value.hint


def test_residuals_of_an_unknown_asset__are_refused(held: Deck) -> None:
    wanted = {"residuals_below": "1", "asset": "nope", "as": "fee"}
    with pytest.raises(UsageError, match="There is no asset 'nope'"):
        held.with_engine(
            lambda engine: engine.do(Command("transfer_settle", wanted, "ada", "dust")), writing=True
        )


def test_of_many_names__the_nearest_are_told__whatever_their_case(deck: Deck) -> None:
    deck.take(*(buy(account=f"Wallet-{number}") for number in range(9)), buy(account="x"))
    with pytest.raises(UsageError) as refused:
        deck.ask("nav", account="wallet-3")
    assert refused.value.hint.startswith("Near it: Wallet-3, ")
    assert " x" not in refused.value.hint


def test_new_home__says_that_nothing_was_taken_in(deck: Deck) -> None:
    with pytest.raises(UsageError) as refused:
        deck.ask("lots", account="main")
    assert "navdeck ingest" in refused.value.hint


def test_quarantine__an_account_of_rows_set_aside_alone_is_known__and_typed_filters_may_find_nothing(
    held: Deck,
) -> None:
    held.take(buy(account="Vault", action="buy"))
    assert held.ask("quarantine_page", account="vault", named=True)["total"] == 1
    assert held.ask("quarantine_page", account="main", named=True)["total"] == 0
    assert held.ask("quarantine_page", account="vau")["total"] == 0
    with pytest.raises(UsageError, match="There is no account 'Vault'"):
        held.ask("lots", account="Vault")

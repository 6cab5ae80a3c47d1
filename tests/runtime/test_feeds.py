"""Providers at work for a home: what is missing is fetched from a real server and comes in like any file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.domain.instants import parse_instant
from engine.errors import UsageError
from engine.messages import Command
from tests.providers.players import BinancePlayer, Counter, price_at
from tests.providers.world import Clock, Play, Seen, Server
from tests.runtime.deck import Deck, buy

NOW = "2024-03-06T10:07:00Z"
CANARY = "canary-key-0123456789"


def us(text: str) -> int:
    return parse_instant(text) or 0


@pytest.fixture
def deck(deck: Deck, monkeypatch: pytest.MonkeyPatch) -> Deck:
    """1.5 BTC since the morning of 3 March, no price at all; it is the morning of 6 March."""
    monkeypatch.setenv("NAVDECK_COINGECKO_KEY", CANARY)
    deck.clock = lambda: us(NOW)
    deck.ingest(deck.file("tx.csv", [buy(timestamp="2024-03-03T09:00:00Z")]))
    return deck


def configure(deck: Deck, text: str) -> None:
    with deck.home.config_path.open("a") as file:
        file.write(text)


def served(deck: Deck, play: Callable[[Seen], Play]) -> Server:
    """A server in the deck's configuration."""
    clock = Clock(us(NOW))
    server = Server(clock, play)
    configure(deck, f"""
[providers]
order = ["binance"]
days_5m = 0
days_1h = 1
[providers.binance]
root = "{server.root}"
[providers.binance.ids]
BTC = "BTCUSDT/USDT"
[fx.pegs]
USDT = "USD"
""")  # fmt: skip
    return server


def backfill(deck: Deck, **arguments: Any) -> dict[str, Any]:
    return deck.with_engine(lambda engine: engine.do(Command("backfill", arguments)), writing=True)


def halted(opened: int) -> bool:
    """The exchange stands still from 3 to 5 o'clock of the last morning."""
    return us("2024-03-06T03:00:00Z") <= opened < us("2024-03-06T05:00:00Z")


def test_backfill__what_is_missing__comes_in_like_a_file_and_gaps_stay_gaps(deck: Deck) -> None:
    clock = Clock(us(NOW))
    server = served(deck, BinancePlayer(clock, Counter(clock, 6_000), halted))
    try:
        before = deck.ask("gaps", resolution="1h")["gaps"]
        assert [(row["name"], row["reason"], row["missing"]) for row in before] == [("BTC", "FETCHABLE", 24)]
        done = backfill(deck)
    finally:
        server.close()
    assert done["troubles"] == []
    assert done["ingest"]["totals"]["quarantined"] == 0
    deck.value()
    days = {point["bucket_close"]: point["nav"] for point in deck.ask("nav", resolution="1d")["points"]}
    assert days["2024-03-06T00:00:00Z"] == one_and_a_half("2024-03-06T00:00:00Z")
    left = deck.ask("gaps", resolution="1h")["gaps"]
    assert [(row["from"], row["to"], row["reason"]) for row in left] == [
        ("2024-03-06T04:00:00Z", "2024-03-06T05:00:00Z", "NOT_PUBLISHED")
    ]
    hours = {point["bucket_close"]: point for point in deck.ask("nav", resolution="1h")["points"]}
    assert hours["2024-03-06T03:00:00Z"]["nav"] == one_and_a_half("2024-03-06T03:00:00Z")
    assert hours["2024-03-06T04:00:00Z"]["nav"] is None


def one_and_a_half(close: str) -> str:
    value = f"{float(price_at(us(close))) * 1.5:.3f}"
    return value.rstrip("0").rstrip(".")


def test_backfill__again__asks_nothing_twice(deck: Deck) -> None:
    clock = Clock(us(NOW))
    server = served(deck, BinancePlayer(clock, Counter(clock, 6_000), halted))
    try:
        backfill(deck)
        done = backfill(deck)
    finally:
        server.close()
    assert (done["calls"], done["observations"], done["left"]) == (0, 0, 0)


def test_answers__are_kept_as_they_came(deck: Deck) -> None:
    clock = Clock(us(NOW))
    server = served(deck, BinancePlayer(clock, Counter(clock, 6_000)))
    try:
        backfill(deck, resolution="1h")
    finally:
        server.close()
    kept = list(deck.home.archive.rglob("*.answer"))
    assert kept
    assert all(isinstance(json.loads(path.read_bytes()), list) for path in kept)


def test_refused__frozen_told_and_remembered__until_an_operator_opens_it(deck: Deck) -> None:
    server = served(deck, lambda _: Play(b"{}", 403, {}))
    try:
        done = backfill(deck, resolution="1h")
        assert len(done["troubles"]) == 1
        assert any(kind == "log" and data["kind"] == "provider_frozen" for kind, data in deck.events)
        (row,) = deck.ask("providers")["providers"]
        assert row["state"] == "frozen"
        calls = len(server.seen)
        assert backfill(deck, resolution="1h")["observations"] == 0
        assert len(server.seen) == calls  # nobody was called
        command = Command("provider_open", {"name": "binance"}, actor="ada")
        deck.with_engine(lambda engine: engine.do(command), writing=True)
        backfill(deck, resolution="1h")
        assert len(server.seen) == calls + 1  # one probe
    finally:
        server.close()


def test_closed_by_an_operator__no_call__and_who_and_why(deck: Deck) -> None:
    server = served(deck, lambda _: Play(b"[]", 200, {}))
    try:
        command = Command("provider_close", {"name": "binance"}, actor="ada", reason="maintenance")
        deck.with_engine(lambda engine: engine.do(command), writing=True)
        backfill(deck, resolution="1h")
        assert server.seen == []
    finally:
        server.close()
    (row,) = deck.ask("providers")["providers"]
    assert (row["state"], row["reason"]) == ("shut", "maintenance (ada)")


def test_garbage__no_value_is_invented(deck: Deck) -> None:
    server = served(deck, lambda _: Play(b"<html>", 200, {}))
    try:
        done = backfill(deck, resolution="1h")
    finally:
        server.close()
    assert (done["observations"], done["files"]) == (0, [])
    assert deck.sql("SELECT count(*) FROM prices") == [(0,)]


def test_key__is_nowhere_in_the_home(deck: Deck) -> None:
    server = Server(Clock(us(NOW)), lambda seen: Play(json.dumps({"error": CANARY}).encode(), 401, {}))
    configure(deck, f"""
[providers]
order = ["coingecko"]
[providers.coingecko]
root = "{server.root}"
[providers.coingecko.ids]
BTC = "bitcoin/USD"
""")  # fmt: skip
    try:
        told = backfill(deck, resolution="1d")
    finally:
        server.close()
    assert told["troubles"]
    assert CANARY not in json.dumps(told) + json.dumps(deck.events) + json.dumps(deck.ask("providers"))
    assert not [path for path in files_of(deck.path) if CANARY.encode() in path.read_bytes()]


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_nothing_configured__is_refused_with_what_to_do(deck: Deck) -> None:
    with pytest.raises(UsageError, match="No provider is configured"):
        backfill(deck)
    assert deck.ask("providers")["providers"] == []
    assert {row["reason"] for row in deck.ask("gaps", resolution="1d")["gaps"]} == {"NO_PROVIDER"}


@pytest.mark.parametrize("name", ["nobody", "embedded_ecb"])
def test_open__what_makes_no_calls__is_refused(deck: Deck, name: str) -> None:
    configure(deck, '[providers]\norder = ["embedded_ecb"]\npairs = ["EUR/USD"]\n')
    command = Command("provider_open", {"name": name})
    with pytest.raises(UsageError):
        deck.with_engine(lambda engine: engine.do(command), writing=True)


def test_embedded_rates__fill_the_fixings(deck: Deck) -> None:
    configure(deck, '[providers]\norder = ["embedded_ecb"]\npairs = ["EUR/USD"]\n')
    done = backfill(deck, resolution="1d")
    assert done["observations"] == 7  # the TARGET days from a week before the first row on
    assert deck.sql("SELECT rate FROM fx_rates WHERE asof = ?", us("2024-03-05T13:15:00Z")) == [("1.0849",)]

"""A small valued home, and what must hold of its lake whatever was done to it."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from typing import Any

from engine.domain.instants import DAY_US, MINUTE_US, format_instant
from engine.messages import Command, Event, Result
from engine.runtime.compacting import files_below
from engine.runtime.engine import Engine
from engine.store.reader import Reader
from tests.runtime.deck import NOW, PRICE_COLUMNS, Deck, bar, buy, to_csv

DAYS, ASSETS = 3, ("BTC", "ETH")
FIRST_US = 1_740_787_200_000_000  # 2025-03-01
LATER_US = 100 * DAY_US  # after NOW: past every grace, and past some of retention


def fill(deck: Deck) -> None:
    """Some days of two assets at 5m, valued."""
    fill_books(deck)
    deck.value(resolution="5m")


def fill_books(deck: Deck) -> None:
    """Trades and prices of some days of two assets."""
    trades = [buy(timestamp="2025-03-01T00:01:00Z", asset_id=asset, quantity="2") for asset in ASSETS]
    bars = [
        bar(asset_id=asset, resolution="5m", bucket_close=format_instant(FIRST_US + n * 5 * MINUTE_US),
            close=f"{100 + n % 17}.{n % 10}5")
        for asset in ASSETS for n in range(1, DAYS * 288 + 1)
    ]  # fmt: skip
    deck.ingest(deck.file("trades.csv", trades), deck.file("bars.csv", to_csv(bars, PRICE_COLUMNS)))


def act(deck: Deck, name: str, **arguments: Any) -> dict[str, Any]:
    """A writing verb of the upkeep."""
    return deck.with_engine(lambda engine: engine.do(Command(name, arguments)), writing=True)


def cancelled(deck: Deck, name: str, done: int) -> dict[str, Any]:
    """`compact` or `retention`, asked to end once so much of it is done."""

    async def run(engine: Engine) -> Result:
        await engine.do(Command("lake_cancel"))  # nothing is at work yet: it cancels nothing

        def hear(event: Event) -> None:
            if event.kind == "lake_progress" and event.data["done"] == done:
                asyncio.get_running_loop().create_task(engine.do(Command("lake_cancel")))

        engine.subscribe(hear)
        return await engine.do(Command(name))

    return deck.with_engine(run, writing=True)


class _Value:
    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value


def within(deck: Deck, work: Callable[[Engine], Awaitable[Any]]) -> dict[str, Any]:
    """Work with an open engine; what it gives."""

    async def run(engine: Engine) -> _Value:
        return _Value({"given": await work(engine)})

    return deck.with_engine(run, writing=True)


def check_lake(deck: Deck) -> None:
    """Every live file is there as it was written, and follows from the inputs; nav can be read."""
    told = deck.ask("verify")
    assert told["ok"], told
    assert deck.ask("nav", resolution="5m")["points"] is not None


def orphans(deck: Deck) -> set[str]:
    """Files below lake/ that the catalogue does not know."""
    with Reader(deck.home.state) as reader:
        known = {path for (path,) in reader.rows("SELECT path FROM lake_files")}
    return {path for path, _ in files_below(deck.home.lake)} - known


def live(deck: Deck) -> list[tuple[Any, ...]]:
    """(path, content) of the live files."""
    return deck.sql("SELECT path, content FROM lake_files WHERE dead_at IS NULL ORDER BY path")


def later(deck: Deck) -> Deck:
    """The same home long after."""
    deck.clock = lambda: NOW + LATER_US
    return deck


def copied(deck: Deck, name: str) -> Deck:
    """A home of its own with all that this one has."""
    shutil.copytree(deck.path, deck.path.parent / name)
    return Deck(deck.path.parent / name, deck.clock)


def correct(deck: Deck, close: str = "7") -> None:
    """Another price for one close of the second day; nothing is valued yet."""
    row = bar(resolution="5m", bucket_close="2025-03-02T10:00:00Z", close=close)
    deck.ingest(deck.file(f"fix-{close}.csv", to_csv([row], PRICE_COLUMNS)))

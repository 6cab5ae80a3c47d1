"""What a change touches: after it just that is valued again, and nothing is left for a whole valuation to do.

A row, a bar, a rate, a correction, a release, a decision and its undo, in orders drawn by a seed.
"""

import random
from collections.abc import Callable
from typing import Any

import pytest

from engine.domain.instants import parse_instant
from engine.messages import Command
from engine.runtime.open_day import contents
from engine.runtime.service import Due
from engine.store.reader import Reader
from tests.runtime.deck import FX_COLUMNS, PRICE_COLUMNS, Deck, Row, bar, buy, rate, to_csv
from tests.runtime.desk import act, undo, waiting

Change = Callable[[], dict[str, Any]]
NOW = parse_instant("2025-03-08T02:00:00Z") or 0  # a Saturday
DAYS = [f"2025-03-0{day}" for day in range(3, 8)]  # Monday to Friday
PEGS = '\n[fx.pegs]\nUSDT = "USD"\n'
SCAM = "SCAM"
LOOK_EVERY = 5  # changes; a whole valuation mends what the changes before it left


def bars(asset: str, quote: str, price: str, *instants: str, **fields: str) -> bytes:
    return to_csv(
        [
            bar(**({"asset_id": asset, "resolution": "1h", "bucket_close": f"{instant}:00Z", "close": price,
                    "quote_currency": quote} | fields))
            for instant in instants
        ],
        PRICE_COLUMNS,
    )  # fmt: skip


@pytest.fixture
def deck(deck: Deck) -> Deck:
    """A week of hourly BTC in EUR, ETH in USDT and a SCAM without a price; the FX feed fails on Thursday."""
    deck.clock = lambda: NOW
    with deck.home.path.joinpath("navdeck.toml").open("a") as config:
        config.write(PEGS)
    every = [f"{day}T{hour:02}:00" for day in DAYS for hour in range(24)]
    feed = [rate(rate="1.10", asof=f"{at}:00Z", resolution="1h", fx_source="feed") for at in every
            if not "2025-03-06T09" < at < "2025-03-06T18"]  # fmt: skip
    fixings = [rate(rate="1.09", asof=f"{day}T15:00:00Z") for day in DAYS]
    rows = [
        buy(timestamp="2025-03-03T00:30:00Z", quantity="2", fee_asset="BNB", fee_amount="0.1"),
        buy(timestamp="2025-03-03T00:20:00Z", asset_id="BNB"),
        buy(timestamp="2025-03-03T06:30:00Z", asset_id="ETH", account="cold", external_id="e"),
        buy(timestamp="2025-03-04T06:30:00Z", asset_id=SCAM, action="AIRDROP", unit_price_usd=""),
    ]
    for name, data in {
        "rows": to_csv(rows), "fx": to_csv([*feed, *fixings], FX_COLUMNS),
        "btc": bars("BTC", "EUR", "100", *every), "eth": bars("ETH", "USDT", "20", *every[8:]),
        "bnb": bars("BNB", "USD", "3", *every),
    }.items():  # fmt: skip
        deck.ingest(deck.file(f"{name}.csv", data))
    value(deck)
    return deck


def value(deck: Deck, **arguments: Any) -> dict[str, Any]:
    command = Command("value", {"until_now": True, "resolution": "1h", **arguments})
    return dict(deck.with_engine(lambda engine: engine.do(command), writing=True)["resolutions"]["1h"])


def due_of(told: dict[str, Any]) -> Due:
    due = Due()
    due.touch(told["touched_from"], told["touched_assets"], told.get("touched_until"))
    return due


def settle(deck: Deck, told: dict[str, Any]) -> dict[str, Any]:
    """Values what a change touches, as the running engine does."""
    return value(deck, **due_of(told).arguments(NOW))


def file(deck: Deck, data: bytes | list[Row]) -> dict[str, Any]:
    name = f"file-{deck.sql('SELECT count(*) FROM files')[0][0]}.csv"
    return dict(deck.ingest(deck.file(name, data))["files"][0])


def stands(deck: Deck) -> tuple[Any, ...]:
    return deck.digest()["parts"]["snapshots"], deck.ask("nav", resolution="1h")["points"]


def partitions(deck: Deck) -> dict[tuple[str, str], str]:
    """What each day of an asset says, in files or open."""
    with Reader(deck.home.state) as reader:
        return contents(reader, "1h")


def changed(deck: Deck, told: dict[str, Any]) -> tuple[dict[str, Any], set[tuple[str, str]]]:
    """What was valued for a change, and the partitions that are others since."""
    before = partitions(deck)
    done, after = settle(deck, told), partitions(deck)
    return done, {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def supersede(deck: Deck, **fields: str) -> dict[str, Any]:
    row = buy(timestamp="2025-03-03T06:30:00Z", asset_id="ETH", account="cold", external_id="e")
    file(deck, [row | fields])
    (row,) = waiting(deck)
    raw = deck.sql("SELECT id FROM tx WHERE external_id = 'e' AND superseded_by IS NULL")[0][0].hex()
    old = "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))
    return act(deck, "quarantine_release", ids=[row], supersede=old, reason="typo")


def release(deck: Deck) -> dict[str, Any]:
    file(deck, [buy(timestamp="2025-03-05T10:10:00Z", asset_id="ETH", unit_price_usd="")])
    (row,) = waiting(deck)
    act(deck, "quarantine_fix", ids=[row], set={"unit_price_usd": "21"})
    return act(deck, "quarantine_release", ids=[row], reason="looked it up")


def changes(deck: Deck) -> dict[str, Change]:
    """One of every kind."""
    moved = buy(asset_id="BTC", quantity="1", tx_hash="h", unit_price_usd="")
    return {
        "back-dated row": lambda: file(deck, [buy(
            timestamp="2025-03-04T12:20:00Z", fee_asset="BNB", fee_amount="0.2", account="cold")]),
        "sold more than was there": lambda: file(deck, [buy(
            timestamp="2025-03-05T01:00:00Z", action="SELL", asset_id="ETH", quantity="9")]),
        "transfer out": lambda: file(deck, [moved | {
            "timestamp": "2025-03-04T01:00:00Z", "action": "TRANSFER_OUT"}]),
        "transfer in": lambda: file(deck, [moved | {
            "timestamp": "2025-03-04T09:00:00Z", "action": "TRANSFER_IN", "account": "cold"}]),
        "superseded row": lambda: supersede(deck, quantity="4"),
        "released row": lambda: release(deck),
        "new bar": lambda: file(deck, bars(SCAM, "USD", "0.5", "2025-03-05T11:00")),
        "late corrected bar": lambda: file(deck, bars("BTC", "EUR", "104", "2025-03-04T00:00")),
        "spot": lambda: file(deck, bars("ETH", "USD", "21", "2025-03-03T06:58", resolution="spot")),
        "peg is off": lambda: file(deck, bars("USDT", "USD", "0.97", "2025-03-05T23:30", resolution="spot")),
        "new rate": lambda: file(deck, to_csv([rate(
            rate="1.12", asof="2025-03-06T12:00:00Z", resolution="1h", fx_source="feed")], FX_COLUMNS)),
        "new fixing": lambda: file(deck, to_csv([rate(
            rate="1.101", asof="2025-03-05T15:00:00Z")], FX_COLUMNS)),
        "excluded": lambda: act(
            deck, "asset_set", assets=[SCAM], status="excluded", reason="spam", since="2025-03-05T00:30:00Z"),
        "manual": lambda: act(
            deck, "asset_set", assets=["BNB"], status="manual", price="2", reason="audit",
            since="2025-03-04T00:30:00Z", expires="2025-03-06T00:00:00Z"),
        "use EOD once": lambda: act(
            deck, "fx_use_eod_once", pair="EUR/USD", reason="feed is down",
            **{"from": "2025-03-06T12:00:00Z", "to": "2025-03-06T15:00:00Z"}),
        "undo": lambda: undo(deck),
    }  # fmt: skip


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, 9))])
def test_changes_of_every_kind__valued_as_they_come__a_whole_valuation_finds_nothing_to_restate(
    deck: Deck, seed: int
) -> None:
    kinds = changes(deck)
    order = sorted(kinds.keys() - {"undo"})
    random.Random(seed).shuffle(order)
    for n, kind in enumerate([*order, "undo"], 1):
        settle(deck, kinds[kind]())
        if n % LOOK_EVERY == 0:
            stood = stands(deck)
            assert value(deck)["restated"]["count"] == 0, order[:n]
            assert stands(deck) == stood, order[:n]
    assert deck.ask("verify")["ok"]


def of(assets: str, *days: str) -> set[tuple[str, str]]:
    """The partitions of some assets on some days of March."""
    return {(f"2025-03-{day}", asset) for asset in assets.split() for day in days}


# What changes, how many buckets are valued for it, of which assets, and whose partitions are others after.
TOUCHES = [
    ("late corrected bar", 24, 24, of("BTC", "03")),
    ("new bar", 24, 24, of(SCAM, "05")),
    ("spot", 24, 18, of("ETH", "03")),
    ("peg is off", 24, 24, of("ETH", "05")),
    ("back-dated row", 98, 2 * 98 + 2 * 86, of("BTC BNB", "04", "05", "06", "07", "08")),
    ("new rate", 48, 48, of("BTC", "06")),
    ("new fixing", 48, 48, of("BTC", "06")),
    ("excluded", 74, 74, of(SCAM, "05", "06", "07", "08")),
    ("manual", 98, 98, of("BNB", "04", "05", "07", "08")),  # on the 6th its bars count again
    ("use EOD once", 50, 50, of("BTC", "06")),
    ("superseded row", 122, 116, of("ETH", "03", "04", "05", "06", "07", "08")),
    ("released row", 74, 2 * 74 - 10, of("ETH", "05", "06", "07", "08")),
]


@pytest.mark.parametrize(("kind", "buckets", "snapshots", "others"), TOUCHES, ids=[one[0] for one in TOUCHES])
def test_a_change__only_what_it_touches_is_valued__and_no_other_partition_changes(
    deck: Deck, kind: str, buckets: int, snapshots: int, others: set[tuple[str, str]]
) -> None:
    done, became = changed(deck, changes(deck)[kind]())
    assert became == others
    assert (done["buckets"], done["snapshots"]) == (buckets, snapshots)


def test_undo__touches_what_the_decision_did(deck: Deck) -> None:
    settle(deck, changes(deck)["excluded"]())
    done, became = changed(deck, undo(deck))
    assert became == of(SCAM, "05", "06", "07", "08")
    assert done["snapshots"] == 74

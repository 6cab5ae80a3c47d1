"""The demo's files: the same for the same seed, within the inbox's limits, wrong only where meant."""

import csv
import io
import re
from collections import defaultdict
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from engine.domain.instants import DAY_US, HOUR_US, parse_instant
from engine.runtime.demo import demo_files
from engine.runtime.demo_market import LAST_DAY, Market, fx_files, fx_walk
from engine.valuation.market_hours import open_between

END_US = 1_731_024_000_000_000 + 5_000_000  # 2024-11-08 and five seconds
HEADER = (
    "id,timestamp,action,asset_id,quantity,unit_price_usd,fee_asset,fee_amount,"
    "account,wallet,venue,tx_hash,external_id,notes"
)
SIGN = {"SELL": -1, "TRANSFER_OUT": -1, "FEE": -1}
ACTIONS = {
    "BUY", "SELL", "TRANSFER_IN", "TRANSFER_OUT", "FEE", "STAKING_REWARD", "AIRDROP", "INCOME",
}  # fmt: skip
Row = dict[str, str]


@cache
def listed(seed: int = 7) -> list[tuple[str, bytes]]:
    return demo_files(seed, END_US)


@cache
def files(seed: int = 7) -> dict[str, bytes]:
    return dict(listed(seed))


def table(name: str) -> list[Row]:
    return list(csv.DictReader(io.StringIO(files()[name].decode())))


def tables(prefix: str) -> list[Row]:
    return [row for name in files() if name.startswith(prefix) for row in table(name)]


def is_good(row: Row) -> bool:
    """A check of its own, by the words of the file format; it knows only the mistakes the demo makes."""
    number = r"[0-9]{1,20}(\.[0-9]{1,18})?"
    text = [row[name] or "" for name in ("account", "wallet", "venue", "tx_hash", "external_id")]
    return (
        row["notes"] is not None
        and re.fullmatch(r"2024-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z", row["timestamp"]) is not None
        and row["action"] in ACTIONS
        and re.fullmatch(r"[A-Z]+", row["asset_id"]) is not None
        and re.fullmatch(("-?" if row["action"] == "FEE" else "") + number, row["quantity"]) is not None
        and len(row["quantity"]) < 20
        and re.fullmatch(f"({number})?", row["unit_price_usd"]) is not None
        and bool(row["unit_price_usd"] or row["action"] not in ("BUY", "SELL"))
        and re.fullmatch(f"({number})?", row["fee_amount"]) is not None
        and bool(row["fee_asset"]) == bool(row["fee_amount"])
        and bool(row["account"])
        and all(value.isprintable() and value[:1] not in ("=", "@") and len(value) <= 128 for value in text)
        and (not row["id"] or row["id"][14] == "7")
    )


def units(text: str) -> int:
    whole, _, fraction = text.lstrip("-").partition(".")
    return int(whole + fraction.ljust(8, "0"))


def test_demo__same_seed_and_midnight__same_bytes() -> None:
    assert demo_files(7, END_US + 3_600_000_000) == list(files().items())


def test_demo__another_seed__other_transactions() -> None:
    assert files(8)["tx-2024w43.csv"] != files()["tx-2024w43.csv"]


def test_demo__every_file_fits_the_inbox() -> None:
    assert all(len(content) < 10_000_000 for content in files().values())
    assert all(content.count(b"\n") <= 100_001 for content in files().values())
    assert len(files()) == len(listed())


def test_demo__thirty_days_of_some_five_thousand_transactions() -> None:
    weekly = tables("tx-2024w")
    good = [row for row in weekly if is_good(row)]
    assert 4_700 <= len(good) <= 5_200
    assert 55 <= len(weekly) - len(good) <= 65
    assert {row["account"] for row in good} == {"main-exchange", "broker-eur", "cold-vault"}
    assert {row["action"] for row in good} == ACTIONS
    assert min(row["timestamp"] for row in good) >= "2024-10-09T00:00:00Z"
    assert max(row["timestamp"] for row in good) < "2024-11-08T00:00:00Z"
    assert 0.1 < sum(not row["id"] for row in good) / len(good) < 0.4
    assert {"USD", "EUR", "LTC", "BTC"} <= {row["fee_asset"] for row in good}


def test_demo__balances__only_one_oversell_near_the_end() -> None:
    held: dict[tuple[str, str], int] = defaultdict(int)
    below = set()
    rows = [row for row in tables("tx-2024w") if is_good(row)]
    order = {"TRANSFER_OUT": 2, "SELL": 3, "FEE": 4}
    for row in sorted(rows, key=lambda row: (row["timestamp"], order.get(row["action"], 0))):
        held[row["account"], row["asset_id"]] += SIGN.get(row["action"], 1) * units(row["quantity"])
        if row["fee_amount"]:
            held[row["account"], row["fee_asset"]] -= units(row["fee_amount"])
        short = {at for at, left in held.items() if left < 0 and at[1] not in ("USD", "EUR")}
        below |= {(*at, row["timestamp"]) for at in short}
    assert {(account, asset) for account, asset, _ in below} == {("broker-eur", "DOGE")}
    assert min(ts for _, _, ts in below) > "2024-11-07T12"
    assert held["broker-eur", "DOGE"] == -25 * 10**8


def test_demo__transfers__late_ones_lost_ones_and_one_of_two_by_two() -> None:
    weeks: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    legs: dict[str, list[str]] = defaultdict(list)
    for name in files():
        for row in table(name) if name.startswith("tx-2024w") else []:
            if is_good(row) and row["action"].startswith("TRANSFER"):
                weeks[row["tx_hash"]][row["action"]].add(name)
                legs[row["tx_hash"]].append(row["action"])
    assert sum(set(actions) == {"TRANSFER_OUT"} for actions in legs.values()) == 2
    assert sum(set(actions) == {"TRANSFER_IN"} for actions in legs.values()) == 0
    assert sum(len(actions) == 4 for actions in legs.values()) == 1
    assert sum(len(set.union(*found.values())) > 1 for found in weeks.values()) >= 3


def test_demo__second_export__holds_nothing_new_and_corrections_contradict() -> None:
    known = [tuple(row.values()) for row in tables("tx-2024w")]
    assert {tuple(row.values()) for row in table("tx-second-export.csv")} <= set(known)
    stored = {row["external_id"]: row for row in tables("tx-2024w") if row["external_id"]}
    for row in table("tx-corrections.csv"):
        before = stored[row["external_id"]]
        assert before["account"] == row["account"]
        assert (before["quantity"], before["unit_price_usd"]) != (row["quantity"], row["unit_price_usd"])


def test_demo__one_file_is_no_export() -> None:
    headers = {name: content.split(b"\n")[0] for name, content in files().items()}
    known = {HEADER.encode(), headers["fx-hourly.csv"], headers["prices-1d.csv"]}
    strange = [name for name, header in headers.items() if header not in known]
    assert strange == ["positions-summary.csv"]


def test_demo__equal_fills__come_in_pairs_without_any_reference() -> None:
    anonymous = [
        tuple(row.values())
        for row in tables("tx-2024w")
        if not (row["id"] or row["tx_hash"] or row["external_id"])
    ]
    assert len(anonymous) == 4
    assert len(set(anonymous)) == 2


@pytest.mark.parametrize(("resolution", "length"), [("1h", 12), ("1d", 288)])
def test_demo__longer_bars__agree_with_the_five_minutes(resolution: str, length: int) -> None:
    fine: dict[str, list[Row]] = defaultdict(list)
    for row in tables("prices-5m"):
        fine[row["asset_id"]].append(row)
    for bar in table(f"prices-{resolution}.csv"):
        if bar["asset_id"] == "SOL":  # it has an outage, whose day is not whole
            continue
        closes = [row["bucket_close"] for row in fine[bar["asset_id"]]]
        at = closes.index(bar["bucket_close"])
        parts = fine[bar["asset_id"]][at + 1 - length : at + 1]
        assert (bar["open"], bar["close"]) == (parts[0]["open"], parts[-1]["close"])
        assert units(bar["high"]) == max(units(row["high"]) for row in parts)
        assert units(bar["low"]) == min(units(row["low"]) for row in parts)
        assert units(bar["low"]) > 0


def test_demo__outage__sol_is_silent_for_five_hours_at_every_resolution() -> None:
    heard = {(row["asset_id"], row["resolution"], row["bucket_close"]) for row in tables("prices")}
    coins = {asset for asset, _, _ in heard}
    assert len(coins) == 9
    missing = {
        (asset, resolution, close)
        for _, resolution, close in heard
        for asset in coins
        if (asset, resolution, close) not in heard
    }
    assert {asset for asset, _, _ in missing} == {"SOL"}
    assert {resolution: sum(r == resolution for _, r, _ in missing) for resolution in ("5m", "1h", "1d")} == {
        "5m": 60, "1h": 5, "1d": 1,
    }  # fmt: skip


def test_demo__fx_feed__a_silence_while_the_reference_is_far_off() -> None:
    hourly = [(instant(row["asof"]), units(row["rate"])) for row in table("fx-hourly.csv")]
    gaps = [(a, b) for (a, _), (b, _) in pairwise(hourly) if (b - a).total_seconds() != 3600]
    silence, over_midnight = [gap for gap in gaps if gap[0].weekday() != 4]
    assert (silence[1] - silence[0]).total_seconds() == 7 * 3600
    assert silence[0].weekday() in (1, 2, 3)
    assert (over_midnight[1] - over_midnight[0]).total_seconds() == 11 * 3600
    last = dict(hourly)[silence[0]]
    reference = [
        units(row["rate"])
        for row in table("fx-reference.csv")
        if row["quote"] == "USD" and instant(row["asof"]) < silence[0]
    ][-1]
    assert abs(reference - last) * 10_000 > 25 * last


@pytest.mark.parametrize("day", range(7))
def test_demo__last_day__begins_with_a_hold_on_any_day_of_the_week(day: int) -> None:
    begins = (parse_instant("2024-05-13T00:00:00Z") or 0) + day * DAY_US
    start = begins - LAST_DAY * DAY_US
    market = Market(start, {}, fx_walk(Random(day), start))
    files = dict(fx_files(Random(day), market))

    def newest(name: str) -> tuple[int, int]:
        rows = [row for row in csv.DictReader(io.StringIO(files[name].decode())) if row["quote"] == "USD"]
        told = ((parse_instant(row["asof"]) or 0, units(row["rate"])) for row in rows)
        return max(pair for pair in told if pair[0] <= begins)

    (heard, primary), (_, reference) = newest("fx-hourly.csv"), newest("fx-reference.csv")
    assert open_between(heard, begins) > HOUR_US
    assert abs(reference - primary) * 10_000 > 25 * primary


def test_demo__file_typed_by_hand__has_two_slips_and_is_of_one_moment() -> None:
    rows = table("tx-by-hand.csv")
    assert [row["action"] for row in rows] == ["BUY", "buy", "BUY"]
    assert [row["quantity"] for row in rows] == ["12.5", "12.5", "1,250.50"]
    assert len({row["timestamp"] for row in rows}) == 1


def test_demo__fx_feed__has_no_hour_of_a_closed_market() -> None:
    new_york = ZoneInfo("America/New_York")
    for row in table("fx-hourly.csv"):
        local = instant(row["asof"]).astimezone(new_york)
        bar_opens = (local.weekday(), local.hour - 1)
        assert not (4, 17) <= bar_opens < (6, 17)


def instant(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)

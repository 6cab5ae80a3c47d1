"""The demo's market: bars and exchange rates walked from a seed, with one outage and two drifts in them.

It owns what prices and rates were, and which of them were ever heard. It never looks at a portfolio.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, format_instant, from_us, to_us
from engine.domain.money import PLACES, to_text
from engine.valuation.market_hours import is_target_day

DAYS = 30
BAR_US = 5 * MINUTE_US
RATE_PLACES = 5
LAST_DAY = DAYS - 1  # it is lived through by the demo that moves, and begins with a hold
SILENT_US = 4 * HOUR_US  # of the last day, before the feed is heard again
SLUMP_DAY, OUTAGE_DAY, DRIFT_DAY = 11, 17, 20  # counted from the first day; the drift waits for a Tue-Thu
NEW_YORK, FRANKFURT = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")
PRICE_HEADER = "asset_id,resolution,bucket_close,open,high,low,close,volume,quote_currency,price_source"
FX_HEADER = "base,quote,rate,resolution,asof,fx_source"


class Asset(NamedTuple):
    """One quoted asset: first price in ticks, decimal places of a tick and of a traded quantity."""

    name: str
    quote: str
    source: str
    first: int
    places: int
    sigma_ppm: int
    lot_places: int


ASSETS = (
    Asset("BTC", "USDT", "demo_spot", 6_421_550, 2, 600, 5),
    Asset("ETH", "USDT", "demo_spot", 318_240, 2, 800, 4),
    Asset("SOL", "USDT", "demo_spot", 14_635, 2, 1_200, 3),
    Asset("XRP", "USDT", "demo_spot", 5_872, 4, 1_000, 1),
    Asset("LTC", "USD", "demo_dealer", 8_314, 2, 900, 3),
    Asset("DOGE", "USDT", "demo_spot", 14_206, 5, 1_400, 0),
    Asset("LINK", "USD", "demo_dealer", 14_830, 3, 1_100, 2),
    Asset("ADA", "USD", "demo_dealer", 4_561, 4, 1_100, 1),
    Asset("ACME", "EUR", "demo_bourse", 11_840, 2, 500, 2),
)
BY_NAME = {asset.name: asset for asset in ASSETS}

Bar = tuple[int, int, int, int, int, int]  # close_us, open, high, low, close in ticks, volume in lots
Files = list[tuple[str, bytes]]


class Market(NamedTuple):
    """What a trade may look up: the last finished 5m close, in dollars."""

    start: int
    walks: dict[str, list[Bar]]
    rates: list[tuple[int, int]]

    def dollars(self, name: str, ts: int) -> int:
        """Price of one in USD, in the asset's ticks."""
        asset = BY_NAME[name]
        finished = (ts - self.start) // BAR_US
        ticks = self.walks[name][finished - 1][4] if finished else asset.first
        return ticks * _latest(self.rates, ts) // 10**RATE_PLACES if asset.quote == "EUR" else ticks


def _bell(rng: Random, sigma: int) -> int:
    """A whole number, bell-shaped about 0: four 16-bit draws, never more than 3.5 sigma out."""
    bits = rng.getrandbits(64)
    draws = sum(bits >> shift & 0xFFFF for shift in (0, 16, 32, 48))
    return (draws - 131_070) * sigma // 37_837


def text(units: int, places: int) -> str:
    return to_text(units * 10 ** (PLACES - places))


def price_walks(rng: Random, start: int) -> dict[str, list[Bar]]:
    """5m bars per asset: a move shared by all coins, with one bad day, and one of its own."""
    slump = range(SLUMP_DAY * 288, SLUMP_DAY * 288 + 216)
    shared = [_bell(rng, 700) - (400 if i in slump else 0) for i in range(DAYS * 288)]
    calm = [step // 4 for step in shared]
    return {a.name: _walk(rng, a, calm if a.quote == "EUR" else shared, start) for a in ASSETS}


def _walk(rng: Random, asset: Asset, shared: Sequence[int], start: int) -> list[Bar]:
    bars: list[Bar] = []
    exact = asset.first * 10**6  # finer than a tick, so that small moves add up
    close = asset.first
    for number, step in enumerate(shared, 1):
        exact += exact * (step + _bell(rng, asset.sigma_ppm)) // 10**6
        opened, close = close, exact // 10**6
        reach = close * rng.randrange(1_500) // 10**6
        dip = close * rng.randrange(1_500) // 10**6
        high, low = max(opened, close) + reach, min(opened, close) - dip
        bars.append((start + number * BAR_US, opened, high, low, close, 50 + rng.randrange(20_000)))
    return bars


def _fold(bars: list[Bar], count: int) -> list[Bar]:
    """Bars of `count` times the length, from bars without a gap."""
    chunks = (bars[i : i + count] for i in range(0, len(bars), count))
    return [
        (c[-1][0], c[0][1], max(b[2] for b in c), min(b[3] for b in c), c[-1][4], sum(b[5] for b in c))
        for c in chunks
    ]


def price_files(market: Market) -> Files:
    """Bars of all three resolutions as CSV files, 5m bars by calendar week."""
    files: Files = []
    for resolution, count in (("1d", 288), ("1h", 12), ("5m", 1)):
        lines: dict[str, list[str]] = defaultdict(list)
        for asset in ASSETS:
            for bar in _fold(market.walks[asset.name], count):
                if not _silent(asset, bar[0], market.start):
                    week = f"-{week_of(bar[0] - 1)}" if resolution == "5m" else ""
                    lines[f"prices-{resolution}{week}.csv"].append(_price_line(asset, resolution, bar))
        files += [(name, joined(PRICE_HEADER, found)) for name, found in sorted(lines.items())]
    return files


def _silent(asset: Asset, close: int, start: int) -> bool:
    """SOL's last five hours of one day were never quoted, at any resolution."""
    midnight = start + (OUTAGE_DAY + 1) * DAY_US
    return asset.name == "SOL" and midnight - 5 * HOUR_US < close <= midnight


def _price_line(asset: Asset, resolution: str, bar: Bar) -> str:
    prices = ",".join(text(ticks, asset.places) for ticks in bar[1:5])
    volume = text(bar[5], asset.lot_places)
    head = f"{asset.name},{resolution},{format_instant(bar[0])}"
    return f"{head},{prices},{volume},{asset.quote},{asset.source}"


def joined(header: str, lines: Iterable[str]) -> bytes:
    return "\n".join([header, *lines, ""]).encode()


def week_of(us: int) -> str:
    year, week, _ = from_us(us).isocalendar()
    return f"{year}w{week:02}"


def fx_walk(rng: Random, start: int) -> list[tuple[int, int]]:
    """(asof, EURUSD in 1/100,000) per open hour from a week before; it slides after two fixings."""
    slides = {noon + late * HOUR_US for noon in _drift_noons(start) for late in (2, 3)}
    rate, rates = 108_420 * 10**3, []
    for opens in range(start - 8 * DAY_US, start + DAYS * DAY_US, HOUR_US):
        asof = opens + HOUR_US
        if _market_closed(opens):
            continue
        step = _bell(rng, 300) - (3_000 if asof in slides else 0)
        rate += rate * step // 10**6
        rates.append((asof, rate // 10**3))
    return rates


def _market_closed(us: int) -> bool:
    local = from_us(us).astimezone(NEW_YORK)
    evening = local.hour >= 17
    day = (local.month, local.day)
    if day in ((12, 24), (12, 31)) and evening:
        return True
    if day in ((12, 25), (1, 1)) and not evening:
        return True
    weekday = local.isoweekday()
    return weekday == 6 or (weekday == 5 and evening) or (weekday == 7 and not evening)


def _drift_noons(start: int) -> tuple[int, int]:
    """12:00 UTC of the days of the drifts: in a week's middle, and of the last fixing before the last day."""
    day = from_us(start + DRIFT_DAY * DAY_US).date()
    while day.isoweekday() not in (2, 3, 4) or not is_target_day(day):
        day += timedelta(days=1)
    last = from_us(start + LAST_DAY * DAY_US).date() - timedelta(days=1)
    while not is_target_day(last):
        last -= timedelta(days=1)
    return _noon(day), _noon(last)


def _noon(day: date) -> int:
    return to_us(datetime.combine(day, time(12), UTC))


def fx_files(rng: Random, market: Market) -> Files:
    """Reference rates and the hourly feed as CSV files, the feed without its hours of silence."""
    noon, last_noon = _drift_noons(market.start)
    six_hours = range(noon + 4 * HOUR_US, noon + 10 * HOUR_US)  # rates that never came
    over_midnight = range(last_noon + 6 * HOUR_US, market.start + LAST_DAY * DAY_US + SILENT_US)
    hourly = [
        f"EUR,USD,{text(rate, RATE_PLACES)},1h,{format_instant(asof)},demo_fx_hourly"
        for asof, rate in market.rates
        if asof not in six_hours and asof not in over_midnight
    ]
    reference = joined(FX_HEADER, _reference_lines(rng, market.rates))
    return [("fx-reference.csv", reference), ("fx-hourly.csv", joined(FX_HEADER, hourly))]


def _reference_lines(rng: Random, rates: list[tuple[int, int]]) -> list[str]:
    """A fixing per TARGET day at 14:15 Frankfurt, close to the hourly rate before it."""
    lines, pound = [], 84_600
    first, last = rates[0][0], rates[-1][0]
    for day in range(from_us(first).toordinal(), from_us(last).toordinal() + 1):
        asof = to_us(datetime.combine(date.fromordinal(day), time(14, 15), FRANKFURT))
        pound += pound * _bell(rng, 1_500) // 10**6
        if first <= asof <= last and is_target_day(date.fromordinal(day)):
            dollar = _latest(rates, asof) // 10 + rng.randrange(-1, 2)
            tail = f"1d,{format_instant(asof)},demo_ecb_eod"
            lines += [f"EUR,USD,{text(dollar, 4)},{tail}", f"EUR,GBP,{text(pound, RATE_PLACES)},{tail}"]
    return lines


def _latest(rates: list[tuple[int, int]], us: int) -> int:
    return rates[bisect_right(rates, (us, 10**18)) - 1][1]

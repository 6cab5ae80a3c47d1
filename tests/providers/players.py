"""Providers as a loopback server plays them: their shapes, pages and limits, over a market with holes.

Every price and rate is a function of its instant, so that a test can tell what is true from what is made up.
"""

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US, from_us, to_us
from engine.ingestion.csv_processor import Parsed, parse_csv
from engine.providers.ecb import fixing_us
from tests.providers.world import Clock, Play, Seen, us

STEP_US = {"5m": 5 * MINUTE_US, "1h": HOUR_US, "1d": DAY_US}
TARGET_HOLIDAYS = {date(2024, 1, 1), date(2024, 3, 29), date(2024, 4, 1)}


def price_at(instant: int) -> str:
    """The one true price at an instant."""
    return f"{40_000 + instant // SECOND_US * 7919 % 2_000_000 / 100:.2f}"


def rate_at(day: date, quote: str) -> str:
    """The one true rate of a day."""
    return f"1.{(day.toordinal() * 37 + sum(map(ord, quote))) % 900 + 100}7"


def is_target(day: date) -> bool:
    """A small TARGET calendar, enough for these tests."""
    return day.weekday() < 5 and day not in TARGET_HOLIDAYS


def answer(body: Any, status: int = 200, **headers: str) -> Play:
    return Play(json.dumps(body).encode(), status, {k.replace("_", "-"): v for k, v in headers.items()})


@dataclass
class Counter:
    """A provider's own count over a sliding minute. `broken`: instants at which a caller was over it."""

    clock: Clock
    limit: int
    hits: deque[tuple[int, int]] = field(default_factory=deque)
    broken: list[int] = field(default_factory=list)

    def hit(self, weight: int = 1) -> int:
        now = self.clock.now_us()
        while self.hits and self.hits[0][0] <= now - MINUTE_US:
            self.hits.popleft()
        self.hits.append((now, weight))
        used = sum(weight for _, weight in self.hits)
        if used > self.limit:
            self.broken.append(now)
        return used


@dataclass
class BinancePlayer:
    """Klines of BTCUSDT. `halted`: whether the exchange stood still when a bar opened."""

    clock: Clock
    counter: Counter
    halted: Callable[[int], bool] = lambda _: False
    page_max: int = 1_000

    def __call__(self, seen: Seen) -> Play:
        used = self.counter.hit(2)
        query = seen.query
        if query["symbol"] != "BTCUSDT":
            return answer({"code": -1121, "msg": "Invalid symbol."}, 400)
        step, now = STEP_US[query["interval"]], self.clock.now_us()
        first, last = int(query["startTime"]) * 1_000, min(int(query["endTime"]) * 1_000, now)
        opens = range(-(-first // step) * step, last + 1, step)
        rows = [self.bar(opened, step) for opened in opens if not self.halted(opened)]
        limit = min(int(query.get("limit", "500")), self.page_max)
        return answer(rows[:limit], X_MBX_USED_WEIGHT_1M=str(used))

    def bar(self, opened: int, step: int) -> list[Any]:
        """The running bar shows the price of now, which is not its close."""
        close = price_at(min(opened + step, self.clock.now_us()))
        around = sorted([Decimal(price_at(opened)), Decimal(close)])
        low, high = str(around[0] - 1), str(around[1] + 1)
        closed_ms = (opened + step) // 1_000 - 1
        return [opened // 1_000, price_at(opened), high, low, close, "12.5", closed_ms, "1", 9, "1", "1", "0"]


@dataclass
class GeckoPlayer:
    """Market chart of bitcoin: points 20 s before each 5 minutes of the last day, 7 s after older hours."""

    clock: Clock
    counter: Counter

    def __call__(self, seen: Seen) -> Play:
        self.counter.hit()
        if seen.path != "/coins/bitcoin/market_chart/range":
            return answer({"error": "coin not found"}, 404)
        now = self.clock.now_us()
        first, last = (int(seen.query[name]) * SECOND_US for name in ("from", "to"))
        if seen.query.get("interval") == "daily" or last - first > 90 * DAY_US:
            instants = list(range(-(-first // DAY_US) * DAY_US, last + 1, DAY_US))
        elif last >= now - MINUTE_US and last - first <= DAY_US:
            step = 5 * MINUTE_US
            marks = range(first // step * step, last + step, step)
            instants = [at - 20 * SECOND_US for at in marks if first <= at - 20 * SECOND_US <= last]
        else:
            hours = range(-(-first // HOUR_US) * HOUR_US, last - 7 * SECOND_US, HOUR_US)
            instants = [at + 7 * SECOND_US for at in hours]
        points = ", ".join(f"[{at // 1_000}, {price_at(at)}]" for at in instants if at <= now)
        return Play(f'{{"prices": [{points}], "market_caps": [], "total_volumes": []}}'.encode())


@dataclass
class FrankfurterPlayer:
    """Fixings, published at 15:00 UTC; a range that starts on a day off begins with the day before."""

    clock: Clock
    counter: Counter

    def __call__(self, seen: Seen) -> Play:
        self.counter.hit()
        first, last = (date.fromisoformat(part) for part in seen.path.removeprefix("/v1/").split(".."))
        while not is_target(first):
            first -= timedelta(days=1)
        now = self.clock.now_us()
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        there = [day for day in days if is_target(day) and fixing_us(day) + 2 * HOUR_US <= now]
        quotes = seen.query["symbols"].split(",")
        rates = {str(day): {quote: Decimal(rate_at(day, quote)) for quote in quotes} for day in there}
        body = {"amount": 1.0, "base": "EUR", "start_date": str(first), "end_date": str(last), "rates": rates}
        return Play(json.dumps(body, default=float).encode())


@dataclass
class ExchangePlayer:
    """Rates of every calendar day, weekends included, for the right key."""

    clock: Clock
    counter: Counter
    key: str

    def __call__(self, seen: Seen) -> Play:
        self.counter.hit()
        if seen.query.get("access_key") != self.key:
            return answer({"success": False, "error": {"code": 101, "type": "invalid_access_key"}})
        first, last = (date.fromisoformat(seen.query[name]) for name in ("start_date", "end_date"))
        today = from_us(self.clock.now_us()).date()
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        base, quotes = seen.query["source"], seen.query["currencies"].split(",")
        rates = {
            str(day): {base + quote: Decimal(rate_at(day, quote)) for quote in quotes}
            for day in days
            if day <= today
        }
        body = {"success": True, "timeframe": True, "source": base, "quotes": rates}
        return Play(json.dumps(body, default=float).encode())


def stamp_us(day: date) -> int:
    """23:59:59 of a day, UTC."""
    return to_us(from_us(0).replace(year=day.year, month=day.month, day=day.day)) + DAY_US - SECOND_US


def canonical(number: str) -> str:
    """A decimal without trailing zeros."""
    return number.rstrip("0").rstrip(".") if "." in number else number


def taken(files: list[bytes]) -> pl.DataFrame:
    """What the inbox makes of files; no row of them may be refused."""
    frames = []
    for file in files:
        parsed = parse_csv(file, us("2024-12-01T00:00:00Z"))
        assert isinstance(parsed, Parsed), parsed
        assert parsed.rejects == []
        frames.append(parsed.frame)
    return pl.concat(frames)

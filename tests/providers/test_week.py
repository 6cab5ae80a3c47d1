"""A week of a daemon's calls under a fast clock, over a real connection, with every kind of bad day in it.

Monday 25 March 2024 to Tuesday 2 April: Easter, so no fixing on the 29th and the 1st. The exchange stands
still on Saturday. Providers fail, throttle, ban, refuse and babble in turn.
"""

import asyncio
from collections.abc import Callable
from datetime import date
from random import Random

import pytest

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US, from_us
from engine.errors import CallHeld, ProviderError
from engine.providers import binance, coingecko, frankfurter
from engine.providers.backfill import Fetch, plan_backfill
from engine.providers.ecb import fixing_us
from engine.providers.limits import COOLDOWN_US
from engine.providers.protocol import Answer, FxRow, Gap, Instrument, PriceRow, Series
from engine.providers.transport import Ports
from tests.providers.players import (
    BinancePlayer,
    Counter,
    FrankfurterPlayer,
    GeckoPlayer,
    canonical,
    is_target,
    price_at,
    rate_at,
)
from tests.providers.world import Play, Seen, World, us, world

START, END = us("2024-03-25T00:00:00Z"), us("2024-04-02T00:00:00Z")
HALT = (us("2024-03-30T02:00:00Z"), us("2024-03-30T04:00:00Z"))
BTC, BTC_GECKO = Series("price", "BTC", "1h"), Series("price", "GBTC", "1h")
EURUSD = Series("rate", "EUR/USD", "1d")
EVERY_US = 20 * MINUTE_US
WEIGHT, CALLS = 40, 6  # a minute; small, so that the windows bite

# (from, to, provider, what it does instead)
FAULTS: list[tuple[str, str, str, Play]] = [
    ("2024-03-25T06:00:00Z", "2024-03-25T08:00:00Z", "binance", Play(b"", 503)),
    ("2024-03-26T06:00:00Z", "2024-03-26T06:30:00Z", "binance", Play(b"", 429, {"Retry-After": "0"})),
    ("2024-03-26T12:00:00Z", "2024-03-26T13:30:00Z", "binance", Play(b'[[1711454400000, "4', 200)),
    ("2024-03-27T06:00:00Z", "2024-03-27T08:30:00Z", "binance", Play(b"", 418, {"Retry-After": "7200"})),
    ("2024-03-27T12:00:00Z", "2024-03-27T14:00:00Z", "frankfurter", Play(b"<html>busy</html>")),
    ("2024-03-28T06:00:00Z", "2024-03-28T09:00:00Z", "coingecko", Play(b"", 403)),
    ("2024-03-28T12:00:00Z", "2024-03-28T15:00:00Z", "binance", Play(b"[]", how="cut")),
    ("2024-03-29T06:00:00Z", "2024-03-29T07:00:00Z", "coingecko", Play(b'{"error": "sorry"}')),
    ("2024-03-29T12:00:00Z", "2024-03-29T13:00:00Z", "binance", Play(b'{"code": 0, "msg": "inside a 200"}')),
    ("2024-03-31T06:00:00Z", "2024-03-31T07:00:00Z", "binance", Play(b"", 302, {"Location": "/elsewhere"})),
]  # fmt: skip


class Players:
    """All providers on one server, told apart by their paths; faults by the clock."""

    def __init__(self, one: World) -> None:
        clock = self.clock = one.clock
        self.weight, self.calls, self.polite = (Counter(clock, limit) for limit in (WEIGHT, CALLS, 20))
        self.binance = BinancePlayer(clock, self.weight, lambda opened: HALT[0] <= opened < HALT[1], 30)
        self.gecko = GeckoPlayer(clock, self.calls)
        self.frankfurter = FrankfurterPlayer(clock, self.polite)

    def __call__(self, seen: Seen) -> Play:
        name, play = self.choose(seen.path)
        honest = play(seen)  # counts the call, whatever is answered
        for start, end, whose, instead in FAULTS:
            if whose == name and us(start) <= self.clock.now_us() < us(end):
                return instead
        return honest

    def choose(self, path: str) -> tuple[str, Callable[[Seen], Play]]:
        if path.startswith("/api/v3/klines"):
            return "binance", self.binance
        return ("frankfurter", self.frankfurter) if path.startswith("/v1/") else ("coingecko", self.gecko)


class Daemon:
    """What a runtime does: plan, fetch, keep; remember who has nothing."""

    def __init__(self, one: World, ports: Ports) -> None:
        root, self.clock = one.server.root, one.clock
        ids = {"BTC": Instrument("BTCUSDT", "USDT")}
        self.binance = binance.Binance(ids, binance.terms(root, WEIGHT), ports)
        coins = {"GBTC": Instrument("bitcoin", "USD")}
        self.gecko = coingecko.CoinGecko(coins, coingecko.terms(root=root, calls_a_minute=CALLS), ports)
        self.ecb = frankfurter.Frankfurter(["USD"], frankfurter.terms(root), ports, is_target)
        self.prices: dict[str, binance.Binance | coingecko.CoinGecko] = {
            "binance": self.binance, "coingecko": self.gecko,
        }  # fmt: skip
        self.rows: dict[Series, dict[int, PriceRow | FxRow]] = {BTC: {}, BTC_GECKO: {}, EURUSD: {}}
        self.silent: dict[tuple[str, Series], set[int]] = {}
        self.troubles: list[ProviderError] = []
        self.gaps: tuple[Gap, ...] = ()

    def wanted(self, now: int) -> dict[Series, list[int]]:
        days = {from_us(at).date() for at in range(START, now + 1, DAY_US)}
        fixings = sorted(fixing_us(day) for day in days if is_target(day))
        hours = list(range(START, now + 1, HOUR_US))
        return {BTC: hours, BTC_GECKO: hours, EURUSD: [at for at in fixings if at <= now]}

    def have(self) -> dict[Series, set[int]]:
        """For points: the closes that they serve."""
        points = self.rows[BTC_GECKO]
        served = {at + (-at % HOUR_US) for at in points if -at % HOUR_US < 5 * MINUTE_US}
        return {BTC: set(self.rows[BTC]), BTC_GECKO: served, EURUSD: set(self.rows[EURUSD])}

    async def round(self) -> None:
        now = self.clock.now_us()
        providers = [self.binance, self.gecko, self.ecb]
        plan = plan_backfill(self.wanted(now), self.have(), providers, now, self.silent)
        for fetch in plan.fetches:
            got = await self.ask(fetch)
            self.rows[fetch.series] |= {row.asof: row for row in got.rows}
            self.troubles += [got.trouble] if got.trouble else []
            for gap in got.gaps:
                if gap.reason == "NOT_PUBLISHED":
                    silent = self.silent.setdefault((fetch.provider, fetch.series), set())
                    silent |= {at for at in self.wanted(now)[fetch.series] if gap.start < at <= gap.end}
        plan = plan_backfill(self.wanted(now), self.have(), providers, now, self.silent)
        unreached = tuple(Gap(f.series, f.start, f.end, "UNREACHED") for f in plan.fetches)
        self.gaps = plan.gaps + unreached

    async def ask(self, fetch: Fetch) -> Answer:
        if fetch.series.kind == "rate":
            return await self.ecb.fetch_rates("EUR", ["USD"], *fetch.days)
        return await self.prices[fetch.provider].fetch_prices(*fetch.series[1:], fetch.start, fetch.end)


def named(gaps: tuple[Gap, ...], series: Series) -> set[int]:
    """The hours that gaps of a series name."""
    mine = [gap for gap in gaps if gap.series == series]
    return {at for at in range(START, END + 1, HOUR_US) if any(gap.start < at <= gap.end for gap in mine)}


def test_a_week__no_limit_broken_no_value_invented_every_gap_named() -> None:
    players: list[Players] = []
    with world(lambda seen: players[0](seen), "2024-03-25T00:00:00Z") as one:
        players.append(Players(one))

        async def act(ports: Ports) -> Daemon:
            daemon = Daemon(one, ports)
            while one.clock.now_us() < END:
                await daemon.round()
                now = one.clock.now_us()
                missing = set(daemon.wanted(now)[BTC]) - set(daemon.rows[BTC])
                assert missing <= named(daemon.gaps, BTC), "what is not there is named, at every moment"
                if daemon.gecko.state().state == "frozen" and now >= us("2024-03-28T10:00:00Z"):
                    daemon.gecko.caller.resume()
                one.clock.to(max(now, (now // EVERY_US + 1) * EVERY_US))
            await daemon.round()
            return daemon

        daemon = one.run(act)
    told = players[0]
    assert (told.weight.broken, told.calls.broken, told.polite.broken) == ([], [], [])
    for series in (BTC, BTC_GECKO):
        rows = [row for row in daemon.rows[series].values() if isinstance(row, PriceRow)]
        assert all(row.close == price_at(row.asof) for row in rows)
    rates = {row.asof: canonical(row.rate) for row in daemon.rows[EURUSD].values() if isinstance(row, FxRow)}
    fixed = [date(2024, 3, day) for day in (25, 26, 27, 28)]
    assert rates == {fixing_us(day): rate_at(day, "USD") for day in fixed}
    halted = set(range(HALT[0] + HOUR_US, HALT[1] + 1, HOUR_US))
    assert set(range(START, END, HOUR_US)) - set(daemon.rows[BTC]) == halted
    assert [gap[1:4] for gap in daemon.gaps if gap.series == BTC] == [(*HALT, "NOT_PUBLISHED")]
    assert {"RATE_LOWERED", "BREAKER_OPENED", "BREAKER_CLOSED", "BANNED", "FROZEN"} <= set(one.codes())
    assert all(error.hint for error in daemon.troubles)


@pytest.mark.parametrize(
    "fault",
    [
        Play(b"", 429), Play(b"", 429, {"Retry-After": "0"}), Play(b"", 429, {"Retry-After": "45"}),
        Play(b"", 500), Play(b"", 503), Play(b"[", how="cut"), Play(b"<html>"), Play(b"{}"),
        Play(b"", 302, {"Location": "/"}),
    ],
    ids=lambda play: f"{play.status}-{play.how}",
)  # fmt: skip
@pytest.mark.parametrize("minutes", [1, 7, 45])
def test_recovery__within_one_cooldown(fault: Play, minutes: int) -> None:
    """However long it was away: at most 60 s after it is well again, calls succeed."""
    start = us("2024-03-25T12:00:00Z")
    well_at = start + minutes * MINUTE_US
    players: list[BinancePlayer] = []

    def play(seen: Seen) -> Play:
        honest = players[0](seen)
        return honest if one.clock.now_us() >= well_at else fault

    with world(play, "2024-03-25T12:00:00Z") as one:
        players.append(BinancePlayer(one.clock, Counter(one.clock, 6_000)))

        async def act(ports: Ports) -> int:
            ids = {"BTC": Instrument("BTCUSDT", "USDT")}
            it = binance.Binance(ids, binance.terms(one.server.root), ports)
            while True:
                got = await it.fetch_prices("BTC", "1h", start - HOUR_US, start)
                if got.trouble is None:
                    return one.clock.now_us()
                held = isinstance(got.trouble, CallHeld)
                retry_at = got.trouble.retry_at_us if isinstance(got.trouble, CallHeld) else None
                assert held == (retry_at is not None)
                one.clock.to(max(one.clock.now_us() + SECOND_US, retry_at or 0))

        assert one.run(act) - well_at <= COOLDOWN_US + SECOND_US
        assert players[0].counter.broken == []


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_many_at_once__on_a_slow_line__no_limit_is_ever_broken(seed: int) -> None:
    """Six callers without a pause; each answer takes up to 9 s and some are 429s and failures."""
    chance = Random(seed)
    players: list[BinancePlayer] = []

    def play(seen: Seen) -> Play:
        one.clock.pass_by(chance.randrange(5 * SECOND_US))
        honest = players[0](seen)
        one.clock.pass_by(chance.randrange(4 * SECOND_US))
        faults = [Play(b"", 429), Play(b"", 502), Play(b"[", how="cut")]
        return chance.choices([honest, *faults], [90, 3, 4, 3])[0]

    with world(play, "2024-03-25T12:00:00Z") as one:
        players.append(BinancePlayer(one.clock, Counter(one.clock, WEIGHT)))

        async def act(ports: Ports) -> int:
            ids = {"BTC": Instrument("BTCUSDT", "USDT")}
            it = binance.Binance(ids, binance.terms(one.server.root, WEIGHT), ports)
            good = 0

            async def keep_asking() -> None:
                nonlocal good
                for number in range(15):
                    end = us("2024-03-25T10:00:00Z") - number * HOUR_US
                    got = await it.fetch_prices("BTC", "1h", end - HOUR_US, end)
                    good += got.trouble is None
                    assert all(row[6] == price_at(row.asof) for row in got.rows)

            await asyncio.gather(*(keep_asking() for _ in range(6)))
            return good

        assert one.run(act) > 45
        assert len(one.server.seen) > WEIGHT, "more than one window's worth"
        assert players[0].counter.broken == []

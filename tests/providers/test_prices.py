"""Binance and CoinGecko over a real connection: what is taken, what is left out, and what a gap says."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.domain.instants import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from engine.errors import AnswerRefused, AnswerRejected, AnswerUnreadable
from engine.providers import binance, coingecko, exchangerate, frankfurter
from engine.providers.limits import MonthCap
from engine.providers.protocol import Answer, Gap, Instrument, PriceRow, Series
from engine.providers.secrets import Secret
from engine.providers.transport import Ports
from tests.providers.players import (
    BinancePlayer,
    Counter,
    GeckoPlayer,
    answer,
    canonical,
    is_target,
    price_at,
    taken,
)
from tests.providers.world import Play, Seen, World, played, scripted, us, world

NOW = "2024-03-04T10:02:30Z"
IDS = {"BTC": Instrument("BTCUSDT", "USDT"), "ETH": Instrument("ETHUSDT", "USDT")}
COINS = {"BTC": Instrument("bitcoin", "USD")}
DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "prices"


def ask_binance(one: World, resolution: str, start: str, end: str, asset: str = "BTC") -> Answer:
    async def act(ports: Ports) -> Answer:
        it = binance.Binance(IDS, binance.terms(one.server.root), ports)
        return await it.fetch_prices(asset, resolution, us(start), us(end))

    return one.run(act)


def ask_gecko(one: World, resolution: str, start: str, end: str, **given: Any) -> Answer:
    async def act(ports: Ports) -> Answer:
        terms = coingecko.terms(given.get("key"), root=one.server.root)
        it = coingecko.CoinGecko(COINS, terms, ports, **given)
        return await it.fetch_prices("BTC", resolution, us(start), us(end))

    return one.run(act)


def closes(got: Answer) -> list[int]:
    return [row.asof for row in got.rows]


def told(got: Answer) -> list[str]:
    return [row.close for row in got.rows if isinstance(row, PriceRow)]


def spans(got: Answer) -> list[tuple[int, int, str]]:
    return [(gap.start, gap.end, gap.reason) for gap in got.gaps]


def binance_player(**given: Any) -> Callable[[World], BinancePlayer]:
    return lambda one: BinancePlayer(one.clock, Counter(one.clock, 6_000), **given)


def gecko_player(one: World) -> GeckoPlayer:
    return GeckoPlayer(one.clock, Counter(one.clock, 30))


def test_binance__bars_as_the_exchange_gave_them() -> None:
    with played(binance_player(), NOW) as one:
        got = ask_binance(one, "5m", "2024-03-04T09:00:00Z", "2024-03-04T09:10:00Z")
        assert got.trouble is None
        assert got.gaps == ()
        assert [row.asof for row in got.rows] == [us("2024-03-04T09:05:00Z"), us("2024-03-04T09:10:00Z")]
        row = got.rows[0]
        assert isinstance(row, PriceRow)
        assert (row.asset_id, row.quote_currency, row.price_source) == ("BTC", "USDT", "binance_spot")
        assert (row.open, row.close) == (price_at(us("2024-03-04T09:00:00Z")), price_at(row.asof))
        assert got.pages[0].url.startswith(one.server.root + "/api/v3/klines?symbol=BTCUSDT&interval=5m")
        assert json.loads(got.pages[0].body)[0][4] == row.close


def test_binance__the_running_bar__is_never_taken() -> None:
    with played(binance_player(), NOW) as one:
        got = ask_binance(one, "5m", "2024-03-04T09:50:00Z", "2024-03-04T10:10:00Z")
        assert closes(got) == [us("2024-03-04T09:55:00Z"), us("2024-03-04T10:00:00Z")]
        assert spans(got) == [(us("2024-03-04T10:00:00Z"), us("2024-03-04T10:10:00Z"), "UNFINISHED")]


def test_binance__our_clock_ahead_of_theirs__the_running_bar_is_still_not_taken() -> None:
    with played(binance_player(), NOW) as one:
        seen_by_us = one.clock.now_us

        async def act(ports: Ports) -> Answer:
            ahead = replace(ports, now_us=lambda: seen_by_us() + 4 * MINUTE_US)
            it = binance.Binance(IDS, binance.terms(one.server.root), ahead)
            return await it.fetch_prices("BTC", "5m", us("2024-03-04T09:50:00Z"), us("2024-03-04T10:05:00Z"))

        got = one.run(act)
        assert closes(got) == [us("2024-03-04T09:55:00Z"), us("2024-03-04T10:00:00Z")]
        assert spans(got) == [(us("2024-03-04T10:00:00Z"), us("2024-03-04T10:05:00Z"), "UNFINISHED")]


@pytest.mark.parametrize("page_max", [1_000, 7])
def test_binance__halts_are_gaps_and_pages_join(page_max: int) -> None:
    start, end = us("2024-03-01T00:00:00Z"), us("2024-03-04T00:00:00Z")
    halt = (us("2024-03-02T05:00:00Z"), us("2024-03-02T09:00:00Z"))

    def halted(opened: int) -> bool:
        return halt[0] <= opened < halt[1]

    with played(binance_player(halted=halted, page_max=page_max), NOW) as one:
        got = ask_binance(one, "1h", "2024-03-01T00:00:00Z", "2024-03-04T00:00:00Z")
        expected = [at for at in range(start + HOUR_US, end + 1, HOUR_US) if not halted(at - HOUR_US)]
        assert closes(got) == expected
        assert told(got) == [price_at(at) for at in expected]
        assert spans(got) == [(halt[0], halt[1], "NOT_PUBLISHED")]
        assert len(one.server.seen) == (1 if page_max == 1_000 else 10)


def test_binance__fails_midway__what_came_is_kept_and_the_rest_is_named() -> None:
    with played(binance_player(page_max=10), NOW) as one:
        player = one.server.play

        def fails_after_two(seen: Seen) -> Play:
            return player(seen) if len(one.server.seen) <= 2 else Play(b"", 403)

        one.server.play = fails_after_two
        got = ask_binance(one, "1h", "2024-03-01T00:00:00Z", "2024-03-03T00:00:00Z")
        assert len(got.rows) == 20
        assert isinstance(got.trouble, AnswerRefused)
        assert got.gaps == (
            Gap(Series("price", "BTC", "1h"), us("2024-03-01T20:00:00Z"), us("2024-03-03T00:00:00Z"),
                "UNREACHED", "ANSWER_REFUSED"),
        )  # fmt: skip


def test_binance__unknown_symbol__is_trouble_of_this_asset_alone() -> None:
    with played(binance_player(), NOW) as one:
        got = ask_binance(one, "1h", "2024-03-01T00:00:00Z", "2024-03-01T02:00:00Z", "ETH")
        assert isinstance(got.trouble, AnswerRejected)
        assert "Invalid symbol" in str(got.trouble)
        assert got.rows == ()


BAR = [1709514000000, "100", "110", "90", "105", "7", 1709517599999, "0", 1, "0", "0", "0"]  # 01:00–02:00


def bent(place: int, value: Any) -> Play:
    return answer([[*BAR[:place], value, *BAR[place + 1 :]]])


@pytest.mark.parametrize(
    "play",
    [bent(4, "0"), bent(4, "-1"), bent(4, "NaN"), bent(4, "1e-30"), bent(4, None), bent(4, True), bent(4, ""),
     bent(4, "1" * 21), bent(2, "95"), bent(3, "106"), bent(5, "-1"), bent(4, "0x10"), bent(4, "1,000")],
)  # fmt: skip
def test_binance__a_bar_that_is_no_bar__is_a_gap_not_a_guess(play: Play) -> None:
    with world(scripted(play), NOW) as one:
        got = ask_binance(one, "1h", "2024-03-04T01:00:00Z", "2024-03-04T02:00:00Z")
        assert got.rows == ()
        assert [gap.reason for gap in got.gaps] == ["BAD_ROW"]
        assert got.trouble is None


@pytest.mark.parametrize(
    "play",
    [
        Play(b""), Play(b"<html>"), Play(b'[[1709514000000, "100"'), Play(b"[" * 100_000),
        Play(b"\xff\xfe\x00"), Play(b"NaN"), answer({}), answer(None), answer([None]),
        answer([[]]), answer([BAR, BAR]),
        answer({"code": 0, "msg": "error inside a 200"}), bent(0, 1709510400000), bent(0, "x"), bent(0, -1),
        bent(6, 1709517600000), bent(0, 10**20), bent(0, 1.5),
    ],
)  # fmt: skip
def test_binance__garbage__is_trouble_and_nothing_is_taken(play: Play) -> None:
    with world(scripted(play), NOW) as one:
        got = ask_binance(one, "1h", "2024-03-04T01:00:00Z", "2024-03-04T02:00:00Z")
        assert isinstance(got.trouble, AnswerUnreadable)
        assert got.rows == ()
        assert [(gap.reason, gap.detail) for gap in got.gaps] == [("UNREACHED", "ANSWER_UNREADABLE")]


NO_SHRINK = (Phase.explicit, Phase.reuse, Phase.generate)  # each example is a server: as found is good enough
NAMES = ["prices", "rates", "quotes", "error", "status", "error_code", "date", "2024-03-04"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("1709514000000"),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.sampled_from(NAMES), inner),
    max_leaves=12,
)


@settings(max_examples=30, deadline=None, phases=NO_SHRINK)
@given(st.lists(json_values | st.binary(max_size=30), min_size=1, max_size=4))
def test_any_answer__raises_nothing_and_gives_no_row(bodies: list[Any]) -> None:
    left: list[bytes] = []

    async def keep(month: str, calls: int) -> None: ...

    with world(lambda _: Play(left.pop(0)), NOW) as one:

        async def act(ports: Ports) -> None:
            asked = (us("2024-03-04T01:00:00Z"), us("2024-03-04T02:00:00Z"))
            for body in bodies:
                left[:] = [body if isinstance(body, bytes) else json.dumps(body).encode()] * 9
                first = binance.Binance(IDS, binance.terms(one.server.root), ports)
                second = coingecko.CoinGecko(COINS, coingecko.terms(root=one.server.root), ports)
                for it in (first, second):
                    got = await it.fetch_prices("BTC", "1h", *asked)
                    assert got.rows == ()
                    assert [(gap.start, gap.end) for gap in got.gaps] == [(asked[1] - 1, asked[1])]
                key, day = Secret("0123456789"), date(2024, 3, 4)
                ecb = frankfurter.terms(one.server.root)
                host = exchangerate.terms(key, MonthCap(99, keep), one.server.root)
                third = frankfurter.Frankfurter(["USD"], ecb, ports, is_target)
                fourth = exchangerate.ExchangeRate({"EUR": ["USD"]}, host, ports, key)
                for rates in (third, fourth):
                    got = await rates.fetch_rates("EUR", ["USD"], day, day)
                    assert got.rows == ()
                    assert len(got.gaps) == 1

        one.run(act)


def test_gecko__points_keep_their_own_instants() -> None:
    with played(gecko_player, NOW) as one:
        got = ask_gecko(one, "5m", "2024-03-04T09:00:00Z", "2024-03-04T09:10:00Z")
        assert [row[1:3] for row in got.rows] == [
            ("spot", us("2024-03-04T09:04:40Z")),
            ("spot", us("2024-03-04T09:09:40Z")),
        ]
        assert got.gaps == ()
        assert told(got) == [price_at(at) for at in closes(got)]
        assert one.server.seen[0].query["precision"] == "18"


def test_gecko__a_point_after_the_close__prices_nothing_before_it() -> None:
    """Points 7 s after the hour, as of older hours, serve no hourly close: that is a gap."""
    with played(gecko_player, NOW) as one:
        got = ask_gecko(one, "1h", "2024-03-01T00:00:00Z", "2024-03-01T03:00:00Z")
        assert closes(got) == [us("2024-03-01T01:00:07Z"), us("2024-03-01T02:00:07Z")]
        assert spans(got) == [
            (us("2024-03-01T01:00:00Z") - 1, us("2024-03-01T03:00:00Z"), "NOT_PUBLISHED"),
        ]


def test_gecko__days__are_points_at_midnight() -> None:
    with played(gecko_player, NOW) as one:
        got = ask_gecko(one, "1d", "2024-02-01T00:00:00Z", "2024-02-05T00:00:00Z")
        assert closes(got) == [us("2024-02-02T00:00:00Z") + n * DAY_US for n in range(4)]
        assert got.gaps == ()


@pytest.mark.parametrize(
    ("resolution", "start", "end"),
    [
        ("5m", "2024-03-02T00:00:00Z", "2024-03-02T01:00:00Z"),
        ("1h", "2022-01-01T00:00:00Z", "2022-01-02T00:00:00Z"),
    ],
)
def test_gecko__beyond_its_history__is_not_even_asked(resolution: str, start: str, end: str) -> None:
    with played(gecko_player, NOW) as one:
        got = ask_gecko(one, resolution, start, end)
        assert {gap.reason for gap in got.gaps} == {"BEYOND_HISTORY"}
        assert one.server.seen == []


@pytest.mark.parametrize("point", ["null", '"x"', "0", "-1", "1e-40", "true"])
def test_gecko__a_point_that_is_no_price__is_a_gap(point: str) -> None:
    at = us("2024-03-04T08:59:30Z") // 1_000
    with world(scripted(Play(f'{{"prices": [[{at}, {point}]]}}'.encode())), NOW) as one:
        got = ask_gecko(one, "1h", "2024-03-04T08:00:00Z", "2024-03-04T09:00:00Z")
        assert got.rows == ()
        assert [gap.reason for gap in got.gaps] == ["BAD_ROW"]


def test_gecko__two_prices_at_one_instant__neither_is_taken() -> None:
    at = us("2024-03-04T08:59:30Z") // 1_000
    with world(scripted(Play(f'{{"prices": [[{at}, 1], [{at}, 2]]}}'.encode())), NOW) as one:
        got = ask_gecko(one, "1h", "2024-03-04T08:00:00Z", "2024-03-04T09:00:00Z")
        assert got.rows == ()
        assert [gap.reason for gap in got.gaps] == ["BAD_ROW"]


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        ("67187.3358936566", "67187.3358936566"), ("1.2e-05", "0.000012"), ("3E2", "300"), ("7", "7"),
        ("0.000012345678901234", "0.000012345678901234"), ("1.50000000000000000000", "1.5"),
    ],
)  # fmt: skip
def test_gecko__numbers__digit_for_digit(written: str, taken: str) -> None:
    at = us("2024-03-04T08:59:30Z") // 1_000
    with world(scripted(Play(f'{{"prices": [[{at}, {written}]]}}'.encode())), NOW) as one:
        got = ask_gecko(one, "1h", "2024-03-04T08:00:00Z", "2024-03-04T09:00:00Z")
        assert told(got) == [taken]


@pytest.mark.parametrize(
    "play",
    [
        answer({"status": {"error_code": 10002, "error_message": "API Key Missing"}}, 400),
        answer({"error": {"status": {"error_code": 10005}}}, 200),
        answer({"error_code": 10011}, 400),
        Play(b"error 1020", 403),
    ],
)
def test_gecko__key_or_plan__freezes(play: Play) -> None:
    with world(scripted(play), NOW) as one:
        got = ask_gecko(one, "1h", "2024-03-04T08:00:00Z", "2024-03-04T09:00:00Z")
        assert isinstance(got.trouble, AnswerRefused)
        assert one.codes() == ["FROZEN"]


@pytest.mark.parametrize(("pro", "header"), [(False, "x-cg-demo-api-key"), (True, "x-cg-pro-api-key")])
def test_gecko__key__travels_in_a_header(pro: bool, header: str) -> None:
    with played(gecko_player, NOW) as one:
        key = Secret("CG-secret-1")
        ask_gecko(one, "1h", "2024-03-04T08:00:00Z", "2024-03-04T09:00:00Z", key=key, pro=pro)
        assert one.server.seen[0].headers[header] == "CG-secret-1"
        assert "secret" not in repr(one.server.seen[0].query)


@pytest.mark.parametrize(
    "make",
    [
        lambda ports: binance.Binance({"BTC": Instrument("../x", "USDT")}, binance.terms(), ports),
        lambda ports: binance.Binance({"B TC": Instrument("BTC", "USDT")}, binance.terms(), ports),
        lambda ports: coingecko.CoinGecko({"BTC": Instrument("../bitcoin", "USD")}, coingecko.terms(), ports),
        lambda ports: coingecko.CoinGecko({"BTC": Instrument("bitcoin", "")}, coingecko.terms(), ports),
    ],
)
def test_ids__that_would_change_the_address__are_refused(make: Callable[[Ports], object]) -> None:
    with world(scripted(Play()), NOW) as one:

        async def act(ports: Ports) -> None:
            with pytest.raises(ValueError, match="not a"):
                make(ports)

        one.run(act)


def test_answer__goes_through_the_inbox_like_any_file() -> None:
    with played(binance_player(), NOW) as one:
        got = ask_binance(one, "1h", "2024-03-01T00:00:00Z", "2024-03-03T00:00:00Z")
        frame = taken(got.csv_files())
        assert frame["close"].to_list() == [canonical(close) for close in told(got)]
        assert frame["asof"].to_list() == closes(got)
        assert frame["source"].unique().to_list() == ["binance_spot"]


def test_answer__of_many_rows__is_cut_into_files_the_inbox_takes() -> None:
    row = PriceRow("A" * 64, "5m", 0, *["1" * 20 + "." + "1" * 18] * 4, "1" * 20, "Q" * 64, "s" * 128)
    rows = tuple(row._replace(asof=number * SECOND_US) for number in range(45_000))
    files = Answer("price", rows).csv_files()
    assert len(files) == 3
    assert max(map(len, files)) < 10_000_000
    assert Answer("price").csv_files() == []


def test_real_outages__are_exactly_the_gaps() -> None:
    path = DATA / "binance_1h_outages_2021.csv"
    if not path.exists():
        pytest.skip("the shared data are not here")
    frame = taken([path.read_bytes()]).filter(pl.col("asset") == "BTC")
    bars = {row["asof"]: row for row in frame.to_dicts()}

    def play(seen: Seen) -> Play:
        first, last = (int(seen.query[name]) * 1_000 for name in ("startTime", "endTime"))
        found = [bar for at, bar in sorted(bars.items()) if first <= at - HOUR_US <= last]
        rows = [
            [(bar["asof"] - HOUR_US) // 1_000, bar["open"], bar["high"], bar["low"], bar["close"],
             bar["volume"], bar["asof"] // 1_000 - 1, "0", 0, "0", "0", "0"]
            for bar in found[:1_000]
        ]  # fmt: skip
        return answer(rows)

    with world(play, "2021-12-01T00:00:00Z") as one:
        got = ask_binance(one, "1h", "2021-01-31T23:00:00Z", "2021-10-15T00:00:00Z")
    missing = set(range(min(bars), max(bars) + 1, HOUR_US)) - set(bars)
    assert len(missing) == 13
    named = {at for gap in got.gaps for at in range(gap.start + HOUR_US, gap.end + 1, HOUR_US)}
    assert named == missing
    assert taken(got.csv_files())["close"].to_list() == frame["close"].to_list()

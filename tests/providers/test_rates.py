"""Frankfurter, exchangerate.host, the embedded file and a folder: one rate a day, each with its own date."""

import asyncio
import io
import json
import zipfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.domain.instants import HOUR_US
from engine.errors import AnswerRefused, AnswerRejected, AnswerThrottled, AnswerUnreadable
from engine.providers import exchangerate, frankfurter
from engine.providers.ecb import fixing_us
from engine.providers.embedded_ecb import EmbeddedEcb
from engine.providers.file import FileProvider
from engine.providers.limits import MonthCap
from engine.providers.protocol import Answer, FxRow, PriceRow, render
from engine.providers.secrets import Secret
from engine.providers.transport import Ports
from engine.valuation.market_hours import is_target_day
from tests.providers.players import (
    Counter,
    ExchangePlayer,
    FrankfurterPlayer,
    answer,
    canonical,
    is_target,
    rate_at,
    stamp_us,
    taken,
)
from tests.providers.world import Play, World, played, scripted, us, world

NOW = "2024-04-03T13:00:00Z"  # a Wednesday, before the rates of the day are out
KEY = "0123456789abcdef"
EASTER = (date(2024, 3, 27), date(2024, 4, 3))  # Good Friday 29 March, Easter Monday 1 April
DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "fx" / "ecb_eod_2017-2026.csv"


def frankfurter_player(one: World) -> FrankfurterPlayer:
    return FrankfurterPlayer(one.clock, Counter(one.clock, 100))


def exchange_player(one: World) -> ExchangePlayer:
    return ExchangePlayer(one.clock, Counter(one.clock, 100), KEY)


def ask_frankfurter(one: World, first: date, last: date, quotes: tuple[str, ...] = ("USD",)) -> Answer:
    async def act(ports: Ports) -> Answer:
        it = frankfurter.Frankfurter(quotes, frankfurter.terms(one.server.root), ports, is_target)
        return await it.fetch_rates("EUR", quotes, first, last)

    return one.run(act)


def ask_exchange(one: World, first: date, last: date, key: str = KEY) -> Answer:
    async def keep(month: str, calls: int) -> None: ...

    async def act(ports: Ports) -> Answer:
        terms = exchangerate.terms(Secret(key), MonthCap(100, keep), one.server.root)
        it = exchangerate.ExchangeRate({"USD": ["EUR", "GBP"]}, terms, ports, Secret(key))
        return await it.fetch_rates("USD", ["EUR", "GBP"], first, last)

    return one.run(act)


def rates(got: Answer) -> list[tuple[str, str, int, str]]:
    """With rates in canonical text: JSON numbers lose their trailing zeros on the way."""
    rows = [row for row in got.rows if isinstance(row, FxRow)]
    return [(row.base, row.quote, row.asof, canonical(row.rate)) for row in rows]


def day_gaps(got: Answer) -> list[tuple[str, str, str, str]]:
    def day(instant: int) -> str:
        return str(date(1970, 1, 1) + timedelta(microseconds=instant))

    return [(gap.series.name, day(gap.start), day(gap.end), gap.reason) for gap in got.gaps]


def test_frankfurter__fixings_at_a_quarter_past_two_in_frankfurt() -> None:
    with played(frankfurter_player, NOW) as one:
        got = ask_frankfurter(one, *EASTER)
        days = [date(2024, 3, 27), date(2024, 3, 28), date(2024, 4, 2)]
        assert rates(got) == [("EUR", "USD", fixing_us(day), rate_at(day, "USD")) for day in days]
        assert got.rows[0].asof == us("2024-03-27T13:15:00Z"), "winter time"
        assert got.rows[2].asof == us("2024-04-02T12:15:00Z"), "summer time"
        assert day_gaps(got) == [("EUR/USD", "2024-04-03", "2024-04-04", "UNFINISHED")]
        one.clock.to(us("2024-04-03T14:29:59Z"))  # there, but not yet for certain
        assert ask_frankfurter(one, *EASTER).rows == got.rows
        one.clock.to(us("2024-04-03T14:30:00Z"))
        assert ask_frankfurter(one, *EASTER).gaps == ()


def test_frankfurter__a_day_off__is_not_answered_with_the_day_before() -> None:
    with played(frankfurter_player, NOW) as one:
        got = ask_frankfurter(one, date(2024, 3, 30), date(2024, 4, 1))
        assert "2024-03-28" in got.pages[0].body.decode(), "what the service says"
        assert got.rows == ()
        assert got.gaps == (), "and no rate was due"


def test_frankfurter__not_there_when_it_is_due__is_a_gap() -> None:
    body = {"amount": 1, "base": "EUR", "rates": {}}
    with world(scripted(answer(body)), "2024-04-03T14:30:00Z") as one:
        got = ask_frankfurter(one, date(2024, 4, 3), date(2024, 4, 3))
        assert [gap.reason for gap in got.gaps] == ["NOT_PUBLISHED"]


def test_frankfurter__before_the_fixing__nothing_is_due_yet() -> None:
    with played(frankfurter_player, "2024-04-02T09:00:00Z") as one:
        assert day_gaps(ask_frankfurter(one, date(2024, 4, 2), date(2024, 4, 2))) == [
            ("EUR/USD", "2024-04-02", "2024-04-03", "UNFINISHED")
        ]


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 1, "base": "EUR", "date": "2024-03-28", "rates": {"USD": 1.08}},
        {"amount": 1, "base": "EUR", "rates": {"2024-03-28": {"USD": 1.08}}},
        {"amount": 1, "base": "EUR", "rates": {"2024-03-30": {"USD": 1.08}}},
    ],
)
def test_frankfurter__one_day_answers_carry_their_own_date(body: dict[str, Any]) -> None:
    with world(scripted(answer(body)), NOW) as one:
        assert ask_frankfurter(one, date(2024, 3, 30), date(2024, 3, 31)).rows == ()


@pytest.mark.parametrize(
    "body",
    [
        {"amount": 2, "base": "EUR", "rates": {}},
        {"amount": 1, "base": "USD", "rates": {}},
        {"amount": 1, "base": "EUR"},
        {"amount": 1, "base": "EUR", "rates": {"yesterday": {"USD": 1}}},
        {"amount": 1, "base": "EUR", "rates": {"2024-03-28": 1.08}},
        {"amount": 1, "base": "EUR", "date": 5, "rates": {"USD": 1}},
        [],
    ],
)
def test_frankfurter__something_else__is_trouble(body: Any) -> None:
    with world(scripted(answer(body)), NOW) as one:
        got = ask_frankfurter(one, *EASTER)
        assert isinstance(got.trouble, AnswerUnreadable)
        assert got.rows == ()
        assert ("UNREACHED", "ANSWER_UNREADABLE") in {(gap.reason, gap.detail) for gap in got.gaps}


@pytest.mark.parametrize("rate", [0, -1, None, "NaN", True, {}, 1e-40])
def test_frankfurter__no_rate__is_a_gap(rate: Any) -> None:
    body = {"amount": 1, "base": "EUR", "rates": {"2024-03-28": {"USD": rate}}}
    with world(scripted(answer(body)), NOW) as one:
        got = ask_frankfurter(one, date(2024, 3, 28), date(2024, 3, 28))
        assert got.rows == ()
        assert [gap.reason for gap in got.gaps] == ["BAD_ROW"]


def test_frankfurter__twenty_years__in_few_calls() -> None:
    with played(frankfurter_player, NOW) as one:
        got = ask_frankfurter(one, date(2004, 4, 4), date(2024, 4, 2), ("USD", "GBP"))
        assert len(one.server.seen) == 8
        assert len({row.asof for row in got.rows}) * 2 == len(got.rows)
        assert got.gaps == ()


def test_frankfurter__another_base__is_a_mistake_of_the_caller() -> None:
    with played(frankfurter_player, NOW) as one:

        async def act(ports: Ports) -> None:
            it = frankfurter.Frankfurter(["USD"], frankfurter.terms(one.server.root), ports, is_target)
            with pytest.raises(ValueError, match="EUR alone"):
                await it.fetch_rates("USD", ["EUR"], *EASTER)

        one.run(act)


def test_exchange__working_days_alone_stamped_at_their_end() -> None:
    with played(exchange_player, NOW) as one:
        got = ask_exchange(one, date(2024, 3, 28), date(2024, 4, 3))
        days = [date(2024, 3, 28), date(2024, 3, 29), date(2024, 4, 1), date(2024, 4, 2)]
        assert rates(got) == [
            ("USD", quote, stamp_us(day), rate_at(day, quote)) for day in days for quote in ("EUR", "GBP")
        ]
        assert day_gaps(got) == [
            (pair, "2024-04-03", "2024-04-04", "UNFINISHED") for pair in ("USD/EUR", "USD/GBP")
        ]


def test_exchange__a_day_is_final_at_five_past_midnight() -> None:
    with played(exchange_player, "2024-04-03T00:04:59Z") as one:
        assert ask_exchange(one, date(2024, 4, 2), date(2024, 4, 2)).rows == ()
        one.clock.to(us("2024-04-03T00:05:00Z"))
        assert len(ask_exchange(one, date(2024, 4, 2), date(2024, 4, 2)).rows) == 2


def test_exchange__wrong_key__freezes_and_never_shows() -> None:
    with played(exchange_player, NOW) as one:
        got = ask_exchange(one, *EASTER, key="fedcba9876543210")
        assert isinstance(got.trouble, AnswerRefused)
        assert one.server.seen[0].query["access_key"] == "fedcba9876543210"
        assert "fedcba" not in f"{got!r}{got.trouble}{one.facts}"
        assert "access_key=***" in str(got.trouble)


@pytest.mark.parametrize(
    ("code", "leaf"),
    [
        (101, AnswerRefused), (104, AnswerRefused), (105, AnswerRefused), (429, AnswerThrottled),
        (302, AnswerRejected),
    ],
)  # fmt: skip
def test_exchange__errors_inside_a_200(code: int, leaf: type[Exception]) -> None:
    body = {"success": False, "error": {"code": code, "type": "some_type"}}
    with world(scripted(answer(body)), NOW) as one:
        got = ask_exchange(one, *EASTER)
        assert type(got.trouble) is leaf
        assert got.rows == ()
        assert {gap.reason for gap in got.gaps} == {"UNREACHED", "UNFINISHED"}


def test_exchange__nothing_found__is_an_answer() -> None:
    body = {"success": False, "error": {"code": 106, "type": "no_rates_available"}}
    with world(scripted(answer(body)), NOW) as one:
        got = ask_exchange(one, date(2024, 3, 28), date(2024, 3, 28))
        assert got.trouble is None
        assert {gap.reason for gap in got.gaps} == {"NOT_PUBLISHED"}


@pytest.mark.parametrize(
    "play",
    [
        Play(b"{"), answer([]), answer({}), answer({"success": "true"}),
        answer({"success": True, "source": "EUR"}),
        answer({"success": True, "source": "USD", "quotes": []}),
        answer({"success": True, "source": "USD", "quotes": {"x": {}}}),
    ],
)  # fmt: skip
def test_exchange__something_else__is_trouble(play: Play) -> None:
    with world(scripted(play), NOW) as one:
        got = ask_exchange(one, *EASTER)
        assert isinstance(got.trouble, AnswerUnreadable)
        assert got.rows == ()


async def ask_embedded(first: date, last: date, quotes: list[str]) -> Answer:
    return await EmbeddedEcb(is_target_day).fetch_rates("EUR", quotes, first, last)


def test_embedded__is_the_bank_s_own_file_digit_for_digit() -> None:
    if not DATA.exists():
        pytest.skip("the shared data are not here")
    it = EmbeddedEcb(is_target_day)
    got = asyncio.run(it.fetch_rates("EUR", ["USD", "PLN"], date(2017, 1, 1), date(2026, 10, 30)))
    lines = [line.split(",") for line in DATA.read_text().splitlines()[1:]]
    stored = [(q, us(asof), rate) for _, q, rate, _, asof, _ in lines if q in ("USD", "PLN")]
    told = [(row.quote, row.asof, row.rate) for row in got.rows if isinstance(row, FxRow)]
    assert sorted(told) == sorted(stored)
    assert got.gaps == ()
    assert got.pages == ()


def test_embedded__says_where_it_ends_and_what_it_never_had() -> None:
    got = asyncio.run(ask_embedded(date(2026, 10, 29), date(2026, 11, 4), ["USD", "HRK"]))
    assert [row.asof for row in got.rows] == [fixing_us(date(2026, 10, 29)), fixing_us(date(2026, 10, 30))]
    assert day_gaps(got) == [
        ("EUR/USD", "2026-11-02", "2026-11-05", "BEYOND_HISTORY"),
        ("EUR/HRK", "2026-10-29", "2026-10-31", "NOT_PUBLISHED"),
        ("EUR/HRK", "2026-11-02", "2026-11-05", "BEYOND_HISTORY"),
    ]
    it = EmbeddedEcb(is_target_day)
    assert not it.knows("rate", "USD/EUR")
    assert not it.knows("rate", "EUR/Date")
    (gives,) = it.gives
    assert (gives.earliest, gives.latest) == (fixing_us(date(1999, 1, 4)), fixing_us(date(2026, 10, 30)))
    assert not gives.covers("1d", fixing_us(date(2026, 11, 2)), us("2027-01-01T00:00:00Z"))


def test_embedded__a_damaged_number__is_a_gap() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        out.writestr("eurofxref-hist.csv", "Date,USD,\n2024-03-28,1.0x,\n2024-03-27,1.0816,\n")
    it = EmbeddedEcb(is_target, opener=packed.getvalue)
    got = asyncio.run(it.fetch_rates("EUR", ["USD"], date(2024, 3, 27), date(2024, 3, 28)))
    assert rates(got) == [("EUR", "USD", fixing_us(date(2024, 3, 27)), "1.0816")]
    assert [gap.reason for gap in got.gaps] == ["BAD_ROW"]


def test_fixing__is_where_the_shared_data_have_it() -> None:
    assert fixing_us(date(2017, 1, 2)) == us("2017-01-02T13:15:00Z")


def test_rates__go_through_the_inbox_like_any_file() -> None:
    with played(frankfurter_player, NOW) as one:
        got = ask_frankfurter(one, *EASTER, ("USD", "GBP"))
        frame = taken(got.csv_files())
        assert frame.height == len(got.rows) == 6
        assert frame["source"].unique().to_list() == ["frankfurter_ecb"]
        told = sorted((asof, quote, rate) for _, quote, asof, rate in rates(got))
        assert sorted(frame.select("asof", "quote", "rate").rows()) == told


def bars(*closes: str) -> list[PriceRow]:
    return [PriceRow("BTC", "1h", us(at), "", "", "", "100.5", "", "USD", "mine") for at in closes]


def test_folder__is_read_like_a_provider(tmp_path: Path) -> None:
    rate = FxRow("EUR", "USD", "1.08", "1d", us("2024-03-01T13:15:00Z"), "x")
    bad = bars("2024-03-01T03:00:00Z")[0]._replace(close="1e5")
    finer = bars("2024-03-01T02:00:00Z")[0]._replace(resolution="5m")
    files = {
        "a.csv": render("price", [*bars("2024-03-01T01:00:00Z", "2024-03-01T05:00:00Z"), bad, finer]),
        "b.csv": b"\xef\xbb\xbf" + render("rate", [rate]),
        "c.csv": b"some,other\nfile,here\n",
        "d.csv": b"\xff\xfe",
        "e.txt": render("price", bars("2024-03-01T02:00:00Z")),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    it = FileProvider(tmp_path, ["BTC"], ["EUR/USD"], is_target)
    start, end = us("2024-03-01T00:00:00Z"), us("2024-03-01T04:00:00Z")
    prices = asyncio.run(it.fetch_prices("BTC", "1h", start, end))
    assert [row.asof for row in prices.rows] == [start + HOUR_US]
    assert [(gap.end - start, gap.reason) for gap in prices.gaps] == [
        (2 * HOUR_US, "NOT_PUBLISHED"), (3 * HOUR_US, "BAD_ROW"), (4 * HOUR_US, "NOT_PUBLISHED"),
    ]  # fmt: skip
    assert isinstance(prices.trouble, AnswerUnreadable)
    assert str(tmp_path) not in str(prices.trouble)
    assert [page.url for page in prices.pages] == ["file:a.csv"]
    fx = asyncio.run(it.fetch_rates("EUR", ["USD"], date(2024, 3, 1), date(2024, 3, 4)))
    assert rates(fx) == [("EUR", "USD", us("2024-03-01T13:15:00Z"), "1.08")]
    assert day_gaps(fx) == [("EUR/USD", "2024-03-04", "2024-03-05", "NOT_PUBLISHED")]
    assert it.knows("price", "BTC")
    assert it.knows("rate", "EUR/USD")
    assert not it.knows("price", "ETH")


def test_page__holds_the_answer_as_it_came() -> None:
    with played(frankfurter_player, NOW) as one:
        got = ask_frankfurter(one, *EASTER)
        assert json.loads(got.pages[0].body)["base"] == "EUR"
        assert got.pages[0].url.endswith("/v1/2024-03-27..2024-04-03?base=EUR&symbols=USD")

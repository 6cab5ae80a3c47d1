"""What happens on a simulated day, all of it from one seed: files, acts, and what goes wrong.

Instants are seconds since the day began. Nothing here touches a disk or a clock.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from engine.domain.instants import SECOND_US, format_instant, parse_instant
from tests.runtime.deck import FX_COLUMNS, PRICE_COLUMNS, Row, bar, buy, rate, to_csv

HOUR_S = 3_600
BUCKET_S = 300
ZONES = {  # a zone and the start of a day in it that is not like others
    "UTC": "2025-06-11T00:00:00Z",
    "America/New_York": "2025-03-09T00:00:00Z",
    "Australia/Lord_Howe": "2025-04-05T00:00:00Z",
    "Asia/Kathmandu": "2025-11-20T00:00:00Z",
}
ASSETS = {"BTC": 60_000, "ETH": 3_000, "EURO-FUND": 40}  # and what one costs, in its quote currency
EURO_FUND = "EURO-FUND"
ACCOUNTS = ("main", "cold")
NO_PRICE, NO_QUANTITY = "no-price", "no-quantity"  # how the notes of a bad row begin: what is done about it
FAULTS = ("kill", "kill", "full", "errors", "jump", "hang-up", "deaf")
FAULT_S = (60, 1_800)  # how long a full disk, errors, a jump or deafness may last
JUMP_S = 3 * HOUR_S
JUMPS = (3 * HOUR_S, 17 * HOUR_S)  # when: far enough from the ends that no second 02:30 is seen


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing at one instant. `kind`: file, reject, release, or one of FAULTS; `until`: its end."""

    at: int
    kind: str
    name: str = ""
    data: bytes = b""
    until: int = 0
    number: int = 0


@dataclass
class Plan:
    """A day. `happenings` by their instants; `seconds`: how long the day is."""

    seed: int
    seconds: int
    zone: str = ""
    start: int = 0
    happenings: list[Happening] = field(default_factory=list)

    @property
    def files(self) -> dict[str, bytes]:
        return {one.name: one.data for one in self.happenings if one.kind == "file"}


def plan(seed: int, seconds: int = 24 * HOUR_S) -> Plan:
    """The day of a seed."""
    chance = Random(seed)
    zone = chance.choice(sorted(ZONES))
    start = parse_instant(ZONES[zone])
    assert start is not None
    day = Plan(seed, seconds, zone, start)
    _fill(day, [*_files(chance, day), *_faults(chance, day)])
    return day


def busy_plan(seed: int, seconds: int, start: int, trades_an_hour: int, rows_max: int) -> Plan:
    """In UTC from an instant on: nothing goes wrong, there is more to do, and nothing after the end."""
    day = Plan(seed, seconds, "UTC", start)
    happenings = _files(Random(seed), day, trades_an_hour, rows_max)
    _fill(day, (replace(one, at=min(one.at, seconds)) for one in happenings))
    return day


def _fill(day: Plan, happenings: Iterable[Happening]) -> None:
    day.happenings = sorted(happenings, key=lambda one: (one.at, one.kind, one.name))


def _files(chance: Random, day: Plan, trades_an_hour: int = 1, rows_max: int = 7) -> Iterator[Happening]:
    """All files, and what is done about their bad rows."""
    yield from (*_opening(day.start), *_prices(chance, day), *_rates(day))
    yield from _trades(chance, day, trades_an_hour, rows_max)


def _instant(start: int, seconds: int) -> str:
    return format_instant(start + seconds * SECOND_US)


def _opening(start: int) -> Iterator[Happening]:
    """What was bought before the day: more than is ever sold."""
    rows = [
        buy(timestamp=_instant(start, -12 * HOUR_S), asset_id=asset, account=account,
            unit_price_usd=str(price), quantity=f"{number + 100}.25", external_id=f"open-{number}-{account}")
        for number, (asset, price) in enumerate(ASSETS.items())
        for account in ACCOUNTS
    ]  # fmt: skip
    yield Happening(1, "file", "opening.csv", to_csv(rows))


def _prices(chance: Random, day: Plan) -> Iterator[Happening]:
    """Bars every quarter of an hour; silent for a while, what is then missing comes late or never."""
    silent = sorted(chance.sample(range(day.seconds // HOUR_S), k=max(1, day.seconds // (8 * HOUR_S))))
    held: list[Row] = []
    for close in range(BUCKET_S, day.seconds + 1, BUCKET_S):
        held += _bars(chance, day.start, close)
        if close % (3 * BUCKET_S):
            continue
        if (close - 1) // HOUR_S in silent:
            if chance.random() < 0.5:
                held = []
            continue
        yield Happening(close + chance.randrange(5, 120), "file", f"bars-{close}.csv",
                        to_csv(held, PRICE_COLUMNS))  # fmt: skip
        held = []


def _bars(chance: Random, start: int, close: int) -> list[Row]:
    return [
        bar(asset_id=asset, resolution="5m", bucket_close=_instant(start, close),
            close=f"{price + chance.randrange(price)}.{chance.randrange(100):02}",
            quote_currency="EUR" if asset == EURO_FUND else "USD")
        for asset, price in ASSETS.items()
    ]  # fmt: skip


def _rates(day: Plan) -> Iterator[Happening]:
    for at in range(0, day.seconds + 1, HOUR_S):
        asof = _instant(day.start, at)
        row = rate(rate=f"1.1{at // HOUR_S:02}", resolution="1h", asof=asof, fx_source="desk")
        yield Happening(at + 30, "file", f"rates-{at}.csv", to_csv([row], FX_COLUMNS))


def _trades(chance: Random, day: Plan, an_hour: int, rows_max: int) -> Iterator[Happening]:
    """Trades, some of them of hours ago, some bad; the bad ones are dealt with later."""
    for number in range(max(2, day.seconds * an_hour // HOUR_S)):
        at = chance.randrange(day.seconds)
        rows = [_trade(chance, day, at, f"{number}-{line}") for line in range(chance.randint(1, rows_max))]
        bad = chance.random() < 0.5
        if bad:
            rows.append(rows[0] | {"external_id": f"bad-p-{number}", "unit_price_usd": "", "action": "BUY",
                                   "notes": NO_PRICE})  # fmt: skip
            rows.append(rows[0] | {"external_id": f"bad-q-{number}", "quantity": "0", "notes": NO_QUANTITY})
        name = f"trades-{number}.csv"
        yield Happening(at, "file", name, to_csv(rows))
        if bad:
            later = at + chance.randrange(60, 2 * HOUR_S)
            yield Happening(later, chance.choice(("release", "reject")), name)


def _trade(chance: Random, day: Plan, at: int, number: str) -> Row:
    asset = chance.choice(sorted(ASSETS))
    when = at - chance.randrange(1, 6 * HOUR_S if chance.random() < 0.2 else BUCKET_S)
    return buy(
        timestamp=_instant(day.start, when), action=chance.choice(("BUY", "BUY", "SELL")), asset_id=asset,
        account=chance.choice(ACCOUNTS), quantity=f"0.{chance.randrange(1, 999):03}",
        unit_price_usd=str(ASSETS[asset]), external_id=f"t-{number}", fee_asset="USD", fee_amount="0.25",
    )  # fmt: skip


def _faults(chance: Random, day: Plan) -> Iterator[Happening]:
    for kind in FAULTS:
        first, last = JUMPS if kind == "jump" and day.seconds > JUMPS[1] else (0, day.seconds)
        at = chance.randrange(first, last)
        if kind == "jump":
            number = chance.choice((-1, 1)) * chance.randrange(1, JUMP_S)
        else:
            number = chance.randrange(1, 60)
        yield Happening(at, kind, until=at + chance.randrange(*FAULT_S), number=number)

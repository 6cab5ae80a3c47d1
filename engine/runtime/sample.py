"""Three small made-up files for a home that has none yet: five days of trading, with one slip and one hold.

Like the demo's files they are plain text made of whole days up to now; nothing in them is random. The slip is
an action in lower case. The hold: the market rate falls silent an hour of open market before the newest
close, so that it just does not serve it, while the fixing is half a percent off: what is quoted in EUR cannot
be valued until a person decides. Fixings come daily up to now: without one in force there would be no rate to
decide on. Nor is the market silent for 24 hours before the day's last one: until then the drift is known.
"""

from collections.abc import Sequence
from pathlib import Path

from engine.domain.instants import DAY_US, HOUR_US, format_instant
from engine.domain.transactions import COLUMNS
from engine.errors import UsageError
from engine.runtime.home import Home
from engine.store.files import publish
from engine.store.reader import Reader
from engine.valuation.buckets import closes
from engine.valuation.market_hours import open_between

PREFIX = "sample-"
DAYS = 5
PRICES = "asset_id,resolution,bucket_close,open,high,low,close,volume,quote_currency,price_source"
RATES = "base,quote,rate,resolution,asof,fx_source"
ETH, ACME = ("3310", "3350", "3400", "3450", "3520"), ("116.20", "117.05", "116.80", "118.30", "119.10")
MARKET_RATE, FIXING = "1.0850", "1.0905"
FIXED_AT_US = 13 * HOUR_US  # of the UTC day: before the fixing of the day before ends, 16:30 in Frankfurt
# days before the newest close, hours into that day; then the columns that are not empty
TRADES = (
    (5, 9, {"action": "BUY", "asset_id": "ETH", "quantity": "2", "unit_price_usd": "3300"}),
    (4, 10, {"action": "BUY", "asset_id": "ACME", "quantity": "40", "unit_price_usd": "126.40"}),
    (3, 15, {"action": "SELL", "asset_id": "ETH", "quantity": "0.5", "unit_price_usd": "3420"}),
    (2, 16, {"action": "buy", "asset_id": "ETH", "quantity": "1", "unit_price_usd": "3500"}),
)


def sample_files(zone: str, now: int) -> list[tuple[str, bytes]]:
    """Names and contents. `now`: microseconds UTC; days end as the clock of `zone` says."""
    recent = closes("1d", zone, now - (DAYS + 2) * DAY_US, now)
    ends = [int(close) for close in recent if close <= now][-DAYS:]
    texts = {"prices": _prices(ends), "rates": _rates(ends, now), "trades": _trades(ends[-1])}
    return [(f"{PREFIX}{name}.csv", text.encode()) for name, text in texts.items()]


def put_sample(home_path: str, zone: str, now: int) -> list[str]:
    """Puts the files into the inbox; their names. UsageError if the home has taken any file."""
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        if reader.count("files"):
            raise UsageError("This home has files of its own.", "The sample is for a home that is new.")
    files = sample_files(zone, now)
    for name, data in files:
        publish(home.inbox / name, data)
    return [name for name, _ in files]


def _trades(end: int) -> str:
    lines = [",".join(COLUMNS)]
    for number, (days, hours, told) in enumerate(TRADES, 1):
        common = {"fee_asset": "USD", "fee_amount": "5", "account": "main", "venue": "desk"}
        at = format_instant(end - days * DAY_US + hours * HOUR_US)
        row = {"timestamp": at, "external_id": f"SAMPLE-{number}"} | common | told
        lines.append(",".join(row.get(column, "") for column in COLUMNS))
    return _text(lines)


def _prices(ends: Sequence[int]) -> str:
    lines = [PRICES]
    for close, eth, acme in zip(ends, ETH, ACME, strict=True):
        at = format_instant(close)
        lines += [f"ETH,1d,{at},,,,{eth},,USD,sample", f"ACME,1d,{at},,,,{acme},,EUR,sample"]
    return _text(lines)


def _rates(ends: Sequence[int], now: int) -> str:
    last = _heard_last(ends[-1])
    heard = [*(end for end in ends if end < last), last]
    market = [f"EUR,USD,{MARKET_RATE},1h,{format_instant(at)},sample_market" for at in heard]
    first = ends[0] - ends[0] % DAY_US - DAY_US + FIXED_AT_US
    fixed = range(first, now + 1, DAY_US)
    fixing = [f"EUR,USD,{FIXING},1d,{format_instant(at)},sample_fixing" for at in fixed]
    return _text([RATES, *market, *fixing])


def _heard_last(close: int) -> int:
    """The newest instant, by whole hours, whose market rate does not serve the close any more."""
    at = close - HOUR_US
    while open_between(at, close) < HOUR_US:
        at -= HOUR_US
    return at


def _text(lines: Sequence[str]) -> str:
    return "\n".join([*lines, ""])

"""Made-up files for `navdeck demo`: thirty days of prices, rates and transactions with everything to look at.

The same seed and end give the same bytes on every machine: whole numbers only, one `random.Random`, no
clock. Every account, source and hash is invented. It never touches a home: it returns names and bytes.

What there is to see: a price outage, an FX feed that falls silent while the reference disagrees, transfers
that arrive late or never, a small oversell, a second export of known rows, dirty rows of every common
kind, a file that is no export at all, two corrections that contradict stored rows, and a last day that begins
with a held pair and a small file that was typed by hand.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable
from random import Random

from engine.domain.instants import DAY_US, SECOND_US, format_instant
from engine.domain.transactions import COLUMNS
from engine.runtime.demo_market import (
    DAYS,
    LAST_DAY,
    Files,
    Market,
    fx_files,
    fx_walk,
    price_files,
    price_walks,
    week_of,
)
from engine.runtime.demo_trades import MAIN, Row, transactions

DIRTY_ROUNDS = 3  # how often each kind of dirty row comes
AGAIN_DAYS = range(12, 16)  # days that are exported twice; two equal fills are among them
CORRECTED_DAYS = (8, 19)  # days with a row that is later contradicted

BY_HAND = "tx-by-hand.csv"
BY_HAND_AFTER_US = 200 * SECOND_US  # into the last day; ten seconds for whoever looks on

# column, then the value put there; {0} is the good value, `future` an instant well ahead.
DIRTY = (
    ("id", "7f3e2a10-4c1b-4d2e-9a77-0d6f1c2b3a4e"),
    ("timestamp", "{0:.19}+02:00"),
    ("timestamp", "{0:.10}"),
    ("timestamp", "{future}"),
    ("action", "buy"),
    ("action", "DEPOSIT"),
    ("asset_id", "LINK/USD spot"),
    ("quantity", "1,250.50"),
    ("quantity", "2.5e3"),
    ("quantity", "-{0}"),
    ("quantity", "99999999999999999999"),
    ("unit_price_usd", "$14.83"),
    ("unit_price_usd", ""),
    ("fee_amount", "0,75"),
    ("fee_asset", ""),
    ("account", ""),
    ("account", "main-\u200bexchange"),
    ("venue", "=1+2"),
    ("wallet", "@desk"),
    ("tx_hash", "f" * 129),
    ("", ""),  # the last column is cut off
)


Dated = list[tuple[int, Row]]


def demo_files(seed: int, end_us: int) -> Files:
    """Names and contents of the demo's files, in the order of their arrival.

    They cover the 30 days before `end_us` (microseconds UTC, floored to a UTC midnight).
    """
    rng = Random(seed)
    start = end_us - end_us % DAY_US - DAYS * DAY_US
    market = Market(start, price_walks(rng, start), fx_walk(rng, start))
    rows = transactions(rng, market)
    rates, prices = fx_files(rng, market), price_files(market)
    by_hand = [(BY_HAND, _by_hand(start + LAST_DAY * DAY_US + BY_HAND_AFTER_US))]
    return [*rates, *prices, *_weekly(rng, rows, start), *_oddities(rows, start), *by_hand]


def _weekly(rng: Random, rows: Dated, start: int) -> Files:
    """One file per calendar week, dirty rows among the good ones."""
    weeks: dict[str, list[list[str]]] = defaultdict(list)
    for ts, row in rows:
        weeks[week_of(ts)].append(list(row.values()))
    names = sorted(weeks)
    for number in range(DIRTY_ROUNDS * len(DIRTY)):
        lines = weeks[names[number % len(names)]]
        place = rng.randrange(1, len(lines))
        lines.insert(place, _dirty_line(number, lines[place - 1][1], start))
    return [(f"tx-{name}.csv", _table(COLUMNS, weeks[name])) for name in names]


def _dirty_line(number: int, timestamp: str, start: int) -> list[str]:
    """A plausible purchase with one thing wrong; `timestamp` is that of a neighbour."""
    row = _typed(timestamp, f"Q-{number + 1:06}")
    column, wrong = DIRTY[number % len(DIRTY)]
    if not column:
        return list(row.values())[:-1]
    future = format_instant(start + 3 * DAYS * DAY_US)
    row[column] = wrong.format(row[column], future=future)
    return list(row.values())


def _typed(timestamp: str, reference: str) -> Row:
    return dict.fromkeys(COLUMNS, "") | {
        "timestamp": timestamp, "action": "BUY", "asset_id": "LINK", "quantity": "12.5",
        "unit_price_usd": "14.83", "fee_asset": "USD", "fee_amount": "0.75", "account": MAIN,
        "venue": "desk", "external_id": reference, "notes": "typed in by hand",
    }  # fmt: skip


def _by_hand(ts: int) -> bytes:
    """Three purchases of one moment; two have a slip that is easily mended."""
    slips: tuple[Row, ...] = ({}, {"action": "buy"}, {"quantity": "1,250.50"})
    rows = [_typed(format_instant(ts), f"H-{number}") | slip for number, slip in enumerate(slips, 1)]
    return _table(COLUMNS, (list(row.values()) for row in rows))


def _oddities(rows: Dated, start: int) -> Files:
    """A second export of four days, corrections of two stored rows, and a file that is no export."""
    again = [list(row.values()) for ts, row in rows if (ts - start) // DAY_US in AGAIN_DAYS]
    priced, sized = (_first_buy(rows, start + day * DAY_US) for day in CORRECTED_DAYS)
    corrections = [priced | {"unit_price_usd": "1.5"}, sized | {"quantity": sized["quantity"] + "5"}]
    positions = [["2024-01-02", "BTC", "1.25"], ["2024-01-02", "ETH", "14"]]
    return [
        ("tx-second-export.csv", _table(COLUMNS, again)),
        ("tx-corrections.csv", _table(COLUMNS, (list(row.values()) for row in corrections))),
        ("positions-summary.csv", _table(("date", "symbol", "amount"), positions)),
    ]


def _first_buy(rows: Dated, after: int) -> Row:
    """The first purchase from then on that has a reference, without its id."""
    found = (row for ts, row in rows if ts >= after and row["action"] == "BUY" and row["external_id"])
    return next(found) | {"id": "", "notes": "corrected by the desk"}


def _table(header: Iterable[str], lines: Iterable[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *lines])
    return text.getvalue().encode()

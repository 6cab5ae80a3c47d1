"""Binance spot klines: bars of 5m, 1h and 1d, as far back as the exchange goes, 1,000 a call.

A bar is [open ms, open, high, low, close, volume, close ms, …] with numbers as strings; its bucket closes
at open + length. A bar is taken only once it is over, by our clock and by theirs. Where the exchange stood
still there is no bar, and so a gap.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.domain.instants import MINUTE_US
from engine.domain.resolutions import RESOLUTIONS
from engine.errors import ProviderError
from engine.providers.answers import Harvest, plain_text, read_json, unreadable, whole
from engine.providers.limits import Window
from engine.providers.priced import Priced
from engine.providers.protocol import (
    BAD_ROW,
    UNFINISHED,
    Answer,
    Gives,
    Instrument,
    PriceRow,
    Series,
    name_gaps,
    price_problem,
    utc_closes,
)
from engine.providers.transport import Caller, Ports, Terms
from engine.providers.wire import Reply, Request

NAME = "binance"
SOURCE = "binance_spot"
ROOT = "https://api.binance.com"
WEIGHT_A_MINUTE = 6_000  # by address; exchangeInfo says what is in force
CALL_WEIGHT = 2
ROWS_MAX = 1_000  # a call
SETTLED_US = MINUTE_US  # after a close, before a bar that is not there counts as never made
GIVES = (Gives("price", RESOLUTIONS, ROWS_MAX),)

_MS = 1_000
_SYMBOL = re.compile(r"[A-Z0-9]{1,32}")
_FIELDS = 7  # of the 12, those that are read


class _Bars(NamedTuple):
    reply: Reply
    rows: list[PriceRow]
    until: int  # bars that close later are not over yet


def terms(root: str = ROOT, weight_a_minute: int = WEIGHT_A_MINUTE) -> Terms:
    """The provider's terms as documented, or as configured."""
    return Terms(root, (Window(weight_a_minute, MINUTE_US),), CALL_WEIGHT)


class Binance(Priced):
    """`ids`: asset -> the exchange's symbol and the currency it is quoted in. ValueError for a bad one."""

    name = NAME
    gives = GIVES

    def __init__(
        self, ids: Mapping[str, Instrument], given: Terms, ports: Ports, source: str = SOURCE
    ) -> None:
        super().__init__(ids, _SYMBOL, "symbol", source, Caller(NAME, given, ports))

    async def fetch_prices(self, asset: str, resolution: str, start: int, end: int) -> Answer:
        """Bars for the closes in (start, end]."""
        harvest: Harvest[PriceRow] = Harvest()
        now = self.caller.now_us()
        wanted = utc_closes(resolution, start, min(end, now))
        fresh = utc_closes(resolution, max(start, now - SETTLED_US), end)
        why = dict.fromkeys(fresh, (UNFINISHED, ""))
        while wanted:
            try:
                bars = await self._page(asset, resolution, wanted)
            except ProviderError as error:
                harvest.trouble = error
                break
            harvest.page(bars.reply)
            _sort_in(bars, harvest, why)
            if not bars.rows:
                break
            wanted = utc_closes(resolution, bars.rows[-1].asof, min(end, now))
        why |= harvest.unreached(wanted)
        expected, got = utc_closes(resolution, start, end), {row.asof for row in harvest.rows}
        harvest.gaps += name_gaps(Series("price", asset, resolution), expected, got, why)
        return harvest.answer("price")

    async def _page(self, asset: str, resolution: str, wanted: range) -> _Bars:
        """The next bars of `wanted` closes, at most one call's."""
        instrument, step = self._ids[asset], wanted.step
        params = (
            ("symbol", instrument.symbol),
            ("interval", resolution),
            ("startTime", str((wanted[0] - step) // _MS)),
            ("endTime", str((wanted[-1] - step) // _MS)),
            ("limit", str(min(ROWS_MAX, len(wanted)))),
        )

        def read(reply: Reply) -> _Bars:
            used = whole(reply.headers.get("x-mbx-used-weight-1m"))
            if used is not None:
                self.caller.told_used(used)
            rows = [self._row(reply, raw, asset, resolution, step) for raw in _listed(reply)]
            closes = [row.asof for row in rows]
            if any(close not in wanted for close in closes) or sorted(set(closes)) != closes:
                raise unreadable(reply, "bars that were not asked for")
            return _Bars(reply, rows, min(reply.date_us or self.caller.now_us(), self.caller.now_us()))

        return await self.caller.get(Request("/api/v3/klines", params, CALL_WEIGHT), read)

    def _row(self, reply: Reply, raw: Any, asset: str, resolution: str, step: int) -> PriceRow:
        if not isinstance(raw, list) or len(raw) < _FIELDS:
            raise unreadable(reply, "something that is no bar")
        opened, closed = whole(raw[0]), whole(raw[6])
        if opened is None or closed != opened + step // _MS - 1:
            raise unreadable(reply, "a bar of another length")
        first, high, low, close, volume = (plain_text(number) for number in raw[1:6])
        quote = self._ids[asset].quote
        asof = opened * _MS + step
        return PriceRow(asset, resolution, asof, first, high, low, close, volume, quote, self._source)


def _listed(reply: Reply) -> list[Any]:
    body = read_json(reply)
    if not isinstance(body, list):
        raise unreadable(reply, "no list of bars")
    return body


def _sort_in(bars: _Bars, harvest: Harvest[PriceRow], why: dict[int, tuple[str, str]]) -> None:
    """Takes what is over and good; says of the rest why not."""
    for row in bars.rows:
        problem = price_problem(row)
        if row.asof > bars.until:
            why[row.asof] = (UNFINISHED, "")
        elif problem or not all(row[3:8]):
            why[row.asof] = (BAD_ROW, problem or "a number is missing")
        else:
            harvest.rows.append(row)

"""CoinGecko market charts: snapshots of a price, kept as `spot` points at the instants they were taken.

The points lie a few seconds off the grid. None is moved onto a close: a point prices the closes that follow
it within the tolerance of a spot, and a close without one is a gap. The service chooses the spacing by the
range: 5 minutes for the last day, hours up to 90 days; days, at midnight UTC, where they are asked for.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping
from typing import NamedTuple

from engine.domain.instants import DAY_US, MINUTE_US, SECOND_US
from engine.domain.resolutions import SPOT_TOLERANCE_US
from engine.errors import AnswerRefused, ProviderError
from engine.providers.answers import Harvest, plain_text, read_json, unreadable, whole
from engine.providers.limits import Window
from engine.providers.priced import Priced
from engine.providers.protocol import (
    BAD_ROW,
    BEYOND_HISTORY,
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
from engine.providers.secrets import Secret
from engine.providers.transport import Caller, Ports, Terms
from engine.providers.wire import Reply, Request

NAME = "coingecko"
SOURCE = "coingecko"
ROOT, ROOT_PRO = "https://api.coingecko.com/api/v3", "https://pro-api.coingecko.com/api/v3"
HEADER, HEADER_PRO = "x-cg-demo-api-key", "x-cg-pro-api-key"
CALLS_A_MINUTE = 30  # of the free plan; its pages disagree, the lower counts
BACK_DAYS = 365  # of the free plan
CALL_US_MAX = {"5m": DAY_US, "1h": 90 * DAY_US, "1d": 365 * DAY_US}  # longest range with that spacing
SETTLED_US = 5 * MINUTE_US  # after a close, before a point that is not there counts as never taken
PLACES = "18"  # decimal places asked for

_COIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_MS = 1_000
_KEY_OR_PLAN = {"10002", "10005", "10010", "10011"}  # no key, another plan, the wrong root: no retry helps


class _Points(NamedTuple):
    reply: Reply
    good: list[PriceRow]
    bad: list[int]


def gives(back_days: int = BACK_DAYS) -> tuple[Gives, ...]:
    """What a plan with that much history has; 5m are never older than a day."""
    return (
        Gives("price", ("5m",), DAY_US // (5 * MINUTE_US), DAY_US),
        Gives("price", ("1h",), 90 * 24, back_days * DAY_US),
        Gives("price", ("1d",), 365, back_days * DAY_US),
    )


def terms(
    key: Secret | None = None, pro: bool = False, root: str = "", calls_a_minute: int = CALLS_A_MINUTE
) -> Terms:
    """The provider's terms as documented, or as configured."""
    secrets = () if key is None else (key,)
    return Terms(root or (ROOT_PRO if pro else ROOT), (Window(calls_a_minute),), secrets=secrets)


class CoinGecko(Priced):
    """`ids`: asset -> coin id and quote currency. `key` goes in a header, `pro` says which."""

    name = NAME

    def __init__(
        self, ids: Mapping[str, Instrument], given: Terms, ports: Ports, key: Secret | None = None,
        pro: bool = False, source: str = SOURCE, back_days: int = BACK_DAYS,
    ) -> None:  # fmt: skip
        super().__init__(ids, _COIN, "coin id", source, Caller(NAME, given, ports, _judge))
        self._headers = () if key is None else ((HEADER_PRO if pro else HEADER, key),)
        self.gives = gives(back_days)

    async def fetch_prices(self, asset: str, resolution: str, start: int, end: int) -> Answer:
        """Points that serve the closes in (start, end]."""
        harvest: Harvest[PriceRow] = Harvest()
        now = self.caller.now_us()
        expected = utc_closes(resolution, start, end)
        had = next(one for one in self.gives if resolution in one.resolutions)
        wanted = [close for close in expected if had.covers(resolution, close, now)]
        why = dict.fromkeys(set(expected).difference(wanted), (BEYOND_HISTORY, ""))
        why |= dict.fromkeys(utc_closes(resolution, max(start, now - SETTLED_US), end), (UNFINISHED, ""))
        bad: list[int] = []
        while wanted:
            part = [close for close in wanted if close - wanted[0] < CALL_US_MAX[resolution]]
            try:
                points = await self._points(asset, resolution, part, now)
            except ProviderError as error:
                harvest.trouble = error
                break
            harvest.page(points.reply)
            harvest.rows += points.good
            bad += points.bad
            wanted = wanted[len(part) :]
        why |= harvest.unreached(wanted)
        _name_gaps(Series("price", asset, resolution), expected, harvest, bad, why)
        return harvest.answer("price")

    async def _points(self, asset: str, resolution: str, part: list[int], now: int) -> _Points:
        """The points of one call; of the last day the finest, for any resolution."""
        first, last = part[0] - SPOT_TOLERANCE_US[resolution], part[-1]
        recent = resolution != "1d" and part[0] >= now - DAY_US
        start, end = (max(first, now - DAY_US), now) if recent else (first, last)
        interval = (("interval", "daily"),) if resolution == "1d" else ()
        params = (
            ("vs_currency", self._ids[asset].quote.lower()),
            ("from", str(-(-start // SECOND_US))),
            ("to", str(end // SECOND_US)),
            ("precision", PLACES),
            *interval,
        )
        path = f"/coins/{self._ids[asset].symbol}/market_chart/range"

        def read(reply: Reply) -> _Points:
            blank = PriceRow(asset, "spot", 0, "", "", "", "", "", self._ids[asset].quote, self._source)
            rows = [row for row in _rows(reply, blank) if first < row.asof <= min(last, now)]
            values: dict[int, set[str]] = {}
            for row in rows:
                values.setdefault(row.asof, set()).add(row.close)
            bad = {row.asof for row in rows if price_problem(row) or len(values[row.asof]) > 1}
            good = {row.asof: row for row in rows if row.asof not in bad}
            return _Points(reply, list(good.values()), sorted(bad))

        return await self.caller.get(Request(path, params, secret_headers=self._headers), read)


def _rows(reply: Reply, row: PriceRow) -> list[PriceRow]:
    """The answer's points in the likeness of `row`; `close` is "" where there is no number."""
    body = read_json(reply)
    points = body.get("prices") if isinstance(body, dict) else None
    if not isinstance(points, list):
        raise unreadable(reply, "no list of prices")
    rows = []
    for point in points:
        at = whole(point[0]) if isinstance(point, list) and len(point) == 2 else None
        if at is None:
            raise unreadable(reply, "something that is no point in time")
        rows.append(row._replace(asof=at * _MS, close=plain_text(point[1])))
    return rows


def _name_gaps(
    series: Series, expected: range, harvest: Harvest[PriceRow], bad: list[int],
    why: dict[int, tuple[str, str]],
) -> None:  # fmt: skip
    """Names the closes that no good point serves."""
    tolerance = SPOT_TOLERANCE_US[series.resolution]
    taken = sorted({row.asof for row in harvest.rows})
    served = {close for close in expected if _any_in(taken, close - tolerance, close)}
    spoilt = {close: (BAD_ROW, "no price") for close in expected if _any_in(bad, close - tolerance, close)}
    harvest.gaps += name_gaps(series, expected, served, spoilt | why)


def _any_in(instants: list[int], start: int, end: int) -> bool:
    """Whether one of the sorted instants is in (start, end]."""
    return bisect_right(instants, start) < bisect_right(instants, end)


def _judge(reply: Reply) -> ProviderError | None:
    """A key or a plan that will not do is a refusal, whatever the status says."""
    code = _error_code(reply)
    if code not in _KEY_OR_PLAN:
        return None
    return AnswerRefused(f"{reply.url}: the key or plan will not do (error {code})")


def _error_code(reply: Reply) -> str:
    """The code in any of the shapes in which errors come; "" if there is none."""
    try:
        body = read_json(reply)
    except ProviderError:
        return ""
    for name in ("error", "status"):
        if isinstance(body, dict) and isinstance(body.get(name), dict):
            body = body[name]
    code = body.get("error_code") if isinstance(body, dict) else None
    return code if isinstance(code, str) else ""

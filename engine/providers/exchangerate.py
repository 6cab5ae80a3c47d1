"""exchangerate.host: end-of-day rates of any base, for a key. Off unless configured, and capped by the month.

Calls over the plan are billed, so each attempt is counted before it goes and a used-up plan freezes the
provider. The key can only travel in the address: it is struck out wherever the address shows. A day's rate
is stamped 23:59:59 UTC of that day and is ready at 00:05; a weekend's is a copy of Friday's and left out.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from engine.domain.instants import DAY_US, MINUTE_US, SECOND_US
from engine.errors import AnswerRefused, AnswerRejected, AnswerThrottled, ProviderError
from engine.providers.answers import day_us, plain_text, read_day, read_json, unreadable
from engine.providers.day_rates import DayHarvest, DayRates, gather
from engine.providers.ecb import at_weekend
from engine.providers.limits import MonthCap, Window
from engine.providers.protocol import Answer, FxRow, Gives, Kind, check_id
from engine.providers.secrets import Secret, excerpt
from engine.providers.transport import Caller, Ports, ProviderState, Terms
from engine.providers.wire import Reply, Request

NAME = "exchangerate"
SOURCE = "exchangerate_host"
ROOT = "https://api.exchangerate.host"
CALLS_A_MINUTE = 10  # far under any plan; a day needs one
CALL_DAYS_MAX = 365
STAMP_US = DAY_US - SECOND_US  # 23:59:59 of the day
READY_US = DAY_US + 5 * MINUTE_US  # when a day's rate is final

_NOTHING_FOUND = "106"
_REFUSALS = {"101", "102", "103", "104", "105"}  # key, account, function, monthly quota, plan
_TOO_OFTEN = "429"


def terms(key: Secret, month: MonthCap, root: str = ROOT, calls_a_minute: int = CALLS_A_MINUTE) -> Terms:
    """The provider's terms; the monthly cap is not optional."""
    return Terms(root, (Window(calls_a_minute),), month=month, secrets=(key,))


class ExchangeRate:
    """`pairs`: base -> the currencies to ask for."""

    name = NAME
    gives = (Gives("rate", ("1d",), CALL_DAYS_MAX),)

    def __init__(
        self, pairs: Mapping[str, Sequence[str]], given: Terms, ports: Ports, key: Secret,
        source: str = SOURCE,
    ) -> None:  # fmt: skip
        self._pairs = {check_id(base): [check_id(one) for one in quotes] for base, quotes in pairs.items()}
        self._key, self._source = key, source
        self.caller = Caller(NAME, given, ports, _judge)

    def knows(self, kind: Kind, name: str) -> bool:
        """Whether the pair is configured."""
        base, _, quote = name.partition("/")
        return kind == "rate" and quote in self._pairs.get(base, ())

    def state(self) -> ProviderState:
        """What a panel shows."""
        return self.caller.state()

    async def fetch_rates(self, base: str, quotes: Sequence[str], first: date, last: date) -> Answer:
        """End-of-day rates of the working days first..last."""
        into = DayHarvest(base, quotes, self._is_final)

        async def ask(start: date, end: date) -> DayRates:
            return await self._rates(base, quotes, start, end)

        return await gather(into, first, last, CALL_DAYS_MAX, lambda day: not at_weekend(day), ask)

    def _is_final(self, day: date) -> bool:
        return day_us(day) + READY_US <= self.caller.now_us()

    async def _rates(self, base: str, quotes: Sequence[str], first: date, last: date) -> DayRates:
        params = (
            ("start_date", str(first)), ("end_date", str(last)),
            ("source", base), ("currencies", ",".join(quotes)),
        )  # fmt: skip

        def read(reply: Reply) -> DayRates:
            rows = []
            for day, pair, raw in _listed(reply, base):
                quote = pair.removeprefix(base)
                if first <= day <= last and not at_weekend(day) and pair != quote and quote in quotes:
                    row = FxRow(base, quote, plain_text(raw), "1d", day_us(day) + STAMP_US, self._source)
                    rows.append((day, row))
            return DayRates(reply, rows)

        request = Request("/timeframe", params, secret_params=(("access_key", self._key),))
        return await self.caller.get(request, read)


def _listed(reply: Reply, base: str) -> Iterator[tuple[date, str, Any]]:
    """(day, pair, number); nothing where the service found nothing."""
    body = read_json(reply)
    if _error_code(body) == _NOTHING_FOUND:
        return
    if not isinstance(body, dict) or body.get("success") is not True:
        raise unreadable(reply, "no success and no error")
    if body.get("source") != base or not isinstance(body.get("quotes"), dict):
        raise unreadable(reply, f"something else than rates of {base}")
    for written, quotes in body["quotes"].items():
        day = read_day(written)
        if day is None or not isinstance(quotes, dict):
            raise unreadable(reply, "rates without a day")
        yield from ((day, pair, raw) for pair, raw in quotes.items())


def _error_code(body: Any) -> str:
    error = body.get("error") if isinstance(body, dict) and body.get("success") is False else None
    return str(error.get("code", "")) if isinstance(error, dict) else ""


def _judge(reply: Reply) -> ProviderError | None:
    """An error inside a 200."""
    try:
        body = read_json(reply)
    except ProviderError:
        return None
    code = _error_code(body)
    if code in ("", _NOTHING_FOUND):
        return None
    said = f"{reply.url}: error {excerpt(code)} {excerpt(str(body['error'].get('type', '')))}"
    if code in _REFUSALS:
        return AnswerRefused(said)
    return AnswerThrottled(said) if code == _TOO_OFTEN else AnswerRejected(said)

"""Exchange rates of the pretended engine: one pair held, one overridden, one within its band."""

import math
from dataclasses import replace
from typing import Any

from console.widgets.figures import DAY_US, MINUTE_US, from_us, to_us
from engine.api import Command, EngineError

Document = dict[str, Any]

NOW_US = to_us("2026-03-04T14:07:00Z")
BAND = "25"
GRANT = {
    "decision": 41, "actor": "ada", "reason": "feed restarts at 14:30, checked by phone",
    "from": "2026-03-04T12:29:59.999999Z", "to": "2026-03-04T13:50:00Z",
    "granted": "2026-03-04T13:50:00Z", "until": "2026-03-04T14:20:00Z", "left_s": 780,
}  # fmt: skip


def _pair(pair: str, state: str, rate: str | None, source: str | None, minutes: int | None,
          drift: str | None = None) -> Document:  # fmt: skip
    return {
        "pair": pair, "state": state, "rate": rate, "source": source,
        "asof": None if minutes is None else from_us(NOW_US - minutes * MINUTE_US),
        "age_s": None if minutes is None else minutes * 60, "drift_bps": drift, "flags": [],
        "held": state == "held", "held_since": None, "evidence": None, "fallback_rate": None,
        "override": None,
    }  # fmt: skip


def pairs() -> list[Document]:
    """All pairs, by name."""
    eased = _pair("EUR/GBP", "overridden", "0.8421", "ecb", 1_492, "61.5") | {"override": GRANT}
    return [
        _pair("EUR/CHF", "primary", "0.93821", "feed", 7), eased, _held("EUR/USD"),
        _pair("EUR/PLN", "eod only", "4.2711", "ecb", 1_492),
        _pair("GBP/USD", "fallback", "1.28154", "ecb", 1_492, "6.4"),
        _pair("EUR/SEK", "none", None, None, None),
    ]  # fmt: skip


def _held(pair: str) -> Document:
    return _pair(pair, "held", None, None, None, "41.209") | {
        "held_since": "2026-03-04T12:30:00Z", "fallback_rate": "1.0792",
        "evidence": {
            "cause": "DRIFT", "fallback_rate": "1.0792", "fallback_source": "ecb",
            "fallback_asof": "2026-03-03T13:15:00Z", "fallback_age_s": 89_520,
            "primary_rate": "1.08366", "primary_source": "feed", "primary_asof": "2026-03-04T11:30:00Z",
            "primary_age_s": 9_420, "drift_bps": "41.209", "feed_bps": "3.1", "moved_bps": "38.2",
        },
    }  # fmt: skip


def status(arguments: Document) -> Document:
    """`fx_status`."""
    found = {"at": from_us(NOW_US), "drift_bps_max": BAND, "pairs": pairs()}
    if arguments.get("pair") is None:
        return found
    chosen = [row for row in pairs() if row["pair"] == arguments["pair"]]
    if any(hold["to"] == arguments.get("at") for hold in _holds(chosen[0])):
        chosen = [_held(arguments["pair"])]
    touched = {
        "resolution": "5m", "close": "2026-03-04T14:05:00Z", "accounts": ["kraken-eur"],
        "assets": ["BTC", "ETH"], "base_currency": "USD",
        "value_under_fallback": "418220.15", "nav_under_fallback": "1284118.42",
    }  # fmt: skip
    return found | {
        "pairs": chosen, "fixings": _fixings(chosen[0]["pair"], arguments.get("from") or ""),
        "holds": _holds(chosen[0]),
        "without_market": _without_market(chosen[0]["state"]) if arguments.get("closes") else [],
        "touched": touched if chosen[0]["held"] else None,
    }  # fmt: skip


def _without_market(state: str) -> list[Document]:
    """A hold that ended when its market rate came, and where the pair stands now."""
    earlier = [
        {"from": "2026-02-24T21:00:00Z", "to": "2026-02-25T13:00:00Z", "closes": 17, "state": "held",
         "drift_bps": "33.471", "fallback": "1.0779"},
        {"from": "2026-02-25T14:00:00Z", "to": "2026-02-26T02:00:00Z", "closes": 13, "state": "held",
         "drift_bps": "28.016", "fallback": "1.0784"},
    ]  # fmt: skip
    now = {"from": "2026-03-04T13:00:00Z", "to": "2026-03-04T14:00:00Z", "closes": 2, "state": state,
           "drift_bps": "41.209", "fallback": "1.0792"}  # fmt: skip
    return [*earlier, now] if state == "held" else []


def _holds(row: Document) -> list[Document]:
    """Two of a pair that is within its band again, none that it is in of others."""
    if row["state"] != "fallback":
        return []
    return [
        {"from": "2026-02-22T22:05:00Z", "to": "2026-02-23T06:00:00Z", "closes": 96},
        {"from": "2026-03-01T22:05:00Z", "to": "2026-03-02T06:00:00Z", "closes": 96},
    ]


def _fixings(pair: str, after: str) -> list[Document]:
    first = to_us("2025-12-01T13:15:00Z")
    return [
        {
            "pair": pair, "fallback_asof": from_us(first + day * DAY_US), "fallback": "1.08",
            "primary_asof": from_us(first + day * DAY_US - 15 * MINUTE_US), "primary": "1.0803",
            "primary_age_s": 900, "feed_bps": f"{3 + 2.5 * math.sin(day / 3) ** 2 + day % 7 / 4:.3f}",
        }
        for day in range(93)
        if day % 7 < 5 and from_us(first + day * DAY_US) > after
    ]  # fmt: skip


def use_eod_once(command: Command) -> Document:
    """`fx_use_eod_once`."""
    pair = command.arguments["pair"]
    (row,) = [row for row in pairs() if row["pair"] == pair]
    ended = [hold for hold in _holds(row) if hold["to"] == command.arguments.get("to")]
    if not row["held"] and not ended:
        raise EngineError(f"{pair} is not held.", "Choose a pair that is.")
    if ended:
        span = {"from": ended[0]["from"], "to": ended[0]["to"], "held_closes": ended[0]["closes"]}
        return use_eod_once(replace(command, arguments={"pair": "EUR/USD"})) | {"pair": pair} | span
    return {
        "pair": pair, "from": "2026-03-04T12:29:59.999999Z", "to": "2026-03-04T14:07:00Z",
        "granted": "2026-03-04T14:07:00Z", "until": "2026-03-04T14:37:00Z", "held_closes": 20,
        "decisions": [42], "touched_from": NOW_US,
    }  # fmt: skip


# -- assets -------------------------------------------------------------------------------------------


def _asset(name: str, quantity: str, closes: int = 0, reason: str = "NO_PRICE", **more: Any) -> Document:
    blocking = {
        "reasons": [reason], "held": [], "closes": closes, "first": "2025-11-03T00:00:00Z",
        "last": "2026-03-04T00:00:00Z",
    }  # fmt: skip
    return {
        "asset_id": name, "status": "normal", "since": None, "price": None, "expires": None, "rows": 12,
        "first_row": "2025-11-02T10:11:12Z", "quantity": quantity, "accounts": 1, "last_price": None,
        "blocking": blocking if closes else None,
        "act": "ingest prices of it, or set it excluded (spam) or manual" if closes else None,
    } | more  # fmt: skip


PRICED = {"asof": "2026-03-04T14:05:00Z", "source": "binance", "quote": "USDT"}
ASSETS = [
    _asset("erc20:0x52903256dd18d85c2dc4a6c999907c9793ea61e3", "777", 122),
    _asset("erc20:0x519475b31653e46d20cd09f9fdcf3b12bdacb4f5", "9.04131276", 122),
    _asset("STRK", "1200", 3, "POSITION_BREAK", last_price=PRICED),
    _asset("BTC", "12.25", accounts=3, last_price=PRICED, rows=4_120),
    _asset("LOCKED", "40", status="manual", since="2026-01-01T00:00:00Z", price="0.5",
           expires="2026-12-31T00:00:00Z"),
    _asset("SCAM", "1000000", status="excluded", since="2025-12-01T00:00:00Z"),
]  # fmt: skip


def _provider(name: str, state: str = "closed", level: int = 100, left: int = 5_990, reason: str = "",
              probe: int | None = None) -> Document:  # fmt: skip
    return {
        "name": name, "state": state, "reason": reason, "level": level, "calls_left": left,
        "last_ok_at": from_us(NOW_US - 2 * MINUTE_US), "last_error": "",
        "next_probe": None if probe is None else from_us(NOW_US + probe * MINUTE_US),
    }  # fmt: skip


PROVIDERS = [
    _provider("binance"),
    _provider("coingecko", level=80, left=24, reason="429: too many calls"),
    _provider("frankfurter", "open", 50, 0, "502: bad gateway, five in a row", probe=3),
    {"name": "embedded_ecb", "state": "closed", "reason": "", "level": None, "calls_left": None},
]

"""The pretended engine's returns: as made up as its NAV, and of the same shape as what the engine tells."""

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

from console.widgets.figures import DAY_US, to_us

Document = dict[str, Any]

METHODS = dict.fromkeys(
    ("twr", "max_drawdown", "volatility", "money_weighted", "best_worst", "coverage"), "made up"
)
ASSETS = (("BTC", 0.412), ("ETH", 0.287), ("SOL", 0.131), ("ATOM", 0.09), ("LINK", 0.055), ("DOT", 0.025))
ACCOUNTS = (("cold", 0.6), ("kraken", 0.28), ("binance", 0.12))


def metrics(points: Sequence[Document], resolution: str) -> Document:
    """What `metrics` with points tells of these points of NAV."""
    linked = _linked(points)
    known = [point for point in linked if point["index"] is not None]
    steps = [(after["index"] / before["index"] - 1, before, after) for before, after in pairwise(known)]
    span = {"from": points[0]["bucket_close"], "to": points[-1]["bucket_close"]} if points else {}
    reason = None if steps else "NO_VALUATION"
    fall = _fall(known)
    return {
        "resolution": resolution, "account": None, "group": None, "base_currency": "USD", "cash": "external",
        "stale": False, "from": None, "to": None, **span,
        "first_valued": known[0]["bucket_close"] if known else None,
        "last_valued": known[-1]["bucket_close"] if known else None,
        "twr": known[-1]["index"] / known[0]["index"] - 1 if steps else None,
        "max_drawdown": fall["depth"] if fall else None, "drawdown": fall,
        "money_weighted": {"value": 0.184 if steps else None, "reason": reason},
        "volatility": 0.3871 if steps else None,
        "volatility_detail": {"reason": reason, "periods_per_year": 365, "n": len(steps)},
        "best": _period(max(steps, key=_return), resolution) if steps else None,
        "worst": _period(min(steps, key=_return), resolution) if steps else None,
        "coverage": len(known) / len(points) if points else 0.0, "periods": len(steps), "gaps": [],
        "breaks": [], "longest_unbroken": None, "reason": reason, "methods": METHODS,
        "allocation": _allocation(known[-1]) if known else None, "points": linked,
    }  # fmt: skip


def _return(step: tuple[float, Document, Document]) -> float:
    return step[0]


def _period(step: tuple[float, Document, Document], resolution: str) -> Document:
    value, *ends = step
    before, after = (end["bucket_close"] for end in ends)
    return {"period": resolution, "return": value, "from": before, "to": after}


def _linked(points: Sequence[Document]) -> list[Document]:
    """The points with an index of their own; it begins at 1."""
    levels = [None if point["nav"] is None else _level(to_us(point["bucket_close"])) for point in points]
    first = next((level for level in levels if level is not None), 1.0)
    index = [None if level is None else level / first for level in levels]
    tops = accumulate((level or 0.0 for level in index), max)
    falls = [None if level is None else level / top - 1 for level, top in zip(index, tops, strict=True)]
    rest: Document = {"break": None, "flow": "0"}
    return [
        point | rest | {"index": level, "drawdown": fall}
        for point, level, fall in zip(points, index, falls, strict=True)
    ]


def _level(ts: int) -> float:
    day = ts / DAY_US
    return 1.3 + 0.0004 * (day - 20_500) + 0.06 * math.sin(day / 5.1) + 0.012 * math.sin(day * 2.9)


def _fall(known: Sequence[Document]) -> Document | None:
    if len(known) < 2:
        return None
    trough = min(known, key=lambda point: point["drawdown"])
    top = max((point for point in known if point["bucket_close"] <= trough["bucket_close"]),
              key=lambda point: point["index"])  # fmt: skip
    length = to_us(known[-1]["bucket_close"]) - to_us(top["bucket_close"])
    return {"depth": trough["drawdown"], "peak": top["bucket_close"], "trough": trough["bucket_close"],
            "recovery": None, "duration_s": length // 1_000_000}  # fmt: skip


def _allocation(point: Document) -> Document:
    def shares(parts: Sequence[tuple[str, float]], name: str) -> list[Document]:
        worth = float(point["nav"])
        return [{name: part, "value": f"{worth * share:.2f}", "share": share} for part, share in parts]

    return {
        "bucket_close": point["bucket_close"], "nav": point["nav"],
        "by_asset": shares(ASSETS, "asset_id"), "by_account": shares(ACCOUNTS, "account"),
    }  # fmt: skip

"""The observations of one pair of currencies in one role, and which of them is in force at a close.

Owns the order of preference and how long a rate serves. Never checks a rate against another, never crosses.
"""

from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from engine.domain.instants import HOUR_US
from engine.domain.money import SCALE, div_half_even
from engine.domain.resolutions import RESOLUTIONS, SPOT
from engine.valuation.buckets import Instants
from engine.valuation.market_hours import expiry, reference_expiry

PIVOT = "EUR"
SERVES_US = HOUR_US  # open market time that an intraday rate serves
CHECK_US = 24 * HOUR_US  # open market time within which a primary can vouch for a fallback
FINENESS = (SPOT, *RESOLUTIONS)
OBSERVATIONS_SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "base": pl.String,
    "quote": pl.String,
    "source": pl.String,
    "resolution": pl.String,  # one of FINENESS
    "asof": pl.Int64,  # microseconds UTC
    "rate": pl.Decimal(38, 18),  # > 0; one base = rate x quote
}

Positions = NDArray[np.int64]

_ALWAYS, _NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max
_BPS = 10_000


def pair_name(one: str, other: str) -> str:
    """The name of a pair, either way round: EUR first if it is in it, else alphabetical."""
    return "/".join(sorted((one, other), key=lambda currency: (currency != PIVOT, currency)))


class Ratio(NamedTuple):
    """An exact rate; both parts are > 0."""

    num: int
    den: int

    def scaled(self) -> int:
        """Rounded half-even at the 18th place."""
        return div_half_even(self.num * SCALE, self.den)

    def times(self, other: "Ratio") -> "Ratio":
        return Ratio(self.num * other.num, self.den * other.den)

    def bps_off(self, other: "Ratio") -> "Ratio":
        """|self / other - 1| x 10,000."""
        mine, others = self.num * other.den, self.den * other.num
        return Ratio(abs(mine - others) * _BPS, others)


class Quotes:
    """One pair in one role. A position counts ascending by `asof` and preference: the later, the better.

    -1 stands for no observation: it looks up the entry that every array has appended for it.
    """

    def __init__(self, frame: pl.DataFrame) -> None:
        self._base: list[str] = frame["base"].to_list()
        self._rate: list[int] = frame["rate"].to_physical().to_list()
        self.source: list[str] = frame["source"].to_list()
        self.asof: list[int] = frame["asof"].to_list()
        self._asof: Instants = frame["asof"].to_numpy()
        intraday: NDArray[np.bool_] = (frame["resolution"] != "1d").to_numpy()
        ends = np.where(intraday, expiry(self._asof, SERVES_US), reference_expiry(self._asof))
        late_from = np.where(intraday, self._asof + SERVES_US, _NEVER)
        self._ends: Instants = np.append(ends, _ALWAYS)
        self._vouches_until: Instants = np.append(expiry(self._asof, CHECK_US), _ALWAYS)
        self._late_from: Instants = np.append(late_from, _NEVER)
        self._kinds = (np.flatnonzero(intraday), np.flatnonzero(~intraday))

    def in_force(self, closes: Instants) -> Positions:
        """The best observation in force at each close.

        Within a kind, intraday or daily, a later rate never ends sooner: only the latest can be in force.
        """
        best = np.full(closes.shape, -1, np.int64)
        for kind in self._kinds:
            latest = np.append(kind, -1)[np.searchsorted(self._asof[kind], closes, side="right") - 1]
            best = np.maximum(best, np.where(closes < self._ends[latest], latest, -1))
        return best

    def latest(self, closes: Instants) -> Positions:
        """The latest observation at or before each close, in force or not."""
        return (np.searchsorted(self._asof, closes, side="right") - 1).astype(np.int64)

    def is_recent(self, positions: Positions, closes: Instants) -> NDArray[np.bool_]:
        """Whether less than 24 h of open market have passed since each observation."""
        return np.asarray(closes < self._vouches_until[positions])

    def is_late(self, positions: Positions, closes: Instants) -> NDArray[np.bool_]:
        """Whether each is intraday and 1 h or more of clock old: it serves because the market is closed."""
        return np.asarray(closes >= self._late_from[positions])

    def ratio(self, at: int, from_ccy: str) -> Ratio:
        """The exact rate from a currency of the pair to the other."""
        rate = self._rate[at]
        return Ratio(rate, SCALE) if self._base[at] == from_ccy else Ratio(SCALE, rate)


def quotes_by_role(
    observations: pl.DataFrame, primary: tuple[str, ...], fallback: tuple[str, ...]
) -> tuple[dict[str, Quotes], dict[str, Quotes]]:
    """Primary and fallback quotes by pair name. Rows in any order; source names in order of preference."""
    source = pl.col("source")
    is_daily = pl.col("resolution") == "1d"
    is_primary = source.is_in(primary) | (~source.is_in(fallback) & ~is_daily)
    return (
        _by_pair(observations.filter(is_primary), primary),
        _by_pair(observations.filter(~is_primary), fallback),
    )


def _by_pair(observations: pl.DataFrame, order: tuple[str, ...]) -> dict[str, Quotes]:
    parts: dict[str, list[pl.DataFrame]] = {}
    for (base, quote), part in observations.partition_by("base", "quote", as_dict=True).items():
        pair = pair_name(base, quote)
        part = part.with_columns(inverse=pl.lit(pair != f"{base}/{quote}"))
        parts.setdefault(pair, []).append(part)
    return {pair: Quotes(_best_last(pl.concat(frames), order)) for pair, frames in parts.items()}


def _best_last(frame: pl.DataFrame, order: tuple[str, ...]) -> pl.DataFrame:
    """By asof; at one asof by source order, name, fineness, then as the pair is named: the best last."""
    names = dict.fromkeys([*order, *sorted(frame["source"].unique())])
    source = pl.col("source").cast(pl.Enum(list(names)))
    fineness = pl.col("resolution").cast(pl.Enum(FINENESS))
    return frame.sort("asof", source, fineness, "inverse", descending=[False, True, True, True])

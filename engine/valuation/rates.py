"""Rates as values: what was found for each close, and why where nothing was. Knows no source and no rule."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.domain.instants import SECOND_US
from engine.valuation.market_hours import open_between


@dataclass(frozen=True, slots=True)
class HoldEvidence:
    """Why a pair is held. Rates are scaled, one `from_ccy` in `to_ccy`; bps are scaled magnitudes."""

    pair: str
    from_ccy: str
    to_ccy: str
    cause: str  # DRIFT, or NO_PRIMARY: none within 24 h of open market
    fallback_rate: int
    fallback_source: str
    fallback_asof: int
    drift_bps: int | None = None  # None where no primary is recent enough to tell
    primary_rate: int | None = None  # the latest primary at the close, however old
    primary_source: str | None = None
    primary_asof: int | None = None
    feed_bps: int | None = None  # fallback against the latest primary at or before the fallback's asof
    moved_bps: int | None = None  # the latest primary at the close against that one

    def fallback_age_s(self, close: int) -> int:
        """Age of the fallback at a close in seconds of open market."""
        return open_between(self.fallback_asof, close) // SECOND_US

    def primary_age_s(self, close: int) -> int | None:
        """Age of the latest primary at a close in seconds of open market; None if there is none."""
        if self.primary_asof is None:
            return None
        return open_between(self.primary_asof, close) // SECOND_US


class Fixing(NamedTuple):
    """A fallback rate beside the latest primary at or before its asof. Rates and bps are scaled."""

    fallback_asof: int
    fallback: int
    primary_asof: int | None = None
    primary: int | None = None
    feed_bps: int | None = None


class RateUse(NamedTuple):
    """What a conversion comes to: a rate with its provenance, or the reason why there is none."""

    rate: int | None  # scaled
    source: str | None = None  # "a+b" in the order of the legs where crossed
    asof: int | None = None  # of the older leg where crossed
    drift_bps: int | None = None  # scaled; the larger of the legs where crossed
    flags: tuple[str, ...] = ()
    reason: str | None = None  # NO_FX, FX_HELD, VALUE_OUT_OF_RANGE
    held_pairs: tuple[str, ...] = ()
    evidence: tuple[HoldEvidence, ...] = ()  # one for each held pair
    held_rate: int | None = None  # scaled: the conversion under the fallback, where it is held


NO_RATE = RateUse(None, reason="NO_FX")


@dataclass(frozen=True, slots=True)
class RateVector:
    """One conversion over closes: `table[idx[i]]` is the result at close i.

    idx is -1 where nothing is in force; the table's last entry is NO_RATE, so -1 leads there.
    """

    idx: NDArray[np.int32]
    table: list[RateUse]

"""Text tables of movements, prices, rates and statuses -> snapshots and NAV points. All on 2024-03-04."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.domain.instants import format_instant, parse_instant
from engine.domain.money import to_scaled, to_text
from engine.snapshots.nav_reader import NavPoint, empty_point, read_points
from engine.snapshots.parquet_writer import encode
from engine.valuation import price_engine
from engine.valuation.exact import decimals
from engine.valuation.fx_handler import NO_RATE, RateUse, RateVector
from engine.valuation.positions import positions
from engine.valuation.price_choice import PRICES_SCHEMA, PricePolicy, choose, peg_broken
from engine.valuation.price_engine import Inputs, NavTotals, Status

CASH = frozenset({"USD", "EUR", "GBP"})


def at(text: str) -> int:
    """The instant of HH:MM or HH:MM:SS; a leading `+` means the next day."""
    day, clock = ("05", text[1:]) if text.startswith("+") else ("04", text)
    us = parse_instant(f"2024-03-{day}T{clock if clock.count(':') == 2 else clock + ':00'}Z")
    assert us is not None
    return us


def _lines(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines() if line.strip()]


def moves(table: str) -> pl.DataFrame:
    """Rows of `time account asset quantity [series]`."""
    rows = [(*row, "holding")[:5] for row in _lines(table)]
    columns: dict[str, Any] = {
        "account": [row[1] for row in rows],
        "asset": [row[2] for row in rows],
        "ts": [at(row[0]) for row in rows],
        "delta": decimals([to_scaled(row[3].lstrip("+")) for row in rows]),
        "series": [row[4] for row in rows],
    }
    return pl.DataFrame(
        columns, schema_overrides={"ts": pl.Int64, **dict.fromkeys(("account", "asset", "series"), pl.String)}
    )


def prices(table: str) -> pl.DataFrame:
    """Rows of `asof asset/quote resolution source price`."""
    rows = []
    for asof, pair, resolution, source, price in _lines(table):
        asset, quote = pair.split("/")
        rows.append((asset, quote, source, resolution, at(asof), price, len(price.partition(".")[2])))
    frame = pl.DataFrame(rows, schema={**PRICES_SCHEMA, "price": pl.String}, orient="row")
    return frame.with_columns(price=decimals([to_scaled(row[5]) for row in rows]))


def rates(table: str, closes: list[int]) -> dict[str, RateVector]:
    """Rows of `close currency rate [flag]`, or `close currency FX_HELD pair`; any other close has no rate."""
    found: dict[str, list[RateUse | None]] = {}
    for close, currency, rate, *more in _lines(table):
        if rate == "FX_HELD":
            use = RateUse(None, flags=("DELAYED_FX",), reason="FX_HELD", held_pairs=(more[0],))
        else:
            use = RateUse(to_scaled(rate), "feed", at(close), flags=tuple(more))
        found.setdefault(currency, [None] * len(closes))[closes.index(at(close))] = use
    return {currency: _vector(uses) for currency, uses in found.items()}


def _vector(uses: list[RateUse | None]) -> RateVector:
    table = [use for use in uses if use is not None]
    idx, seen = [], 0
    for use in uses:
        idx.append(-1 if use is None else seen)
        seen += use is not None
    return RateVector(np.array(idx, np.int32), [*table, NO_RATE])


def statuses(table: str) -> dict[str, list[Status]]:
    """Rows of `since asset status [price until]`."""
    found: dict[str, list[Status]] = {}
    for since, asset, status, *manual in _lines(table):
        price, until = (manual[0], at(manual[1])) if manual else (None, None)
        found.setdefault(asset, []).append(Status(at(since), status, price, until))
    return found


@dataclass(frozen=True)
class Case:
    """The inputs of one valuation, as tables; `closes` are the instants to value at."""

    moves: str = ""
    prices: str = ""
    rates: str = ""
    statuses: str = ""
    pegs: Mapping[str, str] = field(default_factory=dict)
    closes: str = "12:00 12:05 12:10"
    resolution: str = "5m"
    base: str = "USD"
    sources: tuple[str, ...] = ()
    cash_in_nav: bool = False
    pair_rates: str = ""  # rates of a pegged pair: `asof base/quote rate`

    def instants(self) -> list[int]:
        return [at(close) for close in self.closes.split()]

    def policy(self) -> PricePolicy:
        return PricePolicy(self.base, self.pegs, self.sources, CASH, self.cash_in_nav)

    def inputs(self) -> Inputs:
        closes = np.array(self.instants(), dtype=np.int64)
        policy, observed = self.policy(), prices(self.prices)
        pairs = [(*pair.split("/"), at(asof), rate) for asof, pair, rate in _lines(self.pair_rates)]
        schema = {"base": pl.String, "quote": pl.String, "asof": pl.Int64, "rate": pl.String}
        watched = pl.DataFrame(pairs, schema=schema, orient="row").with_columns(
            rate=decimals([to_scaled(str(row[3])) for row in pairs])
        )
        broken = {token: peg_broken(token, to, observed, watched, closes) for token, to in self.pegs.items()}
        known = rates(self.rates, self.instants())
        silent = RateVector(np.full(len(closes), -1, np.int32), [NO_RATE])
        quotes = {*observed["quote"], *CASH, *self.pegs.values()}
        return Inputs(
            closes, positions(moves(self.moves), closes, CASH, self.cash_in_nav),
            choose(observed, self.resolution, closes, policy), dict.fromkeys(quotes, silent) | known,
            broken, statuses(self.statuses), policy,
        )  # fmt: skip


class Told:
    """A case valued: snapshot rows by (close, account, asset, kind), points read back from files, totals."""

    def __init__(self, case: Case) -> None:
        inputs = case.inputs()
        self.closes = case.instants()
        self.totals = NavTotals(inputs)
        self.frames = []
        for values in price_engine.run(inputs):
            self.totals.add(values)
            self.frames.append(price_engine.snapshots([values], inputs))
        rows = [
            row
            for frame in self.frames
            for row in frame.with_columns(pl.col(pl.Datetime).to_physical()).iter_rows(named=True)
        ]
        self.rows = {(row["bucket_close"], row["account"], row["asset_id"], row["kind"]): row for row in rows}
        assert len(self.rows) == len(rows), "one row a close, account, asset and kind"

    def row(self, close: str, asset: str, account: str = "main", kind: str = "holding") -> dict[str, Any]:
        return self.rows[at(close), account, asset, kind]

    def points(self, account: str | None = None) -> dict[int, NavPoint]:
        """Every close's point, through Parquet files."""
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for number, frame in enumerate(self.frames):
                path = Path(folder) / f"{number}.parquet"
                path.write_bytes(encode(frame))
                files.append(str(path))
            found = read_points(files, self.closes[0], self.closes[-1], account) if self.closes else {}
        return {close: found.get(close) or empty_point(close) for close in self.closes}

    def point(self, close: str, account: str | None = None) -> NavPoint:
        return self.points(account)[at(close)]

    def navs(self) -> dict[str, str | None]:
        """HH:MM of each close -> NAV."""
        return {format_instant(close)[11:16]: point.nav for close, point in self.points().items()}


def text(value: Any) -> str | None:
    """Canonical text of a DECIMAL."""
    return None if value is None else to_text(to_scaled(format(value, "f")))

"""Reports for a tax return: realized gains by year, account, asset and term; income by kind.

The problem. A home that is told in days of Berlin sold on 2024-12-31 at 23:30 UTC. In Berlin that was 2025,
so the gain belongs to 2025, and whether a year had passed is counted on Berlin's dates.

Years and holding periods go by local dates of `tax.timezone`; long term is longer than `tax.holding` (see
portfolio/terms.py). What a lot of unknown age gained is neither short nor long, and told as such. Income of
unknown value is counted as unvalued and adds nothing. Sums are exact: scaled integers, no rounding; one that
no decimal of 38 digits holds is null, with VALUE_OUT_OF_RANGE among the row's reasons.

A fee in kind is in the books at its own value or, where that is unknown, at the basis of its lots. With
`lots.fee_in_kind = "market"` the report, and only the report, takes the latter at market instead: at what the
asset is worth at the close of the 5m bucket the fee fell into. Where that is not known it stays at basis and
is counted as unpriced.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from engine.config import Config
from engine.domain.instants import HOUR_US, format_instant
from engine.domain.money import in_range, to_text
from engine.domain.resolutions import FINEST
from engine.errors import UsageError
from engine.portfolio.lots_outcome import decimals
from engine.portfolio.terms import LONG, SHORT, TERMS, UNKNOWN, long_term, read_period
from engine.runtime.books import LOTS_CURRENCY
from engine.runtime.home import Home
from engine.runtime.kept_books import open_books
from engine.runtime.known_names import require_known
from engine.runtime.lot_pieces import income, realized_pieces
from engine.runtime.usd_prices import unit_prices
from engine.store.reader import Reader
from engine.valuation import buckets

Document = dict[str, Any]
GAINS_BY = ("year", "account", "asset", "term", "row")
INCOME_BY = ("kind", "year", "account", "asset", "row")
OUT_OF_RANGE = "VALUE_OUT_OF_RANGE"
UNVALUED = "NO_BASIS"
AT_BASIS, AT_MARKET, UNPRICED = "basis", "market", "unpriced"
_COLUMN = {"asset": "asset_id"}


@dataclass(frozen=True, slots=True)
class Scope:
    """What a report is about and how it is told; None: everything."""

    by: str
    year: int | None
    account: str | None
    asset: str | None

    @classmethod
    def of(cls, arguments: Document, choices: Sequence[str]) -> "Scope":
        """From a query's arguments. UsageError for what makes no sense."""
        by, year = arguments.get("by") or choices[0], arguments.get("year")
        if by not in choices:
            raise UsageError(f"There is no report by {by!r:.80}.", f"Choose one of {', '.join(choices)}.")
        if year is not None and (not isinstance(year, int) or not 1970 <= year <= 9999):
            raise UsageError(f"{year!r:.80} is no year.", "Write it like 2024.")
        return cls(by, year, arguments.get("account"), arguments.get("asset"))

    def filtered(self, frame: pl.DataFrame) -> pl.DataFrame:
        for name, wanted in (("account", self.account), ("asset", self.asset), ("year", self.year)):
            if wanted is not None:
                frame = frame.filter(pl.col(name) == wanted)
        return frame


def tax_zone(config: Config) -> str:
    """The time zone whose dates reports go by."""
    return str(config["tax.timezone"] or config["timezone"])


def with_terms(pieces: pl.DataFrame, config: Config) -> pl.DataFrame:
    """Realized pieces with `year` (of the disposal, local) and `term` (short, long or unknown)."""
    zone = tax_zone(config)
    ended = buckets.local_days(pieces["disposed_at"].to_numpy(), zone)
    known = pieces["acquired_at"].is_not_null().to_numpy()
    begun = buckets.local_days(pieces["acquired_at"].fill_null(0).to_numpy(), zone)
    is_long = long_term(begun, ended, read_period(config["tax.holding"]))
    terms = np.where(known, np.where(is_long, LONG, SHORT), UNKNOWN)
    return pieces.with_columns(year=_years(ended), term=pl.Series(terms.tolist(), dtype=pl.String))


def _years(days: np.ndarray) -> pl.Series:
    return pl.Series(days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970)


# -- gains --------------------------------------------------------------------------------------------


def report_gains(home_path: str, _now: int, arguments: Document) -> Document:
    """`report gains --json`: rows by year (or as `by` says), their total, and the rules that they go by."""
    scope = Scope.of(arguments, GAINS_BY)
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        require_known(reader, arguments)
        books = open_books(home, reader)
        pieces = scope.filtered(with_terms(realized_pieces(books, books.outcome()), books.config))
        pieces = _fees_told(pieces, reader, books.config)
    total = gain_sums(pieces)
    columns = _piece_columns(pieces) if scope.by == "row" else _sums_by(pieces, scope.by, gain_sums)
    return _document("gains", scope, books.config) | _rows(columns) | {"total": total}


def _rows(columns: dict[str, list[Any]]) -> Document:
    return {"columns": list(columns), "rows": as_rows(columns)}


def _document(report: str, scope: Scope, config: Config) -> Document:
    return {
        "report": report,
        "by": scope.by,
        "currency": LOTS_CURRENCY,
        "method": config["lot_method"],
        "timezone": tax_zone(config),
        "holding": config["tax.holding"],
        "fee_in_kind": config["lots.fee_in_kind"],
    }


def _fees_told(pieces: pl.DataFrame, reader: Reader, config: Config) -> pl.DataFrame:
    """The pieces with `fee` (basis, market or unpriced for a fee at basis, else null), at market if asked."""
    told = pl.when("at_basis").then(pl.lit(AT_BASIS))
    if config["lots.fee_in_kind"] == AT_BASIS or not pieces["at_basis"].any():
        return pieces.with_columns(fee=told)
    values = _market_values(pieces, reader, config)
    bases = pieces["basis"].to_physical().to_list()
    gains = [None if x is None or y is None else x - y for x, y in zip(values, bases, strict=True)]
    found = pieces.with_columns(worth=decimals(values), gained=decimals(gains))
    priced = pl.col("worth").is_not_null()
    return found.with_columns(
        proceeds=pl.when(priced).then("worth").otherwise("proceeds"),
        gain=pl.when(priced).then("gained").otherwise("gain"),
        fee=pl.when("at_basis").then(pl.when(priced).then(pl.lit(AT_MARKET)).otherwise(pl.lit(UNPRICED))),
    ).drop("worth", "gained")


def _market_values(pieces: pl.DataFrame, reader: Reader, config: Config) -> list[int | None]:
    """What each fee at basis is worth at market (scaled); null for all else, and where no price is known."""
    places = np.flatnonzero(pieces["at_basis"].to_numpy())
    fees = pieces[places]
    paid = fees["disposed_at"].to_numpy()
    zone = config["timezone"]
    closes = buckets.closes(FINEST, zone, int(paid.min()), int(paid.max()) + HOUR_US)
    ends = closes[np.searchsorted(closes, paid, side="right")]
    units = unit_prices(reader, config, FINEST, np.unique(ends), fees["asset"].unique().to_list())
    values: list[int | None] = [None] * pieces.height
    quantities = fees["quantity"].to_physical().to_list()
    for place, asset, end, quantity in zip(
        places.tolist(), fees["asset"].to_list(), ends.tolist(), quantities, strict=True
    ):
        values[place] = units[asset, end].value(quantity)
    return values


def gain_sums(pieces: pl.DataFrame) -> Document:
    """Counts and exact sums of pieces with terms and fees."""
    counts = {
        "pieces": pieces.height,
        "flagged": int((pieces["flags"].list.len() > 0).sum()),
        "unpriced": int((pieces["fee"] == UNPRICED).sum()),
    }
    return counts | sums_of_gains(pieces)


def sums_of_gains(pieces: pl.DataFrame) -> Document:
    """Exact sums of pieces with terms, and why one is null."""
    gains = {term: exact_sum(pieces.filter(pl.col("term") == term)["gain"]) for term in TERMS}
    amounts = {
        "proceeds_usd": exact_sum(pieces["proceeds"]),
        "cost_basis_usd": exact_sum(pieces["basis"]),
        "gain_usd": exact_sum(pieces["gain"]),
    }
    return _amounts(amounts | {f"gain_{term}_usd": gain for term, gain in gains.items()})


def exact_sum(column: pl.Series) -> int | None:
    """The sum of scaled decimals, of any size; None if one of them is not known."""
    values = column.to_physical().to_list()
    return None if None in values else sum(values)


def sum_text(amount: int | None) -> str | None:
    """A sum as text; null where it is not known, or no decimal of 38 digits holds it."""
    return None if amount is None or not in_range(amount) else to_text(amount)


def _amounts(amounts: dict[str, int | None]) -> Document:
    told = {name: sum_text(amount) for name, amount in amounts.items()}
    return told | {"reasons": [OUT_OF_RANGE] if None in told.values() else []}


def _sums_by(frame: pl.DataFrame, by: str, sums: Callable[[pl.DataFrame], Document]) -> dict[str, list[Any]]:
    """The sums of the rows of each value of a column, by value; as columns."""
    parts = [part for part in frame.sort(by, maintain_order=True).partition_by(by) if part.height]
    columns = {_COLUMN.get(by, by): [part[by][0] for part in parts]}
    told = [sums(part) for part in parts]
    return columns | {name: [one[name] for one in told] for name in sums(frame.clear())}


def _piece_columns(pieces: pl.DataFrame) -> dict[str, list[Any]]:
    return {
        "disposed_at": instant_texts(pieces["disposed_at"]),
        "acquired_at": instant_texts(pieces["acquired_at"]),
        "account": pieces["account"].to_list(),
        "asset_id": pieces["asset"].to_list(),
        "kind": pieces["kind"].to_list(),
        "quantity": scaled_texts(pieces["quantity"]),
        "proceeds_usd": scaled_texts(pieces["proceeds"]),
        "cost_basis_usd": scaled_texts(pieces["basis"]),
        "gain_usd": scaled_texts(pieces["gain"]),
        "term": pieces["term"].to_list(),
        "fee": pieces["fee"].to_list(),
        "flags": pieces["flags"].to_list(),
        "disposal_tx": pieces["disposal_tx"].to_list(),
        "acquisition_tx": pieces["acquisition_tx"].to_list(),
    }


def _texts(column: pl.Series, told: Callable[[int], str]) -> list[str | None]:
    return [None if value is None else told(value) for value in column.to_list()]


def instant_texts(column: pl.Series) -> list[str | None]:
    """Instants in microseconds as text."""
    return _texts(column, format_instant)


def scaled_texts(column: pl.Series) -> list[str | None]:
    """Decimals as canonical text."""
    return _texts(column.to_physical(), to_text)


def as_rows(columns: dict[str, list[Any]]) -> list[Document]:
    """Columns of one length as rows."""
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


# -- income -------------------------------------------------------------------------------------------


def report_income(home_path: str, _now: int, arguments: Document) -> Document:
    """`report income --json`: rewards, airdrops and income by kind (or as `by` says), and their total."""
    scope = Scope.of(arguments, INCOME_BY)
    home = Home(Path(home_path))
    with Reader(home.state) as reader:
        require_known(reader, arguments)
        books = open_books(home, reader)
        found = income(books, books.outcome())
        days = buckets.local_days(found["ts"].to_numpy(), tax_zone(books.config))
        found = scope.filtered(found.with_columns(year=_years(days)))
    columns = _income_columns(found) if scope.by == "row" else _sums_by(found, scope.by, _income_sums)
    return _document("income", scope, books.config) | _rows(columns) | {"total": _income_sums(found)}


def _income_sums(found: pl.DataFrame) -> Document:
    known = found["income"].drop_nulls()
    counts = {"count": found.height, "unvalued": found.height - len(known)}
    if counts["count"] and not len(known):
        return counts | {"income_usd": None, "reasons": [UNVALUED]}
    return counts | _amounts({"income_usd": exact_sum(known)})


def _income_columns(found: pl.DataFrame) -> dict[str, list[Any]]:
    return {
        "at": instant_texts(found["ts"]),
        "account": found["account"].to_list(),
        "asset_id": found["asset"].to_list(),
        "kind": found["kind"].to_list(),
        "quantity": scaled_texts(found["quantity"]),
        "income_usd": scaled_texts(found["income"]),
        "tx": found["tx"].to_list(),
    }

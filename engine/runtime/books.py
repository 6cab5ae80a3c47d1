"""The books of a home at one snapshot of the store: ledger, links, lots and what follows from them.

Everything here is a pure function of stored inputs and configuration, made when first asked for.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from engine.config import Config
from engine.domain.columns import decimal_texts, instant_texts
from engine.domain.instants import MINUTE_US
from engine.domain.money import mul, to_text
from engine.domain.transactions import Action
from engine.portfolio import holdings, lots_engine, transfers
from engine.portfolio.lots_outcome import LotsOutcome
from engine.runtime.standing import TransferDecisions
from engine.store.reader import Reader
from engine.valuation.fx_handler import FxPolicy, RateBook, Span
from engine.valuation.price_choice import PricePolicy
from engine.valuation.price_engine import Status

ASSET_STATUS, FX_OVERRIDE = "asset_status", "fx_use_eod_once"  # kinds of decisions
OVERRIDE_SERVES_US = 30 * MINUTE_US  # how long after its grant an override goes on, by the contract
LOTS_CURRENCY = "USD"  # gains and basis are told in it, whatever the base currency


class Books:
    """One reader's view, with the configuration in force."""

    def __init__(
        self, reader: Reader, config: Config, supposed: Mapping[str, Sequence[Span]] | None = None
    ) -> None:
        """`supposed`: FX overrides that nobody decided, for what would be."""
        self._reader = reader
        self.config = config
        self._supposed = supposed or {}
        self.cash_assets = frozenset(config["cash_assets"])
        self.cash_in_nav = config["cash"] == "account"

    @cached_property
    def ledger(self) -> pl.DataFrame:
        return self._reader.ledger()

    @cached_property
    def links(self) -> transfers.Links:
        return transfers.link(self.ledger, self.matches(), self.settlements())

    def prices_of(self, assets: Iterable[str] | None, spans: Sequence[tuple[int, int]]) -> pl.DataFrame:
        """The prices of some assets or all with an `asof` in one of the spans, which are in their order."""
        return self._reader.prices(assets, spans)

    def last_prices(self) -> dict[str, tuple[int, str, str]]:
        """By asset, the last price of all: `asof`, source, quote."""
        return self._reader.last_prices()

    def is_priced_by(self, asset: str, instant: int) -> bool:
        """Whether there is any price of an asset at or before an instant."""
        return self._reader.is_priced_by(asset, instant)

    def price_span(self) -> tuple[int, int] | None:
        """The first and the last `asof` of all prices."""
        return self._reader.price_span()

    @cached_property
    def rates(self) -> pl.DataFrame:
        return self._reader.rates()

    @cached_property
    def rate_book(self) -> RateBook:
        return RateBook(self.rates, self.fx_policy)

    @cached_property
    def fx_policy(self) -> FxPolicy:
        config = self.config
        return FxPolicy(
            primary=config["fx.primary"],
            fallback=config["fx.fallback"],
            eod_only=frozenset(config["fx.eod_only"]),
            drift_bps_max=to_text(config["fx.drift_bps_max"]),
            overrides=self.fx_overrides(),
        )

    @property
    def price_policy(self) -> PricePolicy:
        config = self.config
        return PricePolicy(
            base=config["base_currency"],
            pegs=dict(config["fx.pegs"]),
            sources=config["prices.sources"],
            cash_assets=self.cash_assets,
            cash_in_nav=self.cash_in_nav,
        )

    def _decisions(self, kind: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        rows = self._reader.rows(
            "SELECT subject, detail FROM decisions WHERE kind = ? AND decision NOT IN"
            " (SELECT json_extract(subject, '$.decision') FROM decisions WHERE kind = 'undo')"
            " ORDER BY decision",
            (kind,),
        )
        return [(json.loads(subject), json.loads(detail)) for subject, detail in rows]

    def matches(self) -> list[tuple[int, int]]:
        """The operator's pairs that stand: row of the OUT, row of the IN."""
        return [(match.out, match.into) for match in self.transfer_decisions.matches]

    def settlements(self) -> dict[int, transfers.Settlement]:
        """The operator's settlements that stand, by row."""
        return {row: settled.settlement for row, settled in self.transfer_decisions.settled.items()}

    @cached_property
    def transfer_decisions(self) -> TransferDecisions:
        return TransferDecisions(self._reader)

    def fx_overrides(self) -> dict[str, list[Span]]:
        """By pair: the closes at which operators let its fallback pass."""
        found: dict[str, list[Span]] = {}
        for subject, detail in self._decisions(FX_OVERRIDE):
            granted = detail["granted"]
            spans = Span(detail["from"], detail["to"]), Span(granted, granted + OVERRIDE_SERVES_US)
            found.setdefault(subject["pair"], []).extend(spans)
        for pair, more in self._supposed.items():
            found.setdefault(pair, []).extend(more)
        return found

    def supposing(self, pair: str, span: Span) -> "Books":
        """The same books, had an operator let the fallback of a pair pass in a span."""
        return Books(self._reader, self.config, {pair: [span]})

    def statuses(self) -> dict[str, list[Status]]:
        """Every asset's statuses, in the order in which they were decided."""
        found: dict[str, list[Status]] = {}
        for subject, detail in self._decisions(ASSET_STATUS):
            status = Status(detail["since"], detail["status"], detail.get("price"), detail.get("expires"))
            found.setdefault(subject["asset"], []).append(status)
        return found

    @cached_property
    def cash_fee_usd(self) -> dict[int, int | None]:
        """Row -> USD value of its fee in a cash asset other than USD, at the reference rate of its time."""
        return self.fees_in_cash(self.ledger)

    def charged_in_cash(self, ledger: pl.DataFrame) -> pl.DataFrame:
        """The rows among some that have a value in `cash_fee_usd`."""
        foreign = self.cash_assets - {LOTS_CURRENCY}
        return ledger.filter(
            pl.col("fee_asset").is_in(list(foreign))
            & (pl.col("fee_amount") > 0)
            & (pl.col("action") != Action.FEE)
        )

    def fees_in_cash(self, ledger: pl.DataFrame) -> dict[int, int | None]:
        """`cash_fee_usd` of some rows."""
        values: dict[int, int | None] = {}
        for (currency,), part in self.charged_in_cash(ledger).group_by("fee_asset"):
            vector = self.rate_book.reference(str(currency), LOTS_CURRENCY, part["ts"].to_numpy())
            amounts = part["fee_amount"].to_physical().to_list()
            for row, amount, entry in zip(part["row"].to_list(), amounts, vector.idx.tolist(), strict=True):
                rate = vector.table[entry].rate
                values[row] = None if rate is None else mul(amount, rate)
        return values

    def outcome(self, method: str | None = None, as_of: int | None = None) -> LotsOutcome:
        """Lots, in transit and realized under a method (the home's unless named)."""
        return lots_engine.run(
            self.ledger, self.links, method or self.config["lot_method"], self.cash_assets,
            self.cash_fee_usd, as_of,
        )  # fmt: skip

    @cached_property
    def _own_outcome(self) -> LotsOutcome:
        return self.outcome()

    def movements(self) -> pl.DataFrame:
        """Step changes of every account's holdings, for valuation."""
        return holdings.movements(
            self.ledger, self.links, self._own_outcome.deficits_frame(), self.config["cash"], self.cash_assets
        )

    def lot_frames(self, method: str | None = None, as_of: int | None = None) -> dict[str, pl.DataFrame]:
        """Open lots, lots in transit and realized pieces, under a method (the home's unless named)."""
        plain = method is None and as_of is None
        outcome = self._own_outcome if plain else self.outcome(method, as_of)
        return {
            "open_lots": outcome.open_lots_frame(),
            "in_transit": outcome.in_transit_frame(),
            "realized": outcome.realized_frame(),
        }

    def lots(
        self, method: str | None = None, account: str | None = None, asset: str | None = None,
        as_of: int | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """`lots --json`."""
        answer: dict[str, Any] = {"method": method or self.config["lot_method"]}
        for name, frame in self.lot_frames(method, as_of).items():
            if account is not None:
                frame = frame.filter(pl.col("account") == account)
            if asset is not None:
                frame = frame.filter(pl.col("asset") == asset)
            answer[name] = told_lots(frame)
        return answer

    def first_ts(self) -> int | None:
        """The instant of the first ledger row."""
        return None if self.ledger.is_empty() else int(np.min(self.ledger["ts"].to_numpy()))


_AMOUNTS = {"quantity": "quantity", "proceeds": "proceeds_usd", "basis": "cost_basis_usd", "gain": "gain_usd"}
_INSTANTS = ("disposed_at", "left_at", "acquired_at")


def told_lots(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Lots or realized pieces as JSON: decimals as canonical text, instants as text."""
    return lot_texts(frame).to_dicts()


def lot_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns of told lots: text, and flags as lists."""
    return frame.select(
        "account",
        pl.col("asset").alias("asset_id"),
        *(instant_texts(name) for name in _INSTANTS if name in frame.columns),
        *(decimal_texts(name).alias(told) for name, told in _AMOUNTS.items() if name in frame.columns),
        "flags",
    )

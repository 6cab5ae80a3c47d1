"""Ledgers as small text tables, and the lots, gains and holdings that come out, as text again.

A line is `HH:MM account ACTION quantity ASSET [@price] [fee AMOUNT ASSET] [#tx_hash] [~external_id]`.
Rows without a hash or an external id have their content as key. All times are of one day.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import polars as pl

from engine.domain.instants import HOUR_US, MINUTE_US
from engine.domain.money import to_text
from engine.domain.transactions import ACTIONS, LEDGER_SCHEMA, KeyKind
from engine.portfolio.lots_engine import run
from engine.portfolio.lots_outcome import LotsOutcome
from engine.portfolio.transfers import Settlement, link

DAY = 1_704_067_200_000_000  # 2024-01-01T00:00:00Z
CASH = frozenset({"USD", "EUR"})


@dataclass(frozen=True)
class Tx:
    ts: int
    account: str
    action: str
    quantity: str
    asset: str
    price: str | None = None
    fee_asset: str | None = None
    fee_amount: str | None = None
    tx_hash: str | None = None
    external_id: str | None = None
    row: int = 0
    k: int = 1
    id: str = ""
    id_given: bool = False

    @property
    def kind(self) -> KeyKind:
        if self.tx_hash:
            return KeyKind.TX_HASH
        if self.external_id:
            return KeyKind.EXTERNAL_ID
        return KeyKind.ID if self.id_given else KeyKind.CONTENT

    def content(self) -> tuple[object, ...]:
        return (
            self.ts, self.action, self.asset, self.quantity, self.price, self.fee_asset, self.fee_amount,
            self.account, self.tx_hash, self.external_id,
        )  # fmt: skip


def at(clock: str) -> int:
    hours, minutes = clock.split(":")
    return DAY + int(hours) * HOUR_US + int(minutes) * MINUTE_US


def clock(ts: int | None) -> str:
    if ts is None:
        return "?"
    hours, rest = divmod(ts - DAY, HOUR_US)
    return f"{hours:02}:{rest // MINUTE_US:02}"


def trades(table: str) -> list[Tx]:
    return numbered(_parse(line) for line in table.strip().splitlines() if line.strip())


def numbered(rows: Iterable[Tx]) -> list[Tx]:
    """Gives rows their number, k and an id, as a store would."""
    seen: Counter[tuple[object, ...]] = Counter()
    result = []
    for number, tx in enumerate(rows, start=1):
        seen[tx.content()] += 1
        k = seen[tx.content()] if tx.kind == KeyKind.CONTENT else 1
        result.append(replace(tx, row=number, k=k, id=tx.id or f"id-{number:04}"))
    return result


def _parse(line: str) -> Tx:
    time, account, action, quantity, asset, *rest = line.split()
    tx = Tx(at(time), account, action, quantity, asset)
    while rest:
        word = rest.pop(0)
        if word == "fee":
            tx = replace(tx, fee_amount=rest.pop(0), fee_asset=rest.pop(0))
        else:
            field = {"@": "price", "#": "tx_hash", "~": "external_id"}[word[0]]
            tx = replace(tx, **{field: word[1:]})
    return tx


def frame(rows: Iterable[Tx]) -> pl.DataFrame:
    def number(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    records = [
        (
            tx.row, tx.ts, ACTIONS.index(tx.action), tx.asset, number(tx.quantity), number(tx.price),
            tx.fee_asset, number(tx.fee_amount), tx.account, tx.tx_hash, tx.external_id, tx.id,
            int(tx.kind), tx.k,
        )
        for tx in rows
    ]  # fmt: skip
    return pl.DataFrame(records, schema=LEDGER_SCHEMA, orient="row")


def book(
    rows: list[Tx] | str,
    method: str = "FIFO",
    as_of: str | None = None,
    matches: Iterable[tuple[int, int]] = (),
    cash_fee_usd: dict[int, int | None] | None = None,
    settlements: Mapping[int, Settlement] | None = None,
) -> LotsOutcome:
    ledger = frame(trades(rows) if isinstance(rows, str) else rows)
    moment = None if as_of is None else at(as_of)
    return run(ledger, link(ledger, matches, settlements), method, CASH, cash_fee_usd or {}, moment)


def open_lots(outcome: LotsOutcome) -> list[str]:
    """`account asset acquired quantity basis FLAGS`, one per lot."""
    lots = outcome.open_lots_frame().iter_rows(named=True)
    return [_line(r, "acquired_at", "quantity", "basis") for r in lots]


def in_transit(outcome: LotsOutcome) -> list[str]:
    """`account asset acquired left quantity basis FLAGS`."""
    lots = outcome.in_transit_frame().iter_rows(named=True)
    return [_line(r, "acquired_at", "left_at", "quantity", "basis") for r in lots]


def settled(outcome: LotsOutcome) -> list[str]:
    """`account asset acquired left quantity basis FLAGS`."""
    lots = outcome.settled_frame().iter_rows(named=True)
    return [_line(r, "acquired_at", "left_at", "quantity", "basis") for r in lots]


def realized(outcome: LotsOutcome) -> list[str]:
    """`account asset disposed acquired quantity proceeds basis gain FLAGS`, one per piece."""
    names = ("disposed_at", "acquired_at", "quantity", "proceeds", "basis", "gain")
    return [_line(r, *names) for r in outcome.realized_frame().iter_rows(named=True)]


def deficits(outcome: LotsOutcome) -> list[str]:
    """`account asset time quantity`."""
    return [_line(r, "ts", "quantity") for r in outcome.deficits_frame().iter_rows(named=True)]


def _line(record: dict[str, object], *names: str) -> str:
    words = [str(record["account"]), str(record["asset"])]
    for name in names:
        value = record[name]
        words.append(to_text(int(value.scaleb(18))) if isinstance(value, Decimal) else clock(value))  # type: ignore[arg-type]
    flags = record.get("flags", ())
    assert isinstance(flags, list | tuple)
    return " ".join([*words, *flags])


def table(text: str) -> list[str]:
    """The lines of an expected table, spaces squeezed."""
    return [" ".join(line.split()) for line in text.strip().splitlines() if line.strip()]

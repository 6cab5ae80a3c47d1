"""Lots of one account without transfers, against two programs that others wrote: beancount and rp2.

Quantities have 8 places and prices 2, a trade a day, all prices different: then every basis and gain is exact
in fewer than 18 places, no order is left to chance, and both must agree with us piece by piece, to the last
digit. beancount books by dates, hence the days; rp2 knows one asset at a time.
"""

import json
import random
import subprocess
import sys
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from engine.domain.instants import DAY_US
from tests.portfolio.ledgers import DAY, Tx, book, numbered

ROWS = 400
FIRST = date(2024, 1, 1)
Piece = tuple[str, str | None, Decimal, Decimal]  # disposed, acquired, quantity, gain

RP2 = """
import importlib, json, logging, sys
logging.disable(logging.CRITICAL)
from prezzemolo.avl_tree import AVLTree
from rp2.accounting_engine import AccountingEngine
from rp2.configuration import Configuration
from rp2.in_transaction import InTransaction
from rp2.input_data import InputData
from rp2.out_transaction import OutTransaction
from rp2.plugin.country.us import US
from rp2.rp2_decimal import RP2Decimal as R
from rp2.tax_engine import compute_tax
from rp2.transaction_set import TransactionSet

asked = json.load(sys.stdin)
fields = "timestamp asset exchange holder transaction_type spot_price".split()
heads = {
    "in": [*fields, "crypto_in"],
    "out": [*fields, "crypto_out_no_fee", "crypto_fee"],
    "intra": "timestamp asset from_exchange from_holder to_exchange to_holder spot_price crypto_sent"
             " crypto_received".split(),
}
with open("rp2.ini", "w") as file:
    file.write("[general]\\nassets = X\\nexchanges = E\\nholders = H\\n")
    for name, columns in heads.items():
        file.write(f"[{name}_header]\\n" + "".join(f"{c} = {n}\\n" for n, c in enumerate(columns)))
config = Configuration("rp2.ini", US())
sets = {kind: TransactionSet(config, kind, "X") for kind in ("IN", "OUT", "INTRA")}
for number, (day, action, quantity, price) in enumerate(asked["rows"], 1):
    how = dict(row=number, unique_id=str(number))
    told = (config, day + "T00:00:00+00:00", "X", "E", "H", action, R(price), R(quantity))
    if action == "BUY":
        sets["IN"].add_entry(InTransaction(*told, **how))
    else:
        sets["OUT"].add_entry(OutTransaction(*told, R("0"), **how))
for method in asked["methods"]:
    years = AVLTree()
    accounting = importlib.import_module("rp2.plugin.accounting_method." + method.lower())
    years.insert_node(1970, accounting.AccountingMethod())
    found = compute_tax(config, AccountingEngine(years), InputData("X", *sets.values())).gain_loss_set
    print(json.dumps([
        [one.taxable_event.timestamp.date().isoformat(), one.acquired_lot.timestamp.date().isoformat(),
         str(one.crypto_amount), str(one.fiat_gain)] for one in found
    ]))
"""


def history(seed: int) -> list[tuple[str, str, str, str]]:
    """(day, action, quantity, price): a trade a day; never more sold than held."""
    chance = random.Random(seed)
    cents = chance.sample(range(1_000, 900_000), ROWS)
    held, rows = 0, []
    for number, price in enumerate(cents):
        sells = held > 0 and chance.random() < 0.5
        quantity = chance.randint(1, held if sells else 5 * 10**8)
        held += -quantity if sells else quantity
        day = (FIRST + timedelta(days=number)).isoformat()
        told = str(Decimal(quantity).scaleb(-8)), str(Decimal(price).scaleb(-2))
        rows.append((day, "SELL" if sells else "BUY", f"{Decimal(told[0]):f}", told[1]))
    return rows


def ours(rows: list[tuple[str, str, str, str]], method: str) -> list[Piece]:
    trades = [
        Tx(DAY + (date.fromisoformat(day) - FIRST).days * DAY_US, "main", action, quantity, "X", price)
        for day, action, quantity, price in rows
    ]
    pieces = book(numbered(trades), method).realized_frame().iter_rows(named=True)

    def day(us: int | None) -> str | None:
        return None if us is None else (FIRST + timedelta(days=(us - DAY) // DAY_US)).isoformat()

    return sorted(
        (day(one["disposed_at"]) or "", day(one["acquired_at"]), one["quantity"], one["gain"])
        for one in pieces
    )


def beancounts(rows: list[tuple[str, str, str, str]], method: str) -> list[Piece]:
    from beancount import loader
    from beancount.core.data import Transaction

    opened = (f'Assets:Main "{method}"', "Equity:Cash", "Income:Pnl")
    lines = [f"2023-01-01 open {account}" for account in opened]
    for day, action, quantity, price in rows:
        money = Decimal(quantity) * Decimal(price)
        if action == "BUY":
            lines.append(f'{day} * "b"\n  Assets:Main  {quantity} X {{{price} USD}}\n  Equity:Cash')
        else:
            sold = f"  Assets:Main  -{quantity} X {{}} @ {price} USD\n  Equity:Cash  {money:f} USD"
            lines.append(f'{day} * "s"\n{sold}\n  Income:Pnl')
    entries, errors, _ = loader.load_string("\n".join(lines))
    assert errors == []
    found: list[Piece] = []
    postings: list[tuple[date, Any]] = [
        (entry.date, posting)
        for entry in entries
        if isinstance(entry, Transaction)
        for posting in entry.postings
        if posting.price is not None
    ]
    for when, posting in postings:
        amount, cost = -posting.units.number, posting.cost
        gain = amount * (posting.price.number - cost.number)
        found.append((when.isoformat(), cost.date.isoformat(), amount, gain))
    return sorted(found)


@pytest.mark.parametrize("method", ["FIFO", "LIFO", "HIFO"])
@pytest.mark.parametrize("seed", [1, 2])
def test_beancount__agrees_piece_by_piece_to_the_last_digit(seed: int, method: str) -> None:
    rows = history(seed)
    assert ours(rows, method) == beancounts(rows, method)


def test_rp2__agrees_piece_by_piece_to_the_last_digit(tmp_path: Path) -> None:
    """In a process of its own: it leaves a log file open."""
    rows, methods = history(3), ["FIFO", "LIFO", "HIFO"]
    asked = json.dumps({"rows": rows, "methods": methods})
    done = subprocess.run(
        [sys.executable, "-c", RP2], input=asked, cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for method, line in zip(methods, done.stdout.splitlines(), strict=True):
        pieces = json.loads(line)
        theirs = sorted((sold, bought, Decimal(q), Decimal(gain)) for sold, bought, q, gain in pieces)
        assert ours(rows, method) == theirs, method

"""Other lot engines on the same rows, made so that all can book them: no transfers, no fees, FIFO.

Each case reads the file with the csv module, then builds what its library wants and matches, which is timed.
RP2 takes 11 decimal places and pools accounts; beancount books one account at a time, all assets in it.
"""

import csv
import importlib
import logging
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

Row = dict[str, str]
DISPOSALS = ("SELL", "FEE")
EARNED = {"BUY": "BUY", "STAKING_REWARD": "STAKING", "AIRDROP": "AIRDROP", "INCOME": "INCOME"}
RP2_COLUMNS = {
    "in_header": "timestamp asset exchange holder transaction_type spot_price crypto_in",
    "out_header": "timestamp asset exchange holder transaction_type spot_price crypto_out_no_fee crypto_fee",
    "intra_header": "timestamp asset from_exchange from_holder to_exchange to_holder spot_price crypto_sent "
    "crypto_received",
}


def write_plain(trades: Path, plain: Path) -> None:
    """The trades without transfers and fees, at 8 decimal places, never more sold than the account holds."""
    with trades.open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    held: dict[tuple[str, str], int] = {}
    with plain.open("w", newline="", encoding="utf-8") as text:
        writer = csv.DictWriter(text, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            place, units = (row["account"], row["asset_id"]), _units(row["quantity"])
            units = min(units, held.get(place, 0)) if row["action"] in DISPOSALS else units
            if row["action"].startswith("TRANSFER") or not units:
                continue
            held[place] = held.get(place, 0) + (-units if row["action"] in DISPOSALS else units)
            quantity = f"{units // 10**8}.{units % 10**8:08d}"
            empty = {"fee_asset": "", "fee_amount": "", "tx_hash": ""}
            writer.writerow(row | empty | {"quantity": quantity})


def _units(quantity: str) -> int:
    """Up to 10,000 in units of the 8th place, from the digits of a quantity."""
    return int(quantity.replace(".", "")) % 10**12 + 1


def _rows(file: str) -> list[Row]:
    with open(file, newline="", encoding="utf-8") as text:
        return sorted(csv.DictReader(text), key=lambda row: (row["timestamp"], row["id"]))


def coinbasis(file: str) -> dict[str, Any]:
    """Portfolio of Decimal transactions, per wallet and asset."""
    library = importlib.import_module("coinbasis")
    rows = _rows(file)
    started = time.perf_counter()
    transactions = [
        (library.Sell if row["action"] in DISPOSALS else library.Buy)(
            datetime.fromisoformat(row["timestamp"]), row["account"], row["asset_id"],
            Decimal(row["quantity"]), Decimal(row["unit_price_usd"] or 0), Decimal(0),
        )
        for row in rows
    ]  # fmt: skip
    portfolio = library.Portfolio.from_transactions(transactions)
    matches = len(portfolio.realized_gains(library.CostBasisMethod.FIFO))
    return {"seconds": time.perf_counter() - started, "matches": matches}


def rp2(file: str) -> dict[str, Any]:
    """The accounting engine alone, without its spreadsheets."""
    logging.disable(logging.CRITICAL)
    rows = _rows(file)
    with tempfile.TemporaryDirectory() as folder:
        configuration = _rp2_configuration(rows, Path(folder))
    parts = {name: importlib.import_module(f"rp2.{name}") for name in _RP2_MODULES}
    tree = importlib.import_module("prezzemolo.avl_tree").AVLTree
    started = time.perf_counter()
    matches = 0
    for asset, sets in _rp2_sets(rows, configuration, parts).items():
        years = tree()
        years.insert_node(1970, parts["plugin.accounting_method.fifo"].AccountingMethod())
        engine = parts["accounting_engine"].AccountingEngine(years)
        data = parts["input_data"].InputData(asset, *sets)
        matches += parts["tax_engine"].compute_tax(configuration, engine, data).gain_loss_set.count
    return {"seconds": time.perf_counter() - started, "matches": matches}


_RP2_MODULES = (
    "accounting_engine", "in_transaction", "input_data", "out_transaction", "plugin.accounting_method.fifo",
    "rp2_decimal", "tax_engine", "transaction_set",
)  # fmt: skip


def _rp2_configuration(rows: list[Row], folder: Path) -> Any:
    lines = [
        "[general]",
        "assets = " + ", ".join(sorted({row["asset_id"] for row in rows})),
        "exchanges = X",
        "holders = " + ", ".join(sorted({row["account"] for row in rows})),
    ]
    for header, names in RP2_COLUMNS.items():
        lines += ["", f"[{header}]", *(f"{name} = {place}" for place, name in enumerate(names.split()))]
    file = folder / "rp2.ini"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    country = importlib.import_module("rp2.plugin.country.us").US()
    return importlib.import_module("rp2.configuration").Configuration(str(file), country)


def _rp2_sets(rows: list[Row], configuration: Any, parts: dict[str, Any]) -> dict[str, list[Any]]:
    number = parts["rp2_decimal"].RP2Decimal
    acquired = parts["in_transaction"].InTransaction
    disposed = parts["out_transaction"].OutTransaction
    kinds = ("IN", "OUT", "INTRA")
    sets: dict[str, list[Any]] = {}
    for line, row in enumerate(rows, start=1):
        asset, ts = row["asset_id"], row["timestamp"].replace("Z", "+00:00")
        if asset not in sets:
            sets[asset] = [parts["transaction_set"].TransactionSet(configuration, k, asset) for k in kinds]
        quantity, price = number(row["quantity"]), number(row["unit_price_usd"] or "1")
        who, named = (configuration, ts, asset, "X", row["account"]), {"row": line, "unique_id": row["id"]}
        if row["action"] in DISPOSALS:
            sets[asset][1].add_entry(disposed(*who, "SELL", price, quantity, number("0"), **named))
        else:
            sets[asset][0].add_entry(acquired(*who, EARNED[row["action"]], price, quantity, **named))
    return {asset: found for asset, found in sets.items() if found[0].count}


def beancount(file: str) -> dict[str, Any]:
    """Load and book a text ledger, FIFO per account."""
    loader = importlib.import_module("beancount.loader")
    rows = _rows(file)
    with tempfile.TemporaryDirectory() as folder:
        book = Path(folder) / "book.beancount"
        book.write_text("\n".join(_beancount_lines(rows)) + "\n", encoding="utf-8")
        started = time.perf_counter()
        entries, errors, _ = loader.load_file(str(book))
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "entries": len(entries), "errors": len(errors)}


def _beancount_lines(rows: list[Row]) -> Iterator[str]:
    for account in sorted({row["account"] for row in rows}):
        yield f'2024-01-01 open Assets:{account.title()} "FIFO"'
    yield "2024-01-01 open Income:Pnl\n2024-01-01 open Equity:Cash"
    for row in rows:
        price, day = row["unit_price_usd"] or "1", row["timestamp"][:10]
        account, moved = f"Assets:{row['account'].title()}", f"{row['quantity']} {row['asset_id']}"
        yield f'{day} * "x"'
        if row["action"] in DISPOSALS:
            yield f"  {account}  -{moved} {{}} @ {price} USD"
            yield f"  Equity:Cash  {Decimal(row['quantity']) * Decimal(price):f} USD\n  Income:Pnl"
        else:
            yield f"  {account}  {moved} {{{price} USD}}\n  Equity:Cash"


PEERS = {"coinbasis 0.1.0": coinbasis, "rp2 1.7.2": rp2, "beancount 3.2.3": beancount}

"""What must hold of a home that lived through a plan, beside one that was left in peace."""

import csv
import io
from decimal import Decimal

from engine.messages import Command
from tests.runtime.deck import Deck
from tests.runtime.desk import fix, reject, release
from tests.sim.plan import BUCKET_S, NO_PRICE, Plan

LIKE = ("ledger", "observations", "open_lots", "realized", "quarantine")  # decisions tell when they were made


def keep_quietly(deck: Deck, day: Plan) -> None:
    """All files at once, then what the operator did."""
    deck.ingest(*(deck.file(name, data) for name, data in day.files.items()))
    for one in day.happenings:
        if one.kind in ("reject", "release"):
            rows = [row for row in deck.ask("quarantine")["rows"] if row["file"] == one.name]
            mendable = [row["id"] for row in rows if row["row"]["notes"] == NO_PRICE]
            mendable = mendable if one.kind == "release" else []
            others = [row["id"] for row in rows if row["id"] not in mendable]
            if mendable:
                fix(deck, mendable, unit_price_usd="7")
                release(deck, mendable)
            reject(deck, others)


def parts(deck: Deck) -> dict[str, str]:
    """The digest's parts that are alike however a home was kept."""
    found = deck.digest()["parts"]
    return {name: found[name] for name in LIKE}


def nothing_is_invented(deck: Deck, day: Plan) -> None:
    """A holding has a price where somebody said one for that very close, and nowhere else."""
    said = {(row["asset_id"], row["bucket_close"]): row["close"] for row in _rows(day, "bars-")}
    rates = {row["asof"]: row["rate"] for row in _rows(day, "rates-")}
    columns = "asset_id, bucket_close, price, fx_asof, fx_rate, reason"
    found = deck.ask("sql", query=f"SELECT {columns} FROM snapshots_5m WHERE kind = 'holding'")["rows"]
    assert len(found) > day.seconds // BUCKET_S
    for asset, close, price, fx_asof, fx_rate, reason in found:
        assert _same(price, said.get((asset, close))), (asset, close)
        assert price is not None or reason == "NO_PRICE", (asset, close, reason)
        assert fx_asof is None or (fx_asof <= close and _same(fx_rate, rates[fx_asof])), (asset, close)


def backed_up(deck: Deck) -> None:
    """There is a backup, and every backup that is listed is good."""
    assert deck.ask("backups")["backups"]
    assert deck.with_engine(lambda engine: engine.do(Command("backup_verify")), writing=False)["ok"]


def _rows(day: Plan, name: str) -> list[dict[str, str]]:
    """The rows of all files whose names begin so."""
    texts = [data.decode() for file, data in day.files.items() if file.startswith(name)]
    return [row for text in texts for row in csv.DictReader(io.StringIO(text))]


def _same(found: str | None, said: str | None) -> bool:
    if found is None or said is None:
        return found is said
    return Decimal(found) == Decimal(said)

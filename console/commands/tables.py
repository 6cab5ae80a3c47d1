"""Answers as tables for people: homes and books, status and settings. No figure is made here but sums."""

from collections.abc import Iterable, Iterator
from decimal import Context, Decimal
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from console.commands import backup_tables, nav_tables
from console.commands.alert_tables import ack_words
from console.commands.grid import (
    BAD,
    GOOD,
    QUIET,
    ROWS_SHOWN,
    WARN,
    Column,
    Grid,
    counted,
    figure,
    hint,
    legend,
    pairs,
    rest,
    section,
    show,
    text,
)
from console.text import UNKNOWN, count, instant, money, plural, quantity, safe_text

EXACT = Context(prec=100)  # sums of at most 38 digits each, never rounded

Document = dict[str, Any]


def total(amounts: Iterable[str | None]) -> str | None:
    """An exact sum; unknown if a part is unknown."""
    summed = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        summed = EXACT.add(summed, Decimal(amount))
    told = format(summed, "f")
    return told.rstrip("0").rstrip(".") if "." in told else told


# -- init -------------------------------------------------------------------------------------------


def made_home(document: Document) -> None:
    """`init`."""
    fixed = [("base currency", "base_currency"), ("time zone", "timezone"), ("lot method", "lot_method")]
    show(
        text(f"✓ made a home at {document['home']}", GOOD),
        pairs((name, document[key]) for name, key in fixed),
        hint("navdeck ingest FILE…, or put files into its inbox/ and run navdeck ingest"),
    )


# -- lots ---------------------------------------------------------------------------------------------

LOT_COLUMNS = (
    Column("account", least=8), Column("asset", least=6), Column("acquired"), Column("quantity", right=True),
    Column("cost basis USD", right=True, brief="basis USD"), Column("flags", least=18, rank=1, wraps=True),
)  # fmt: skip
GAINS = ("proceeds_usd", "cost_basis_usd", "gain_usd")


def lots(document: Document) -> None:
    """`lots`."""
    held, realized = document["open_lots"], document["realized"]
    narrow = "--account or --asset narrow them, --json has each"
    parts: list[RenderableType] = []
    if len(held) > ROWS_SHOWN:
        parts.append(section("Holdings", holdings(held)))
    shown = Grid(LOT_COLUMNS, [_lot_row(lot) for lot in held[:ROWS_SHOWN]]) if held else Text("none", QUIET)
    title = f"{plural(len(held), 'open lot')}, {document['method']}"
    parts.append(section(title, shown, *rest(held, narrow)))
    if document["in_transit"]:
        parts.append(section("On the way", in_transit(document["in_transit"])))
    if realized:
        parts.append(section(f"{plural(len(realized), 'realized piece')}, by asset", gains(realized)))
    flags = counted(lot["flags"] for key in ("open_lots", "in_transit", "realized") for lot in document[key])
    show(*parts, *([legend(flags, "flag")] if flags else []))


def _lot_row(lot: Document) -> list[Text | str]:
    return [lot["account"], lot["asset_id"], instant(lot["acquired_at"]), figure(quantity(lot["quantity"])),
            figure(money(lot["cost_basis_usd"])), text(" ".join(lot["flags"]), QUIET)]  # fmt: skip


def _by(rows: list[Document], *names: str) -> list[tuple[tuple[str, ...], list[Document]]]:
    """Rows grouped by the values under `names`, in their order."""

    def key(row: Document) -> tuple[str, ...]:
        return tuple(row[name] for name in names)

    return [(values, list(group)) for values, group in groupby(sorted(rows, key=key), key=key)]


def holdings(open_lots: list[Document]) -> Grid:
    """What is held, summed by asset."""
    columns = (Column("asset", least=6), Column("quantity", right=True), Column("cost basis USD", right=True),
               Column("lots", right=True), Column("accounts", least=16, rank=1, wraps=True))  # fmt: skip
    return Grid(columns, [
        (asset, figure(quantity(total(lot["quantity"] for lot in lots))),
         figure(money(total(lot["cost_basis_usd"] for lot in lots))), figure(count(len(lots))),
         ", ".join(sorted({lot["account"] for lot in lots})))
        for (asset,), lots in _by(open_lots, "asset_id")
    ])  # fmt: skip


def in_transit(rows: list[Document]) -> Grid:
    """Transfers that have left and not arrived, summed by asset, account and departure."""
    columns = (
        Column("left"), Column("asset", least=6), Column("from", least=8), Column("quantity", right=True),
        Column("cost basis USD", right=True, brief="basis USD"), Column("", rank=1),
    )  # fmt: skip
    return Grid(columns, [
        (instant(left), asset, account, figure(quantity(total(lot["quantity"] for lot in lots))),
         figure(money(total(lot["cost_basis_usd"] for lot in lots))), _way(lots))
        for (left, asset, account), lots in _by(rows, "left_at", "asset_id", "account")
    ])  # fmt: skip


def _way(lots: list[Document]) -> Text:
    unmatched = any("UNMATCHED_TRANSFER" in lot["flags"] for lot in lots)
    return Text("~ unmatched", WARN) if unmatched else Text("✓ arriving", GOOD)


def gains(realized: list[Document]) -> Grid:
    """Realized gains summed by asset; unknown if a piece is unknown."""
    columns = (
        Column("asset", least=6), Column("pieces", right=True, rank=1), Column("proceeds USD", right=True),
        Column("cost basis USD", right=True), Column("gain USD", right=True),
    )  # fmt: skip

    def sums(pieces: list[Document]) -> Iterator[Text]:
        return (figure(money(total(piece[name] for piece in pieces))) for name in GAINS)

    grouped = _by(realized, "asset_id")
    return Grid(columns, [(asset, figure(count(len(pieces))), *sums(pieces)) for (asset,), pieces in grouped])


# -- status, digest, verify, config, split ------------------------------------------------------------

COUNT_WORDS = {
    "files": "files ingested", "files_rejected": "files rejected", "transactions": "transactions",
    "prices": "prices", "fx_rates": "FX rates", "decisions": "decisions", "quarantine_open": "in quarantine",
    "lake_files": "snapshot files",
}  # fmt: skip


def status(document: Document) -> None:
    """`status`."""
    marks, runs = document["watermarks"], document["last_runs"]
    reach = [
        ("ledger", f"{_mark(marks['ledger_first'])} to {_mark(marks['ledger_last'])}"),
        ("prices up to", _each(marks["prices_last"])),
        ("FX up to", _mark(marks["fx_last"])),
        ("valued up to", _each(marks["valued_last"])),
        ("last ingest", _mark(runs["ingest"], "never")),
        ("last valuation", _mark(runs["value"], "never")),
        *backup_tables.standing(document.get("backup")),
    ]
    counts = [(told, figure(count(document["counts"][key]))) for key, told in COUNT_WORDS.items()]
    settings = f"{document['base_currency']} · {document['timezone']} · {document['lot_method']}"
    alerts = [_alert(alert) for alert in document["alerts"]]
    why = document.get("unvalued") or {}
    unvalued = [] if why.get("reason") == "NO_TRANSACTIONS" else nav_tables.unvalued(why)
    home = [("home", document["home"]), ("engine", _engine(document.get("engine")))]
    show(pairs([*home, ("settings", settings), *counts, *reach]), Text(""),
         *([*alerts, *unvalued] or [text("✓ nothing waits for you", GOOD)]))  # fmt: skip


def _alert(alert: Document) -> RenderableType:
    known = ack_words(alert)
    if known:
        return text(f"✓ {alert['text']} (acknowledged by {known})", QUIET)
    return Group(text(f"! {alert['text']}", WARN), hint(alert["hint"]))


def _engine(found: Document | None) -> str:
    return f"process {found['pid']}, navdeck {found['version']}" if found else "none runs"


def _mark(told: str | None, none: str = UNKNOWN) -> str:
    return none if told is None else instant(told)


def _each(marks: dict[str, str | None]) -> Text:
    return Text("\n".join(f"{safe_text(name)} {_mark(told)}" for name, told in marks.items()) or UNKNOWN)


def digest(document: Document) -> None:
    """`digest`."""
    show(pairs([("digest", text(document["digest"], "bold")), *document["parts"].items()]))


def verified(document: Document) -> None:
    """`verify`."""
    parts: list[RenderableType] = []
    for check in document["checks"]:
        parts += backup_tables.checked(check)
    failed = sum(not check["ok"] for check in document["checks"])
    told = (f"✗ {plural(failed, 'check')} failed", BAD) if failed else ("✓ everything agrees", GOOD)
    show(*parts, text(*told))


def config(document: Document) -> None:
    """`config`."""
    columns = (Column("setting"), Column("value", least=18, wraps=True), Column("from", least=12),
               Column("what it is", least=22, wraps=True, rank=1))  # fmt: skip
    show(Grid(columns, [
        (row["key"], text(row["value"] or UNKNOWN), text(row["origin"], QUIET), text(row["help"], QUIET))
        for row in document["settings"]
    ]))  # fmt: skip


def split(document: Document) -> None:
    """`split`."""
    parts = document["parts"]
    if not parts:
        told = text("✓ it fits as it is: nothing was cut, and no file was made", GOOD)
        show(told, hint(f"navdeck ingest {document['file']}"))
        return
    named = " ".join(parts[:2]) + (" …" if len(parts) > 2 else "")
    made = text(f"✓ {plural(len(parts), 'part')}", GOOD)
    show(made, *(text(f"  {part}") for part in parts), hint(f"navdeck ingest {named}"))

"""Answers as tables for people: books and values, status and settings. No figure is made here but sums."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Context, Decimal
from itertools import groupby
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from console.commands import backup_tables
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
from console.commands.ingest_tables import came_in
from console.text import UNKNOWN, count, instant, money, plural, quantity, safe_text, words

EXACT = Context(prec=100)  # sums of at most 38 digits each, never rounded

Document = dict[str, Any]
RESTATED_SHOWN = 10  # closes


def total(amounts: Iterable[str | None]) -> str | None:
    """An exact sum; unknown if a part is unknown."""
    summed = Decimal(0)
    for amount in amounts:
        if amount is None:
            return None
        summed = EXACT.add(summed, Decimal(amount))
    told = format(summed, "f")
    return told.rstrip("0").rstrip(".") if "." in told else told


# -- init, value -------------------------------------------------------------------------------------


def made_home(document: Document) -> None:
    """`init`."""
    fixed = [("base currency", "base_currency"), ("time zone", "timezone"), ("lot method", "lot_method")]
    show(
        text(f"✓ made a home at {document['home']}", GOOD),
        pairs((name, document[key]) for name, key in fixed),
        hint("navdeck ingest FILE…, or put files into its inbox/ and run navdeck ingest"),
    )


def valued(document: Document) -> None:
    """`value`."""
    names = ("buckets", "complete", "snapshots")
    columns = [Column("resolution"), *(Column(name, right=True) for name in names)]
    rows = [[resolution, *(figure(count(sums[name])) for name in names)]
            for resolution, sums in document["resolutions"].items()]  # fmt: skip
    took = text(f"{plural(document['snapshots'], 'snapshot')} in {document['seconds']} s")
    restated = [part for name, sums in document["resolutions"].items() for part in _restated(name, sums)]
    left = [part for name, sums in document["resolutions"].items() for part in _left_out(name, sums)]
    show(Grid(columns, rows), Text(""), *restated, *left, took, hint("navdeck nav"))


def _left_out(resolution: str, sums: Document) -> list[RenderableType]:
    """Buckets that were not made, since nothing had a price yet."""
    found = sums.get("left_out")
    if found is None:
        return []
    span = f"{instant(found['from'])} to {instant(found['to'])}"
    told = text(f"No {resolution} buckets from {span}: before the first price", WARN)
    return [told, hint(f"navdeck value --resolution {resolution} --from {found['from']}")]


def _restated(resolution: str, sums: Document) -> list[RenderableType]:
    """NAVs that had been told otherwise before."""
    found = sums.get("restated") or {"count": 0}
    if not found["count"]:
        return []
    columns = (Column(f"{resolution} close"), Column("was", right=True), Column("is", right=True))
    closes = found["closes"]
    shown = (
        (instant(one["bucket_close"]), figure(money(one["old"])), figure(money(one["new"])))
        for one in closes[:RESTATED_SHOWN]
    )
    told = f"{plural(found['count'], 'NAV')} at {resolution} restated"
    more = [hint("--json has up to 100")] if found["count"] > RESTATED_SHOWN else []
    return [section(told, Grid(columns, shown), *more)]


# -- nav ----------------------------------------------------------------------------------------------

NAV_COLUMNS = (
    Column("close"), Column("NAV", right=True), Column("priced", right=True),
    Column("covered", right=True, brief="cov."), Column("", least=14, wraps=True),
    Column("unmatched", right=True, rank=3), Column("flags", least=24, rank=2, wraps=True),
)  # fmt: skip


def nav(document: Document) -> None:
    """`nav`."""
    points = document["points"]
    if not points and document.get("dropped"):
        show(*_dropped(document))
        return
    if not points:
        show(text("There are no values here yet.", WARN), hint("navdeck value"))
        return
    title = f"NAV in {safe_text(document['base_currency'])} at {document['resolution']} closes"
    shown = Grid(NAV_COLUMNS, [_point_row(point) for point in points[-ROWS_SHOWN:]])
    show(section(title, shown, *rest(points, "the last are shown; --from and --to choose, --json has all")),
         *nav_words(document), *([_marks(points)] if _codes(points) else []), *_dropped(document),
         *_stale(document))  # fmt: skip


def _dropped(document: Document) -> list[Text]:
    """The days of the range that retention dropped: neither a gap nor an error."""
    told = document.get("dropped")
    if not told:
        return []
    days = f"{plural(told['days'], 'day')} from {instant(told['from'])} to {instant(told['to'])}"
    return [text(f"Not here: {days}, dropped by retention. Coarser values are kept longer.", QUIET)]


def _point_row(point: Document) -> list[Text | str]:
    unknown = point["nav"] is None
    state = Text("✓", GOOD)
    if unknown:
        state = text(f"✗ {why(point)}", BAD if not point["held"] else WARN)
    elif "PROVISIONAL" in point["flags"]:
        state = Text("~ provisional", WARN)
    flags = " ".join(flag for flag in point["flags"] if flag != "PROVISIONAL")
    amounts = (point[name] for name in ("nav", "priced_value", "unmatched_value"))
    nav, priced, unmatched = (figure(money(amount)) for amount in amounts)
    covered = figure(f"{point['coverage']:.0%}")
    return [instant(point["bucket_close"]), nav, priced if unknown else "", covered, state,
            "" if point["unmatched_value"] == "0" else unmatched, text(flags, QUIET)]  # fmt: skip


def why(point: Document) -> str:
    """What keeps a point from being complete, in one line."""
    parts = [" ".join(point["reasons"])]
    parts += [_few(point["missing"])] if point["missing"] else []
    return " · ".join(parts + ([f"held {_few(point['held'])}"] if point["held"] else []))


def _few(names: Sequence[str]) -> str:
    return " ".join(names[:3]) + (f" +{len(names) - 3}" if len(names) > 3 else "")


def nav_words(document: Document) -> list[RenderableType]:
    """How much of a series is complete, and what provisional means in money."""
    points = document["points"]
    complete = sum(point["nav"] is not None for point in points)
    told = f"{count(complete)} of {plural(len(points), 'point')} complete."
    if document["cash"] == "external":
        told += " Cash is outside: this is the NAV of holdings without cash."
    open_points = [point for point in points if "PROVISIONAL" in point["flags"]]
    return [text(told), *([_provisional(open_points, document["base_currency"])] if open_points else [])]


def _provisional(points: list[Document], base: str) -> Text:
    last = points[-1]
    worth = UNKNOWN if last["unmatched_value"] is None else f"{money(last['unmatched_value'])} {base}"
    return text(
        f"~ provisional, {plural(len(points), 'point')}: a transfer lacks its other side. What such transfers"
        f" moved is worth {worth} at {instant(last['bucket_close'])}; it puts itself right when the other"
        " side comes in.",
        WARN,
    )


def _codes(points: list[Document]) -> dict[str, int]:
    counts = counted([*point["reasons"], *point["flags"]] for point in points)
    counts.pop("PROVISIONAL", None)  # has a sentence of its own
    return counts


def _marks(points: list[Document]) -> Group:
    return Group(Text(""), legend(_codes(points), "reason or flag"))


def _stale(document: Document) -> list[RenderableType]:
    stale = text("! files were ingested since these were computed", WARN)
    return [Text(""), stale, hint("navdeck value")] if document["stale"] else []


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
    home = [("home", document["home"]), ("engine", _engine(document.get("engine")))]
    show(pairs([*home, ("settings", settings), *counts, *reach]), Text(""),
         *(alerts or [text("✓ nothing waits for you", GOOD)]))  # fmt: skip


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
    named = " ".join(parts[:2]) + (" …" if len(parts) > 2 else "")
    made = text(f"✓ {plural(len(parts), 'part')}", GOOD)
    show(made, *(text(f"  {part}") for part in parts), hint(f"navdeck ingest {named}"))


# -- demo ---------------------------------------------------------------------------------------------


def demo(document: Document, hourly: Document, books: Document) -> None:
    """The demo's summary: what came in, what is held, what it is worth, what is withheld and why."""
    home, base = document["home"], safe_text(document["nav"]["base_currency"])
    parts: list[RenderableType] = [section("What came in", *came_in(document["ingest"]))]
    parts.append(section("Holdings", holdings(books["open_lots"])))
    if books["in_transit"]:
        parts.append(section("Transfers under way", in_transit(books["in_transit"])))
    daily = document["nav"]
    parts.append(section(f"NAV in {base} at 1d closes", nav_summary(daily), Text(""), *nav_words(daily)))
    parts.append(section("Withheld at 1h closes, and why", withheld(hourly)))
    parts += [pairs([("digest", document["digest"]), ("home", home)]), Text("")]
    parts.append(Text("Try next", style="bold"))
    tries = ("status", "nav --resolution 1h", "lots --asset ETH", "quarantine list", "verify")
    show(*parts, *(hint(f"navdeck {verb} --home {home}") for verb in tries))


def nav_summary(document: Document) -> Grid:
    """First, last, lowest and highest of the complete points."""
    points = [point for point in document["points"] if point["nav"] is not None]
    if not points:
        return Grid((Column(""),), [("no point is complete",)])

    def worth(point: Document) -> Decimal:
        return Decimal(point["nav"])

    picks = (points[0], points[-1], min(points, key=worth), max(points, key=worth))
    columns = (Column("complete points"), Column("close"), Column("NAV", right=True))
    named = zip(("first", "last", "lowest", "highest"), picks, strict=True)
    rows = [(name, instant(point["bucket_close"]), figure(money(point["nav"]))) for name, point in named]
    return Grid(columns, rows)


def withheld(document: Document) -> Grid:
    """Runs of closes without a NAV, each with its reason and what it waits for."""
    columns = (
        Column("first close"), Column("last close"), Column("closes", right=True),
        Column("why", least=14, wraps=True), Column("what it means", least=30, rank=1, wraps=True),
    )  # fmt: skip

    def reason(point: Document) -> str:
        return why(point) if point["nav"] is None else ""

    runs = [(told, list(run)) for told, run in groupby(document["points"], key=reason) if told]
    return Grid(columns, [
        (instant(run[0]["bucket_close"]), instant(run[-1]["bucket_close"]), figure(count(len(run))),
         text(f"✗ {told}", WARN), "; ".join(words(code) for code in run[0]["reasons"]))
        for told, run in runs
    ])  # fmt: skip

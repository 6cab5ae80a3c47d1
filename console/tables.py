"""Answers as tables for people. Data is shown as text only: never as markup, never as control codes."""

from decimal import Decimal
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from console.text import safe_text

MONEY_PLACES = 2  # shown; JSON has every place
ROWS_SHOWN = 40  # of a long table; the rest is told by count and had with --json
GOOD, WARN, BAD, QUIET = "green", "yellow", "red", "dim"


def show(*parts: RenderableType) -> None:
    """Prints to stdout, as wide as the terminal, with colours only where it has them."""
    Console(highlight=False).print(Group(*parts))


def text(value: object, style: str = "") -> Text:
    """A cell from data."""
    return Text(safe_text(value), style=style, no_wrap=False, overflow="fold")


def number(value: object) -> Text:
    """A right-aligned cell; unknown is a dash."""
    return Text("–" if value is None else safe_text(value), style=QUIET if value is None else "", justify="right")


def money(value: str | None) -> Text:
    """An amount with separators, rounded for the eye only; unknown is a dash."""
    return number(None if value is None else f"{Decimal(value):,.{MONEY_PLACES}f}")


def quantity(value: str | None) -> Text:
    """A quantity with its own places, whole part separated."""
    if value is None:
        return number(None)
    whole, _, fraction = value.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return number(f"{sign}{int(digits):,}" + (f".{fraction}" if fraction else ""))


def table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table in the house's look."""
    made = Table(title=title or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        made.add_column(column, justify="right" if column in right else "left")
    return made


def pairs(rows: list[tuple[str, object]]) -> Table:
    """Names and values, two columns without a head."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style=QUIET)
    made.add_column()
    for name, value in rows:
        made.add_row(name, value if isinstance(value, Text) else text(value))
    return made


def hint(words: str) -> Text:
    """What to do next."""
    return Text(f"→ {words}", style=QUIET)


# -- verbs --------------------------------------------------------------------------------------------


def made_home(document: dict[str, Any]) -> None:
    """`init`."""
    show(
        text(f"Made a home at {document['home']}", GOOD),
        pairs([("base currency", document["base_currency"]), ("time zone", document["timezone"]),
               ("lot method", document["lot_method"])]),
        hint("put CSV files into its inbox/ and run `navdeck ingest`, or name files: `navdeck ingest FILE…`"),
    )  # fmt: skip


STATUS_STYLE = {"ingested": GOOD, "duplicate": QUIET, "rejected": BAD}


def ingested(document: dict[str, Any]) -> None:
    """`ingest`."""
    right = ("rows", "accepted", "duplicates", "quarantined", "fees")
    files = table("", "file", "kind", "status", *right, right=right)
    for entry in document["files"]:
        files.add_row(
            text(entry["path"].rsplit("/", 1)[-1]), text(entry["kind"] or ""),
            text(entry["status"], STATUS_STYLE[entry["status"]]),
            *(number(f"{entry[name]:,}") for name in ("rows", "accepted", "duplicates", "quarantined", "fees_created")),
        )  # fmt: skip
    parts: list[RenderableType] = [files, Text(_ingest_sentence(document["totals"]))]
    parts += [
        text(f"✗ {entry['path'].rsplit('/', 1)[-1]}: {entry['reason']} ({entry['detail']})", BAD)
        for entry in document["files"]
        if entry["status"] == "rejected"
    ]
    if document.get("waiting"):
        parts.append(text(f"Not taken (neither .csv nor .parquet): {', '.join(document['waiting'])}", WARN))
    reasons = summed_reasons(document["files"])
    if reasons:
        parts += [reason_table(reasons), hint("navdeck quarantine list")]
    show(*parts)


def _ingest_sentence(totals: dict[str, Any]) -> str:
    return (
        f"{totals['rows']:,} rows = {totals['accepted']:,} accepted + {totals['duplicates']:,} duplicates"
        f" + {totals['quarantined']:,} quarantined; {totals['fees_created']:,} fees made from them."
    )


def summed_reasons(files: list[dict[str, Any]]) -> dict[str, int]:
    """Rows by quarantine reason over several files."""
    sums: dict[str, int] = {}
    for entry in files:
        for code, count in entry["reasons"].items():
            sums[code] = sums.get(code, 0) + count
    return sums


def reason_table(reasons: dict[str, int]) -> Table:
    """Quarantine by reason, most first."""
    made = table("Quarantine by reason", "reason", "rows", right=("rows",))
    for code, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        made.add_row(text(code, WARN), number(f"{count:,}"))
    return made


def valued(document: dict[str, Any]) -> None:
    """`value`."""
    right = ("buckets", "complete", "snapshots")
    made = table("", "resolution", *right, right=right)
    for resolution, sums in document["resolutions"].items():
        made.add_row(text(resolution), *(number(f"{sums[name]:,}") for name in right))
    show(made, text(f"{document['snapshots']:,} snapshots in {document['seconds']} s"), hint("navdeck nav"))


def nav(document: dict[str, Any]) -> None:
    """`nav`."""
    points = document["points"]
    if not points:
        show(text("There are no values yet.", WARN), hint("navdeck value"))
        return
    right = ("NAV", "priced", "coverage")
    made = table(f"NAV in {document['base_currency']} at {document['resolution']} closes", "close", *right,
                 "missing · held · reasons", "flags", right=right)  # fmt: skip
    for point in points[-ROWS_SHOWN:]:
        made.add_row(text(point["bucket_close"]), money(point["nav"]), money(point["priced_value"]),
                     number(f"{point['coverage']:.0%}"), text(why(point), WARN), text(" ".join(point["flags"]), QUIET))  # fmt: skip
    parts: list[RenderableType] = [made]
    if len(points) > ROWS_SHOWN:
        parts.append(hint(f"the last {ROWS_SHOWN} of {len(points):,} points; --from/--to or --json for others"))
    complete = sum(point["nav"] is not None for point in points)
    parts.append(text(f"{complete:,} of {len(points):,} points are complete." + _cash_words(document)))
    if document["stale"]:
        parts.append(hint("files were ingested since these were computed: navdeck value"))
    show(*parts)


def _cash_words(document: dict[str, Any]) -> str:
    return " Cash is outside: this is the NAV of holdings without cash." if document["cash"] == "external" else ""


def why(point: dict[str, Any]) -> str:
    """What keeps a point from being complete, in one line."""
    if point["nav"] is not None:
        return ""
    parts = []
    if point["missing"]:
        parts.append(_few(point["missing"]))
    if point["held"]:
        parts.append("held " + _few(point["held"]))
    return " · ".join([*parts, " ".join(point["reasons"])])


def _few(names: list[str]) -> str:
    return " ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def lots(document: dict[str, Any]) -> None:
    """`lots`."""
    parts: list[RenderableType] = []
    for title, key in (("Open lots", "open_lots"), ("In transit", "in_transit")):
        rows = document[key]
        if rows or key == "open_lots":
            right = ("quantity", "cost basis USD")
            made = table(f"{title} ({document['method']})", "account", "asset", "acquired", *right, "flags", right=right)
            for lot in rows[:ROWS_SHOWN]:
                made.add_row(text(lot["account"]), text(lot["asset_id"]), text(lot["acquired_at"] or "unknown"),
                             quantity(lot["quantity"]), money(lot["cost_basis_usd"]), text(" ".join(lot["flags"]), QUIET))  # fmt: skip
            parts += [made, *_rest(rows)]
    parts += [gains(document["realized"]), text(f"{len(document['realized']):,} realized pieces; --json has each.")]
    show(*parts)


def _rest(rows: list[Any]) -> list[RenderableType]:
    return [hint(f"{len(rows) - ROWS_SHOWN:,} more; narrow with --account or --asset")] if len(rows) > ROWS_SHOWN else []


def gains(realized: list[dict[str, Any]]) -> Table:
    """Realized gains summed by asset."""
    sums: dict[str, list[Decimal]] = {}
    for piece in realized:
        row = sums.setdefault(piece["asset_id"], [Decimal(0)] * 3)
        for place, name in enumerate(("proceeds_usd", "cost_basis_usd", "gain_usd")):
            row[place] += Decimal(piece[name] or 0)
    right = ("proceeds USD", "cost basis USD", "gain USD")
    made = table("Realized, by asset", "asset", *right, right=right)
    for asset, row in sorted(sums.items())[:ROWS_SHOWN]:
        made.add_row(text(asset), *(money(format(amount, "f")) for amount in row))
    return made


def quarantine(rows: list[dict[str, Any]]) -> None:
    """`quarantine list`."""
    if not rows:
        show(text("Nothing is in quarantine.", GOOD))
        return
    made = table(f"{len(rows):,} rows in quarantine", "id", "file", "line", "reasons", "value", right=("line",))
    for row in rows[:ROWS_SHOWN]:
        codes = [f"{reason['code']}" + (f" ({reason['column']})" if reason["column"] else "") for reason in row["reasons"]]
        made.add_row(text(row["id"]), text(row["file"]), number(row["line"]), text("\n".join(codes).replace("\n", " · "), WARN),
                     text(row["reasons"][0]["value"][:40]))  # fmt: skip
    more = [hint(f"{len(rows) - ROWS_SHOWN:,} more; --json has each")] if len(rows) > ROWS_SHOWN else []
    show(made, *more)


COUNT_WORDS = {
    "files": "files ingested", "files_rejected": "files rejected", "transactions": "transactions",
    "prices": "prices", "fx_rates": "FX rates", "decisions": "decisions", "quarantine_open": "in quarantine",
    "lake_files": "snapshot files",
}  # fmt: skip


def status(document: dict[str, Any]) -> None:
    """`status`."""
    marks, runs = document["watermarks"], document["last_runs"]
    reach = [
        ("ledger", f"{marks['ledger_first'] or '–'} … {marks['ledger_last'] or '–'}"),
        ("prices up to", _each(marks["prices_last"])),
        ("FX up to", marks["fx_last"] or "–"),
        ("valued up to", _each(marks["valued_last"])),
        ("last ingest", runs["ingest"] or "never"),
        ("last valuation", runs["value"] or "never"),
    ]
    counts = [(words, f"{document['counts'][key]:,}") for key, words in COUNT_WORDS.items()]
    settings = f"{document['base_currency']} · {document['timezone']} · {document['lot_method']}"
    alerts: list[RenderableType] = [
        Text.assemble(("! ", WARN), text(alert["text"]), (f"  → {alert['hint']}", QUIET)) for alert in document["alerts"]
    ]
    show(pairs([("home", document["home"]), ("settings", settings), *counts, *reach]),
         *(alerts or [text("✓ nothing waits for you", GOOD)]))  # fmt: skip


def _each(marks: dict[str, str]) -> str:
    return " · ".join(f"{name} {instant}" for name, instant in marks.items()) or "–"


def digest(document: dict[str, Any]) -> None:
    """`digest`."""
    show(pairs([("digest", text(document["digest"], "bold")), *document["parts"].items()]))


def verified(document: dict[str, Any]) -> None:
    """`verify`."""
    parts: list[RenderableType] = []
    for check in document["checks"]:
        mark, style = ("✓", GOOD) if check["ok"] else ("✗", BAD)
        parts.append(Text.assemble((f"{mark} ", style), text(check["check"]), (f"  {check['looked_at']:,} looked at", QUIET)))
        parts += [text(f"    {problem}", BAD) for problem in check["problems"]]
    show(*parts)


def config(document: dict[str, Any]) -> None:
    """`config`."""
    made = table("", "setting", "value", "from", "what it is")
    for row in document["settings"]:
        made.add_row(text(row["key"]), text(row["value"] or "–"), text(row["origin"], QUIET), text(row["help"], QUIET))
    show(made)


def split(document: dict[str, Any]) -> None:
    """`split`."""
    show(text(f"{len(document['parts'])} parts:"), *(text(part) for part in document["parts"]),
         hint("navdeck ingest " + " ".join(document["parts"][:2]) + (" …" if len(document["parts"]) > 2 else "")))  # fmt: skip


def demo(document: dict[str, Any], hourly: dict[str, Any], books: dict[str, Any]) -> None:
    """The demo's summary: what came in, what is held, what it is worth, what is withheld and why."""
    ingested(document["ingest"])
    sums: dict[str, Decimal] = {}
    for lot in books["open_lots"]:
        sums[lot["asset_id"]] = sums.get(lot["asset_id"], Decimal(0)) + Decimal(lot["quantity"])
    holdings = table("Holdings", "asset", "quantity", right=("quantity",))
    for asset, held in sorted(sums.items()):
        holdings.add_row(text(asset), quantity(format(held, "f").rstrip("0").rstrip(".")))
    show(holdings)
    nav(document["nav"])
    withheld = table("Withheld at 1h closes, and why", "reason", "missing · held", "hours", "first", right=("hours",))
    for (reasons, names), closes in sorted(_withheld(hourly).items(), key=lambda item: -len(item[1])):
        withheld.add_row(text(reasons, WARN), text(names), number(len(closes)), text(closes[0]))
    show(withheld, text(f"digest {document['digest']}", QUIET), text(f"home   {document['home']}", QUIET),
         hint(f"navdeck status --home {document['home']}"))  # fmt: skip


def _withheld(document: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for point in document["points"]:
        if point["nav"] is None:
            key = (" ".join(point["reasons"]), _few(point["missing"] + point["held"]))
            found.setdefault(key, []).append(point["bucket_close"])
    return found

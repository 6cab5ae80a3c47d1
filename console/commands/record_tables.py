"""What was decided, where a ledger row came from and what it became, and the journal's health, as tables."""

from collections.abc import Iterable
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from console.commands.grid import (
    BAD,
    GOOD,
    QUIET,
    WARN,
    Column,
    Grid,
    counted,
    figure,
    hint,
    legend,
    pairs,
    section,
    show,
    text,
)
from console.text import UNKNOWN, bytes_text, count, instant, money, plural, quantity, safe_text

Document = dict[str, Any]
RAW_SHOWN = 2_000  # characters of a record as it came
UNDONE_SHOWN = 5  # rows or assets named, of what an undo takes back
ID_HEX = 12  # characters of a file's hash in a row's id
SHORT_ID = 18  # characters of a ledger row's id that nearly always name it
GAINS = ("proceeds_usd", "cost_basis_usd", "gain_usd")


def as_it_came(raw: str | None) -> Group:
    """The record's own text, or its start; a row of a Parquet file has none."""
    if raw is None:
        return section("As it came", text("in a Parquet file, which has no text", QUIET))
    more = [text("… and more", QUIET)] if len(raw) > RAW_SHOWN else []
    return section("As it came", text(raw[:RAW_SHOWN]), *more)


def changes(row: Document) -> list[str]:
    """What a fix set, a line each."""
    return [f"{name}: {row['before'].get(name) or 'empty'} → {value or 'empty'}"
            for name, value in row["after"].items()] or ["nothing changed"]  # fmt: skip


def lines(told: Iterable[str], style: str = "") -> Text:
    """A cell of several lines, each of them data."""
    return Text("\n".join(map(safe_text, told)), style)


# -- decisions ----------------------------------------------------------------------------------------


def undone(document: Document, dry_run: bool = False) -> None:
    """`undo`: which decisions, on what, and whose figures hang on them."""
    taken = document["all"]
    verb = "would take" if dry_run else "took"
    which = f"decision {taken[0]['decision']}"
    if len(taken) > 1:
        first, last = taken[0]["decision"], taken[-1]["decision"]
        which = f"{plural(len(taken), 'decision')} of one act, {first} to {last}"
    about = _few([_subject(one) for one in taken])
    told = text(f"✓ {verb} back {which}: {taken[0]['kind']} of {about}", GOOD)
    changes_figures = "touched_from" in document
    figures = [text(f"figures of {_few(document.get('touched_assets'))} change", QUIET)]
    after = [hint("nothing was stored")] if dry_run else [hint("navdeck value")] if changes_figures else []
    show(told, *(figures if changes_figures else []), *after)


def _few(names: list[str] | None) -> str:
    """The first of some names, and how many more there are; None: all there are."""
    if names is None:
        return "all assets"
    left = len(names) - UNDONE_SHOWN
    return ", ".join(names[:UNDONE_SHOWN]) + (f" and {count(left)} more" if left > 0 else "")


def decisions(document: Document) -> None:
    """`decisions`."""
    rows, total = document["rows"], document["total"]
    if not rows:
        show(text("No decision was made here yet."))
        return
    left = total - len(rows)
    more = [hint(f"{count(left)} more: --limit {total}")] if left else []
    show(section(f"{plural(total, 'decision')}, newest first", decided(rows, subjects=True), *more))


def decided(rows: list[Document], subjects: bool = False) -> Grid:
    """Decisions, with what they are about if asked."""
    columns = (
        Column("no.", right=True), Column("at"), Column("decision"), Column("on", least=14, rank=1),
        Column("what", least=16), Column("by", least=6, rank=3), Column("why", least=12, rank=2, wraps=True),
        Column("undone by", right=True, brief="undone"),
    )  # fmt: skip
    return Grid(columns, [
        (str(row["decision"]), instant(row["at"]), row["kind"], _subject(row) if subjects else "",
         lines(_what(row)), row["actor"], row["reason"], str(row["undone_by"] or ""))
        for row in rows
    ])  # fmt: skip


def _subject(row: Document) -> str:
    """What a decision is about: a row of quarantine, another decision, or as it is told."""
    subject = row["subject"]
    if "record" in subject:
        return f"{subject['file'][:ID_HEX]}-{subject['record']}"
    return ", ".join(f"{name} {value}" for name, value in subject.items())


def _what(row: Document) -> list[str]:
    """What a decision did, in a line or a few."""
    detail = row["detail"]
    match row["kind"]:
        case "fix":
            return changes(detail)
        case "release" if detail.get("superseded"):
            return [detail["outcome"], f"corrects {detail['superseded'][:SHORT_ID]}…"]
        case "release":
            return [detail["outcome"] + (", as a further leg" if detail["mode"] == "as_leg" else "")]
        case "undo":
            return [f"took the {detail['kind']} back"]
    return [f"{name} {value}" for name, value in detail.items()]


# -- explain, journal ---------------------------------------------------------------------------------


def explained(document: Document) -> None:
    """`explain`."""
    tx, file = document["tx"], document["file"]
    facts: list[tuple[str, object]] = [(name, value) for name, value in tx.items() if value not in (None, "")]
    facts.append(("came with", f"{file['name']} line {count(file['line'])}, {instant(file['taken_at'])}"))
    if file.get("trace_id"):
        facts.append(("trace", file["trace_id"]))
    facts += _standing(document)
    parts: list[RenderableType] = [pairs(facts), Text(""), as_it_came(document["raw"])]
    if document["decisions"]:
        parts.append(section("What was decided", decided(document["decisions"])))
    if document["lots"]:
        parts.append(section("Lots it made", _lots(document["lots"])))
    if document["gains"]:
        parts.append(section("Gains it is part of", _gains(document["gains"])))
    flags = counted(piece["flags"] for piece in document["gains"])
    show(*parts, *([legend(flags, "flag")] if flags else []))


def _standing(document: Document) -> list[tuple[str, object]]:
    """Whether the row counts, and what belongs to it."""
    told: list[tuple[str, object]] = []
    if document["superseded_by"]:
        told.append(("standing", text(f"superseded by {document['superseded_by']}", WARN)))
    if document["taken_back"]:
        told.append(("standing", text("taken back by a decision: it does not count", WARN)))
    if len(document["versions"]) > 1:
        told.append(("versions", lines(document["versions"])))
    if document["fee_row"]:
        fee = document["fee_row"]
        told.append(("fee row", f"{quantity(fee['quantity'])} {fee['asset_id']}"))
    if document["duplicates_known"]:
        told.append(("known under", f"{plural(document['duplicates_known'], 'other id')} too"))
    return told


def _lots(lots: list[Document]) -> Grid:
    columns = (
        Column("account", least=8), Column("asset", least=6, rank=1), Column("acquired"),
        Column("quantity", right=True), Column("cost basis USD", right=True, brief="basis USD"),
        Column("now"),
    )  # fmt: skip
    return Grid(columns, [
        (lot["account"], lot["asset_id"], instant(lot["acquired_at"]), figure(quantity(lot["quantity"])),
         figure(money(lot["cost_basis_usd"])), lot["status"].replace("_", " "))
        for lot in lots
    ])  # fmt: skip


def _gains(gains: list[Document]) -> Grid:
    columns = (
        Column("as"), Column("acquired", rank=2), Column("disposed"), Column("quantity", right=True),
        Column("proceeds USD", right=True, rank=1), Column("basis USD", right=True, rank=1),
        Column("gain USD", right=True), Column("flags", least=16, rank=3, wraps=True),
    )  # fmt: skip
    return Grid(columns, [
        (gain["role"], instant(gain["acquired_at"]), instant(gain["disposed_at"]),
         figure(quantity(gain["quantity"])), *(figure(money(gain[name])) for name in GAINS),
         text(" ".join(gain["flags"]), QUIET))
        for gain in gains
    ])  # fmt: skip


def journal(document: Document) -> None:
    """`journal verify`."""
    problems = [text(f"✗ {problem}", BAD) for problem in document["problems"]]
    whole = text("✓ the journal is whole" if document["ok"] else f"✗ {plural(len(problems), 'problem')}",
                 GOOD if document["ok"] else BAD)  # fmt: skip
    counts = [(name, figure(count(document[name]))) for name in ("segments", "records", "aborted")]
    reach = [(told, instant(document[key]) if document[key] else UNKNOWN)
             for told, key in (("from", "first_at"), ("to", "last_at"))]  # fmt: skip
    facts = [*counts, ("size", bytes_text(document["bytes"])), *reach]
    show(pairs(facts), Group(*problems), whole)

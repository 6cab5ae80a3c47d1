"""The quarantine desk as tables: rows that were set aside, and what an act did to them or would do."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from console.commands.grid import (
    BAD,
    GOOD,
    QUIET,
    ROWS_SHOWN,
    WARN,
    Column,
    Grid,
    counted,
    hint,
    legend,
    pairs,
    rest,
    section,
    show,
    text,
)
from console.commands.record_tables import SHORT_ID, as_it_came, changes, decided, lines
from console.text import UNKNOWN, count, instant, plural, safe_text

Document = dict[str, Any]
NAMED_MOST = 3  # files, accounts, rows in one line

LIST_COLUMNS = (
    Column("id"), Column("file", least=10, rank=2), Column("line", right=True), Column("state", rank=1),
    Column("account", least=8, rank=4), Column("reason"), Column("column", rank=3), Column("value", least=16),
)  # fmt: skip
WHERE_TO = {
    "open": "in quarantine", "released": "released from quarantine", "rejected": "rejected",
    "all": "set aside so far",
}  # fmt: skip


# -- looking ------------------------------------------------------------------------------------------


def listed(page: Document, filters: Document, offset: int) -> None:
    """`quarantine list`: a page of rows from `offset` on."""
    rows, total = page["rows"], page["total"]
    status = filters.get("status", "open")
    if not total:
        narrowed = len(filters) > 1 or status != "open"
        show(text("No row matches." if narrowed else "✓ nothing is in quarantine", "" if narrowed else GOOD))
        return
    title = f"{plural(total, 'row')} {WHERE_TO[status]}"
    after = offset + len(rows)
    more = [hint(f"{count(total - after)} more: --offset {after}")] if total > after else []
    if offset:
        title += f", from number {count(offset + 1)} on"
    shown = [Grid(LIST_COLUMNS, [_listed_row(row) for row in rows])] if rows else []
    codes = _codes(page, filters)
    show(section(title, *shown, *more), *([legend(codes, "reason", WARN)] if codes else []))


def _listed_row(row: Document) -> list[Text | str]:
    """One row; several reasons stand one below the other."""
    state = ("fixed" if row["edited"] else "") if row["status"] == "open" else row["status"]
    return [row["id"], row["file"], count(row["line"]), state, row["row"].get("account", ""),
            *_reason_cells(row["reasons"])]  # fmt: skip


def _reason_cells(reasons: list[Document]) -> Iterator[Text]:
    """Code, column and value of each reason, one below the other; no reason is what can be released."""
    if not reasons:
        yield from (Text("✓ nothing is wrong", GOOD), Text(""), Text(""))
        return
    for name, style in (("code", WARN), ("column", ""), ("value", "")):
        yield Text("\n".join(safe_text(reason[name]) or UNKNOWN for reason in reasons), style)


def _codes(page: Document, filters: Document) -> dict[str, int]:
    """How often each reason occurs: in all rows that match, of which a page may show only some."""
    if len(page["rows"]) == page["total"]:
        return counted({reason["code"] for reason in row["reasons"]} for row in page["rows"])
    by_reason: dict[str, int] = page["by_reason"]
    return {code: rows for code, rows in by_reason.items() if filters.get("reason") in (None, code)}


def shown(row: Document) -> None:
    """`quarantine show`."""
    state = row["status"] + (", fixed" if row["edited"] else "")
    taken = f"{instant(row['taken_at'])}, {row['file']} line {count(row['line'])}"
    parts: list[RenderableType] = [
        pairs([("row", text(row["id"], "bold")), ("taken in", taken), ("state", state)]), Text(""),
        as_it_came(row["raw"]), section("Its fields", _fields(row)),
    ]  # fmt: skip
    if row["reasons"]:
        parts.append(section("What is wrong", _wrong(row["reasons"])))
    if row["suggestions"]:
        columns = (Column("column"), Column("value", least=12), Column("why", least=20, wraps=True))
        told = [(one["column"], one["value"], one["why"]) for one in row["suggestions"]]
        parts.append(section("Suggestions", Grid(columns, told)))
    parts += [_conflict(row["row"], other) for other in row["conflicts"][:NAMED_MOST]]
    if len(row["conflicts"]) > NAMED_MOST:
        parts.append(hint(f"{count(len(row['conflicts']) - NAMED_MOST)} more; --json has each"))
    if row["history"]:
        parts.append(section("What was decided", decided(row["history"])))
    show(*parts, *_next_acts(row))


def _wrong(reasons: list[Document]) -> Grid:
    columns = (Column("rule"), Column("column"), Column("what it asks", least=24, wraps=True))
    return Grid(columns, [
        (text(reason["code"], WARN), reason["column"] or UNKNOWN, reason["hint"]) for reason in reasons
    ])  # fmt: skip


def _fields(row: Document) -> Grid:
    """The fields as they are now, and as they came where a fix changed them; empty ones are left out."""
    wrong: dict[str, list[str]] = {}
    for reason in row["reasons"]:
        wrong.setdefault(reason["column"], []).append(reason["code"])
    columns = (Column("column"), Column("value", least=20), Column("it was", least=12), Column("wrong"))
    now, before = row["row"], row["original"]
    names = [name for name in {**now, **before} if name in wrong or now.get(name) or before.get(name)]
    return Grid(columns, [
        (name, now.get(name) or UNKNOWN, _before(row, name), lines(wrong.get(name, []), WARN))
        for name in names
    ])  # fmt: skip


def _before(row: Document, name: str) -> Text:
    before = row["original"].get(name, "")
    return Text("") if before == row["row"].get(name, "") else text(before or "empty", QUIET)


def _conflict(row: Document, other: Document) -> RenderableType:
    """A stored row that this one collides with: where the two differ."""
    columns = (Column("column"), Column("this row", least=16), Column("in the books", least=16))
    names = [name for name in other if name in row and name not in other["same"] and row[name] != other[name]]
    differing = [(name, row[name] or UNKNOWN, other[name] or UNKNOWN) for name in names]
    title = f"Collides with {safe_text(other['tx'])}, {safe_text(other['file'])} line {count(other['line'])}"
    same = text(f"the same: {', '.join(other['same']) or 'nothing'}", QUIET)
    return section(title, *([Grid(columns, differing)] if differing else []), same)


def _next_acts(row: Document) -> list[RenderableType]:
    """What can be done with the row."""
    if row["status"] != "open":
        return [hint("navdeck undo, or navdeck undo DECISION, takes a decision back")]
    acts = []
    if row["suggestions"]:
        acts.append(f"fix {row['id']} --suggested")
    elif row["reasons"] and not row["conflicts"]:
        acts.append(f"fix {row['id']} {row['reasons'][0]['column'] or 'COLUMN'}=VALUE")
    if row["conflicts"]:
        acts.append(f"release {row['id']} --supersede {row['conflicts'][0]['tx'][:SHORT_ID]}")
        acts += [f"release {row['id']} --as-leg"] if row["row"].get("tx_hash") else []
    elif not row["reasons"]:
        acts.append(f"release {row['id']}")
    return [hint(f"navdeck quarantine {act}") for act in (*acts, f"reject {row['id']} --reason WHY")]


def exported(document: Document) -> None:
    """`quarantine export --to`."""
    show(text(f"✓ {plural(document['rows'], 'row')} of {document['kind']} in {document['to']}", GOOD),
         hint(f"navdeck ingest {document['to']}, when they are mended"))  # fmt: skip


# -- acting -------------------------------------------------------------------------------------------


def fixed(document: Document, dry_run: bool) -> None:
    """`quarantine fix`."""
    rows = document["rows"]
    if not rows:
        show(text("No row matches; nothing was changed."))
        return
    columns = (Column("id"), Column("change", least=24), Column("verdict"))
    grid = Grid(columns, [(row["id"], lines(changes(row)), _verdict(row)) for row in rows[:ROWS_SHOWN]])
    title = f"{plural(len(rows), 'row')} {'looked at' if dry_run else 'fixed'}"
    parts: list[RenderableType] = [section(title, grid, *rest(rows, "--json has each"))]
    codes = counted({reason["code"] for reason in row["reasons"]} for row in rows)
    parts += [legend(codes, "reason", WARN), Text("")] if codes else []
    passing, failing = count(document["would_pass"]), count(document["still_fail"])
    fails = "fails" if document["still_fail"] == 1 else "fail"
    if dry_run:
        show(*parts, text(f"{passing} would pass, {failing} would still fail. Nothing was stored."))
        return
    show(*parts, text(f"{passing} can be released now, {failing} still {fails}."),
         *_release_them([row["id"] for row in rows if row["passes"]]), *_numbers(document))  # fmt: skip


def _release_them(ids: list[str]) -> list[RenderableType]:
    which = " ".join(ids) if len(ids) <= NAMED_MOST else "--all --dry-run"
    return [hint(f"navdeck quarantine release {which}")] if ids else []


def _verdict(row: Document) -> Text:
    if row["passes"]:
        return Text("✓ passes", GOOD)
    return lines((f"✗ {reason['code']}" for reason in row["reasons"]), BAD)


def released(document: Document, dry_run: bool) -> None:
    """`quarantine release`."""
    kinds = f"{count(document['accepted'])} accepted, {count(document['duplicates'])} known already"
    done = plural(document["released"], "row")
    parts: list[RenderableType] = []
    if document["rows"]:
        columns = (Column("id"), Column("outcome"), Column("ledger row", rank=1))
        rows = [(row["id"], row["outcome"], row["tx"] or "") for row in document["rows"]]
        parts += [Grid(columns, rows[:ROWS_SHOWN]), *rest(rows, "--json has each"), Text("")]
    if document["released"]:
        reach = f"{instant(document['first'])} to {instant(document['last'])}"
        of = [("of", _few(document["files"])), ("accounts", _few(document["accounts"])), ("from", reach)]
        parts += [text(f"✓ {done} {'would be ' * dry_run}released: {kinds}", GOOD), pairs(of)]
    elif not document["refused"] and not document["already"]:
        parts.append(text("No row matches; nothing was released."))
    parts += _already(document, "released before")
    if document["refused"]:
        parts += [*([Text("")] if parts else []), *_refused(document["refused"], dry_run)]
    show(*parts, *_afterwards(document, dry_run))


def _refused(refused: list[Document], dry_run: bool) -> list[RenderableType]:
    columns = (Column("id"), Column("reason"), Column("column", rank=1), Column("value", least=16))
    rows = [(row["id"], *_reason_cells(row["reasons"])) for row in refused[:ROWS_SHOWN]]
    codes = counted({reason["code"] for reason in row["reasons"]} for row in refused)
    title = f"{plural(len(refused), 'row')} {'would be ' * dry_run}refused, still in quarantine"
    shown = section(title, Grid(columns, rows), *rest(refused, "--json has each"))
    look = hint(f"navdeck quarantine show {refused[0]['id']}")
    return [shown, legend(codes, "reason", WARN), Text(""), look]


def _afterwards(document: Document, dry_run: bool) -> list[RenderableType]:
    if dry_run:
        return [text("Nothing was stored.")]
    value = [hint("navdeck value")] if document["accepted"] else []
    return [*_numbers(document), *value]


def rejected(document: Document, dry_run: bool) -> None:
    """`quarantine reject`."""
    done = document["rejected"]
    parts: list[RenderableType] = []
    if done:
        parts.append(text(f"✓ {plural(done, 'row')} {'would be ' * dry_run}rejected", GOOD))
    elif not document["already"]:
        parts.append(text("No row matches; nothing was rejected."))
    parts += _already(document, "rejected before")
    show(*parts, *([text("Nothing was stored.")] if dry_run else _numbers(document)))


def _already(document: Document, told: str) -> list[RenderableType]:
    ids = document["already"]
    return [text(f"= {plural(len(ids), 'row')} {told}: {_few(ids)}", QUIET)] if ids else []


def _numbers(document: Document) -> list[RenderableType]:
    """The decisions that were recorded, and how the last is taken back."""
    made = document["decisions"]
    if not made:
        return []
    named = f"decision {made[0]}" if len(made) == 1 else f"decisions {made[0]} to {made[-1]}"
    back = "navdeck undo takes it back" if len(made) == 1 else "navdeck undo --whole takes them back"
    return [hint(f"recorded as {named}; {back}")]


def _few(names: Iterable[str]) -> str:
    told = [*names]
    more = f" … {count(len(told))} in all" if len(told) > NAMED_MOST else ""
    return (", ".join(told[:NAMED_MOST]) or UNKNOWN) + more

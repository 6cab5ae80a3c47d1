"""What is told of a row in quarantine, as lines: in one, and whole with all that is known. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from console.screens import panels
from console.text import UNKNOWN, count, instant, plural
from console.widgets.pieces import BLANK, Column, Line, Piece, line, wrapped

Document = dict[str, Any]

COLUMNS = (
    Column("", 1), Column("reason", 20), Column("wrong", 21, grows=2, prose=True),
    Column("file", 16, grows=1), Column("line", 6, right=True),
    Column("row", 30, rank=1, grows=3, prose=True),
)  # fmt: skip
KIND_WORDS = {"fx_use_eod_once": "use of the end-of-day rate"}
KEY_FIELDS = (
    "action", "quantity", "asset_id", "base", "quote", "rate", "resolution", "close", "bucket_close",
    "timestamp", "asof", "account",
)  # fmt: skip
MARKED: Piece = ("■", "mark")
IN_RANGE: Piece = ("□", "mark")
UNMARKED: Piece = (" ", "text")
STATUSES: dict[str, Piece] = {
    "open": ("! open", "warn"), "released": ("✓ released", "ok"), "rejected": ("✗ rejected", "muted"),
}  # fmt: skip
# The columns of each kind of row, CONTRACT §2 and §6: a row with too few can be given those it lacks.
HEADERS = (
    ("id", "timestamp", "action", "asset_id", "quantity", "unit_price_usd", "fee_asset", "fee_amount",
     "account", "wallet", "venue", "tx_hash", "external_id", "notes"),
    ("asset_id", "resolution", "bucket_close", "open", "high", "low", "close", "volume", "quote_currency",
     "price_source"),
    ("base", "quote", "rate", "resolution", "asof", "fx_source"),
)  # fmt: skip


def header_of(row: Mapping[str, str]) -> tuple[str, ...]:
    """The columns of the kind of row whose fields these are."""
    first = next(iter(row), "")
    return next((header for header in HEADERS if header[0] == first), tuple(row))


def row_cells(row: Document, mark: Piece) -> list[Piece]:
    """One row as cells of COLUMNS."""
    codes = [reason["code"] for reason in row["reasons"]]
    more = f" +{len(codes) - 1}" if len(codes) > 1 else ""
    fields = [row["row"][name] for name in KEY_FIELDS if row["row"].get(name)]
    reason: Piece = (f"{codes[0]}{more}", "text") if codes else ("✓ passes now", "ok")
    if row["status"] != "open":
        reason = _state(row)
    return [
        mark, reason, (_wrong(row), "warn"), (row["file"], "text"), (count(row["line"]), "muted"),
        (" ".join(fields), "muted"),
    ]  # fmt: skip


def _state(row: Document) -> Piece:
    return STATUSES.get(row["status"], (row["status"], "text"))


def _wrong(row: Document) -> str:
    if not row["reasons"]:
        return ""
    first = row["reasons"][0]
    return f"{first['column']}: {first['value'] or 'empty'}" if first["column"] else str(first["value"])


def row_lines(row: Document, width: int) -> list[Line]:
    """All about one row: what is wrong, what it collides with, every field, how it came, what was decided."""
    made = [*panels.details(_where(row), width), BLANK]
    for reason in row["reasons"]:
        made += panels.reason_lines(reason, width)
        made += _suggested(row, reason["column"], width)
    if not row["reasons"]:
        made += [line(("✓ ", "ok"), "no rule is broken now")]
    for title, lines in (
        ("Stored rows it collides with", _conflicts(row, width)),
        ("The row as it is now" if row.get("edited") else "The row as it came", _fields(row, width)),
        ("Its line in the file", _raw(row, width)),
        ("Decisions, newest first", _history(row, width)),
    ):
        made += [BLANK, panels.head(title), *lines] if lines else []
    return made


def _where(row: Document) -> list[tuple[str, Line]]:
    place = f"{count(row['line'])}, record {count(row['record'])}"
    fixed: list[Piece] = [("  fixed", "accent")] if row.get("edited") else []
    pairs = [
        ("file", line(row["file"])),
        ("line", line(place)),
        ("id", line(row["id"])),
        ("state", line(_state(row), *fixed)),
    ]
    return pairs + ([("taken", line(instant(row["taken_at"])))] if row.get("taken_at") else [])


def _suggested(row: Document, column: str, width: int) -> list[Line]:
    found = [each for each in row.get("suggestions", []) if each["column"] == column]
    told = [f"suggestion: {each['value'] or 'empty'}: {each['why']}" for each in found]
    return [line("  ", (part, "accent")) for text in told for part in wrapped(text, width - 2)]


def short(tx: str) -> str:
    """The id of a ledger row, short: ids of one instant begin alike, so that both ends are told."""
    return f"{tx[:8]}…{tx[-8:]}" if len(tx) > 17 else tx


def trade_text(row: Document) -> str:
    """A transaction in one line."""
    what = " ".join(
        str(row[name]) for name in ("timestamp", "action", "quantity", "asset_id") if row.get(name)
    )
    price = f" at {row['unit_price_usd']}" if row.get("unit_price_usd") else ""
    return f"{what}{price}, {row.get('account') or UNKNOWN}"


def _apart(fields: Mapping[str, str], stored: Document) -> str:
    """Where a stored row and this one differ: that is what a person decides on."""
    pairs = [(name, stored[name], here) for name, here in fields.items() if name in stored]
    return ", ".join(
        f"{name} is {there or 'empty'} there, {here or 'empty'} here"
        for name, there, here in pairs
        if name not in stored["same"] and there != here
    )


def _conflicts(row: Document, width: int) -> list[Line]:
    made: list[Line] = []
    for stored in row.get("conflicts", []):
        what = f"{short(stored['tx'])}  {trade_text(stored)}"
        about = f"{stored['file']} line {count(stored['line'])}"
        differs, same = _apart(row["row"], stored), ", ".join(stored["same"]) or "nothing"
        told = (("text", what), ("muted", about), ("warn", differs), ("muted", f"the same in {same}"))
        lines = [(mark, part) for mark, text in told if text for part in wrapped(text, width - 2)]
        made += [
            line(("  " if number else "= ", "mark"), (part, mark))
            for number, (mark, part) in enumerate(lines)
        ]
    return made


def _fields(row: Document, width: int) -> list[Line]:
    """Every field, the wrong ones marked, the corrected ones with what they were."""
    wrong = {reason["column"] for reason in row["reasons"]}
    original: Document = row.get("original") or row["row"]
    pairs = []
    for name, value in row["row"].items():
        was = original.get(name, "")
        changed: list[Piece] = [("  was ", "muted"), (was or "empty", "muted")] if was != value else []
        told = line((value or "empty", _meaning(name in wrong, value)), *changed)
        pairs.append((f"{'!' if name in wrong else '~' if changed else ' '} {name}", told))
    return panels.details(pairs, width)


def _meaning(is_wrong: bool, value: str) -> str:
    return "warn" if is_wrong else "text" if value else "muted"


def _raw(row: Document, width: int) -> list[Line]:
    return [line((part, "muted")) for part in wrapped(row["raw"], width)] if row.get("raw") else []


def _history(row: Document, width: int) -> list[Line]:
    made: list[Line] = []
    for decision in row.get("history", []):
        made += decision_lines(decision, width)
    return made


def kind_words(kind: str) -> str:
    """A kind of decision as it is spoken of."""
    return KIND_WORDS.get(kind, kind.replace("_", " "))


def decision_lines(decision: Document, width: int) -> list[Line]:
    """One decision: what, who, when, why, and whether it still holds."""
    gone = f"  undone by {decision['undone_by']}" if decision.get("undone_by") else ""
    first = line(
        (f"{decision['decision']} ", "muted"), (kind_words(decision["kind"]), "strong"),
        f"  {decision['actor']}  {instant(decision['at'])}", (gone, "warn"),
    )  # fmt: skip
    told = [text for text in (detail_text(decision), decision["reason"]) if text]
    return [first, *(line("  ", (part, "muted")) for text in told for part in wrapped(text, width - 2))]


def detail_text(decision: Document) -> str:
    """What a decision did, in a few words."""
    detail = decision.get("detail") or {}
    if decision["kind"] == "fix":
        return changes_text(detail.get("before", {}), detail.get("after", {}))
    if decision["kind"] == "transfer_settle":
        worth = f" at {detail['value']} USD" if detail.get("value") is not None else ""
        return f"{detail.get('quantity', '')} as {detail.get('as', '')}{worth}"
    if decision["kind"] == "release":
        replaced = f", in place of {detail.get('superseded') or UNKNOWN}"
        how = {"as_leg": ", as a further leg", "supersede": replaced}
        row = f": {detail['tx']}" if detail.get("tx") else ""
        return f"{detail.get('outcome', 'released')}{row}{how.get(detail.get('mode', ''), '')}"
    return ""


def changes_text(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """What changed in a row: `quantity 1,250 → 1250`."""
    return ", ".join(
        f"{name} {before.get(name) or 'empty'} → {value or 'empty'}" for name, value in after.items()
    )


# -- what an act would do, and did ----------------------------------------------------------------------


def verdict_line(result: Document) -> Line:
    """`118 would pass, 2 still fail`."""
    good, bad = result["would_pass"], result["still_fail"]
    fail = "fails" if bad == 1 else "fail"
    return line(
        (f"{'✓' if good and not bad else '·'} {count(good)} would pass", "ok" if good else "muted"),
        (f", {'! ' if bad else ''}{count(bad)} still {fail}", "warn" if bad else "muted"),
    )


def by_code(refused: Sequence[Document]) -> dict[str, tuple[int, str]]:
    """How many rows each reason refuses, with its hint."""
    found: dict[str, tuple[int, str]] = {}
    for row in refused:
        for code, hint in {reason["code"]: reason.get("hint", "") for reason in row["reasons"]}.items():
            found[code] = (found.get(code, (0, ""))[0] + 1, hint)
    return dict(sorted(found.items(), key=lambda pair: (-pair[1][0], pair[0])))


def release_lines(plan: Document, width: int) -> list[Line]:
    """What a release would do: rows, files, accounts, dates, and what is refused and why."""
    first = f"{plural(plan['accepted'], 'row')} new in the books, {count(plan['duplicates'])} there already"
    pairs = [("rows", line((first, "strong")))]
    if plan["files"]:
        pairs.append(("files", line(_some(plan["files"]))))
        pairs.append(("accounts", line(_some(plan["accounts"]))))
    if plan["first"]:
        pairs.append(("dated", line(f"{instant(plan['first'])} to {instant(plan['last'])}")))
    made = panels.details(pairs, width)
    if plan.get("already"):
        before = f"= {plural(len(plan['already']), 'row')} released before: nothing changes"
        made.append(line((before, "muted")))
    if plan["refused"]:
        stay = f"! {plural(len(plan['refused']), 'row')} refused, to stay here"
        made += [BLANK, line((stay, "warn"))]
        for code, (number, hint) in by_code(plan["refused"]).items():
            told = f"{count(number)} {code}: {hint}"
            made += [line("  ", (part, "muted")) for part in wrapped(told, width - 2)]
    return made


def _some(names: Sequence[str], most: int = 4) -> str:
    more = f" and {count(len(names) - most)} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def release_outcome(done: Document) -> Line:
    """What a release did, in one line."""
    refused, already = len(done["refused"]), len(done.get("already", []))
    parts: list[str | Piece] = [
        ("✓ " if done["released"] or already else "! ", "ok" if done["released"] or already else "warn"),
        f"released {plural(done['released'], 'row')}",
        (f": {count(done['accepted'])} new, {count(done['duplicates'])} there already", "muted"),
    ]
    if already:
        parts.append((f", {count(already)} released before", "muted"))
    if refused:
        parts.append((f"  ! {count(refused)} refused: {', '.join(by_code(done['refused']))}", "warn"))
    return line(*parts)


def fix_outcome(done: Document) -> Line:
    """What a fix did, in one line."""
    good, bad = done["would_pass"], done["still_fail"]
    told = f"fixed {plural(len(done['rows']), 'row')}: {count(good)} {'passes' if good == 1 else 'pass'} now"
    failing = (f", ! {count(bad)} still {'fails' if bad == 1 else 'fail'}", "warn") if bad else ("", "text")
    return line(("✓ ", "ok"), told, failing, ("; marked, R releases" if good else "", "muted"))

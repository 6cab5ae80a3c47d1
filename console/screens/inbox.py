"""The inbox: what is being read, what waits, what was taken or refused, and why."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from textual.widget import Widget

from console import actions
from console.actions import Need
from console.instants import dated
from console.mirror import Topics, waiting
from console.modals.preview import Preview
from console.screens import panels
from console.screens.base import bindings
from console.screens.charted import Charted, beside
from console.screens.lists import HeldList
from console.screens.ordering import Value
from console.text import UNKNOWN, bytes_text, count, instant, plural, words
from console.widgets.chart import Chart, Course
from console.widgets.figures import age, share, span, to_us
from console.widgets.lines import Lines
from console.widgets.pieces import BLANK, Column, Line, Piece, as_fits, cut, line, wrapped
from console.widgets.series import Sample

Document = dict[str, Any]

COLUMNS = (
    Column("state", 11), Column("file", 20, grows=2), Column("rows", 8, right=True),
    Column("accepted", 8, right=True, rank=2), Column("known", 7, right=True, rank=3),
    Column("result", 18, grows=1), Column("age", 7, right=True, rank=1),
)  # fmt: skip
NOT_TAKEN = "The inbox takes names that end in .csv or .parquet. Rename the file or remove it."
SIGNS: dict[str, Piece] = {
    "reading": ("▸ reading", "accent"), "storing": ("▸ storing", "accent"), "waiting": ("· waiting", "text"),
    "not taken": ("! not taken", "warn"), "ingested": ("✓ taken", "ok"), "duplicate": ("= known", "muted"),
    "rejected": ("✗ refused", "bad"),
}  # fmt: skip


def entries(inbox: Document) -> list[Document]:
    """All files in one list: active, waiting, not taken, then those that were dealt with, newest first."""
    active = inbox["active"]
    made = [active | {"status": active["stage"]}] if active else []
    made += [entry | {"status": "waiting"} for entry in waiting(inbox)]
    made += [{"name": name, "status": "not taken"} for name in inbox["others"]]
    return [*made, *inbox["recent"]]


def entry_row(entry: Document, now: int) -> list[Piece]:
    """One file as cells of COLUMNS."""
    return [
        SIGNS.get(entry["status"], (entry["status"], "text")),
        (entry["name"], "text"),
        _size(entry),
        (_told(entry.get("accepted")), "text"),
        (_told(entry.get("duplicates")), "muted"),
        _result(entry),
        (_age(entry, now), "muted"),
    ]


def entry_values(entry: Document, now: int) -> list[Value]:
    """What the cells of a file stand for."""
    since = entry.get("at") or entry.get("started_at")
    waited = int(entry["age_s"]) * 1_000_000 if "age_s" in entry else now - to_us(since) if since else None
    return [
        entry["status"], entry["name"], entry.get("rows"), entry.get("accepted"), entry.get("duplicates"),
        entry.get("quarantined") or entry.get("reason") or None, waited,
    ]  # fmt: skip


def _size(entry: Document) -> Piece:
    if entry["status"] == "storing" and entry["rows"]:
        return share(entry["done"] / entry["rows"]), "accent"
    if "bytes" in entry:
        return bytes_text(entry["bytes"]), "muted"
    return _told(entry.get("rows")), "text"


def _told(number: int | None) -> str:
    return count(number) if number else ""


def _result(entry: Document) -> Piece:
    aside = entry.get("quarantined") or 0
    return (f"{count(aside)} set aside !", "warn") if aside else (entry.get("reason") or "", "bad")


def _age(entry: Document, now: int) -> str:
    if "age_s" in entry:
        return span(int(entry["age_s"]) * 1_000_000)
    since = entry.get("at") or entry.get("started_at")
    return age(since, now) if since else ""


def entry_detail(entry: Document, now: int, width: int) -> list[Line]:
    """All about one file."""
    sign = SIGNS.get(entry["status"], (entry["status"], "text"))
    pairs: list[tuple[str, Line]] = [("file", line((entry["name"], "strong"))), ("state", line(sign))]
    if entry.get("kind"):
        pairs.append(("kind", line(entry["kind"])))
    if "bytes" in entry:
        pairs.append(("size", line(bytes_text(entry["bytes"]))))
    names = (
        ("rows", "rows"),
        ("accepted", "accepted"),
        ("duplicates", "known already"),
        ("quarantined", "set aside"),
    )
    pairs += [(told, line(count(entry[key]))) for key, told in names if entry.get(key) is not None]
    if entry.get("reason"):
        pairs += [("reason", line((entry["reason"], "bad"))), ("", line((words(entry["reason"]), "muted")))]
    if entry.get("detail"):
        pairs.append(("detail", line(str(entry["detail"]))))
    if entry.get("at"):
        pairs.append(("at", line(f"{instant(entry['at'])}  {age(entry['at'], now)} ago")))
    made = panels.details(pairs, width)
    return [*made, BLANK, *_advice(entry, width)]


def _advice(entry: Document, width: int) -> list[Line]:
    if entry["status"] == "not taken":
        return [line((part, "muted")) for part in wrapped(NOT_TAKEN, width)]
    if entry.get("quarantined"):
        return [line(("3 ", "mark"), ("shows the rows that were set aside", "muted"))]
    return []


# -- how fast -------------------------------------------------------------------------------------------

SPEED_COLUMNS = (
    Column("done", 17), Column("rows/s", 9, right=True), Column("rows", 9, right=True),
    Column("took", 9, right=True), Column("file", 20, grows=1),
)  # fmt: skip


def throughput_course(recent: Sequence[Document]) -> Course:
    """Rows a second of the files that were read, each by itself: between them nothing was asked of it."""
    files = [entry for entry in reversed(recent) if entry["rows"] and entry.get("seconds")]
    return Course(
        "Rows a second", [Sample(to_us(entry["done_at"]), _speed(entry)) for entry in files],
        lambda value: f"{value:,.0f}", within=(0.0,), bars=True, unit="rows/s",
        words=lambda width: _speed_words(files, width),
        stops=[to_us(entry["done_at"]) for entry in files], columns=SPEED_COLUMNS,
        cells=lambda stop: _speed_cells(files[stop]),
    )  # fmt: skip


def _speed(entry: Document) -> float:
    return float(entry["rows"] / entry["seconds"])


def _speed_words(files: Sequence[Document], width: int) -> Line:
    head = line(("Rows a second", "strong"))
    if not files:
        return as_fits([head, line(("no file was read yet", "muted"))], width)
    rows, took = sum(entry["rows"] for entry in files), sum(entry["seconds"] for entry in files)
    told = f"{plural(len(files), 'file')}: {count(round(rows / took))} on the whole"
    speeds = [_speed(entry) for entry in files]
    rest = f"most {count(round(max(speeds)))}, least {count(round(min(speeds)))}"
    return as_fits([head, line((told, "text")), line((rest, "muted"))], width)


def _speed_cells(entry: Document) -> list[Piece]:
    return [
        (instant(entry["done_at"]), "text"), (count(round(_speed(entry))), "strong"),
        (count(entry["rows"]), "text"), (f"{entry['seconds']:.3f} s", "text"), (entry["name"], "muted"),
    ]  # fmt: skip


class Inbox(Charted, HeldList[Document]):
    """Screen 2."""

    ID = actions.INBOX
    CHART_COMES = True
    BINDINGS = bindings(actions.INBOX)
    COLUMNS = COLUMNS
    ALSO = ("kind",)

    def body(self) -> Sequence[Widget]:
        mine = frozenset({"inbox", "time"})
        return Lines(self._head, mine, id="head"), beside(
            "File", self._row, self._side, Chart(self._throughput, mine, id="throughput"), mine
        )

    def redraw(self, topics: Topics) -> None:
        if topics & {"inbox", "time"}:
            self._fill()
        super().redraw(topics)

    def refilter(self) -> None:
        self.rows.to_top()
        self.redraw(frozenset({"inbox"}))

    def _fill(self) -> None:
        """Takes the newest list; the cursor stays on its file."""
        before = self.chosen()
        self._shown = self.passing()
        self.widen()
        self.rows.fill(len(self._shown), _place(self._shown, before, self.rows.cursor))

    def everything(self) -> Sequence[Document]:
        return entries(self.doc["inbox"])

    def cells(self, row: Document) -> list[Piece]:
        return entry_row(row, self.now)

    def values(self, row: Document) -> Sequence[Value]:
        return entry_values(row, self.now)

    def also(self, row: Document) -> Mapping[str, str]:
        return {"kind": row.get("kind") or ""}

    def _head(self, width: int, _height: int) -> list[Line]:
        inbox = self.doc["inbox"]
        about = f"{count(len(waiting(inbox)))} waiting, {count(len(self._shown))} shown"
        first = self.first_line("Inbox", about)
        active = (
            panels.active_line(inbox["active"], self.now, width)
            if inbox["active"]
            else line(("✓ ", "ok"), ("nothing is being read", "muted"))
        )
        heads = self.heads() if self.rows.display else BLANK
        return [cut(first, width), cut(active, width), heads]

    def _side(self, width: int, height: int) -> list[Line]:
        entry = self.chosen()
        made = entry_detail(entry, self.now, width) if entry else [line(("no file here", "muted"))]
        refused = _refused(self.doc["inbox"]["recent"])
        if refused:
            made += [BLANK, panels.head("Refused, by reason"), *panels.reasons(refused, width, 8)]
        return made[:height]

    def there(self) -> Collection[Need]:
        return {*super().there(), "files"} if self.doc["inbox"]["waiting"] else super().there()

    def _throughput(self) -> Course:
        return throughput_course(self.doc["inbox"]["recent"])

    def do_preview(self) -> None:
        self.deck.push_screen(Preview(len(self.doc["inbox"]["waiting"]), self._previewed))

    async def _previewed(self) -> Document | None:
        """What the engine says of the files that wait; it stores nothing."""
        return await self.deck.done(actions.BY_ID["preview"], dry_run=True)

    def record(self, row: Document) -> Document:
        """Instants as text, as everywhere."""
        return dated(row)

    def detail(self) -> tuple[str, Callable[[int], list[Line]]] | None:
        entry = self.chosen()
        return ("File", lambda width: entry_detail(entry, self.now, width)) if entry else None

    def copied(self) -> str:
        entry = self.chosen()
        return entry["name"] if entry else ""


def _key(entry: Document) -> tuple[str, str]:
    return entry["name"], entry.get("at") or ""


def _place(found: Sequence[Document], before: Document | None, cursor: int) -> int:
    """Where the file that the cursor was on is now; the first row stays the first."""
    if before is None or cursor == 0:
        return cursor
    return next((place for place, entry in enumerate(found) if _key(entry) == _key(before)), cursor)


def _refused(recent: Sequence[Document]) -> dict[str, int]:
    codes = [entry["reason"] or UNKNOWN for entry in recent if entry["status"] == "rejected"]
    return {code: codes.count(code) for code in dict.fromkeys(codes)}

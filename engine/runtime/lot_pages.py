"""Pages of lots for who looks at them one screen at a time: a home can have a million pieces.

The first page books the home; what that gave is kept until the inputs change, for one home at a time, so that
the pages after it cost a filter. Arguments of both states: state (open or realized), offset, limit, text
(words, each of them anywhere in account, asset, kind, term, flags or dates), not_text (nowhere there),
matching (an expression that one of these matches), not_matching (that none does), account, asset (the whole
name). Letters' case makes no difference. sort (one of SORTS of the state) and descending: another order; what
is not known comes last.
"""

import threading
from pathlib import Path
from typing import Any

import polars as pl

from engine.config import Config
from engine.domain.expressions import matching
from engine.errors import UsageError
from engine.runtime.asking import LAST_INPUT, expressions
from engine.runtime.books import Books
from engine.runtime.home import Home
from engine.runtime.kept_books import open_books
from engine.runtime.lot_pieces import open_lots, realized_pieces
from engine.runtime.reports import as_rows, exact_sum, instant_texts, scaled_texts, sum_text, with_terms
from engine.store.reader import Reader

Document = dict[str, Any]
OPEN, REALIZED = "open", "realized"
PAGE_ROWS, PAGE_ROWS_MAX = 200, 10_000
_HELD = {
    "asset_id": "asset", "account": "account", "acquired_at": "acquired_at", "quantity": "quantity",
    "cost_basis_usd": "basis",
}  # fmt: skip
_SOLD = {"disposed_at": "disposed_at", "proceeds_usd": "proceeds", "gain_usd": "gain", "term": "term"}
SORTS = {OPEN: _HELD, REALIZED: _HELD | _SOLD}  # by state: what a row is sorted by, and its column here
_SEARCHED = ("account", "asset", "kind", "status", "term", "began", "ended", "flag_text")


class _Kept:
    """The lots of the home that was asked for last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._key: object = None
        self._frames: dict[str, pl.DataFrame] = {}

    def frames(self, reader: Reader, home: Home, config: Config) -> dict[str, pl.DataFrame]:
        """Realized pieces, newest first, and open lots, by asset and account; each with its searched text."""
        key = (home.path, reader.value(LAST_INPUT), repr(sorted(config.values.items())))
        with self._lock:
            if key != self._key:
                self._frames = _booked(open_books(home, reader))
                self._key = key
            return self._frames


_kept = _Kept()


def _booked(books: Books) -> dict[str, pl.DataFrame]:
    outcome = books.outcome()
    pieces = with_terms(realized_pieces(books, outcome), books.config)
    realized = pieces.with_columns(status=pl.lit(REALIZED)).reverse().sort(
        "disposed_at", descending=True, maintain_order=True
    )  # fmt: skip
    lots = open_lots(books, outcome).with_columns(kind=pl.lit(""), term=pl.lit(""), disposed_at="left_at")
    held = lots.sort("asset", "account", "acquired_at", maintain_order=True)
    return {REALIZED: _searchable(realized), OPEN: _searchable(held)}


def _searchable(frame: pl.DataFrame) -> pl.DataFrame:
    """With `searched`: all that a text is looked for in, in small letters, a line each."""
    day = "%Y-%m-%d %H:%M"
    return frame.with_columns(
        began=pl.from_epoch("acquired_at", time_unit="us").dt.strftime(day).fill_null(""),
        ended=pl.from_epoch("disposed_at", time_unit="us").dt.strftime(day).fill_null(""),
        flag_text=pl.col("flags").list.join(" "),
    ).with_columns(
        searched=pl.concat_str(*_SEARCHED, separator="\n").str.to_lowercase()
    ).drop("began", "ended", "flag_text")  # fmt: skip


def lots_page(home_path: str, _now: int, arguments: Document) -> Document:
    """A page: `total`, `rows`, exact `sums` of all rows under the filters, and `method`."""
    state = arguments.get("state") or OPEN
    if state not in (OPEN, REALIZED):
        raise UsageError(f"There are no {state!r:.80} lots.", "Ask for open or realized ones.")
    home = Home(Path(home_path))
    config = home.config()
    with Reader(home.state) as reader:
        frame = _sorted(_filtered(_kept.frames(reader, home, config)[state], arguments), state, arguments)
    limit = min(_count(arguments, "limit", PAGE_ROWS), PAGE_ROWS_MAX)
    page = frame.slice(_count(arguments, "offset", 0), limit)
    names = ("proceeds", "basis", "gain") if state == REALIZED else ("basis",)
    sums = {name: exact_sum(frame[name]) for name in names}
    return {
        "state": state,
        "method": config["lot_method"],
        "total": frame.height,
        "rows": _realized_rows(page) if state == REALIZED else _open_rows(page),
        "sums": {f"{_SUMS[name]}_usd": sum_text(amount) for name, amount in sums.items()},
    }


_SUMS = {"proceeds": "proceeds", "basis": "cost_basis", "gain": "gain"}


def _count(arguments: Document, name: str, default: int) -> int:
    value = arguments.get(name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise UsageError(f"{name} {value!r:.80} is no count.", "Give 0 or a whole number above.")
    return value


def _filtered(frame: pl.DataFrame, arguments: Document) -> pl.DataFrame:
    for name in ("account", "asset"):
        if arguments.get(name):
            frame = frame.filter(pl.col(name).str.to_lowercase() == str(arguments[name]).lower())
    for word in str(arguments.get("text") or "").lower().split():
        frame = frame.filter(pl.col("searched").str.contains(word, literal=True))
    unwanted = str(arguments.get("not_text") or "").lower()
    if unwanted:
        frame = frame.filter(~pl.col("searched").str.contains(unwanted, literal=True))
    for expression, wanted in expressions(arguments):
        frame = frame.filter(pl.Series(matching(expression, frame["searched"].to_list())) == wanted)
    return frame


def _sorted(frame: pl.DataFrame, state: str, arguments: Document) -> pl.DataFrame:
    name, columns = arguments.get("sort"), SORTS[state]
    if name is None:
        return frame
    if name not in columns:
        raise UsageError(f"Lots are not sorted by {name!r:.80}.", f"Choose one of {', '.join(columns)}.")
    down = bool(arguments.get("descending"))
    return frame.sort(columns[name], descending=down, nulls_last=True, maintain_order=True)


def _open_rows(page: pl.DataFrame) -> list[Document]:
    columns = {
        "status": page["status"].to_list(),
        "account": page["account"].to_list(),
        "asset_id": page["asset"].to_list(),
        "acquired_at": instant_texts(page["acquired_at"]),
        "left_at": instant_texts(page["left_at"]),
        "quantity": scaled_texts(page["quantity"]),
        "cost_basis_usd": scaled_texts(page["basis"]),
        "flags": page["flags"].to_list(),
        "acquisition_tx": page["acquisition_tx"].to_list(),
    }
    return as_rows(columns)


def _realized_rows(page: pl.DataFrame) -> list[Document]:
    columns = {
        "kind": page["kind"].to_list(),
        "account": page["account"].to_list(),
        "asset_id": page["asset"].to_list(),
        "disposed_at": instant_texts(page["disposed_at"]),
        "acquired_at": instant_texts(page["acquired_at"]),
        "quantity": scaled_texts(page["quantity"]),
        "proceeds_usd": scaled_texts(page["proceeds"]),
        "cost_basis_usd": scaled_texts(page["basis"]),
        "gain_usd": scaled_texts(page["gain"]),
        "term": page["term"].to_list(),
        "flags": page["flags"].to_list(),
        "disposal_tx": page["disposal_tx"].to_list(),
        "acquisition_tx": page["acquisition_tx"].to_list(),
    }
    return as_rows(columns)

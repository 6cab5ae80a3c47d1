"""Bytes of a CSV file -> records: where each begins and ends, and its fields. Physical form only.

Owns encoding, line ends, quoting and record numbers; never looks at what a field means. Lines that are
well formed by themselves are cut by polars, other lines go through the csv module; a field that spans
lines, or a bare CR, sends the whole file through the csv module. A lone surrogate, which no UTF-8 text can
hold, stands for a bare CR inside the csv module (to which a bare CR would be a line end), and marks the
end of the text.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

import polars as pl

BOM = b"\xef\xbb\xbf"
COLUMNS_MAX = 100  # no known header has as many
FIELD_CHARS_MAX = 2**31 - 1  # csv refuses longer fields; files are capped in bytes before
_BARE_CR = re.compile(r"\r(?!\n)")
_NOT_BLANK = re.compile(rb"[^ \t\r\n]|\r(?!\n)")
_FIELD = r'(?:[^",]*|"(?:[^"]|"")*")'
_NOWHERE = "\0"  # separates lines from nothing: a text with a NUL byte is refused before
_CR_STAND_IN = "\udc0d"
_END = "\udcff"

Fields = tuple[str, ...]


@dataclass(frozen=True)
class Records:
    """A file's records. `frame`: record, line, end (physical lines, from 1), one column per header field.

    `odd`: records with another number of fields, as (record, line, end, fields). Both are empty where
    the header or the number of rows rules the file out, so that a hostile file costs no memory.
    """

    header: Fields
    rows: int
    frame: pl.DataFrame
    odd: list[tuple[int, int, int, Fields]]


def is_blank(data: bytes) -> bool:
    """Whether there is nothing but a BOM and lines of spaces and tabs."""
    return _NOT_BLANK.search(data.removeprefix(BOM)) is None


def decode(data: bytes) -> str:
    """The text without its BOM. UnicodeDecodeError if it is not UTF-8."""
    return data.removeprefix(BOM).decode("utf-8")


def read_records(data: bytes, rows_max: int) -> Records | None:
    """Cuts bytes that are not blank into records; None if a quote is never closed.

    UnicodeDecodeError if they are not UTF-8.
    """
    csv.field_size_limit(FIELD_CHARS_MAX)
    data = data.removeprefix(BOM)
    if not data.isascii():
        data.decode("utf-8")  # only whether it can be
    unix = data.replace(b"\r\n", b"\n") if b"\r" in data else data
    by_line = b"\r" not in unix and not unix.startswith(BOM)  # which polars would take off again
    found = _by_line(unix, rows_max) if by_line else None
    return _by_csv(data.decode("utf-8"), rows_max) if found is None else found


def _by_line(data: bytes, rows_max: int) -> Records | None:
    """The records of a text in which every record is one line; None if a field spans lines."""
    every = _cut(data, ["text"], _NOWHERE).with_row_index("line", offset=1)
    lines = every.filter(pl.col("text").str.contains("[^ \t]")).with_row_index("record")
    lines = lines.cast({"line": pl.Int64, "record": pl.Int64})
    top = lines["text"][0]
    first = _csv_lines([top])
    if first is None:
        return None
    header = first[0]
    body = lines.slice(1).with_columns(quoted=pl.col("text").str.contains('"', literal=True))
    odd = _oddly_quoted(body, len(header))
    special = _read_one_by_one(body.filter(odd))
    if special is None:
        return None
    if len(header) > COLUMNS_MAX or body.height > rows_max:
        return Records(header, body.height, pl.DataFrame(), [])
    rest = body.filter(~odd)
    untouched = rest.height + 1 == every.height and '"' not in top
    cut, misfits = _cut_lines(rest, header, data if untouched else _written(rest, len(header)))
    return _join(header, cut, special + (_read_one_by_one(misfits) or []))


def _oddly_quoted(lines: pl.DataFrame, width: int) -> pl.Series:
    """Lines with quotes that do more than to enclose fields, or with quotes and another number of fields."""
    at = lines["quoted"].arg_true()
    commas = min(width, COLUMNS_MAX) - 1
    plain = lines["text"].gather(at).str.contains(f"^{_FIELD}(?:,{_FIELD}){{{commas}}}$")
    return lines["quoted"].scatter(at, ~plain)


def _read_one_by_one(lines: pl.DataFrame) -> list[tuple[int, int, int, Fields]] | None:
    """(record, line, end, fields) of each line; None if a quote stays open at the end of one."""
    read = _csv_lines(lines["text"].to_list())
    if read is None:
        return None
    places = lines.select("record", "line").rows()
    return [(record, line, line, fields) for (record, line), fields in zip(places, read, strict=True)]


def _csv_lines(lines: list[str]) -> list[Fields] | None:
    """The fields of lines that are one record each; None if a quote stays open at the end of a line."""
    parsed = list(csv.reader([*lines, _END]))
    if len(parsed) != len(lines) + 1 or parsed.pop() != [_END]:
        return None
    return [tuple(fields) for fields in parsed]


def _restore(fields: list[str]) -> Fields:
    return tuple(field.replace(_CR_STAND_IN, "\r") for field in fields)


def _written(lines: pl.DataFrame, width: int) -> bytes:
    """The text of lines after a line of empty fields: polars takes a U+FEFF at the very start for a BOM."""
    text = io.BytesIO()
    text.write(b"," * (width - 1) + b"\n")
    lines.select("text").write_csv(text, include_header=False, quote_style="never")
    return text.getvalue()


def _cut_lines(lines: pl.DataFrame, header: Fields, data: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The fields of lines, and the lines that have another number of them; those with quotes have as many.

    `data`: the lines after one other. A line without quotes is as long as its fields and the commas
    between them, unless polars had to fill it up with empty fields or to leave some out.
    """
    fields = _cut(data, _names(header)[3:], ",", '"').slice(1)
    told = fields.select(pl.sum_horizontal(pl.all().str.len_bytes()) + len(header) - 1).to_series()
    fits = lines["quoted"] | (told == lines["text"].str.len_bytes())
    cut = lines.select("record", "line", pl.col("line").alias("end")).hstack(fields)
    return cut.filter(fits), lines.filter(~fits)


def _cut(data: bytes, names: list[str], separator: str, quote: str | None = None) -> pl.DataFrame:
    """Text columns of lines; fields that are missing are empty, fields beyond the names are left out."""
    return pl.read_csv(
        data, has_header=False, separator=separator, quote_char=quote, empty_string_is_null=False,
        schema=dict.fromkeys(names, pl.String), truncate_ragged_lines=True,
    )  # fmt: skip


def _names(header: Fields) -> list[str]:
    return ["record", "line", "end", *(str(position) for position in range(len(header)))]


def _by_csv(text: str, rows_max: int) -> Records | None:
    """The whole text through the csv module."""
    found = _csv_records(_BARE_CR.sub(_CR_STAND_IN, text).split("\n"))
    header = next(found)[2]
    kept = list(islice(((number, *record) for number, record in enumerate(found, 1)), rows_max + 2))
    last = kept.pop() if kept else (0, 0, 0, header)
    for record in found:  # past the limit: only whether the last quote is closed counts
        last = (last[0] + 1, *record)
    if last[3] != (_END,):
        return None
    if len(header) > COLUMNS_MAX or last[0] - 1 > rows_max:
        return Records(header, last[0] - 1, pl.DataFrame(), [])
    return _join(header, None, kept)


def _join(header: Fields, cut: pl.DataFrame | None, special: list[tuple[int, int, int, Fields]]) -> Records:
    """Puts records cut by line and records read one by one together, in order."""
    width = len(header)
    odd = sorted(record for record in special if len(record[3]) != width)
    even = [record for record in special if len(record[3]) == width]
    names = _names(header)
    places = list(zip(*(record[:3] for record in even), strict=True)) or [()] * 3
    texts = list(zip(*(record[3] for record in even), strict=True)) or [()] * width
    frame = pl.DataFrame(
        [pl.Series(name, values, dtype=pl.Int64) for name, values in zip(names[:3], places, strict=True)]
        + [pl.Series(name, values, dtype=pl.String) for name, values in zip(names[3:], texts, strict=True)]
    )
    if cut is not None:
        frame = pl.concat([cut, frame]).sort("record") if even else cut
    if len(set(header)) == width and not set(header) & set(names[:3]):
        frame.columns = [*names[:3], *header]
    return Records(header, frame.height + len(odd), frame, odd)


class _Feed:
    """Hands lines to the csv module, without the blank ones between records; knows where a record began."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = enumerate(lines, 1)
        self.first = 0  # line of the open record, 0 between records
        self.last = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            if self.first or line.strip(" \t\r\n"):
                self.first = self.first or number
                self.last = number
                return line
        raise StopIteration


def _csv_records(lines: list[str]) -> Iterator[tuple[int, int, Fields]]:
    """(first line, last line, fields) of each record; the last is the end mark if every quote was closed.

    A bare CR in `lines` must be its stand-in already.
    """
    feed = _Feed(chain((line + "\n" for line in lines), [_END]))
    for fields in csv.reader(feed):
        yield feed.first, feed.last, _restore(fields)
        feed.first = 0

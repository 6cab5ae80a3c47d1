"""A list of the console as a file: CSV that is safe to open anywhere, JSON, Parquet; by the name's ending.

Rows come a page at a time and wait in a nameless file beside the new one, since which columns there are, and
of what kind, is known when the last row came: a list of any length takes the memory of a page. A nested value
has a column for each of its parts, as `blocking.first`; a list of texts is one text, other lists are JSON.
Amounts are the exact text that the engine told, never a float. The file is new and whole or not there.
"""

import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import batched
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

from console.commands.desk_csv import written_field
from console.commands.report_files import new_file, taken
from engine.api import UsageError

Document = dict[str, Any]
ENDINGS = (".csv", ".json", ".parquet")
BATCH_ROWS = 5_000  # written at once
INT_MAX = 2**63 - 1  # of Parquet's integers; larger ones are text


def target(typed: str) -> Path:
    """The file that is meant. UsageError if it cannot become one, and why."""
    if not typed.strip():
        raise UsageError("There is no name yet.", "Type one, such as list.csv.")
    path = Path(typed.strip()).expanduser().absolute()
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(f"{path.name} has an ending that says no format.", f"End it with {_some(ENDINGS)}.")
    if path.exists():
        raise taken(path)
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {path.parent}.", "Make it first, or name another one.")
    return path


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


class _Ended(Exception):
    """Somebody ended the writing."""


class ListFile:
    """A file in the making. `take` the rows, then `write` them; to be closed, whatever happened.

    OSError as the disk gives it; then there is no file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._waiting = tempfile.TemporaryFile("w+b", dir=path.parent)  # noqa: SIM115
        self._kinds: dict[str, set[str]] = {}  # of the values of each column, in the order they came

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._waiting.close()

    def take(self, rows: Sequence[Document]) -> None:
        """Keeps the next rows."""
        for row in rows:
            for name, value in flat(row).items():
                kinds = self._kinds.setdefault(name, set())
                if value is not None:
                    kinds.add(_kind(value))
            self._waiting.write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
        self.rows += len(rows)

    def write(self, goes_on: Callable[[int], bool]) -> bool:
        """Makes the file; whether it is there. `goes_on` is asked before each batch, told the rows so far.

        UsageError if the name was taken meanwhile.
        """
        self._waiting.seek(0)
        batches = batched((json.loads(line) for line in self._waiting), BATCH_ROWS)
        try:
            with new_file(self.path) as file:
                self._fill(_WRITERS[self.path.suffix.lower()](file, self._columns()), batches, goes_on)
        except _Ended:
            return False
        return True

    def _fill(
        self, writer: "_Writer", batches: Iterator[tuple[Document, ...]], goes_on: Callable[[int], bool]
    ) -> None:
        done = 0
        for rows in batches:
            if not goes_on(done):
                raise _Ended
            writer.write(rows)
            done += len(rows)
        writer.end()

    def _columns(self) -> dict[str, str]:
        """The kind of each column. What is nested where it is known has no column of its own besides."""
        return {
            name: next(iter(kinds)) if len(kinds) == 1 else "text"
            for name, kinds in self._kinds.items()
            if kinds or not any(other.startswith(f"{name}.") for other in self._kinds)
        }


def flat(row: Document, above: str = "") -> Document:
    """The row without nesting."""
    made: Document = {}
    for name, value in row.items():
        if isinstance(value, dict):
            made |= flat(value, f"{above}{name}.")
        elif isinstance(value, list):
            is_plain = all(isinstance(part, str) for part in value)
            made[above + name] = " ".join(value) if is_plain else json.dumps(value, ensure_ascii=False)
        else:
            made[above + name] = value
    return made


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if abs(value) <= INT_MAX else "text"
    return "float" if isinstance(value, float) else "text"


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, str) else json.dumps(value)


class _Writer(Protocol):
    def write(self, rows: Sequence[Document]) -> None: ...

    def end(self) -> None: ...


class _Csv:
    """A header and a line for each row."""

    def __init__(self, file: BinaryIO, columns: dict[str, str]) -> None:
        self._file = file
        self._columns = columns
        self._put([list(columns)])

    def write(self, rows: Sequence[Document]) -> None:
        found = (flat(row) for row in rows)
        self._put([written_field(name, _text(row.get(name))) for name in self._columns] for row in found)

    def _put(self, rows: Any) -> None:
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(rows)
        self._file.write(out.getvalue().encode())

    def end(self) -> None:
        """All is written."""


class _Json:
    """One list of the rows as the engine told them, a row a line."""

    def __init__(self, file: BinaryIO, _columns: dict[str, str]) -> None:
        self._file = file
        self._before = b"[\n"

    def write(self, rows: Sequence[Document]) -> None:
        for row in rows:
            told = json.dumps(row, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
            self._file.write(self._before + told.encode())
            self._before = b",\n"

    def end(self) -> None:
        self._file.write(b"\n]\n" if self._before == b",\n" else b"[]\n")


class _Parquet:
    """A row group for each batch; whole numbers, floats and yes or no as such, all else as text."""

    def __init__(self, file: BinaryIO, columns: dict[str, str]) -> None:
        import pyarrow as pa  # an attached console has it only once it writes such a file
        from pyarrow import parquet

        types = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
        self._schema = pa.schema([(name, types.get(kind, pa.string())) for name, kind in columns.items()])
        self._columns = columns
        self._writer = parquet.ParquetWriter(file, self._schema)
        self._table = pa.Table

    def write(self, rows: Sequence[Document]) -> None:
        made = [self._typed(flat(row)) for row in rows]
        self._writer.write_table(self._table.from_pylist(made, schema=self._schema))

    def _typed(self, row: Document) -> Document:
        return {
            name: row.get(name) if kind != "text" or row.get(name) is None else _text(row[name])
            for name, kind in self._columns.items()
        }

    def end(self) -> None:
        self._writer.close()


_WRITERS: dict[str, Callable[[BinaryIO, dict[str, str]], _Writer]] = {
    ".csv": _Csv,
    ".json": _Json,
    ".parquet": _Parquet,
}

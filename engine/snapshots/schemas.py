"""What snapshot files of every schema hold, and how each becomes today's columns. It reads no file.

The catalogue keeps the schema id of each file. A file is read only by the casts written down here: a column
whose type differs from today's has an expression of its own, a new one is null in old files, and files of
two schemas never share one `read_parquet`, which would cast the second by itself.

To change the columns: give COLUMNS its new form, add a schema under the next id, let SCHEMA_ID be
that id, and give every older schema an expression for what it lacks or holds otherwise.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

DATASET = "snapshots"
SCHEMA_ID = 1  # of what is written today
DECIMAL, INSTANT, TEXT = "DECIMAL(38,18)", "TIMESTAMP WITH TIME ZONE", "VARCHAR"

# Today's columns by DuckDB's names of types.
COLUMNS: Mapping[str, str] = MappingProxyType({
    "kind": TEXT,
    "account": TEXT,
    "asset_id": TEXT,
    "bucket_close": INSTANT,
    "quantity": DECIMAL,
    "price": DECIMAL,
    "quote_currency": TEXT,
    "price_source": TEXT,
    "resolution": TEXT,
    "asof": INSTANT,
    "fx_source": TEXT,
    "fx_rate": DECIMAL,
    "fx_asof": INSTANT,
    "drift_bps": DECIMAL,
    "value": DECIMAL,
    "reason": TEXT,
    "held": TEXT,
    "flags": TEXT,
})  # fmt: skip


# Of a row that lies open in state.db, beside the resolution of its bucket; its place, in the order of files.
OPEN_COLUMNS = ("dt", *COLUMNS)
OPEN_KEY = ("bucket_close", "asset_id", "account", "kind")


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What the catalogue keeps of one file. `path` is below lake/; instants in microseconds."""

    path: str
    resolution: str
    dt: str
    asset: str
    rows: int
    bytes: int
    close_min: int
    close_max: int
    sha256: str
    content: str
    schema_id: int = SCHEMA_ID


@dataclass(frozen=True, slots=True)
class Schema:
    """`held`: the columns of its files; `made`: a column of today by an expression over them."""

    held: Mapping[str, str]
    made: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        silent = [
            name
            for name, kind in self.held.items()
            if name in COLUMNS and name not in self.made and kind != COLUMNS[name]
        ]
        if silent or self.made.keys() - COLUMNS.keys():
            raise ValueError(f"columns of another type, without an expression: {silent}")

    def select_list(self) -> str:
        """Today's columns over one of its files, in today's order and types."""
        return ", ".join(f'CAST({self._made(name)} AS {kind}) AS "{name}"' for name, kind in COLUMNS.items())

    def _made(self, name: str) -> str:
        return self.made.get(name) or (f'"{name}"' if name in self.held else "NULL")


SCHEMAS: dict[int, Schema] = {1: Schema(COLUMNS)}


class LakeFile(str):
    """A path that knows the schema its file was written under, and how many rows it has."""

    schema_id: int
    rows: int

    def __new__(cls, path: str, schema_id: int, rows: int) -> "LakeFile":
        made = super().__new__(cls, path)
        made.schema_id, made.rows = schema_id, rows
        return made


def by_schema[File: str](files: Iterable[File], today: int) -> dict[int, list[File]]:
    """Paths by schema id, in their order; a plain path is of `today`."""
    found: dict[int, list[File]] = {}
    for file in files:
        found.setdefault(file.schema_id if isinstance(file, LakeFile) else today, []).append(file)
    return found


def source(schema_id: int, relation: str, more: str = "") -> str:
    """A SELECT of today's columns from a relation with the columns of one schema.

    `more`: further columns over it, each begun with a comma. KeyError for a schema nobody knows.
    """
    return f"SELECT {SCHEMAS[schema_id].select_list()}{more} FROM {relation}"


def parquet(files: str) -> str:
    """The relation of some files. `files`: what stands for their list in SQL."""
    return f"read_parquet({files}, hive_partitioning = false)"

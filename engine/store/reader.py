"""Reads of state.db: many readers, each its own read-only connection and one snapshot of the truth.

Gives plain rows and polars frames of the domain's schemas. It never writes and never checkpoints.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from engine.domain.instants import DAY_US, format_instant
from engine.errors import HomeMissing
from engine.store.migrations import refuse_newer, refuse_older
from engine.store.troubles import store_error

if TYPE_CHECKING:
    import polars as pl

LAST = 2**63 - 1  # no instant is later
_LAST_YEAR_US = 8_000 * 365 * DAY_US  # about the year 9964


class Reader:
    """One read-only connection in one read transaction. Use as a context manager.

    `older`: a file of an older schema will do, for its meta. StoreOutdated otherwise, StoreTooNew always.
    """

    def __init__(self, state: Path, older: bool = False) -> None:
        if not state.is_file():
            raise HomeMissing(
                f"There is no navdeck home at {state.parent}.",
                "Make one with `navdeck init`, or name another with --home or NAVDECK_HOME.",
            )
        self._connection = sqlite3.connect(
            f"{state.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None
        )
        try:
            self._begin(older)
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def over(cls, connection: sqlite3.Connection) -> Self:
        """Reads through somebody else's open transaction, and sees what it has done so far."""
        reader = cls.__new__(cls)
        reader._connection = connection
        return reader

    def _begin(self, older: bool) -> None:
        for pragma in ("PRAGMA query_only=ON", "PRAGMA busy_timeout=5000", "BEGIN"):
            self.rows(pragma)
        done = self.value("PRAGMA user_version")
        refuse_newer(done)
        if not older:
            refuse_older(done)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of one SELECT."""
        with _readable(), closing(self._connection.execute(sql, values)) as cursor:
            return cursor.fetchall()

    def stream(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """All rows of one SELECT, of which only some are in memory."""
        with _readable(), closing(self._connection.execute(sql, values)) as cursor:
            yield from cursor

    def records(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """All rows of one SELECT as dictionaries."""
        with _readable(), closing(self._connection.execute(sql, values)) as cursor:
            columns = [column[0] for column in cursor.description]
            return [dict(zip(columns, row, strict=True)) for row in cursor]

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first column of the first row, or None."""
        row = self.rows(sql, values)
        return row[0][0] if row else None

    # -- names and files --

    def names(self) -> dict[str, int]:
        """Every repeated text and its number."""
        return dict(self.rows("SELECT name, n FROM names"))

    def meta(self) -> dict[str, str]:
        return dict(self.rows("SELECT key, value FROM meta"))

    def file_by_digest(self, sha256: str) -> dict[str, Any] | None:
        found = self.records("SELECT * FROM files WHERE sha256 = ?", (sha256,))
        return found[0] if found else None

    # -- frames: polars takes longer to import than most questions take to answer --

    def ledger(self, actions: Iterable[int] | None = None) -> "pl.DataFrame":
        """The ledger: every accepted row that is not superseded, as LEDGER_SCHEMA; of some actions only."""
        from engine.store import frames

        return frames.ledger(self, actions)

    def ledger_since(self, row: int, others: Iterable[int]) -> "pl.DataFrame":
        """The ledger's rows with a number above `row`, or among others."""
        from engine.store import frames

        return frames.ledger_since(self, row, others)

    def acted_on(self) -> frozenset[int]:
        """The numbers of all transactions that an act of an operator put into the ledger or out of it."""
        superseded = "SELECT row FROM tx WHERE superseded_by IS NOT NULL"
        released = "SELECT row FROM quarantine WHERE row IS NOT NULL"
        return frozenset(row for (row,) in self.rows(f"{superseded} UNION {released}"))

    def known(
        self,
        ids: "pl.Series",
        tx_hashes: Sequence[str],
        external_ids: Sequence[str],
        rows: Sequence[int] = (),
        file: int | None = None,
    ) -> "tuple[pl.DataFrame, dict[bytes, int]]":
        """Stored rows under one of these ids (also of duplicates), hashes or (as their key) external ids.

        And those numbered `rows`, and with each row all that superseded it, one after the other; whether
        they count or not, for their keys stay taken. Columns: row, id, id_given, same_file (it was stored
        from `file`), kind, k, action, asset, account, tx_hash, external_id, content, superseded_by.
        Beside them the remembered ids of duplicates among `ids`: id -> row.
        """
        from engine.store.known import known

        return known(self, ids, tx_hashes, external_ids, rows, file)

    def prices(
        self, assets: Iterable[str] | None = None, spans: Sequence[tuple[int, int]] | None = None
    ) -> "pl.DataFrame":
        """The counting version of every price: asset, quote, source, resolution, asof, price, text.

        Of some assets or all, with an `asof` in one of the spans, which are told in their order.
        """
        from engine.store import frames

        return frames.prices(self, assets, spans)

    def rates(self) -> "pl.DataFrame":
        """The counting version of every rate: base, quote, source, resolution, asof, rate, text."""
        from engine.store import frames

        return frames.rates(self)

    def stored_observations(
        self, kind: str, asof_first: int, asof_last: int, only: "pl.DataFrame | None" = None
    ) -> "pl.DataFrame":
        """All versions with an `asof` in [first, last]: key columns, value columns as text, version.

        `only`: of the series with these key columns.
        """
        from engine.store import frames

        return frames.stored_observations(self, kind, asof_first, asof_last, only)

    # -- the rest --

    def price_span(self) -> tuple[int, int] | None:
        """The first and the last `asof` of all prices."""
        of_one = "(SELECT {0}(asof) FROM prices p WHERE p.series = s.series)"  # found without a scan
        oldest, newest = (
            self.value(f"SELECT {end}({of_one.format(end)}) FROM price_series s") for end in ("min", "max")
        )
        return None if oldest is None else (oldest, newest)

    def last_prices(self) -> dict[str, tuple[int, str, str]]:
        """By asset, its last price: `asof`, source, quote; of several of one instant the last by name."""
        rows = self.rows(
            "SELECT asset, (SELECT max(asof) FROM prices p WHERE p.series = s.series) AS last, source, quote"
            " FROM price_series s ORDER BY last, source, quote"
        )
        return {asset: (last, source, quote) for asset, last, source, quote in rows if last is not None}

    def is_priced_by(self, asset: str, instant: int) -> bool:
        """Whether there is any price of an asset at or before an instant."""
        by_then = "EXISTS (SELECT 1 FROM prices p WHERE p.series = s.series AND p.asof <= ?)"
        found = f"SELECT 1 FROM price_series s WHERE asset = ? AND {by_then} LIMIT 1"
        return self.value(found, (asset, instant)) is not None

    def count(self, table: str, where: str = "1", values: Sequence[Any] = ()) -> int:
        return int(self.value(f"SELECT count(*) FROM {table} WHERE {where}", values))

    def live_files(self, resolution: str, first: int = 0, last: int = LAST) -> list[dict[str, Any]]:
        """The live snapshot files of a resolution that hold a close in [first, last], by day and asset."""
        return self.records(
            "SELECT path, resolution, dt, asset, rows, bytes, close_min, close_max, sha256, content,"
            " schema_id FROM lake_files WHERE dead_at IS NULL AND dataset = 'snapshots' AND resolution = ?"
            " AND dt BETWEEN ? AND ? AND close_max >= ? AND close_min <= ? ORDER BY dt, asset",
            (resolution, *_days_about(first, last), first, last),
        )

    def dropped_contents(self, resolution: str) -> dict[tuple[str, str], str]:
        """By day and asset, the content digest of each partition that retention dropped."""
        rows = self.rows(
            "SELECT dt, asset, content FROM lake_files WHERE dead_at IS NOT NULL"
            " AND dropped_at IS NOT NULL AND resolution = ?",
            (resolution,),
        )
        return {(dt, asset): content for dt, asset, content in rows}


# kind -> ((series table prefix, key columns…), value table, value columns)
OBSERVATIONS: dict[str, tuple[tuple[str, ...], str, tuple[str, ...]]] = {
    "prices": (
        ("price", "asset", "quote", "source", "resolution"),
        "prices",
        ("open", "high", "low", "close", "volume"),
    ),
    "fx": (("fx", "base", "quote", "source", "resolution"), "fx_rates", ("rate",)),
}


@contextmanager
def _readable() -> Iterator[None]:
    """SQLite's complaints as a StoreError."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise store_error(error, "read") from error


def _days_about(first: int, last: int) -> tuple[str, str]:
    """The local dates, in any zone, on which a bucket that closes in [first, last] may open; a few more."""
    early, late = max(0, first - 2 * DAY_US), min(last, _LAST_YEAR_US) + DAY_US
    return format_instant(early)[:10], format_instant(late)[:10]

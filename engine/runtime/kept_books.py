"""Books that a worker keeps between two questions: ledger, lots and movements follow what was stored since.

The problem. Every valuation and every page of lots is a pure function of the whole ledger, and most are asked
for after a few rows came. So a process that lives keeps the books of its home as they were at the last look,
reads the rows that came or went, and replays what these reach (engine.portfolio.lots_replay).

The law. What they tell is what `Books` tell, to the last digit; the order of movements alone is another.
`verify`, `digest`, drills and `sql` never come here: a proof does not rest on what was kept.

What is kept where. One home's books in each worker of a running engine, of its own lot method; whatever asks
for another method or an earlier instant runs in full. A verb that answers once and ends keeps nothing, nor
does a home under LOW_RAM, one too large for its worker, or a worker while memory is tight. A change that
raises is told as the fault that it is, and leaves nothing behind: the next question reads everything anew.
"""

from collections.abc import Iterable
from functools import cached_property

import polars as pl

from engine.compaction.memory_manager import ALERT_RATIO
from engine.config import Config
from engine.domain.transactions import LEDGER_SCHEMA
from engine.portfolio import holdings, transfers
from engine.portfolio.lots_outcome import LotsOutcome, decimals
from engine.portfolio.lots_replay import LotsBook
from engine.runtime import executors
from engine.runtime.books import Books
from engine.runtime.home import Home
from engine.runtime.memory import memory_now, worker_limit
from engine.store.reader import Reader

BYTES_A_ROW = 1_000  # of ledger, lots and movements; measured at a million rows with 4 % transfers
SHARE = 4  # kept books take at most this part of what a worker may have: its work needs the rest


class Kept:
    """What is kept of one home: all that its ledger and the decisions on transfers lead to."""

    def __init__(self, config: Config) -> None:
        self.key = _key(config)
        self._cash, self._cash_assets = config["cash"], frozenset(config["cash_assets"])
        empty = pl.DataFrame(schema=LEDGER_SCHEMA)
        self.book = LotsBook(empty, config["lot_method"], self._cash_assets, {})
        self.movements = pl.DataFrame(schema=holdings.SCHEMA)
        self._row, self._decision = 0, -1  # the last ones seen
        self._absent: frozenset[int] = frozenset()  # rows up to that one that do not count
        self._charged = empty  # the rows with a fee in cash other than USD, and what these are worth
        self._values: dict[int, int | None] = {}
        self._valued_by: object = None

    def follow(self, reader: Reader, books: Books) -> None:
        """Takes in what was stored since the last look. `books`: the reader's, for all but their ledger."""
        added, removed = self._read(reader)
        gone = removed["row"].to_list()
        revalued = self._revalued(added, gone, reader, books)
        replayed = self.book.change(added, gone, revalued, books.matches(), books.settlements())
        self._move(added, removed, set(replayed.assets), books)

    def _read(self, reader: Reader) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows that came and those that went; one that an act put otherwise did both."""
        (last, decision), = reader.rows(
            "SELECT (SELECT max(row) FROM tx), (SELECT max(decision) FROM decisions)"
        )  # fmt: skip
        doubtful = self._absent
        if decision != self._decision:
            doubtful |= reader.acted_on()
        now = reader.ledger_since(self._row, doubtful)
        self._absent = doubtful - frozenset(now["row"])
        self._row, self._decision = last or 0, decision
        if not doubtful:
            return now, now.clear()
        held = self.book.ledger.filter(pl.col("row").is_in(list(doubtful)))
        every = now.columns
        return (
            now.join(held, on=every, how="anti", nulls_equal=True),
            held.join(now, on=every, how="anti", nulls_equal=True),
        )

    def _revalued(
        self, added: pl.DataFrame, gone: list[int], reader: Reader, books: Books
    ) -> dict[int, int | None]:
        """The fees in cash of which the value is new or another: of rows that came, or where rates did."""
        if gone:
            self._charged = self._charged.filter(~pl.col("row").is_in(gone))
        fresh = books.charged_in_cash(added)
        self._charged = pl.concat([self._charged, fresh])
        rates = reader.value("SELECT sum(accepted) FROM files WHERE kind = 'fx'")
        valued_by = rates, self._decision, books.fx_policy
        stale = self._charged if valued_by != self._valued_by else fresh
        self._valued_by = valued_by
        values = books.fees_in_cash(stale) if stale.height else {}
        revalued = dict(values.items() - self._values.items())
        self._values |= revalued
        return revalued

    def _move(self, added: pl.DataFrame, removed: pl.DataFrame, stale: set[str], books: Books) -> None:
        """Makes the movements of the assets reached anew; new fees in cash, and money, are steps more."""
        stale |= self._paid(removed)
        if not stale:
            return
        late = holdings.beside(added, self._cash).filter(
            pl.col("asset").is_in(list(self._cash_assets - stale))
        )
        others = self.movements.filter(~pl.col("asset").is_in(list(stale)))
        self.movements = pl.concat([others, self._made_anew(frozenset(stale), books), late])

    def _paid(self, rows: pl.DataFrame) -> set[str]:
        """The cash assets that rows moved beside their own."""
        return set(self._cash_assets.intersection(holdings.beside(rows, self._cash)["asset"]))

    def _made_anew(self, assets: frozenset[str], books: Books) -> pl.DataFrame:
        rows = self.book.rows_of(assets) if assets.isdisjoint(self._cash_assets) else self.book.ledger
        links = transfers.link(rows, books.matches(), books.settlements())
        moves = holdings.movements(rows, links, self._deficits(assets, rows), self._cash, self._cash_assets)
        return moves.filter(pl.col("asset").is_in(list(assets)))

    def _deficits(self, assets: Iterable[str], rows: pl.DataFrame) -> pl.DataFrame:
        """account, asset, ts, quantity of what was taken beyond what was held."""
        found = self.book.deficits(assets)
        numbers = [event if event >= 0 else ~event for event, _ in found]
        events = pl.DataFrame(
            {"row": pl.Series(numbers, dtype=LEDGER_SCHEMA["row"]), "made": [event < 0 for event, _ in found],
             "quantity": decimals(quantity for _, quantity in found)},
            schema_overrides={"made": pl.Boolean},
        )  # fmt: skip
        asset = pl.when("made").then("fee_asset").otherwise("asset")
        return events.join(rows, on="row").select("account", asset.alias("asset"), "ts", "quantity")


class KeptBooks(Books):
    """Books that tell what was kept."""

    def __init__(self, reader: Reader, config: Config, kept: Kept) -> None:
        """`kept` follows the reader first; whatever that raises, it is of no use any more."""
        super().__init__(reader, config)
        self._kept = kept
        kept.follow(reader, self)

    @cached_property
    def ledger(self) -> pl.DataFrame:
        return self._kept.book.ledger

    def outcome(self, method: str | None = None, as_of: int | None = None) -> LotsOutcome:
        if method in (None, self.config["lot_method"]) and as_of is None:
            return self._kept.book.outcome()
        return super().outcome(method, as_of)

    def movements(self) -> pl.DataFrame:
        return self._kept.movements


_kept: dict[str, Kept] = {}  # at most one: by the path of its home


def open_books(home: Home, reader: Reader) -> Books:
    """The home's books as the reader sees them, from what this process kept if it keeps any."""
    config, path = home.config_by(reader), str(home.path)
    kept = _kept.pop(path, None)
    drop()
    if not _keeps(reader, config):
        return Books(reader, config)
    if kept is None or kept.key != _key(config):
        kept = Kept(config)
    books = KeptBooks(reader, config, kept)
    _kept[path] = kept
    return books


def drop() -> None:
    """Forgets what was kept."""
    _kept.clear()


def _key(config: Config) -> tuple[object, ...]:
    """What books are kept under."""
    return config["lot_method"], config["cash"], frozenset(config["cash_assets"])


def _keeps(reader: Reader, config: Config) -> bool:
    """Whether books of this size are kept in this process, as memory is now."""
    if not executors.is_lasting() or config["memory.profile"] == "LOW_RAM":
        return False
    rows = reader.value("SELECT max(row) FROM tx") or 0
    if rows * BYTES_A_ROW > worker_limit(config) // SHARE:
        return False
    return bool(memory_now(config["memory.limit"])["ratio"] < ALERT_RATIO)

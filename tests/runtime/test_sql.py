"""SQL over a small home: what the views hold, that figures stay exact, and that a query can do no harm."""

import asyncio
import json
import os
import shutil
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from console.cli import main
from engine.api import sql_parquet
from engine.domain.money import SCALE, to_scaled, to_text
from engine.errors import UsageError, WorkerLost
from engine.runtime import sql
from engine.runtime.executors import AloneExecutor, forbid_writes
from engine.runtime.home import Home
from engine.snapshots import views
from engine.snapshots.selects import read_select
from engine.snapshots.views import VIEWS
from engine.valuation.exact import wide_value
from tests.runtime.deck import FX_COLUMNS, NOW, PRICE_COLUMNS, Deck, bar, buy, rate, to_csv

DAYS = ("2025-03-02", "2025-03-03", "2025-03-04")
HOSTILE_ID = "00123"  # looks like a number, and must stay text


@pytest.fixture(scope="module")
def standing(blank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Deck:
    """Two assets over three closes, one without a price in the end; a sale, a fee, a transfer, a bad row."""
    deck = Deck(tmp_path_factory.mktemp("books") / "home")
    shutil.copytree(blank_home, deck.path)
    deck.take(
        buy(fee_asset="USD", fee_amount="0.25", tx_hash="0xa1"),
        buy(asset_id=HOSTILE_ID, quantity="0.000000000000000003", timestamp="2025-03-01T11:00:00Z"),
        buy(action="SELL", quantity="0.5", unit_price_usd="120", timestamp="2025-03-02T12:00:00Z"),
        buy(action="TRANSFER_OUT", quantity="0.25", unit_price_usd="", timestamp="2025-03-03T12:00:00Z"),
        buy(quantity="1,5", timestamp="2025-03-03T13:00:00Z"),
    )
    bars = [bar(bucket_close=f"{day}T00:00:00Z", close=f"10{n}.5") for n, day in enumerate(DAYS)]
    bars += [bar(asset_id=HOSTILE_ID, bucket_close=f"{day}T00:00:00Z", close="7") for day in DAYS[:2]]
    deck.ingest(deck.file("prices.csv", to_csv(bars, PRICE_COLUMNS)))
    deck.ingest(deck.file("again.csv", to_csv([bar(close="111")], PRICE_COLUMNS)))
    deck.ingest(deck.file("fx.csv", to_csv([rate()], FX_COLUMNS)))
    deck.value(resolution="1d")
    return deck


@pytest.fixture
def books(standing: Deck) -> Deck:
    """For tests that only read."""
    return standing


@pytest.fixture
def own(standing: Deck, tmp_path: Path) -> Deck:
    """A copy to change."""
    shutil.copytree(standing.path, tmp_path / "own")
    return Deck(tmp_path / "own")


def laid_out(deck: Deck, query: str) -> tuple[list[tuple[Any, ...]], int]:
    """Rows as text and the number of files, by what a query's process does; but in this one."""
    with views.connect(500_000_000, 1) as connection:
        files = sql.lay_out(connection, read_select(query, VIEWS), Home(deck.path), NOW)
        return connection.execute(query).fetchall(), len(files)


def rows(deck: Deck, query: str) -> list[tuple[Any, ...]]:
    return laid_out(deck, query)[0]


# -- what the views hold --------------------------------------------------------------------------------


def test_every_view__has_the_columns_and_types_that_it_promises(books: Deck) -> None:
    for view, columns in VIEWS.items():
        told = {name: kind for name, kind, *_ in rows(books, f"DESCRIBE {view}")}
        assert told == dict(columns), view


def test_every_view__in_an_empty_home__is_empty(deck: Deck) -> None:
    for view in VIEWS:
        assert rows(deck, f"SELECT * FROM {view}") == []


def test_nav_view__is_what_nav_tells__with_gaps_as_nulls(books: Deck) -> None:
    told = books.ask("nav", resolution="1d")["points"]
    columns = "CAST(bucket_close AS VARCHAR), nav, coverage, missing"
    query = f"SELECT {columns} FROM nav WHERE resolution = '1d' ORDER BY bucket_close"
    found = rows(books, query)
    assert [None if nav is None else to_text(to_scaled(str(nav))) for _, nav, _, _ in found] == [
        point["nav"] for point in told
    ]
    assert found[-1] == ("2025-03-04 00:00:00+00", None, 0.5, [HOSTILE_ID])


def test_snapshots_view__no_price_is_a_null__never_the_price_before(books: Deck) -> None:
    columns = "CAST(dt AS VARCHAR), price, value, reason"
    query = f"SELECT {columns} FROM snapshots_1d WHERE asset_id = '{HOSTILE_ID}' ORDER BY dt"
    assert rows(books, query) == [
        ("2025-03-01", Decimal(7), Decimal("21e-18"), None),
        ("2025-03-02", Decimal(7), Decimal("21e-18"), None),
        ("2025-03-03", None, None, "NO_PRICE"),
    ]


def test_prices_view__the_last_version_of_a_bar(books: Deck) -> None:
    query = (
        "SELECT CAST(bucket_close AS DATE)::VARCHAR, close FROM prices_1d WHERE asset_id = 'BTC' ORDER BY 1"
    )
    assert rows(books, query) == [
        (DAYS[0], Decimal(111)),
        (DAYS[1], Decimal("101.5")),
        (DAYS[2], Decimal("102.5")),
    ]
    assert rows(books, "SELECT * FROM prices_1h") == []


def test_ledger_view__signs_and_fees__sum_to_what_is_held(books: Deck) -> None:
    query = "SELECT asset_id, sum(quantity) FROM ledger WHERE NOT superseded GROUP BY 1 ORDER BY 1"
    assert rows(books, query) == [
        (HOSTILE_ID, Decimal("3e-18")), ("BTC", Decimal("0.75")), ("USD", Decimal("-0.25")),
    ]  # fmt: skip
    ((parent,),) = rows(books, "SELECT id FROM ledger WHERE fee_amount IS NOT NULL")
    fee = rows(books, "SELECT parent_id, id, action, tx_hash FROM ledger WHERE parent_id IS NOT NULL")
    assert fee == [(parent, None, "FEE", "0xa1")]


def test_ledger_view__a_superseded_row__stays_and_says_by_which(own: Deck) -> None:
    own.sql("UPDATE tx SET superseded_by = 3 WHERE row = 2")
    query = (
        "SELECT a.quantity, b.action FROM ledger a JOIN ledger b ON a.superseded_by = b.id WHERE a.superseded"
    )
    assert rows(own, query) == [(Decimal("3e-18"), "SELL")]


def test_lots_and_realized_views__are_what_lots_tells(books: Deck) -> None:
    told = books.ask("lots")
    query = (
        "SELECT quantity, cost_basis_usd, left_at IS NULL FROM lots WHERE asset_id = 'BTC' ORDER BY left_at"
    )
    lots = told["open_lots"] + told["in_transit"]
    expected = sorted((one["quantity"], one["cost_basis_usd"]) for one in lots if one["asset_id"] == "BTC")
    found = rows(books, query)
    assert sorted((to_text(to_scaled(str(a))), to_text(to_scaled(str(b)))) for a, b, _ in found) == expected
    ((gain, flags),) = rows(books, "SELECT gain_usd, flags FROM realized")
    assert (to_text(to_scaled(str(gain))), flags) == (
        told["realized"][0]["gain_usd"], told["realized"][0]["flags"],
    )  # fmt: skip


def test_quarantine_view__tells_each_rows_codes(books: Deck) -> None:
    query = "SELECT id, status, codes, fields[5] FROM quarantine"
    told = books.ask("quarantine_page")["rows"][0]
    assert rows(books, query) == [(told["id"], "open", ["QUANTITY_INVALID"], "1,5")]


# -- files ----------------------------------------------------------------------------------------------


def test_files__only_those_that_the_query_can_need__and_the_same_rows(books: Deck) -> None:
    everything, files = laid_out(books, "SELECT * FROM snapshots_1d")
    assert files == books.counts()["lake_files"] == 9
    one = f"SELECT * FROM snapshots_1d WHERE asset_id = '{HOSTILE_ID}'"
    assert laid_out(books, one) == ([row for row in everything if row[3] == HOSTILE_ID], 3)
    close = "SELECT * FROM snapshots_1d WHERE bucket_close = '2025-03-03'"
    found, files = laid_out(books, close)
    assert (len(found), files) == (3, 3)
    either = f"{one} UNION ALL {close}"
    assert laid_out(books, either)[1] == 5  # three days of the one, and the others' one day
    none = f"{one} AND asset_id = 'BTC'"
    assert laid_out(books, none) == ([], 0)
    day = "SELECT count(*) FROM snapshots_1d WHERE dt BETWEEN '2025-03-01' AND '2025-03-02'"
    assert laid_out(books, day) == ([(6,)], 6)


def test_files__dead_and_stray_ones_are_never_read(own: Deck) -> None:
    before = rows(own, "SELECT sum(value), count(*) FROM snapshots_1d")
    stray = next((own.path / "lake").rglob("*.parquet"))
    stray.with_name("stray.parquet").write_bytes(stray.read_bytes())
    assert rows(own, "SELECT sum(value), count(*) FROM snapshots_1d") == before
    own.sql("UPDATE lake_files SET dead_at = 1 WHERE asset = ?", HOSTILE_ID)
    assert rows(own, "SELECT DISTINCT asset_id FROM snapshots_1d WHERE kind = 'holding'") == [("BTC",)]


def test_files__of_a_home_whose_name_has_quotes_and_wildcards(standing: Deck, tmp_path: Path) -> None:
    odd = Deck(tmp_path / "it's [a] *home?")
    shutil.copytree(standing.path, odd.path)
    query = "SELECT dt, asset_id, value FROM snapshots_1d ORDER BY ALL"
    assert laid_out(odd, query) == laid_out(standing, query)


# -- exact ----------------------------------------------------------------------------------------------


@pytest.fixture
def exact() -> Any:
    with views.connect(500_000_000, 1) as connection:
        sql.add_exact(connection)
        yield connection


def text(scaled: int) -> str:
    return f"CAST('{to_text(scaled)}' AS DECIMAL(38,18))"


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, 1),
        (5, SCALE // 10),
        (15, SCALE // 10),
        (-25, SCALE // 10),
        (3 * 10**28, 7 * 10**25 + 1),
        (10**37, 1),
    ],
)
def test_mul__rounds_half_even_once__and_stays_decimal(exact: Any, left: int, right: int) -> None:
    ((found, kind),) = exact.execute(
        f"SELECT mul({text(left)}, {text(right)}) AS m, typeof(m)"
    ).fetchall()  # fmt: skip
    assert kind == "DECIMAL(38,18)"
    assert found == Decimal(wide_value(left, right, SCALE)).scaleb(-18)


def test_value_of__rounded_once_and_not_twice(exact: Any) -> None:
    factors = (SCALE // 2, 3, SCALE // 2 * 3)  # 2.25 units: half-even twice would give 3
    ((found,),) = exact.execute(f"SELECT value_of({', '.join(map(text, factors))})").fetchall()
    assert found == Decimal("2e-18")


def test_products__beyond_the_range__are_errors_and_never_wrap(exact: Any) -> None:
    huge = text(10**37)
    with pytest.raises(duckdb.Error, match="VALUE_OUT_OF_RANGE"):
        exact.execute(f"SELECT mul({huge}, {huge})").fetchall()
    assert exact.execute(f"SELECT try(mul({huge}, {huge})), mul(NULL, {huge})").fetchall() == [(None, None)]


@pytest.mark.parametrize(
    ("left", "right"), [("2", "3"), ("250.5", "64000"), ("1e-18", "1"), ("12345678901", "9")]
)
def test_raw_product__right_or_an_error__never_wrong(exact: Any, left: str, right: str) -> None:
    exact.execute(f"CREATE TABLE t AS SELECT {left}::DECIMAL(38,18) AS a, {right}::DECIMAL(38,18) AS b")
    try:
        ((found,),) = exact.execute("SELECT a * b FROM t").fetchall()
    except duckdb.OutOfRangeException:
        return
    assert found == Decimal(left) * Decimal(right)


# -- no harm --------------------------------------------------------------------------------------------


PAST_THE_PARSER = (
    "SELECT * FROM read_csv('/etc/passwd')",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM '/etc/passwd'",
    "COPY (SELECT 1) TO '{folder}/x.csv'",
    "COPY (SELECT 1) TO '{file}' (FORMAT parquet)",
    "ATTACH '{folder}/x.db'",
    "EXPORT DATABASE '{folder}/x'",
    "INSTALL httpfs",
    "LOAD '{folder}/x.duckdb_extension'",
    "SET enable_external_access = true",
    "SET memory_limit = '100GB'",
    "RESET lock_configuration",
    "PRAGMA temp_directory='{folder}'",
    "SELECT getenv('HOME')",
    "SELECT * FROM local_frame",
)


def test_shut__even_past_the_parser_nothing_opens(books: Deck) -> None:
    local_frame = pl.DataFrame({"secret": [1]})  # DuckDB would find it by its name
    with views.connect(500_000_000, 1) as connection:
        files = sql.lay_out(connection, read_select("FROM snapshots_1d", VIEWS), Home(books.path), NOW)
        before = sorted(books.path.rglob("*"))
        for statement in PAST_THE_PARSER:
            with pytest.raises(duckdb.Error):
                connection.execute(statement.format(folder=books.path, file=files[0])).fetchall()
    assert sorted(books.path.rglob("*")) == before
    assert local_frame.height == 1


def writes(folder: str) -> list[str]:
    """Tries to write, once it may not. In a process of its own."""
    forbid_writes()
    failed = []
    for name in ("new.txt", "there.txt"):
        try:
            with open(f"{folder}/{name}", "a", encoding="utf-8") as file:
                file.write("x" * 100)
        except OSError:
            failed.append(name)
    return failed


def lost() -> None:
    os._exit(1)


def test_process__cannot_put_a_byte_into_any_file(tmp_path: Path) -> None:
    (tmp_path / "there.txt").write_text("as it was")
    assert asyncio.run(AloneExecutor().run(writes, str(tmp_path))) == ["new.txt", "there.txt"]
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["", "as it was"]


def test_process__that_others_work_in__keeps_its_right_to_write() -> None:
    with pytest.raises(RuntimeError):
        forbid_writes()


def test_process__that_dies__is_told() -> None:
    with pytest.raises(WorkerLost):
        asyncio.run(AloneExecutor().run(lost))


def test_cancel__ends_the_query_at_once(books: Deck) -> None:
    async def cancelled() -> float:
        query = {"query": "SELECT count(*) FROM range(100000) a, range(100000) b, range(1000000) c"}
        asking = asyncio.create_task(AloneExecutor().run(sql.sql, str(books.path), NOW, query))
        await asyncio.sleep(1)
        asking.cancel()
        begin = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return time.monotonic() - begin

    assert asyncio.run(cancelled()) < 30  # uncancelled it runs for days


def test_query__too_long_or_too_large__is_stopped_and_says_what_to_do(books: Deck) -> None:
    endless = "SELECT count(*) FROM range(100000) a, range(100000) b, range(1000000) c"
    with pytest.raises(UsageError, match="stopped after"):
        books.ask("sql", query=endless, timeout_s=0.2)
    with pytest.raises(UsageError, match="larger than"):
        books.ask("sql", query="SELECT repeat('x', 1000) FROM range(100000000)")


# -- answers --------------------------------------------------------------------------------------------


def test_answer__values_as_json_can_hold_them(books: Deck) -> None:
    query = (
        "SELECT 1.50 AS a, TIMESTAMPTZ '2025-01-01 00:00:00.5+00' AS a, DATE '2025-01-01' AS d,"
        " 2::HUGEINT AS h,"
        " 'nan'::DOUBLE AS f, [1.10, NULL] AS l, {'x': true} AS s, -0.0 AS z, NULL AS n FROM range(3)"
    )
    told = books.ask("sql", query=query, limit=2)
    assert [column["name"] for column in told["columns"]] == ["a", "a_2", "d", "h", "f", "l", "s", "z", "n"]
    row = ["1.5", "2025-01-01T00:00:00.5Z", "2025-01-01", 2, None, ["1.1", None], {"x": True}, "0", None]
    assert (told["rows"], told["more"]) == ([row, row], True)


def test_parquet__exact_types__and_no_file_is_written_over(books: Deck, tmp_path: Path) -> None:
    held = "asset_id = 'BTC' AND kind = 'holding'"
    query = {"query": f"SELECT bucket_close, value FROM snapshots_1d WHERE {held}"}
    found = pl.read_parquet(asyncio.run(sql_parquet(books.path, query))["data"])
    assert found.schema == {"bucket_close": pl.Datetime("us", "UTC"), "value": pl.Decimal(38, 18)}
    assert found.height == len(DAYS)
    taken = tmp_path / "taken.parquet"
    taken.write_text("mine")
    assert main(["sql", "FROM nav", "--parquet", str(taken), "--home", str(books.path)]) == 2
    assert taken.read_text() == "mine"


def test_command_line__rows_as_objects__or_a_table(books: Deck, capsys: pytest.CaptureFixture[str]) -> None:
    query = "SELECT asset_id, quantity FROM lots WHERE asset_id = 'BTC' AND left_at IS NULL"
    assert main(["sql", query, "--json", "--home", str(books.path)]) == 0
    assert json.loads(capsys.readouterr().out) == [{"asset_id": "BTC", "quantity": "0.75"}]
    assert main(["sql", "FROM range(999)", "--home", str(books.path)]) == 0
    told = capsys.readouterr().out
    assert "the first 200 rows" in told
    assert "--parquet FILE" in told
    assert main(["sql", "DELETE FROM lots", "--home", str(books.path)]) == 2
    assert "hint: Give one SELECT" in capsys.readouterr().err

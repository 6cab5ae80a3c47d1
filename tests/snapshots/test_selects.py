"""What a query may be, and how far its WHERE narrows the files that are looked at."""

import pytest

from engine.domain.instants import parse_instant
from engine.errors import UsageError
from engine.snapshots.selects import EVERYTHING, FIRST, LAST, Wanted, read_select
from engine.snapshots.views import VIEWS


def wanted(query: str, view: str = "snapshots_1d") -> list[Wanted]:
    return read_select(query, VIEWS).views[view]


def where(condition: str) -> Wanted:
    (one,) = wanted(f"SELECT value FROM snapshots_1d WHERE {condition}")
    return one


def at(text: str) -> int:
    return parse_instant(text) or 0


@pytest.mark.parametrize(
    "query",
    [
        "SELECT asof FROM snapshots_1d",
        "SELECT value, ASOF, price FROM snapshots_1d",
        "SELECT value FROM snapshots_1d ORDER BY asof",
    ],
)
def test_column_asof__a_word_of_the_language__the_hint_says_how_to_write_it(query: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_select(query, VIEWS)
    assert '"asof"' in refused.value.hint
    assert read_select(query.replace("asof", '"asof"').replace("ASOF", '"asof"'), VIEWS).views


@pytest.mark.parametrize(
    "query",
    [
        "",
        "-- only a comment",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE lots",
        "/* harmless */ DELETE FROM lots",
        "INSERT INTO lots VALUES (1)",
        "UPDATE lots SET quantity = 0",
        "CREATE TABLE x AS SELECT 1",
        "DROP VIEW lots",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "ATTACH '/tmp/x.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "PRAGMA database_list",
        "SET memory_limit = '100GB'",
        "SET VARIABLE snapshots_1d_1 = ['/etc/passwd']",
        "CALL pragma_version()",
        "EXPORT DATABASE '/tmp/x'",
        "EXPLAIN ANALYZE SELECT 1",
        "PIVOT lots ON asset_id USING sum(quantity)",
        "SHOW TABLES",
        "WITH gone AS (DELETE FROM lots RETURNING *) SELECT * FROM gone",
        "SELECT * FROM (WITH gone AS (INSERT INTO lots VALUES (1) RETURNING *) SELECT * FROM gone)",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM READ_TEXT('/etc/passwd')",
        "SELECT (SELECT content FROM read_text('/etc/passwd'))",
        "SELECT * FROM lots WHERE EXISTS (FROM glob('/*'))",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'lake/*.parquet'",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM query('DROP TABLE x')",
        "SELECT * FROM query_table(['lots'])",
        "SELECT * FROM json_execute_serialized_sql('{}')",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM memory.main.lots_rows",
        "SELECT * FROM lots_rows",
        "SELECT current_setting('memory_limit')",
        "SELECT write_log('x')",
        "SELEC 1",
    ],
)
def test_query__anything_but_one_plain_select__refused_with_a_hint(query: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_select(query, VIEWS)
    assert refused.value.hint


@pytest.mark.parametrize(
    ("query", "views"),
    [
        ("FROM lots", {"lots"}),
        ("TABLE lots", {"lots"}),
        ("SELECT 1 -- a comment; DELETE FROM lots", set()),
        ("SELECT ';' AS semicolon;", set()),
        ("DESCRIBE nav", {"nav"}),
        ("SELECT * FROM Lots JOIN REALIZED USING (asset_id)", {"lots", "realized"}),
        ("WITH x AS (FROM ledger) SELECT * FROM x UNION ALL FROM ledger", {"ledger"}),
        ("SELECT (SELECT count(*) FROM nav), n FROM range(3) t(n) WHERE EXISTS (FROM lots)", {"nav", "lots"}),
        ("WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 9) FROM n", set()),
    ],
)
def test_query__one_select__names_its_views_only(query: str, views: set[str]) -> None:
    assert set(read_select(query, VIEWS).views) == views


def test_where__one_asset_over_some_days() -> None:
    found = where("asset_id = 'BTC' AND dt >= '2025-03-01' AND dt < DATE '2025-04-01'")
    assert found == Wanted({"asset_id": frozenset({"BTC"})}, ("2025-03-01", "2025-04-01"))


def test_where__one_close_of_all_assets() -> None:
    close = at("2025-03-02T00:00:00Z")
    for told in ("'2025-03-02'", "TIMESTAMPTZ '2025-03-02 00:00:00+00'", "'2025-03-02T00:00:00Z'"):
        assert where(f"bucket_close = {told}") == Wanted({}, closes=(close, close))
        assert where(f"{told} <= bucket_close") == Wanted({}, closes=(close, LAST))
    between = where("bucket_close BETWEEN '2025-03-02' AND '2025-03-02 12:30'")
    assert between.closes == (close, at("2025-03-02T12:30:00Z"))
    assert where("bucket_close < '2025-03-02'").closes == (FIRST, close)


def test_where__several_assets__and_contradictions() -> None:
    assert where("asset_id IN ('BTC', 'ETH')").names == {"asset_id": frozenset({"BTC", "ETH"})}
    assert where("asset_id = 'BTC' AND asset_id = 'ETH'").names == {"asset_id": frozenset()}


@pytest.mark.parametrize(
    "condition",
    [
        "asset_id = 'BTC' OR dt = '2025-03-01'",
        "NOT (asset_id = 'BTC')",
        "asset_id <> 'BTC'",
        "asset_id > 'BTC'",
        "lower(asset_id) = 'btc'",
        "asset_id = account",
        "asset_id IN ('BTC', account)",
        "asset_id LIKE 'B%'",
        "dt = '2025-3-1'",
        "dt >= '2025-02-30'",
        "dt >= current_date - 7",
        "dt <= TIMESTAMP '2025-03-01 12:00'",
        "bucket_close >= '2025-03-02 00:00:00+01'",
        "bucket_close >= CAST('2025-03-02 12:00' AS DATE)",
        "bucket_close >= TRY_CAST('2025-03-02' AS TIMESTAMPTZ)",
        "kind = 'holding'",
        "(asset_id, dt) = ('BTC', '2025-03-01')",
    ],
)
def test_where__anything_less_plain__narrows_nothing(condition: str) -> None:
    assert where(condition) == EVERYTHING


@pytest.mark.parametrize(
    "query",
    [
        "FROM nav n ASOF JOIN snapshots_1d s ON n.bucket_close >= s.bucket_close WHERE s.asset_id = 'X'",
        "SELECT * FROM nav POSITIONAL JOIN snapshots_1d s WHERE s.asset_id = 'X'",
        "SELECT * FROM nav LEFT JOIN snapshots_1d s USING (bucket_close) WHERE s.asset_id = 'X'",
        "SELECT * FROM snapshots_1d TABLESAMPLE 10 ROWS WHERE asset_id = 'X'",
        "SELECT * FROM snapshots_1d AS s(asset_id, dt) WHERE dt = '2025-01-01'",
        "SELECT * FROM snapshots_1d s, nav WHERE asset_id = 'X'",
        "SELECT * FROM snapshots_1d s, snapshots_1h t WHERE t.asset_id = 'X'",
        "SELECT * FROM (FROM snapshots_1d) WHERE asset_id = 'X'",
    ],
)
def test_where__joins_and_samples_that_look_at_other_rows__narrow_nothing(query: str) -> None:
    assert wanted(query) == [EVERYTHING]


def test_where__of_an_inner_join__narrows_the_table_that_it_names() -> None:
    query = (
        "SELECT * FROM snapshots_1d a JOIN nav n USING (bucket_close) WHERE a.asset_id = 'BTC' AND n.nav > 0"
    )
    assert wanted(query) == [Wanted({"asset_id": frozenset({"BTC"})})]
    assert wanted(query, "nav") == [EVERYTHING]

"""What is known of a file's keys and ids: exactly what is stored under them, however it is looked up."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from engine.domain.instants import parse_instant
from engine.domain.transactions import ACTIONS, content_column, content_text
from engine.ingestion.keys import KNOWN_SCHEMA
from engine.store import known as lookup
from engine.store.known import MARK_ID_GIVEN, MARK_SANITIZED
from engine.store.models import metadata
from engine.store.reader import Reader

NAMES = {1: "BTC", 2: "main", 3: "USD", 4: 'a "quoted", [1] \\ é😀'}
LAST = parse_instant("9999-12-31T23:59:59.999999Z") or 0
CONTENT = (
    "ts", "action", "asset", "quantity", "price", "fee_asset", "fee_amount", "account", "tx_hash",
    "external_id",
)  # fmt: skip


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    engine = create_engine(f"sqlite:///{tmp_path / 'state.db'}")
    metadata.create_all(engine)
    engine.dispose()
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as connection:
        connection.executemany("INSERT INTO names VALUES (?, ?)", NAMES.items())
        yield connection


def raw(number: int) -> bytes:
    return number.to_bytes(16, "big")


def stored(row: int, **fields: Any) -> dict[str, Any]:
    plain = {
        "row": row, "id": raw(row), "file": 1, "record": row, "line": row, "ts": 10**15, "action": 0,
        "asset": 1, "quantity": "1.5", "price": "2", "account": 2, "kind": 2, "k": 1, "marks": MARK_ID_GIVEN,
    }  # fmt: skip
    return plain | fields


def insert(connection: sqlite3.Connection, *rows: dict[str, Any]) -> None:
    for row in rows:
        marks = ",".join("?" * len(row))
        connection.execute(f"INSERT INTO tx({','.join(row)}) VALUES ({marks})", list(row.values()))


def ask(
    connection: sqlite3.Connection, ids: tuple[int, ...] = (), **others: Any
) -> tuple[list[int], dict[bytes, int]]:
    keys = {"tx_hashes": [], "external_ids": []} | others
    found, aliases = Reader.over(connection).known(pl.Series(map(raw, ids), dtype=pl.Binary), **keys)
    assert found.schema == pl.Schema(KNOWN_SCHEMA)
    return found["row"].sort().to_list(), aliases


def test_known_row__tells_what_was_stored(connection: sqlite3.Connection) -> None:
    full = stored(
        1, file=7, ts=LAST, action=3, asset=4, fee_asset=3, fee_amount="0.1", account=4, tx_hash='h"',
        external_id="é", kind=0, marks=MARK_SANITIZED, superseded_by=-2,
    )  # fmt: skip
    insert(connection, full, stored(2, k=3, price=None))
    found, _ = Reader.over(connection).known(pl.Series([raw(1), raw(2)]), [], [], file=7)
    named = full | {"asset": NAMES[4], "account": NAMES[4], "fee_asset": "USD"}
    assert found.sort("row").rows(named=True) == [
        {
            "row": 1, "id": raw(1), "id_given": False, "same_file": True, "kind": 0, "k": 1, "action": 3,
            "asset": NAMES[4], "account": NAMES[4], "tx_hash": 'h"', "external_id": "é",
            "content": content_text(*(named[name] for name in CONTENT)), "superseded_by": -2,
        },
        {
            "row": 2, "id": raw(2), "id_given": True, "same_file": False, "kind": 2, "k": 3, "action": 0,
            "asset": "BTC", "account": "main", "tx_hash": None, "external_id": None,
            "content": content_text(10**15, 0, "BTC", "1.5", None, None, None, "main", None, None),
            "superseded_by": None,
        },
    ]  # fmt: skip


def test_known_rows__are_those_under_an_id_an_alias_a_hash_an_external_key_or_a_number(
    connection: sqlite3.Connection,
) -> None:
    insert(
        connection, stored(1), stored(2, tx_hash="h", external_id="e", kind=0), stored(3, tx_hash="h"),
        stored(4, external_id="e", kind=1), stored(5),
    )  # fmt: skip
    connection.execute("INSERT INTO id_aliases VALUES (?, 5)", (raw(99),))
    assert ask(connection, (1, 98)) == ([1], {})
    assert ask(connection, (99,)) == ([5], {raw(99): 5})
    assert ask(connection, tx_hashes=["h", "i"]) == ([2, 3], {})
    assert ask(connection, external_ids=["e"]) == ([4], {})
    assert ask(connection, rows=[3]) == ([3], {})
    assert ask(connection, (1,), tx_hashes=["h"], external_ids=["e"]) == ([1, 2, 3, 4], {})
    assert ask(connection) == ([], {})


def test_known_row__brings_all_that_superseded_it(connection: sqlite3.Connection) -> None:
    chain = (stored(1, superseded_by=4), stored(4, superseded_by=3), stored(3, superseded_by=-1))
    insert(connection, *chain, stored(2))
    assert ask(connection, (1,)) == ([1, 3, 4], {})
    assert ask(connection, (4,)) == ([3, 4], {})
    assert ask(connection, (3,)) == ([3], {})


@pytest.mark.parametrize(("ratio", "variables"), [(3, 30_000), (0, 30_000), (0, 2)])
def test_known_rows__in_ranges_or_lists_are_the_same(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, ratio: int, variables: int
) -> None:
    monkeypatch.setattr(lookup, "RANGE_RATIO_MAX", ratio)
    monkeypatch.setattr(lookup, "VARIABLES_MAX", variables)
    rows = [stored(n, tx_hash=f"h{n % 7}" if n % 5 == 0 else None, account=2 + n % 3) for n in range(1, 60)]
    insert(connection, *rows)
    connection.executemany("INSERT INTO id_aliases VALUES (?, ?)", [(raw(n + 100), n) for n in range(1, 60)])
    ids = (3, 4, 9, 40, 107, 108, 200)
    hashes = {5 * n for n in range(12) if 5 * n % 7 in (2, 4)}
    found = {3, 4, 9, 40, 7, 8} | hashes - {0}
    assert ask(connection, ids, tx_hashes=["h2", "h4"]) == (sorted(found), {raw(107): 7, raw(108): 8})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, LAST), st.integers(0, len(ACTIONS) - 1), *(st.sampled_from("12"),) * 2,
            *(st.sampled_from([None, "x"]),) * 3, st.just("main"), *(st.sampled_from([None, "y"]),) * 2,
        ),
        max_size=5,
    )
)  # fmt: skip
def test_content__of_a_frame_is_that_of_each_row(rows: list[Any]) -> None:
    kinds = (pl.Int64, pl.Int8, *(pl.String,) * 8)
    frame = pl.DataFrame(rows, schema=dict(zip(CONTENT, kinds, strict=True)), orient="row")
    assert frame.select(content_column()).to_series().to_list() == [content_text(*row) for row in rows]

"""Any acts in any order: no row is lost, none counts twice, and every count follows from what is stored."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.transactions import content_text
from engine.errors import UsageError
from engine.ingestion.csv_processor import parse_records
from engine.store.reader import Reader
from tests.runtime.deck import NOW, Deck, buy
from tests.runtime.desk import act, take

GIVEN = [f"01955126-0100-7dcc-a345-da6afcf9215{digit}" for digit in "abc"]
KEYS: list[dict[str, str]] = [
    {}, {}, {}, {"external_id": "t"}, {"tx_hash": "h"}, {"tx_hash": "h", "external_id": "t"},
    {"id": GIVEN[0]}, {"id": GIVEN[1], "external_id": "t"}, {"id": GIVEN[2], "tx_hash": "h"},
]  # fmt: skip
ROWS = st.builds(
    lambda key, quantity, account: buy(**key, quantity=quantity, account=account),
    st.sampled_from(KEYS), st.sampled_from(["1", "1", "2", "x"]), st.sampled_from(["main", "main", ""]),
)  # fmt: skip
PICK = st.lists(st.integers(0, 30), min_size=1, max_size=6)
VALUES = st.sampled_from(
    [{"account": "main"}, {"quantity": "1"}, {"quantity": "2"}, {"account": "main", "quantity": "1"},
     {"id": ""}, {"id": GIVEN[0]}, {"external_id": ""}, {"account": ""}]
)  # fmt: skip
STEPS = st.one_of(
    st.tuples(st.just("ingest"), st.lists(ROWS, min_size=1, max_size=6)),
    st.tuples(st.just("fix"), PICK, VALUES),
    st.tuples(st.just("release"), PICK, st.sampled_from(["", "", "", "as_leg", "supersede"])),
    st.tuples(st.just("reject"), PICK),
    st.tuples(st.just("undo"), st.none() | st.integers(1, 30), st.booleans()),
)
STORIES = st.builds(
    lambda first, rest: [("ingest", first), *rest],
    st.lists(ROWS, min_size=2, max_size=8), st.lists(STEPS, min_size=3, max_size=14),
)  # fmt: skip


@contextmanager
def copied(blank: Path) -> Iterator[Deck]:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(blank, Path(folder) / "home")
        yield Deck(Path(folder) / "home")


def carry_out(deck: Deck, step: tuple[Any, ...]) -> None:
    """One step; what makes no sense is refused and changes nothing. A dry run foretells every answer."""
    name, *values = step
    if name == "ingest":
        take(deck, *values[0])
        return
    arguments = arguments_of(deck, name, *values)
    command = {"undo": "undo"}.get(name, f"quarantine_{name}")
    before = deck.truth()
    try:
        foretold = act(deck, command, reason="why", dry_run=True, **arguments)
    except UsageError:
        with suppress(UsageError):
            act(deck, command, reason="why", **arguments)
        assert deck.truth() == before
        return
    assert deck.truth() == before
    assert act(deck, command, reason="why", **arguments) == foretold


def arguments_of(deck: Deck, name: str, what: Any, how: Any = None) -> dict[str, Any]:
    if name == "undo":
        return {"whole": how} | ({} if what is None else {"decision": what})
    places = deck.sql(
        "SELECT substr(sha256, 1, 12) || '-' || record FROM quarantine JOIN files USING (file)"
        " ORDER BY file, record"
    )
    ids = [places[at % len(places)][0] for at in what] if places else ["000000000000-1"]
    if name == "fix":
        return {"ids": ids, "set": how}
    if how == "as_leg":
        return {"ids": ids, "as_leg": True}
    stored = deck.sql("SELECT lower(hex(id)) FROM tx ORDER BY row")
    if how == "supersede" and stored:
        return {"ids": ids[:1], "supersede": stored[what[-1] % len(stored)][0]}
    return {"ids": ids}


def contents(deck: Deck) -> dict[int, str]:
    """Content by row number, of all that is stored."""
    rows = deck.sql(
        "SELECT row, ts, action, (SELECT name FROM names WHERE n = asset), quantity, price,"
        " (SELECT name FROM names WHERE n = fee_asset), fee_amount,"
        " (SELECT name FROM names WHERE n = account), tx_hash, external_id FROM tx"
    )
    return {row: content_text(*fields) for row, *fields in rows}


def assert_nothing_lost(deck: Deck) -> None:
    files = deck.sql("SELECT file, rows, accepted, duplicates, quarantined FROM files")
    stored = dict(
        deck.sql("SELECT file, count(*) FROM tx WHERE superseded_by IS NULL OR superseded_by > 0 GROUP BY 1")
    )
    aside = dict(deck.sql("SELECT file, count(*) FROM quarantine WHERE status <> 'released' GROUP BY 1"))
    for file, rows, accepted, duplicates, quarantined in files:
        assert accepted + duplicates + quarantined == rows
        assert (stored.get(file, 0), aside.get(file, 0)) == (accepted, quarantined)
    assert deck.sql("SELECT 1 FROM tx GROUP BY file, record HAVING count(*) > 1") == []
    assert_released_rows_are_in_the_ledger(deck)
    assert_chains_end(deck)


def assert_released_rows_are_in_the_ledger(deck: Deck) -> None:
    """Each stands for a row of its content, and equal fills of one file for as many."""
    with Reader(deck.home.state) as reader:
        rows = reader.rows(
            "SELECT file, record, line, coalesce(edited, fields), row FROM quarantine"
            " WHERE status = 'released'"
        )

    known = contents(deck)
    fills = []
    for file, record, line, fields, row in rows:
        parsed = parse_records("transactions", [(record, line, json.loads(fields))], NOW)
        (content,) = parsed.frame["content"]
        if known[row] != content:  # it repeats another row than the one it once became
            assert content in known.values()
        elif not any(parsed.frame.select("tx_hash", "external_id", "id").row(0)):
            fills.append((file, row))
    assert len(fills) == len(set(fills)), "two equal fills of one file are two rows"


def assert_chains_end(deck: Deck) -> None:
    """What was superseded leads to a row that is stored, and never back to itself."""
    by = dict(deck.sql("SELECT row, superseded_by FROM tx"))
    for row in by:
        seen = set()
        while row is not None and row > 0:
            assert row not in seen
            seen.add(row)
            row = by[row]


def tell(blank: Path, story: list[tuple[Any, ...]]) -> None:
    with copied(blank) as deck:
        for step in story:
            carry_out(deck, step)
            assert_nothing_lost(deck)
        assert deck.ask("verify")["ok"]


CHECKS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]


@settings(max_examples=4, deadline=None, suppress_health_check=CHECKS)
@given(story=STORIES)
def test_any_acts__nothing_is_lost(blank_home: Path, story: list[tuple[Any, ...]]) -> None:
    tell(blank_home, story)


@pytest.mark.slow
@settings(max_examples=300, deadline=None, suppress_health_check=CHECKS)
@given(story=STORIES)
def test_any_acts__nothing_is_lost__many_stories(blank_home: Path, story: list[tuple[Any, ...]]) -> None:
    tell(blank_home, story)

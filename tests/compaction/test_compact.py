"""Compaction of a home: the same rows in fewer bytes, nothing taken from a reader, nothing left by a kill."""

import asyncio
import hashlib
import shutil
from collections.abc import Callable, Iterator

import pytest

from engine.compaction.file_compactor import Plan, chunks
from engine.errors import EngineError, UsageError
from engine.messages import Command
from engine.runtime import upkeep
from engine.runtime.engine import Engine
from engine.snapshots import parquet_writer
from tests.compaction.lake import (
    ASSETS,
    DAYS,
    act,
    cancelled,
    check_lake,
    copied,
    correct,
    later,
    live,
    orphans,
    within,
)
from tests.faults.calls import POWER, Faults, PowerCut
from tests.runtime.deck import NOW, Deck
from tests.runtime.test_service import hosting

NewLake = Callable[[str], Deck]
FILES = DAYS * len(ASSETS)
NEVER = 10**9
EVERY = 7  # of the changing calls is a fault point in the default run


def test_compact__cold_days_are_smaller__with_the_digests_they_had(lake: Deck) -> None:
    before, contents = lake.digest(), sorted(content for _, content in live(lake))
    told = act(lake, "compact")
    assert told["steps"][0] | {"bytes": 0, "peak_bytes": 0} == {
        "what": "re-encode", "why": told["steps"][0]["why"], "files": FILES, "bytes": 0, "peak_bytes": 0
    }  # fmt: skip
    assert told["after"]["live_bytes"] < told["before"]["live_bytes"]
    assert told["after"]["live_files"] == FILES
    assert lake.digest() == before
    assert sorted(content for _, content in live(lake)) == contents
    check_lake(lake)


def test_compact__tells_how_far_it_is__and_that_it_ended(lake: Deck) -> None:
    act(lake, "compact")
    told = [(kind, data) for kind, data in lake.events if kind in ("lake_progress", "lake_done")]
    far = [data["done"] for kind, data in told if kind == "lake_progress"]
    assert (far[0], far[-1]) == (0, FILES)
    assert far == sorted(far)
    assert told[0][1] == {"job": "compact", "things": "files", "done": 0, "of": FILES}
    assert [kind for kind, _ in told].index("lake_done") == len(told) - 1


def test_compact__fails__no_job_is_told_to_be_at_work(lake: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.runtime.compacting.put", full)
    with pytest.raises(OSError, match="No space"):
        act(lake, "compact")
    assert [kind for kind, _ in lake.events if kind.startswith("lake_")][-1] == "lake_done"


def test_compact__replaced_files_stay_for_their_grace__then_go_with_their_rows(lake: Deck) -> None:
    sealed = [path for path, _ in live(lake)]
    act(lake, "compact")
    assert all((lake.home.lake / path).is_file() for path in sealed)
    lake.clock = lambda: NOW + 59 * 60_000_000
    assert act(lake, "compact")["steps"] == []
    told = act(later(lake), "compact")
    assert [(step["what"], step["files"]) for step in told["steps"]] == [("sweep dead", FILES)]
    assert not any((lake.home.lake / path).exists() for path in sealed)
    assert lake.sql("SELECT count(*) FROM lake_files") == [(FILES,)]
    assert act(lake, "compact")["steps"] == []
    check_lake(lake)


def test_compact__orphans_go__and_a_listed_file_never_does(lake: Deck) -> None:
    stray = lake.home.lake / "snapshots/resolution=5m/dt=2025-03-09/asset_id=GONE/0.parquet"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"torn")
    within(lake, lambda engine: engine.upkeep.sweep_orphans())
    assert orphans(lake) == set()
    assert not stray.parent.parent.exists()
    assert len(live(lake)) == FILES
    check_lake(lake)


def test_dry_run__tells_what_the_real_one_does__and_changes_nothing(lake: Deck) -> None:
    truth = lake.truth()
    told = lake.ask("compact_plan", profile="LOW_RAM")
    assert lake.truth() == truth
    done = act(lake, "compact", profile="LOW_RAM")
    assert (told["steps"], told["profile"], told["before"]) == (done["steps"], "LOW_RAM", done["before"])
    with pytest.raises(UsageError):
        lake.ask("compact_plan", profile="HUGE")


def test_compact__valued_again_afterwards__leaves_rewritten_files_alone(lake: Deck) -> None:
    act(lake, "compact")
    rewritten = live(lake)
    lake.value(resolution="5m")
    assert live(lake) == rewritten


def test_compact__a_corrected_price__is_made_anew_over_a_rewritten_file(lake: Deck) -> None:
    act(lake, "compact")
    correct(lake)
    lake.value(resolution="5m")
    check_lake(lake)


def test_compact__several_files_of_a_partition__become_one_with_the_rows_of_all(lake: Deck) -> None:
    (path, content), *_ = live(lake)
    (row,) = lake.sql("SELECT * FROM lake_files WHERE path = ?", path)
    columns = [name for _, name, *_ in lake.sql("PRAGMA table_info(lake_files)")]
    record = dict(zip(columns, row, strict=True))
    frame = parquet_writer.read((lake.home.lake / path).read_bytes())
    lake.sql("DELETE FROM lake_files WHERE path = ?", path)
    for part in (frame.slice(100), frame.slice(0, 100)):
        data = parquet_writer.encode(part)
        digest = hashlib.sha256(data).hexdigest()
        name = parquet_writer.path_of("5m", record["dt"], record["asset"], digest)
        (lake.home.lake / name).write_bytes(data)
        made = record | {"path": name, "rows": part.height, "bytes": len(data), "sha256": digest,
                         "content": parquet_writer.content_digest(part)}  # fmt: skip
        marks = ", ".join("?" * len(columns))
        lake.sql(f"INSERT INTO lake_files VALUES ({marks})", *(made[name] for name in columns))
    act(lake, "compact")
    found = lake.sql(
        "SELECT content, rows FROM lake_files WHERE dead_at IS NULL AND dt = ? AND asset = ?",
        record["dt"], record["asset"],
    )  # fmt: skip
    assert found == [(content, record["rows"])]
    check_lake(lake)


def test_compact__a_damaged_source__is_told_and_left(lake: Deck) -> None:
    (path, _), *_ = live(lake)
    data = bytearray((lake.home.lake / path).read_bytes())
    data[len(data) // 2] ^= 1
    (lake.home.lake / path).write_bytes(data)
    act(lake, "compact")
    assert path in [path for path, _ in live(lake)]
    assert any(told.get("kind") == "lake_file_bad" for kind, told in lake.events if kind == "log")


def faulted(deck: Deck, number: int) -> Faults:
    """Compacts while everything ends at the Nth changing call."""
    faults = Faults(deck.path, number, POWER)
    with pytest.MonkeyPatch.context() as patch:
        faults.install(patch)
        try:
            act(deck, "compact")
        except (EngineError, OSError, PowerCut):
            assert number != NEVER
    return faults


def each_fault(new_lake: NewLake, every: int, prepare: Callable[[Deck], object]) -> None:
    """Ends compaction at each changing call; what is left must be whole, and the next run must end it."""
    base = new_lake("base")
    prepare(base)
    whole = base.digest()["digest"]
    quiet = copied(base, "quiet")
    calls = faulted(quiet, NEVER).calls
    assert len(calls) > 3
    for number in range(1, len(calls) + 1, every):
        deck = copied(base, f"cut-{number}")
        faulted(deck, number)
        check_lake(deck)
        within(deck, lambda engine: engine.upkeep.sweep_orphans())
        assert orphans(deck) == set(), calls[number - 1]
        act(deck, "compact")
        assert deck.digest()["digest"] == whole
        assert deck.digest()["parts"] == quiet.digest()["parts"]
        check_lake(deck)
        shutil.rmtree(deck.path)


def _swept_too(deck: Deck) -> None:
    """Rewritten files are past their grace, and there is an orphan: every step has work."""
    act(deck, "compact")
    (deck.home.lake / "snapshots" / "stray.parquet").write_bytes(b"torn")
    deck.sql("UPDATE lake_files SET generation = 0 WHERE dead_at IS NULL")
    later(deck)


@pytest.mark.parametrize("prepare", [lambda deck: None, _swept_too], ids=["rewrite", "sweep"])
def test_compact__ended_at_any_call__one_digest_no_orphan_no_reader_error(
    new_lake: NewLake, prepare: Callable[[Deck], object]
) -> None:
    each_fault(new_lake, EVERY, prepare)


@pytest.mark.slow
@pytest.mark.parametrize("prepare", [lambda deck: None, _swept_too], ids=["rewrite", "sweep"])
def test_compact__ended_at_every_call__one_digest_no_orphan_no_reader_error(
    new_lake: NewLake, prepare: Callable[[Deck], object]
) -> None:
    each_fault(new_lake, 1, prepare)


def test_host__removes_at_its_start_what_a_crash_left(lake: Deck) -> None:
    torn = lake.home.lake / "snapshots" / "torn.parquet"
    torn.write_bytes(b"PAR1")

    async def run() -> None:
        async with hosting(lake) as (_, heard):
            await heard.of("log", lambda data: data["kind"] == "orphans_swept")

    asyncio.run(run())
    assert not torn.exists()  # its end may leave others: what it was about to write
    check_lake(lake)


def test_dry_run_as_a_command__only_tells_the_plan(lake: Deck) -> None:
    truth = lake.truth()
    for name in ("compact", "retention"):
        command = Command(name, dry_run=True)
        told = lake.with_engine(lambda engine, command=command: engine.do(command), writing=True)  # type: ignore[misc]
        assert told["dry_run"] is True
    assert lake.truth() == truth


def test_compact__asked_to_end__stops_after_a_piece_and_a_later_run_goes_on(lake: Deck) -> None:
    async def ended(engine: Engine) -> object:
        engine.upkeep.end()
        return await engine.upkeep.compact(Command("compact"))

    within(lake, ended)
    assert lake.sql("SELECT max(generation) FROM lake_files") == [(0,)]
    act(lake, "compact")
    assert lake.sql("SELECT min(generation) FROM lake_files WHERE dead_at IS NULL") == [(1,)]


def test_compact__cancelled__what_was_done_stays__and_a_later_run_goes_on(
    lake: Deck, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lake.digest()
    monkeypatch.setattr(upkeep, "chunks", one_by_one)
    assert cancelled(lake, "compact", 2)["cancelled"]
    done = lake.sql("SELECT count(*) FROM lake_files WHERE dead_at IS NULL AND generation = 1")[0][0]
    assert 2 <= done < FILES
    assert lake.digest() == before
    check_lake(lake)
    assert not act(lake, "compact")["cancelled"]
    assert lake.sql("SELECT min(generation) FROM lake_files WHERE dead_at IS NULL") == [(1,)]
    assert lake.digest() == before


def one_by_one(made: Plan) -> Iterator[list[list[str]]]:
    """A piece for each group."""
    yield from ([group] for groups in chunks(made) for group in groups)

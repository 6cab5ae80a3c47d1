"""One trace id for each piece of work: on its steps, and on what it stored and told."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from engine.domain.instants import parse_instant
from engine.messages import Command
from engine.runtime.engine import Engine
from engine.runtime.executors import Executor, ThreadExecutor, WorkerExecutor
from engine.runtime.telemetry.spans import Ended, Silent, passed, span, trace_id, within
from tests.runtime.deck import NOW, PRICE_COLUMNS, Deck, bar, buy, to_csv
from tests.runtime.desk import held, reject

Events = list[tuple[str, str | None]]
NOON = parse_instant("2025-03-01T12:00:00Z") or 0


class Kept(Silent):
    """What an engine's owner was given."""

    def __init__(self) -> None:
        self.steps: list[Ended] = []

    def keep(self, ended: Ended) -> None:
        self.steps.append(ended)

    def named(self, step: str) -> list[Ended]:
        return [one for one in self.steps if one["step"] == step]


def done(
    deck: Deck, *commands: Command, executor: Callable[[], Executor] = ThreadExecutor
) -> tuple[Kept, Events]:
    """Carries commands out: the steps that were kept, and every event with its trace."""
    kept, events = Kept(), []

    async def run() -> None:
        engine = await Engine.open(deck.home, executor(), deck.clock, writing=True, telemetry=kept)
        engine.subscribe(lambda event: events.append((event.kind, event.trace_id)))
        try:
            for command in commands:
                await engine.do(command)
        finally:
            await engine.close()

    asyncio.run(run())
    return kept, events


def ingest(deck: Deck, *names: str) -> Command:
    rows = [buy(), buy(quantity="")]
    return Command("ingest", {"paths": [str(deck.file(name, [*rows, buy(notes=name)])) for name in names]})


def ids(steps: list[Ended]) -> set[str]:
    return {one["trace_id"] for one in steps}


def tree(steps: list[Ended]) -> dict[str, str | None]:
    """Each step's name -> the name of the one that it is a part of."""
    by_id = {one["span_id"]: one["step"] for one in steps}
    return {one["step"]: by_id.get(one["parent_id"]) for one in steps}


@pytest.mark.parametrize("executor", [ThreadExecutor, WorkerExecutor])
def test_ingest__one_trace__on_its_steps_its_files_and_its_events(
    deck: Deck, executor: Callable[[], Executor]
) -> None:
    kept, events = done(deck, ingest(deck, "a.csv", "b.csv"), executor=executor)

    (trace,) = ids(kept.steps)
    assert tree(kept.steps) == {
        "command": None, "read": "command", "file": "command", "validate": "file", "commit": "file",
    }  # fmt: skip
    assert deck.sql("SELECT DISTINCT trace_id FROM files") == [(trace,)]
    assert {id_ for kind, id_ in events if kind in ("file_started", "file_done")} == {trace}
    assert [one["attributes"]["status"] for one in kept.named("file")] == ["ingested"] * 2
    assert all(one["ended_ns"] >= one["begun_ns"] for one in kept.steps)


def test_two_commands__two_traces(deck: Deck) -> None:
    kept, _ = done(deck, ingest(deck, "a.csv"), ingest(deck, "b.csv"))

    first, second = (one["trace_id"] for one in kept.named("command"))
    assert first != second
    assert deck.sql("SELECT trace_id FROM files ORDER BY file") == [(first,), (second,)]


def test_inbox__claimed_together__is_one_piece_of_work(deck: Deck) -> None:
    deck.drop("a.csv", [buy()])
    kept, _ = done(deck, Command("ingest"))

    assert tree(kept.steps)["claim"] == "intake"
    assert ids(kept.steps) == {deck.sql("SELECT trace_id FROM files")[0][0]}


def test_value__its_lake_files_carry_its_trace(deck: Deck) -> None:
    deck.take(buy())
    deck.ingest(deck.file("bars.csv", to_csv([bar()], PRICE_COLUMNS)))
    kept, events = done(deck, Command("value", {"resolution": "1d"}))

    (trace,) = ids(kept.steps)
    assert tree(kept.steps) == {
        "command": None, "valuation": "command", "lots": "valuation", "snapshots": "valuation",
        "commit": "valuation",
    }  # fmt: skip
    assert deck.sql("SELECT DISTINCT trace_id FROM lake_files") == [(trace,)]
    assert dict(events)["value_done"] == trace


def test_decision__and_its_row__tell_their_traces(deck: Deck) -> None:
    (row,) = held(deck, buy(quantity=""))
    taken_in = deck.sql("SELECT trace_id FROM files")[0][0]
    kept, events = done(deck, Command("quarantine_reject", {"ids": [row]}, "ada", "not ours"))

    (trace,) = ids(kept.steps)
    (decision,) = deck.ask("decisions")["rows"]
    shown = deck.ask("quarantine_show", id=row)
    assert tree(kept.steps) == {"command": None, "commit": "command"}
    assert decision["trace_id"] == trace == dict(events)["acted"]
    assert shown["trace_id"] == taken_in != trace
    assert shown["history"][0]["trace_id"] == trace


def test_explain__names_the_trace_of_the_rows_file(deck: Deck) -> None:
    deck.take(buy(id="0195532a-8800-7000-8000-000000000001"))

    (file,) = deck.sql("SELECT trace_id FROM files")[0]
    assert deck.ask("explain", tx="0195532a-8800")["file"]["trace_id"] == file


def test_digest__does_not_know_of_traces(new_deck: Callable[[str], Deck]) -> None:
    decks = [new_deck("one"), new_deck("two")]
    for deck in decks:
        reject(deck, held(deck, buy(), buy(quantity="")))
    one, two = decks

    assert one.sql("SELECT trace_id FROM files") != two.sql("SELECT trace_id FROM files")
    assert one.digest() == two.digest()


def test_bad_file__is_refused_with_its_trace(deck: Deck) -> None:
    kept, _ = done(deck, Command("ingest", {"paths": [str(deck.file("bad.csv", b"no,header\n"))]}))

    assert deck.sql("SELECT status, trace_id FROM files") == [("rejected", kept.steps[0]["trace_id"])]
    assert kept.named("file")[0]["attributes"]["reason"] == "FILE_HEADER"


def test_step_that_fails__says_which_fault(deck: Deck) -> None:
    missing = Command("ingest", {"paths": [str(deck.path / "nothing.csv")]})
    kept = Kept()

    async def run() -> None:
        engine = await Engine.open(deck.home, ThreadExecutor(), deck.clock, writing=True, telemetry=kept)
        try:
            await engine.do(missing)
        finally:
            await engine.close()

    with pytest.raises(Exception, match="There is no file"):
        asyncio.run(run())
    assert kept.named("command")[0]["error"]["code"] == "USAGE"


def test_span__within_what_another_process_passed__is_a_part_of_it() -> None:
    kept: list[dict[str, Any]] = []
    with span("command"):
        at = passed()
    with within(at, kept.append), span("read"):
        assert at is not None
        assert trace_id() == at[0]
    assert (kept[0]["trace_id"], kept[0]["parent_id"]) == at
    assert trace_id() is None


def test_day_that_is_over__sealed__its_files_carry_the_trace_of_that_step(deck: Deck) -> None:
    deck.take(buy())
    hour = bar(bucket_close="2025-03-01T11:00:00Z", resolution="1h")
    deck.ingest(deck.file("bars.csv", to_csv([hour], PRICE_COLUMNS)))
    deck.clock = lambda: NOON
    done(deck, Command("value", {"resolution": "1h"}))
    assert deck.sql("SELECT count(*) FROM lake_files") == [(0,)]
    deck.clock = lambda: NOW
    kept, _ = done(deck, Command("value", {"resolution": "1h", "from": "2025-03-01T23:00:00Z"}))

    assert tree(kept.steps)["seal"] == "command"
    assert deck.sql("SELECT DISTINCT trace_id FROM lake_files") == [(*ids(kept.steps),)]

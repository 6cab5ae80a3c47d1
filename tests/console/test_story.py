"""The first steps: of a new home, a sample, the demo; ticked by what the engine says, in nobody's way."""

import asyncio
from typing import Any

import pytest

from console.fake import NOW, FakeClient, overview
from console.story import FILE, HOLD, NAV, ROW, TOUR, Story, steps
from tests.console.deck_driver import Console, console

TAKEN = {"kind": "transactions", "status": "ingested", "rows": 4, "accepted": 3, "duplicates": 0,
         "quarantined": 1, "reason": "", "detail": "", "at": NOW}  # fmt: skip
POINT: dict[str, Any] = {"bucket_close": "2026-03-04T00:00:00Z", "nav": "5", "priced_value": "5",
         "coverage": 1.0, "missing": [], "held": [], "reasons": [], "flags": []}  # fmt: skip
UNPRICED = POINT | {"nav": None, "missing": ["ETH"], "reasons": ["NO_PRICE"]}


def new() -> dict[str, Any]:
    """A home that was just made."""
    told = ("seq", "now", "home", "pid", "started_at", "hosting", "base_currency", "memory")
    return {key: value for key, value in overview().items() if key in told} | {"state": "running"}


def demo() -> dict[str, Any]:
    """The demo at its start: rows are set aside, the newest NAV is held, nobody acted."""
    doc = overview()
    doc["counts"]["decisions"] = 0
    doc["nav"]["points"][-1] |= {"nav": None, "held": ["EUR/USD"], "reasons": ["FX_HELD"]}
    doc["backup"] = doc["backup"] | {"drill": None}
    return doc


async def take(deck: Console, name: str, quarantined: int = 1) -> None:
    await deck.tell("file_done", TAKEN | {"name": name, "quarantined": quarantined})
    await deck.tell("counts", {"files": 1, "transactions": 3})
    await deck.tell("quarantine", {"open": quarantined, "by_reason": {}, "oldest": NOW})


async def value(deck: Console, *points: dict[str, Any], priced: bool = True) -> None:
    await deck.tell("nav", {"resolution": "1d", "whole": True, "points": list(points)})
    await deck.tell("counts", {"last_runs": {"value": NOW},
                               "watermarks": {"prices_last": {"1d": NOW} if priced else {}}})  # fmt: skip


def flow(run: Any, doc: dict[str, Any], **how: Any) -> None:
    async def whole() -> None:
        async with console(FakeClient(doc), **how) as deck:
            await run(deck)

    asyncio.run(whole())


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
def test_new_home__says_where_the_inbox_is_and_offers_a_sample(size: tuple[int, int]) -> None:
    async def run(deck: Console) -> None:
        assert "y puts a small sample into the inbox" in deck.text()
        assert "/srv/navdeck/demo/inbox" in deck.text()
        await deck.press("y")
        assert deck.sent() == [("sample", {})]

    flow(run, new(), size=size)


def test_new_home__own_files__lead_to_the_bad_row_and_end_with_the_first_nav() -> None:
    async def run(deck: Console) -> None:
        await take(deck, "mine.csv")
        assert "✓ 1 file taken" in deck.text()
        await value(deck, POINT)
        assert "▸ 1 row set aside: 3, then e corrects, then R releases" in deck.text()
        deck.app.story.kinds = ("fix", "release")
        await deck.tell("quarantine", {"open": 0, "by_reason": {}, "oldest": None})
        assert "h hides" not in deck.text()
        (toast,) = deck.toasts()
        assert "NAV is known at the newest close: 5 shows its course" in toast

    flow(run, new())


@pytest.mark.parametrize(
    ("points", "priced", "words"),
    [((), False, "no price is known"),
     ((UNPRICED,), True, "NAV is not known at the newest close: 5 shows where, and why")],
)  # fmt: skip
def test_new_home__no_nav__ends_with_the_reason(points: Any, priced: bool, words: str) -> None:
    async def run(deck: Console) -> None:
        await take(deck, "mine.csv", quarantined=0)
        await value(deck, *points, priced=priced)
        assert any(words in toast for toast in deck.toasts())
        assert "h hides" not in deck.text()

    flow(run, new())


def test_new_home__values_older_than_the_file__are_not_yet_its_nav() -> None:
    async def run(deck: Console) -> None:
        await deck.tell("counts", {"last_runs": {"value": "2026-03-04T14:00:00Z"}})
        await take(deck, "mine.csv", quarantined=0)
        assert "▸ soon values are computed" in deck.text()
        await deck.tell("value_started", {"resolution": "1d"})
        assert "▸ values are computed …" in deck.text()

    flow(run, new())


def test_new_home__a_step_once_done__stays_done_while_values_are_computed_again() -> None:
    async def run(deck: Console) -> None:
        await take(deck, "sample-trades.csv", quarantined=0)
        await value(deck, POINT | {"nav": None, "held": ["EUR/USD"], "reasons": ["FX_HELD"]})
        assert "✓ NAV is withheld" in deck.text()
        await deck.tell("value_started", {"resolution": "5m"})
        assert "▸ EUR/USD is held" in deck.text()

    flow(run, new())


def test_new_home__refused_file__says_where_the_reason_is() -> None:
    async def run(deck: Console) -> None:
        await deck.tell("counts", {"files_rejected": 1})
        assert "the file was refused: 2, then enter, says why" in deck.text()

    flow(run, new())


def test_home_with_rows__no_steps_are_told__and_h_says_so() -> None:
    async def run(deck: Console) -> None:
        assert "h hides" not in deck.text()
        await deck.press("h")
        assert any("no first steps" in toast for toast in deck.toasts())
        await deck.press("y")
        assert any("files of its own" in toast for toast in deck.toasts())
        assert deck.sent() == []

    flow(run, overview())


def test_read_only__no_steps_are_told() -> None:
    async def run(deck: Console) -> None:
        assert "small sample" not in deck.text()

    flow(run, new() | {"read_only": True})


def test_steps__hidden_by_a_key__come_back_by_it() -> None:
    async def run(deck: Console) -> None:
        await deck.press("h")
        assert "small sample" not in deck.text()
        await deck.press("2", "h")
        assert "y puts a small sample into the inbox" in deck.text()

    flow(run, new())


def test_demo__each_step_is_ticked_by_what_the_engine_says() -> None:
    async def run(deck: Console) -> None:
        assert "▸ 214 rows set aside: 3, then e corrects, then R releases" in deck.text()
        await deck.press("3", "right_square_bracket", "right_square_bracket", "right_square_bracket", "e")
        await deck.press("escape", "1")
        assert "▸ 214 rows set aside" in deck.text()  # keys alone tick nothing
        await deck.press("3", "e", "tab", "enter", "enter", "right", "enter")
        assert "the row is corrected: 3, then R" in deck.text()
        await deck.press("R", "right", "enter")
        assert "✓✓✓·· ▸ EUR/USD is held: 4 tells why, then H takes the fixing once" in deck.text()

    flow(run, demo())


def test_demo__undone_step__is_to_do_again() -> None:
    story, doc = Story(), demo()
    story.begin(doc)
    story.kinds = {"release"}
    assert ROW not in story.left(doc)
    story.kinds = set()
    assert ROW in story.left(doc)


def test_demo__hold_is_over_by_itself__the_step_is_done() -> None:
    doc = demo()
    assert not HOLD.is_done(doc, ())
    assert HOLD.is_done(doc, {"fx_use_eod_once"})
    doc["nav"]["points"].append(POINT)
    assert HOLD.is_done(doc, ())
    doc["nav"]["points"] = []
    assert not HOLD.is_done(doc, ())  # nothing is valued yet: nobody knows


def test_demo__all_done__the_steps_go_away() -> None:
    async def run(deck: Console) -> None:
        await deck.tell("counts", {"backup": {"drill": {"at": NOW, "verdict": "passed"}}})
        assert "h hides" not in deck.text()
        assert any("a drill passed" in toast for toast in deck.toasts())

    doc = demo()
    doc["quarantine"] = {"open": 0, "by_reason": {}, "oldest": None}
    doc["nav"]["points"][-1] |= {"nav": "5", "held": [], "reasons": []}
    flow(run, doc)


def test_steps__files_of_ones_own_have_fewer_than_the_sample() -> None:
    doc = demo() | {"label": ""}
    assert steps(doc) == (FILE, ROW, NAV)
    doc["inbox"]["recent"].append(TAKEN | {"name": "sample-trades.csv"})
    assert steps(doc) == TOUR

"""Storage in the console: the plan of a job comes first, and only then is it carried out."""

import asyncio
from typing import Any

import pytest

from console.screens.storage_lines import lake_line, memory_words, outcome, plan_lines
from tests.console.deck_driver import console


@pytest.mark.parametrize(("key", "name"), [("C", "compact"), ("o", "retention")])
def test_job__its_plan_first__then_just_that(key: str, name: str) -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("6", key, "tab", "enter")
            told = [(one.name, one.dry_run) for one in opened.client.commands]
            assert told == [(name, True), (name, False)]

    asyncio.run(flow())


def test_job__left_at_its_plan__nothing_is_done() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("6", "C", "escape")
            assert [one.dry_run for one in opened.client.commands] == [True]

    asyncio.run(flow())


def test_job_at_work__how_far_it_is__on_the_screen() -> None:
    async def flow() -> None:
        async with console(screen="storage") as opened:
            await opened.tell("lake_progress", {"job": "compact", "things": "files", "done": 120, "of": 410})
            assert "▸ compact  120 of 410 files" in opened.text()
            assert " 29%" in opened.text()
            assert "X cancels it" in opened.text()
            await opened.tell("lake_done", {"job": "compact"})
            assert "of 410 files" not in opened.text()

    asyncio.run(flow())


def test_job_at_work__X_cancels_it__and_says_what_stays() -> None:
    async def flow() -> None:
        async with console(screen="storage") as opened:
            await opened.press("X")
            assert opened.client.commands == []
            await opened.tell("lake_progress", {"job": "compact", "things": "files", "done": 120, "of": 410})
            await opened.press("X")
            assert [one.name for one in opened.client.commands] == ["lake_cancel"]

    asyncio.run(flow())


@pytest.mark.parametrize("screen", ["overview", "nav"])
def test_valuing_at_work__how_far_it_is__and_X_cancels_it(screen: str) -> None:
    async def flow() -> None:
        async with console(screen=screen) as opened:
            await opened.press("X")
            assert opened.client.commands == []
            await opened.tell("value_started", {"resolution": "5m"})
            await opened.tell("value_progress", {"resolution": "5m", "done": 3, "days": 12})
            assert "valuing at 5m" in opened.text()
            assert "X cancels it" in opened.text()
            assert "25%" in opened.text()
            await opened.press("X")
            assert [one.name for one in opened.client.commands] == ["value_cancel"]
            await opened.tell("value_failed", {"resolution": "5m"})
            assert "valuing" not in opened.text()

    asyncio.run(flow())


FOUND = {"disk": {"free_bytes": 83_000_000_000, "least_bytes": 2_000_000_000}, "profile": "DEFAULT"}


def told(found: dict[str, Any], width: int) -> str:
    return "".join(text for text, _ in lake_line(found, width))


def test_disk__too_little__says_that_intake_stopped() -> None:
    short = {"disk": {"free_bytes": 1, "least_bytes": 2}, "open_rows": 0, "profile": "DEFAULT"}
    assert told(short, 78).startswith("Lake  ✗ intake stopped: 1 B free of disk")


@pytest.mark.parametrize(
    ("rows", "words"), [(0, "Lake  ✓"), (1, "Lake  1 open row  ✓"), (6_657, "Lake  6,657 open rows  ✓")]
)
def test_lake__at_80_columns__nothing_is_cut__what_does_not_fit_is_left_out(rows: int, words: str) -> None:
    narrow, wide = (told(FOUND | {"open_rows": rows}, width) for width in (78, 158))
    assert narrow.startswith(f"{words} 83.0 GB free of disk, intake needs 2.0 GB")
    assert "…" not in narrow
    assert wide.endswith("  profile DEFAULT")


def test_memory__at_80_columns__its_marks_are_told_whole() -> None:
    words = memory_words({"memory": {"level": "normal", "whose": "machine"}}, 78)
    assert "".join(text for text, _ in words).endswith("at 90% intake stops")


def test_outcome__what_it_saved() -> None:
    done = {"before": {"bytes": 3_000_000}, "after": {"bytes": 1_000_000}, "cancelled": False}
    assert outcome("compact", done) == "compacted: 2.0 MB less on disk"
    told = "compacted until it was cancelled: 2.0 MB less on disk"
    assert outcome("compact", done | {"cancelled": True}) == told


def test_outcome__what_was_replaced_and_still_lies_there__is_told() -> None:
    after = {"bytes": 3_100_000, "live_bytes": 2_000_000}
    done = {"before": {"bytes": 3_000_000}, "after": after, "cancelled": False}
    told = "compacted: 100 kB more on disk; 1.1 MB replaced, and gone after their grace"
    assert outcome("compact", done) == told


def test_plan__promises_room_only_after_the_grace_of_replaced_files() -> None:
    plan = {"steps": [], "before": {"bytes": 5_700_000}, "after": {"bytes": 4_900_000}, "peak_bytes": 1}
    told = ["".join(text for text, _ in part) for part in plan_lines(plan, 76)]
    assert "5.7 MB on disk now, 4.9 MB or less after a while" in told
    assert "compaction.grace_minutes" in " ".join(told)


def test_plan__at_80_columns__why_a_step_is_taken_is_told_whole() -> None:
    why = "replaced, and nobody reads them any more"
    plan = {"steps": [{"what": "sweep dead", "files": 334, "bytes": 3_700_000, "why": why}],
            "before": {"bytes": 2}, "after": {"bytes": 1}, "peak_bytes": 1}  # fmt: skip
    lines = ["".join(text for text, _ in part) for part in plan_lines(plan, 66)]
    assert max(map(len, lines)) <= 66
    assert f"334 files, 3.7 MB: {why}" in " ".join(" ".join(lines).split())

"""Storage in the console: the plan of a job comes first, and only then is it carried out."""

import asyncio

import pytest

from console.screens.storage_lines import disk_line, open_words, outcome, plan_lines
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
            await opened.tell("lake_done", {"job": "compact"})
            assert "of 410 files" not in opened.text()

    asyncio.run(flow())


def test_disk__too_little__says_that_intake_stopped() -> None:
    told = "".join(text for text, _ in disk_line({"free_bytes": 1, "least_bytes": 2}, "DEFAULT"))
    assert "intake stopped" in told


def test_open_rows__stand_apart_from_what_follows() -> None:
    assert [open_words(rows) for rows in (0, 1, 6_657)] == ["", "1 open row  ", "6,657 open rows  "]


def test_outcome__what_it_saved() -> None:
    done = {"before": {"bytes": 3_000_000}, "after": {"bytes": 1_000_000}}
    assert outcome("compact", done) == "compacted: 2.0 MB less on disk"


def test_outcome__what_was_replaced_and_still_lies_there__is_told() -> None:
    done = {"before": {"bytes": 3_000_000}, "after": {"bytes": 3_100_000, "live_bytes": 2_000_000}}
    told = "compacted: 100 kB more on disk; 1.1 MB replaced, and gone after their grace"
    assert outcome("compact", done) == told


def test_plan__promises_room_only_after_the_grace_of_replaced_files() -> None:
    plan = {"steps": [], "before": {"bytes": 5_700_000}, "after": {"bytes": 4_900_000}, "peak_bytes": 1}
    told = ["".join(text for text, _ in part) for part in plan_lines(plan, 76)]
    assert "5.7 MB on disk now, 4.9 MB or less after a while" in told
    assert "compaction.grace_minutes" in " ".join(told)

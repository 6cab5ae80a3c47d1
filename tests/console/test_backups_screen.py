"""Backups in the console: jobs are asked for first, their steps are shown, and can be cancelled."""

import asyncio

from console.screens.backup_lines import Item, item_lines, items, state_of
from tests.console.deck_driver import console


def test_drill__asked_first__then_told() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("7", "D", "tab", "enter")
            (command,) = opened.client.commands
            assert command.name == "backup_drill"
            assert "drill passed" in opened.text()

    asyncio.run(flow())


def test_drill__cancel_is_the_first_choice() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("7", "D", "enter")
            assert opened.client.commands == []

    asyncio.run(flow())


def test_drill__no_backup_yet__one_is_made_first() -> None:
    async def flow() -> None:
        async with console() as opened:
            opened.client.backups = {"folder": "backups", "backups": [], "drills": []}
            await opened.press("7", "D")
            assert "There is no backup yet: one is made first." in " ".join(opened.text().split())
            await opened.press("tab", "enter")
            assert [one.name for one in opened.client.commands] == ["backup_create", "backup_drill"]

    asyncio.run(flow())


def test_job__its_steps_are_shown__and_X_cancels_it() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("7")
            await opened.tell("backup_step", {"step": "copy the database"})
            await opened.tell("backup_step", {"step": "lake files"})
            await opened.settle()
            assert "lake files" in opened.text()
            await opened.press("X")
            assert [one.name for one in opened.client.commands] == ["backup_cancel"]
            await opened.tell("backup_done", {"name": "backup_create"})
            assert "lake files" not in opened.text()

    asyncio.run(flow())


def test_verify__the_one_under_the_cursor() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("7", "j", "v", "tab", "enter")
            (command,) = opened.client.commands
            assert (command.name, command.arguments) == ("backup_verify", {"id": "20260303T013004Z-0062"})

    asyncio.run(flow())


def test_list__newest_first__damage_says_so() -> None:
    backup = {"id": "a", "made_at": "2026-01-01T00:00:00Z", "verified": False, "verified_at": None}
    drill = {"at": "2026-01-02T00:00:00Z", "verdict": "failed", "steps": []}
    found = items({"backups": [backup], "drills": [drill]})
    told = [(item.kind, state_of(item)[0]) for item in found]
    assert told == [("drill", "✗ failed"), ("backup", "✗ damaged")]


def test_list__a_backup_that_a_drill_proved__is_not_told_as_if_it_had_failed() -> None:
    made = [{"id": id, "made_at": f"2026-01-0{day}T00:00:00Z", "verified": None, "verified_at": None}
            for id, day in (("a", 1), ("b", 2))]  # fmt: skip
    drill = {"at": "2026-01-03T00:00:00Z", "verdict": "passed", "steps": [], "backup": "b"}
    states = [state_of(item) for item in items({"backups": made, "drills": [drill]})]
    assert states == [("✓ passed", "ok"), ("✓ drilled", "ok"), ("· not checked", "muted")]


def test_list__sizes_and_times__never_share_a_column() -> None:
    async def flow() -> None:
        async with console(size=(80, 24)) as opened:
            await opened.press("7")
            told = opened.text().splitlines()
            heads = next(row for row in told if "RTO" in row)
            backup, drill = (
                next(row for row in told if row.split()[0:3:2] == [what, how])
                for what, how in (("backup", "verified"), ("drill", "passed"))
            )
            size, rto, rpo = (heads.index(head) for head in ("size", "RTO", "RPO"))
            assert backup[size - 5 : size + 4].strip() == "1.7 GB"
            assert backup[rto - 4 : rpo + 3].strip() == drill[size - 5 : size + 4].strip() == ""
            assert drill[rto - 4 : rpo + 3].split() == ["11.8", "s", "30", "min"]

    asyncio.run(flow())


def test_drill__in_a_narrow_panel__its_steps_are_told_whole() -> None:
    step = {"step": "restore the random instant from the newest backup before it", "seconds": 9.2, "ok": True,
            "told": "43 commits redone from nothing"}  # fmt: skip
    drill = {"at": "2026-01-03T00:00:00Z", "verdict": "passed", "steps": [step], "backup": "b"}
    lines = ["".join(text for text, _ in one) for one in item_lines(Item("drill", drill), 40)]
    assert max(map(len, lines)) <= 40
    assert "before it 9.2 s" in " ".join(" ".join(lines).split())

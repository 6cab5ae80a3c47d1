"""The overview's one list of what waits for a person: what is in it, in which order, what opens it."""

import asyncio
from typing import Any

import pytest

from console.fake import NOW_US, FakeClient, ago, overview
from console.screens.waits import BAD, HELD, KNOWN, WARN, wait_line, waits
from console.widgets.figures import DAY_US, HOUR_US, MINUTE_US
from tests.console.deck_driver import console

ACKED = {"decision": 43, "actor": "ana", "reason": "they know", "at": ago(MINUTE_US)}


def calm() -> dict[str, Any]:
    """An overview in which nothing waits."""
    return overview() | {
        "alerts": [], "holds": [], "causes": [], "quarantine": {"open": 0, "by_reason": {}, "oldest": None},
        "transfers": {"unmatched": 0, "oldest": None},
    }  # fmt: skip


def alert(code: str, since: str, acked: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"id": 1, "code": code, "about": "", "text": f"told by {code}", "hint": "see to it",
            "since": since, "acked": acked}  # fmt: skip


def point(close: int, missing: list[str]) -> dict[str, Any]:
    return {"bucket_close": ago(close * HOUR_US), "nav": None if missing else "1", "held": [],
            "missing": missing, "reasons": ["NO_PRICE"] if missing else []}  # fmt: skip


def told(doc: dict[str, Any], width: int = 200) -> list[str]:
    return ["".join(text for text, _ in wait_line(one, NOW_US, width)) for one in waits(doc, NOW_US)]


def test_waits__nothing__is_empty() -> None:
    assert waits(calm(), NOW_US) == []


def test_waits__every_kind_is_there_once__with_its_age_and_key() -> None:
    doc = overview()
    doc["nav"]["points"][-1] |= {"nav": None, "missing": ["SOL"], "reasons": ["NO_PRICE"]}

    lines = told(doc)

    starts = [line.split("  ")[0] for line in lines]
    assert starts == [
        "‖ EUR/USD is held",
        "! 6 transfers without their other side",
        "! 214 rows set aside",
        "! the inbox holds a file that is neither .csv nor .parquet",
        "! SOL has no value",
    ]
    assert [line.split()[-3:] for line in lines] == [
        ["7", "d", "4"], ["50", "d", "t"], ["2", "h", "3"], ["47", "min", "2"], ["7", "min", "a"],
    ]  # fmt: skip


@pytest.mark.parametrize(("minutes", "waiting"), [(4, []), (5, ["SOL has no value"])])
def test_waits__a_close_whose_prices_still_come__is_no_work(minutes: int, waiting: list[str]) -> None:
    newest = point(0, ["SOL"]) | {"bucket_close": ago(minutes * MINUTE_US)}
    doc = calm() | {"nav": {"resolution": "5m", "points": [point(1, []), newest]}}
    assert [one.text for one in waits(doc, NOW_US)] == waiting


def test_waits__the_worst_first__of_equals_the_oldest__known_ones_last() -> None:
    doc = calm() | {
        "alerts": [
            alert("PRICES_STALE", ago(DAY_US)), alert("BACKUP_OLD", ago(5 * DAY_US)),
            alert("DRILL_FAILED", ago(HOUR_US)), alert("DISK_LOW", ago(9 * DAY_US), ACKED),
        ],
        "holds": overview()["holds"],
    }  # fmt: skip

    found = [(one.sign, one.text.split()[-1]) for one in waits(doc, NOW_US)]

    assert found == [
        (BAD, "DRILL_FAILED"), (HELD, "held"), (WARN, "BACKUP_OLD"), (WARN, "PRICES_STALE"),
        (KNOWN, "DISK_LOW"),
    ]  # fmt: skip


def test_waits__a_pair_that_was_held_again_and_again__is_one_line() -> None:
    hold = overview()["holds"][0]
    doc = calm() | {"holds": [hold, hold | {"from": ago(9 * DAY_US), "closes": 12}]}

    (line,) = told(doc)

    assert "EUR/USD is held  NAV withheld at 42 closes" in line
    assert line.endswith("9 d  4")


def test_waits__asset_without_a_value__waits_since_the_first_close_of_this_gap() -> None:
    points = [point(9, ["SOL"]), point(8, []), point(7, ["SOL"]), point(6, ["JUP", "SOL"])]
    doc = calm() | {"nav": {"resolution": "1h", "points": points}}

    lines = told(doc)

    assert lines[0].split("  ")[:2] == ["! SOL has no value", "no NAV at 2 closes: no price for this close"]
    assert [line.split()[-3] for line in lines] == ["7", "6"]


def test_waits__alert_about_what_is_told_already__is_not_told_twice() -> None:
    codes = ("QUARANTINE_OPEN", "QUARANTINE_OLD", "TRANSFERS_UNMATCHED", "FX_HELD")
    doc = overview() | {"alerts": [alert(code, ago(DAY_US)) for code in codes]}

    assert not any("told by" in line for line in told(doc))


def test_waits__what_somebody_acknowledged__says_who_and_why() -> None:
    doc = overview()
    doc["alerts"][0]["acked"] = ACKED

    assert any(line.startswith("· 214 rows set aside  ana: they know") for line in told(doc))


def test_waits__one_of_two_alerts_acknowledged__still_waits() -> None:
    alerts = [alert("QUARANTINE_OPEN", ago(DAY_US), ACKED), alert("QUARANTINE_OLD", ago(HOUR_US))]
    doc = overview() | {"alerts": alerts}

    assert any(line.startswith("! 214 rows set aside") for line in told(doc))


@pytest.mark.parametrize("width", [20, 40, 76])
def test_wait_line__age_and_key_are_always_seen(width: int) -> None:
    for line, one in zip(told(overview(), width), waits(overview(), NOW_US), strict=True):
        assert len(line) == width
        assert line.endswith({"fx": "7 d  4", "transfers": "50 d  t", "quarantine": "2 h  3",
                              "inbox": "47 min  2"}[one.opens])  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
def test_overview__enter_opens_what_the_cursor_is_on(size: tuple[int, int]) -> None:
    async def flow() -> None:
        async with console(size=size) as deck:
            await deck.press("enter")
            assert deck.app.shown == "fx"
            await deck.press("1", "j", "enter")
            assert deck.app.shown == "transfers"
            await deck.press("escape", "j", "enter")
            assert deck.app.shown == "quarantine"

    asyncio.run(flow())


def test_overview__nothing_waits__is_calm() -> None:
    async def flow() -> None:
        async with console(FakeClient(calm())) as deck:
            assert "✓ nothing waits for you" in deck.text()
            assert "▸" not in deck.text()
            await deck.press("enter")
            assert deck.app.shown == "overview"

    asyncio.run(flow())


def test_overview__cursor_stays_on_its_row__when_something_worse_comes() -> None:
    async def flow() -> None:
        async with console() as deck:
            await deck.press("j", "j")
            await deck.tell("alerts", {"alerts": [alert("DRILL_FAILED", ago(HOUR_US))]})
            assert "▸ ! 214 rows set aside" in deck.text()
            await deck.tell("quarantine", {"open": 0, "by_reason": {}, "oldest": None})
            assert "▸ ✗ told by DRILL_FAILED" in deck.text()

    asyncio.run(flow())


def test_overview__at_80x24__answers_in_one_glance() -> None:
    async def flow() -> None:
        async with console() as deck:
            text = deck.text()
            for words in ("running", "held 1 ‖", "1,283,487.88 USD", "12 h old",
                          "drill ✓ 3 d ago", "214 rows set aside"):  # fmt: skip
                assert words in text

    asyncio.run(flow())


@pytest.mark.parametrize(
    ("backup", "words"),
    [
        ({"id": None, "made_at": None, "verified": None, "drill": None}, "none yet  7 then b makes one"),
        ({"id": "a", "made_at": ago(HOUR_US), "verified": True, "drill": None}, "✓ verified  no drill yet"),
        ({"id": "a", "made_at": ago(3 * HOUR_US), "verified": False,
          "drill": {"at": ago(HOUR_US), "verdict": "failed"}}, "✗ damaged  drill ✗ failed 1 h ago"),
    ],
)  # fmt: skip
def test_overview__backup__said_as_it_is(backup: dict[str, Any], words: str) -> None:
    async def flow() -> None:
        async with console() as deck:
            await deck.tell("counts", {"backup": backup})
            assert words in deck.text()

    asyncio.run(flow())

"""Acknowledging alerts in the console: which one, a reason that is needed, the act; and who knows of one."""

import asyncio

from console.fake import FakeClient, overview
from tests.console.deck_driver import console


def test_ack__one_of_several__needs_a_reason_and_names_the_alert() -> None:
    async def flow() -> None:
        async with console() as opened:
            await opened.press("A", "down", "down", "enter")
            assert "neither .csv nor .parquet" in opened.text()
            assert opened.focused == "reason"  # nothing can be chosen before there is one
            await opened.type("on its way")
            await opened.press("tab", "tab", "enter")
            assert opened.sent() == [("alert_ack", {"alerts": ["9"]})]
            assert opened.client.commands[0].reason == "on its way"

    asyncio.run(flow())


def test_ack__left_at_cancel__does_nothing() -> None:
    async def flow() -> None:
        async with console(screen="events") as opened:
            await opened.press("A", "enter")
            assert opened.sent() == []

    asyncio.run(flow())


def test_ack__nothing_stands__says_so() -> None:
    document = overview() | {"alerts": []}

    async def flow() -> None:
        async with console(FakeClient(document)) as opened:
            await opened.press("A")
            assert "no alert waits" in opened.toasts()[-1]

    asyncio.run(flow())

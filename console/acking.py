"""Acknowledging alerts from any screen that shows them: which one, why, the act; and taking it back."""

from collections.abc import Coroutine, Sequence
from typing import Any

from console.acting import Acting
from console.modals.ask import Option, Question
from console.modals.pick import Pick
from console.text import plural
from console.widgets.pieces import Line, line, wrapped

Document = dict[str, Any]
UNDOABLE = ("alert_ack",)


def waiting(doc: Document) -> list[Document]:
    """Alerts that stand and that nobody acknowledged."""
    return [alert for alert in doc["alerts"] if alert.get("id") is not None and not alert["acked"]]


class AckDesk:
    """The acts on alerts of a console; what came of one is a toast."""

    def __init__(self, deck: Any) -> None:
        self.deck = deck
        self._desk = Acting(self, UNDOABLE)

    def told(self) -> None:
        """Only the outcome is told: see `renew`."""

    def renew(self, _gone: Sequence[str], _good: Sequence[str]) -> None:
        """Alerts are told anew by the engine."""
        self.deck.session.refresh()

    def acknowledge(self) -> None:
        self._desk.carry("ack", self._asked(waiting(self.deck.mirror.doc)))

    def undo(self) -> None:
        self._desk.carry("undo", self._undone(self._desk.undo()))

    async def _undone(self, undo: Coroutine[Any, Any, None]) -> None:
        await undo
        self._toast()

    async def _asked(self, alerts: Sequence[Document]) -> None:
        chosen = await self._chosen(alerts)
        if not chosen:
            return
        words = plural(len(chosen), "alert")

        def lines(width: int) -> list[Line]:
            return [line((part, "warn")) for one in chosen for part in wrapped(one["text"], width)]

        options = [Option("ack", f"Acknowledge {words}")]
        answer = await self.deck.push_screen_wait(
            Question(f"Somebody knows of {words}", lines, options, reason="must")
        )
        if answer is None:
            return
        ids = [str(one["id"]) for one in chosen]
        done = await self._desk.carry_out("ack", f"acknowledging {words}", {"alerts": ids}, answer.reason)
        if done is not None:
            self.renew((), ())
            self.deck.tell(f"{words} acknowledged; z on Events takes it back")

    async def _chosen(self, alerts: Sequence[Document]) -> list[Document]:
        """The one that is picked, or all; without asking where there is only one."""
        if len(alerts) < 2:
            return list(alerts)
        ways = [line(("! ", "warn"), one["text"]) for one in alerts]
        ways.append(line(("all ", "strong"), plural(len(alerts), "alert")))
        place = await self.deck.push_screen_wait(Pick("Which alert?", lambda _width: [], ways))
        if place is None:
            return []
        return list(alerts) if place == len(alerts) else [alerts[place]]

    def _toast(self) -> None:
        told = "".join(text for text, _ in self._desk.told).strip()
        if told:
            self.deck.tell(told)

"""Alerts in state.db: a restart neither repeats nor forgets; acknowledged, undone, listed, kept in bounds."""

import pytest

from engine.domain.instants import HOUR_US, MINUTE_US, SECOND_US
from engine.errors import UsageError
from engine.messages import Command
from engine.runtime.alerts import stored as alert_book
from engine.runtime.alerts.book import AlertBook
from engine.runtime.alerts.rules import Alert, Reading, Rule
from engine.runtime.engine import Engine
from engine.store.reader import Reader
from tests.alerts.conftest import Desk
from tests.runtime.deck import NOW, PRICE_COLUMNS, Deck, bar, buy, to_csv

RULES = {"X": Rule("X", for_us=MINUTE_US), "Y": Rule("Y")}
BAD, WELL = {"X": [Reading(1, "x is bad", "mend x")]}, {"X": []}


def looking(*looks: tuple[dict[str, list[Reading]], int], owed: int = 0):  # type: ignore[no-untyped-def]
    """Looks at instants after NOW, in seconds; what stands at last."""

    async def act(book: AlertBook) -> list[Alert]:
        found: list[Alert] = []
        for looked, after_s in looks:
            found = await book.look(looked, RULES, NOW + after_s * SECOND_US, owed=owed)
        return found

    return act


def test_restart__raised_alert__is_not_raised_again(desk: Desk) -> None:
    desk.within(looking((BAD, 0), (BAD, 60)))
    desk.within(looking((BAD, 70)))
    desk.within(looking((WELL, 80)))
    desk.within(looking((WELL, 90)))

    assert desk.told == [("alert_raised", 1), ("alert_cleared", 1)]
    assert desk.lines == [
        "warn alert_raised alert 1 X: x is bad", "info alert_cleared alert 1 X is over; it was: x is bad",
    ]  # fmt: skip


def test_restart__pending_alert__is_not_forgotten(desk: Desk) -> None:
    assert desk.within(looking((BAD, 0)))[0].state == "pending"
    assert desk.within(looking((BAD, 60)))[0].state == "raised"

    assert desk.told == [("alert_raised", 1)]


def test_look__nothing_moved__nothing_is_written(desk: Desk) -> None:
    desk.within(looking(({"Y": [Reading(1, "for 1 day")]}, 0)))
    before = desk.deck.truth()

    desk.within(looking(({"Y": [Reading(1, "for 2 days")]}, 10), ({"X": [], "Y": [Reading(1)]}, 20)))

    assert desk.deck.truth() == before


def test_book__many_cleared_alerts__keeps_the_newest_and_never_a_number_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.runtime.alerts.book.KEPT", 3)
    bad, well = {"Y": [Reading(1, "y")]}, {"Y": []}
    looks = [(look, second) for second in range(0, 40, 2) for look in (bad, well)]

    desk.within(looking(*looks))
    again = desk.within(looking((bad, 100)))

    assert [one.id for one in again] == [21]
    assert len(desk.deck.sql("SELECT * FROM alerts")) <= 5
    assert len(set(desk.told)) == len(desk.told) == 41


def ack(desk: Desk, *which: str, reason: str = "they know") -> dict[str, object]:
    command = Command("alert_ack", {"alerts": list(which)}, actor="ana", reason=reason)
    return desk.deck.with_engine(lambda engine: engine.do(command), writing=True)


def shown(desk: Desk) -> list[dict[str, object]]:
    return list(desk.deck.ask("alerts")["alerts"])


@pytest.fixture
def aside(desk: Desk) -> Desk:
    """A home in which a row waits in quarantine."""
    desk.deck.take(buy(action="buy"))
    return desk


def test_status__no_engine_ran__alert_stands_without_a_number(aside: Desk) -> None:
    (alert,) = [one for one in shown(aside) if one["code"] == "QUARANTINE_OPEN"]

    assert (alert["id"], alert["text"], alert["acked"]) == (None, "1 row waits in quarantine", None)


def test_ack__by_code__is_a_decision_that_status_shows(aside: Desk) -> None:
    done = ack(aside, "QUARANTINE_OPEN")

    (alert,) = [one for one in aside.deck.ask("status")["alerts"] if one["code"] == "QUARANTINE_OPEN"]
    assert (alert["acked"]["actor"], alert["acked"]["reason"]) == ("ana", "they know")
    (decision,) = aside.deck.ask("decisions", limit=5, offset=0)["rows"]
    assert decision["kind"] == "alert_ack"
    assert [decision["decision"]] == done["decisions"]


def test_ack__changes_no_figure__values_are_not_stale(aside: Desk) -> None:
    aside.deck.take(buy())
    aside.deck.ingest(aside.deck.file("prices.csv", to_csv([bar()], PRICE_COLUMNS)))
    aside.deck.value()
    assert "VALUES_STALE" not in {one["code"] for one in shown(aside)}
    ack(aside, "QUARANTINE_OPEN")
    aside.deck.with_engine(lambda engine: engine.do(Command("undo", {}, actor="ana")), writing=True)

    assert "VALUES_STALE" not in {one["code"] for one in shown(aside)}


def test_undo__of_an_ack__asks_for_somebody_again(aside: Desk) -> None:
    ack(aside, "QUARANTINE_OPEN")
    aside.deck.with_engine(lambda engine: engine.do(Command("undo", {}, actor="ana")), writing=True)

    assert {one["acked"] for one in shown(aside) if one["code"] == "QUARANTINE_OPEN"} == {None}


def test_ack__alert_clears__ends_with_it(desk: Desk) -> None:
    bad, well = {"Y": [Reading(1, "y")]}, {"Y": []}
    desk.within(looking((bad, 0)))

    async def act(engine: Engine) -> object:
        engine.alerts_watched = True
        return await engine.do(Command("alert_ack", {"alerts": ["1"]}, actor="ana", reason="known"))

    desk.deck.with_engine(act, writing=True)  # type: ignore[arg-type]
    desk.within(looking((well, 10), (bad, 20)))

    with Reader(desk.deck.home.state) as reader:
        told = [alert_book.told(one, alert_book.acks(reader)) for one in alert_book.stored(reader, "1")]
    assert [(one["id"], one["state"], bool(one["acked"])) for one in told] == [
        (1, "cleared", True), (2, "raised", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("which", "reason"), [(["99"], "why"), ([], "why"), (["QUARANTINE_OPEN"], " "), (["NO_SUCH"], "why")]
)
def test_ack__of_what_does_not_stand_or_without_a_reason__is_refused(
    aside: Desk, which: list[str], reason: str
) -> None:
    with pytest.raises(UsageError):
        ack(aside, *which, reason=reason)
    assert aside.deck.counts()["decisions"] == 0


def test_ack__twice__is_refused(aside: Desk) -> None:
    ack(aside, "QUARANTINE_OPEN")

    with pytest.raises(UsageError, match="already"):
        ack(aside, "QUARANTINE_OPEN")


def test_list_all__tells_what_cleared(aside: Desk) -> None:
    ack(aside, "QUARANTINE_OPEN")
    (row,) = aside.deck.ask("quarantine", status="open")["rows"]
    command = Command("quarantine_reject", {"ids": [row["id"]]}, actor="ana", reason="a test")
    aside.deck.with_engine(lambda engine: engine.do(command), writing=True)
    aside.deck.drop("notes.txt", b"hello")
    ack(aside, "INBOX_NAME")  # has every alert looked at

    cleared = aside.deck.ask("alerts", all=True)["cleared"]

    assert [(one["code"], one["acked"]["reason"]) for one in cleared] == [("QUARANTINE_OPEN", "they know")]


def test_quarantine__older_than_the_setting__is_an_alert_of_its_own(aside: Desk) -> None:
    later = Deck(aside.deck.path, clock=lambda: NOW + 73 * HOUR_US)

    text = [one["text"] for one in later.ask("status")["alerts"] if one["code"] == "QUARANTINE_OLD"]

    assert text == ["the oldest row has waited in quarantine for 3 days"]

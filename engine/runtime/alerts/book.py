"""Keeps the alerts of a home in state.db: what stands, and what of it is still to be delivered.

Stored before it is told: after a crash nothing is raised twice and nothing is forgotten.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.runtime.alerts.rules import Alert, Looked, Rule, judge, shifted
from engine.runtime.alerts.stored import COLUMNS, next_id, stored, told
from engine.store.reader import Reader

if TYPE_CHECKING:
    from engine.store.writer import Writer

KEPT = 1_000  # alerts; the oldest cleared ones go
_PUT = (
    f"INSERT INTO alerts({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT(alert)"
    f" DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])}"
)
_TRIM = (
    "DELETE FROM alerts WHERE state = 'cleared' AND owed = 0 AND alert <= (SELECT max(alert) FROM alerts) - ?"
)
Log = Callable[[str, str, str], None]  # level, kind, text
Tell = Callable[[str, dict[str, Any]], None]


class AlertBook:
    """What stands, kept in step with state.db. One look or delivery note at a time."""

    def __init__(self, state: Path, writer: "Writer", tell: Tell, log: Log) -> None:
        self._state, self._writer = state, writer
        self._tell, self._log = tell, log
        self._one = asyncio.Lock()
        self._alerts: list[Alert] | None = None  # what stands, and what is owed of others
        self._next_id = 1
        self.news: list[asyncio.Event] = []  # of each way out: set when something more is to be delivered

    async def look(
        self, looked: Looked, rules: Mapping[str, Rule], now: int, *, jump_us: int = 0, owed: int = 0
    ) -> list[Alert]:
        """Judges by new readings, stores what moved, then tells it; what stands now.

        `jump_us`: the clock was set by so much since the last look. `owed`: the bits of being raised that
        are to be delivered (see courier.py).
        """
        async with self._one:
            known = await self._known()
            standing = [alert for alert in known if alert.state != "cleared"]
            others = [alert for alert in known if alert.state == "cleared"]
            before = shifted(standing, jump_us)
            after = judge(before, looked, rules, now, self._next_id)
            after = [_owing(alert, before, owed) for alert in after]
            if _stored_part(after) != _stored_part(standing):
                await self._writer.to_its_end(self._store(standing, after))
            self._next_id = max([self._next_id, *(alert.id + 1 for alert in after)])
            kept = [alert for alert in after if alert.state != "cleared" or alert.owed]
            self._alerts = sorted([*others, *kept], key=lambda alert: alert.id)
            self._announce(before, after)
        return [alert for alert in after if alert.state != "cleared"]

    async def _known(self) -> list[Alert]:
        if self._alerts is None:
            alerts, self._next_id = await asyncio.to_thread(_read, self._state)
            self._alerts = alerts
        return self._alerts

    async def _store(self, before: list[Alert], after: list[Alert]) -> None:
        gone = {alert.id for alert in before} - {alert.id for alert in after}
        async with self._writer.transaction() as (connection, _):
            for one in gone:
                await connection.exec_driver_sql("DELETE FROM alerts WHERE alert = ?", (one,))
            if after:
                await connection.exec_driver_sql(_PUT, [astuple(alert) for alert in after])
            await connection.exec_driver_sql(_TRIM, (KEPT,))

    def _announce(self, before: list[Alert], after: list[Alert]) -> None:
        was = {alert.id: alert.state for alert in before}
        for alert in after:
            if alert.state == "pending" or was.get(alert.id) == alert.state:
                continue
            self._tell(f"alert_{alert.state}", told(alert, {}))
            about = f"alert {alert.id} {alert.code}"
            if alert.state == "raised":
                self._log("warn", "alert_raised", f"{about}: {alert.text}")
            else:
                self._log("info", f"alert_{alert.state}", f"{about} is over; it was: {alert.text}")
            for news in self.news:
                news.set()

    # -- deliveries --

    async def owed(self, bits: int) -> list[Alert]:
        """Alerts of which something with these bits is still to be delivered, oldest first."""
        async with self._one:
            return [alert for alert in await self._known() if alert.owed & bits]

    async def delivered(self, number: int, bit: int) -> None:
        """Notes that this part of an alert needs no delivery any more."""
        async with self._one:
            await self._writer.to_its_end(self._note_delivered(number, bit))
            noted = [
                replace(one, owed=one.owed & ~bit) if one.id == number else one for one in await self._known()
            ]
            self._alerts = [one for one in noted if one.state != "cleared" or one.owed]

    async def _note_delivered(self, number: int, bit: int) -> None:
        async with self._writer.transaction() as (connection, _):
            await connection.exec_driver_sql(
                "UPDATE alerts SET owed = owed & ~? WHERE alert = ?", (bit, number)
            )


def _read(state: Path) -> tuple[list[Alert], int]:
    with Reader(state) as reader:
        return stored(reader, "state <> 'cleared' OR owed <> 0"), next_id(reader)


def _owing(alert: Alert, before: Iterable[Alert], owed: int) -> Alert:
    was = next((one.state for one in before if one.id == alert.id), "pending")
    if alert.state == was or alert.state == "pending":
        return alert
    return replace(alert, owed=alert.owed | (owed if alert.state == "raised" else owed << 1))


def _stored_part(alerts: Iterable[Alert]) -> list[tuple[Any, ...]]:
    """What must survive a restart: the words may be told anew."""
    names = ("id", "state", "since", "raised_at", "well_since", "cleared_at", "owed")
    return [tuple(getattr(one, name) for name in names) for one in alerts]

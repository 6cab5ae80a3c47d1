"""An act on the lake, in a process that kills itself at a chosen step of it.

`python -m tests.compaction.ended HOME ACT NOW STEP`. Steps are the calls that change the disk, every
statement of the one who writes, and each of its commits, before and after; 0: none, and their number is told.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine as Database
from sqlalchemy import event

from tests.compaction.lake import act, within
from tests.faults.calls import POWER, Faults
from tests.runtime.deck import Deck


class Steps(Faults):
    """Counts, and ends this process at one of them."""

    def step(self, name: str) -> None:
        self.calls.append(name)
        self._fails(name, len(self.calls))

    def _fails(self, _name: str, asked: int) -> bool:
        if asked == self.number:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    def watch(self) -> None:
        """Statements and commits of state.db's writer."""

        def before(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            self.step(f"before {statement[:30]}")

        event.listen(Database, "before_cursor_execute", before)
        event.listen(Database, "commit", lambda _connection: self.step("before COMMIT"))


def carry_out(deck: Deck, name: str) -> None:
    if name == "value":
        deck.value(resolution="5m")
    elif name == "seal":
        within(deck, lambda engine: engine.upkeep.seal())
    else:
        act(deck, name)


def ended(path: Path, name: str, now: int, number: int) -> int:
    """Runs it; how many steps it has."""
    steps = Steps(path, number, POWER)
    with pytest.MonkeyPatch.context() as patch:
        steps.install(patch)
        steps.watch()
        deck = Deck(path, lambda: now)
        carry_out(deck, name)
    return len(steps.calls)


if __name__ == "__main__":
    home, name, now, number = sys.argv[1:]
    print(ended(Path(home), name, int(now), int(number)))

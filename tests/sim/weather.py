"""What the disk and the process go through: a full disk, calls that fail, an end at any call or commit."""

import errno
import os
import signal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from engine.store import commit
from tests.faults.calls import Faults

ERROR_RATE = 0.05  # of changing calls, while there are errors
PLENTY, NONE = 10**12, 0


class Weather(Faults):
    """Over the files below `root`. `full`, `failing`: now; `end_in`: the process ends after so many steps."""

    def __init__(self, root: Path, chance: Random) -> None:
        super().__init__(root, 0, errno.EIO)
        self._chance = chance
        self.full = False
        self.failing = False
        self.end_in = 0
        self.seen: dict[str, int] = {}  # how often each fault did something

    def install(self, patch: pytest.MonkeyPatch) -> None:
        super().install(patch)
        finish = commit._finish

        def finished(*arguments: Any) -> None:
            self._step()
            finish(*arguments)
            self._step()

        patch.setattr(commit, "_finish", finished)

    def free_bytes(self, _: Path) -> int:
        return NONE if self.full else PLENTY

    def _fails(self, name: str, asked: int) -> bool:
        self._step()
        self.calls.clear()
        if self.full and name not in ("unlink", "rmdir", "ftruncate"):
            return self._now(errno.ENOSPC)
        return self.failing and self._chance.random() < ERROR_RATE and self._now(errno.EIO)

    def _now(self, code: int) -> bool:
        self.code = code
        told = errno.errorcode[code]
        self.seen[told] = self.seen.get(told, 0) + 1
        return True

    def _step(self) -> None:
        if self.end_in:
            self.end_in -= 1
            if not self.end_in:
                os.kill(os.getpid(), signal.SIGKILL)

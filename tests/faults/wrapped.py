"""The command line as tests of sudden ends run it: it says what it was told is done, and may kill itself.

`python -m tests.faults.wrapped WHEN N ARGUMENT…`: the process that commits kills itself and its whole group
`before` or `after` its Nth commit, or `never`. Finished files are told on stderr as `ack STATUS NAME`.
A spawned worker runs this module too, and so is wrapped alike.
"""

import os
import signal
import sys
from typing import Any

from engine.runtime.engine import Engine
from engine.store import commit

_finish, _tell = commit._finish, Engine.tell
_commits = 0


def _finished(*arguments: Any) -> None:
    global _commits
    _commits += 1
    when, number = sys.argv[1], int(sys.argv[2])
    if when == "before" and _commits == number:
        os.killpg(0, signal.SIGKILL)
    _finish(*arguments)
    if when == "after" and _commits == number:
        os.killpg(0, signal.SIGKILL)


def _told(self: Engine, kind: str, data: dict[str, Any]) -> None:
    if kind == "file_done":
        sys.stderr.write(f"ack {data['status']} {data['name']}\n")
        sys.stderr.flush()
    _tell(self, kind, data)


commit._finish = _finished  # type: ignore[assignment]
Engine.tell = _told  # type: ignore[method-assign]

if __name__ == "__main__":
    from console.cli import main

    sys.exit(main(sys.argv[3:]))

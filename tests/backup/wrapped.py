"""A backup verb as tests of sudden ends run it: it kills itself at its Nth touch of the backups' files.

`python -m tests.backup.wrapped N FOLDER ARGUMENT…`: a touch is a file made, renamed, linked or removed, or a
folder made, below FOLDER. Without a kill it says on stderr how many touches there were.
"""

import os
import signal
import sys
from typing import Any

_EVENTS = ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir")
_touches = 0


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    global _touches
    made = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
    if (event in _EVENTS or made) and str(arguments[0]).startswith(sys.argv[2]):
        _touches += 1
        if _touches == int(sys.argv[1]):
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    from console.cli import main

    sys.addaudithook(_hear)
    code = main(sys.argv[3:])
    sys.stderr.write(f"touches {_touches}\n")
    sys.exit(code)

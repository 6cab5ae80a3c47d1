"""rejected/: where refused files go, each beside its reason."""

import json
import os
import shutil
from itertools import count
from pathlib import Path
from typing import Any

from engine.runtime.home import Home, safe_name
from engine.store.files import FILE_MODE, fsync_path, publish


def set_aside(home: Home, refused: dict[str, Any], path: Path, claimed: bool) -> None:
    """Puts a refused file into rejected/, beside its reason; a named file is copied, not taken away.

    The reason comes first, and a claim stays until the verdict is committed: a crash in between leaves
    nothing in rejected/ unexplained, and the file is simply judged again.
    """
    target = _target(home.rejected, refused["name"], refused["sha256"])
    record = {key: refused[key] for key in ("name", "sha256", "reason", "detail")}
    publish(target.with_name(f"{target.name}.reason.json"), json.dumps(record, indent=2).encode() + b"\n")
    if refused["sha256"] is not None:
        _copy(path, target)
    elif claimed:
        os.rename(path, target)
    fsync_path(home.rejected)


def _target(folder: Path, name: str, sha256: str | None) -> Path:
    """Where a refused file goes. Equal bytes share a place; what has no bytes gets one of its own."""
    name = safe_name(name)
    if sha256 is not None:
        return folder / f"{sha256[:12]}-{name}"
    places = (folder / f"no-content-{number}-{name}" for number in count(1))
    return next(place for place in places if not os.path.lexists(place))


def _copy(path: Path, target: Path) -> None:
    """Copies a file whole or not at all."""
    temporary = target.with_name(f".{target.name}.tmp")
    shutil.copyfile(path, temporary, follow_symlinks=False)
    temporary.chmod(FILE_MODE)
    with temporary.open("rb") as copy:
        os.fsync(copy.fileno())
    temporary.rename(target)

"""The second place of backups, and the operator's own command after one. A failure is told, never raised.

The second shelf has the same layout, so that every verb and RESTORE.txt work there too. Its objects are
copies: they share nothing with the home's disk.
"""

import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.backup.layout import FILES, GUIDE, MANIFEST, SUMS, Shelf, sha256_of
from engine.backup.objects import TEMPORARY, Keeper, clear_leftovers, copy_to, prune
from engine.errors import EngineError
from engine.store.files import fsync_folder, make_folder
from engine.store.troubles import writable

HOOK_S = 600  # an off-site copy that takes longer is ended
TOLD_MAX = 2_000  # characters of what the hook said


def copy_backup(shelf: Shelf, other: Shelf, name: str, keep: Iterable[str]) -> dict[str, Any]:
    """Brings a backup to the other shelf and keeps there what is kept here; what became of it."""
    told: dict[str, Any] = {"folder": str(other.path), "ok": True, "error": None}
    try:
        with writable(), other.held():
            clear_leftovers(other)
            keeper = _copied(shelf, other, name)
            told |= {"new_files": keeper.stored_files, "new_bytes": keeper.stored_bytes}
            told |= prune(other, set(keep) & set(other.ids()))
    except (EngineError, OSError) as error:
        told |= {"ok": False, "error": str(error)}
    return told


def _copied(shelf: Shelf, other: Shelf, name: str) -> Keeper:
    keeper = Keeper(other)
    make_folder(other.path)
    for file in shelf.manifest(name).files:
        keeper.keep(shelf.object(file.sha256), file.path, file.sha256, link=False)
    keeper.finish()
    temporary = other.path / f"{TEMPORARY}{name}"
    if not other.folder(name).exists():
        make_folder(temporary)
        for part in (FILES, GUIDE, MANIFEST, SUMS):
            source = shelf.folder(name) / part
            copy_to(source, temporary / part, sha256_of(source))
        os.sync()
        temporary.rename(other.folder(name))
        fsync_folder(other.path)
    return keeper


def run_hook(
    command: Sequence[str], told: dict[str, Any], folder: Path, timeout_s: float = HOOK_S
) -> dict[str, Any]:
    """Runs `command` without a shell in a folder, with the backup's facts as JSON on its input."""
    data = json.dumps(told).encode()
    try:
        done = subprocess.run(
            list(command), input=data, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"ok": False, "exit_code": None, "error": f"It did not end within {timeout_s:g} s."}
    except OSError as error:
        return {"ok": False, "exit_code": None, "error": str(error)}
    said = done.stderr.decode(errors="replace")[-TOLD_MAX:].strip()
    failed = done.returncode != 0
    return {"ok": not failed, "exit_code": done.returncode, "error": said if failed else None}

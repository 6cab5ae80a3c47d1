"""The second place of backups, and the operator's own command after one. A failure is told, never raised.

The second shelf has the same layout, so that every verb and RESTORE.txt work there too. Its objects are
copies: they share nothing with the home's disk.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from engine import hooks
from engine.backup.layout import FILES, GUIDE, MANIFEST, SUMS, Shelf, sha256_of
from engine.backup.objects import TEMPORARY, Keeper, clear_leftovers, copy_to, prune
from engine.errors import EngineError
from engine.hooks import Ended
from engine.store.files import fsync_path, make_folder
from engine.store.troubles import writable

HOOK_S = 600.0  # an off-site copy that takes longer is ended
LOOK_S = 0.2  # between two looks whether the job was cancelled


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
        fsync_path(other.path)
    return keeper


def run_hook(
    command: Sequence[str], told: dict[str, Any], folder: Path, cancelled: Callable[[], bool]
) -> dict[str, Any]:
    """Runs `command` in a folder, with the backup's facts as JSON on its input; what became of it."""
    ended = asyncio.run(_ended(command, told, folder, cancelled))
    return {"ok": ended.error is None, "exit_code": ended.exit_code, "error": ended.error}


async def _ended(
    command: Sequence[str], told: dict[str, Any], folder: Path, cancelled: Callable[[], bool]
) -> Ended:
    running = asyncio.create_task(hooks.run_hook(command, told, folder, HOOK_S))
    while not (await asyncio.wait({running}, timeout=LOOK_S))[0]:
        if cancelled():
            running.cancel()
            await asyncio.wait({running})
            return Ended(None, "the job was cancelled, and the command with it")
    return running.result()

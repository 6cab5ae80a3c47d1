"""`navdeck split`: a CSV that is too large becomes files beside each other that are not."""

from pathlib import Path

from engine.errors import UsageError
from engine.ingestion.csv_processor import CSV_BYTES_MAX
from engine.ingestion.split import split_csv
from engine.store.files import publish


def split_file(path: Path, folder: Path) -> list[Path]:
    """Writes the parts of `path` into `folder` as NAME-001.csv, …; nothing is written over.

    A file that is taken as it is has no parts: nothing is written.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}.", "Name a CSV file.")
    data = path.read_bytes()
    parts = split_csv(data)
    if len(parts) == 1 and len(data) <= CSV_BYTES_MAX:
        return []
    width = max(3, len(str(len(parts))))
    targets = [folder / f"{path.stem}-{number:0{width}d}.csv" for number in range(1, len(parts) + 1)]
    taken = [str(target) for target in targets if target.exists()]
    if taken:
        raise UsageError(f"{taken[0]} is there already.", "Remove it, or name another folder with --to.")
    for target, part in zip(targets, parts, strict=True):
        publish(target, part)
    return targets

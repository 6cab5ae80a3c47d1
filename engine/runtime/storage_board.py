"""What the lake holds and what the disk has left: figures of the catalogue, no file is touched."""

import shutil
from pathlib import Path
from typing import Any

from engine.domain.resolutions import RESOLUTIONS
from engine.runtime.home import Home
from engine.store.reader import Reader

_LAKE = (
    "SELECT dataset, resolution, count(*) FILTER (WHERE dead_at IS NULL) AS files,"
    " coalesce(sum(bytes) FILTER (WHERE dead_at IS NULL), 0) AS bytes,"
    " coalesce(sum(rows) FILTER (WHERE dead_at IS NULL), 0) AS rows,"
    " count(DISTINCT dt || asset) FILTER (WHERE dead_at IS NULL) AS partitions,"
    " min(dt) FILTER (WHERE dead_at IS NULL) AS first, max(dt) FILTER (WHERE dead_at IS NULL) AS last,"
    " count(*) FILTER (WHERE dead_at IS NOT NULL) AS dead_files,"
    " coalesce(sum(bytes) FILTER (WHERE dead_at IS NOT NULL), 0) AS dead_bytes"
    " FROM lake_files GROUP BY dataset, resolution ORDER BY dataset, resolution"
)


def storage(home_path: str, _now: int, _arguments: dict[str, Any]) -> dict[str, Any]:
    """Live and dead files by dataset and resolution, open rows, free disk against what intake needs."""
    home = Home(Path(home_path))
    config = home.config()
    with Reader(home.state) as reader:
        lake = reader.records(_LAKE)
        open_rows = reader.count("open_snapshots")
    return {
        "lake": lake,
        "open_rows": open_rows,
        "disk": {
            "free_bytes": shutil.disk_usage(home.path).free,
            "least_bytes": config["disk.free_bytes_min"],
        },
        "profile": config["memory.profile"],
        "keep_days": {name: config[f"retention.days_{name}"] for name in RESOLUTIONS},
    }

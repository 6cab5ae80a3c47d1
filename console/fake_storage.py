"""The lake of the pretended engine."""

from typing import Any

Document = dict[str, Any]


def _kept(resolution: str, files: int, size: int, rows: int, dead: int, first: str) -> Document:
    return {
        "dataset": "snapshots", "resolution": resolution, "files": files, "bytes": size, "rows": rows,
        "partitions": files, "first": first, "last": "2026-03-04", "dead_files": dead,
        "dead_bytes": dead * 11_000,
    }  # fmt: skip


STORAGE: Document = {
    "lake": [
        _kept("1d", 14_610, 58_440_000, 43_830, 0, "2022-03-05"),
        _kept("1h", 7_320, 44_900_000, 527_040, 24, "2025-03-05"),
        _kept("5m", 600, 7_104_000, 518_400, 310, "2026-02-03"),
    ],
    "open_rows": 0,
    "disk": {"free_bytes": 71_400_000_000, "least_bytes": 2_000_000_000},
    "profile": "DEFAULT",
    "keep_days": {"5m": 30, "1h": 365, "1d": 0},
}
SIZES = {"before": {"files": 22_864, "bytes": 114_118_000}, "after": {"files": 22_530, "bytes": 106_900_000}}


def storage_job(name: str) -> Document:
    """The plan, and what it came to."""
    if name == "compact":
        steps = [
            {"what": "re-encode", "why": "days before 2026-02-25 are cold", "files": 410, "bytes": 4_860_000,
             "peak_bytes": 1_700_000},
            {"what": "sweep dead", "why": "replaced, and nobody reads them any more", "files": 334,
             "bytes": 3_674_000, "peak_bytes": 0},
        ]  # fmt: skip
        about = {"profile": "DEFAULT", "peak_bytes": 1_700_000, "steps": steps}
        return {"dry_run": True, "cancelled": False} | about | SIZES
    rows = [
        {"resolution": "5m", "days": 4, "files": 80, "bytes": 947_000, "kept_because": None},
        {"resolution": "1h", "days": 0, "files": 0, "bytes": 0, "kept_because": None},
    ]
    return {"dry_run": True, "cancelled": False, "resolutions": rows, "problems": []} | SIZES

"""Backups and drills of the pretended engine."""

from typing import Any

Document = dict[str, Any]


def _backup(day: int, number: int, verified: bool | None = True) -> Document:
    at = f"2026-03-{day:02d}T01:30:04Z"
    return {
        "id": f"202603{day:02d}T013004Z-{number:04d}", "made_at": at,
        "reached": f"2026-03-{day:02d}T01:29:58Z", "records": 4_000 + 31 * number,
        "files": 18_204 + 210 * number, "bytes": 1_204_118_233 + 8_120_000 * number,
        "digest": "5d41402abc4b2a76b9719d911017c592ae3a1f7c8f0f0e7a5f8d8b9c3e1d2a4b", "left_out": [],
        "age_s": 0, "verified": verified, "verified_at": None if verified is None else at, "problem": None,
    }  # fmt: skip


def _step(name: str, seconds: float, told: str = "", ok: bool = True) -> Document:
    return {"step": name, "ok": ok, "seconds": seconds, "told": told}


STEPS = [
    _step("restore the newest backup", 11.8, "18,204 files"),
    _step("open it and recompute", 21.4, "ledger, observations, decisions, open_lots, realized agree"),
    _step("restore 2026-02-19T07:12:09Z from the newest backup before it", 9.2),
    _step("restore 2026-02-19T07:12:09Z from the journal alone", 24.1, "the digests agree"),
]
BACKUPS: Document = {
    "folder": "backups",
    "backups": [_backup(4, 63, None), _backup(3, 62), _backup(2, 61), _backup(1, 60, False)],
    "drills": [
        {"at": "2026-03-01T02:00:00Z", "verdict": "passed", "backup": "20260301T013004Z-0060", "rto_s": 11.8,
         "rpo_s": 1800.0, "instant": "2026-02-19T07:12:09Z", "steps": STEPS},
        {"at": "2026-02-22T02:00:00Z", "verdict": "failed", "backup": "20260222T013004Z-0053", "rto_s": 12.9,
         "rpo_s": 1790.0, "instant": "2026-01-30T19:44:51Z",
         "steps": [*STEPS[:1], _step("open it and recompute", 3.2, "realized differs", ok=False)],
         "problem": "The restored home does not follow from its inputs: realized differs."},
    ],
}  # fmt: skip

LAST_BACKUP: Document = {  # as the overview tells it
    **{key: BACKUPS["backups"][0][key] for key in ("id", "made_at", "verified")},
    "drill": {key: BACKUPS["drills"][0][key] for key in ("at", "verdict")},
}


def backup_job(name: str) -> Document:
    """What a job comes to."""
    if name == "backup_create":
        return {"id": "20260304T140700Z-0064"}
    return {"verdict": "passed"} if name == "backup_drill" else {"ok": True}

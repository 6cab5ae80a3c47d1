"""A day of the whole engine under seeded faults ends with the books of a home that was left in peace."""

import asyncio
import csv
import io
import json
import subprocess
import sys
from decimal import Decimal
from itertools import groupby
from pathlib import Path

import pytest

from engine.messages import Command
from engine.runtime.engine import make_home
from engine.runtime.home import Home
from engine.store import journal_audit
from tests.runtime.deck import ROOT, Deck
from tests.runtime.desk import fix, reject, release
from tests.sim.plan import BUCKET_S, HOUR_S, NO_PRICE, Plan, plan

NIGHT_SEED, NIGHT_S = 381, HOUR_S * 3 // 2  # in UTC, with every fault; its backup is made within it
NIGHT_SETTINGS = b'\n[backup]\nat = "00:45"\n'
STARTS_MAX = 20
STRETCH_S = 900.0  # of real time for one process; a machine may be busy
LIKE = ("ledger", "observations", "open_lots", "realized", "quarantine")  # decisions tell when they were made
RSS_GROWTH_BYTES, FILES_GROWTH, TASKS_GROWTH = 64 << 20, 8, 12  # over a process's hours but its first


def test_night__with_every_fault__ends_with_the_books_of_a_quiet_one(tmp_path: Path) -> None:
    _lives_and_agrees(plan(NIGHT_SEED, NIGHT_S), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 51))
def test_day__with_every_fault__ends_with_the_books_of_a_quiet_one(seed: int, tmp_path: Path) -> None:
    _lives_and_agrees(plan(seed), tmp_path)


def _lives_and_agrees(day: Plan, tmp_path: Path) -> None:
    print(f"seed {day.seed}, {day.zone}")  # shown if it fails
    lived, quiet = _home(tmp_path / "lived", day), _home(tmp_path / "quiet", day)
    starts = _live(tmp_path / "lived", day)
    _keep_quietly(quiet, day)
    assert starts > 1, "nothing was killed"
    assert _parts(lived) == _parts(quiet)
    assert lived.ask("verify")["ok"]
    assert journal_audit.verify(lived.home.journal).problems == []
    assert lived.rejected() == []
    _nothing_is_invented(lived, day)
    _nothing_grows(tmp_path / "lived" / "looks")
    _backed_up(lived)


def _home(folder: Path, day: Plan) -> Deck:
    folder.mkdir()
    home = Home(folder / "home")
    asyncio.run(make_home(home, "USD", day.zone, "FIFO", lambda: day.start))
    if day.seed == NIGHT_SEED:
        home.config_path.write_bytes(home.config_path.read_bytes() + NIGHT_SETTINGS)
    return Deck(home.path, clock=lambda: day.start + day.seconds * 10**6)


def _live(folder: Path, day: Plan) -> int:
    """Starts the engine again whenever it was killed; how often it was started."""
    words = [str(folder), str(day.seed), str(day.seconds)]
    for starts in range(1, STARTS_MAX):
        done = subprocess.run([sys.executable, "-m", "tests.sim.day", *words], cwd=ROOT, timeout=STRETCH_S,
                              capture_output=True, text=True)  # fmt: skip
        if done.returncode == 0:
            return starts
        assert done.returncode == -9, done.stderr[-4_000:]
    raise AssertionError("It never ends.")


def _keep_quietly(deck: Deck, day: Plan) -> None:
    """All files at once, then what the operator did."""
    deck.ingest(*(deck.file(name, data) for name, data in day.files.items()))
    for one in day.happenings:
        if one.kind in ("reject", "release"):
            rows = [row for row in deck.ask("quarantine")["rows"] if row["file"] == one.name]
            mendable = [row["id"] for row in rows if row["row"]["notes"] == NO_PRICE]
            mendable = mendable if one.kind == "release" else []
            others = [row["id"] for row in rows if row["id"] not in mendable]
            if mendable:
                fix(deck, mendable, unit_price_usd="7")
                release(deck, mendable)
            reject(deck, others)


def _parts(deck: Deck) -> dict[str, str]:
    parts = deck.digest()["parts"]
    return {name: parts[name] for name in LIKE}


def _nothing_is_invented(deck: Deck, day: Plan) -> None:
    """A holding has a price where somebody said one for that very close, and nowhere else."""
    said = {(row["asset_id"], row["bucket_close"]): row["close"] for row in _rows(day, "bars-")}
    rates = {row["asof"]: row["rate"] for row in _rows(day, "rates-")}
    columns = "asset_id, bucket_close, price, fx_asof, fx_rate, reason"
    found = deck.ask("sql", query=f"SELECT {columns} FROM snapshots_5m WHERE kind = 'holding'")["rows"]
    assert len(found) > day.seconds // BUCKET_S
    for asset, close, price, fx_asof, fx_rate, reason in found:
        assert _same(price, said.get((asset, close))), (asset, close)
        assert price is not None or reason == "NO_PRICE", (asset, close, reason)
        assert fx_asof is None or (fx_asof <= close and _same(fx_rate, rates[fx_asof])), (asset, close)


def _rows(day: Plan, name: str) -> list[dict[str, str]]:
    """The rows of all files whose names begin so."""
    texts = [data.decode() for file, data in day.files.items() if file.startswith(name)]
    return [row for text in texts for row in csv.DictReader(io.StringIO(text))]


def _same(found: str | None, said: str | None) -> bool:
    if found is None or said is None:
        return found is said
    return Decimal(found) == Decimal(said)


def _nothing_grows(looks: Path) -> None:
    told = [json.loads(line) for line in looks.read_text().splitlines()]
    for _, some in groupby(told, key=lambda look: look["process"]):
        first, *rest = list(some)
        for look in rest[1:]:
            assert look["rss"] - rest[0]["rss"] < RSS_GROWTH_BYTES, told
            assert look["files"] - first["files"] < FILES_GROWTH, told
            assert look["tasks"] - first["tasks"] < TASKS_GROWTH, told


def _backed_up(deck: Deck) -> None:
    """The one night of the day has a backup, and every backup that is listed is good."""
    listed = deck.ask("backups")["backups"]
    assert listed
    assert deck.with_engine(lambda engine: engine.do(Command("backup_verify")), writing=False)["ok"]

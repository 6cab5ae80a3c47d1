"""The doctor on homes that are well, broken one thing at a time, and held by another process."""

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from console import cli
from engine.errors import NetworkFolder
from engine.runtime import doctor as doctors
from engine.runtime.doctor import doctor
from engine.runtime.engine import make_home
from engine.runtime.home import Home
from engine.store import file_system
from engine.store.files import HomeLock
from tests.runtime.deck import PRICE_COLUMNS, Deck, bar, buy, to_csv


@pytest.fixture
def deck(tmp_path: Path) -> Deck:
    asyncio.run(make_home(Home(tmp_path / "home"), "USD", "Europe/Berlin", "FIFO"))
    deck = Deck(tmp_path / "home")
    deck.take(buy())
    return deck


def states(deck: Deck) -> dict[str, str]:
    return {one["check"]: one["state"] for one in doctor(str(deck.path), None)["checks"]}


def told(deck: Deck, check: str) -> dict[str, Any]:
    (found,) = [one for one in doctor(str(deck.path), None)["checks"] if one["check"] == check]
    return found


def test_doctor__sound_home__nothing_is_red(deck: Deck) -> None:
    found = doctor(str(deck.path), None)

    assert found["ok"], found
    assert sqlite3.sqlite_version in told(deck, "versions")["told"]
    assert told(deck, "versions")["state"] == (
        "green" if sqlite3.sqlite_version_info >= (3, 51, 3) else "amber"
    )


def no_database(deck: Deck) -> None:
    deck.home.state.unlink()


def damaged_database(deck: Deck) -> None:
    with closing(sqlite3.connect(deck.home.state)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(deck.home.state.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    deck.home.state.write_bytes(data)


def bad_settings(deck: Deck) -> None:
    deck.home.config_path.write_text("timezone = 7\nno_such = 1\n[broken")


def open_folder(deck: Deck) -> None:
    (deck.path / "archive").chmod(0o755)


def damaged_journal(deck: Deck) -> None:
    (segment,) = [path for path in deck.home.journal.iterdir() if path.name.endswith(".journal")]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)


def future_commit(deck: Deck) -> None:
    with closing(sqlite3.connect(deck.home.state)) as connection, connection:
        connection.execute("UPDATE meta SET value = '32503680000000000' WHERE key = 'committed_at'")


@pytest.mark.parametrize(
    ("breaks", "check"),
    [
        (no_database, "integrity"),
        (damaged_database, "integrity"),
        (bad_settings, "settings"),
        (open_folder, "permissions"),
        (damaged_journal, "journal"),
        (future_commit, "clock"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_doctor__broken_home__is_red_where_it_is_broken_with_a_hint(
    deck: Deck, breaks: Callable[[Deck], None], check: str, capsys: pytest.CaptureFixture[str]
) -> None:
    breaks(deck)

    assert cli.main(["doctor", "--home", str(deck.path), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)

    (found,) = [one for one in document["checks"] if one["check"] == check]
    assert found["state"] == "red", document
    assert found["hint"]
    assert len(document["checks"]) == len(doctors.CHECKS)


def test_doctor__settings__tells_every_problem(deck: Deck) -> None:
    deck.home.config_path.write_text('timezone = "Mars"\nno_such = 1\n')

    problems = told(deck, "settings")["told"]

    assert "no_such" in problems
    assert "timezone" in problems


def test_doctor__no_home_at_all__answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--home", str(tmp_path / "nothing")]) == 1
    assert "✗ red" in capsys.readouterr().out


def test_doctor__daily_bars_of_another_zone__are_amber(deck: Deck) -> None:
    deck.ingest(deck.file("utc.csv", to_csv([bar(bucket_close="2025-03-02T00:00:00Z")], PRICE_COLUMNS)))
    assert states(deck)["zone"] == "amber"  # 01:00 in Berlin
    assert "1 of the newest 1 at 1d" in told(deck, "zone")["told"]


@pytest.mark.parametrize(("resolution", "odd"), [("1h", "10:30"), ("5m", "10:31")])
def test_doctor__bars_that_end_on_no_boundary__are_amber(deck: Deck, resolution: str, odd: str) -> None:
    bars = [bar(resolution=resolution, bucket_close=f"2025-03-02T{at}:00Z") for at in ("10:00", odd)]
    deck.ingest(deck.file("odd.csv", to_csv(bars, PRICE_COLUMNS)))
    assert states(deck)["zone"] == "amber"
    assert f"1 of the newest 2 at {resolution}" in told(deck, "zone")["told"]


def test_doctor__tells_the_tz_database_in_use(
    deck: Deck, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system = tmp_path / "zoneinfo"
    (system / "Europe").mkdir(parents=True)
    (system / "Europe" / "Berlin").touch()
    (system / "tzdata.zi").write_text("# version 2019c\n# more\n")
    monkeypatch.setattr(doctors.zoneinfo, "TZPATH", (str(system),))
    assert "by tz database 2019c" in told(deck, "zone")["told"]
    (system / "tzdata.zi").unlink()
    assert "which tells no version" in told(deck, "zone")["told"]
    monkeypatch.setattr(doctors.zoneinfo, "TZPATH", ())
    assert f"by tz database {doctors.tzdata.IANA_VERSION}" in told(deck, "zone")["told"]


def test_doctor__home_is_held_and_nobody_answers__is_amber_and_harms_nothing(deck: Deck) -> None:
    lock = HomeLock(deck.home.lock)
    try:
        assert states(deck)["locks"] == "amber"
        assert "does not answer" in told(deck, "locks")["told"]
    finally:
        lock.release()
    assert states(deck)["locks"] == "green"
    HomeLock(deck.home.lock).release()


def test_doctor__socket_was_left__is_amber(deck: Deck) -> None:
    (deck.path / "run" / "engine.sock").touch(mode=0o600)

    assert "left by an engine that is gone" in told(deck, "locks")["told"]


def test_doctor__engine_of_another_version__is_red(deck: Deck) -> None:
    found = doctor(str(deck.path), {"pid": 1, "version": "0.0.0"})

    assert found["checks"][0]["state"] == "red"


def test_network_file_system__refused_at_init_and_at_start_and_red(
    deck: Deck, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_system, "kind_of", lambda _folder: "nfs4")
    monkeypatch.setattr(doctors, "kind_of", lambda _folder: "nfs4")

    with pytest.raises(NetworkFolder, match="nfs4"):
        asyncio.run(make_home(Home(tmp_path / "other"), "USD", "UTC", "FIFO"))
    assert not (tmp_path / "other").exists()
    with pytest.raises(NetworkFolder):
        deck.take(buy())
    assert states(deck)["file system"] == "red"


def test_kind__of_this_disk__is_known_also_for_a_folder_to_be(tmp_path: Path) -> None:
    assert file_system.kind_of(tmp_path) == file_system.kind_of(tmp_path / "a" / "b") != ""

"""Publication of files, and the lock that keeps a second writer out."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from console.cli import main
from engine.errors import HomeInUse
from engine.store.files import HomeLock, publish, sweep
from tests.runtime.deck import ROOT, Deck, buy

HOLD = (
    "import sys, time; from pathlib import Path; from engine.store.files import HomeLock\n"
    "lock = HomeLock(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
)


def test_publish__whole_closed_to_others_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    publish(path, b"first")
    publish(path, b"second")
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert os.listdir(path.parent) == ["file"]


def test_publish__disk_full__old_content_stays_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    publish(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.store.files.os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        publish(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_publish__flushed_before_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    path = tmp_path / "file"
    sync = os.fsync

    def watched(handle: int) -> None:
        seen.append(path.exists())
        sync(handle)

    monkeypatch.setattr("engine.store.files.os.fsync", watched)
    publish(path, b"x")
    assert seen == [False, True]  # the content before the name, the folder after


def test_lock__held__second_is_told_who_has_it__free_after_release(tmp_path: Path) -> None:
    lock = HomeLock(tmp_path / "lock")
    with pytest.raises(HomeInUse, match=f"process {os.getpid()}"):
        HomeLock(tmp_path / "lock")
    lock.release()
    HomeLock(tmp_path / "lock").release()


def test_lock__holder_killed__free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, cwd=ROOT, start_new_session=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(HomeInUse, match=f"process {holder.pid}"):
            HomeLock(path)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        HomeLock(path).release()


def test_second_writer_on_a_home__exit_4_and_reading_goes_on(
    deck: Deck, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = HomeLock(deck.home.lock)
    path = deck.file("a.csv", [buy()])
    home = ["--home", str(deck.path)]
    assert main(["ingest", str(path), *home]) == 4
    assert f"process {os.getpid()}" in capsys.readouterr().err
    assert main(["value", *home]) == 4
    for verb in (["status"], ["digest"], ["lots"], ["nav"], ["quarantine", "list"], ["config"], ["verify"]):
        assert main([*verb, *home]) == 0
    assert deck.ingest(path, dry_run=True)["totals"]["accepted"] == 1
    lock.release()
    assert deck.ingest(path)["totals"]["accepted"] == 1


def test_sweep__removes_what_a_crash_left_half_published_and_nothing_else(tmp_path: Path) -> None:
    kept = tmp_path / "ab" / "whole.csv"
    publish(kept, b"whole")
    (tmp_path / "ab" / ".whole.csv.tmp.17.0badcafe").write_bytes(b"ha")
    sweep(tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]

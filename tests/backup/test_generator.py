"""Backups while the home goes on working: consistent, cheap where nothing changed, never half there."""

import itertools
import json
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.backup import generator
from engine.backup.layout import CANCEL, ID
from engine.domain.instants import DAY_US
from engine.errors import BackupBusy, DiskLow, JobCancelled, JournalBroken, StoreFull
from engine.runtime import backups
from tests.backup.vault import Vault, tree
from tests.faults.test_disk_full import Disk
from tests.runtime.deck import buy
from tests.test_hooks import ended


def names(vault: Vault) -> list[str]:
    return [name for name in os.listdir(vault.shelf.path) if name.startswith(".tmp") or ID.fullmatch(name)]


def more(vault: Vault) -> None:
    """A file that changes values of days that were valued before, and those values."""
    vault.take("more.csv", [buy(external_id="more", quantity="9")])
    vault.value()


def test_nothing_changed__costs_nothing(vault: Vault) -> None:
    vault.create()
    again = vault.create()
    assert (again["new_files"], again["new_bytes"]) == (0, 0)
    assert again["digest"] == vault.deck.fingerprint()
    assert vault.act("verify", id="latest")["ok"]


def test_one_more_file__only_what_is_new_is_stored(vault: Vault) -> None:
    before = vault.create()
    vault.take("more.csv", [buy(external_id="more")])
    after = vault.create()
    assert after["files"] > before["files"]
    assert after["new_files"] <= 5, "state.db, the journal's end and its sums, the file itself"


def test_archive_and_lake__are_linked_not_copied(vault: Vault) -> None:
    before = {file.path for name in vault.shelf.ids() for file in vault.shelf.manifest(name).files}
    more(vault)
    vault.create()
    manifest = vault.shelf.manifest(vault.shelf.ids()[-1])
    fresh = [file for file in manifest.files if file.path not in before]
    kept = [file for file in fresh if file.path.startswith(("archive/", "lake/"))]
    assert {file.path.split("/")[0] for file in kept} == {"archive", "lake"}
    for file in kept:
        assert os.path.samefile(vault.shelf.object(file.sha256), vault.deck.path / file.path)
    assert not os.path.samefile(vault.shelf.object(manifest.file("state.db").sha256), vault.deck.home.state)


def test_beside_a_writer__neither_waits_for_the_other(vault: Vault) -> None:
    """Another process is in the midst of a transaction: what it has not committed is not in the backup."""
    with closing(sqlite3.connect(vault.deck.home.state, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM tx")
        made = vault.create()
        writer.execute("ROLLBACK")
    assert made["digest"] == vault.truth[-1][1]
    assert vault.act("verify", id=made["id"])["ok"]


def test_a_job_nobody_waits_for__gives_way_while_something_is_stored(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Callable[[], bool]] = []

    @contextmanager
    def giving_way(wanted: Callable[[], bool]) -> Iterator[None]:
        asked.append(wanted)
        yield

    monkeypatch.setattr(backups, "giving_way", giving_way)
    monkeypatch.setattr(backups, "stand_back", lambda: None)
    for name in ("backup_create", "backup_verify", "backup_drill", "backups"):
        backups.run(name, str(vault.deck.path), vault.now, {"id": "latest"})
    assert len(asked) == 2, "a backup and its check"
    assert not asked[0](), "nothing was stored since this home was closed"
    with closing(sqlite3.connect(vault.deck.home.state)) as writer:
        writer.execute("INSERT INTO meta VALUES ('something', 'stored')")
        writer.commit()
        assert all(wanted() for wanted in asked)
        earlier = time.time() - 10
        os.utime(f"{vault.deck.home.state}-wal", (earlier, earlier))
        assert not asked[0]()
    shutil.rmtree(vault.deck.path)
    vault.deck.path.write_text("no folder any more")
    assert not asked[0](), "who looks gets no error of its own"


def test_commits_during_the_copy__the_backup_is_as_of_its_begin(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generator, "STEP_PAGES", 1)
    before, copied = vault.deck.fingerprint(), []
    real = generator.copy_database

    def copy(source: Path, target: Path, cancelled: Any) -> None:
        def look() -> bool:
            copied.append(1)
            if len(copied) in (3, 9):
                vault.take(f"during-{len(copied)}.csv", [buy(external_id=f"d-{len(copied)}")])
            return False

        real(source, target, look)

    monkeypatch.setattr(generator, "copy_database", copy)
    made = vault.create()
    assert len(copied) > 20
    assert made["digest"] == before != vault.deck.fingerprint()
    assert vault.act("verify", id=made["id"])["ok"]
    assert vault.restored("then", id=made["id"]).fingerprint() == before
    assert vault.restored("now", at="2027-01-01").fingerprint() == vault.deck.fingerprint()


def test_the_copy_reaches_the_disk_bit_by_bit__never_all_of_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size, live = 16_000_000, tmp_path / "live.db"
    with closing(sqlite3.connect(live)) as connection:
        connection.execute("CREATE TABLE meta AS SELECT zeroblob(?) AS large", (size,))
        connection.commit()
    synced: list[tuple[int, int]] = []
    real = os.fdatasync

    def fdatasync(file: int) -> None:
        synced.append((os.fstat(file).st_ino, os.fstat(file).st_size))
        real(file)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    copy = tmp_path / "copy.db"
    generator.copy_database(live, copy, lambda: False)
    assert {inode for inode, _ in synced} == {copy.stat().st_ino}
    reached = [0, *(bytes_ for _, bytes_ in synced), copy.stat().st_size]
    assert reached[-1] > size
    assert max(after - before for before, after in itertools.pairwise(reached)) < size / 3


def test_secrets_in_the_environment__are_in_no_backup(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAVDECK_COINGECKO_KEY", "canary-5f1d")
    monkeypatch.setenv("COINGECKO_API_KEY", "canary-5f1d")
    vault.take("more.csv", [buy(external_id="more")])
    vault.create()
    assert [name for name, data in tree(vault.shelf.path) if b"canary-5f1d" in data] == []


def test_lake_file_lost__the_backup_goes_on_without_it_and_says_so(vault: Vault) -> None:
    before = set((vault.deck.path / "lake").rglob("*.parquet"))
    more(vault)
    lost = min(set((vault.deck.path / "lake").rglob("*.parquet")) - before)
    lost.write_bytes(b"not what was written")
    made = vault.create()
    assert [one["path"] for one in made["left_out"]] == [str(lost.relative_to(vault.deck.path))]
    home = vault.restored(id=made["id"])
    assert home.ask("verify")["ok"]
    home.value(resolution="1d")
    assert home.ask("verify")["ok"]


def test_object_damaged__the_next_backup_makes_it_anew(vault: Vault) -> None:
    vault.create()
    file = vault.shelf.manifest(vault.shelf.ids()[-1]).file("navdeck.toml")
    vault.shelf.object(file.sha256).write_bytes(b"#" * file.bytes)
    assert not vault.act("verify", id="latest")["ok"]
    vault.create()
    assert vault.act("verify", id="latest")["ok"]


def test_journal_lost__no_backup_is_made_and_the_others_stay(vault: Vault) -> None:
    before = vault.shelf.ids()
    vault.take("more.csv", [buy(external_id="more")])
    (vault.deck.home.journal / "open.journal").unlink()
    with pytest.raises(JournalBroken):
        vault.create()
    assert names(vault) == before


def test_too_little_room__nothing_is_begun(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.take("more.csv", [buy(external_id="more")])
    monkeypatch.setattr(generator, "MARGIN_BYTES", 10**15)
    with pytest.raises(DiskLow):
        vault.create()
    assert len(names(vault)) == 2


def test_one_job_at_a_time(vault: Vault) -> None:
    with vault.shelf.held(), pytest.raises(BackupBusy):
        vault.create()


def test_cancelled__between_two_steps__nothing_is_kept(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    vault.take("more.csv", [buy(external_id="more")])

    def heard(_kind: str, told: dict[str, Any]) -> None:
        if told["step"] == "keep the journal":
            backups.cancel(str(vault.deck.path))

    with monkeypatch.context() as patch:
        patch.setattr(backups, "report", heard)
        with pytest.raises(JobCancelled):
            vault.create()
    assert len(names(vault)) == 2
    assert vault.create()["digest"] == vault.deck.fingerprint()


def test_disk_full__nothing_half_listed__with_room_the_same_backup_is_made(
    vault: Vault,
    disk: Disk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vault.take("more.csv", [buy(external_id="more")])
    monkeypatch.setattr(generator, "_require_room", lambda *_: None)
    (disk.path / "backups").mkdir()
    vault.shelf.path.rename(vault.deck.path / "was")
    vault.shelf.path.symlink_to(disk.path / "backups")
    for left_kb in (0, 16, 64, 160, 240):
        disk.fill(left_kb)
        with pytest.raises(StoreFull):
            vault.create()
        assert names(vault) == []
        disk.free()
    vault.create()
    assert vault.act("verify", id="latest")["ok"]
    assert sorted(names(vault)) == vault.shelf.ids()


# -- the second folder, and the hook ------------------------------------------------------------------


def test_second_folder__has_the_same_backups_and_stands_by_itself(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAVDECK_BACKUP_TARGET", str(tmp_path / "second"))
    assert vault.create()["target"]["ok"]
    vault.now += DAY_US
    vault.take("more.csv", [buy(external_id="more")])
    assert vault.create()["target"]["ok"]
    second = {"from": str(tmp_path / "second")}
    assert vault.act("verify", **second)["ok"]
    assert vault.restored(id="latest", **second).fingerprint() == vault.deck.fingerprint()
    inodes = {os.stat(path).st_ino for path in (tmp_path / "second").rglob("*") if path.is_file()}
    assert inodes.isdisjoint(os.stat(path).st_ino for path in vault.deck.path.rglob("*") if path.is_file())


def test_second_folder_not_there__is_told__the_backup_counts(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("NAVDECK_BACKUP_TARGET", str(tmp_path / "file" / "second"))
    made = vault.create()
    assert made["target"]["ok"] is False
    assert made["target"]["error"]
    assert vault.shelf.ids()[-1] == made["id"]


def hook(program: str) -> str:
    return json.dumps([sys.executable, "-c", program])


def test_hook__gets_the_facts_on_its_input_and_no_shell(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = f"import sys; open({str(tmp_path / 'facts')!r}, 'w').write(sys.stdin.read())"
    monkeypatch.setenv("NAVDECK_BACKUP_POST_BACKUP", hook(program))
    made = vault.create()
    assert made["hook"] == {"ok": True, "exit_code": 0, "error": None}
    facts = json.loads((tmp_path / "facts").read_text())
    assert (facts["id"], facts["digest"]) == (made["id"], made["digest"])
    assert Path(facts["folder"], "MANIFEST.json").is_file()


@pytest.mark.parametrize(
    ("command", "code"), [(hook("import sys; sys.exit('no room there')"), 1), ('["/no/such/program"]', None)]
)
def test_hook_fails__is_told__the_backup_counts(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, command: str, code: int | None
) -> None:
    monkeypatch.setenv("NAVDECK_BACKUP_POST_BACKUP", command)
    made = vault.create()
    assert (made["hook"]["ok"], made["hook"]["exit_code"]) == (False, code)
    assert "no room there" in made["hook"]["error"] or code is None
    assert vault.shelf.ids()[-1] == made["id"]


def test_hook__sees_none_of_our_keys(vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = f"import os; open({str(tmp_path / 'seen')!r}, 'w').write(repr(dict(os.environ)))"
    monkeypatch.setenv("NAVDECK_BACKUP_POST_BACKUP", hook(program))
    monkeypatch.setenv("NAVDECK_COINGECKO_KEY", "canary-0123456789")
    assert vault.create()["hook"]["ok"]
    assert "canary" not in (tmp_path / "seen").read_text()


@pytest.mark.parametrize("given_up", ["too long", "cancelled"])
def test_hook_is_given_up__ends_with_its_children__the_backup_counts(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given_up: str
) -> None:
    child = tmp_path / "child"
    by_itself = f"touch {CANCEL}; " if given_up == "cancelled" else ""
    command = ["sh", "-c", f"sleep 60 & echo $! > {child}; {by_itself}wait"]
    monkeypatch.setenv("NAVDECK_BACKUP_POST_BACKUP", json.dumps(command))
    monkeypatch.setattr("engine.backup.target.HOOK_S", 3.0 if given_up == "too long" else 60.0)
    made = vault.create()
    assert made["hook"]["ok"] is False
    assert ("did not end" if given_up == "too long" else "cancelled") in made["hook"]["error"]
    assert ended(int(child.read_text()))
    assert vault.shelf.ids()[-1] == made["id"]

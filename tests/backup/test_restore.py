"""Restores: exact to the commit, by their plan alone, into a new folder and never over anything."""

import hashlib
import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.backup import objects
from engine.backup import restore as restoring
from engine.backup.layout import MANIFEST
from engine.errors import BackupDamaged, BackupError, HomeInUse, RestoreRefused, StoreFull
from engine.store import journal_audit
from engine.store.files import HomeLock
from tests.backup.vault import Vault, flip, told, tree
from tests.runtime.deck import Deck, buy

INSTANTS = 8


def check_at(vault: Vault, instant: int, to: str = "then") -> None:
    """What is restored to an instant is what was committed by then, to the microsecond."""
    then = vault.restored(to, at=told(instant))
    assert then.fingerprint() == vault.digest_at(instant)
    assert journal_audit.verify(then.home.journal).problems == []
    committed = then.sql("SELECT committed_at FROM files")
    assert all(at <= instant for (at,) in committed)
    shutil.rmtree(then.path)


@pytest.mark.parametrize("seed", range(INSTANTS))
def test_at_random__what_was_committed_by_then(vault: Vault, seed: int) -> None:
    first, last = vault.truth[1][0], vault.now
    check_at(vault, random.Random(seed).randint(first, last))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 150))
def test_at_random__fifty_more(vault: Vault, seed: int) -> None:
    check_at(vault, random.Random(seed).randint(vault.truth[1][0], vault.now))


@pytest.mark.parametrize("commit", [1, 3, 6])
def test_at_a_commit__it_is_in__a_microsecond_before_it_is_not(vault: Vault, commit: int) -> None:
    at = vault.truth[commit][0]
    for offset in (-1, 0, 1):
        check_at(vault, at + offset)
    assert vault.digest_at(at - 1) != vault.digest_at(at)


def test_before_the_first_and_after_the_last(vault: Vault) -> None:
    check_at(vault, vault.truth[1][0] - 1)
    check_at(vault, vault.now + 10**12)


def test_home_lost__the_backups_alone_bring_back_all_that_they_reach(vault: Vault, tmp_path: Path) -> None:
    saved = tmp_path / "elsewhere"
    shutil.copytree(vault.shelf.path, saved)
    shutil.rmtree(vault.deck.path)
    folder = {"from": str(saved)}
    latest = vault.restored("latest", id="latest", **folder)
    reached = latest.sql("SELECT max(committed_at) FROM files")[0][0]
    assert latest.fingerprint() == vault.digest_at(reached)
    middle = vault.truth[2][0]
    assert vault.restored("then", at=told(middle), **folder).fingerprint() == vault.digest_at(middle)


def test_state_lost__the_journal_brings_back_what_came_after_the_last_backup(vault: Vault) -> None:
    vault.deck.home.state.unlink()
    assert vault.restored(at=told(vault.now)).fingerprint() == vault.truth[-1][1]


def test_restored_home__goes_on_like_any_other(vault: Vault) -> None:
    home = vault.restored(at=told(vault.truth[3][0]))
    assert home.take(buy(quantity="3"))["accepted"] == 1
    home.value()
    assert home.ask("verify")["ok"]
    assert journal_audit.verify(home.home.journal).problems == []


def test_values_that_later_commits_change__are_not_brought_back(vault: Vault) -> None:
    """A backup's own values come with it; after more commits only days before them would still be right."""
    base = vault.restored("base", id="latest")
    assert base.ask("status")["counts"]["lake_files"] > 0
    assert base.ask("verify")["ok"]
    then = vault.restored("then", at=told(vault.truth[-1][0]))
    assert then.sql("SELECT count(*) FROM valued") == [(0,)]
    assert list((then.path / "lake").rglob("*.parquet")) == []
    assert "VALUES_STALE" in {alert["code"] for alert in then.ask("status")["alerts"]}


def test_dry_run__tells_the_plan_and_writes_nothing(vault: Vault, tmp_path: Path) -> None:
    plan = vault.act("restore", at=told(vault.now), to=str(tmp_path / "new"), dry_run=True)
    assert (plan["refusals"], plan["records"]) == ([], 7)
    assert plan["reached"] == told(vault.truth[-1][0])
    assert plan["bytes"] > 0
    assert not (tmp_path / "new").exists()


def test_target_not_empty__refused_and_left_alone(vault: Vault, tmp_path: Path) -> None:
    for folder in (vault.deck.path, vault.deck.path / "sub", tmp_path, vault.shelf.path / "in"):
        before = dict(tree(vault.deck.path))
        with pytest.raises(RestoreRefused):
            vault.act("restore", id="latest", to=str(folder))
        assert dict(tree(vault.deck.path)) == before


def test_ended_in_the_middle__no_home_yet__the_same_restore_finishes_it(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []

    def failing(source: Path, target: Path, sha256: str) -> None:
        if len(copied) == 5:
            raise OSError(28, "No space left on device")
        copied.append(target.name)
        real(source, target, sha256)

    def counting(source: Path, target: Path, sha256: str) -> None:
        copied.append(target.name)
        real(source, target, sha256)

    real = objects.copy_to
    with monkeypatch.context() as patch:
        patch.setattr(restoring, "copy_to", failing)
        with pytest.raises(StoreFull):
            vault.restored("new", id="latest")
    assert not (tmp_path / "new" / "state.db").exists()
    with pytest.raises(RestoreRefused, match="Another restore"):
        vault.restored("new", at=told(vault.truth[1][0]))
    monkeypatch.setattr(restoring, "copy_to", counting)
    whole = vault.restored("new", id="latest")
    assert len(copied) == len(set(copied)), "what was written is not written again"
    assert whole.ask("verify")["ok"]


# -- hostile backups ----------------------------------------------------------------------------------


def rewritten(vault: Vault, change: Callable[[dict[str, Any]], None]) -> None:
    """The newest backup's manifest, as somebody else would have it."""
    path = vault.shelf.folder(vault.shelf.ids()[-1]) / MANIFEST
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


BAD_PATHS = (
    "/etc/passwd", "../state.db", "lake/../../x", "lake//x", "./state.db", "lake/./x", "lake/x\n", "lake\\x",
    "", "lake", "lake/", "inbox/x.csv", "run/navdeck.lock", "backups/x", "archive/aa/x.csv", "journal/x",
    "archive/ab/" + "a" * 64 + ".csv", "lake/.hidden", "lake/" + "x" * 300, "state.db/x", "lake/café",
)  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_hostile_path__refused_before_anything_is_written(vault: Vault, tmp_path: Path, path: str) -> None:
    rewritten(vault, lambda told: told["files"].append([path, 0, hashlib.sha256(b"").hexdigest()]))
    refused(vault, tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["files"].append(told["files"][0]),
        lambda told: told["files"].append(["lake/a", 1, "../../../../etc/passwd"]),
        lambda told: told["files"].append(["lake/a", -1, "0" * 64]),
        lambda told: told["files"].append(["lake/a", True, "0" * 64]),
        lambda told: told["files"].append(["lake/a", 1, "0" * 64, "more"]),
        lambda told: told["files"].extend([["lake/a", 0, "0" * 64], ["lake/a/b", 0, "0" * 64]]),
        lambda told: told.update(id="../x"),
        lambda told: told.update(version=2),
        lambda told: told.update(files=None),
        lambda told: told.pop("mark"),
    ],
)
def test_hostile_manifest__refused_before_anything_is_written(
    vault: Vault, tmp_path: Path, change: Callable[[dict[str, Any]], None]
) -> None:
    rewritten(vault, change)
    refused(vault, tmp_path)


def refused(vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(BackupDamaged):
        vault.act("restore", id="latest", to=str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()
    assert vault.act("verify", id="latest")["ok"] is False


def test_object_of_another_size__in_the_plan_as_a_refusal(vault: Vault, tmp_path: Path) -> None:
    rewritten(vault, lambda told: told["files"][0].__setitem__(1, told["files"][0][1] + 1))
    with pytest.raises(RestoreRefused, match="bytes are not there"):
        vault.act("restore", id="latest", to=str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_object_that_is_a_link__refused(vault: Vault, tmp_path: Path) -> None:
    victim = vault.shelf.object(vault.shelf.manifest(vault.shelf.ids()[-1]).files[0].sha256)
    victim.rename(tmp_path / "away")
    victim.symlink_to(tmp_path / "away")
    with pytest.raises(RestoreRefused):
        vault.act("restore", id="latest", to=str(tmp_path / "new"))


def test_object_with_a_flipped_bit__never_becomes_a_home(vault: Vault, tmp_path: Path) -> None:
    file = vault.shelf.manifest(vault.shelf.ids()[-1]).file("state.db")
    flip(vault.shelf.object(file.sha256), 40_001)
    with pytest.raises(BackupDamaged):
        vault.act("restore", id="latest", to=str(tmp_path / "new"))
    assert not (tmp_path / "new" / "state.db").exists()


# -- promotion ----------------------------------------------------------------------------------------


def test_promote__takes_the_homes_place__the_old_one_is_kept_beside(vault: Vault) -> None:
    then = vault.restored(at=told(vault.truth[2][0]))
    before = vault.deck.fingerprint()
    done = vault.act("promote", folder=str(then.path))
    assert vault.deck.fingerprint() == vault.truth[2][1]
    assert Deck(Path(done["kept"])).fingerprint() == before
    assert len(vault.shelf.ids()) == 2, "backups stay with the place"
    assert not then.path.exists()


@pytest.mark.parametrize("renames", [1, 2])
def test_promote__ended_between_two_renames__the_same_call_finishes_it(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    then, before = vault.restored(at=told(vault.truth[2][0])), vault.deck.fingerprint()
    done: list[str] = []

    def rename(one: Path, other: Path) -> None:
        if len(done) == renames:
            raise OSError(5, "Input/output error")
        done.append(str(one))
        real(one, other)

    real = os.rename
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", rename)
        with pytest.raises(OSError, match="Input/output"):
            vault.act("promote", folder=str(then.path))
    vault.act("promote", folder=str(then.path))
    assert vault.deck.fingerprint() == vault.truth[2][1]
    (kept,) = vault.deck.path.parent.glob("home.before-*")
    assert Deck(kept).fingerprint() == before
    assert len(vault.shelf.ids()) == 2


def test_promote__refused_while_an_engine_runs(vault: Vault) -> None:
    then = vault.restored(id="latest")
    lock = HomeLock(vault.deck.home.lock)
    try:
        with pytest.raises(HomeInUse):
            vault.act("promote", folder=str(then.path))
    finally:
        lock.release()
    assert then.home.state.exists()


def test_promote__only_what_a_restore_has_finished(vault: Vault, tmp_path: Path) -> None:
    half = vault.restored(id="latest")
    (half.path / "restore.json").write_text("{}")
    with pytest.raises(RestoreRefused, match="no finished restore"):
        vault.act("promote", folder=str(half.path))
    with pytest.raises(RestoreRefused):
        vault.act("promote", folder=str(vault.deck.path))


def test_no_such_backup__said_with_what_to_do(vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="names no backup") as raised:
        vault.act("restore", id="1999", to=str(tmp_path / "new"))
    assert "backup list" in raised.value.hint
    assert raised.value.exit_code == 2, "a mistyped id is wrong usage, as everywhere"


# -- without navdeck ----------------------------------------------------------------------------------


def test_restore_txt__its_commands_rebuild_the_home_in_a_plain_shell(vault: Vault, tmp_path: Path) -> None:
    name = vault.shelf.ids()[-1]
    done = subprocess.run(
        ["sh", "RESTORE.txt", str(tmp_path / "by hand")], cwd=vault.shelf.folder(name), capture_output=True,
        text=True, check=False, env={"PATH": "/usr/bin:/bin"}, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rebuilt = Deck(tmp_path / "by hand")
    digest = vault.shelf.manifest(name).digest["digest"]
    assert rebuilt.fingerprint() == digest
    assert digest in done.stdout
    assert rebuilt.ask("verify")["ok"]
    assert rebuilt.take(buy(quantity="7"))["accepted"] == 1


def test_restore_txt__a_flipped_bit_stops_it(vault: Vault, tmp_path: Path) -> None:
    name = vault.shelf.ids()[-1]
    flip(vault.shelf.object(vault.shelf.manifest(name).files[0].sha256), 5)
    command = ["sh", "RESTORE.txt", str(tmp_path / "by hand")]
    done = subprocess.run(command, cwd=vault.shelf.folder(name), capture_output=True, check=False, timeout=60)
    assert done.returncode != 0
    assert not (tmp_path / "by hand").exists()

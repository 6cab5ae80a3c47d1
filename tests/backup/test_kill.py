"""Kill -9 in a backup, a restore, a drill: the next run is clean, nothing half is ever listed."""

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from engine.backup.layout import ID
from tests.backup.vault import Vault, told
from tests.runtime.deck import ROOT, Deck, buy

TIMEOUT_S = 120
CREATES, RESTORES, DRILLS = (2, 17), (4, 20), (12,)  # touches at which it ends; `slow` has each


def run(vault: Vault, number: int, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.backup.wrapped", str(number), str(folder), *arguments]
    return subprocess.run(
        [*command, "--home", str(vault.deck.path)], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=TIMEOUT_S,
    )  # fmt: skip


def check_create(vault: Vault, number: int) -> bool:
    """Ends a backup at its Nth touch; whether it came so far."""
    before = vault.shelf.ids()
    done = run(vault, number, vault.shelf.path, "backup", "create", "--json")
    if done.returncode == 0:
        return False
    assert done.returncode == -signal.SIGKILL, done.stderr
    listed = vault.shelf.ids()
    came, retired = set(listed) - set(before), set(before) - set(listed)
    assert len(came) <= 1
    assert len(retired) <= 1, "a backup makes room for one"
    assert set(before[-1:]) <= set(listed)
    assert vault.act("verify")["ok"], "whatever is listed is whole"
    made = vault.create()
    assert made["digest"] == vault.deck.fingerprint()
    assert vault.act("verify")["ok"]
    check_clean(vault)
    return True


def check_clean(vault: Vault) -> None:
    names = {path.name for path in vault.shelf.path.iterdir()}
    assert {name for name in names if name.startswith(".tmp")} == set()
    assert {name for name in names if ID.fullmatch(name)} == set(vault.shelf.ids())
    listed = [vault.shelf.manifest(name) for name in vault.shelf.ids()]
    needed = {file.sha256 for manifest in listed for file in manifest.files}
    assert {path.name for path in vault.shelf.path.glob("objects/*/*")} == needed


@pytest.mark.parametrize("number", CREATES)
def test_backup_killed__the_next_one_is_clean(vault: Vault, number: int) -> None:
    vault.take("more.csv", [buy(external_id="more")])
    assert check_create(vault, number)


@pytest.mark.slow
def test_backup_killed__at_every_touch(vault: Vault) -> None:
    number = 1
    vault.take("more.csv", [buy(external_id="more")])
    while check_create(vault, number):
        number += 1
        vault.take(f"more-{number}.csv", [buy(external_id=f"more-{number}")])
    assert number > 20


def check_restore(vault: Vault, number: int) -> bool:
    folder = vault.deck.path.parent / f"new-{number}"
    arguments = ("backup", "restore", "latest", "--to", str(folder), "--json")
    done = run(vault, number, folder, *arguments)
    if done.returncode == 0:
        return False
    assert done.returncode == -signal.SIGKILL, done.stderr
    half = (folder / "state.db").exists()
    assert not half or Deck(folder).ask("verify")["ok"]
    if not half:
        vault.restored(folder.name, id="latest")
    restored = Deck(folder)
    assert restored.fingerprint() == vault.shelf.manifest(vault.shelf.ids()[-1]).digest["digest"]
    assert restored.ask("verify")["ok"]
    return True


@pytest.mark.parametrize("number", RESTORES)
def test_restore_killed__the_same_restore_finishes_it(vault: Vault, number: int) -> None:
    assert check_restore(vault, number)


@pytest.mark.slow
def test_restore_killed__at_every_third_touch(vault: Vault) -> None:
    number = 1
    while check_restore(vault, number):
        number += 3
    assert number > 20


def check_drill(vault: Vault, number: int) -> bool:
    done = run(vault, number, vault.shelf.path, "backup", "drill", "--json")
    if done.returncode != -signal.SIGKILL:
        return False
    assert vault.act("verify")["ok"]
    assert vault.act("drill")["verdict"] == "passed"
    assert [path.name for path in vault.shelf.path.iterdir() if path.name.startswith(".tmp")] == []
    return True


@pytest.mark.parametrize("number", DRILLS)
def test_drill_killed__its_scratch_is_gone_after_the_next(vault: Vault, number: int) -> None:
    assert check_drill(vault, number)


@pytest.mark.slow
def test_drill_killed__at_every_ninth_touch(vault: Vault) -> None:
    number = 1
    while check_drill(vault, number):
        number += 9
    assert number > 30


def take_while_killed(vault: Vault, kills: int, seed: int) -> None:
    """Backups are made and killed while files go on being taken; all restores are exact."""
    rng = random.Random(seed)
    stop = threading.Event()

    def back_up() -> None:
        while not stop.is_set():
            run(vault, rng.randrange(1, 60), vault.shelf.path, "backup", "create", "--json")

    thread = threading.Thread(target=back_up)
    thread.start()
    try:
        for number in range(kills):
            vault.take(f"load-{number}.csv", [buy(external_id=f"load-{number}")])
    finally:
        stop.set()
        thread.join()
    vault.create()
    assert vault.act("verify")["ok"]
    for at, digest in rng.sample(vault.truth[1:], 3):
        assert vault.restored(f"at-{at}", at=told(at)).fingerprint() == digest


def test_backups_killed_under_load__restores_are_exact(vault: Vault) -> None:
    take_while_killed(vault, kills=6, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 8))
def test_backups_killed_under_long_load__restores_are_exact(vault: Vault, seed: int) -> None:
    take_while_killed(vault, kills=40, seed=seed)

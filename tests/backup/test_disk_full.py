"""A full disk in the middle of a restore or a drill: it is said, nothing is half there, the next is clean."""

import shutil
from types import SimpleNamespace

import pytest

from engine.errors import StoreFull
from tests.backup.vault import Vault
from tests.faults.test_disk_full import Disk
from tests.runtime.deck import Deck

# Room for nothing, for the folders, for some files, for the database, for all but the last of it.
RESTORE_KB = (0, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208)
DRILL_KB = (0, 4, 8, 16, 32, 64, 96, 128, 160, 192, 208, 224, 240, 256, 288, 320, 352, 384)
REPORT_KB = 8  # room for the two files of a report


def some(all_kb: tuple[int, ...], *default: int) -> list[object]:
    """All of them; in the default run some."""
    return [pytest.param(kb, marks=() if kb in default else pytest.mark.slow) for kb in all_kb]


@pytest.fixture(autouse=True)
def _unforeseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk fills up while the job is at work, so that looking beforehand does not help."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**12))


@pytest.mark.parametrize("left_kb", some(RESTORE_KB, 64, 192))
def test_restore__no_home_yet__with_room_the_same_restore_finishes_it(
    vault: Vault, disk: Disk, left_kb: int
) -> None:
    folder = disk.path / "new"
    disk.fill(left_kb)
    with pytest.raises(StoreFull) as raised:
        vault.act("restore", id="latest", to=str(folder))
    assert "space" in raised.value.hint
    assert not (folder / "state.db").exists()
    disk.free()
    vault.act("restore", id="latest", to=str(folder))
    restored = Deck(folder)
    assert restored.fingerprint() == vault.shelf.manifest(vault.shelf.ids()[-1]).digest["digest"]
    assert restored.ask("verify")["ok"]


@pytest.mark.parametrize("left_kb", some(DRILL_KB, 0, 256))
def test_drill__said__its_scratch_is_gone__with_room_the_next_one_passes(
    vault: Vault, disk: Disk, left_kb: int
) -> None:
    vault.shelf.path.rename(vault.deck.path / "was")
    shutil.copytree(vault.deck.path / "was", disk.path / "backups")
    vault.shelf.path.symlink_to(disk.path / "backups")
    before = vault.shelf.ids()
    disk.fill(left_kb)
    if left_kb < REPORT_KB:
        with pytest.raises(StoreFull):
            vault.act("drill")
        assert vault.shelf.drills() == []
    else:
        report = vault.act("drill")
        assert report["verdict"] == "failed"
        assert "full" in report["problem"]
        assert "DRILL_FAILED" in {alert["code"] for alert in vault.deck.ask("status")["alerts"]}
    assert [path.name for path in vault.shelf.path.rglob("*") if ".tmp" in path.name] == []
    disk.free()
    assert vault.shelf.ids() == before
    assert vault.act("verify")["ok"], "whatever is listed is whole"
    assert vault.act("drill")["verdict"] == "passed"

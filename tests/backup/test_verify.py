"""Damage of every kind is noticed, by navdeck and by sha256sum."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.backup import verify as verifying
from tests.backup.vault import Vault, flip

FLIPS = 20


def parts_of(vault: Vault) -> list[Path]:
    """Every file that the newest backup is made of, but SHA256SUMS itself."""
    name = vault.shelf.ids()[-1]
    own = [path for path in sorted(vault.shelf.folder(name).iterdir()) if path.name != "SHA256SUMS"]
    return own + [vault.shelf.object(file.sha256) for file in vault.shelf.manifest(name).files]


def sha256sum_agrees(vault: Vault) -> bool:
    folder = vault.shelf.folder(vault.shelf.ids()[-1])
    command = ["sha256sum", "--status", "--strict", "-c", "SHA256SUMS"]
    return subprocess.run(command, cwd=folder, check=False, timeout=60).returncode == 0


def is_sound(vault: Vault) -> bool:
    return bool(vault.act("verify", id="latest")["ok"])


def check_flip(vault: Vault, rng: random.Random) -> None:
    """Files are chosen alike, small or large; bytes are put back afterwards."""
    path = rng.choice(parts_of(vault))
    before = path.read_bytes()
    flip(path, rng.randrange(len(before) * 8))
    try:
        assert not is_sound(vault), path
        assert not sha256sum_agrees(vault), path
    finally:
        path.write_bytes(before)


def test_sound__both_say_so(vault: Vault) -> None:
    assert is_sound(vault)
    assert sha256sum_agrees(vault)
    assert vault.act("verify")["ok"]
    assert all(one["verified"] for one in vault_list(vault))


def vault_list(vault: Vault) -> list[dict[str, object]]:
    return list(vault.deck.ask("backups")["backups"])


def test_one_bit__anywhere__is_noticed(vault: Vault) -> None:
    rng = random.Random(8)
    for _ in range(FLIPS):
        check_flip(vault, rng)
    assert is_sound(vault)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(9))
def test_one_bit__two_hundred_in_all(vault: Vault, seed: int) -> None:
    rng = random.Random(100 + seed)
    for _ in range(FLIPS):
        check_flip(vault, rng)


def test_one_bit_of_the_sums_themselves__is_noticed(vault: Vault) -> None:
    path = vault.shelf.folder(vault.shelf.ids()[-1]) / "SHA256SUMS"
    flip(path, random.Random(3).randrange(path.stat().st_size * 8))
    assert not is_sound(vault)


def dropped(parts: list[Path]) -> None:
    parts[-1].unlink()


def truncated(parts: list[Path]) -> None:
    parts[-1].write_bytes(parts[-1].read_bytes()[:-1])


def swapped(parts: list[Path]) -> None:
    one, other = parts[-1].read_bytes(), parts[-2].read_bytes()
    parts[-1].write_bytes(other)
    parts[-2].write_bytes(one)


def no_manifest(parts: list[Path]) -> None:
    next(path for path in parts if path.name == "MANIFEST.json").unlink()


@pytest.mark.parametrize("damage", [dropped, truncated, swapped, no_manifest])
def test_files_not_as_they_were__is_noticed_by_both(
    vault: Vault, damage: Callable[[list[Path]], None]
) -> None:
    damage(parts_of(vault))
    assert not is_sound(vault)
    assert not sha256sum_agrees(vault)


def test_file_added__is_noticed(vault: Vault) -> None:
    (vault.shelf.folder(vault.shelf.ids()[-1]) / "more").write_bytes(b"")
    assert not is_sound(vault)


def test_link_in_place_of_an_object__is_noticed(vault: Vault, tmp_path: Path) -> None:
    path = parts_of(vault)[-1]
    path.rename(tmp_path / "same bytes")
    path.symlink_to(tmp_path / "same bytes")
    assert not is_sound(vault)


def test_many_lake_files__a_sample_is_scanned_and_said_to_be(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifying, "SCANNED_MAX", 3)
    checks = {one["check"]: one for one in vault.act("verify", id="latest")["backups"][0]["checks"]}
    (told,) = (check for name, check in checks.items() if name.startswith("a sample of 3 of "))
    assert (told["looked_at"], told["ok"]) == (3, True)


def test_alert__until_a_sound_one_is_made(vault: Vault) -> None:
    truncated([path for path in parts_of(vault) if path.parent.parent.name == "objects"])
    vault.act("verify", id="latest")
    assert "BACKUP_DAMAGED" in alerts(vault)
    vault.create()
    assert is_sound(vault)
    assert "BACKUP_DAMAGED" not in alerts(vault)


def test_alert__old_after_26_hours_once_there_is_one(vault: Vault) -> None:
    vault.create()
    assert "BACKUP_OLD" not in alerts(vault)
    vault.now += 26 * 3_600_000_000 + 1_000_000
    assert "BACKUP_OLD" in alerts(vault)


def alerts(vault: Vault) -> set[str]:
    return {alert["code"] for alert in vault.deck.ask("status")["alerts"]}

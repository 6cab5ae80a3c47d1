"""What stays and what is removed; and that removing never takes what a backup that stays needs."""

import json
from datetime import date, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.backup.layout import Shelf
from engine.backup.objects import prune
from engine.backup.retention import Made, kept
from tests.backup.vault import Vault, tree

FIRST = date(2024, 1, 1)


def daily(days: int, verified: frozenset[int] = frozenset()) -> list[Made]:
    return [Made(f"b{n}", FIRST + timedelta(n), n in verified) for n in range(days)]


def test_two_years_of_nights__7_daily_5_weekly_12_monthly() -> None:
    stays = kept(daily(731))
    days = sorted((FIRST + timedelta(int(name[1:])) for name in stays), reverse=True)
    assert days[:7] == [FIRST + timedelta(730 - n) for n in range(7)]
    assert {day.isocalendar()[:2] for day in days} >= {
        (FIRST + timedelta(730 - 7 * n)).isocalendar()[:2] for n in range(5)
    }
    assert len({(day.year, day.month) for day in days}) == 12
    assert len(stays) <= 7 + 5 + 12


def test_newest_that_verified__stays_however_old() -> None:
    assert "b3" in kept(daily(731, verified=frozenset({1, 3})))
    assert "b1" not in kept(daily(731, verified=frozenset({1, 3})))


def test_several_on_a_day__the_newest_stays() -> None:
    made = [Made(f"b{n}", FIRST, False) for n in range(4)]
    assert kept(made) == {"b3"}


def test_after_a_year_without_backups__the_old_ones_are_not_lost_for_it() -> None:
    made = [*daily(3), Made("new", FIRST + timedelta(400), False)]
    assert kept(made) == {"b0", "b1", "b2", "new"}


@given(st.lists(st.tuples(st.integers(0, 900), st.booleans()), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_history__bounded__newest_and_newest_verified_in__asking_again_changes_nothing(
    history: list[tuple[int, bool]],
) -> None:
    made = [Made(f"b{n}", FIRST + timedelta(day), ok) for n, (day, ok) in enumerate(sorted(history))]
    stays = kept(made)
    assert made[-1].id in stays
    assert all(one.id in stays for one in [one for one in made if one.verified][-1:])
    assert len(stays) <= 7 + 5 + 12 + 2
    assert kept([one for one in made if one.id in stays]) == stays


def shelf_with(folder: Path, contents: list[set[int]]) -> Shelf:
    """Backups that share objects: number n is an object of that byte."""
    shelf = Shelf(folder)
    for number, objects in enumerate(contents, start=1):
        name = f"20250101T000000Z-{number:06d}"
        files = [[f"lake/prices/{n}", 1, f"{n:02x}" * 32] for n in sorted(objects)]
        told = {
            "version": 1, "id": name, "made_at": "2025-01-01T00:00:00Z", "reached": "2025-01-01T00:00:00Z",
            "schema": 2, "mark": {"seq": 0, "chain": "", "segment": "", "offset": 0}, "home": {},
            "shape": "", "digest": {}, "files": files, "left_out": [],
        }  # fmt: skip
        shelf.folder(name).mkdir(parents=True)
        (shelf.folder(name) / "MANIFEST.json").write_text(json.dumps(told))
        for n in objects:
            path = shelf.object(f"{n:02x}" * 32)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes([n]))
    return shelf


OBJECTS = st.sets(st.integers(0, 30), max_size=12)


@given(st.lists(OBJECTS, min_size=1, max_size=6), st.data())
@settings(max_examples=20, deadline=None)
def test_sweep__just_what_no_kept_backup_needs(
    tmp_path_factory: object, contents: list[set[int]], data: st.DataObject
) -> None:
    folder: Path = tmp_path_factory.mktemp("shelf")  # type: ignore[attr-defined]
    shelf = shelf_with(folder, contents)
    ids = shelf.ids()
    keep = data.draw(st.sets(st.sampled_from(ids)))
    prune(shelf, keep)
    needed = {n for name, objects in zip(ids, contents, strict=True) if name in keep for n in objects}
    assert shelf.ids() == sorted(keep)
    assert {path.name for path in folder.glob("objects/*/*")} == {f"{n:02x}" * 32 for n in needed}


def test_sweep__a_manifest_that_cannot_be_read__nothing_is_swept(vault: Vault) -> None:
    first, second = vault.shelf.ids()
    manifest = vault.shelf.folder(first) / "MANIFEST.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[:-9])
    before = set(dict(tree(vault.shelf.path / "objects")))
    prune(vault.shelf, {first})
    assert set(dict(tree(vault.shelf.path / "objects"))) == before
    manifest.write_bytes(whole)
    prune(vault.shelf, {first})
    assert vault.shelf.ids() == [first] != [second]
    assert vault.act("verify", id=first)["ok"]
    assert set(dict(tree(vault.shelf.path / "objects"))) < before


def test_nights_of_a_month__each_kept_backup_verifies(vault: Vault) -> None:
    for _ in range(12):
        vault.now += 86_400_000_000
        vault.create()
    assert len(vault.shelf.ids()) == 7 + 1, "and the newest of the week before"
    assert vault.act("verify")["ok"]

"""The registry of acts: one key, one meaning, and somebody who carries each out."""

from collections import Counter

import pytest

from console import actions
from console.app import NavdeckApp, import_all, screen_class
from console.modals.help import help_lines
from console.screens.base import DeckScreen
from console.widgets.bars import key_entries
from console.widgets.pieces import cells

SCREENS = {id: screen_class(id) for id in actions.SCREENS}


def screens_of(kind: type[DeckScreen]) -> dict[str, type[DeckScreen]]:
    """All screens of a kind, by their ids."""
    found = {kind.ID: kind} if "ID" in vars(kind) else {}
    for below in kind.__subclasses__():
        found |= screens_of(below)
    return found


import_all()
# Screens that open over another one; the app knows them all.
OPENED = {id: screen for id, screen in screens_of(DeckScreen).items() if id not in SCREENS}


@pytest.mark.parametrize("screen", [*SCREENS, *OPENED])
def test_keys__mean_one_thing_on_a_screen(screen: str) -> None:
    keys = Counter(key for action in actions.for_screen(screen) for key in action.keys)
    keys.update(key for moved, *_ in actions.MOVES if screen in actions.OVER for key in moved.split(","))
    assert [key for key, times in keys.items() if times > 1] == []


@pytest.mark.parametrize("action", actions.ACTIONS, ids=lambda action: action.id)
def test_act__is_carried_out_on_each_of_its_screens(action: actions.Action) -> None:
    if action.command or action.id in actions.SCREENS:
        return
    for screen in action.screens or SCREENS:
        kind = (SCREENS | OPENED)[screen]
        assert hasattr(kind, f"do_{action.id}") or hasattr(NavdeckApp, f"do_{action.id}")


def test_screens__every_one_has_its_digit_and_its_mode() -> None:
    assert {actions.BY_ID[screen].shown for screen in SCREENS} == set(actions.SCREENS.values())
    assert set(actions.OVER) == set(OPENED)


def test_keys__letters_first__no_chord_is_the_only_way() -> None:
    for action in actions.ACTIONS:
        assert "+" not in action.keys[0]
        assert not action.keys[0].startswith("f1")


def test_acts_on_the_engine__need_it__dangerous_ones_need_to_write() -> None:
    assert all("engine" in action.needs for action in actions.ACTIONS if action.danger or action.command)
    assert all("writing" in action.needs for action in actions.ACTIONS if action.danger)


def test_why_not__says_what_is_missing_first() -> None:
    ingest, fix = actions.BY_ID["ingest"], actions.BY_ID["fix"]
    assert actions.why_not(ingest, {"engine", "writing"}) == ""
    assert "read-only" in actions.why_not(ingest, {"engine"})
    assert "not connected" in actions.why_not(ingest, {"writing"})
    assert "no row" in actions.why_not(fix, {"engine", "writing"})
    assert "not open" in actions.why_not(fix, {"engine", "writing", "row"})
    assert actions.why_not(actions.BY_ID["help"], ()) == ""


def test_command__carries_actor_and_reason() -> None:
    command = actions.command(actions.BY_ID["ingest"], "ada")
    assert (command.name, command.arguments, command.actor) == ("ingest", {"paths": []}, "ada")
    assert command.reason


def test_command__arguments_reason_and_dry_run_as_given() -> None:
    command = actions.command(actions.BY_ID["reject"], "ada", {"ids": ["a-1"]}, "a test row", dry_run=True)
    assert (command.name, command.arguments) == ("quarantine_reject", {"ids": ["a-1"]})
    assert (command.reason, command.dry_run) == ("a test row", True)


@pytest.mark.parametrize("screen", [*SCREENS, *OPENED])
def test_help__tells_every_act_of_the_screen(screen: str) -> None:
    text = "\n".join("".join(part for part, _ in line) for line in help_lines(screen, 200))
    for action in actions.for_screen(screen):
        assert action.help in text


@pytest.mark.parametrize("width", [60, 80, 100, 160])
@pytest.mark.parametrize("screen", [*SCREENS, *OPENED])
def test_bottom_line__fits__and_keeps_help_and_the_screen(screen: str, width: int) -> None:
    entries = key_entries(screen, width, lambda _action: False)
    assert sum(cells(entry) + 2 for _, entry in entries) <= width + 1
    shown = [action_id for action_id, _ in entries]
    assert set(actions.SCREENS) <= set(shown)
    if width >= 80:
        assert {"help", "palette", "quit"} <= set(shown)


def test_key_table__has_every_act_once() -> None:
    table = actions.key_table()
    told = [action.help for action in actions.ACTIONS] + [
        move[3] for move in (*actions.MOVES, *actions.CROSS_MOVES)
    ]
    assert [row[2] for row in table] == told

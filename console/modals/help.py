"""The help page: the keys that work here, from the registry, and what the signs mean."""

from console import actions
from console.actions import Action
from console.widgets.pieces import BLANK, Line, line, wrapped

KEY_CELLS = 18
SIGNS = (
    ("✓", "ok", "all is well"),
    ("!", "warn", "look at it when you can"),
    ("✗", "bad", "something failed or was refused"),
    ("‖", "held", "held: the figure is withheld until it can be trusted"),
    ("×", "warn", "not known: something needed for the figure is missing"),
)


def help_lines(screen: str, width: int) -> list[Line]:
    """The whole page for one screen."""
    own = [action for action in actions.ACTIONS if screen in action.screens]
    general = [action for action in actions.ACTIONS if not action.screens]
    made: list[Line] = []
    if own:
        made += [line((f"On {actions.BY_ID[screen].label}", "strong")), *_acts(own, width), BLANK]
    made += [line(("Everywhere", "strong")), *_acts(general, width), BLANK]
    made += [line(("In lists and pages", "strong"))]
    made += [part for _, _, keys, told in actions.MOVES for part in _entry(keys, told, width)]
    if screen in actions.CHARTED:
        made += [BLANK, line(("On a chart, after x", "strong"))]
        made += [part for _, _, keys, told in actions.CROSS_MOVES for part in _entry(keys, told, width)]
    made += [BLANK, line(("Signs", "strong"))]
    return made + [line((f"{sign:<{KEY_CELLS}}", mark), told) for sign, mark, told in SIGNS]


def _acts(found: list[Action], width: int) -> list[Line]:
    return [part for action in found for part in _entry(_keys(action), _told(action), width)]


def _told(action: Action) -> str:
    return f"{action.help} (asks first)" if action.danger else action.help


def _keys(action: Action) -> str:
    return " or ".join([action.shown, *(key for key in action.keys if "+" in key)])


def _entry(keys: str, told: str, width: int) -> list[Line]:
    return [
        line((f"{keys if number == 0 else '':<{KEY_CELLS}}", "mark"), part)
        for number, part in enumerate(wrapped(told, max(20, width - KEY_CELLS)))
    ]

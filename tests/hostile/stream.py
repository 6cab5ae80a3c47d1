"""What a terminal is told, cut into kinds: text, control bytes, and escape sequences by their meaning.

Cursor moves and colours are one kind each, whatever their figures; a sequence that changes the terminal in
another way (a mode, a title, a clipboard) counts with its figures, so that a new one is noticed.
"""

import re
import unicodedata

UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
FIGURES_VARY = frozenset("mHfABCDGdJKXPr")  # colours, cursor moves, erasing, the part that scrolls
SEQUENCE = re.compile(
    r"\x1b\[(?P<figures>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|\x1b\](?P<command>[0-9]*)[^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b(?P<string>[PX^_])[^\x1b]*\x1b\\"
    r"|\x1b(?P<plain>[ -/]*[0-~])"
)


def kinds(drawn: bytes) -> set[str]:
    """The kinds of sequences and of unprintable characters in a stream. UnicodeDecodeError if not UTF-8."""
    text = drawn.decode()
    found = {_kind(match) for match in SEQUENCE.finditer(text)}
    rest = SEQUENCE.sub("", text)
    return found | {repr(one) for one in set(rest) if unicodedata.category(one) in UNPRINTABLE}


def _kind(match: re.Match[str]) -> str:
    if match["final"]:
        figures = match["figures"]
        kept = figures.lstrip("0123456789:;") if match["final"] in FIGURES_VARY else figures
        return f"CSI {kept} {match['between']}{match['final']}"
    if match["string"]:
        return f"string {match['string']}"
    return f"OSC {match['command']}" if match["plain"] is None else f"ESC {match['plain']}"

"""The README's pictures: `python -m snapshots_tests.picture` draws them all anew.

The data, the clock and the sizes are fixed, so the same console gives the same files, byte for byte. A
picture loads nothing from anywhere: it does without the web fonts that an exported screen asks for, and
sets each word, and each dot pattern of a chart, in its own cell whatever font there is.
"""

import asyncio
import html
import os
import re
from collections.abc import Iterator
from pathlib import Path

from tests.console.deck_driver import console

FOLDER = Path(__file__).resolve().parent
NEXT = "right_square_bracket"
WIDE, NARROW, LOW = (160, 45), (120, 30), (150, 22)
# By name: the size, and the keys that lead there from the overview.
PICTURES = {
    "overview": (WIDE, ()),
    "quarantine": (NARROW, ("3", NEXT, NEXT, NEXT, "e", "tab", "enter", "enter")),
    "nav": (NARROW, ("5",)),
    "backups": (LOW, ("7", "j", "j", "j")),
}
CELL = 12.2  # the width of a cell in an exported screen
COLOUR_WISHES = ("NO_COLOR", "FORCE_COLOR", "COLORTERM")
_FONT = re.compile(r" *@font-face \{.*?\}\n", re.DOTALL)
_TEXT = re.compile(
    r'(<text class="[^"]*") x="([0-9.]+)" (y="[^"]*") textLength="[^"]*" ([^>]*)>([^<]*)</text>'
)
_PIECE = re.compile(r"[\u2801-\u28ff]|[^\s\u2800-\u28ff]+")


def file(name: str) -> Path:
    return FOLDER / f"{name}.svg"


def drawn(name: str) -> str:
    """A picture as SVG text."""
    return _TEXT.sub(lambda text: "".join(_pieces(text)), _FONT.sub("", asyncio.run(_exported(name))))


async def _exported(name: str) -> str:
    size, keys = PICTURES[name]
    async with console(size=size) as opened:
        await opened.press(*keys)
        return opened.app.export_screenshot(title="navdeck")


def _pieces(text: re.Match[str]) -> Iterator[str]:
    """The words and dot patterns of a run of text, each at the place of its cell."""
    head, left, y, clip, content = text.groups()
    for piece in _PIECE.finditer(html.unescape(content)):
        x, width = float(left) + CELL * piece.start(), CELL * len(piece[0])
        words = html.escape(piece[0], quote=False)
        yield f'{head} x="{x:g}" {y} textLength="{width:g}" {clip}>{words}</text>'


def main() -> None:
    for wish in COLOUR_WISHES:
        os.environ.pop(wish, None)
    for name in PICTURES:
        file(name).write_text(drawn(name), encoding="utf-8")


if __name__ == "__main__":
    main()

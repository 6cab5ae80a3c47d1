"""The README's picture: `python -m snapshots_tests.picture` draws the overview anew.

The data, the clock and the size are fixed, so the same console gives the same file, byte for byte. The
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

FILE = Path(__file__).resolve().parent / "overview.svg"
SIZE = (160, 45)
CELL = 12.2  # the width of a cell in an exported screen
COLOUR_WISHES = ("NO_COLOR", "FORCE_COLOR", "COLORTERM")
_FONT = re.compile(r" *@font-face \{.*?\}\n", re.DOTALL)
_TEXT = re.compile(
    r'(<text class="[^"]*") x="([0-9.]+)" (y="[^"]*") textLength="[^"]*" ([^>]*)>([^<]*)</text>'
)
_PIECE = re.compile(r"[\u2801-\u28ff]|[^\s\u2800-\u28ff]+")


def drawn() -> str:
    """The overview at 160x45, as SVG text."""
    return _TEXT.sub(lambda text: "".join(_pieces(text)), _FONT.sub("", asyncio.run(_exported())))


async def _exported() -> str:
    async with console(size=SIZE) as opened:
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
    FILE.write_text(drawn(), encoding="utf-8")


if __name__ == "__main__":
    main()

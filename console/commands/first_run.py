"""The very first start, with a person there: asks whether to make a home. It makes none itself."""

from collections.abc import Callable
from pathlib import Path

from console.text import safe_text

CHOICES = ("USD", "UTC", "FIFO")  # base currency, time zone, lot method: fixed once a home is made

QUESTION = """\
navdeck keeps the books of a portfolio exact. They live in a home: a folder
with an inbox for your files. There is none yet. It would be

  {home}
  NAV in {currency}, days by the clock of {zone}, lots by {method};
  these three are fixed from then on, `navdeck init` has other choices

To look around first, with made-up data in a throw-away home: `navdeck demo`.
"""
DECLINED = "Nothing was made. `navdeck --help` tells all that navdeck does."


def wanted(home: Path, ask: Callable[[str], str] = input) -> bool:
    """Whether the person wants the home to be made. No answer is a no."""
    currency, zone, method = CHOICES
    print(QUESTION.format(home=safe_text(str(home)), currency=currency, zone=zone, method=method))
    try:
        answer = ask("Make it, and begin? [y/N] ")
    except (EOFError, KeyboardInterrupt):
        print()
        answer = ""
    if answer.strip().lower() in ("y", "yes"):
        return True
    print(DECLINED)
    return False

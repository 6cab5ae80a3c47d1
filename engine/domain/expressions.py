"""Regular expressions as they are typed into a filter. Pure, and in linear time whatever was typed.

Polars matches them (Rust's regex, which never goes back). Letters' case makes no difference; `^` and `$` are
those of a line, and a row is looked at as its fields, a line each.
"""

import re
from collections.abc import Sequence


def matching(expression: str, texts: Sequence[str]) -> list[bool]:
    """Whether each text has a match somewhere. ValueError, saying what is wrong, for no expression."""
    import polars as pl  # who only looks at a list need not wait for it
    from polars.exceptions import ComputeError

    try:
        found = pl.Series(texts, dtype=pl.String).str.contains(f"(?im){expression}")
    except ComputeError as error:
        told = re.search(r"^error: (.*)", str(error), re.MULTILINE)
        raise ValueError(f"no regular expression: {told[1] if told else 'too large'}") from None
    return [bool(one) for one in found]

"""Exact money and quantities as scaled integers: 1 unit = 10**18. No float ever enters here.

Rounding, where a product or a division forces it, is half-even at the 18th place. `share` is the one
way to split an amount, so that parts always add up to the whole.
"""

import re

PLACES = 18  # decimal places of every quantity and amount: DECIMAL(38,18)
SCALE: int = 10**PLACES
SCALED_MAX: int = 10**38 - 1  # the largest magnitude that DECIMAL(38,18) holds, scaled

_PLAIN = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,18})?")


def is_plain(text: str) -> bool:
    """Whether `text` is a plain decimal: optional minus, 1-20 digits, optional point and 1-18 digits."""
    return _PLAIN.fullmatch(text) is not None


def to_scaled(text: str) -> int:
    """Reads a plain decimal as a scaled integer. ValueError for anything else."""
    if not is_plain(text):
        raise ValueError(f"not a plain decimal: {text!r}")
    whole, _, fraction = text.partition(".")
    scaled = int(whole.lstrip("-")) * SCALE + int(fraction.ljust(PLACES, "0"))
    return -scaled if text[0] == "-" else scaled


def to_text(scaled: int) -> str:
    """Canonical text: no exponent, no trailing zeros, no minus before zero."""
    whole, fraction = divmod(abs(scaled), SCALE)
    text = str(whole)
    if fraction:
        text += "." + str(fraction).rjust(PLACES, "0").rstrip("0")
    return "-" + text if scaled < 0 else text


def div_half_even(numerator: int, denominator: int) -> int:
    """numerator / denominator as an integer, rounded half-even. denominator > 0."""
    quotient, rest = divmod(numerator, denominator)
    twice = rest * 2
    if twice > denominator or (twice == denominator and quotient & 1):
        return quotient + 1
    return quotient


def mul(left: int, right: int) -> int:
    """Product of two scaled numbers, scaled, half-even at the 18th place."""
    return div_half_even(left * right, SCALE)


def share(amount: int, part: int, whole: int) -> int:
    """What `part` of `whole` gets of `amount`: round(amount x part / whole). The caller keeps the rest."""
    return div_half_even(amount * part, whole)


def in_range(scaled: int) -> bool:
    """Whether DECIMAL(38,18) holds the value."""
    return -SCALED_MAX <= scaled <= SCALED_MAX

"""Text for people, as plain strings: data made safe to show, figures and instants short, codes in words.

Nothing that came from data can move a cursor, set a colour or hide itself. It makes no colours, no tables.
"""

import unicodedata
from decimal import Decimal

from rich.cells import cell_len

UNKNOWN = "–"  # a figure that is not known; never 0
CUT = "…"
MONEY_PLACES = 2  # shown; JSON has every place
# Unprintable: controls, formats, surrogates, private use, line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})

WORDS = {
    # rows in quarantine
    "COLUMN_COUNT": "too many or too few columns",
    "ID_NOT_UUIDV7": "the id is neither empty nor a UUIDv7",
    "TIMESTAMP_INVALID": "not a UTC instant such as 2024-05-01T12:30:00Z",
    "TIMESTAMP_FUTURE": "more than 24 hours ahead of now",
    "ACTION_UNKNOWN": "not one of the eight actions, in upper case",
    "ASSET_ID_INVALID": "an asset id has 1 to 64 of A-Z a-z 0-9 . _ : -",
    "QUANTITY_INVALID": "not a plain decimal such as 1250.50",
    "QUANTITY_SIGN": "must be above zero; only a FEE may be negative",
    "PRICE_INVALID": "not a plain decimal of zero or more",
    "PRICE_MISSING": "a price is needed here",
    "FEE_INVALID": "fee asset or fee amount not well formed",
    "FEE_INCOMPLETE": "fee asset and fee amount go together",
    "ACCOUNT_MISSING": "an account is needed",
    "FORMULA_PREFIX": "starts like a spreadsheet formula",
    "CONTROL_CHARACTER": "has a character that cannot be printed",
    "FIELD_TOO_LONG": "longer than its column allows",
    "VALUE_OUT_OF_RANGE": "too large to be kept exactly",
    "IDEMPOTENCY_CONFLICT": "known key or id, but other content",
    "RESOLUTION_UNKNOWN": "not one of 5m, 1h, 1d, spot",
    "BAR_INVALID": "the bar contradicts itself, or a price is not above zero",
    "RATE_INVALID": "not a plain decimal above zero",
    "CURRENCY_INVALID": "not a currency, or both sides are the same",
    "SOURCE_MISSING": "a source is needed",
    # files refused
    "FILE_NOT_REGULAR": "a link, folder or device, not a file",
    "FILE_TOO_LARGE": "larger than allowed; `navdeck split` cuts it",
    "FILE_EMPTY": "there is nothing in it",
    "FILE_BINARY": "has NUL bytes: this is no text",
    "FILE_ENCODING": "is not UTF-8",
    "FILE_QUOTING": "a quote is opened and never closed",
    "FILE_HEADER": "the header is not one that navdeck knows",
    "FILE_TOO_MANY_ROWS": "more than 100,000 rows; `navdeck split` cuts it",
    # holdings not valued
    "NO_PRICE": "no price for this close; an older one is never carried over",
    "NO_FX": "no rate in force: take in rates, or set fx.pegs for a token",
    "FX_HELD": "the fallback rate is not trusted: no fresh market rate agrees with it",
    "PEG_BROKEN": "the token trades too far off its peg",
    "POSITION_BREAK": "more left the account than came in",
    "MANUAL_EXPIRED": "the price set by hand has expired and no other is there",
    "CASH_NEGATIVE": "a cash balance is below zero",
    # returns not known
    "NO_CAPITAL": "a gain without capital: there is no return that it could be",
    "DIETZ_UNDEFINED": "more was taken out than was there: no return is defined",
    "NO_VALUATION": "nothing is valued in this range",
    "ONE_VALUATION": "one valuation alone makes no return",
    "TOO_FEW_RETURNS": "fewer than two returns",
    "RETURN_OF_MINUS_100_PERCENT": "all was lost once; that has no logarithm",
    "NO_SOLUTION": "no rate solves it: money went one way only, or all on one day",
    # flags
    "PROVISIONAL": "a transfer still lacks its other side",
    "IN_TRANSIT": "a transfer is under way: counted at its destination",
    "UNMATCHED_TRANSFER": "the other side of this transfer has not arrived",
    "INSUFFICIENT_LOTS": "more left than was held: that part has no basis",
    "NO_BASIS": "income of unknown value: nothing is added for it",
    "ZERO_PRICE": "bought at a price of 0",
    "FEE_UNVALUED": "the fee's value in USD is not known",
    "FEE_AT_BASIS": "a fee paid in another asset counts at that asset's basis",
    "FX_CLOSED": "rate from before the market closed",
    "DELAYED_FX": "waits for a fresh market rate",
    "EOD_ONLY": "valued by reference rates, as configured",
    "EOD_OVERRIDE": "valued by the reference rate, by an operator's decision",
    "PEGGED": "a token taken at the value of its currency, as configured",
    "FLOW_UNPRICED": "something came or went without a price: no return across it",
}  # fmt: skip


# What stands for our own signs where the terminal's character set is not UTF-8; all of them one cell wide.
_ASCII = str.maketrans(
    {
        "…": "~", "–": "-", "−": "-", "—": "-", "·": ".", "│": "|", "┆": ":", "─": "-", "✓": "+", "✗": "x",
        "×": "x", "‖": "H", "▸": ">", "▏": "|", "█": "#", "░": ".", "▓": "=", "→": ">", "┤": "|", "┴": "+",
        "■": "*", "□": "-", "▁": "_", "▲": "^", "▼": "v", "╌": "-", "┼": "+", "←": "<", "↑": "^", "↓": "v",
        "▂": ".", "▃": "-", "▄": "=", "▅": "+", "▆": "*", "▇": "%", "⏎": "<",
    }
)  # fmt: skip


def ascii_signs(text: str) -> str:
    """`text` with stand-ins for our own signs; what else is no ASCII stays."""
    return text if text.isascii() else text.translate(_ASCII)


def ascii_text(text: str) -> str:
    """`text` in ASCII of the same width: our own signs by their stand-ins, others as question marks."""
    told = ascii_signs(text)
    return told if told.isascii() else "".join(c if c.isascii() else "?" * cell_len(c) for c in told)


def safe_text(text: object, keep_lines: bool = False) -> str:
    r"""`text` with every unprintable character as visible `\xNN` or `\u{NNNN}`; newlines stay if asked."""
    return "".join(
        character if _is_safe(character) or (keep_lines and character == "\n") else _shown(character)
        for character in str(text)
    )


def _is_safe(character: str) -> bool:
    return " " <= character <= "~" or unicodedata.category(character) not in _UNSAFE


def _shown(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` cells: the middle is cut, since names differ at their ends."""
    if cell_len(text) <= width:
        return text
    head = _fitting(text, (width - 1) // 3)
    tail = _fitting(text[::-1], width - 1 - cell_len(head))[::-1]
    return head + CUT + tail


def _fitting(text: str, width: int) -> str:
    """The longest start of `text` that takes at most `width` cells."""
    kept = text[: max(0, width)]
    while kept and cell_len(kept) > width:
        kept = kept[:-1]
    return kept


def money(amount: str | None) -> str:
    """An amount with separators, rounded for the eye only; what is not nothing is never shown as 0.00."""
    if amount is None:
        return UNKNOWN
    exact = Decimal(amount)
    least = Decimal(1).scaleb(-MONEY_PLACES)
    if exact and abs(exact) < least / 2:
        return f">-{least}" if exact < 0 else f"<{least}"
    return f"{exact:,.{MONEY_PLACES}f}"


def quantity(amount: str | None) -> str:
    """A quantity with all its own places, the whole part separated."""
    return UNKNOWN if amount is None else f"{Decimal(amount):,f}"


def instant(told: str | None) -> str:
    """An instant to the minute or second in UTC: `2024-03-04 00:00Z`; a fraction is in the JSON only."""
    if told is None:
        return "unknown"
    date, _, clock = told.rstrip("Z").partition("T")
    return f"{date} {clock[:8].removesuffix(':00') if len(clock) >= 8 else clock}Z"


def count(number: int) -> str:
    """A count with separators."""
    return f"{number:,}"


def plural(number: int, thing: str) -> str:
    """A count of things: `1 row`, `2 rows`."""
    return f"{count(number)} {thing}{'' if number == 1 else 's'}"


def bytes_text(size: int) -> str:
    """A size in the unit that suits it."""
    if size < 1000:
        return f"{size} B"
    if size < 1_000_000:
        return f"{size / 1000:,.0f} kB"
    return f"{size / 1_000_000:,.1f} MB" if size <= 1_000_000_000 else f"{size / 1_000_000_000:,.1f} GB"


def words(code: str) -> str:
    """What a reason or flag means; nothing for one that has no words."""
    return WORDS.get(code, "")

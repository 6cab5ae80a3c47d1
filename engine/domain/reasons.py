"""The closed lists of reasons: why a row is quarantined, a file refused, a holding not valued.

Each row reason has a sentence for people; the code is what programs and tests rely on.
"""

from collections import Counter
from collections.abc import Mapping

ROW_REASONS = {
    "COLUMN_COUNT": "The record has too many or too few columns.",
    "ID_NOT_UUIDV7": "id is neither empty nor a hyphenated UUIDv7.",
    "TIMESTAMP_INVALID": "Not an instant like 2024-05-01T12:30:00Z (UTC only, from 1970).",
    "TIMESTAMP_FUTURE": "The instant is more than 24 h ahead of now.",
    "ACTION_UNKNOWN": "Not one of the eight actions, in upper case.",
    "ASSET_ID_INVALID": "An asset id has 1-64 of A-Z a-z 0-9 . _ : - and starts with a letter or digit.",
    "QUANTITY_INVALID": "Not a plain decimal (up to 20 digits, a point, up to 18 digits).",
    "QUANTITY_SIGN": "A quantity is greater than zero; only a FEE may be negative.",
    "PRICE_INVALID": "Not a plain decimal of zero or more.",
    "PRICE_MISSING": "A price is needed here.",
    "FEE_INVALID": "The fee asset or the fee amount is not well formed.",
    "FEE_INCOMPLETE": "fee_asset and fee_amount go together: both or neither.",
    "ACCOUNT_MISSING": "An account is needed.",
    "FORMULA_PREFIX": "The text starts with a character that spreadsheets run as a formula.",
    "CONTROL_CHARACTER": "The text has a character that cannot be printed.",
    "FIELD_TOO_LONG": "The text is longer than its column allows.",
    "VALUE_OUT_OF_RANGE": "Quantity times price, or the fee, is 10^19 or more.",
    "IDEMPOTENCY_CONFLICT": "A stored row has this key or id, with other content.",
    "RESOLUTION_UNKNOWN": "Not one of 5m, 1h, 1d, spot.",
    "BAR_INVALID": "The bar contradicts itself: high below low, close outside, or a price of zero or less.",
    "RATE_INVALID": "Not a plain decimal greater than zero.",
    "CURRENCY_INVALID": "Not a currency or asset id, or both sides are the same.",
    "SOURCE_MISSING": "A source is needed.",
}

# In the order in which they are judged: the first that applies is the one that is told.
FILE_REASONS = {
    "FILE_NOT_REGULAR": "Not a regular file (a link, a folder, a device).",
    "FILE_TOO_LARGE": "Larger than allowed; `navdeck split FILE` cuts it into files that are not.",
    "FILE_EMPTY": "There is nothing in it.",
    "FILE_BINARY": "It has NUL bytes: this is no text.",
    "FILE_ENCODING": "It is not UTF-8.",
    "FILE_QUOTING": "A quote is opened and never closed.",
    "FILE_HEADER": "The header is not one that navdeck knows.",
    "FILE_TOO_MANY_ROWS": "More than 100,000 rows; `navdeck split FILE` cuts it into files that have fewer.",
}


def counted_codes(by_codes: Mapping[str, int]) -> dict[str, int]:
    """How many rows have each reason, the commonest first, from how many have each set of codes."""
    counts: Counter[str] = Counter()
    for codes, rows in by_codes.items():
        for code in filter(None, (codes or "").split(",")):
            counts[code] += rows
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

"""Keys that never show: not in a text, a repr, an address, an error or the bytes that are kept."""

import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

EXCERPT_CHARS_MAX = 200  # of a provider's own words in an error

_KEY = re.compile(r"""[!#-&(-\[\]-~]{8,256}""")  # printable ASCII without quotes, blanks and backslash
STRUCK = "***"


class Secret:
    """A key. ValueError, without the key, unless it is 8 to 256 printable ASCII characters, no quotes."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        if _KEY.fullmatch(value) is None:
            raise ValueError("a key must be 8 to 256 printable ASCII characters without blanks or quotes")
        self._value = value

    def reveal(self) -> str:
        """The key itself, for the wire alone."""
        return self._value

    def __repr__(self) -> str:
        return STRUCK

    def __reduce__(self) -> str:
        raise TypeError("a key is never written down")

    def forms(self) -> set[str]:
        """How the key may stand in a text."""
        return forms_of(self._value)


def forms_of(plain: str) -> set[str]:
    """How a key may stand in a text: as it is, in an address, in JSON with escaped slashes."""
    return {plain, quote(plain, safe=""), quote_plus(plain), quote(plain), plain.replace("/", "\\/")}


def strike_text(text: str, secrets: Iterable[Secret]) -> str:
    """The text with every key struck out."""
    for form in _forms(secrets):
        text = text.replace(form, STRUCK)
    return text


def strike_bytes(body: bytes, secrets: Iterable[Secret]) -> bytes:
    """The bytes with every key struck out."""
    for form in _forms(secrets):
        body = body.replace(form.encode(), STRUCK.encode())
    return body


def excerpt(text: str, secrets: Iterable[Secret] = ()) -> str:
    """A provider's own words, fit to be shown: one line, printable, short, without keys."""
    shown = "".join(char if char.isprintable() else " " for char in strike_text(text, secrets))
    shown = " ".join(shown.split())
    return shown if len(shown) <= EXCERPT_CHARS_MAX else shown[: EXCERPT_CHARS_MAX - 1] + "…"


def _forms(secrets: Iterable[Secret]) -> list[str]:
    """The longest first, so that no part of one is left over."""
    forms = {form for secret in secrets for form in secret.forms()}
    return sorted(forms, key=lambda form: (-len(form), form))

"""Text from data made safe to show: nothing in it can move a cursor, set a colour or hide itself."""

import unicodedata

# Unprintable: controls, formats, surrogates, private use, line and paragraph separators.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def safe_text(text: object, keep_lines: bool = False) -> str:
    r"""`text` with every unprintable character as visible `\xNN` or `\u{NNNN}`; newlines stay if asked."""
    return "".join(
        character if _is_safe(character) or keep_lines and character == "\n" else _shown(character)
        for character in str(text)
    )


def _is_safe(character: str) -> bool:
    return " " <= character <= "~" or unicodedata.category(character) not in _UNSAFE


def _shown(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"

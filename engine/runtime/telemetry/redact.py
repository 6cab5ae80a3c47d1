"""What must never be written down: values of secrets that this process can see, struck out of any text."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.providers.secrets import STRUCK, forms_of

SECRET_CHARS_MIN = 6  # what is shorter stands in too many innocent words
FILE_BYTES_MAX = 4096  # of a file that holds one secret
_NAMES = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|HEADERS|DSN)(_FILE)?$", re.I)


class Redactor:
    """Strikes the secrets of an environment: variables whose names say so, and the files that they name."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        forms = {form for value in _secrets(environment) for form in forms_of(value)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._shape = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def text(self, text: str) -> str:
        return text if self._shape is None else self._shape.sub(STRUCK, text)

    def value(self, value: Any) -> Any:
        """A JSON value with every text in it struck."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each) for each in value]
        return value


def _secrets(environment: Mapping[str, str]) -> set[str]:
    found = set()
    for name, value in environment.items():
        match = _NAMES.search(name)
        if match is not None:
            found.add(_content(value) if match[1] else value)
    return {value for value in found if len(value) >= SECRET_CHARS_MIN}


def _content(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(FILE_BYTES_MAX).decode("utf-8", "replace").strip()
    except (OSError, ValueError):
        return ""

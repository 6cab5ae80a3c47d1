"""What every picture starts from: an environment that wishes for no colours of its own."""

import os

import pytest

KEPT = "TEXTUAL_SNAPSHOT"  # the plugin talks to itself by these


@pytest.fixture(autouse=True)
def _bare_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colour wishes and Textual's own settings change pictures."""
    unwanted = ("NO_COLOR", "COLORTERM", "FORCE_COLOR", "TEXTUAL")
    for name in [name for name in os.environ if name.startswith(unwanted) and not name.startswith(KEPT)]:
        monkeypatch.delenv(name)

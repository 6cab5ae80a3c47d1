"""What follows from the terminal: decided from plain values."""

import pytest

from console.terminal import DARK, PLAIN, Terminal, decide, too_small


def on(is_tty: bool = True, encoding: str = "utf-8", **environ: str) -> Terminal:
    return decide({"TERM": "xterm-256color"} | environ, is_tty=is_tty, encoding=encoding)


def test_ordinary_terminal() -> None:
    assert on() == Terminal(refusal="", theme=DARK, mouse=True, ascii=False)


@pytest.mark.parametrize("term", ["dumb", ""])
def test_terminal_without_a_cursor__is_refused(term: str) -> None:
    assert on(TERM=term).refusal


def test_no_terminal__is_refused() -> None:
    assert on(is_tty=False).refusal


def test_no_color__takes_the_terminal_s_own_colours() -> None:
    assert on(NO_COLOR="1").theme == PLAIN
    assert on(NO_COLOR="1").ansi
    assert on(NO_COLOR="").theme == DARK


def test_ssh__leaves_the_mouse_to_the_terminal() -> None:
    assert not on(SSH_CONNECTION="10.0.0.1 5 10.0.0.2 22").mouse


@pytest.mark.parametrize(
    ("encoding", "expected"), [("utf-8", False), ("UTF8", False), ("ascii", True), ("iso8859-1", True)]
)
def test_character_set__decides_the_signs(encoding: str, expected: bool) -> None:
    assert on(encoding=encoding).ascii == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"LANG": "C"}, True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, True),  # Python's own doing
        ({"LC_CTYPE": "C.UTF-8"}, False),  # nobody asked for anything
        ({"LANG": "C.UTF-8"}, False),
        ({"LC_ALL": "C", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "C"}, False),
        ({"LANG": "de_DE.ISO-8859-1"}, True),
        ({"LANG": "C", "LC_CTYPE": "de_DE.UTF-8"}, False),
    ],
)
def test_locale__one_that_is_not_utf8_is_taken_at_its_word(environ: dict[str, str], expected: bool) -> None:
    assert on(**environ).ascii == expected


def test_linux_console__has_few_signs() -> None:
    assert on(TERM="linux").ascii


def test_too_small__names_both_sizes() -> None:
    assert too_small(60, 16) == ""
    assert too_small(59, 16) == "navdeck needs 60x16, this is 59x16"
    assert too_small(200, 15)

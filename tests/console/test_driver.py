"""What a terminal sends becomes keys and pastes, in whatever pieces it comes; nothing pasted is a key."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual._xterm_parser import XTermParser
from textual.message import Message

from console.driver import Sent

START, END = "\x1b[200~", "\x1b[201~"
PIECES = ["q", "\x1b", "\x1b[", "2", "0", "1", "~", "\x1b[A", "\x1b[<0;3;4M", "\x1b[1:1u", "é", "\r", "\x00"]
KEYS = ["q", "Q", "é", "\r", "\x1b[A", "\x1b[97;5u", "\x1b[<0;3;4M", "\x1bx", "\x1b[I"]
pasted_text = st.lists(st.sampled_from([*PIECES, START, END]) | st.text(max_size=5), max_size=12).map("".join)
cuts = st.lists(st.integers(0, 80), max_size=6)


def told(messages: Iterable[Message]) -> list[tuple[type[Message], str]]:
    """Each message, with the key or the text it has."""
    return [(type(one), getattr(one, "key", "") or getattr(one, "text", "")) for one in messages]


def sent(text: str, cut_at: Iterable[int] = ()) -> list[tuple[type[Message], str]]:
    """What is told of a text that comes in pieces, without a pause until its end."""
    stream, data, found = Sent(), text.encode(errors="surrogatepass"), []
    ends = [*sorted({at for at in cut_at if at < len(data)}), len(data)]
    for begins, cut in zip([0, *ends], ends, strict=False):
        found += told(stream.feed(data[begins:cut]))
    return found + told(stream.pause())


@given(pasted_text, cuts)
def test_paste__anything_in_it_in_any_pieces__is_one_text_and_no_key(pasted: str, cut_at: list[int]) -> None:
    [(kind, text)] = sent(START + pasted + END, cut_at)
    assert kind is events.Paste
    assert not set(text) & {"\x1b", "\x00"}


@given(st.text(st.characters(exclude_characters="\x1b\x00", exclude_categories=["Cs"])), cuts)
def test_paste__plain_text__is_told_whole(pasted: str, cut_at: list[int]) -> None:
    assert sent(START + pasted + END, cut_at) == [(events.Paste, pasted)]


@given(st.lists(st.sampled_from(KEYS)).map("".join), cuts)
def test_keys__without_a_paste__are_what_textual_makes_of_them(keys: str, cut_at: list[int]) -> None:
    expected = told(XTermParser().feed(keys)) if keys else []
    assert sent(keys, cut_at) == expected


def test_keys__before_and_after_a_paste__are_keys() -> None:
    assert sent(f"a{START}b{END}c") == [(events.Key, "a"), (events.Paste, "b"), (events.Key, "c")]


def test_paste__after_a_pause__the_next_one_is_its_own() -> None:
    stream = Sent()
    for text in ("one", "two"):
        assert told(stream.feed(f"{START}{text}{END}".encode())) == []
        assert told(stream.pause()) == [(events.Paste, text)]


def test_paste__slow__waits_for_its_end() -> None:
    stream = Sent()
    assert told(stream.feed(f"{START}q".encode())) == []
    assert told(stream.pause()) == []
    assert told(stream.feed(f"q{END}".encode())) == []
    assert told(stream.pause()) == [(events.Paste, "qq")]


@pytest.mark.parametrize("bad", ["\x1b[1:1u", "\x1b[1114112u", "\x1b[99999999999999999999u"])
def test_sequence_that_names_no_key__what_comes_next__is_read(bad: str) -> None:
    stream = Sent()
    assert told(stream.feed(bad.encode())) == []
    assert told(stream.feed(b"q")) == [(events.Key, "q")]


def test_byte_that_is_no_utf_8__is_a_replacement_character() -> None:
    [message] = Sent().feed(b"\xff")
    assert isinstance(message, events.Key)
    assert message.character == "\ufffd"

"""Messages: what goes out as JSON comes back equal."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.messages import Command, Event, Query, Result

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=6)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
DOCUMENT = st.dictionaries(st.text(max_size=6), JSON, max_size=4)
WORDS = st.text(max_size=8)
MESSAGES = (
    st.builds(Command, WORDS, DOCUMENT, WORDS, WORDS, st.booleans())
    | st.builds(Query, WORDS, DOCUMENT)
    | st.builds(Event, st.integers(0), WORDS, DOCUMENT)
    | st.builds(Result, DOCUMENT)
)


@given(MESSAGES)
@settings(deadline=None, max_examples=80)
def test_message__to_json_and_back__equal(message: Command | Query | Event | Result) -> None:
    text = message.to_json()
    assert type(message).from_json(text) == message
    assert "\n" not in text


@pytest.mark.parametrize("message", [Command("ingest"), Query("lots"), Event(1, "file_done"), Result()])
def test_message__frozen(message: Command) -> None:
    first = dataclasses.fields(message)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(message, first, "other")


def test_message__unknown_field__refused() -> None:
    with pytest.raises(TypeError):
        Query.from_json('{"name": "lots", "surprise": 1}')

"""Frames and errors: what goes over the wire comes out as it went in, and anything else is refused."""

import asyncio
import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import (
    CallHeld,
    ConfigInvalid,
    EngineError,
    EngineGone,
    FrameRefused,
    HomeInUse,
    UsageError,
    VersionSkew,
    WorkerLost,
)
from engine.link import protocol
from engine.link.protocol import Hello
from tests.test_layers import subclasses

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def travelled(error: BaseException) -> EngineError:
    return protocol.to_error(json.loads(json.dumps(protocol.from_error(error))))


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(), JSON))
def test_frame__any_json_object__is_one_line_and_comes_back(frame: dict[str, object]) -> None:
    line = protocol.encode(frame)
    assert line.count(b"\n") == 1
    assert protocol.decode(line) == frame


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_frame__any_bytes__are_an_object_or_refused(line: bytes) -> None:
    with suppress(FrameRefused):
        assert isinstance(protocol.decode(line), dict)


HARMFUL = [b"[" * 100_000, b"9" * 10_000, b'{"a":' * 50_000, b"\xff\xfe", b"", b"null"]


@pytest.mark.parametrize("line", HARMFUL)
def test_frame__built_to_harm__is_refused(line: bytes) -> None:
    with pytest.raises(FrameRefused):
        protocol.decode(line)


@pytest.mark.parametrize("kind", sorted({EngineError, *subclasses(EngineError)}, key=str))
def test_error__of_every_kind__keeps_its_kind(kind: type[EngineError]) -> None:
    made = kind(["one", "two"]) if kind is ConfigInvalid else kind("tried it")
    back = travelled(made)
    assert type(back) is kind
    assert (back.code, back.tried, back.hint) == (made.code, made.tried, made.hint)
    assert (back.retryable, back.exit_code, str(back)) == (made.retryable, made.exit_code, str(made))


def test_error__what_belongs_to_its_kind__comes_along() -> None:
    held, refused = travelled(CallHeld("held", retry_at_us=5)), travelled(ConfigInvalid(["a", "b"]))
    assert isinstance(held, CallHeld)
    assert held.retry_at_us == 5
    assert isinstance(refused, ConfigInvalid)
    assert refused.problems == ["a", "b"]


def test_error__of_a_kind_that_is_not_known_here__keeps_its_code_and_words() -> None:
    back = protocol.to_error({"code": "NEWER", "tried": "it", "hint": "do", "retryable": True})
    assert (type(back), back.code, back.tried, back.hint) == (EngineError, "NEWER", "it", "do")
    assert back.retryable


def test_error__of_the_system__tells_the_path() -> None:
    back = travelled(FileNotFoundError(2, "No such file or directory", "/a/b.csv"))
    assert back.code == "OS_ERROR"
    assert back.tried == "No such file or directory (/a/b.csv)."
    assert back.exit_code == 1


def test_error__that_nobody_foresaw__is_told_as_a_fault() -> None:
    assert travelled(KeyError("totals")).code == "ENGINE_FAULT"


@pytest.mark.parametrize("theirs", [Hello(1, "9.9.9"), Hello(2, "1.0.0")])
def test_versions__that_differ__are_refused_with_both_and_the_fix(theirs: Hello) -> None:
    mine = Hello(1, "1.0.0", 77)
    with pytest.raises(VersionSkew) as refused:
        protocol.require_same(mine, theirs, engine=mine)
    assert "process 77) is navdeck 1.0.0, protocol 1" in refused.value.tried
    assert f"this is navdeck {theirs.version}, protocol {theirs.proto}" in refused.value.tried
    assert "Restart the engine" in refused.value.hint
    assert not refused.value.retryable


@pytest.mark.parametrize("line", [b"{}\n", b'{"hello": 3}\n', b'{"hello": {"proto": 1}}\n', b"hi\n"])
def test_greeting__that_is_none__is_refused(line: bytes) -> None:
    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(line)
        await protocol.read_hello(reader)

    with pytest.raises(FrameRefused):
        asyncio.run(read())


def test_greeting__that_does_not_come__is_an_engine_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HELLO_S", 0.01)

    async def read() -> None:
        await protocol.read_hello(asyncio.StreamReader())

    with pytest.raises(EngineGone):
        asyncio.run(read())


def test_errors__that_pass_by_themselves__are_known_as_such() -> None:
    assert travelled(HomeInUse("x")).retryable
    assert travelled(WorkerLost("x")).retryable
    assert travelled(EngineGone("x")).retryable
    assert not travelled(UsageError("x")).retryable

"""Detach keys, however the typing is cut into reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from tuidock.cli.detach_keys import DetachKeys, parse_detach_keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-@,x", b"\0x"),
        ("ctrl-\\", b"\x1c"),
        ("DEL", b"\x7f"),
    ],
)
def test_parse(text: str, keys: bytes) -> None:
    assert parse_detach_keys(text) == keys


@pytest.mark.parametrize("text", ["", "ctrl-", "ctrl-pp", "ab", "ctrl-1", "ctrl-p,"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_detach_keys(text)


def feed(chunks: list[bytes], keys: bytes = b"\x10\x11") -> tuple[bytes, bool]:
    machine, out = DetachKeys(keys), b""
    for chunk in chunks:
        passed, complete = machine.feed(chunk)
        out += passed
        if complete:
            return out, True
    return out, False


@pytest.mark.parametrize(
    ("chunks", "passed", "complete"),
    [
        ([b"ls\r"], b"ls\r", False),
        ([b"\x10\x11"], b"", True),
        ([b"ab\x10", b"\x11cd"], b"ab", True),
        ([b"\x10", b"x"], b"\x10x", False),
        ([b"\x10\x10\x11"], b"\x10", True),
        ([b"\x11\x10a"], b"\x11\x10a", False),
    ],
)
def test_feed(chunks: list[bytes], passed: bytes, complete: bool) -> None:
    assert feed(chunks) == (passed, complete)


@given(st.lists(st.binary(max_size=6)))
def test_without_the_sequence_every_byte_goes_through(chunks: list[bytes]) -> None:
    typed = b"".join(chunks)
    if b"\x10\x11" in typed:
        assert feed(chunks) == (typed.partition(b"\x10\x11")[0], True)
    else:
        held = 1 if typed.endswith(b"\x10") else 0
        assert feed(chunks) == (typed[: len(typed) - held], False)

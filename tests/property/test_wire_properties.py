"""What C makes of a message's file is what Python makes of it, to the octet, wherever it is cut."""

import os
from collections.abc import Iterator
from itertools import pairwise
from tempfile import TemporaryFile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pop3_service.maildir import wire_in_python
from pop3_service.protocol.multiline import LINE_FEED, octets_and_plainness, wire_form

in_c = pytest.importorskip("pop3_service.maildir._wire", reason="no C compiler was there")

# Mostly the octets that matter; and long ones, since C counts 240 octets at a time.
contents = st.lists(
    st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\n.", b"\n\n", b"\r\n.", b"\xff", b"a" * 239]),
    max_size=40,
).map(b"".join) | st.binary(max_size=1000)
octets_before = st.sampled_from(list(b"\r\n.a\xff"))


@pytest.fixture(scope="module")
def descriptor() -> Iterator[int]:
    with TemporaryFile() as file:
        yield file.fileno()


def written(descriptor: int, content: bytes) -> int:
    os.ftruncate(descriptor, 0)
    return os.pwrite(descriptor, content, 0)


@given(content=contents)
def test_a_whole_message_has_the_wire_form(descriptor: int, content: bytes) -> None:
    size = written(descriptor, content)
    for is_plain in {False, octets_and_plainness(content)[1]}:
        whole = (descriptor, 0, size, 0, LINE_FEED, True, is_plain)
        assert in_c.read_wire(*whole) == wire_in_python.read_wire(*whole) == wire_form(content)


@given(
    content=contents,
    cuts=st.lists(st.integers(0, 1000), max_size=4),
    before=octets_before,
    is_last=st.booleans(),
)
def test_any_part_is_the_same_in_both(
    descriptor: int, content: bytes, cuts: list[int], before: int, is_last: bool
) -> None:
    size = written(descriptor, content)
    bounds = [0, *sorted(min(cut, size) for cut in cuts), size]
    for first, end in pairwise(bounds):
        part = (descriptor, first, end - first, 0, before, is_last and end == size, False)
        assert in_c.read_wire(*part) == wire_in_python.read_wire(*part)
        before = content[end - 1] if end > first else before


@given(content=contents, position=st.integers(0, 2000), count=st.integers(0, 2000))
def test_no_more_is_read_than_was_asked_for_and_never_less(
    descriptor: int, content: bytes, position: int, count: int
) -> None:
    size = written(descriptor, content)
    part = (descriptor, position, count, 0, LINE_FEED, False, False)
    wire = in_c.read_wire(*part)
    assert wire == wire_in_python.read_wire(*part)
    assert (wire is None) == (count > 0 and position + count > size)


@given(content=contents, position=st.integers(0, 1000), count=st.integers(0, 2000), before=octets_before)
def test_octets_and_plainness_are_the_same_in_both(
    descriptor: int, content: bytes, position: int, count: int, before: int
) -> None:
    written(descriptor, content)
    part = (descriptor, position, count, before)
    assert in_c.count_wire(*part) == wire_in_python.count_wire(*part)

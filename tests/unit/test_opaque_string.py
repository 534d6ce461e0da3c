"""Passwords prepared as RFC 8265's OpaqueString."""

import re
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state_store.credentials.opaque_string import MAX_CHARACTERS, UnusablePassword, opaque_string, pattern

REFUSED = {"Cc", "Cf", "Zl", "Zp", "Co", "Cn"}


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=MAX_CHARACTERS))
def test_printable_ascii_stays_as_it_is(text: str) -> None:
    assert opaque_string(text) == text


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("correct horse battery staple", "correct horse battery staple"),
        ("Correct Horse", "Correct Horse"),
        ("\u03c0\u00df\u00e5", "\u03c0\u00df\u00e5"),
        ("Jack of \u2666s", "Jack of \u2666s"),
        ("foo\u1680bar", "foo bar"),
        ("a\u00a0\u2003\u3000b", "a   b"),
        ("u\u0308", "\u00fc"),
        ("\u212b", "\u00c5"),
        ("\uff21", "\uff21"),
        (" ", " "),
    ],
)
def test_spaces_become_ascii_and_letters_are_composed_and_nothing_else_changes(
    text: str, prepared: str
) -> None:
    assert opaque_string(text) == prepared


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\0",
        "a\tb",
        "a\r\nb",
        "a\x7f",
        "a\x85b",
        "\u00ad",
        "\u200b",
        "\u202e",
        "\u2028",
        "\u2029",
        "\ud800",
        "\ue000",
        "\uffff",
        "x" * (MAX_CHARACTERS + 1),
        "x" * 60_000,
    ],
)
def test_what_nobody_can_type_again_for_sure_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(UnusablePassword) as caught:
        opaque_string(text)
    assert not text or text not in str(caught.value)


def test_the_length_is_counted_after_preparation() -> None:
    assert opaque_string("u\u0308" * MAX_CHARACTERS) == "\u00fc" * MAX_CHARACTERS


def test_the_pattern_takes_the_characters_that_are_taken_and_no_others() -> None:
    refused = [unicodedata.category(chr(code)) in REFUSED for code in range(sys.maxunicode + 1)]
    edges = [code for code in range(1, sys.maxunicode + 1) if refused[code] != refused[code - 1]]
    # To match all of the upper planes takes seconds, and between two edges they have nothing else to show.
    codes = {*range(0x10000), *range(0x10000, sys.maxunicode, 251), *edges, *(code - 1 for code in edges)}
    taken = re.compile(pattern()).fullmatch
    for code in codes - set(range(0xD800, 0xE000)):  # halves of characters, which no text in UTF-8 has
        assert bool(taken(chr(code))) != refused[code], hex(code)


@given(st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=MAX_CHARACTERS))
def test_what_fits_the_pattern_and_the_length_is_never_refused(text: str) -> None:
    assert re.search(pattern(), text)
    assert opaque_string(text)


@pytest.mark.parametrize("character", ["\u0958", "\ufb2c", "\u0344", "\U0001d160"])
def test_what_becomes_longer_when_it_is_composed_is_taken_at_full_length(character: str) -> None:
    assert len(unicodedata.normalize("NFC", character)) > 1
    prepared = opaque_string(character * MAX_CHARACTERS)
    assert opaque_string(prepared) == prepared
    with pytest.raises(UnusablePassword):
        opaque_string(character * (3 * MAX_CHARACTERS))


@given(st.text(max_size=3 * MAX_CHARACTERS))
def test_preparing_again_changes_nothing(text: str) -> None:
    try:
        prepared = opaque_string(text)
    except UnusablePassword:
        return
    assert opaque_string(prepared) == prepared

"""A message that is moved here is sent again with the octets that it came with."""

from hypothesis import given
from hypothesis import strategies as st

from pop3_service.moving.wanted import StoredForm
from pop3_service.protocol.multiline import wire_form
from support.wire_octets import octets_on_the_wire

contents = st.lists(st.sampled_from([b"\r", b".", b"a", b"\r\n", b"\r\r\n", b"\xff"]), max_size=40).map(
    lambda pieces: b"".join([*pieces, b"\r\n"])
)


@given(contents, st.lists(st.integers(1, 5), max_size=40))
def test_stored_form_has_the_octets_on_the_wire_whatever_the_cuts(content: bytes, sizes: list[int]) -> None:
    form, stored, rest = StoredForm(), b"", content
    for size in sizes:
        stored += form.feed(rest[:size])
        rest = rest[size:]
    stored += form.feed(rest) + form.end()
    assert octets_on_the_wire(stored) == len(content)
    assert wire_form(stored) == wire_form(content)

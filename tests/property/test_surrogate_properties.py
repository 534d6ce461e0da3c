"""Any message has a surrogate with an ASCII header and the same body, and text comes back as it was."""

import email
import re
from email import policy
from email.header import decode_header, make_header
from email.utils import parseaddr

from hypothesis import example, given
from hypothesis import strategies as st

from pop3_service.protocol.multiline import octets_on_the_wire
from pop3_service.protocol.surrogate import needs_surrogate, surrogate

PIECES = [
    *(b"Subject:", b"From:", b"To: ", b"Content-Type:", b"Received:", b"X-A: ", b"name=", b"a@b", b"a b"),
    *(b"\n", b"\r\n", b"\n\n", b"\r", b" ", b"\t", b"\n ", b'"', b"\\", b"<", b">", b"(", b")", b",", b";"),
    *(b":", b"[", b"=?utf-8?q?a?=", b"=?", b"?=", b"\xc3\xa9", b"\xe6\x97\xa5", b"\xff", b"\xc3", b"\x80"),
]
messages = st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join) | st.binary(max_size=200)

# Whole words, since folding white space is one thing however wide it is.
words = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1, max_size=120
).filter(lambda word: "=?" not in word and "?=" not in word)
texts = st.lists(words, min_size=1, max_size=12).map(" ".join)


def parts(message: bytes) -> tuple[bytes, bytes]:
    """Return header and body, the blank line being the body's: the definition, as plainly as can be."""
    if message.startswith((b"\n", b"\r\n")):
        return b"", message
    blank_line = re.search(rb"\n\r?\n", message)
    end = blank_line.start() + 1 if blank_line else len(message)
    return message[:end], message[end:]


@given(messages)
def test_the_header_becomes_ascii_and_the_body_stays(message: bytes) -> None:
    header, body = parts(message)
    result = surrogate(message)
    assert result.endswith(body)
    new_header = result[: len(result) - len(body)]
    assert new_header.isascii()
    assert needs_surrogate(message) is not header.isascii()
    assert parts(result) == (new_header, body)


@given(messages)
def test_the_surrogate_of_a_surrogate_is_the_same(message: bytes) -> None:
    result = surrogate(message)
    assert not needs_surrogate(result)
    assert surrogate(result) == result == surrogate(message)


@given(messages)
def test_every_line_is_a_line_of_the_original_or_a_well_formed_one(message: bytes) -> None:
    header, body = parts(message)
    result = surrogate(message)
    kept = set(header.split(b"\n"))
    for line in result[: len(result) - len(body)].split(b"\n")[:-1]:
        assert line in kept or re.fullmatch(rb"([!-9;-~]+:| )[ -~]*\r?", line)


@given(st.sampled_from(["X-Before: 1\n", ""]), texts)
@example("", "é" * 100)
def test_a_subject_comes_back_as_it_was(before: str, text: str) -> None:
    result = surrogate(f"{before}Subject: {text}\n\nbody\n".encode())
    found = email.message_from_bytes(result, policy=policy.default)
    assert found["Subject"] == text
    assert found.get_payload() == "body\n"


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=40))
def test_a_display_name_comes_back_as_it_was(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    result = surrogate(f'From: "é {quoted}" <a@example.org>\n\n'.encode())
    # Older versions of Python's newer reader show a space between two encoded-words of a name.
    found, address = parseaddr(email.message_from_bytes(result)["From"].replace("\n", ""))
    assert (str(make_header(decode_header(found))), address) == (f"é {name}", "a@example.org")


@given(messages, st.lists(st.sampled_from([*PIECES, b"."]), max_size=20).map(b"".join))
def test_what_follows_the_start_has_the_same_octets_in_both(start: bytes, rest: bytes) -> None:
    message = start + b"\n\n" + rest
    start += b"\n\n"
    whole = octets_on_the_wire(surrogate(message))
    difference = octets_on_the_wire(surrogate(start)) - octets_on_the_wire(start)
    assert whole == octets_on_the_wire(message) + difference

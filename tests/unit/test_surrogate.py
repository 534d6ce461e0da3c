"""What a client without UTF8 gets: the header in ASCII with its meaning kept, every other octet as it is."""

import email
import time
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import getaddresses

import pytest

from pop3_service.protocol.surrogate import (
    LONGEST_HEADER_OCTETS,
    LONGEST_REWRITING_OCTETS,
    needs_surrogate,
    surrogate,
)

INVALID = "invalid@internationalized-address.invalid"


def parsed(message: bytes) -> EmailMessage:
    """Return the surrogate of `message` as a mail program without UTF-8 understands it."""
    result = surrogate(message)
    assert result.partition(b"\n\n")[0].isascii()
    return email.message_from_bytes(result, policy=policy.default)


def addresses(field: str) -> list[tuple[str, str]]:
    found = parsed(f"To: {field}\n\n".encode())["To"]
    assert not found.defects
    raw = email.message_from_bytes(surrogate(f"To: {field}\n\n".encode()))["To"]
    # Older versions of Python's newer reader show a space between two encoded-words of a name.
    pairs = getaddresses([raw.replace("\n", "")])
    return [(str(make_header(decode_header(name))), address) for name, address in pairs if address]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"Subject: a\n\nb\n",
        b"Subject: a\r\n\r\nb\xff\r\n",
        b"\nTo: \xff\n",
        b"\r\n\xff",
        b"Subject: =?utf-8?q?=C3=A9?=\n\n\xc3\xa9\n",
    ],
)
def test_a_message_with_an_ascii_header_is_its_own_surrogate(message: bytes) -> None:
    assert not needs_surrogate(message)
    assert surrogate(message) is message


def test_only_the_fields_that_need_it_are_rewritten() -> None:
    kept = b"X-First:  kept \t as\n it   is\nsubject: "
    rest = b"\nX-Last: =?utf-8?q?a?=\n\nB\xc3\xb6dy\r\nnext \xff\n"
    assert surrogate(kept + b"Gr\xc3\xbc\xc3\x9fe" + rest) == kept + b"=?utf-8?b?R3LDvMOfZQ==?=" + rest


def test_running_text_keeps_its_ascii_words_readable() -> None:
    result = surrogate("Subject: Re: Grüße aus dem schönen Ulm\n\n".encode())
    assert result.startswith(b"Subject: Re: =?utf-8?b?R3LDvMOfZQ==?= aus dem =?utf-8?b?")
    assert result.endswith(b"?= Ulm\n\n")


@pytest.mark.parametrize(
    "text",
    [
        "Grüße",
        "zwei schöne Wörter äöü",
        "a é b",
        "  é   à  ",
        "日本語の長い件名です。" * 30,
        "é" + "x" * 300 + " à",
        "half =?utf-8 é?= words",
    ],
)
def test_a_subject_decodes_to_the_original_text(text: str) -> None:
    assert parsed(f"Subject: {text}\n\n".encode())["Subject"].strip() == text.strip()


def test_space_beside_encoded_words_that_were_there_is_still_shown() -> None:
    found = parsed("Subject: =?utf-8?q?=C3=A9?= à =?utf-8?q?=C3=A9?= a ö\n\n".encode())["Subject"]
    assert found == "é à é a ö"


def test_text_that_is_no_utf8_is_marked_as_of_unknown_charset() -> None:
    assert surrogate(b"Subject: caf\xe9 cr\xe8me\n\n") == b"Subject: =?unknown-8bit?b?Y2Fm6SBjcuhtZQ==?=\n\n"


def test_no_character_is_cut_between_two_encoded_words() -> None:
    result = surrogate("Comments: {}\n\n".format("日本語é😀" * 40).encode())
    for word in result.removeprefix(b"Comments:").split():
        (pair,) = decode_header(word.decode())
        assert isinstance(pair[0], bytes)
        assert pair[0].decode("utf-8")


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_long_fields_are_folded_with_the_line_ends_of_the_original(line_end: bytes) -> None:
    text = "Wörter und Wörter, ".encode() * 40
    message = line_end.join([b"Subject: " + text, b"To: " + text, b"", b"body"])
    header = surrogate(message).removesuffix(line_end * 2 + b"body")
    lines = header.split(line_end)
    assert len(lines) > 20
    assert max(map(len, lines)) <= 78
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert all(line.startswith((b" ", b"Subject: ", b"To: ")) for line in lines)


def test_a_folded_field_is_read_as_one() -> None:
    found = parsed("Subject: erste\n Zeile\n\tund die schöne\n zweite\n\n".encode())
    assert found["Subject"] == "erste Zeile und die schöne zweite"


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("José García <jose@example.org>", [("José García", "jose@example.org")]),
        ('"Ü, B" <b@x.org>, "Doe, Jane" <j@x.org>', [("Ü, B", "b@x.org"), ("Doe, Jane", "j@x.org")]),
        ('"a \\" é" <b@x.org>', [('a " é', "b@x.org")]),
        ("joe@x.org (Joé), a@x.org (old)", [("Joé", "joe@x.org"), ("old", "a@x.org")]),
        ("Hans <jöe@x.org>", [("Hans", INVALID)]),
        ("Häns <joe@bücher.example>", [("Häns", INVALID)]),
        ("jöe@x.org", [("jöe@x.org", INVALID)]),
        ("<jöe@x.org>", [("jöe@x.org", INVALID)]),
        ("Männer: a@x.org, Ö <c@x.org>;, d@x.org", [("", "a@x.org"), ("Ö", "c@x.org"), ("", "d@x.org")]),
        ("=?utf-8?q?J=C3=B6?= é <a@x.org>", [("Jö é", "a@x.org")]),
    ],
)
def test_addresses_keep_their_names(field: str, expected: list[tuple[str, str]]) -> None:
    assert addresses(field) == expected


def test_a_display_name_brings_no_address_of_its_own() -> None:
    hostile = '"é <evil@x.org>, boss@x.org" <a@x.org>, "=?u?q?<evil@x.org>,?= é" <b@x.org>'
    assert [address for _, address in addresses(hostile)] == ["a@x.org", "b@x.org"]


@pytest.mark.parametrize("name", ["From", "Sender", "Reply-To", "Cc", "BCC", "Resent-From", "resent-to"])
def test_every_address_field_is_read_as_addresses(name: str) -> None:
    assert surrogate(f"{name}: é <a@x>\n\n".encode()) == f"{name}: =?utf-8?b?w6k=?= <a@x>\n\n".encode()


@pytest.mark.parametrize(
    "parameter", ['"résumé; final.pdf"', "résumé.pdf", '"日本語の長い名前の書類とその続き.pdf"', '"a \\" é"']
)
def test_a_file_name_is_kept(parameter: str) -> None:
    text = f"Content-Type: text/plain;\n name={parameter}; charset=utf-8\n"
    text += f"Content-Disposition: attachment; filename={parameter}\n\n"
    found = parsed(text.encode())
    name = parameter.strip('"').replace("\\", "")
    assert found.get_filename() == name
    assert found.get_param("name", unquote=True) is not None
    assert found["Content-Type"].params["name"] == name
    assert (found.get_content_type(), found.get_content_charset()) == ("text/plain", "utf-8")
    assert found.get_content_disposition() == "attachment"


def test_a_parameter_that_cannot_be_said_leaves_the_others() -> None:
    message = b'Content-Type: multipart/mixed; b\xff=1; (\xff); boundary="=b; c"\n\n'
    assert surrogate(message) == b'Content-Type: multipart/mixed; boundary="=b; c"\n\n'


@pytest.mark.parametrize(
    "field",
    [
        b"Received: from \xff\n by y\n",
        b"Message-ID: <\xc3\xa9@x>\n",
        b"References: <a@x>\r\n <\xc3\xa9@x>\r\n",
        b"Return-Path: <\xc3\xa9@x>\n",
        b"Date: M\xc3\xa4r\n",
        b"DKIM-Signature: \xff\n",
        b"Content-Type: \xff/plain\n",
        b"From \xc3\xa9@x Mon Jan 1 00:00:00 2024\n",
        b"no field \xff\n",
        b" \xff\n",
        b"B\xc3\xa4d: name\n",
        b": \xff\n",
    ],
)
def test_a_field_whose_meaning_cannot_be_kept_is_left_out(field: bytes) -> None:
    before, after = b"", b"Subject: a\n\nbody\n"
    if not field.startswith((b" ", b"From ")):
        before = b"X: y\n"
    assert surrogate(before + field + after) == before + after


@pytest.mark.parametrize("blank", [b"\n", b"\r\n"])
def test_the_blank_line_stays_where_no_field_is_left(blank: bytes) -> None:
    assert surrogate(b"Received: \xff\n" + blank + b"body\xff") == blank + b"body\xff"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"Subject: \xc3\xa9", b"Subject: =?utf-8?b?w6k=?="),
        (b"Subject: \xc3\xa9\n", b"Subject: =?utf-8?b?w6k=?=\n"),
        (b"Subject: a\nReceived: \xff", b"Subject: a\n"),
        (b"\xff", b""),
    ],
)
def test_a_text_without_a_blank_line_is_all_header(message: bytes, expected: bytes) -> None:
    assert surrogate(message) == expected


@pytest.mark.parametrize("control", ["\r", "\0", "\x0b", "\x1b", "\r\r"])
def test_a_control_character_does_not_come_out_of_an_encoded_word(control: str) -> None:
    found = parsed(f"Subject: é{control}Bcc: ü@x\n\n".encode())
    assert found["Subject"].split() == ["é", "Bcc:", "ü@x"]
    assert found.keys() == ["Subject"]


def test_a_header_without_end_is_sent_as_it_is() -> None:
    start = (b"Subject: \xc3\xa9\n" * LONGEST_HEADER_OCTETS)[:LONGEST_HEADER_OCTETS]
    assert not needs_surrogate(start)
    assert surrogate(start) is start


def test_eight_bit_fields_beyond_the_limit_are_left_out() -> None:
    first, second = b"X-A: \xc3\xa9\n", b"X-B: " + b"\xc3\xa9" * (LONGEST_REWRITING_OCTETS // 2) + b"\n"
    assert surrogate(first + second + b"X-C: c\n\n") == b"X-A: =?utf-8?b?w6k=?=\nX-C: c\n\n"


def test_a_field_of_thousands_of_tiny_mailboxes_is_left_out() -> None:
    assert surrogate(b"To: " + b"\xc3\xa9," * 1000 + b"\n\n").count(b"invalid@") == 1000
    assert surrogate(b"To: " + b"\xc3\xa9," * 2000 + b"\nX: y\n\n") == b"X: y\n\n"


@pytest.mark.parametrize("size", [LONGEST_REWRITING_OCTETS - 64, 200 * 1024])
@pytest.mark.parametrize("name", [b"Subject", b"From", b"Content-Type"])
@pytest.mark.parametrize(
    "garbage",
    [b" ", b"\n ", b"\xc3\xa9 ", b"a,", b"\xc3\xa9,", b"(", b'"', b"\\", b"<", b"[", b";\xff=", b"=?", b": "],
)
def test_a_field_of_garbage_takes_no_time(name: bytes, garbage: bytes, size: int) -> None:
    message = name + b": a;\xff" + garbage * (size // len(garbage)) + b"\n\n"
    began = time.process_time()
    result = surrogate(message)
    # A tenth of this or less on a quiet machine, but for quotation marks: a third.
    assert time.process_time() - began < 0.2
    assert result.isascii()

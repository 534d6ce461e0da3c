"""RETR and TOP send the octets of the file, for every client: what was delivered is what is fetched."""

import base64
import gzip
import hashlib
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from support.pop3_process import Pop3Client, Pop3Process
from support.redis_server import RedisServer

CYRILLIC = ("Привет, Боб!\n" * 2).encode()
NO_BLANK_LINE = "From: a@b\nSubject: x\nDear Bob,\nthe price is € 500\n\nPS\n".encode()

DELIVERED = {
    "two lines of Cyrillic text without a header": CYRILLIC,
    "a header that goes over into text": NO_BLANK_LINE,
    "octets of no text": bytes(range(1, 256)) * 3,
    "a byte-order mark, then the Subject": b"\xef\xbb\xbfSubject: x\n\nbody\n",
    "a Subject in windows-1251": (
        b"Content-Type: text/plain; charset=windows-1251\nSubject: \xcf\xf0\xe8\xe2\xe5\xf2\n\n\xcf\xf0\n"
    ),
    "fields that cannot be written in ASCII": (
        "Received: fröm a\nFrom: José <josé@example.org>\nDate: demain à midi\nTo: ä, ö\n\n.ä\n..\nü"
    ).encode(),
    "CRLF in the file, and a last line without an end": "Subject: Grüße\r\n\r\nKörper".encode(),
    "one 8-bit octet": b"\xff",
    "a header longer than what is read at once": "X: ä\n".encode() * 60_000 + "\nKörper\n".encode(),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pop3Process]:
    with (
        RedisServer() as redis_server,
        Pop3Process(redis_server.url, tmp_path_factory.mktemp("delivered")) as process,
    ):
        yield process


@pytest.fixture(params=["", "UTF8", "LANG en"], ids=["plain", "UTF8", "LANG"])
def client(request: pytest.FixtureRequest, service: Pop3Process) -> Iterator[Pop3Client]:
    """Give a client that has said this before login, in a maildrop of all DELIVERED."""
    if not hasattr(service, "username"):
        service.username = service.add_user(*DELIVERED.values())  # type: ignore[attr-defined]
    with service.connect() as client:
        if request.param:
            assert client.ask(request.param).startswith(b"+OK")
        yield client.log_in(service.username)  # type: ignore[attr-defined]


def as_lines(content: bytes) -> bytes:
    """Return a content with the line ends of the wire."""
    lines = content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return lines if not lines or lines.endswith(b"\r\n") else lines + b"\r\n"


def fetched(client: Pop3Client, command: str) -> tuple[bytes, bytes]:
    """Return the first line of a reply, and the lines below as the client stores them."""
    status = client.ask(command)
    assert status.startswith(b"+OK"), status
    lines = iter(client.line, b".\r\n")
    return status, b"".join(line[1:] if line.startswith(b".") else line for line in lines)


@pytest.mark.parametrize("number", range(1, len(DELIVERED) + 1), ids=list(DELIVERED))
def test_a_message_is_fetched_as_it_was_delivered(client: Pop3Client, number: int) -> None:
    wanted = as_lines(list(DELIVERED.values())[number - 1])
    assert client.ask(f"LIST {number}") == b"+OK %d %d\r\n" % (number, len(wanted))
    status, message = fetched(client, f"RETR {number}")
    assert message == wanted
    assert status == b"+OK %d octets\r\n" % len(wanted)
    assert fetched(client, f"TOP {number} 99999999")[1] == wanted


def test_top_shows_the_header_as_it_was_delivered(client: Pop3Client) -> None:
    number = list(DELIVERED).index("fields that cannot be written in ASCII") + 1
    header, blank_line, _ = as_lines(DELIVERED["fields that cannot be written in ASCII"]).partition(
        b"\r\n\r\n"
    )
    assert fetched(client, f"TOP {number} 0")[1] == header + blank_line


# A signature over the octets, as DKIM makes it (RFC 6376, "simple" for header and body).


def _signed_octets(lines: bytes, signature_field: bytes) -> bytes:
    header = lines.partition(b"\r\n\r\n")[0] + b"\r\n"
    from_and_subject = [
        field + b"\r\n" for field in header.split(b"\r\n") if field.startswith((b"From:", b"Subject:"))
    ]
    return b"".join(from_and_subject) + signature_field


def _without_value(field: bytes) -> bytes:
    return field.partition(b" b=")[0] + b" b="


def signed(key: rsa.RSAPrivateKey, message: bytes) -> bytes:
    """Return a message in front of which stands its signature."""
    lines = as_lines(message)
    body_hash = base64.b64encode(hashlib.sha256(lines.partition(b"\r\n\r\n")[2]).digest())
    field = b"DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=x; h=From:Subject; bh=%b; b=" % body_hash
    value = base64.b64encode(key.sign(_signed_octets(lines, field), padding.PKCS1v15(), SHA256()))
    return field + value + b"\n" + message


def require_valid(key: rsa.RSAPublicKey, lines: bytes) -> None:
    """Check the signature of a message in the form of the wire; raises InvalidSignature."""
    field = lines.partition(b"\r\n")[0]
    assert field.startswith(b"DKIM-Signature:"), "no signature on top"
    body_hash = base64.b64encode(hashlib.sha256(lines.partition(b"\r\n\r\n")[2]).digest())
    assert b"bh=%b;" % body_hash in field, "the body has another hash"
    value = base64.b64decode(field.partition(b" b=")[2])
    key.verify(value, _signed_octets(lines, _without_value(field)), padding.PKCS1v15(), SHA256())


def test_a_signature_over_fields_in_utf8_is_as_valid_when_fetched_as_in_the_maildir(
    service: Pop3Process,
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    message = signed(key, "From: José <jose@example.org>\nSubject: Grüße aus Köln\n\n.Körper\n".encode())
    require_valid(key.public_key(), as_lines(message))
    with service.log_in(service.add_user(message)) as client:
        require_valid(key.public_key(), fetched(client, "RETR 1")[1])


def test_a_compressed_file_is_sent_as_it_is(service: Pop3Process) -> None:
    # As Dovecot's mail_compress leaves it, with and without the flag; D10 says why it is sent as it is.
    compressed = gzip.compress(b"Subject: x\n\n" + bytes(range(256)) * 50)
    username = service.add_user(compressed)
    (service.mail / username / "cur" / "1900000000.a:2,SZ").write_bytes(compressed)
    wanted = as_lines(compressed)
    with service.log_in(username) as client:
        assert client.ask_lines("LIST") == [b"%d %d\r\n" % (number, len(wanted)) for number in (1, 2)]
        assert fetched(client, "RETR 1")[1] == fetched(client, "RETR 2")[1] == wanted

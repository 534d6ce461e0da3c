"""However the octets are cut, TLS gives the same text, the same end or the same kind of fault."""

import contextlib
import ssl
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given
from hypothesis import strategies as st

from line_server.tls import RECORD_OCTETS, TlsChannel, TlsError
from support.certificates import Authority

AUTHORITY = Authority()
CLIENT_CONTEXT = AUTHORITY.client_context()
SERVER_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
with TemporaryDirectory() as folder:
    SERVER_CONTEXT.load_cert_chain(*AUTHORITY.issue(Path(folder)))

texts = st.lists(st.binary(max_size=300) | st.sampled_from([b"x" * 20_000, b"QUIT\r\n"]), max_size=6)
cuts = st.lists(st.integers(0, 70_000) | st.integers(0, 800), max_size=8)


def pieces(octets: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
    return [octets[start:end] for start, end in pairwise(places)]


class Pair:
    """A channel and its client; what the client says reaches the channel in pieces."""

    def __init__(self, cuts: list[int]) -> None:
        self.cuts = cuts
        self.received = b""
        self.channel = TlsChannel(SERVER_CONTEXT)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = CLIENT_CONTEXT.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def shake_hands(self) -> "Pair":
        while not self.channel.is_established:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
            self.carry()
        return self

    def carry(self) -> None:
        for piece in pieces(self.outgoing.read(), self.cuts):
            self.received += self.channel.receive(piece)
        self.incoming.write(self.channel.outgoing())

    def read(self) -> bytes:
        self.incoming.write(self.channel.outgoing())
        text = b""
        try:
            while chunk := self.tls.read(RECORD_OCTETS):
                text += chunk
        except ssl.SSLWantReadError:
            pass
        return text

    def write(self, text: bytes) -> None:
        while text:
            text = text[self.tls.write(text) :]


@given(texts, cuts, st.booleans())
def test_any_cut_gives_the_same_text_and_the_same_end(
    texts: list[bytes], cuts: list[int], says_its_end: bool
) -> None:
    pair = Pair(cuts).shake_hands()
    for text in texts:
        pair.write(text)
    if says_its_end:
        with contextlib.suppress(ssl.SSLWantReadError):
            pair.tls.unwrap()
    pair.carry()
    assert pair.received == b"".join(texts)
    assert pair.channel.is_ended == says_its_end


@given(texts, texts)
def test_what_is_sent_before_and_after_the_handshake_arrives_in_order(
    before: list[bytes], after: list[bytes]
) -> None:
    pair = Pair([])
    for text in before:
        pair.channel.send(text)
    assert pair.channel.waiting_octets == sum(map(len, before))
    pair.shake_hands()
    for text in after:
        pair.channel.send(text)
    assert pair.read() == b"".join(before + after)


@given(st.lists(st.binary(min_size=1, max_size=40_000), min_size=1, max_size=4))
def test_waiting_octets_are_never_fewer_than_their_text(texts: list[bytes]) -> None:
    # What counts as sent is reckoned from this.
    channel = Pair([]).shake_hands().channel
    for text in texts:
        channel.send(text)
        assert len(channel.outgoing()) > len(text)


@given(
    st.binary(min_size=1, max_size=3000) | st.binary(max_size=300).map(lambda some: b"\x16\x03\x01" + some)
)
def test_any_octets_instead_of_a_handshake_give_no_text(octets: bytes) -> None:
    channel = TlsChannel(SERVER_CONTEXT)
    with contextlib.suppress(TlsError):
        assert channel.receive(octets) == b""
    assert not channel.is_established


@given(texts.filter(any), st.integers(0, 100_000), st.integers(1, 255), cuts)
def test_a_changed_octet_never_gives_other_text_than_was_sent(
    texts: list[bytes], place: int, change: int, cuts: list[int]
) -> None:
    pair = Pair(cuts).shake_hands()
    for text in texts:
        pair.write(text)
    octets = bytearray(pair.outgoing.read())
    octets[place % len(octets)] ^= change
    received = b""
    try:
        for piece in pieces(bytes(octets), cuts):
            received += pair.channel.receive(piece)
    except TlsError:
        pass
    sent = b"".join(texts)
    assert sent.startswith(received)
    assert received != sent

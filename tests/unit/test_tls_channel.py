"""TLS in memory: octets in, octets out, against the library's own client."""

import gc
import os
import ssl
from pathlib import Path

import pytest

from line_server.tls import RECORD_OCTETS, TlsChannel, TlsError
from support.certificates import Authority


class Client:
    """The other side of a channel, also in memory."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")

    def shake_hands(self, channel: TlsChannel) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                assert self.exchange(channel) == b""
            else:
                break
        self.exchange(channel)

    def exchange(self, channel: TlsChannel) -> bytes:
        """Take our octets to the channel and its octets back; return the plain text it gave."""
        plain = channel.receive(self.outgoing.read())
        self.incoming.write(channel.outgoing())
        return plain

    def encrypted(self, plain: bytes) -> bytes:
        self.tls.write(plain)
        return self.outgoing.read()

    def read(self, channel: TlsChannel) -> bytes:
        """Return the plain text that has come. Raises `SSLZeroReturnError` at its announced end."""
        self.incoming.write(channel.outgoing())
        chunks = []
        try:
            while chunk := self.tls.read(RECORD_OCTETS):
                chunks.append(chunk)
        except ssl.SSLWantReadError:
            return b"".join(chunks)
        raise ssl.SSLZeroReturnError(b"".join(chunks))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def server_context(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(*authority.issue(tmp_path_factory.mktemp("tls")))
    return context


@pytest.fixture
def channel(server_context: ssl.SSLContext) -> TlsChannel:
    return TlsChannel(server_context)


@pytest.fixture
def client(authority: Authority) -> Client:
    return Client(authority.client_context())


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLSv1.2", "TLSv1.3"])
def client_of_each_version(authority: Authority, request: pytest.FixtureRequest) -> Client:
    context = authority.client_context()
    context.minimum_version = context.maximum_version = request.param
    return Client(context)


def test_text_goes_both_ways_in_each_version(channel: TlsChannel, client_of_each_version: Client) -> None:
    client = client_of_each_version
    assert channel.version == ""
    client.shake_hands(channel)
    assert channel.is_established
    assert channel.version == client.tls.version()
    assert channel.receive(client.encrypted(b"STAT\r\n")) == b"STAT\r\n"
    channel.send(b"+OK 0 0\r\n")
    assert client.read(channel) == b"+OK 0 0\r\n"


def test_text_sent_before_the_handshake_waits_for_it(channel: TlsChannel, client: Client) -> None:
    channel.send(b"+OK ")
    channel.send(b"ready\r\n")
    assert channel.waiting_octets == 11
    assert channel.outgoing() == b""
    client.shake_hands(channel)
    assert channel.waiting_octets == 0
    assert client.read(channel) == b"+OK ready\r\n"


def test_commands_in_the_handshakes_last_segment_are_received(channel: TlsChannel, client: Client) -> None:
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    client.exchange(channel)
    client.tls.do_handshake()
    client.tls.write(b"CAPA\r\nQUIT\r\n")
    assert not channel.is_established
    assert client.exchange(channel) == b"CAPA\r\nQUIT\r\n"


def test_octets_that_come_one_by_one_give_the_same_text(channel: TlsChannel, client: Client) -> None:
    client.shake_hands(channel)
    octets = client.encrypted(b"LIST\r\n") + client.encrypted(b"UIDL\r\n")
    assert b"".join(channel.receive(octets[at : at + 1]) for at in range(len(octets))) == b"LIST\r\nUIDL\r\n"


def test_what_is_to_be_sent_is_given_once(channel: TlsChannel, client: Client) -> None:
    client.shake_hands(channel)
    channel.send(b"+OK\r\n")
    assert channel.outgoing() != b""
    assert channel.outgoing() == b""


def test_nothing_sent_is_nothing_on_the_wire(channel: TlsChannel, client: Client) -> None:
    channel.send(b"")
    client.shake_hands(channel)
    channel.send(b"")
    assert channel.outgoing() == b""
    assert channel.receive(b"") == b""
    assert client.read(channel) == b""


@pytest.mark.parametrize("octets", [1, RECORD_OCTETS, RECORD_OCTETS + 1, 300_000])
def test_text_of_any_length_arrives_whole(channel: TlsChannel, client: Client, octets: int) -> None:
    client.shake_hands(channel)
    text = os.urandom(octets)
    channel.send(text)
    assert client.read(channel) == text
    client.tls.write(text)  # the client's own library cuts it where it likes
    sent = client.outgoing.read()
    assert text.startswith(channel.receive(sent))


def test_a_long_text_does_not_cost_its_room_for_ever(
    server_context: ssl.SSLContext, authority: Authority
) -> None:
    def resident_octets() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    context = authority.client_context()
    pairs = [(TlsChannel(server_context), Client(context)) for _ in range(60)]
    for channel, client in pairs:
        client.shake_hands(channel)
    gc.collect()
    before = resident_octets()
    for channel, _ in pairs:
        channel.send(b"x" * 256 * 1024)
        assert len(channel.outgoing()) > 256 * 1024
    assert resident_octets() - before < 60 * 100 * 1024


# What is no TLS, or no longer


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"USER bob\r\nPASS secret\r\n", "wrong version number"),
        (b"GET / HTTP/1.0\r\n\r\n", "http request"),
        (b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff", "[a-z ]+"),
        (bytes(2000), "[a-z ]+"),
    ],
)
def test_what_is_no_handshake_is_a_fault_and_is_not_quoted(
    channel: TlsChannel, octets: bytes, reason: str
) -> None:
    with pytest.raises(TlsError, match=reason) as caught:
        channel.receive(octets)
    assert "secret" not in str(caught.value)
    assert "_" not in str(caught.value)
    assert not channel.is_established


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_1_1_is_told_in_an_alert_that_its_version_is_too_old(
    channel: TlsChannel, authority: Authority
) -> None:
    context = authority.client_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    client = Client(context)
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    with pytest.raises(TlsError, match="unsupported protocol"):
        channel.receive(client.outgoing.read())
    client.incoming.write(channel.outgoing())
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        client.tls.do_handshake()


def test_a_changed_record_is_a_fault_that_the_client_is_told_of(channel: TlsChannel, client: Client) -> None:
    client.shake_hands(channel)
    octets = bytearray(client.encrypted(b"DELE 1\r\n"))
    octets[-1] ^= 1
    with pytest.raises(TlsError, match="bad record mac"):
        channel.receive(bytes(octets))
    client.incoming.write(channel.outgoing())
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        client.tls.read(1)


# The end


def test_the_clients_end_is_noted_behind_its_last_text_and_answers_still_go_out(
    channel: TlsChannel, client_of_each_version: Client
) -> None:
    client = client_of_each_version
    client.shake_hands(channel)
    client.tls.write(b"QUIT\r\n")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    assert client.exchange(channel) == b"QUIT\r\n"
    assert channel.is_ended
    channel.send(b"+OK bye\r\n")
    assert len(channel.outgoing()) > len(b"+OK bye\r\n")


def test_what_comes_after_the_clients_end_is_neither_read_nor_kept(
    channel: TlsChannel, client: Client
) -> None:
    client.shake_hands(channel)
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    assert client.exchange(channel) == b""
    for _ in range(100):
        assert channel.receive(os.urandom(1000)) == b""
    assert channel._incoming.pending == 0


def test_our_end_is_announced_to_the_client(channel: TlsChannel, client: Client) -> None:
    client.shake_hands(channel)
    channel.send(b"+OK bye\r\n")
    channel.close()
    with pytest.raises(ssl.SSLZeroReturnError, match="bye"):
        client.read(channel)


def test_an_end_before_the_handshake_says_nothing(channel: TlsChannel) -> None:
    channel.send(b"+OK ready\r\n")
    channel.close()
    assert channel.outgoing() == b""

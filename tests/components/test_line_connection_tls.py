"""What a connection goes through before its lines, over real sockets, on both event loops.

The client's TLS is the library's, in memory, so that each of its octets can be held back or lost.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import pytest
import uvloop

import line_server.output
import line_server.proxied
import line_server.server
import support.event_loops
from line_server.connection import INPUT_OCTETS, LineConnection
from line_server.lines import LineBuffer, OverlongLine
from line_server.listener import listen
from line_server.listener_options import PLAIN, ListenerOptions
from line_server.proxy_header import SIGNATURE, TrustedProxies
from line_server.server import LineServer
from support.certificates import Authority
from support.waiting import until

KERNEL_OCTETS = 64 * 1024
READ_OCTETS = 256 * 1024
DEADLINE_SECONDS = 20.0
GREETING = b"+OK ready\r\n"
FLOOD = b"".join(b"%06d" % number + b"x" * 900 + b"\r\n" for number in range(4000))

AUTHORITY = Authority()
CLIENT_CONTEXT = AUTHORITY.client_context()
SERVER_CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
with TemporaryDirectory() as folder:
    SERVER_CONTEXT.load_cert_chain(*AUTHORITY.issue(Path(folder)))

TLS = ListenerOptions(tls=lambda: SERVER_CONTEXT)
PROXIES = TrustedProxies([ip_network("127.0.0.0/8")])
PROXIED = ListenerOptions(proxies=PROXIES)
PROXIED_TLS = ListenerOptions(tls=lambda: SERVER_CONTEXT, proxies=PROXIES)
STRANGERS = ListenerOptions(proxies=TrustedProxies([ip_network("192.0.2.0/24")]))

LINE_HEADER = b"PROXY TCP4 198.51.100.7 192.0.2.1 40000 110\r\n"
BINARY_HEADER = SIGNATURE + b"\x21\x11\x00\x0c" + bytes((198, 51, 100, 7, 192, 0, 2, 1)) + b"\x9c\x40\x00\x6e"


class Answering(LineConnection):
    """Greets, and repeats each line, except for a few that it knows as commands."""

    def __init__(self, connections: set[LineConnection], options: ListenerOptions) -> None:
        super().__init__(LineBuffer(1024), connections, options)
        self.received: list[bytes | OverlongLine] = []
        self.errors: list[Exception] = []
        self.reasons: list[str] = []
        self.let_go = asyncio.Event()
        self.opened_times = self.closed_times = self.most_pending = 0

    def opened(self) -> None:
        self.opened_times += 1
        self.send(GREETING)

    def turned_away(self, reason: str) -> None:
        self.reasons.append(reason)

    def line_received(self, line: bytes | OverlongLine) -> None:
        self.received.append(line)
        if line == b"wait":
            self.hold()
            self.task = asyncio.create_task(self._answer_later())
        elif line == b"stls":
            self.send(b"begin\r\n")
            self.start_tls(SERVER_CONTEXT)
        elif line == b"quit":
            self.hang_up(b"bye\r\n", linger=True)
        elif isinstance(line, bytes) and line.startswith(b"give "):
            self.send(b"g" * int(line[5:]))
        elif isinstance(line, bytes):
            self.send(line + b"\r\n")

    async def _answer_later(self) -> None:
        await self.let_go.wait()
        self.send(b"waited\r\n")
        self.release()

    def failed(self, error: Exception) -> None:
        self.errors.append(error)

    def closed(self) -> None:
        self.closed_times += 1

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.most_pending = max(self.most_pending, self.lines.pending_octets)

    @property
    def is_reading(self) -> bool:
        assert self.output.transport is not None
        return self.output.transport.is_reading()

    @property
    def ciphertext_kept(self) -> int:
        assert self.output.channel is not None
        return self.output.channel._incoming.pending


class Client:
    """A socket that reads only when told to, and speaks TLS when told to."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls: ssl.SSLObject | None = None
        self.has_said_its_end = False
        """The server has, by a close_notify."""

    async def send_raw(self, octets: bytes) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await asyncio.get_running_loop().sock_sendall(self.socket, octets)

    async def receive_raw(self) -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await asyncio.get_running_loop().sock_recv(self.socket, 64 * 1024)

    async def read_raw(self, octets: int) -> bytes:
        """Return so many octets, or what there is before the server's close."""
        received = b""
        while len(received) < octets and (chunk := await self.receive_raw()):
            received += chunk
        return received

    def client_hello(self) -> bytes:
        """Begin TLS, and return the first octets that the server has to be sent."""
        self.tls = CLIENT_CONTEXT.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.outgoing.read()

    async def finished(self) -> bytes:
        """Read the server's half of the handshake, and return our last octets of it."""
        assert self.tls is not None
        while True:
            self.incoming.write(await self.receive_raw())
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                continue
            return self.outgoing.read()

    async def shake_hands(self) -> None:
        await self.send_raw(self.client_hello())
        await self.send_raw(await self.finished())

    def encrypted(self, plain: bytes) -> bytes:
        assert self.tls is not None
        while plain:
            plain = plain[self.tls.write(plain) :]
        return self.outgoing.read()

    def close_notify(self) -> bytes:
        assert self.tls is not None
        with contextlib.suppress(ssl.SSLError):
            self.tls.unwrap()
        return self.outgoing.read()

    async def send(self, plain: bytes) -> None:
        await self.send_raw(self.encrypted(plain))

    async def read(self, octets: int) -> bytes:
        """Return exactly so much plain text; less when the server has ended it."""
        assert self.tls is not None
        chunks = []
        while octets:
            try:
                chunk = self.tls.read(octets)
            except ssl.SSLWantReadError:
                raw = await self.receive_raw()
                if not raw:
                    break
                self.incoming.write(raw)
                continue
            except ssl.SSLZeroReturnError:
                chunk = b""
            if not chunk:
                self.has_said_its_end = True
                break
            chunks.append(chunk)
            octets -= len(chunk)
        return b"".join(chunks)

    async def rest(self) -> bytes:
        return await self.read(1 << 30)

    async def rest_raw(self) -> bytes:
        """Return everything up to the server's close, a reset included."""
        chunks = []
        with contextlib.suppress(ConnectionResetError):
            while chunk := await self.receive_raw():
                chunks.append(chunk)
        return b"".join(chunks)

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Service:
    """A server on free loopback ports; it remembers every connection that it has had."""

    def __init__(self) -> None:
        self.made: list[Answering] = []
        self.server = LineServer(self._make)
        self._clients = contextlib.ExitStack()

    def _make(self, connections: set[LineConnection], options: ListenerOptions) -> Answering:
        connection = Answering(connections, options)
        self.made.append(connection)
        return connection

    async def connect(self, options: ListenerOptions) -> tuple[Client, Answering]:
        """Return a client at a port with this way in, and the server's side of it."""
        (bound,) = listen("127.0.0.1", 0, "PEEP_PORT")
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):  # what it accepts inherits these
            bound.setsockopt(socket.SOL_SOCKET, option, KERNEL_OCTETS)
        address = bound.getsockname()
        await self.server.listen([bound], options)
        connected = self._clients.enter_context(socket.socket())
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            connected.setsockopt(socket.SOL_SOCKET, option, KERNEL_OCTETS)
        connected.setblocking(False)
        before = len(self.made)
        await asyncio.get_running_loop().sock_connect(connected, address)
        await until(lambda: len(self.made) > before)
        connection = self.made[-1]
        await until(lambda: bool(connection.address))
        return Client(connected), connection

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._clients.close()
        await self.server.drain(0, lambda connection: connection.abort())
        assert [error for connection in self.made for error in connection.errors] == []


on_both_event_loops = support.event_loops.on_both_event_loops(Service)


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a tenth of a second for a last reply to be read, or a proxy to say for whom it connects."""
    monkeypatch.setattr(line_server.output, "FAREWELL_SECONDS", 0.1)
    monkeypatch.setattr(line_server.proxied, "PROXY_HEADER_SECONDS", 0.1)


# TLS from the first octet on


@on_both_event_loops
async def test_lines_are_answered_inside_tls_and_counted_as_plain_text(service: Service) -> None:
    client, connection = await service.connect(TLS)
    assert connection.output.octets_sent == 0, "nobody can read the greeting yet"
    await client.shake_hands()
    await client.send(b"a\r\nb\r\n")
    wanted = GREETING + b"a\r\nb\r\n"
    assert await client.read(len(wanted)) == wanted
    assert connection.output.channel is not None
    assert connection.output.tls_version == "TLSv1.3"
    assert connection.output.octets_sent == connection.output.octets_written == len(wanted)


@on_both_event_loops
async def test_the_handshake_and_the_lines_may_come_octet_by_octet(service: Service) -> None:
    client, _ = await service.connect(TLS)
    for octet in client.client_hello():
        await client.send_raw(bytes([octet]))
    for octet in await client.finished() + client.encrypted(b"a\r\n"):
        await client.send_raw(bytes([octet]))
    assert await client.read(len(GREETING) + 3) == GREETING + b"a\r\n"


@on_both_event_loops
async def test_every_octet_arrives_at_a_slow_reader_and_counts_once_the_kernel_took_it(
    service: Service,
) -> None:
    client, connection = await service.connect(TLS)
    await client.shake_hands()
    await client.read(len(GREETING))
    await client.send(b"give 3000000\r\na\r\n")
    await until(lambda: connection.output.unsent_octets() > 0)
    assert connection.received == [b"give 3000000"]
    read = 0
    while read < 3_000_000:
        chunk = await client.read(min(200_000, 3_000_000 - read))
        assert chunk.strip(b"g") == b""
        read += len(chunk)
        assert connection.output.octets_sent <= read + len(GREETING) + 4 * KERNEL_OCTETS + READ_OCTETS
    assert await client.read(3) == b"a\r\n"
    assert connection.output.octets_sent == connection.output.octets_written == len(GREETING) + 3_000_003


@on_both_event_loops
async def test_what_a_vanished_client_never_took_does_not_count_as_sent(service: Service) -> None:
    client, connection = await service.connect(TLS)
    await client.shake_hands()
    await client.send(b"give 3000000\r\n")
    await client.read(100_000)
    await until(lambda: connection.output.unsent_octets() > 0)
    client.reset()
    await until(lambda: connection.closed_times == 1)
    assert 100_000 <= connection.output.octets_sent < connection.output.octets_written


@on_both_event_loops
async def test_a_client_that_does_not_read_is_not_read_from_until_it_does(service: Service) -> None:
    client, connection = await service.connect(TLS)
    await client.shake_hands()
    sending = asyncio.create_task(client.send_raw(client.encrypted(FLOOD)))
    await until(lambda: not connection.is_reading)
    assert not sending.done()
    assert connection.most_pending <= INPUT_OCTETS + READ_OCTETS
    wanted = GREETING + FLOOD
    assert await client.read(len(wanted)) == wanted
    await sending
    await until(lambda: connection.is_reading)


@on_both_event_loops
async def test_a_client_that_ends_its_side_gets_every_answer_and_then_our_end(service: Service) -> None:
    client, connection = await service.connect(TLS)
    await client.shake_hands()
    octets = client.encrypted(b"a\r\nwait\r\nb\r\n") + client.close_notify()
    await client.send_raw(octets)
    await until(lambda: connection.received == [b"a", b"wait"])
    connection.let_go.set()
    # The library's client drops what comes after its own close_notify: count the records instead.
    raw = await client.rest_raw()
    assert connection.received == [b"a", b"wait", b"b"]
    assert connection.output.octets_sent == len(GREETING) + 14
    assert len(raw) > 14
    await until(lambda: connection.closed_times == 1)


@on_both_event_loops
async def test_a_half_close_of_tcp_inside_tls_still_gets_every_answer(service: Service) -> None:
    client, connection = await service.connect(TLS)
    await client.shake_hands()
    await client.send(b"a\r\nwait\r\nb\r\n")
    client.half_close()
    await until(lambda: connection.received == [b"a", b"wait"])
    connection.let_go.set()
    assert await client.rest() == GREETING + b"a\r\nwaited\r\nb\r\n"
    assert client.has_said_its_end


@on_both_event_loops
async def test_what_follows_a_clients_end_while_it_waits_is_not_kept(service: Service) -> None:
    client, connection = await service.connect(TLS)
    await client.shake_hands()
    await client.send_raw(client.encrypted(b"wait\r\n") + client.close_notify())
    await until(lambda: connection.received == [b"wait"])
    await client.send_raw(bytes(3_000_000))
    assert connection.ciphertext_kept == 0
    connection.let_go.set()
    await client.rest_raw()
    await until(lambda: connection.closed_times == 1)


@on_both_event_loops
async def test_the_last_reply_is_followed_by_a_close_notify(service: Service) -> None:
    client, _ = await service.connect(TLS)
    await client.shake_hands()
    await client.send(b"quit\r\nignored\r\n")
    assert await client.rest() == GREETING + b"bye\r\n"
    assert client.has_said_its_end


@on_both_event_loops
async def test_a_broken_record_closes_with_an_alert_and_hands_out_no_line_of_it(service: Service) -> None:
    client, connection = await service.connect(TLS)
    await client.shake_hands()
    octets = bytearray(client.encrypted(b"a\r\n"))
    octets[-1] ^= 1
    await client.send_raw(bytes(octets))
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        await client.rest()
    await until(lambda: connection.closed_times == 1)
    assert connection.received == []
    assert connection.reasons == ["TLS: decryption failed or bad record mac"]


# A handshake that comes to nothing


@on_both_event_loops
async def test_clear_text_instead_of_a_handshake_is_closed_at_once(service: Service) -> None:
    client, connection = await service.connect(TLS)
    await client.send_raw(b"USER bob\r\n")
    assert GREETING not in await client.rest_raw()
    await until(lambda: connection.closed_times == 1)
    assert connection.reasons == ["TLS: wrong version number"]
    assert connection.received == []
    assert connection.output.octets_sent == 0


@on_both_event_loops
async def test_a_client_that_vanishes_within_the_handshake_is_let_go(service: Service) -> None:
    for leave in (Client.reset, Client.half_close, lambda client: client.socket.close()):
        for octets in (0, 1, 100, 1000):
            client, connection = await service.connect(TLS)
            await client.send_raw(client.client_hello()[:octets])
            leave(client)
            await until(lambda: connection.closed_times == 1)  # noqa: B023
            assert connection.output.octets_sent == 0
    assert not service.server.connections


@on_both_event_loops
async def test_last_words_said_before_the_handshake_are_read_after_it(service: Service) -> None:
    client, connection = await service.connect(TLS)
    connection.hang_up(b"-ERR too many\r\n", linger=True)
    connection.send(b"never\r\n")
    await client.send_raw(client.client_hello())
    await client.send_raw(await client.finished() + client.encrypted(b"QUIT\r\n"))
    assert await client.rest() == GREETING + b"-ERR too many\r\n"
    assert client.has_said_its_end
    assert connection.received == []
    client.half_close()
    await until(lambda: connection.closed_times == 1)


@pytest.mark.usefixtures("short_waits")
@on_both_event_loops
async def test_last_words_are_not_kept_for_a_client_that_never_finishes_its_handshake(
    service: Service,
) -> None:
    client, connection = await service.connect(TLS)
    await client.send_raw(client.client_hello()[:50])
    connection.hang_up(b"-ERR too many\r\n", linger=True)
    assert await client.rest_raw() == b""
    await until(lambda: connection.closed_times == 1)


@pytest.mark.usefixtures("short_abort")
@on_both_event_loops
async def test_a_server_that_drains_is_not_held_up_by_handshakes(service: Service) -> None:
    half_done, _ = await service.connect(TLS)
    await half_done.send_raw(half_done.client_hello())
    silent, _ = await service.connect(TLS)
    open_one, _ = await service.connect(TLS)
    await open_one.shake_hands()
    await open_one.read(len(GREETING))
    draining = asyncio.create_task(
        service.server.drain(0.02, lambda connection: connection.hang_up(b"bye\r\n"))
    )
    assert await open_one.rest() == b"bye\r\n"
    await half_done.send_raw(await half_done.finished())
    assert await half_done.rest() == GREETING + b"bye\r\n"
    await asyncio.wait_for(draining, 20)
    assert await silent.rest_raw() == b""
    assert [connection.closed_times for connection in service.made] == [1, 1, 1]


# TLS begun by a line


@on_both_event_loops
async def test_nothing_that_came_with_the_line_that_begins_tls_survives_it(service: Service) -> None:
    client, connection = await service.connect(PLAIN)
    await client.send_raw(b"a\r\nstls\r\ninjected\r\nhalf a li")
    wanted = GREETING + b"a\r\nbegin\r\n"
    assert await client.read_raw(len(wanted)) == wanted
    await client.shake_hands()
    await client.send(b"ne\r\n")
    assert await client.read(4) == b"ne\r\n"
    assert connection.received == [b"a", b"stls", b"ne"]
    assert connection.output.octets_sent == len(wanted) + 4


@on_both_event_loops
async def test_clear_text_behind_the_line_that_begins_tls_is_closed_without_an_answer(
    service: Service,
) -> None:
    client, connection = await service.connect(PLAIN)
    await client.send_raw(b"stls\r\n")
    await until(lambda: connection.output.channel is not None)
    await client.send_raw(b"injected\r\n")
    assert b"injected" not in await client.rest_raw()
    assert connection.received == [b"stls"]
    await until(lambda: connection.closed_times == 1)


@on_both_event_loops
async def test_a_client_that_begins_tls_and_half_closes_gets_the_replies_owed(service: Service) -> None:
    client, connection = await service.connect(PLAIN)
    await client.send_raw(b"a\r\nb\r\nstls\r\n")
    client.half_close()
    assert await client.rest_raw() == GREETING + b"a\r\nb\r\nbegin\r\n"
    await until(lambda: connection.closed_times == 1)


@on_both_event_loops
async def test_tls_begins_behind_replies_that_the_client_has_not_read_yet(service: Service) -> None:
    client, connection = await service.connect(PLAIN)
    await client.send_raw(b"give 3000000\r\n")
    await until(lambda: connection.output.unsent_octets() > 0)
    await client.send_raw(b"stls\r\n")
    wanted = GREETING + b"g" * 3_000_000 + b"begin\r\n"
    assert await client.read_raw(len(wanted)) == wanted
    await client.shake_hands()
    await client.send(b"a\r\n")
    assert await client.read(3) == b"a\r\n"


# The proxy's header


@pytest.mark.parametrize("header", [LINE_HEADER, BINARY_HEADER], ids=["v1", "v2"])
@pytest.mark.parametrize("is_cut", [False, True], ids=["whole", "octet by octet"])
def test_header_and_first_line_may_come_in_any_segments(header: bytes, is_cut: bool) -> None:
    @on_both_event_loops
    async def scenario(service: Service) -> None:
        client, connection = await service.connect(PROXIED)
        for piece in [bytes([octet]) for octet in header + b"a\r\n"] if is_cut else [header + b"a\r\n"]:
            assert connection.opened_times == 0 or piece in b"a\r\n"
            await client.send_raw(piece)
        client.half_close()
        assert await client.rest_raw() == GREETING + b"a\r\n"
        assert connection.address == "198.51.100.7"
        assert connection.opened_times == 1

    for new_event_loop in (asyncio.SelectorEventLoop, uvloop.new_event_loop):
        scenario(new_event_loop)


@on_both_event_loops
async def test_header_comes_before_tls_and_may_share_a_segment_with_it(service: Service) -> None:
    client, connection = await service.connect(PROXIED_TLS)
    await client.send_raw(BINARY_HEADER + client.client_hello())
    await client.send_raw(await client.finished())
    await client.send(b"a\r\n")
    assert await client.read(len(GREETING) + 3) == GREETING + b"a\r\n"
    assert connection.address == "198.51.100.7"


@pytest.mark.usefixtures("short_waits")
@on_both_event_loops
async def test_a_header_that_does_not_come_in_time_closes_without_a_word(service: Service) -> None:
    for beginning in (b"", LINE_HEADER[:-1]):
        client, connection = await service.connect(PROXIED)
        await client.send_raw(beginning)
        assert await client.rest_raw() == b""
        await until(lambda: not service.server._before_header)
        assert connection.reasons == ["no proxy header within 0.1 s"]
        assert connection.opened_times == 0


@on_both_event_loops
async def test_the_wait_for_a_header_ends_with_it(service: Service) -> None:
    client, connection = await service.connect(PROXIED)
    (before_header,) = service.server._before_header
    await client.send_raw(LINE_HEADER + b"a\r\n")
    await until(lambda: connection.received == [b"a"])
    assert before_header._timer is not None
    assert before_header._timer.cancelled()
    assert connection.reasons == []


@on_both_event_loops
async def test_what_is_no_header_closes_without_a_word(service: Service) -> None:
    for octets in (b"USER bob\r\n", b"PROXY TCP4 a b c d\r\n", bytes(20)):
        client, connection = await service.connect(PROXIED)
        await client.send_raw(octets)
        assert await client.rest_raw() == b""
        await until(lambda: not service.server._before_header)
        assert len(connection.reasons) == 1
        assert connection.received == []


@on_both_event_loops
async def test_a_peer_that_is_no_trusted_proxy_is_closed_whatever_it_says(service: Service) -> None:
    client, connection = await service.connect(STRANGERS)
    with contextlib.suppress(ConnectionError):
        await client.send_raw(LINE_HEADER + b"a\r\n")
    assert await client.rest_raw() == b""
    await until(lambda: not service.server._before_header)
    assert connection.reasons == ["not a trusted proxy"]
    assert connection.opened_times == 0


@on_both_event_loops
async def test_a_proxy_that_looks_whether_we_live_and_goes_is_let_go(service: Service) -> None:
    for leave in (Client.reset, Client.half_close, lambda client: client.socket.close()):
        client, connection = await service.connect(PROXIED)
        leave(client)
        await until(lambda: not service.server._before_header)
        assert connection.opened_times == 0
    assert not service.server.connections


@on_both_event_loops
async def test_last_words_before_the_header_go_nowhere(service: Service) -> None:
    # On a port inside TLS they would go out in the clear.
    client, connection = await service.connect(PROXIED_TLS)
    await service.server.drain(0, lambda connection: connection.hang_up(b"-ERR going down\r\n"))
    assert await client.rest_raw() == b""
    await until(lambda: not service.server._before_header)
    assert connection.output.octets_written == 0


@on_both_event_loops
async def test_a_header_that_names_no_address_leaves_the_client_that_of_the_proxy(service: Service) -> None:
    client, connection = await service.connect(PROXIED)
    await client.send_raw(b"PROXY UNKNOWN\r\n")
    assert await client.read_raw(len(GREETING)) == GREETING
    await client.send_raw(b"a\r\n")
    assert await client.read_raw(3) == b"a\r\n"
    assert connection.address == "127.0.0.1"


@on_both_event_loops
async def test_what_a_proxy_opens_for_itself_is_a_check_and_not_among_the_connections(
    service: Service,
) -> None:
    checks: list[Answering] = []

    def make_check(connections: set[LineConnection], options: ListenerOptions) -> Answering:
        checks.append(Answering(connections, options))
        return checks[-1]

    service.server = LineServer(service._make, make_check)
    client, connection = await service.connect(PROXIED)
    await client.send_raw(SIGNATURE + b"\x20\x00\x00\x00a\r\n")
    assert await client.read_raw(len(GREETING) + 3) == GREETING + b"a\r\n"
    assert connection.opened_times == 0
    assert checks[0].received == [b"a"]
    assert service.server.connections == set()
    draining = asyncio.create_task(service.server.drain(5, LineConnection.abort))
    assert await client.rest_raw() == b""
    await draining


# The end inside TLS


@on_both_event_loops
async def test_what_a_client_sends_after_its_last_reply_is_discarded(service: Service) -> None:
    client, connection = await service.connect(TLS)
    await client.shake_hands()
    await client.send(b"quit\r\n")
    assert await client.read(len(GREETING) + 5) == GREETING + b"bye\r\n"
    await client.send(b"never\r\n")
    client.half_close()
    await until(lambda: connection.closed_times == 1)
    assert connection.received == [b"quit"]


@on_both_event_loops
async def test_tls_may_begin_without_a_reply_in_the_clear(service: Service) -> None:
    client, connection = await service.connect(PLAIN)
    assert await client.read_raw(len(GREETING)) == GREETING
    connection.start_tls(SERVER_CONTEXT)
    await client.shake_hands()
    await client.send(b"a\r\n")
    assert await client.read(3) == b"a\r\n"

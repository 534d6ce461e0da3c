"""A connection that speaks lines, over real sockets, on asyncio's own event loop and on uvloop."""

import asyncio
import contextlib
import errno
import functools
import itertools
import os
import socket
import ssl
import struct
import sys
from typing import Self

import pytest
import structlog
import uvloop

import line_server.descriptors
import line_server.output
import line_server.server
import line_server.turns
import support.event_loops
from line_server.connection import INPUT_OCTETS, LINES_PER_TURN, OUTPUT_OCTETS, LineConnection
from line_server.descriptors import UNCHECKED, Reserve
from line_server.lines import RUNAWAY_OCTETS, LineBuffer, OverlongLine
from line_server.listener import listen
from line_server.listener_options import PLAIN, ListenerOptions
from line_server.server import ACCEPTORS, PATIENT_TURNS, LineServer
from support.waiting import until

MAX_LINE_OCTETS = 1024

KERNEL_OCTETS = 64 * 1024
"""Asked for as each socket's buffers, so that a few megabytes are surely more than the kernel takes."""

READ_OCTETS = 256 * 1024
"""The most that either event loop hands over in one go."""

DEADLINE_SECONDS = 20.0

FLOOD = [b"%06d" % number + b"x" * 900 for number in range(4000)]
"""3.6 MB of lines: more than the limits of the connection and the kernel's buffers together."""


class Answering(LineConnection):
    """Repeats each line, except for a few that it knows as commands."""

    def __init__(self, connections: set[LineConnection], options: ListenerOptions) -> None:
        super().__init__(LineBuffer(MAX_LINE_OCTETS), connections, options)
        self.received: list[bytes | OverlongLine] = []
        self.errors: list[Exception] = []
        self.sent_notes: list[int] = []
        self.let_go = asyncio.Event()
        self.last_words: bytes | None = None
        """What is said when a bug is met; None to leave it to the base class."""
        self.closed_times = 0
        self.most_pending = self.most_unsent = 0

    def line_received(self, line: bytes | OverlongLine) -> None:
        self.received.append(line)
        if isinstance(line, OverlongLine):
            self.send(b"overlong\r\n")
        elif line == b"wait":
            self.hold()
            self.task = asyncio.create_task(self._answer_later())
        elif line == b"bug":
            raise RuntimeError("bug")
        elif line == b"quit":
            self.hang_up(b"bye\r\n", linger=True)
            self.send(b"never\r\n")
        elif line.startswith(b"give "):
            self.send(b"g" * int(line[5:]))
        else:
            self.send(line + b"\r\n")

    async def _answer_later(self) -> None:
        await self.let_go.wait()
        self.send(b"waited\r\n")
        self.release()

    def failed(self, error: Exception) -> None:
        self.errors.append(error)
        if self.last_words is not None:
            self.hang_up(self.last_words, linger=True)

    def sent(self) -> None:
        self.sent_notes.append(self.output.octets_sent)
        self._note_most()

    def closed(self) -> None:
        self.closed_times += 1

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._note_most()

    def send(self, octets: bytes) -> None:
        super().send(octets)
        self._note_most()

    def _note_most(self) -> None:
        self.most_pending = max(self.most_pending, self.lines.pending_octets)
        self.most_unsent = max(self.most_unsent, self.output.unsent_octets())

    @property
    def is_reading(self) -> bool:
        assert self.output.transport is not None
        return self.output.transport.is_reading()

    @property
    def is_held(self) -> bool:
        return self._is_held


class Client:
    """A socket that reads only when told to."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected

    async def send(self, octets: bytes) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            await asyncio.get_running_loop().sock_sendall(self.socket, octets)

    async def read(self, octets: int) -> bytes:
        """Return exactly so many octets; fewer when the server has closed."""
        chunks = []
        async with asyncio.timeout(DEADLINE_SECONDS):
            while octets and (chunk := await self._receive(octets)):
                chunks.append(chunk)
                octets -= len(chunk)
        return b"".join(chunks)

    async def rest(self) -> bytes:
        """Return everything up to the server's end of stream. Raises `ConnectionResetError`."""
        return await self.read(1 << 30)

    async def _receive(self, octets: int) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.sock_recv(self.socket, min(octets, 64 * 1024))

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Go away without a farewell, as a crashed machine's successor does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Service:
    """A server on a free loopback port; it remembers every connection that it has had."""

    def __init__(self) -> None:
        self.made: list[Answering] = []
        self.server = LineServer(self._make)
        self._clients = contextlib.ExitStack()

    def _make(self, connections: set[LineConnection], options: ListenerOptions) -> Answering:
        connection = Answering(connections, options)
        self.made.append(connection)
        return connection

    async def __aenter__(self) -> Self:
        sockets = listen("127.0.0.1", 0, "PEEP_PORT")
        for bound in sockets:  # what it accepts inherits these
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_OCTETS)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_OCTETS)
        self.address = sockets[0].getsockname()
        await self.server.listen(sockets)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._clients.close()
        await self.server.drain(0, lambda connection: connection.abort())

    async def connect(self) -> tuple[Client, Answering]:
        """Return a client, and the server's side of it."""
        connected = self._clients.enter_context(socket.socket())
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_OCTETS)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_OCTETS)
        connected.setblocking(False)
        before = len(self.made)
        async with asyncio.timeout(DEADLINE_SECONDS):
            await asyncio.get_running_loop().sock_connect(connected, self.address)
        await until(lambda: len(self.made) > before and not self.made[-1].is_lost)
        return Client(connected), self.made[-1]


on_both_event_loops = support.event_loops.on_both_event_loops(Service)


def is_stalled(connection: Answering) -> bool:
    return connection.output.unsent_octets() > 0


def require_pauses() -> None:
    """Skip where asyncio's own `writelines` does not tell that the kernel has not taken all of it.

    So it is in CPython 3.12.0 to 3.12.8, 3.13.0 and 3.13.1 (python/cpython#127655). We run on uvloop.
    """
    is_asyncio = isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop)
    version = sys.version_info[:3]
    if is_asyncio and ((3, 12) <= version < (3, 12, 9) or (3, 13) <= version < (3, 13, 2)):
        pytest.skip("writelines of this version's asyncio does not pause")


def lines(*texts: bytes) -> bytes:
    return b"".join(text + b"\r\n" for text in texts)


@pytest.fixture
def short_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off after a tenth of a second a client that does not take its last reply."""
    monkeypatch.setattr(line_server.output, "FAREWELL_SECONDS", 0.1)


# Order


@on_both_event_loops
async def test_pipelined_lines_are_answered_in_order_however_they_were_cut(service: Service) -> None:
    client, _ = await service.connect()
    wanted = lines(*(b"%d" % number for number in range(1000)))
    await client.send(wanted)
    assert await client.read(len(wanted)) == wanted
    for octet in b"last\r\n":
        await client.send(bytes([octet]))
    assert await client.read(6) == b"last\r\n"


@pytest.fixture
def one_share_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give one turn of the event loop to one of those alone who have used up their share of the last."""
    monkeypatch.setattr(line_server.turns, "BULK_SECONDS", 0.0)


@pytest.mark.usefixtures("one_share_a_turn")
@on_both_event_loops
async def test_fifty_who_have_pipelined_have_one_share_in_each_turn_that_a_newcomer_takes(
    service: Service,
) -> None:
    crowd = [await service.connect() for _ in range(50)]
    for client, _ in crowd:
        await client.send(b"x\r\n" * 1000)
    await until(lambda: all(connection.received for _, connection in crowd))
    answered: list[int] = []  # turn by turn
    is_over = asyncio.Event()

    def note_turn() -> None:
        answered.append(sum(len(connection.received) for _, connection in crowd))
        if not is_over.is_set():
            asyncio.get_running_loop().call_soon(note_turn)

    note_turn()
    with socket.socket() as connected:
        connected.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connected, service.address)
        newcomer = Client(connected)
        await newcomer.send(b"a\r\n")
        assert await newcomer.read(3) == b"a\r\n"
    is_over.set()
    # How many turns it takes is the kernel's affair; without shares each would answer fifty times as much.
    assert max(after - before for before, after in itertools.pairwise(answered)) == LINES_PER_TURN
    for client, _ in crowd:
        assert await client.read(3000) == b"x\r\n" * 1000


@pytest.mark.usefixtures("one_share_a_turn")
@on_both_event_loops
async def test_a_bug_of_one_in_the_crowd_keeps_none_of_the_others_waiting(service: Service) -> None:
    clients = [(await service.connect())[0] for _ in range(3)]
    await clients[0].send(lines(*[b"x"] * LINES_PER_TURN, b"bug"))
    for client in clients[1:]:
        await client.send(b"x\r\n" * 1000)
    for client in clients[1:]:
        assert await client.read(3000) == b"x\r\n" * 1000


@on_both_event_loops
async def test_lines_wait_while_one_is_held_and_go_on_when_a_task_releases_it(service: Service) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"a", b"wait", b"b", b"c"))
    assert await client.read(3) == b"a\r\n"
    await until(lambda: connection.lines.pending_octets == 6)
    assert connection.received == [b"a", b"wait"]
    connection.let_go.set()
    assert await client.read(14) == lines(b"waited", b"b", b"c")


@on_both_event_loops
async def test_a_line_that_is_held_again_after_release_keeps_the_order(service: Service) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"wait", b"a", b"wait", b"b"))
    connection.let_go.set()
    wanted = lines(b"waited", b"a", b"waited", b"b")
    assert await client.read(len(wanted)) == wanted


# Half-close


@on_both_event_loops
async def test_a_client_that_half_closes_gets_every_answer_and_then_the_close(service: Service) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"a", b"wait", b"b") + b"unfinished")
    client.half_close()
    await until(lambda: connection.is_held)
    connection.let_go.set()
    assert await client.rest() == lines(b"a", b"waited", b"b")
    await until(lambda: connection.closed_times == 1)
    assert not service.server.connections


@on_both_event_loops
async def test_a_half_close_behind_more_input_than_is_kept_still_gets_every_answer(service: Service) -> None:
    client, connection = await service.connect()
    sending = asyncio.create_task(client.send(lines(b"wait", *FLOOD)))
    await until(lambda: not connection.is_reading)
    connection.let_go.set()
    reading = asyncio.create_task(client.rest())
    await sending
    client.half_close()
    assert await reading == lines(b"waited", *FLOOD)


@on_both_event_loops
async def test_a_half_close_with_replies_unread_gets_them_all_before_the_close(service: Service) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"give 3000000", b"a"))
    client.half_close()
    await until(lambda: is_stalled(connection))
    assert await client.rest() == b"g" * 3_000_000 + b"a\r\n"


# Back-pressure


@on_both_event_loops
async def test_a_client_that_does_not_read_is_not_read_from_until_it_does(service: Service) -> None:
    client, connection = await service.connect()
    sending = asyncio.create_task(client.send(lines(*FLOOD)))
    await until(lambda: not connection.is_reading and is_stalled(connection))
    assert connection.lines.pending_octets > INPUT_OCTETS
    assert not sending.done()
    assert len(connection.received) < len(FLOOD)
    assert await client.read(len(lines(*FLOOD))) == lines(*FLOOD)
    await sending
    assert connection.most_pending <= INPUT_OCTETS + READ_OCTETS
    assert connection.most_unsent <= OUTPUT_OCTETS + MAX_LINE_OCTETS
    await until(lambda: connection.is_reading)


@on_both_event_loops
async def test_a_held_connection_is_not_read_from_past_the_limit(service: Service) -> None:
    client, connection = await service.connect()
    sending = asyncio.create_task(client.send(lines(b"wait", *FLOOD)))
    await until(lambda: not connection.is_reading)
    assert connection.received == [b"wait"]
    assert INPUT_OCTETS < connection.most_pending <= INPUT_OCTETS + READ_OCTETS
    assert not sending.done()
    connection.let_go.set()
    wanted = lines(b"waited", *FLOOD)
    assert await client.read(len(wanted)) == wanted
    await sending
    assert connection.most_pending <= INPUT_OCTETS + READ_OCTETS


@on_both_event_loops
async def test_no_line_is_handed_out_while_replies_wait_for_the_client(service: Service) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"give 3000000", b"a"))
    await until(lambda: is_stalled(connection) and connection.lines.pending_octets > 0)
    assert connection.received == [b"give 3000000"]
    await client.read(3_000_000)
    assert await client.read(3) == b"a\r\n"


@on_both_event_loops
async def test_drained_returns_once_the_kernel_has_taken_everything(service: Service) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"give 3000000"))
    await until(lambda: is_stalled(connection))
    waiting = asyncio.create_task(connection.output.drained())
    await client.read(100_000)
    assert not waiting.done()
    reading = asyncio.create_task(client.read(2_900_000))
    await asyncio.wait_for(waiting, DEADLINE_SECONDS)
    assert connection.output.unsent_octets() == 0
    assert len(await reading) == 2_900_000


# What has been sent


@on_both_event_loops
async def test_octets_sent_are_those_that_the_kernel_took_and_in_the_end_all(service: Service) -> None:
    require_pauses()
    client, connection = await service.connect()
    await client.send(lines(b"a", b"give 3000000"))
    await until(lambda: is_stalled(connection))
    assert connection.output.octets_written == 3 + 3_000_000
    # Counted at the stall; the kernel may have taken more since.
    assert 3 < connection.output.octets_sent <= 3 + 3_000_000 - connection.output.unsent_octets()
    await client.read(3 + 3_000_000)
    await until(lambda: connection.output.octets_sent == 3 + 3_000_000)
    await client.send(lines(b"quit"))
    assert await client.rest() == b"bye\r\n"
    assert connection.output.octets_sent == connection.output.octets_written == 3 + 3_000_000 + 5
    assert connection.sent_notes == sorted(set(connection.sent_notes))
    assert connection.sent_notes[-1] == connection.output.octets_sent


@on_both_event_loops
async def test_octets_that_a_vanished_client_never_took_do_not_count_as_sent(service: Service) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"give 3000000"))
    await client.read(100_000)
    await until(lambda: is_stalled(connection))
    waiting = asyncio.create_task(connection.output.drained())
    client.reset()
    await until(lambda: connection.is_lost)
    assert 100_000 <= connection.output.octets_sent < connection.output.octets_written
    with pytest.raises(ConnectionResetError):
        await waiting
    assert connection.closed_times == 1


# Hanging up


@on_both_event_loops
async def test_the_last_reply_arrives_although_input_was_never_read(service: Service) -> None:
    client, connection = await service.connect()
    sending = asyncio.create_task(client.send(lines(b"wait", *FLOOD)))
    await until(lambda: not connection.is_reading)
    connection.hang_up(b"enough\r\n", linger=True)
    assert await client.rest() == b"enough\r\n"
    await sending  # what is thrown away is still taken
    assert connection.received == [b"wait"]
    assert connection.most_pending <= INPUT_OCTETS + READ_OCTETS
    client.socket.close()
    await until(lambda: connection.closed_times == 1)


@on_both_event_loops
async def test_what_is_sent_after_hanging_up_goes_nowhere(service: Service) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"a", b"quit", b"b"))
    assert await client.rest() == lines(b"a", b"bye")
    assert connection.received == [b"a", b"quit"]
    connection.send(b"late\r\n")
    client.socket.close()
    await until(lambda: connection.is_lost)
    connection.send(b"later\r\n")
    connection.hang_up(b"latest\r\n")
    connection.release()
    assert (
        connection.output.octets_written
        == connection.output.octets_queued
        == connection.output.octets_sent
        == 8
    )


@pytest.mark.usefixtures("short_farewell")
@on_both_event_loops
async def test_a_client_that_does_not_read_its_last_reply_is_cut_off(
    service: Service,
) -> None:
    for linger in (True, False):
        client, connection = await service.connect()
        await client.send(lines(b"give 3000000"))
        await until(functools.partial(is_stalled, connection))
        connection.hang_up(b"bye\r\n", linger=linger)
        await until(lambda: not service.server.connections)
        assert connection.output.octets_sent < connection.output.octets_written
        assert connection.closed_times == 1


@pytest.mark.usefixtures("short_farewell")
@on_both_event_loops
async def test_a_client_that_keeps_the_connection_after_the_last_reply_is_cut_off(
    service: Service,
) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"quit"))
    assert await client.rest() == b"bye\r\n"
    await until(lambda: connection.closed_times == 1)
    assert not service.server.connections


# Faults


@on_both_event_loops
async def test_a_line_that_does_not_end_closes_the_connection_after_the_replies_owed(
    service: Service,
) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"a") + b"x" * (RUNAWAY_OCTETS + 2))
    assert await client.rest() == b"a\r\n"
    assert connection.received == [b"a"]
    assert connection.lines.pending_octets <= MAX_LINE_OCTETS


@on_both_event_loops
async def test_an_overlong_line_is_told_once_and_the_next_line_is_answered(service: Service) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"x" * (RUNAWAY_OCTETS - 1), b"a"))
    assert await client.read(13) == lines(b"overlong", b"a")
    assert connection.received == [OverlongLine(b"x" * MAX_LINE_OCTETS), b"a"]


@on_both_event_loops
async def test_a_bug_is_reported_and_cuts_off_its_connection_alone(service: Service) -> None:
    neighbour, _ = await service.connect()
    client, connection = await service.connect()
    await client.send(lines(b"bug", b"a"))
    with contextlib.suppress(ConnectionResetError):
        assert await client.rest() == b""
    assert [str(error) for error in connection.errors] == ["bug"]
    assert connection.received == [b"bug"]
    await until(lambda: connection.closed_times == 1)
    await neighbour.send(lines(b"b"))
    assert await neighbour.read(3) == b"b\r\n"
    successor, _ = await service.connect()
    await successor.send(lines(b"c"))
    assert await successor.read(3) == b"c\r\n"


@on_both_event_loops
async def test_last_words_after_a_bug_arrive_behind_the_replies_owed(service: Service) -> None:
    client, connection = await service.connect()
    connection.last_words = b"sorry\r\n"
    await client.send(lines(b"a", b"bug", b"b"))
    assert await client.rest() == lines(b"a", b"sorry")
    assert connection.received == [b"a", b"bug"]


@on_both_event_loops
async def test_a_bug_in_a_line_that_had_waited_is_reported_too(service: Service) -> None:
    client, connection = await service.connect()
    await client.send(lines(b"wait", b"bug", b"a"))
    await until(lambda: connection.is_held)
    connection.let_go.set()
    await until(lambda: connection.closed_times == 1)
    await connection.task
    assert [str(error) for error in connection.errors] == ["bug"]
    assert connection.received == [b"wait", b"bug"]


# Draining


@on_both_event_loops
async def test_a_server_that_stops_listening_refuses_new_clients_and_serves_the_old(
    service: Service,
) -> None:
    client, _ = await service.connect()
    service.server.stop_listening()
    with socket.socket() as late:
        late.setblocking(False)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().sock_connect(late, service.address)
    await client.send(lines(b"a"))
    assert await client.read(3) == b"a\r\n"


@on_both_event_loops
async def test_draining_waits_for_clients_that_end_by_themselves(service: Service) -> None:
    client, _ = await service.connect()
    dismissed: list[LineConnection] = []
    draining = asyncio.create_task(service.server.drain(2 * DEADLINE_SECONDS, dismissed.append))
    await client.send(lines(b"a"))
    assert await client.read(3) == b"a\r\n"
    assert not draining.done()
    client.socket.close()
    await asyncio.wait_for(draining, DEADLINE_SECONDS)
    assert dismissed == []


@pytest.mark.usefixtures("short_abort")
@on_both_event_loops
async def test_draining_dismisses_idle_clients_and_cuts_off_one_that_never_reads(
    service: Service,
) -> None:
    idle, idle_connection = await service.connect()
    deaf, deaf_connection = await service.connect()
    await deaf.send(lines(b"give 3000000"))
    await until(lambda: is_stalled(deaf_connection))
    farewell = asyncio.create_task(idle.rest())
    await service.server.drain(0.05, lambda connection: connection.hang_up(b"bye\r\n"))
    assert await farewell == b"bye\r\n"
    assert not service.server.connections
    assert [idle_connection.closed_times, deaf_connection.closed_times] == [1, 1]
    assert deaf_connection.output.octets_sent < deaf_connection.output.octets_written


# A line that a subclass ends


@on_both_event_loops
async def test_a_line_without_an_end_can_be_answered_and_its_end_is_ignored_later(service: Service) -> None:
    client, connection = await service.connect()
    await client.send(b"half")
    await until(lambda: connection.lines.unfinished == b"half")
    connection.end_line()
    assert await client.read(6) == b"half\r\n"
    await client.send(b"\r\nnext\r\n")
    assert await client.read(6) == b"next\r\n"
    assert connection.received == [b"half", b"next"]


# Waiting for a client to read


@on_both_event_loops
async def test_a_wait_that_is_given_up_leaves_the_others_and_none_is_needed_without_a_stall(
    service: Service,
) -> None:
    client, connection = await service.connect()
    await connection.output.drained()
    connection.send(b"g" * 3_000_000)
    given_up, kept = (asyncio.create_task(connection.output.drained()) for _ in range(2))
    await until(lambda: len(connection.output._waiters or ()) == 2)
    given_up.cancel()
    assert len(await client.read(3_000_000)) == 3_000_000
    await kept
    assert given_up.cancelled()


@on_both_event_loops
async def test_a_connection_that_is_gone_can_be_aborted_and_never_drains(service: Service) -> None:
    client, connection = await service.connect()
    client.reset()
    await until(lambda: connection.is_lost)
    connection.abort()
    assert connection.closed_times == 1
    with pytest.raises(ConnectionResetError):
        await connection.output.drained()


@on_both_event_loops
async def test_of_many_who_wait_so_many_are_accepted_in_a_turn_and_the_others_in_the_next(
    service: Service,
) -> None:
    with contextlib.ExitStack() as stack:
        line_server.server.ACCEPTS_PER_TURN, before = 2, line_server.server.ACCEPTS_PER_TURN
        stack.callback(setattr, line_server.server, "ACCEPTS_PER_TURN", before)
        clients = ACCEPTORS * (PATIENT_TURNS + 1) + 7
        for _ in range(clients):
            stack.enter_context(socket.create_connection(service.address))
        await until(lambda: len(service.made) == clients)


# No descriptors for more connections


IN_TLS = ListenerOptions(tls=lambda: ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))


@pytest.mark.parametrize(("port", "words"), [(PLAIN, b"-ERR no room\r\n"), (IN_TLS, b"")])
@pytest.mark.parametrize("waiting", [1, ACCEPTORS, ACCEPTORS * (PATIENT_TURNS + 1) + 3])
def test_a_client_without_a_descriptor_is_told_so_in_the_clear_and_the_log_once_a_minute(
    waiting: int, port: ListenerOptions, words: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def words_of_all() -> list[bytes]:
        made: list[LineConnection] = []

        def make(connections: set[LineConnection], options: ListenerOptions) -> Answering:
            connection = Answering(connections, options)
            made.append(connection)
            return connection

        server = LineServer(make, no_room=b"-ERR no room\r\n")
        (bound,) = listen("127.0.0.1", 0, "PEEP_PORT")
        await server.listen([bound], port)
        clients = [Client(socket.create_connection(bound.getsockname())) for _ in range(waiting)]
        for client in clients:
            client.socket.setblocking(False)
        received = [await client.rest() for client in clients]
        await server.drain(0, LineConnection.abort)
        for client in clients:
            client.socket.close()
        assert made == []
        return received

    monkeypatch.setattr(line_server.descriptors, "free_for_connections", lambda: 0)
    with structlog.testing.capture_logs() as logs:
        assert uvloop.run(words_of_all()) == [words] * waiting
    assert [entry["log_level"] for entry in logs] == ["error"]
    assert logs[0]["event"].startswith("no descriptors left for more connections")


def test_a_process_without_any_descriptor_left_still_refuses_with_a_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exhausted(_descriptor: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    reserve = Reserve(b"-ERR no room\r\n")
    with socket.socket() as bound:
        assert not reserve.is_next(bound)
        monkeypatch.setattr(os, "dup", exhausted)
        assert [reserve.is_next(bound) for _ in range(UNCHECKED + 3)] == [False] * UNCHECKED + [True] * 3

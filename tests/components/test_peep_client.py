"""The client library with a real gateway, with a bare server, and with servers that are not PEEP at all."""

import ast
import asyncio
import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

import peep_client
from peep_client import AsyncPeep, Counters, Peep, connect, connect_async
from service_runtime import VERSION
from state_store.records import Deltas, Exchange
from support.bare_peep_server import (
    ADMINISTRATOR,
    LOGGED_IN,
    NUMBERS,
    PASSWORD,
    BarePeepServer,
    bare_peep_server,
    canned_server,
)
from support.certificates import Authority
from support.peep_gateway_server import ADMINISTRATOR as ROOT
from support.peep_gateway_server import PASSWORD as ROOT_PASSWORD
from support.peep_gateway_server import Gateway, instance, pop3_instance
from support.redis_kinds import free_port
from support.redis_server import RedisServer
from support.tls_relay import tls_relay

COUNTERS = Counters(2612, 7, 3, 2, len(LOGGED_IN), 23, 11)


def bare(server: BarePeepServer, **options: bool) -> Peep:
    return connect("127.0.0.1", server.port, ADMINISTRATOR, PASSWORD, silence_seconds=5, **options)


async def with_gateway(use: Callable[[Peep], None], gateway: Gateway) -> None:
    """Use the blocking client in a thread, beside the gateway's event loop."""

    def run() -> None:
        with connect(*gateway.address, ROOT, ROOT_PASSWORD) as peep:
            use(peep)

    await asyncio.to_thread(run)


# A bare server


def test_bare_server_is_sent_one_command_a_read() -> None:
    with bare_peep_server() as server:
        with bare(server) as peep:
            assert peep.counters() == COUNTERS
        reads = server.received
    assert reads[0] == f"a {ADMINISTRATOR} {PASSWORD}\r\n"
    assert {f"{question}\r\n" for question in (*NUMBERS, "cu?", "q")} <= set(reads)
    assert all(read.count("\r\n") == 1 for read in reads)


def test_bare_server_is_administered() -> None:
    with bare_peep_server() as server, bare(server) as peep:
        peep.add_user("alice", "secret")
        assert peep.users() == ["alice", "linus", "unix"]
        peep.remove_user("linus")
        assert peep.users() == ["alice", "unix"]
        assert peep.logged_in_users() == list(LOGGED_IN)
        peep.set_max_connections(99)
        peep.set_timeout(0)
        peep.set_mail_directory("/srv/mail")
        assert (peep.max_connections(), peep.timeout(), peep.mail_directory()) == (99, 0, "/srv/mail")
        assert peep.settings() == peep_client.Settings(99, 0, "/srv/mail")


@pytest.mark.parametrize(
    ("refused", "code"),
    [
        (lambda peep: peep.add_user("unix", "x"), 3),
        (lambda peep: peep.remove_user("nobody"), 4),
        (lambda peep: peep.set_max_connections(501), 5),
        (lambda peep: peep.set_mail_directory("relative"), 6),
        (lambda peep: peep.set_timeout(-1), 7),
    ],
)
def test_refusal_is_an_error_with_its_code_and_the_session_goes_on(
    refused: Callable[[Peep], None], code: int
) -> None:
    with bare_peep_server() as server, bare(server) as peep:
        with pytest.raises(peep_client.NegativeReply) as refusal:
            refused(peep)
        assert refusal.value.code == code
        assert peep.max_connections() == 15


@pytest.mark.parametrize(
    ("needs", "extension"),
    [
        (lambda peep: peep.sessions(), "s?"),
        (lambda peep: peep.close_session("1"), "k-"),
        (lambda peep: peep.slow_downs(), "g?"),
        (lambda peep: peep.moves(), "mv?"),
        (lambda peep: peep.moved_users(), "mc?"),
        (lambda peep: peep.lift_slow_down("1"), "g-"),
        (lambda peep: peep.set_password("unix", "x"), "p="),
        (lambda peep: peep.version(), "v?"),
    ],
)
def test_extension_that_is_not_listed_is_not_sent(needs: Callable[[Peep], object], extension: str) -> None:
    with bare_peep_server() as server:
        with bare(server) as peep:
            for _ in range(2):
                with pytest.raises(peep_client.NotSupported) as refusal:
                    needs(peep)
                assert refusal.value.commencement == extension
        assert server.received[1:] == ["cap?\r\n", "q\r\n"]


def lose_patience(peep: Peep | AsyncPeep) -> None:
    """Let a tenth of a second be too long from now on: the greeting could not be too late."""
    peep._silence_seconds = 0.1
    if isinstance(peep, Peep) and peep._connection is not None:
        peep._connection.settimeout(0.1)


def test_pipelining_by_order_needs_a_server_that_pipelines() -> None:
    with bare_peep_server() as server:
        peep = connect("127.0.0.1", server.port, ADMINISTRATOR, PASSWORD, pipelining=True)
        lose_patience(peep)
        with pytest.raises(peep_client.TimedOut):
            peep.counters()
        with pytest.raises(peep_client.ConnectionLost):
            peep.counters()


def test_bad_argument_sends_nothing() -> None:
    with bare_peep_server() as server:
        with bare(server) as peep, pytest.raises(peep_client.InvalidArgument):
            peep.add_user("two words", "secret")
        with pytest.raises(peep_client.InvalidArgument):
            connect("127.0.0.1", server.port, ADMINISTRATOR, "two words")
        assert len(server.received) == 2  # `a` and `q` of the first


def test_raw_command_gives_negative_replies_back() -> None:
    with bare_peep_server() as server, bare(server) as peep:
        assert peep.command("u+ unix x").code == 3
        assert peep.command("u?").lines == ("linus", "unix")
        assert peep.command("").status == "-0"


# The real gateway


async def test_counters_of_the_gateway_are_those_of_the_store(gateway: Gateway) -> None:
    deltas = Deltas(retrieved_bytes=2612, retrieved_emails=7, logins=11)
    await gateway.repository.register_instance(instance())
    await gateway.repository.exchange(Exchange("pop3", 1, deltas))

    def use(peep: Peep) -> None:
        counters = peep.counters()
        assert (counters.retrieved_bytes, counters.retrieved_emails) == (2612, 7)
        assert (counters.historical_logins, counters.logged_in_users) == (11, 0)

    await with_gateway(use, gateway)


def test_counters_of_a_server_with_extensions_are_asked_for_in_one_write() -> None:
    extensions = b"+9\r\na\r\np=\r\ns?\r\nk-\r\ng?\r\ng-\r\nmv?\r\nmc?\r\nv?\r\n"
    counters = b"+1\r\n+2\r\n+3\r\n+4\r\n+5\r\n+6\r\n+0\r\n"
    with (
        canned_server(b"+\r\n", extensions, counters, b"+\r\n") as port,
        connect("127.0.0.1", port, "a", "b") as peep,
    ):
        assert peep.counters() == Counters(1, 2, 3, 4, 0, 5, 6)


async def test_extensions_of_the_gateway_are_used(gateway: Gateway) -> None:
    async with connect_async(*gateway.address, ROOT, ROOT_PASSWORD) as peep:
        assert await peep.version() == VERSION
        assert await peep.sessions() == []
        assert await peep.slow_downs() == []
        with pytest.raises(peep_client.NegativeReply) as refusal:
            await peep.lift_slow_down("5f0c9e1b7a42")
        assert refusal.value.code == 4
        await peep.add_user("alice", "first")
        await peep.set_password("alice", "second")
        with pytest.raises(peep_client.NegativeReply, match="no such user or session"):
            await peep.close_session("pop3-1")


async def test_lost_connection_can_be_opened_anew(gateway: Gateway) -> None:
    peep = connect_async(*gateway.address, ROOT, ROOT_PASSWORD)
    await peep.open()
    (connection,) = gateway.server.connections
    connection.abort()
    with pytest.raises(peep_client.ConnectionLost):
        await peep.timeout()
    assert not peep.is_open
    await peep.open()
    assert await peep.timeout() == 600
    await peep.close()


def test_both_clients_offer_the_same() -> None:
    def public(client: type) -> dict[str, object]:
        return {
            name: list(inspect.signature(method).parameters.values())
            for name, method in inspect.getmembers(client, inspect.isfunction)
            if not name.startswith("_")
        }

    assert public(Peep) == {name: found for name, found in public(AsyncPeep).items() if name != "open"}
    assert inspect.signature(connect).parameters == inspect.signature(connect_async).parameters


async def test_both_clients_administer_the_gateway_alike(gateway: Gateway) -> None:
    async with pop3_instance(gateway.repository):

        def use(peep: Peep) -> None:
            peep.add_user("alice", "secret")
            peep.set_max_connections(7)
            peep.set_timeout(120)
            peep.set_mail_directory("/tmp")

        await with_gateway(use, gateway)
        async with connect_async(*gateway.address, ROOT, ROOT_PASSWORD) as peep:
            assert await peep.users() == ["alice"]
            assert await peep.settings() == peep_client.Settings(7, 120, "/tmp")
            with pytest.raises(peep_client.NegativeReply, match="already in use"):
                await peep.add_user("alice", "secret")
            await peep.remove_user("alice")
            assert await peep.users() == []
            assert (await peep.capabilities()).integers["t="] == range(0, 86401)


async def test_wrong_login_has_an_error_of_its_own(gateway: Gateway) -> None:
    with pytest.raises(peep_client.WrongLogin):
        await asyncio.to_thread(connect, *gateway.address, ROOT, "wrong")
    with pytest.raises(peep_client.WrongLogin):
        await connect_async(*gateway.address, ROOT, "wrong").open()


async def test_ten_thousand_users_are_listed(gateway: Gateway, shared_redis_server: RedisServer) -> None:
    names = [f"user{number:05}" for number in range(10_000)]
    shared_redis_server.add_users(names)
    async with connect_async(*gateway.address, ROOT, ROOT_PASSWORD) as peep:
        assert await peep.users() == names
    async with connect_async(*gateway.address, ROOT, ROOT_PASSWORD, max_lines=9_999) as peep:
        with pytest.raises(peep_client.NotPeep, match="10000 lines"):
            await peep.users()


async def test_tasks_that_share_a_connection_get_their_own_replies(gateway: Gateway) -> None:
    async with connect_async(*gateway.address, ROOT, ROOT_PASSWORD) as peep:
        limits, timeouts = await asyncio.gather(
            asyncio.gather(*(peep.max_connections() for _ in range(20))),
            asyncio.gather(*(peep.timeout() for _ in range(20))),
        )
    assert limits == [1000] * 20
    assert timeouts == [600] * 20


async def test_cancelled_question_ends_the_connection() -> None:
    with canned_server(b"+\r\n", b"", stays=True) as port:
        peep = connect_async("127.0.0.1", port, "root", "secret")
        await peep.open()
        asking = asyncio.create_task(peep.timeout())
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        with pytest.raises(peep_client.ConnectionLost):
            await peep.timeout()
        await peep.close()


def documented_lines() -> str:
    """Return the example that the package's documentation shows."""
    text = inspect.getdoc(peep_client)
    assert text is not None
    example = re.search(r"reads all the counters:\n\n((?:    .*\n|\n)+)", text)
    assert example is not None
    return textwrap.dedent(example[1])


def test_documented_lines_read_all_counters(capsys: pytest.CaptureFixture[str]) -> None:
    lines = documented_lines()
    assert len(lines.rstrip().splitlines()) == 10
    with bare_peep_server() as server:
        here = lines.replace("2110", str(server.port)).replace(
            '"admin", "secret"', f'"{ADMINISTRATOR}", "{PASSWORD}"'
        )
        exec(compile(ast.parse(here), "example", "exec"), {})  # noqa: S102 - our own documentation
    shown = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert shown == {name: f"{value:,}" for name, value in dataclasses.asdict(COUNTERS).items()}


# Servers that are none


@pytest.mark.parametrize(
    "greeting",
    [
        b"+OK POP3 ready\r\n",
        b"220 mail ESMTP\r\n",
        b"-ERR unknown\r\n",
        b"HTTP/1.1 400 Bad\r\n",
        b"+" + b"x" * 600,
    ],
)
def test_other_protocols_are_told_as_such_and_the_connection_ends(greeting: bytes) -> None:
    with canned_server(greeting, stays=True) as port, pytest.raises(peep_client.NotPeep):
        connect("127.0.0.1", port, "root", "secret", silence_seconds=5)


async def test_other_protocols_are_told_as_such_over_asyncio() -> None:
    with canned_server(b"+OK POP3 ready\r\n", stays=True) as port, pytest.raises(peep_client.NotPeep):
        await connect_async("127.0.0.1", port, "root", "secret").open()


def test_number_that_is_none_is_no_peep() -> None:
    with canned_server(b"+\r\n", b"+many\r\n") as port:
        peep = connect("127.0.0.1", port, "root", "secret")
        with pytest.raises(peep_client.NotPeep, match="expected number"):
            peep.timeout()
        with pytest.raises(peep_client.ConnectionLost):
            peep.timeout()


def test_reply_to_nothing_is_no_peep() -> None:
    with canned_server(b"+\r\n", b"+3\r\na\r\nb\r\nc\r\n", stays=True) as port:
        peep = connect("127.0.0.1", port, "root", "secret")
        assert peep.command("zz?").status == "+3"
        with pytest.raises(peep_client.NotPeep, match="more than was asked for"):
            peep.timeout()


def test_end_in_the_middle_of_a_reply_is_a_lost_connection() -> None:
    with canned_server(b"+\r\n", b"+3\r\nalice\r\n") as port:
        peep = connect("127.0.0.1", port, "root", "secret")
        with pytest.raises(peep_client.ConnectionLost, match="closed the connection"):
            peep.users()


async def test_silence_is_a_time_out() -> None:
    with canned_server(b"+\r\n", b"", stays=True) as port:
        with connect("127.0.0.1", port, "root", "secret", silence_seconds=60) as peep:
            assert peep._connection is not None
            assert (peep._silence_seconds, peep._connection.gettimeout()) == (60, 60)
            lose_patience(peep)
            with pytest.raises(peep_client.TimedOut, match=r"no reply within 0\.1 seconds"):
                peep.timeout()
        async with connect_async("127.0.0.1", port, "root", "secret", silence_seconds=60) as other:
            assert other._silence_seconds == 60
            lose_patience(other)
            with pytest.raises(peep_client.TimedOut):
                await other.timeout()


async def test_nobody_there_is_told_with_host_and_port() -> None:
    port = free_port()
    with pytest.raises(peep_client.CannotConnect, match=f"127.0.0.1 port {port}: connection refused"):
        connect("127.0.0.1", port)
    with pytest.raises(peep_client.CannotConnect, match=f"127.0.0.1 port {port}: connection refused"):
        await connect_async("127.0.0.1", port).open()


# TLS


async def test_tls_is_verified_and_used(gateway: Gateway, tmp_path: Path) -> None:
    authority = Authority()
    async with tls_relay(authority, tmp_path, gateway.address) as address:

        def use() -> int:
            with connect(*address, ROOT, ROOT_PASSWORD, tls=authority.client_context()) as peep:
                return peep.max_connections()

        assert await asyncio.to_thread(use) == 1000
        peep: AsyncPeep
        async with connect_async(*address, ROOT, ROOT_PASSWORD, tls=authority.client_context()) as peep:
            assert await peep.max_connections() == 1000


async def test_certificate_of_a_stranger_is_refused(gateway: Gateway, tmp_path: Path) -> None:
    async with tls_relay(Authority(), tmp_path, gateway.address) as address:
        with pytest.raises(peep_client.CannotConnect, match="certificate is not trusted") as refusal:
            await asyncio.to_thread(connect, *address, ROOT, ROOT_PASSWORD, tls=True)
        assert refusal.value.is_certificate
        with pytest.raises(peep_client.CannotConnect, match="certificate is not trusted"):
            await connect_async(*address, ROOT, ROOT_PASSWORD, tls=True).open()


async def test_clear_text_to_a_tls_port_is_told(gateway: Gateway, tmp_path: Path) -> None:
    async with tls_relay(Authority(), tmp_path, gateway.address) as address:
        with pytest.raises((peep_client.NotPeep, peep_client.ConnectionLost)):
            await asyncio.to_thread(connect, *address, ROOT, ROOT_PASSWORD)

"""A PEEP server on a free loopback port, and a client that plays dialogues."""

import asyncio
import functools
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from line_server.connection import LineConnection
from line_server.listener import listen
from line_server.server import LineServer
from peep_gateway.administration import Administration
from peep_gateway.connection import PeepConnection
from peep_gateway.connection_limits import ConnectionLimits
from peep_gateway.protocol.commands import capabilities
from peep_gateway.protocol.replies import wire_form
from state_store.credentials.authentication import Authenticator
from state_store.credentials.passwords import Passwords
from state_store.records import Credential, Exchange, Instance, NotificationKind
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.cheap_passwords import cheap_passwords
from support.dialogue import steps
from support.patience import patience_with_instances

ADMINISTRATOR = "root"
PASSWORD = "root-password"
LOGIN = f"a {ADMINISTRATOR} {PASSWORD}".encode()
CAPABILITIES = wire_form([f"+{len(capabilities())}", *capabilities()])
"""The reply to `cap?`."""

_ANSWER_SECONDS = 20


@functools.cache
def passwords() -> Passwords:
    """Return the one for all tests: it remembers the administrator, so that logging in costs nothing."""
    return cheap_passwords()


@functools.cache
def administrator_hash() -> str:
    """Return the hash of `PASSWORD`, made on a loop of its own so that it is made only once."""
    return passwords()._hasher.hash(PASSWORD)


class PeepClient:
    """A client that sends octets as they are."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, line: bytes, lines: int = 1) -> bytes:
        """Send a line, CRLF added, and return the next `lines` lines."""
        self.writer.write(line + b"\r\n")
        return b"".join([await self.read_line() for _ in range(lines)])

    async def read_line(self) -> bytes:
        """Return the next line with its CRLF; empty when the server has closed."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await self.reader.readline()

    async def rest(self) -> bytes:
        """Return everything up to the server's close."""
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await self.reader.read()

    async def exchange(self, octets: bytes) -> bytes:
        """Send octets and our end of stream; return everything up to the server's close."""
        self.writer.write(octets)
        self.writer.write_eof()
        return await self.rest()

    async def play(self, conversation: str) -> None:
        """Hold a conversation as `support.dialogue` describes it, with every reply written out."""
        for step in steps(conversation):
            if step.is_client:
                self.writer.write(step.text.encode() + b"\r\n")
            else:
                wanted = b"" if step.text == "<closed>" else step.text.encode() + b"\r\n"
                reply = await self.read_line()
                assert reply == wanted, f"the server answers {reply!r} instead of {wanted!r}"

    async def close(self) -> None:
        """Close without reading what is left."""
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class Gateway:
    """A running server; its `repository` may be looked at and changed beside it."""

    def __init__(self, server: LineServer, repository: StateRepository, address: tuple[str, int]) -> None:
        self.server = server
        self.repository = repository
        self.address = address

    @asynccontextmanager
    async def client(
        self, *, logged_in: bool = False, source: str = "127.0.0.1"
    ) -> AsyncIterator[PeepClient]:
        """Connect from a loopback address; passwords are judged by that address."""
        opened = await asyncio.open_connection(*self.address, local_addr=(source, 0))
        client = PeepClient(*opened)
        try:
            if logged_in:
                assert await client.ask(LOGIN) == b"+\r\n"
            yield client
        finally:
            await client.close()

    async def converse(self, conversation: str, *, logged_in: bool = True) -> None:
        """Hold a conversation of its own; fails also when more is answered than was expected."""
        async with self.client(logged_in=logged_in) as client:
            await client.play(conversation)
            if "<closed>" not in conversation:
                assert await client.exchange(b"q\r\n") == b"+\r\n"

    async def replies_to(self, octets: bytes, *, logged_in: bool = True) -> bytes:
        """Return all that a client of its own is answered to these octets."""
        async with self.client(logged_in=logged_in) as client:
            return await client.exchange(octets)


@asynccontextmanager
async def running_gateway(
    repository: StateRepository,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    limits: ConnectionLimits | None = None,
) -> AsyncIterator[Gateway]:
    """Serve PEEP over `repository`, to which the administrator is made known."""
    await repository.replace_administrators({ADMINISTRATOR: administrator_hash()}, by=OPERATOR)

    server = LineServer(
        functools.partial(
            PeepConnection,
            administration=Administration(repository, passwords(), Authenticator(repository, passwords())),
            limits=limits if limits is not None else ConnectionLimits(),
        )
    )
    sockets = listen(host, port, "PEEP_PORT")
    port = sockets[0].getsockname()[1]
    await server.listen(sockets)
    try:
        yield Gateway(server, repository, ("127.0.0.1", port))
    finally:
        await server.drain(0, LineConnection.abort)


async def add_users(repository: StateRepository, *usernames: str) -> None:
    """Add users whose passwords fit nothing."""
    for username in usernames:
        await repository.add_user(username, Credential("no-hash", f"version-of-{username}"), by=OPERATOR)


def instance(instance_id: str = "pop3") -> Instance:
    """Return a POP3 instance to register."""
    return Instance(instance_id, socket.gethostname(), 1, "1.0", 0.0)


async def register(repository: StateRepository, *instance_ids: str) -> None:
    """Register POP3 instances that do nothing by themselves."""
    for instance_id in instance_ids:
        await repository.register_instance(instance(instance_id))


@asynccontextmanager
async def pop3_instance(
    repository: StateRepository, instance_id: str = "pop3", *, usable: bool = True
) -> AsyncIterator[None]:
    """Let a POP3 instance live that obeys, and finds every proposed mail directory so."""
    await repository.register_instance(instance(instance_id))
    try:
        async with obeying(repository, instance_id, usable=usable):
            yield
    finally:
        await repository.end_instance(instance_id)


async def close_session(repository: StateRepository, instance_id: str, session_id: str) -> None:
    """End a session as an instance does: its row goes, and its maildrop is free."""
    rows = [row for row in await repository.sessions() if row.session_id == session_id]
    held = [(row.username, row.session_id) for row in rows if row.username is not None]
    await repository.exchange(Exchange(instance_id, 0, closed_sessions=[session_id], releases=held))


@asynccontextmanager
async def obeying(
    repository: StateRepository, instance_id: str = "pop3", *, usable: bool = True
) -> AsyncIterator[None]:
    """Do for a registered instance what notifications ask it for."""
    is_listening = asyncio.Event()

    async def obey() -> None:
        async for heard in repository.notifications():
            is_listening.set()
            if heard.kind is NotificationKind.DIRECTORY_PROPOSED:
                await repository.answer_proposal(
                    heard.identifier, instance_id, "" if usable else "Permission denied"
                )
            elif heard.kind is NotificationKind.SESSION_TO_CLOSE:
                await close_session(repository, instance_id, heard.identifier)
            elif heard.kind is NotificationKind.SETTINGS_CHANGED:
                version = (await repository.settings()).version
                await repository.exchange(Exchange(instance_id, 0, settings_version=version))

    task = asyncio.create_task(obey())
    await is_listening.wait()
    try:
        with patience_with_instances():
            yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

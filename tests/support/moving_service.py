"""POP3 in the test's own process that takes users over from another server: real store, maildirs, sockets."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from line_server.server import LineServer
from pop3_client import Pop3Address, Pop3Client, Security
from pop3_service.connection import Pop3Connection
from pop3_service.context import Pop3Context
from pop3_service.disk import DiskThreads
from pop3_service.listing import Listings
from pop3_service.maildir import Maildirs
from pop3_service.moving.moves import Moves
from pop3_service.moving.old_server import OldServer
from pop3_service.protocol import replies
from pop3_service.protocol.policy import Policy
from service_runtime.maildir_layout import DEFAULT_LAYOUT, MaildirLayout
from state_store.credentials.authentication import Authenticator
from state_store.instance.live_instance import LiveInstance
from state_store.instance.options import InstanceCallbacks, InstanceOptions
from state_store.repository import StateRepository
from support.actors import OPERATOR
from support.certificates import Authority
from support.cheap_passwords import cheap_passwords
from support.scripted_pop3 import PASSWORD

_NO_TLS = Authority().client_context()


@dataclass(frozen=True)
class MovingService:
    """One POP3 process's parts, and where it listens."""

    repository: StateRepository
    moves: Moves
    instance: LiveInstance
    mail: Path
    address: Pop3Address
    disk: DiskThreads = field(repr=False)

    async def log_in(self, username: str, password: str = PASSWORD) -> Pop3Client:
        """Return a session; raises what the client raises."""
        client = await Pop3Client.connect(self.address)
        try:
            await client.log_in(username, password)
        except BaseException:
            await client.close()
            raise
        return client

    async def mail_of(self, username: str, password: str = PASSWORD) -> list[tuple[bytes, bytes]]:
        """Return the unique-id and the content of each message that a user's client gets, in order."""
        async with await self.log_in(username, password) as client:
            listed = await client.messages()
            found = []
            for message in listed:
                content = b"".join([piece async for piece in client.message(message.number)])
                assert len(content) == message.octets
                found.append((message.unique_id, content))
            return found

    def files(self, username: str) -> list[Path]:
        """Return a user's message files."""
        return sorted((self.mail / username).glob("[nc]*/*"))


@asynccontextmanager
async def moving_service(
    repository: StateRepository,
    mail: Path,
    old: Pop3Address,
    name: str = "host.example",
    *,
    layout: str = DEFAULT_LAYOUT,
) -> AsyncIterator[MovingService]:
    """Serve POP3 for the users of a store whose mail is below `mail`."""
    passwords, disk, maildirs = cheap_passwords(), DiskThreads(), Maildirs()
    maildir_layout = MaildirLayout(layout)

    async def directory_fault(_path: str) -> str:
        return ""

    def lapsed() -> None:
        moves.abandon()

    instance = LiveInstance(
        repository,
        InstanceOptions(name, 1, "1", mail_directory=str(mail), layout=layout),
        InstanceCallbacks(directory_fault, settings_changed=lambda: None, lease_lapsed=lapsed),
    )
    moves = Moves(OldServer(old, _NO_TLS), repository, instance, passwords, maildirs, disk, maildir_layout)
    await repository.announce_mail_directory(str(mail), overrides=True, by=OPERATOR)
    await instance.start()
    await moves.announce()
    context = Pop3Context(
        instance,
        maildirs,
        passwords,
        Authenticator(repository, passwords),
        disk,
        Listings(maildirs, disk),
        Policy("Peep-test"),
        None,
        maildir_layout,
        moves=moves,
    )
    server = LineServer(partial(Pop3Connection, context))
    bound = socket.create_server(("127.0.0.1", 0))
    await server.listen([bound])
    address = Pop3Address("127.0.0.1", bound.getsockname()[1], Security.NONE)
    try:
        yield MovingService(repository, moves, instance, mail, address, disk)
    finally:
        await server.drain(0, lambda each: each.hang_up(replies.GOING_DOWN))
        await moves.stop()
        await instance.stop()
        passwords.close()
        disk.close()

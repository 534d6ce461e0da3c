"""A message from its file to the client, in constant memory, at the client's pace.

There are three ways. A short message in the kernel's memory is sent at once. A file that can be opened
without the disk is sent in pieces. Any other file is opened first, in a thread of its disk.
"""

import asyncio
from dataclasses import dataclass

from line_server.connection import LineConnection
from pop3_service.context import Pop3Context
from pop3_service.login import OpenedMaildrop
from pop3_service.maildir import (
    Maildir,
    MaildirError,
    MaildirUnreadable,
    MessageFile,
    MessageUnreadable,
    MovedMessages,
    wire_if_cached,
)
from pop3_service.protocol.intentions import SendMessage
from pop3_service.protocol.maildrop import Message
from pop3_service.protocol.multiline import TopEncoder, WireEncoder
from pop3_service.protocol.replies import MessageFault

CHUNK_OCTETS = 256 * 1024
"""A message up to this size is sent whole; of a longer one no more than this is in memory at a time."""


def cached(maildir: Maildir, wanted: SendMessage) -> bytes | MessageFile | None:
    """Return a message's wire form, or its open file, or None: whatever takes no waiting for the disk.

    Raises `MaildirError` when the message is not as it was listed.
    """
    message = wanted.message
    if wanted.body_lines is None:
        wire = wire_if_cached(maildir, message, CHUNK_OCTETS)
        if wire is not None:
            return wire
    return MessageFile.open_if_cached(maildir, message)


@dataclass(slots=True)
class OpenedMessage:
    """A message that is being sent: its open file, and the wire lines that come next, None at the end."""

    file: MessageFile
    encoder: WireEncoder | TopEncoder
    lines: bytes | None = None


async def opened(
    context: Pop3Context, maildrop: OpenedMaildrop, wanted: SendMessage, file: MessageFile | None
) -> OpenedMessage:
    """Return what is wanted with its first lines read; its file may be open already.

    Raises `MaildirError` when it cannot be read; no file is then left open.
    """
    encoder = WireEncoder() if wanted.body_lines is None else TopEncoder(wanted.body_lines)
    if file is None:
        lane = context.maildirs.lane(maildrop.maildir)
        read, chunk = await context.disk.run(
            lane, _open_and_read, maildrop.maildir, wanted.message, maildrop.moved
        )
        return OpenedMessage(read, encoder, encoder.feed(chunk) if chunk else None)
    message = OpenedMessage(file, encoder)
    try:
        await _read_on(context, message)
    except BaseException:
        context.close(file)
        raise
    return message


async def send(connection: LineConnection, context: Pop3Context, message: OpenedMessage) -> bytes:
    """Send the wire form of a message, or its top, except for the last octets, which are returned.

    Raises `MaildirError` when the message cannot be read to its end, and `ConnectionResetError` when the
    client is gone.
    """
    encoder = message.encoder
    while message.lines is not None:
        if message.lines:
            connection.send(message.lines)
            await connection.output.drained()
        if isinstance(encoder, TopEncoder) and encoder.is_complete:
            break
        # A client as fast as we are would otherwise keep the event loop to itself.
        await asyncio.sleep(0)
        await _read_on(context, message)
    return encoder.end()


def fault_of(context: Pop3Context, maildrop: OpenedMaildrop, error: MaildirError) -> MessageFault:
    """Return the outcome of a message that cannot be sent; after a change the next login lists anew (D67)."""
    if isinstance(error, MessageUnreadable | MaildirUnreadable):
        return MessageFault.UNREADABLE_NOW if error.is_temporary else MessageFault.UNREADABLE
    context.maildirs.doubt(maildrop.maildir.path)
    return MessageFault.GONE


async def _read_on(context: Pop3Context, message: OpenedMessage) -> None:
    """Read the next lines of a message; the event loop never waits for the disk."""
    file, encoder = message.file, message.encoder
    if isinstance(encoder, WireEncoder):
        lines = file.wire_if_cached(CHUNK_OCTETS, encoder.last_octet)
        if lines:
            encoder.last_octet, message.lines = lines[-1], lines
            return
    chunk = file.read_cached(CHUNK_OCTETS)
    if chunk is None:
        chunk = await context.disk.run(file.lane, file.read, CHUNK_OCTETS)
    message.lines = encoder.feed(chunk) if chunk else None


def _open_and_read(maildir: Maildir, message: Message, moved: MovedMessages) -> tuple[MessageFile, bytes]:
    file = MessageFile.open(maildir, message, moved)
    try:
        return file, file.read(CHUNK_OCTETS)
    except BaseException:
        file.close()
        raise

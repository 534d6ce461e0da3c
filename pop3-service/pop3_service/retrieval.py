"""A message from its file to the client, in constant memory, at the client's pace.

There are three ways. A short message in the kernel's memory is sent at once. A file that can be opened
without the disk is sent in pieces. Any other file is opened first, in a thread of its disk.
"""

import asyncio

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
    content_if_cached,
)
from pop3_service.protocol.intentions import SendMessage
from pop3_service.protocol.maildrop import Message
from pop3_service.protocol.multiline import TopEncoder, WireEncoder, wire_form
from pop3_service.protocol.replies import MessageFault

CHUNK_OCTETS = 256 * 1024
"""A message up to this size is sent whole; of a longer one no more than this is in memory at a time."""


def cached(maildir: Maildir, wanted: SendMessage) -> bytes | MessageFile | None:
    """Return a message's wire form, or its open file, or None: whatever takes no waiting for the disk.

    Raises `MaildirError` when the message is not as it was listed.
    """
    message = wanted.message
    if wanted.body_lines is None:
        content = content_if_cached(maildir, message, CHUNK_OCTETS)
        if content is not None:
            return wire_form(content, plain=message.is_plain)
    return MessageFile.open_if_cached(maildir, message)


async def opened(
    context: Pop3Context, maildrop: OpenedMaildrop, message: Message, file: MessageFile | None
) -> tuple[MessageFile, bytes]:
    """Return the file of a message, which may be open already, and its first octets.

    Raises `MaildirError` when it cannot be read; no file is then left open.
    """
    if file is None:
        lane = context.maildirs.lane(maildrop.maildir)
        return await context.disk.run(lane, _open_and_read, maildrop.maildir, message, maildrop.moved)
    try:
        return file, await _read(context, file)
    except BaseException:
        context.close(file)
        raise


async def send(
    connection: LineConnection,
    context: Pop3Context,
    file: MessageFile,
    chunk: bytes,
    body_lines: int | None,
) -> bytes:
    """Send the wire form of a message, or its top, except for the last octets, which are returned.

    `chunk` has been read of the file already. Raises `MaildirError` when the message cannot be read to its
    end, and `ConnectionResetError` when the client is gone.
    """
    encoder = WireEncoder() if body_lines is None else TopEncoder(body_lines)
    while chunk:
        wire = encoder.feed(chunk)
        if wire:
            connection.send(wire)
            await connection.output.drained()
        if isinstance(encoder, TopEncoder) and encoder.is_complete:
            break
        # A client as fast as we are would otherwise keep the event loop to itself.
        await asyncio.sleep(0)
        chunk = await _read(context, file)
    return encoder.end()


def fault_of(context: Pop3Context, maildrop: OpenedMaildrop, error: MaildirError) -> MessageFault:
    """Return the outcome of a message that cannot be sent; after a change the next login lists anew (D67)."""
    if isinstance(error, MessageUnreadable | MaildirUnreadable):
        return MessageFault.UNREADABLE_NOW if error.is_temporary else MessageFault.UNREADABLE
    context.maildirs.doubt(maildrop.maildir.path)
    return MessageFault.GONE


async def _read(context: Pop3Context, file: MessageFile) -> bytes:
    """Return the next octets of the file, b"" at its end; the event loop never waits for the disk."""
    chunk = file.read_cached(CHUNK_OCTETS)
    if chunk is None:
        chunk = await context.disk.run(file.lane, file.read, CHUNK_OCTETS)
    return chunk


def _open_and_read(maildir: Maildir, message: Message, moved: MovedMessages) -> tuple[MessageFile, bytes]:
    file = MessageFile.open(maildir, message, moved)
    try:
        return file, file.read(CHUNK_OCTETS)
    except BaseException:
        file.close()
        raise

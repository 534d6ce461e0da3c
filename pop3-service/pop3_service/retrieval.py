"""A message from its file to the client, in constant memory, at the client's pace."""

import asyncio

from line_server.connection import LineConnection
from pop3_service.context import Pop3Context
from pop3_service.maildir import Maildir, MessageFile, MovedMessages, content_if_cached
from pop3_service.protocol.maildrop import Message
from pop3_service.protocol.multiline import TopEncoder, WireEncoder, wire_form

CHUNK_OCTETS = 256 * 1024
"""A message up to this size is sent whole; of a longer one no more than this is in memory at a time."""


def whole_if_cached(maildir: Maildir, message: Message) -> bytes | None:
    """Return the wire form of a message that is short and in memory already, None for any other.

    Raises `MaildirError` when the message is not as it was listed.
    """
    content = content_if_cached(maildir, message, CHUNK_OCTETS)
    return None if content is None else wire_form(content, plain=message.is_plain)


def open_and_read(maildir: Maildir, message: Message, moved: MovedMessages) -> tuple[MessageFile, bytes]:
    """Open a message wherever it is now, and read its first octets; blocks on the disk.

    Raises `MaildirError` when it cannot be read.
    """
    file = MessageFile.open(maildir, message, moved)
    try:
        return file, file.read(CHUNK_OCTETS)
    except BaseException:
        file.close()
        raise


async def deliver(
    connection: LineConnection,
    context: Pop3Context,
    file: MessageFile,
    chunk: bytes,
    body_lines: int | None,
) -> bytes:
    """Send the wire form of a message, or its top, but for the last octets, which are returned.

    `chunk` has been read of the file already. Raises `MaildirError` when the message cannot be read to its
    end, and ConnectionResetError when the client is gone.
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
        chunk = await read(context, file)
    return encoder.end()


async def read(context: Pop3Context, file: MessageFile) -> bytes:
    """Return the next octets of the file, b"" at its end, without waiting for the disk on the event loop."""
    chunk = file.read_cached(CHUNK_OCTETS)
    if chunk is None:
        chunk = await context.disk.run(file.lane, file.read, CHUNK_OCTETS)
    return chunk

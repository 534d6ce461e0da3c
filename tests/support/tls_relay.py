"""A relay that takes TLS and passes what is in it on in the clear, for servers without TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from support.certificates import Authority

_CHUNK_OCTETS = 65536


@asynccontextmanager
async def tls_relay(
    authority: Authority, folder: Path, target: tuple[str, int]
) -> AsyncIterator[tuple[str, int]]:
    """Relay a free loopback port, whose certificate `authority` has issued, to `target`; give its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(folder))

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_connection(*target)
        await asyncio.gather(_pump(reader, behind_writer), _pump(behind_reader, writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while octets := await reader.read(_CHUNK_OCTETS):
            writer.write(octets)
            await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()

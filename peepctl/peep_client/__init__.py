"""A client for PEEP, the POP3 External Edition Protocol: for any server that speaks it, and for scripts.

This reads all the counters:

    import dataclasses
    import peep_client

    try:
        with peep_client.connect("127.0.0.1", 2110, "admin", "secret") as peep:
            counters = peep.counters()
    except peep_client.PeepError as error:
        raise SystemExit(f"no counters: {error}")
    for name, value in dataclasses.asdict(counters).items():
        print(f"{name:22} {value:>15,}")

For asyncio, `async with peep_client.connect_async(...) as peep` has the same methods to await. For TLS, pass
`tls=True` or an `ssl.SSLContext`. Each command is sent after the reply to the one before, unless the server
is known to accept pipelining; methods that need an extension query `cap?` first. `Peep` lists the methods,
`protocol.operations` documents them; all errors are `PeepError`s.
"""

from peep_client.async_client import AsyncPeep, connect_async
from peep_client.client import Peep, connect
from peep_client.protocol.errors import (
    CannotConnect,
    ConnectionLost,
    InvalidArgument,
    NegativeReply,
    NotPeep,
    NotSupported,
    PeepError,
    TimedOut,
    WrongLogin,
)
from peep_client.protocol.records import Capabilities, Counters, Move, Session, Settings, SlowDown
from peep_client.protocol.replies import Reply
from peep_client.transport import PORT, TLS_PORT

__all__ = [
    "PORT",
    "TLS_PORT",
    "AsyncPeep",
    "CannotConnect",
    "Capabilities",
    "ConnectionLost",
    "Counters",
    "InvalidArgument",
    "Move",
    "NegativeReply",
    "NotPeep",
    "NotSupported",
    "Peep",
    "PeepError",
    "Reply",
    "Session",
    "Settings",
    "SlowDown",
    "TimedOut",
    "WrongLogin",
    "connect",
    "connect_async",
]

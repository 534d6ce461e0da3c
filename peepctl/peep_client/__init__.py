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

For asyncio, `async with peep_client.connect_async(...) as peep` gives the same methods to await. Inside TLS:
`tls=True`, or a context of your own. A command is sent when the one before it has been answered, so that
servers without pipelining are served too; what only extensions can do is asked of `cap?` first. The methods
stand in `Peep`; the errors are all `PeepError`s.
"""

from peep_client.addresses import PORT, TLS_PORT
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
from peep_client.protocol.records import Capabilities, Counters, Session, Settings, SlowDown
from peep_client.protocol.replies import Reply

__all__ = [
    "PORT",
    "TLS_PORT",
    "AsyncPeep",
    "CannotConnect",
    "Capabilities",
    "ConnectionLost",
    "Counters",
    "InvalidArgument",
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

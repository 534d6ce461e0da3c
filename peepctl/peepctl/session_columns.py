"""What people see of the open sessions, and the orders in which they see them."""

import enum
from collections.abc import Callable, Mapping, Sequence

from peep_client import Session
from peepctl.output import amount, duration

HEAD = ("SESSION", "USER", "ADDRESS", "TLS", "OPEN FOR", "IDLE", "OCTETS", "MESSAGES", "SENDING")


class Order(enum.Enum):
    """The orders by the names that `--sort` takes."""

    OLDEST = "oldest"
    NEWEST = "newest"
    USER = "user"
    ADDRESS = "address"
    OCTETS = "octets"
    MESSAGES = "messages"
    IDLE = "idle"


_SORT_KEYS: Mapping[Order, Callable[[Session], tuple[object, ...]]] = {
    Order.OLDEST: lambda session: (-session.seconds,),
    Order.NEWEST: lambda session: (session.seconds,),
    Order.USER: lambda session: (session.username is None, session.username or "", -session.seconds),
    Order.ADDRESS: lambda session: (session.address, -session.seconds),
    Order.OCTETS: lambda session: (-(session.octets or 0),),
    Order.MESSAGES: lambda session: (-(session.retrieved or 0),),
    Order.IDLE: lambda session: (-(session.idle_seconds or 0),),
}


def in_order(sessions: Sequence[Session], order: Order) -> list[Session]:
    """Return the sessions in an order; the largest figures come first."""
    return sorted(sessions, key=lambda session: (*_SORT_KEYS[order](session), session.id))


def cells(session: Session) -> tuple[str, ...]:
    """Return a session as a row under `HEAD`; `-`: it is not there, or the server does not tell it."""
    return (
        session.id,
        session.username or "-",
        session.address,
        session.tls or "-",
        duration(session.seconds),
        "-" if session.idle_seconds is None else duration(session.idle_seconds),
        "-" if session.octets is None else amount(session.octets),
        "-" if session.retrieved is None else f"{session.retrieved:,}",
        _way(session),
    )


def _way(session: Session) -> str:
    if not session.message_octets:
        return "-"
    return f"{(session.message_sent or 0) / session.message_octets:.0%} of {amount(session.message_octets)}"

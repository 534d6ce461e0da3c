"""What a session wants done before it can go on, each intention with the type of its outcome."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from pop3_service.protocol import replies
from pop3_service.protocol.maildrop import MaildropContents, Message
from pop3_service.protocol.replies import LoginPutOff, LoginRefusal, MessageFault

Outcome = TypeVar("Outcome")


class Intention(Generic[Outcome]):
    """Work for the connection. `Session.complete` takes the intention back with its outcome."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class LogIn(Intention[MaildropContents | LoginRefusal | LoginPutOff]):
    """Check the password, lock the maildrop and list it."""

    username: str
    password: str = field(repr=False)
    mechanism: str = "USER"
    """`USER`, with PASS, or the SASL mechanism."""


@dataclass(frozen=True, slots=True)
class Challenge(Intention[bytes]):
    """Send this line, which is no reply yet. `Session.receive` takes the outcome: the client's next line.

    That line may have `MAXIMUM_RESPONSE_LINE_OCTETS`.
    """

    line: bytes


@dataclass(frozen=True, slots=True)
class BeginScram(Intention[str | LoginRefusal | None]):
    """Answer a client's first SCRAM message (RFC 5802, section 5).

    The outcome is the server's first message, or None where the client's is malformed.
    """

    message: str


class ScramProof(NamedTuple):
    """The client has proved that it knows `username`'s password; `message` is the server's own proof."""

    username: str
    message: str


@dataclass(frozen=True, slots=True)
class FinishScram(Intention[ScramProof | LoginRefusal]):
    """Check a client's last SCRAM message."""

    message: str


@dataclass(frozen=True, slots=True)
class OpenMaildrop(Intention[MaildropContents | LoginRefusal | LoginPutOff]):
    """Lock and list the maildrop of the user whose `ScramProof` was the last outcome."""

    username: str


# Not frozen: a session makes one for each message, and setting a frozen attribute costs three times as much.
@dataclass(slots=True)
class SendMessage(Intention[MessageFault | None]):
    """Open the message; send what `complete` returns, and after None as the outcome the message's wire form.

    `body_lines` is None for RETR; for TOP it is the number of lines of the body to send.
    """

    message: Message
    body_lines: int | None


class UpdateOutcome(Enum):
    """How QUIT ended; the value is the complete reply (RFC 1939, section 6)."""

    ALL_REMOVED = replies.SIGNING_OFF
    SOME_NOT_REMOVED = replies.SOME_NOT_REMOVED
    LOCK_LOST = replies.UPDATE_REFUSED


@dataclass(frozen=True, slots=True)
class RemoveMarked(Intention[UpdateOutcome]):
    """Remove these messages."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class StartTls:
    """Send the reply, then begin TLS. Discard everything that was received before the handshake."""

    reply: bytes


@dataclass(frozen=True, slots=True)
class RefuseClearText:
    """Send the reply: a login in the clear is refused before its password (RFC 2595, section 2.1)."""

    reply: bytes
    username: str
    """As the client gave it; empty with AUTH."""
    mechanism: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """Send the reply, then close the connection. `ending` is the reason for the log."""

    reply: bytes
    ending: str


Answer: TypeAlias = bytes | StartTls | RefuseClearText | HangUp | Intention[Any]
"""A complete reply, a reply and what follows it, or what has to be done before there is a reply."""

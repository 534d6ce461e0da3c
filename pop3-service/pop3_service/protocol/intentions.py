"""What a session wants done that it cannot do itself: it knows no file, no store and no socket."""

from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from pop3_service.protocol.maildrop import Message


@dataclass(frozen=True, slots=True)
class LogIn:
    """Check the password, lock the maildrop and read it; answer with `logged_in` or `login_refused`."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """Send this line, which answers no command: the next line is a SASL response, and may be longer."""

    line: bytes


@dataclass(frozen=True, slots=True)
class BeginScram:
    """Answer a SCRAM client's first message; with `scram_challenge`, or with `response_malformed`."""

    message: str


@dataclass(frozen=True, slots=True)
class FinishScram:
    """Check a SCRAM client's proof; answer with `scram_proved` or `login_refused`."""

    message: str


@dataclass(frozen=True, slots=True)
class OpenMaildrop:
    """As `LogIn`, for the user whose SCRAM proof was right."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """Send the reply, then speak TLS; nothing that came before the handshake may be read after it."""

    reply: bytes


class SendMessage(NamedTuple):
    """Open the message, then send `message_opened` and its wire form; or else `message_unavailable`.

    `body_lines` is None for RETR, which sends all; for TOP it is how many lines of the body to send.
    """

    message: Message
    body_lines: int | None


@dataclass(frozen=True, slots=True)
class RemoveMarked:
    """Remove these messages, then send `removed` or `update_refused` as the reply to QUIT, and close."""

    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class HangUp:
    """Send the reply, then close the connection; later input is not answered."""

    reply: bytes


Intention: TypeAlias = (
    LogIn
    | Challenge
    | BeginScram
    | FinishScram
    | OpenMaildrop
    | StartTls
    | SendMessage
    | RemoveMarked
    | HangUp
)

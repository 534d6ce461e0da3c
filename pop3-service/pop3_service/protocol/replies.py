"""All reply texts, and the response codes in them.

A reply line has at most 512 octets, CRLF counted (RFC 2449, section 4). No reply contains text that the
client wrote: so nothing can be injected into a reply, or get from there into another program's log.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

MAXIMUM_REPLY_LINE_OCTETS: Final = 512

# RFC 2449, sections 8.1.1 and 8.1.2, and RFC 3206, sections 4 and 5.
AUTH: Final = "[AUTH]"
IN_USE: Final = "[IN-USE]"
SYS_TEMP: Final = "[SYS/TEMP]"
SYS_PERM: Final = "[SYS/PERM]"
LOGIN_DELAY: Final = "[LOGIN-DELAY]"


def ok(text: str = "") -> bytes:
    """Return the positive reply line with `text`, with its CRLF.

    Raises ValueError for a line that RFC 2449 forbids: over 512 octets, or not printable ASCII.
    """
    return _reply_line("+OK", text)


def error(text: str, response_code: str = "") -> bytes:
    """Return the negative reply line with `response_code`, if one is given, and `text`.

    Raises ValueError as `ok` does.
    """
    return _reply_line("-ERR", response_code, text)


def _reply_line(*parts: str) -> bytes:
    line = " ".join(part for part in parts if part)
    if not (line.isascii() and line.isprintable()):
        raise ValueError("a reply line is printable ASCII")
    if len(line) + len("\r\n") > MAXIMUM_REPLY_LINE_OCTETS:
        raise ValueError(f"a reply line has at most {MAXIMUM_REPLY_LINE_OCTETS} octets")
    return line.encode("ascii") + b"\r\n"


# Positive replies.
OK: Final = ok()
SEND_PASSWORD: Final = ok("send PASS")
MARKED: Final = ok("message marked as deleted")
CAPABILITIES_FOLLOW: Final = ok("capability list follows")
UNIQUE_IDS_FOLLOW: Final = ok("unique-id listing follows")
BEGIN_TLS: Final = ok("begin TLS negotiation")
UTF8_ENABLED: Final = ok("UTF8 enabled")
LANGUAGES_FOLLOW: Final = ok("language listing follows")
MECHANISMS_FOLLOW: Final = ok("mechanism listing follows")
SIGNING_OFF: Final = ok("Peep signing off")

# The form of a command line is wrong. After too many of these the session ends.
UNKNOWN_COMMAND: Final = error("unknown command")
LINE_TOO_LONG: Final = error("line is longer than 255 octets")
FORBIDDEN_OCTET: Final = error("line holds a control or 8-bit octet")
MISPLACED_SPACE: Final = error("one space goes before each argument")
ARGUMENT_MISSING: Final = error("an argument is missing")
SURPLUS_ARGUMENT: Final = error("too many arguments")
NOT_A_NUMBER: Final = error("a number is written in decimal digits only")
NOT_A_USER_NAME: Final = error(
    "a user name is 1 to 128 printable characters without slash, not beginning with a dot"
)
RESPONSE_TOO_LONG: Final = error("the response is too long, authentication given up")
NOT_BASE64: Final = error("the response is not well-formed base64, authentication given up")
TOO_MANY_MISTAKES: Final = error("too many unknown or malformed commands, closing")
TOO_MUCH_BEFORE_LOGIN: Final = error("too many commands before login, closing")

# The command has the right form, and cannot be carried out.
LOG_IN_FIRST: Final = error("not before login")
ALREADY_LOGGED_IN: Final = error("not after login")
SESSION_IS_ENDING: Final = error("not after QUIT")
SEND_USER_FIRST: Final = error("send USER right before PASS")
TLS_REQUIRED: Final = error("no passwords in the clear here, use STLS first")
TLS_IS_ACTIVE: Final = error("TLS is active already")
TLS_NOT_OFFERED: Final = error("TLS is not offered here")
UNKNOWN_MECHANISM: Final = error("no such mechanism, CAPA lists those there are")
CANCELLED: Final = error("authentication cancelled")
MALFORMED_RESPONSE: Final = error("the response does not follow the mechanism's rules")
NO_SUCH_LANGUAGE: Final = error("no such language, LANG lists those there are")
NO_SUCH_MESSAGE: Final = error("no such message")
MESSAGE_IS_MARKED: Final = error("message is marked as deleted")
SOME_NOT_REMOVED: Final = error("some deleted messages not removed", SYS_TEMP)
UPDATE_REFUSED: Final = error("the maildrop's lock could not be held, nothing was removed", SYS_TEMP)

# For the connection, outside of any dialogue. An idle client gets no reply (RFC 1939, section 3).
STATE_STORE_UNREACHABLE: Final = error("the server's state is out of reach, try again later", SYS_TEMP)
OUT_OF_DESCRIPTORS: Final = error("the server has no room for more connections, try again later", SYS_TEMP)
CLOSED_BY_ADMINISTRATOR: Final = error("an administrator has closed this session", SYS_TEMP)
GOING_DOWN: Final = error("the server is going down, try again later", SYS_TEMP)
INTERNAL_ERROR: Final = error("internal error, closing", SYS_TEMP)


class LoginRefusal(Enum):
    """Why a login did not succeed; the value is the complete reply."""

    WRONG_CREDENTIALS = error("wrong user name or password", AUTH)
    IN_USE = error("another session has this maildrop open", IN_USE)
    TOO_SOON = error("the last login was too short a time ago", LOGIN_DELAY)
    SLOWED_DOWN = error("too many wrong passwords from your network, try again later", SYS_TEMP)
    STORE_UNAVAILABLE = STATE_STORE_UNREACHABLE
    MAILDROP_UNREADABLE = error("the maildrop cannot be read", SYS_PERM)
    MAILDROP_AWAY = error("the maildrop cannot be read now, try again later", SYS_TEMP)


@dataclass(frozen=True, slots=True)
class LoginPutOff:
    """A right password that cannot log in now; `value` is the complete reply, with the reason."""

    value: bytes

    @classmethod
    def because(cls, reason: str) -> "LoginPutOff":
        """Return the one for a reason in ASCII that passes by itself."""
        return cls(error(reason, SYS_TEMP))


class MessageFault(Enum):
    """Why a listed message cannot be sent; the value is the complete reply."""

    GONE = error("message was removed or changed by another program since login")
    UNREADABLE = error("the message cannot be read", SYS_PERM)
    UNREADABLE_NOW = error("the message cannot be read now, try again later", SYS_TEMP)


def too_many_connections(limit: int) -> bytes:
    """Return the reply to a client over the limit of `limit` connections (P8)."""
    return error(f"too many connections (limit {limit})", SYS_TEMP)


def too_many_connections_of_address(limit: int) -> bytes:
    """Return the reply to a client whose address already has `limit` open connections."""
    return error(f"too many connections from your address (limit {limit})", SYS_TEMP)


def suspended(reason: str) -> bytes:
    """Return what a suspended user gets, whose password is right (RFC 3206, section 4)."""
    return error(reason or "this account is suspended", AUTH)


def banned(reason: str) -> bytes:
    """Return what a client from a banned network gets, instead of the greeting or at the end of a session."""
    return error(reason or "no connections are taken from your network", SYS_PERM)


def greeting(session_id: str) -> bytes:
    """Return the first line of a session.

    Raises ValueError when the id contains an angle bracket: clients would take it for an offer of APOP
    (RFC 1939, section 7).
    """
    if "<" in session_id or ">" in session_id:
        raise ValueError("a session id contains no angle brackets")
    return b"+OK Peep ready %b\r\n" % session_id.encode("ascii")


def language_selected(tag: str) -> bytes:
    """Return the positive reply to LANG with an argument (RFC 6856, section 3.2)."""
    return ok(f"{tag} these replies are in English")


def messages_and_octets(count: int, octets: int) -> bytes:
    """Return the positive reply with the size of a maildrop: `+OK 2 messages (320 octets)`."""
    return b"+OK %d message%b (%d octets)\r\n" % (count, b"" if count == 1 else b"s", octets)

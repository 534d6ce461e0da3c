"""The errors of the PEEP client."""

from collections.abc import Mapping
from types import MappingProxyType

WRONG_LOGIN = 2
UNKNOWN_USER_OR_SESSION = 4
INVALID_PATH = 6
UNAVAILABLE = 8

MEANINGS: Mapping[int, str] = MappingProxyType(
    {
        0: "unknown command, or not available in this state",
        1: "invalid command syntax",
        2: "incorrect user name or password of the administrator",
        3: "user name already in use",
        4: "no such user or session",
        5: "invalid maximum of connections",
        6: "invalid path: not absolute, or no mail directory that the POP3 service can use",
        7: "invalid timeout",
        8: "service unavailable: the server cannot reach its store at the moment",
    }
)
"""The meanings of the negative codes: PEEP sections 2.2 to 4, and Peep's own `-8`."""


def meaning(code: int) -> str:
    """Return the meaning of a negative code, known or not."""
    return MEANINGS.get(code, "a code that the PEEP text does not define")


class PeepError(Exception):
    """Any failure of this library; the text is one line for people and never contains a password."""


class NegativeReply(PeepError):
    """The server refused a command; the session goes on."""

    def __init__(self, commencement: str, code: int) -> None:
        super().__init__(f"-{code} to {commencement}: {meaning(code)}")
        self.commencement = commencement
        self.code = code
        self.meaning = meaning(code)


class WrongLogin(NegativeReply):
    """The administrator's name or password is wrong."""

    def __init__(self, username: str) -> None:
        super().__init__("a", WRONG_LOGIN)
        self.username = username


class NotSupported(PeepError):
    """The server lacks an extension that the operation needs; only `cap?` was sent."""

    def __init__(self, commencement: str) -> None:
        super().__init__(f"this server does not have the extension {commencement}")
        self.commencement = commencement


class InvalidArgument(PeepError, ValueError):
    """A value that PEEP cannot carry; nothing was sent."""


class CannotConnect(PeepError):
    """Connecting failed for `reason`; `is_certificate` if the server's certificate is not trusted."""

    def __init__(self, host: str, port: int, reason: str, *, is_certificate: bool = False) -> None:
        super().__init__(f"cannot connect to {host} port {port}: {reason}")
        self.host = host
        self.port = port
        self.reason = reason
        self.is_certificate = is_certificate


class ConnectionLost(PeepError):
    """The connection ended, or was closed after an earlier failure."""


class TimedOut(PeepError):
    """The server sent nothing for too long. The connection is closed: a late reply would be misattributed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no reply within {seconds:g} seconds")
        self.seconds = seconds


class NotPeep(PeepError):
    """The server sent something other than a PEEP reply (PEEP section 2.2). The connection is closed."""

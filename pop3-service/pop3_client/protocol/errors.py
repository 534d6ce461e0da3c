"""The errors of the POP3 client. Their texts are one line for people, and contain no password."""


class Pop3Error(Exception):
    """Any failure of this client."""


class InvalidArgument(Pop3Error, ValueError):
    """A name, a password or an address that POP3 cannot carry; nothing was sent."""


class Unreachable(Pop3Error):
    """No session can be had: no connection, no TLS, no trusted certificate, or a greeting of `-ERR`."""


class ConnectionLost(Pop3Error):
    """The connection ended, or the server was silent for too long, in the middle of a session."""


class Misbehaved(Pop3Error):
    """The server sent what RFC 1939 does not allow, or more than this client accepts. The session is over."""


class Refused(Pop3Error):
    """The server answered `-ERR`; the session goes on."""

    def __init__(self, keyword: str, text: str) -> None:
        super().__init__(f"it refuses {keyword}: {text}" if text else f"it refuses {keyword}")


class WrongLogin(Refused):
    """The server refuses this user name with this password."""


class LoginPutOff(Refused):
    """The server cannot log the user in now: the maildrop is locked, or the server has a fault."""

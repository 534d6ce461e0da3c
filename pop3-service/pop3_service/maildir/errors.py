"""What can go wrong with mail on disk.

The texts name no path and no user: they may stand in a log or, reworded, in a reply.
"""

import errno
from typing import Self

# These stay until somebody has changed the files or their permissions. Of whatever else the system says
# (no descriptors left, a file server that has forgotten a handle, a failing disk) the next attempt may
# hear nothing any more: a client should come again and not bother its user.
_LASTING = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT}
)


class MaildirError(Exception):
    """The base of every failure of the code that reads and removes mail."""

    def __init__(self, text: str, *, is_temporary: bool = False) -> None:
        super().__init__(text)
        self.is_temporary = is_temporary

    @classmethod
    def caused_by(cls, text: str, error: OSError) -> Self:
        """Return this failure with what the system has said."""
        return cls(f"{text}: {error.strerror}", is_temporary=error.errno not in _LASTING)


class MaildirUnreadable(MaildirError):
    """The maildir as a whole cannot be listed, so nothing can be said about its messages."""


class MessageGone(MaildirError):
    """The message was listed, and another program has removed it since."""


class MessageChanged(MaildirError):
    """The file differs from the one that was listed, so the announced octets no longer hold."""


class MessageUnreadable(MaildirError):
    """The message is there, and the system does not let us read it."""


class RemovalFailed(MaildirError):
    """The message is still there, and the system does not let us remove it."""

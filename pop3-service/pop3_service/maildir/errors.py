"""What can go wrong with mail on disk.

The texts contain no path and no user name: they may go to a log or, in other words, into a reply.
"""

import errno
from typing import Self

# These last until somebody changes the files or their permissions. After any other error (no descriptors
# left, a file server that has lost a handle, a failing disk) the next attempt may succeed.
_LASTING = frozenset(
    {errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT}
)


class MaildirError(Exception):
    """The base of all failures to read or remove mail."""

    def __init__(self, text: str, *, is_temporary: bool = False) -> None:
        super().__init__(text)
        self.is_temporary = is_temporary

    @classmethod
    def caused_by(cls, text: str, error: OSError) -> Self:
        """Return this failure, with the system's reason in its text."""
        return cls(f"{text}: {error.strerror}", is_temporary=error.errno not in _LASTING)


class MaildirUnreadable(MaildirError):
    """The maildir cannot be listed, so nothing is known about its messages."""


class MessageGone(MaildirError):
    """The message was listed, and another program has removed it since."""


class MessageChanged(MaildirError):
    """The file is not the one that was listed, so the announced octets are wrong."""


class MessageUnreadable(MaildirError):
    """The message exists, and the system does not let us read it."""


class RemovalFailed(MaildirError):
    """The message still exists, and the system does not let us remove it."""

"""What can go wrong with mail on disk.

The texts name no path and no user: they may stand in a log or, reworded, in a reply.
"""


class MaildirError(Exception):
    """The base of every failure of the code that reads and removes mail."""


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

"""Maildirs on disk: scanned, read and removed from. Mail itself is never written to, moved or renamed."""

from pop3_service.maildir.directory import mail_directory_verdict
from pop3_service.maildir.errors import (
    MaildirError,
    MaildirUnreadable,
    MessageChanged,
    MessageGone,
    MessageUnreadable,
    RemovalFailed,
)
from pop3_service.maildir.location import MaildirPath, maildir_of
from pop3_service.maildir.locator import FileIdentity, Locator
from pop3_service.maildir.maildir import Maildir
from pop3_service.maildir.maildirs import Maildirs
from pop3_service.maildir.quota_file import QuotaTally
from pop3_service.maildir.read import MessageFile, content_if_cached
from pop3_service.maildir.remove import Removal, removal_from
from pop3_service.maildir.whereabouts import Whereabouts

__all__ = [
    "FileIdentity",
    "Locator",
    "Maildir",
    "MaildirError",
    "MaildirPath",
    "MaildirUnreadable",
    "Maildirs",
    "MessageChanged",
    "MessageFile",
    "MessageGone",
    "MessageUnreadable",
    "QuotaTally",
    "Removal",
    "RemovalFailed",
    "Whereabouts",
    "content_if_cached",
    "mail_directory_verdict",
    "maildir_of",
    "removal_from",
]

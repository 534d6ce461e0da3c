"""Maildirs on disk: scanned, read and removed from. Mail itself is never written to, moved or renamed."""

from pop3_service.maildir.errors import (
    MaildirError,
    MaildirUnreadable,
    MessageChanged,
    MessageGone,
    MessageUnreadable,
    RemovalFailed,
)
from pop3_service.maildir.file_location import FileIdentity, FileLocation
from pop3_service.maildir.mail_directory import MaildirPath, mail_directory_fault, maildir_of
from pop3_service.maildir.maildir import Maildir
from pop3_service.maildir.maildirs import Maildirs
from pop3_service.maildir.moved import MovedMessages
from pop3_service.maildir.quota_file import QuotaTally
from pop3_service.maildir.read import MessageFile, wire_if_cached
from pop3_service.maildir.remove import Removal, removal_from

__all__ = [
    "FileIdentity",
    "FileLocation",
    "Maildir",
    "MaildirError",
    "MaildirPath",
    "MaildirUnreadable",
    "Maildirs",
    "MessageChanged",
    "MessageFile",
    "MessageGone",
    "MessageUnreadable",
    "MovedMessages",
    "QuotaTally",
    "Removal",
    "RemovalFailed",
    "mail_directory_fault",
    "maildir_of",
    "removal_from",
    "wire_if_cached",
]

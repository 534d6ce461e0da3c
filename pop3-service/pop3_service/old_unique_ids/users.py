"""The users whose maildirs lie below the mail directory."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

from pop3_service.maildir import MaildirUnreadable, maildir_of
from service_runtime.maildir_layout import FIELDS, MaildirLayout

NO_USER = "lost+found"
"""What file systems have at their root: nobody's mail, and often for root alone."""


def users_below(mail_directory: str, layout: MaildirLayout) -> Iterator[str]:
    """Yield the name of each user with a folder where the layout has maildirs, sorted by folder.

    Raises OSError when the mail directory cannot be listed.
    """
    for names in _paths(mail_directory, layout.folders):
        values = dict(zip(layout.folders, names, strict=True))
        username = values.get("{user}") or f"{values['{local}']}@{values['{domain}']}"
        with suppress(ValueError, MaildirUnreadable):  # no user can have this name
            if maildir_of(mail_directory, username, layout).folder == os.fsencode("/".join(names)):
                yield username


def _paths(directory: str, folders: Sequence[str]) -> Iterator[list[str]]:
    """Yield the names on the way to each folder that `folders` describes."""
    if not folders:
        yield []
        return
    is_any = folders[0] in FIELDS
    for name in sorted(os.listdir(directory)) if is_any else [folders[0]]:
        path = os.path.join(directory, name)
        # A link may lead to a maildir: whether it is followed is decided where the maildir is opened.
        is_hidden = is_any and (name.startswith(".") or name == NO_USER)
        if os.path.isdir(path) and not is_hidden:
            for rest in _paths(path, folders[1:]):
                yield [name, *rest]

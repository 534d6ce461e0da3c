"""Imports one user's unique-ids: finds what the old server left, reads it, writes the copy."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pop3_service.maildir import Maildir, Maildirs, MaildirUnreadable, maildir_of
from pop3_service.maildir.copied import write_copied
from pop3_service.maildir.file_location import location_of
from pop3_service.maildir.folder import Folder, open_folders
from pop3_service.maildir.noted import read_noted
from pop3_service.maildir.unique_ids import is_foreign_unique_id, unique_part
from pop3_service.old_unique_ids import courier, dovecot, plain_list
from pop3_service.old_unique_ids.old_list import OldList, Present, Unusable, read_whole
from pop3_service.old_unique_ids.report import Outcome, UserReport
from pop3_service.old_unique_ids.uidl_format import UidlFormat
from service_runtime.maildir_layout import FIELDS, MaildirLayout

LISTING_ATTEMPTS = 3
"""A listing during which a message is renamed may lack it: it is repeated, but not for ever."""

HEADER_OCTETS = 1 << 18
"""How far into a message its X-UIDL is looked for."""

AUTO, NAMES = "auto", "names"
_LEFT_BY = {"dovecot": dovecot.FILE_NAME, "courier": courier.FILE_NAME}

_X_UIDL = re.compile(rb"^x-uidl:[ \t]*([^\r\n]*)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line says."""

    source: str = AUTO
    """`auto`, `dovecot`, `courier`, `names`, or a file, whose path may hold the layout's fields."""
    uidl_format: UidlFormat | None = None
    reuse_x_uidl: bool = False
    is_dry_run: bool = False
    replace: bool = False


class Importer:
    """Imports users' unique-ids below one mail directory."""

    def __init__(
        self, mail_directory: str, layout: MaildirLayout, roots: Sequence[str], choices: Choices
    ) -> None:
        self._mail_directory = mail_directory
        self._layout = layout
        self._maildirs = Maildirs(roots=roots)
        self._choices = choices

    def run(self, username: str) -> UserReport:
        """Import one user's unique-ids. Whatever goes wrong is in the report."""
        try:
            maildir = self._maildirs.at(maildir_of(self._mail_directory, username, self._layout))
            try:
                return self._run(username, maildir)
            finally:
                maildir.close()
        except FileNotFoundError:
            reason = "there is no such maildir"
        except OSError as error:
            reason = error.strerror or str(error)
        except (Unusable, MaildirUnreadable, ValueError) as error:
            reason = str(error)
        return UserReport(username, Outcome.FAILED, reason)

    def _run(self, username: str, maildir: Maildir) -> UserReport:
        maildir.open()
        with open_folders(maildir) as folders:
            if not folders:
                raise Unusable("it has neither new nor cur: look at PEEP_MAIL_DIR and PEEP_MAILDIR_LAYOUT")
            present = _present(folders)
            if not present:
                return UserReport(username, Outcome.NO_MESSAGES)
            source, note = self._source(username, maildir)
            old = self._read(source, maildir, folders, present)
            if not old.messages:
                return UserReport(username, Outcome.NONE_ANNOUNCED, source=source, messages=len(present))
            copied, outside, duplicates = _copied(old)
            return UserReport(
                username,
                self._write(maildir, folders, copied),
                source=source,
                evidence=old.evidence,
                messages=len(present),
                kept=len(copied) - outside - duplicates,
                following=len(present) - len(copied),
                outside=outside,
                duplicates=duplicates,
                renamed=old.renamed,
                unmatched=old.unmatched,
                gone=old.gone,
                skipped=old.skipped,
                note=note,
            )

    def _read(self, source: str, maildir: Maildir, folders: Sequence[Folder], present: Present) -> OldList:
        """Return what `source` says. Raises Unusable with its name."""
        try:
            old = self._parse(source, maildir, folders, present)
        except FileNotFoundError:
            raise Unusable(f"{source} is not there") from None
        except OSError as error:
            raise Unusable(f"{source}: {error.strerror}") from None
        except Unusable as error:
            raise Unusable(f"{source}: {error}") from None
        if not old.messages and (old.gone or old.unmatched):
            raise Unusable(f"{source}: none of its messages is recognised in this maildir")
        return old

    def _source(self, username: str, maildir: Maildir) -> tuple[str, str]:
        """Return what is read, a name in the maildir or a path, and a note for the report."""
        source = self._choices.source
        if source == AUTO:
            return _found(maildir)
        if source == NAMES:
            return NAMES, ""
        if source in _LEFT_BY:
            return _LEFT_BY[source], ""
        local, _, domain = username.rpartition("@")
        for field, value in zip(FIELDS, (username, local, domain), strict=True):
            source = source.replace(field, value)
        return os.path.abspath(source), ""

    def _parse(self, source: str, maildir: Maildir, folders: Sequence[Folder], present: Present) -> OldList:
        if source == NAMES:
            return plain_list.names_list(_mtimes(folders, present))
        opened = maildir.open()  # in a variable: it is closed when the last reference to it is gone
        content = read_whole(source, opened.number)
        is_left = source in _LEFT_BY.values()
        if source == dovecot.FILE_NAME or (not is_left and dovecot.is_dovecot(content)):
            in_header = _x_uidls(folders, present) if self._choices.reuse_x_uidl else {}
            return dovecot.dovecot_list(content, present, self._choices.uidl_format, in_header)
        if is_left or courier.is_courier(content):
            return courier.courier_list(content, present)
        if plain_list.is_numbered(content):
            messages = self._maildirs.scan(maildir).messages
            octets = [(unique_part(location_of(each).name), each.octets) for each in messages]
            return plain_list.numbered_list(content, octets)
        return plain_list.named_list(content, present)

    def _write(self, maildir: Maildir, folders: Sequence[Folder], copied: Mapping[bytes, bytes]) -> Outcome:
        there = read_noted(folders)
        if there.identity is not None and not self._choices.replace:
            if not there.damage and [each for each in there.copied.items() if each[0] in copied] == list(
                copied.items()
            ):
                return Outcome.ALREADY_THERE
            raise Unusable("there is another peep-unique-ids already; --replace writes it anew")
        if self._choices.is_dry_run:
            return Outcome.WOULD_BE_WRITTEN
        write_copied(maildir, copied, replace=self._choices.replace)
        return Outcome.WRITTEN


def _present(folders: Sequence[Folder]) -> Present:
    for _ in range(LISTING_ATTEMPTS):
        stamps = [folder.stamp() for folder in folders]
        present = {
            unique_part(name): name
            for folder in folders
            for name in folder.names()
            if folder.file_status(name) is not None
        }
        if [folder.stamp() for folder in folders] == stamps:
            return present
    raise Unusable("the maildir keeps changing: stop deliveries and the old server, or try again")


def _statuses(folders: Sequence[Folder], present: Present) -> Iterator[tuple[bytes, Folder, os.stat_result]]:
    for part, name in present.items():
        for folder in folders:
            status = folder.file_status(name)
            if status is not None:
                yield part, folder, status
                break


def _mtimes(folders: Sequence[Folder], present: Present) -> dict[bytes, int]:
    return {part: status.st_mtime_ns for part, _, status in _statuses(folders, present)}


def _x_uidls(folders: Sequence[Folder], present: Present) -> dict[bytes, bytes]:
    """Return the X-UIDL of each message that has one in its header."""
    found = {}
    for part, folder, _ in _statuses(folders, present):
        with open(folder.open(present[part]), "rb") as file:
            header = re.split(rb"\n\r?\n", file.read(HEADER_OCTETS), maxsplit=1)[0]
        unique_id = _X_UIDL.search(header)
        if unique_id is not None and unique_id[1].strip():
            found[part] = unique_id[1].strip()
    return found


def _found(maildir: Maildir) -> tuple[str, str]:
    """Return the file that an old server has left in the maildir, and a note for the report."""
    mtimes = {}
    opened = maildir.open()  # in a variable: it is closed when the last reference to it is gone
    for name in (dovecot.FILE_NAME, courier.FILE_NAME, courier.IMAP_FILE_NAME):
        with suppress(FileNotFoundError):
            mtimes[name] = os.lstat(name, dir_fd=opened.number).st_mtime
    imap = mtimes.pop(courier.IMAP_FILE_NAME, 0.0)
    if not mtimes:
        raise Unusable(
            f"neither {dovecot.FILE_NAME} nor {courier.FILE_NAME} is there;"
            " --from names is for servers whose unique-ids are the files' names"
        )
    newest = max(mtimes, key=lambda name: mtimes[name])
    if max(mtimes.values()) - min(mtimes.values()) > courier.UNUSED_SECONDS:
        return newest, f"the other server's file is over 30 days older than {newest}"
    if len(mtimes) > 1:
        raise Unusable("both Dovecot and Courier have left a file: say --from dovecot or --from courier")
    if newest == courier.FILE_NAME and imap - mtimes[newest] > courier.UNUSED_SECONDS:
        return newest, "nobody seems to use POP3: Courier's file for it is over 30 days older than for IMAP"
    return newest, ""


def _copied(old: OldList) -> tuple[dict[bytes, bytes], int, int]:
    """Return the lines of the copy, and how many unique-ids are not used: not allowed, another message's."""
    copied: dict[bytes, bytes] = {}
    taken: set[bytes] = set()
    outside = duplicates = 0
    for message in old.messages:
        is_allowed = is_foreign_unique_id(message.unique_id)
        is_free = message.unique_id not in taken
        copied[message.part] = message.unique_id if is_allowed and is_free else b""
        outside += not is_allowed
        duplicates += is_allowed and not is_free
        taken.add(message.unique_id)
    return copied, outside, duplicates
